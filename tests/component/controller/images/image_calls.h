// Calls of ImageService, as a user makes them. For *_test.cc of this folder.
#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <string>

#include "common/ids.h"
#include "common/sha256.h"
#include "remuda/v1/image.grpc.pb.h"
#include "tests/wait.h"

namespace remuda {

inline std::string DigestOf(const std::string& bytes) {
  return std::string(kDigestPrefix) + Sha256Hex(bytes);
}

inline grpc::Status PushImage(const std::shared_ptr<grpc::Channel>& channel, const std::string& id,
                              const std::string& bytes) {
  const auto stub = v1::ImageService::NewStub(channel);
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + kWaitDeadline);
  v1::Image image;
  const auto writer = stub->PushImage(&context, &image);
  v1::PushImageRequest request;
  request.mutable_header()->set_image_id(id);
  writer->Write(request);
  for (size_t at = 0; at < bytes.size(); at += 1 << 20) {
    request.set_chunk(bytes.substr(at, 1 << 20));
    if (!writer->Write(request)) break;
  }
  writer->WritesDone();
  return writer->Finish();
}

// Of all of it; `bytes` are those that came.
inline grpc::Status FetchImage(const std::shared_ptr<grpc::Channel>& channel,
                               const std::string& digest, std::string& bytes) {
  const auto stub = v1::ImageService::NewStub(channel);
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + kWaitDeadline);
  v1::FetchImageRequest request;
  request.set_digest(digest);
  const auto reader = stub->FetchImage(&context, request);
  v1::FetchImageResponse response;
  bytes.clear();
  while (reader->Read(&response)) bytes += response.chunk();
  return reader->Finish();
}

inline void DeleteImage(const std::shared_ptr<grpc::Channel>& channel, const std::string& id) {
  const auto stub = v1::ImageService::NewStub(channel);
  grpc::ClientContext context;
  v1::DeleteImageRequest request;
  request.set_name("images/" + id);
  google::protobuf::Empty empty;
  const grpc::Status status = stub->DeleteImage(&context, request, &empty);
  EXPECT_TRUE(status.ok()) << status.error_message();
}

}  // namespace remuda
