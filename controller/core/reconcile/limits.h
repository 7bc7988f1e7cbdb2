// The times and numbers by which the reconciler goes. docs/operations.md lists them.
#pragma once

#include <cstddef>
#include <cstdint>

#include "controller/core/model/time.h"

namespace remuda::core {

// A launch that lives this long in service is a good one: its later end is no launch failure. A
// deployment of a group without checks waits for it.
inline constexpr Duration kStableAfter = absl::Seconds(10);
// Wait after the second launch failure in a row (the first is replaced at once); doubles with each
// further one up to the maximum.
inline constexpr Duration kFirstLaunchBackoff = absl::Seconds(1);
inline constexpr Duration kMaxLaunchBackoff = absl::Seconds(60);
// Failed launches of a deployment's new version in a row that make it roll back, unless more are
// healthy.
inline constexpr int kDeploymentLaunchFailures = 3;
// An instance that has failed counts as lost for so long if nothing has taken its place: longer
// than the wait between launches.
inline constexpr Duration kFailureCounts = absl::Seconds(120);
// An agent with a session takes an instance up, or drops one that it never started, within this.
inline constexpr Duration kUnansweredLimit = absl::Seconds(60);
// A launch that an agent has taken up is given up elsewhere after this: fetching and unpacking its
// image; starting it; and either of them once the agent says what is in the way.
inline constexpr Duration kFetchLimit = absl::Minutes(30);
inline constexpr Duration kStartLimit = absl::Seconds(30);
inline constexpr Duration kHinderedLimit = absl::Seconds(30);
// A process that runs is judged by the proxies within this, counted from the end of its grace
// period.
inline constexpr Duration kJudgementLimit = absl::Minutes(5);
// How long placement prefers other hosts after a launch failed on one; doubles with each further
// one in a row up to the maximum.
inline constexpr Duration kFirstHostBackoff = absl::Seconds(30);
inline constexpr Duration kMaxHostBackoff = absl::Minutes(30);
// So many versions that fail on a host one after another make it the host's fault.
inline constexpr size_t kFailingVersionsOfABadHost = 2;
// A replaced instance of a lost host is given up after this; if the host comes back, its process is
// ended.
inline constexpr Duration kForgetUnknownAfter = absl::Hours(1);
// Terminated instances are kept for so long, and so many a group.
inline constexpr Duration kTerminatedKeptFor = absl::Hours(1);
inline constexpr size_t kTerminatedKept = 100;
// Activities that are kept.
inline constexpr int64_t kActivitiesKept = 10'000;
// Bytes of what an instance printed last, in the activity of its end. Agents send no more.
inline constexpr size_t kLogTailBytes = 1024;
// Hosts that must have been there for a loss of most of them at once to stop replacements.
inline constexpr size_t kMassLossMinHosts = 3;
// The zones of a group are looked at again this long after one of its instances was moved.
inline constexpr Duration kBalanceInterval = absl::Seconds(10);
// An instance that could be stopped is left running for a proxy that may still send to it: one
// whose lease is over for less than this. Not if the group has no room for it.
inline constexpr Duration kCutOffPatience = absl::Seconds(60);
// Of a group's launches or ends that a pass could leave to the next one, so many are decided
// together, however much that pass has done: those that come of one cause are told with it.
inline constexpr size_t kSmallestBatch = 64;
// Of a group, at most one in so many (at least one) is replaced for its health at once.
inline constexpr int kReplaceShare = 4;

}  // namespace remuda::core
