// A standby's downloads, from a leader that says and gives what the test wants: what is resumed,
// and what is begun anew.
#include <gmock/gmock.h>
#include <grpcpp/server_builder.h>
#include <gtest/gtest.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "remuda/controller/v1/peer.grpc.pb.h"
#include "remuda/v1/image.grpc.pb.h"
#include "tests/component/controller/images/image_calls.h"
#include "tests/component/controller/images/leading_controller.h"
#include "tests/component/controller/testing/tar.h"
#include "tests/wait.h"

namespace remuda {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;

// Tells each standby to hold one image, and answers each download by the next of `answers`.
class FakeLeader final : public controller::v1::PeerService::Service,
                         public v1::ImageService::Service {
 public:
  struct Answer {
    std::string bytes;
    grpc::Status status = grpc::Status::OK;
    bool ends_call = false;  // that of PeerService, too: as a leader that goes
  };
  FakeLeader(std::string digest, std::vector<Answer> answers)
      : digest_(std::move(digest)), answers_(std::move(answers)) {
    grpc::ServerBuilder builder;
    builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port_);
    builder.RegisterService(static_cast<controller::v1::PeerService::Service*>(this));
    builder.RegisterService(static_cast<v1::ImageService::Service*>(this));
    server_ = builder.BuildAndStart();
  }
  ~FakeLeader() override { server_->Shutdown(std::chrono::system_clock::now()); }
  std::string address() const { return "127.0.0.1:" + std::to_string(port_); }

  grpc::Status ReplicateImages(
      grpc::ServerContext* context,
      grpc::ServerReaderWriter<controller::v1::ReplicateImagesResponse,
                               controller::v1::ReplicateImagesRequest>* stream) override {
    controller::v1::ReplicateImagesRequest message;
    if (!stream->Read(&message)) return grpc::Status::OK;
    {
      const std::lock_guard lock(mutex_);
      peer_ = context;
    }
    controller::v1::ReplicateImagesResponse hold;
    hold.mutable_hold()->set_digest(digest_);
    stream->Write(hold);
    while (stream->Read(&message)) {
      const std::lock_guard lock(mutex_);
      if (message.has_held()) ++held_;
      if (message.has_error()) errors_.push_back(message.error().error());
    }
    const std::lock_guard lock(mutex_);
    if (peer_ == context) peer_ = nullptr;
    return grpc::Status::OK;
  }

  grpc::Status FetchImage(grpc::ServerContext*, const v1::FetchImageRequest* request,
                          grpc::ServerWriter<v1::FetchImageResponse>* writer) override {
    Answer answer;
    {
      const std::lock_guard lock(mutex_);
      offsets_.push_back(request->offset());
      if (offsets_.size() > answers_.size()) return {grpc::StatusCode::NOT_FOUND, "no more"};
      answer = answers_[offsets_.size() - 1];
    }
    v1::FetchImageResponse response;
    const std::string rest = answer.bytes.substr(static_cast<size_t>(request->offset()));
    for (size_t at = 0; at < rest.size(); at += kChunk) {
      response.set_chunk(rest.substr(at, kChunk));
      writer->Write(response);
    }
    if (answer.ends_call) {
      const std::lock_guard lock(mutex_);
      if (peer_ != nullptr) peer_->TryCancel();
    }
    return answer.status;
  }

  std::vector<int64_t> offsets() {
    const std::lock_guard lock(mutex_);
    return offsets_;
  }
  int held() {
    const std::lock_guard lock(mutex_);
    return held_;
  }
  std::vector<std::string> errors() {
    const std::lock_guard lock(mutex_);
    return errors_;
  }

 private:
  static constexpr size_t kChunk = 100'000;
  const std::string digest_;
  const std::vector<Answer> answers_;
  int port_ = 0;
  std::mutex mutex_;  // guards what follows
  grpc::ServerContext* peer_ = nullptr;
  std::vector<int64_t> offsets_;  // of downloads
  int held_ = 0;
  std::vector<std::string> errors_;
  std::unique_ptr<grpc::Server> server_;  // last: it uses the others
};

class PullTest : public testing::Test {
 protected:
  PullTest() {
    char path[] = "/tmp/remuda-pull-XXXXXX";
    directory_ = mkdtemp(path);
  }
  ~PullTest() override { fs::remove_all(directory_); }
  std::string Held(const BlobPlace& place) const {
    std::ifstream in(place.PathOf(digest_), std::ios::binary);
    return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
  }

  std::string directory_;
  const std::string bytes_ = TarOf(std::string(1'000'000, 'x'));
  const std::string digest_ = DigestOf(bytes_);
  const std::string half_ = bytes_.substr(0, 500'000);
  const grpc::Status torn_ = {grpc::StatusCode::UNAVAILABLE, "torn"};
};

TEST_F(PullTest, ADownloadThatIsTornGoesOnWhereItWas) {
  FakeLeader leader(digest_, {{half_, torn_}, {bytes_}});
  BlobPlace place(directory_);
  StandingBy standby(place, "b", leader.address());
  ASSERT_TRUE(WaitUntil([&] { return leader.held() == 1; }));
  EXPECT_THAT(leader.offsets(), ElementsAre(0, 500'000));
  EXPECT_EQ(Held(place), bytes_);
}

TEST_F(PullTest, ItGoesOnAlsoWhenTheLeaderWasGoneMeanwhile) {
  FakeLeader leader(digest_, {{half_, torn_, true}, {bytes_}});
  BlobPlace place(directory_);
  StandingBy standby(place, "b", leader.address());
  ASSERT_TRUE(WaitUntil([&] { return leader.held() == 1; }));
  // As far as it had come when the leader went.
  EXPECT_THAT(leader.offsets(), ElementsAre(0, testing::Le(500'000)));
  EXPECT_EQ(Held(place), bytes_);
}

TEST_F(PullTest, AStandbyThatWasRestartedBeginsAnew) {
  {
    FakeLeader leader(digest_, {{half_, torn_, true}});
    BlobPlace place(directory_);
    StandingBy standby(place, "b", leader.address());
    ASSERT_TRUE(WaitUntil([&] { return !leader.offsets().empty(); }));
  }
  // As one that was killed leaves it.
  std::ofstream(directory_ + "/tmp/1") << half_;
  FakeLeader leader(digest_, {{bytes_}});
  BlobPlace place(directory_);
  StandingBy standby(place, "b", leader.address());
  ASSERT_TRUE(WaitUntil([&] { return leader.held() == 1; }));
  EXPECT_THAT(leader.offsets(), ElementsAre(0));
  EXPECT_EQ(Held(place), bytes_);
  EXPECT_TRUE(fs::is_empty(directory_ + "/tmp"));
}

TEST_F(PullTest, WhatBeganWithWrongBytesBeginsAnew) {
  std::string wrong = bytes_;
  wrong[600] = 'y';
  FakeLeader leader(digest_, {{wrong.substr(0, 500'000), torn_}, {bytes_}, {bytes_}});
  BlobPlace place(directory_);
  StandingBy standby(place, "b", leader.address());
  ASSERT_TRUE(WaitUntil([&] { return leader.held() == 1; }));
  EXPECT_THAT(leader.offsets(), ElementsAre(0, 500'000, 0));
  EXPECT_EQ(Held(place), bytes_);
}

TEST_F(PullTest, WhatTheLeadersDiskHasLostIsNotKept) {
  FakeLeader leader(digest_, {{half_, {grpc::StatusCode::DATA_LOSS, "lost"}}});
  BlobPlace place(directory_);
  StandingBy standby(place, "b", leader.address());
  ASSERT_TRUE(WaitUntil([&] { return leader.errors().size() == 1; }));
  EXPECT_THAT(leader.errors(), ElementsAre("lost"));
  EXPECT_THAT(leader.offsets(), ElementsAre(0)) << "nor tried at once again";
  EXPECT_TRUE(fs::is_empty(directory_ + "/tmp"));
}

// The half of an image that is no more.
TEST_F(PullTest, WhatNothingNamesIsNotKeptForLong) {
  FakeLeader leader(digest_, {{half_, torn_, true}});
  BlobPlace place(directory_);
  StandingBy standby(place, "b", leader.address());
  ASSERT_TRUE(WaitUntil([&] { return leader.errors().size() == 1; }));  // NOT_FOUND
  ASSERT_FALSE(fs::is_empty(directory_ + "/tmp"));
  standby->SetNeeded({});
  EXPECT_FALSE(fs::is_empty(directory_ + "/tmp"));
  standby->SetNeeded({digest_}, Blobs::FileClock::now() + std::chrono::hours(2));
  EXPECT_FALSE(fs::is_empty(directory_ + "/tmp"));
  standby->SetNeeded({}, Blobs::FileClock::now() + std::chrono::hours(2));
  EXPECT_TRUE(fs::is_empty(directory_ + "/tmp"));
}

}  // namespace
}  // namespace remuda
