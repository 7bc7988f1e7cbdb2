// FollowTargets: makes a target group's targets those that its source has.
//
// The rows are targets like those that are registered by hand; `source` of a row says where it
// comes from, and is empty for those. So they outlive the controller: what nobody says anything
// about stays as it is. Pure. Thread: the loop thread.
#pragma once

#include <absl/status/statusor.h>

#include <string>
#include <vector>

#include "controller/core/door/execute.h"

namespace remuda::core {

// An address that takes requests, by the word of a source.
struct FollowedEndpoint {
  std::string address;  // in its one spelling
  int port = 0;
  std::string zone;  // may be empty
  friend bool operator==(const FollowedEndpoint&, const FollowedEndpoint&) = default;
};

// All that take requests, each once.
struct FollowTargets {
  std::string target_group;  // id
  std::string source;        // SourceText of what the group follows
  std::vector<FollowedEndpoint> endpoints;
};

// What became of it.
struct FollowedTargets {
  bool is_complete = true;  // false: so much at a time; there is more to do
  size_t left_out = 0;      // endpoints that find no place (kTargetsAGroup, kTargetsByHand)
};

// "kubernetes/shop/web/http", as Target.source has it; empty: of none.
std::string SourceText(const v1::TargetSource& source);

// Whether the row comes from a source, and not from somebody's hand.
bool IsFollowed(const v1::Target& row);

// New endpoints are registered, those that drain are taken back, and followed targets that are no
// endpoints any more drain. Those that are registered by hand stay so. At most kTargetsARequest
// edits at a time. If the group is gone or follows another source, nothing is done.
absl::StatusOr<FollowedTargets> Execute(Draft& draft, const FollowTargets& wish,
                                        const Context& context);

// Drains what a source has brought, where the group follows none any more.
void DropFollowed(Draft& draft, const std::string& id, const v1::TargetGroup& after,
                  const Context& context);
template <class T>
void DropFollowed(Draft&, const std::string&, const T&, const Context&) {}

}  // namespace remuda::core
