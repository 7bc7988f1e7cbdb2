// What the audit log says of one write. Pure. Thread: the loop thread (they read state).
#pragma once

#include <absl/status/status.h>
#include <google/protobuf/message.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "controller/core/model/state.h"
#include "controller/identity/caller.h"
#include "remuda/v1/audit.pb.h"

namespace remuda {

inline constexpr int kMaxAuditResources = 500;
inline constexpr size_t kMaxAuditNameBytes = 256;
inline constexpr size_t kMaxAuditErrorBytes = 1000;

// Full names of what a request (or an answer) is about, what it is mostly about first: its name,
// the resource that it holds, and what it refers to.
std::vector<std::string> NamesIn(const google::protobuf::Message& message);

// Number of the commit that wrote the resource of that full name (of a part: what it is a part of);
// 0: it is not there.
int64_t CommitOf(const core::State& state, std::string_view name);

// One write, from before it is decided.
class AuditedWrite {
 public:
  // What it is about, before; `caller` null: nobody that is known.
  AuditedWrite(const core::State& state, const Caller* caller, std::string_view method,
               const google::protobuf::Message& request);

  // It is not done. Any thread.
  v1::AuditRecord Failed(const absl::Status& status) const;
  // What became of it. `answer` may be null.
  v1::AuditRecord Done(const core::State& state, const absl::Status& status,
                       const google::protobuf::Message* answer) const;

  // It was only to be checked (validate_only): it changes nothing, also if it is good.
  bool is_check() const { return is_check_; }

 private:
  v1::AuditRecord record_;
  int64_t commit_ = 0;  // of the state before
  bool is_check_ = false;
};

}  // namespace remuda
