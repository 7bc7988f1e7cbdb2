// Etags: a fingerprint of what a resource says. Pure.
#pragma once

#include <google/protobuf/message.h>

#include <string>
#include <string_view>

#include "remuda/v1/auto_scaling.pb.h"
#include "remuda/v1/listener.pb.h"

namespace remuda::core {

// 16 hex digits of a hash that is the same on every run. Not for secrets.
std::string HashText(std::string_view bytes);

// 16 hex digits that change with every change of what the message says; its `etag` field does not
// count. A fingerprint, not the number of the commit: the answer to a write has its etag before the
// commit has a number, and a repeat (request_id) answers the same.
std::string Fingerprint(google::protobuf::Message& scratch);

template <class T>
std::string EtagOf(const T& value) {
  T scratch = value;
  return Fingerprint(scratch);
}
// A group's status is rewritten as launches fail: that is no change that a person who read the
// group must see first.
inline std::string EtagOf(const v1::AutoScalingGroup& value) {
  v1::AutoScalingGroup scratch = value;
  scratch.clear_status();
  return Fingerprint(scratch);
}
// A listener's rules have their own: two people may change two of them, and a third the listener.
inline std::string EtagOf(const v1::Listener& value) {
  v1::Listener scratch = value;
  scratch.clear_rules();
  return Fingerprint(scratch);
}

}  // namespace remuda::core
