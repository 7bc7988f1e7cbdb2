#include "agent/core/decide.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace remuda::agent {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr uint64_t kSeed = 7;
const TimePoint kNow = TimePoint{} + std::chrono::hours(1);
const SessionFacts kUp{.up = true, .up_since = kNow - std::chrono::hours(1)};
const SessionFacts kJustUp{.up = true, .up_since = kNow - seconds(1)};
const SessionFacts kLongDown{.up = false, .down_since = kNow - std::chrono::hours(1)};

struct Case {
  std::string what;
  Facts facts;
  SessionFacts session;
  Action expect;
  bool looks_again = false;
};

TEST(Decide, ByTable) {
  using enum Wanted;
  using P = Progress;
  const std::vector<Case> cases = {
      {"new: prepare", {.wanted = kRunning}, kUp, Action::kPrepare},
      {"new, no session: prepare all the same", {.wanted = kRunning}, kLongDown, Action::kPrepare},
      {"under way", {.wanted = kRunning, .preparing = true}, kUp, Action::kNothing},
      {"prepared: start",
       {.wanted = kRunning, .progress = P::kPrepared, .has_files = true},
       kUp,
       Action::kStart},
      {"prepared, port held: wait for the holder's end",
       {.wanted = kRunning, .progress = P::kPrepared, .has_files = true, .port_is_held = true},
       kUp,
       Action::kNothing},
      {"port held does not keep from preparing",
       {.wanted = kRunning, .port_is_held = true},
       kUp,
       Action::kPrepare},
      {"starting",
       {.wanted = kRunning, .progress = P::kStarting, .has_files = true},
       kUp,
       Action::kNothing},
      {"running",
       {.wanted = kRunning, .progress = P::kRunning, .has_files = true},
       kUp,
       Action::kNothing},

      {"stop what runs", {.wanted = kStopped, .progress = P::kRunning}, kUp, Action::kStop},
      {"stop what starts", {.wanted = kStopped, .progress = P::kStarting}, kUp, Action::kStop},
      {"stop with no session too",
       {.wanted = kStopped, .progress = P::kRunning},
       kLongDown,
       Action::kStop},
      {"once is enough", {.wanted = kStopped, .progress = P::kStopping}, kUp, Action::kNothing},
      {"stopped", {.wanted = kStopped, .progress = P::kEnded}, kUp, Action::kNothing},
      {"stopped before it began",
       {.wanted = kStopped, .progress = P::kAbsent},
       kUp,
       Action::kNothing},
      {"stopped while prepared",
       {.wanted = kStopped, .progress = P::kPrepared},
       kUp,
       Action::kNothing},

      {"silence never stops", {.wanted = kUnnamed, .progress = P::kRunning}, kUp, Action::kNothing},
      {"unnamed and starting",
       {.wanted = kUnnamed, .progress = P::kStarting},
       kUp,
       Action::kNothing},
      {"unnamed and ended: clean up",
       {.wanted = kUnnamed, .progress = P::kEnded},
       kUp,
       Action::kForget},
      {"unnamed and prepared: clean up",
       {.wanted = kUnnamed, .progress = P::kPrepared},
       kUp,
       Action::kForget},
      {"unnamed and ending: wait",
       {.wanted = kUnnamed, .progress = P::kStopping},
       kUp,
       Action::kNothing},

      {"ended with a session: the controller's",
       {.wanted = kRunning, .progress = P::kEnded, .has_files = true, .since = kNow - seconds(100)},
       kUp,
       Action::kNothing},
      {"ended long ago without: start again",
       {.wanted = kRunning,
        .progress = P::kEnded,
        .has_files = true,
        .since = kNow - seconds(100),
        .setbacks = 1},
       kLongDown,
       Action::kStart},
      {"ended just now without: back off",
       {.wanted = kRunning, .progress = P::kEnded, .has_files = true, .since = kNow, .setbacks = 1},
       kLongDown,
       Action::kNothing,
       true},
      {"ended before the session did: the controller may come back",
       {.wanted = kRunning, .progress = P::kEnded, .has_files = true, .since = kNow - seconds(60)},
       {.up = false, .down_since = kNow - seconds(1)},
       Action::kNothing,
       true},
      {"ended before the session did, and it stayed away",
       {.wanted = kRunning, .progress = P::kEnded, .has_files = true, .since = kNow - seconds(60)},
       {.up = false, .down_since = kNow - seconds(4)},
       Action::kStart},

      {"failed a moment ago: back off",
       {.wanted = kRunning, .failed = true, .failing_since = kNow, .since = kNow, .setbacks = 1},
       kUp,
       Action::kNothing,
       true},
      {"failed a while ago: again",
       {.wanted = kRunning,
        .failed = true,
        .failing_since = kNow - seconds(1),
        .since = kNow - seconds(1),
        .setbacks = 1},
       kUp,
       Action::kPrepare},
      {"failing for too long: the controller's",
       {.wanted = kRunning,
        .failed = true,
        .failing_since = kNow - kLaunchDeadline,
        .since = kNow - seconds(1),
        .setbacks = 7},
       kUp,
       Action::kGiveUp},
      {"failing for long, but nobody could be told until now",
       {.wanted = kRunning,
        .failed = true,
        .failing_since = kNow - std::chrono::hours(1),
        .since = kNow - seconds(61),
        .setbacks = 20},
       kJustUp,
       Action::kPrepare},
      {"failing for long, and nobody to tell: tried for ever",
       {.wanted = kRunning,
        .failed = true,
        .failing_since = kNow - std::chrono::hours(1),
        .since = kNow - seconds(61),
        .setbacks = 20},
       kLongDown,
       Action::kPrepare},
      {"failed for good: the controller's",
       {.wanted = kRunning,
        .failed = true,
        .failure_is_final = true,
        .since = kNow - seconds(100),
        .setbacks = 1},
       kUp,
       Action::kNothing},
      {"failed for good, no session: try again",
       {.wanted = kRunning,
        .failed = true,
        .failure_is_final = true,
        .since = kNow - seconds(100),
        .setbacks = 1},
       kLongDown,
       Action::kPrepare},
      {"locked by a stranger: hands off",
       {.wanted = kRunning, .progress = P::kLocked, .has_files = true},
       kLongDown,
       Action::kNothing},
      {"locked, unnamed: hands off",
       {.wanted = kUnnamed, .progress = P::kLocked},
       kUp,
       Action::kNothing},
      {"locked, to be stopped: nobody to signal",
       {.wanted = kStopped, .progress = P::kLocked},
       kUp,
       Action::kNothing},
      {"another generation runs: first the files of the new one",
       {.wanted = kRunning, .progress = P::kRunning, .is_old = true},
       kUp,
       Action::kPrepare},
      {"without a session too",
       {.wanted = kRunning, .progress = P::kRunning, .is_old = true},
       kLongDown,
       Action::kPrepare},
      {"they are on their way: the old one runs on",
       {.wanted = kRunning, .progress = P::kRunning, .is_old = true, .preparing = true},
       kUp,
       Action::kNothing},
      {"they are there: it is stopped",
       {.wanted = kRunning, .progress = P::kRunning, .is_old = true, .has_next = true},
       kUp,
       Action::kStop},
      {"the same files: it is stopped at once",
       {.wanted = kRunning, .progress = P::kStarting, .is_old = true, .has_files = true},
       kUp,
       Action::kStop},
      {"it is ending",
       {.wanted = kRunning, .progress = P::kStopping, .is_old = true, .has_next = true},
       kUp,
       Action::kNothing},
      {"it has ended: the files take their place",
       {.wanted = kRunning, .progress = P::kAbsent, .is_old = true, .has_next = true},
       kUp,
       Action::kInstall},
      {"before a port that is held is free, too",
       {.wanted = kRunning, .is_old = true, .has_next = true, .port_is_held = true},
       kUp,
       Action::kInstall},
      {"they do: start, session or not",
       {.wanted = kRunning, .progress = P::kPrepared, .is_old = true, .has_files = true},
       kUp,
       Action::kStart},
      {"cannot be prepared: again after a while",
       {.wanted = kRunning,
        .progress = P::kRunning,
        .is_old = true,
        .failed = true,
        .failing_since = kNow,
        .since = kNow,
        .setbacks = 1},
       kUp,
       Action::kNothing,
       true},
      {"for long: while the old one runs it is the controller that gives it up",
       {.wanted = kRunning,
        .progress = P::kRunning,
        .is_old = true,
        .failed = true,
        .failing_since = kNow - std::chrono::hours(1),
        .since = kNow - seconds(61),
        .setbacks = 20},
       kUp,
       Action::kPrepare},
      {"for good",
       {.wanted = kRunning,
        .progress = P::kRunning,
        .is_old = true,
        .failed = true,
        .failure_is_final = true,
        .since = kNow - seconds(100)},
       kUp,
       Action::kNothing},
      {"for good, and the old one has ended: a failed launch",
       {.wanted = kRunning,
        .progress = P::kAbsent,
        .is_old = true,
        .failed = true,
        .failure_is_final = true,
        .since = kNow - seconds(100)},
       kUp,
       Action::kNothing},
      {"its files are there, and something else is in the way: the old one runs on",
       {.wanted = kRunning,
        .progress = P::kRunning,
        .is_old = true,
        .has_next = true,
        .failed = true,
        .failing_since = kNow,
        .since = kNow,
        .setbacks = 1},
       kUp,
       Action::kNothing,
       true},
      {"it is tried again",
       {.wanted = kRunning,
        .progress = P::kRunning,
        .is_old = true,
        .has_next = true,
        .failed = true,
        .failing_since = kNow - seconds(60),
        .since = kNow - seconds(60),
        .setbacks = 1},
       kUp,
       Action::kStop},
      {"to be stopped while files are on their way",
       {.wanted = kStopped, .progress = P::kRunning, .is_old = true, .preparing = true},
       kUp,
       Action::kStop},
      {"unnamed while files are on their way: nothing is deleted",
       {.wanted = kUnnamed, .preparing = true},
       kUp,
       Action::kNothing},
      {"failed, no longer wanted",
       {.wanted = kStopped, .failed = true, .since = kNow},
       kUp,
       Action::kNothing},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.what);
    const Decision decision = Decide(c.facts, c.session, kNow, kSeed);
    EXPECT_EQ(static_cast<int>(decision.action), static_cast<int>(c.expect));
    EXPECT_EQ(decision.look_again.has_value(), c.looks_again);
    if (decision.look_again) {
      EXPECT_GT(*decision.look_again, kNow);
    }
  }
}

TEST(Decide, LookingAgainThenActs) {
  const Facts crashed{.wanted = Wanted::kRunning,
                      .progress = Progress::kEnded,
                      .has_files = true,
                      .since = kNow,
                      .setbacks = 3};
  const Decision first = Decide(crashed, kLongDown, kNow, kSeed);
  ASSERT_TRUE(first.look_again.has_value());
  EXPECT_EQ(Decide(crashed, kLongDown, *first.look_again, kSeed).action, Action::kStart);
  EXPECT_EQ(Decide(crashed, kLongDown, *first.look_again - milliseconds(1), kSeed).action,
            Action::kNothing);
}

TEST(Decide, ALaunchThatFailsIsGivenUpAtItsDeadlineNotAtItsNextTry) {
  // The next try would be a minute away.
  const Facts failing{.wanted = Wanted::kRunning,
                      .failed = true,
                      .failing_since = kNow - kLaunchDeadline + seconds(2),
                      .since = kNow,
                      .setbacks = 20};
  const Decision first = Decide(failing, kUp, kNow, kSeed);
  EXPECT_EQ(first.action, Action::kNothing);
  ASSERT_TRUE(first.look_again.has_value());
  EXPECT_EQ(*first.look_again, kNow + seconds(2));
  EXPECT_EQ(Decide(failing, kUp, *first.look_again, kSeed).action, Action::kGiveUp);
}

TEST(Backoff, GrowsIsBoundedAndDiffersBySeed) {
  for (int n = 1; n <= 40; ++n) {
    const auto full = std::min<int64_t>(200ll << std::min(n - 1, 20), 60'000);
    const auto wait = Backoff(n, kSeed).count();
    EXPECT_GE(wait, full / 2) << n;
    EXPECT_LE(wait, full) << n;
    EXPECT_EQ(wait, Backoff(n, kSeed).count());
  }
  EXPECT_NE(Backoff(9, 1), Backoff(9, 2));
}

}  // namespace
}  // namespace remuda::agent
