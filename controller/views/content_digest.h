// ContentDigest: a name of the content of a view, kept up to date resource by resource: the same
// for the same resources under the same keys, whatever became of them in between and in which
// process. Two contents that differ have different ones, but by an accident of 1 in 2^128.
//
// It is for recognizing what this controller, or the one before it, has said. It proves nothing
// about who has made it. Thread: none of its own; a value.
#pragma once

#include <google/protobuf/message_lite.h>

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

namespace remuda {

class ContentDigest {
 public:
  // Of bytes().
  static constexpr size_t kBytes = 16;

  void Add(std::string_view key, const google::protobuf::MessageLite& value);
  // `value` was added under `key`.
  void Remove(std::string_view key, const google::protobuf::MessageLite& value);
  // Of what is no message.
  void Add(std::string_view key, std::string_view value);

  std::string bytes() const;

 private:
  // Sums of the resources' hashes, each modulo 2^64: the order does not matter, and what was added
  // can be taken away.
  using Sums = std::array<uint64_t, kBytes / sizeof(uint64_t)>;
  static Sums HashOf(std::string_view key, std::string_view value);

  Sums sums_{};
};

}  // namespace remuda
