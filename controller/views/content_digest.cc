#include "controller/views/content_digest.h"

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>

#include <cstring>

#include "common/sha256.h"

namespace remuda {
namespace {

// Maps in one order: the same message has the same bytes in each process of one program.
std::string BytesOf(const google::protobuf::MessageLite& value) {
  std::string bytes;
  {
    google::protobuf::io::StringOutputStream stream(&bytes);
    google::protobuf::io::CodedOutputStream out(&stream);
    out.SetSerializationDeterministic(true);
    value.SerializeToCodedStream(&out);
  }
  return bytes;
}

}  // namespace

ContentDigest::Sums ContentDigest::HashOf(std::string_view key, std::string_view value) {
  Sha256 hash;
  // So that no key and value read together as others do.
  const uint64_t key_bytes = key.size();
  hash.Update(&key_bytes, sizeof key_bytes);
  hash.Update(key);
  hash.Update(value);
  const Sha256::Bytes bytes = hash.Digest();
  Sums sums;
  static_assert(sizeof sums <= sizeof bytes);
  std::memcpy(sums.data(), bytes.data(), sizeof sums);
  return sums;
}

void ContentDigest::Add(std::string_view key, std::string_view value) {
  const Sums hash = HashOf(key, value);
  for (size_t i = 0; i < sums_.size(); ++i) sums_[i] += hash[i];
}

void ContentDigest::Add(std::string_view key, const google::protobuf::MessageLite& value) {
  Add(key, BytesOf(value));
}

void ContentDigest::Remove(std::string_view key, const google::protobuf::MessageLite& value) {
  const Sums hash = HashOf(key, BytesOf(value));
  for (size_t i = 0; i < sums_.size(); ++i) sums_[i] -= hash[i];
}

std::string ContentDigest::bytes() const {
  std::string bytes(kBytes, '\0');
  std::memcpy(bytes.data(), sums_.data(), kBytes);
  return bytes;
}

}  // namespace remuda
