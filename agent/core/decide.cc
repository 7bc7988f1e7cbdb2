#include "agent/core/decide.h"

#include <algorithm>

namespace remuda::agent {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kFirstBackoff{200};
constexpr milliseconds kLongestBackoff{60'000};

// splitmix64: spreads close seeds far apart.
uint64_t Mix(uint64_t x) {
  x += 0x9e3779b97f4a7c15ull;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ull;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebull;
  return x ^ (x >> 31);
}

Decision NotBefore(TimePoint when, TimePoint now, Action action) {
  if (now >= when) return {action};
  return {Action::kNothing, when};
}

// The old process goes on until nothing is known to be in the new one's way, and is no launch that
// could be given up: the controller is told why the change does not go on, and knows for how long.
Decision ToChange(const Facts& facts, const SessionFacts& session, TimePoint now, uint64_t seed) {
  const Action forward = facts.has_files || facts.has_next ? Action::kStop : Action::kPrepare;
  if (!facts.failed) return {forward};
  if (facts.failure_is_final && session.up) return {};
  return NotBefore(facts.since + Backoff(facts.setbacks, seed), now, forward);
}

// To run, or to be prepared.
Decision ToRun(const Facts& facts, const SessionFacts& session, TimePoint now, uint64_t seed) {
  if (facts.wanted == Wanted::kPrepared && facts.has_files) return {};
  const Action forward = facts.has_files  ? Action::kStart
                         : facts.has_next ? Action::kInstall
                                          : Action::kPrepare;
  const TimePoint retry = facts.since + Backoff(facts.setbacks, seed);
  if (facts.progress == Progress::kEnded) {
    // A report of its end has gone to the controller, which replaces it by another instance.
    if (session.up) return {};
    const TimePoint given_up = session.down_since + kSessionReturn;
    return NotBefore(facts.since > session.down_since ? retry : std::max(retry, given_up), now,
                     forward);
  }
  if (facts.failed) {
    if (!session.up) return NotBefore(retry, now, forward);
    if (facts.failure_is_final) return {};
    const TimePoint deadline = std::max(facts.failing_since, session.up_since) + kLaunchDeadline;
    if (now >= deadline) return {Action::kGiveUp};
    if (now >= retry) return {forward};
    return {Action::kNothing, std::min(retry, deadline)};
  }
  if (forward == Action::kStart && facts.port_is_held) return {};  // the holder's end is an event
  return {forward};
}

}  // namespace

milliseconds Backoff(int setbacks, uint64_t seed) {
  const int doublings = std::clamp(setbacks - 1, 0, 20);
  const milliseconds full = std::min(kFirstBackoff * (int64_t{1} << doublings), kLongestBackoff);
  const uint64_t jitter = Mix(seed ^ Mix(static_cast<uint64_t>(setbacks))) % 1024;
  return full / 2 + full / 2 * static_cast<int64_t>(jitter) / 1024;
}

Decision Decide(const Facts& facts, const SessionFacts& session, TimePoint now, uint64_t seed) {
  const bool alive = facts.progress == Progress::kStarting || facts.progress == Progress::kRunning;
  // What is under way ends by itself, and its end is an event. So is a lock that is given up.
  if (facts.progress == Progress::kStopping || facts.progress == Progress::kLocked) return {};
  // Files may be on their way while the process of the generation before runs.
  const bool is_to_end = facts.wanted == Wanted::kStopped || facts.wanted == Wanted::kPrepared;
  if (is_to_end && alive) return {Action::kStop};
  if (facts.has_spent_end) return {Action::kSettle};
  if (facts.preparing) return {};
  switch (facts.wanted) {
    case Wanted::kStopped:
      return {};
    case Wanted::kUnnamed:
      // Silence never stops a process.
      return {alive ? Action::kNothing : Action::kForget};
    case Wanted::kPrepared:
      return ToRun(facts, session, now, seed);
    case Wanted::kRunning:
      if (!alive) return ToRun(facts, session, now, seed);
      return facts.is_old ? ToChange(facts, session, now, seed) : Decision{};
  }
  return {};
}

}  // namespace remuda::agent
