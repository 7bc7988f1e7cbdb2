// What to do next about one instance. Pure: the facts, the time and a seed are arguments.
//
// Level-triggered: asked again after anything happened, it looks at what is, not at what was asked
// before. Asked again with nothing changed, while what it decided is under way, it answers
// kNothing.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

namespace remuda::agent {

using TimePoint = std::chrono::steady_clock::time_point;

enum class Wanted {
  kUnnamed,  // the assignment does not name it
  kRunning,
  kStopped,
  kPrepared,  // files in place, and no process
};

// Where its process stands (the supervisor's RunState, with the files that are there).
enum class Progress {
  kAbsent,    // no files
  kPrepared,  // files are there, nothing runs
  kStarting,
  kRunning,
  kStopping,
  kEnded,
  // Something that is no known shim of it holds its directory: nothing there may be touched.
  kLocked,
};

struct Facts {
  Wanted wanted = Wanted::kUnnamed;
  Progress progress = Progress::kAbsent;
  // Its process, that starts, runs or ends, is of a generation before the one that is wanted. One
  // that has ended counts for nothing: the progress is then kPrepared or kAbsent.
  bool is_old = false;
  // Its process has ended and how does not matter: it was to have none, or was stopped to be
  // prepared and shall run again. The progress is then kPrepared or kAbsent.
  bool has_spent_end = false;
  bool has_files = false;  // those that are wanted: it can be started as it is
  bool has_next = false;   // those that are wanted lie beside the ones it has
  // Its files are being fetched, copied or put in place.
  bool preparing = false;

  // The last try to prepare, change or start it failed, at `since`; `final` means that trying again
  // would not help.
  bool failed = false;
  bool failure_is_final = false;
  // When the first of the failures one after another was.
  TimePoint failing_since{};
  // When it ended, or failed.
  TimePoint since{};
  // Failures, or quick ends, one after another. Makes the wait longer.
  int setbacks = 0;
  // Another instance of this host still holds the fixed port.
  bool port_is_held = false;
};

struct SessionFacts {
  bool up = false;
  TimePoint down_since{};  // when it ended, or the agent started; meaningless while up
  TimePoint up_since{};    // meaningless while down
};

enum class Action {
  kNothing,
  kPrepare,  // make the files, beside those that it has
  kInstall,  // put them in the place of those
  kStart,
  kStop,
  kSettle,  // forget how its process ended
  kForget,
  // The tries go on failing: the failure becomes final, and the controller hears of it.
  kGiveUp,
};

struct Decision {
  Action action = Action::kNothing;
  std::optional<TimePoint> look_again =
      std::nullopt;  // nothing to do before then; unset: until something happens
};

// The controller replaces what ends while there is a session. What ended before the session did is
// the controller's too, if it comes back within this time; after it, the agent restarts it by
// itself.
inline constexpr std::chrono::seconds kSessionReturn{3};

// Tries to prepare and start an instance that fail for so long, in a session, make it a failed
// launch: the controller knows other hosts. Without a session there is nobody to tell, and it is
// tried again for ever.
inline constexpr std::chrono::seconds kLaunchDeadline{15};

Decision Decide(const Facts& facts, const SessionFacts& session, TimePoint now, uint64_t seed);

// The wait after so many setbacks: doubling from 0.2 s to 60 s, times 0.5 to 1 by the seed, so that
// a host's instances do not start all at once.
std::chrono::milliseconds Backoff(int setbacks, uint64_t seed);

}  // namespace remuda::agent
