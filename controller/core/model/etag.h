// Etags: a fingerprint of what a resource says. Pure.
#pragma once

#include <google/protobuf/message.h>

#include <string>
#include <string_view>

#include "remuda/v1/auto_scaling.pb.h"
#include "remuda/v1/cluster.pb.h"
#include "remuda/v1/deployment.pb.h"
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
// A group's status is rewritten as launches fail, and its capacity as policies decide: that is no
// change that a person who read the group must see first.
inline std::string EtagOf(const v1::AutoScalingGroup& value) {
  v1::AutoScalingGroup scratch = value;
  scratch.clear_status();
  scratch.clear_capacity();
  return Fingerprint(scratch);
}
// Nor which activity tells of a deployment.
inline std::string EtagOf(const v1::Deployment& value) {
  v1::Deployment scratch = value;
  scratch.clear_activity();
  return Fingerprint(scratch);
}
// What a person decides of a host or proxy, and that it is the one that joined: not what is
// observed of it.
inline std::string EtagOf(const v1::Host& value) {
  v1::Host scratch;
  scratch.set_name(value.name());
  scratch.set_schedule(value.schedule());
  *scratch.mutable_create_time() = value.create_time();
  return Fingerprint(scratch);
}
inline std::string EtagOf(const v1::Proxy& value) {
  v1::Proxy scratch;
  scratch.set_name(value.name());
  *scratch.mutable_create_time() = value.create_time();
  return Fingerprint(scratch);
}
// A listener's rules have their own: two people may change two of them, and a third the listener.
inline std::string EtagOf(const v1::Listener& value) {
  v1::Listener scratch = value;
  scratch.clear_rules();
  return Fingerprint(scratch);
}

}  // namespace remuda::core
