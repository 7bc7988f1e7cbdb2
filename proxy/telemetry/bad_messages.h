// The last messages of clients and targets that a worker refused, and the last fields that it did
// not forward for their names, for a person who asks why (/bad-messages). Bounded: a few of each
// kind, so that a flood of one does not wash away the others. Of fields only names are kept: values
// may be secrets.
//
// Thread: a worker writes, the admin server reads; each of both is rare.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "proxy/http/message_fault.h"

namespace remuda::proxy {

// One that is being told of; views live for the call only.
struct BadMessage {
  enum class Kind : uint8_t { kRequest, kResponse, kDroppedField, kCount };
  Kind kind = Kind::kRequest;
  int64_t time_us = 0;  // since the epoch
  http::Reason reason = http::Reason::kNone;
  const http::MessageFault* fault = nullptr;
  std::string_view first_line = {};
  std::string_view load_balancer = {};
  std::string_view client = {};
  std::string_view target_group = {};  // of responses, as `target`
  std::string_view target = {};
};

class BadMessages {
 public:
  static constexpr size_t kKeptOfEachKind = 16;
  static constexpr size_t kMaxFirstLineBytes = 256;

  struct Kept {
    int64_t first_us = 0;
    int64_t last_us = 0;
    uint64_t count = 0;  // of those that differ in their first line and client only
    BadMessage::Kind kind = BadMessage::Kind::kRequest;
    http::Reason reason = http::Reason::kNone;
    http::MessageFault fault;
    std::string first_line, load_balancer, client, target_group, target;
  };

  void Note(const BadMessage& message);
  // Newest first.
  std::vector<Kept> Snapshot() const;

 private:
  using Ring = std::vector<Kept>;  // at most kKeptOfEachKind
  mutable std::mutex mutex_;
  std::array<Ring, static_cast<size_t>(BadMessage::Kind::kCount)> rings_;  // guarded by mutex_
};

}  // namespace remuda::proxy
