// ControllerAddresses: where the controllers of a cluster are, and which of them is dialled next.
//
// There are three sources, in this order: what a controller said last (the leader's first; kept in
// a file for the next start), what --controller says, and what was joined with. A try that fails,
// or a session that ends, is followed by one of the next address at once; only after a whole round
// one has to wait. A session stays where it is, whoever leads meanwhile.
//
// What was said before and is no more is an earlier address: a controller that is down leaves the
// list, and the last one says itself alone before it ends. Each round ends with a try of one of
// these, in turn.
//
// Owns: the list, its order and the file. Does not own: connections, waits. Thread: its owner's.
#pragma once

#include <absl/status/statusor.h>

#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "remuda/v1/cluster.pb.h"

namespace remuda::identity {

// Addresses from one source: of a flag, a setting, a message.
inline constexpr size_t kMaxControllers = 64;
// Earlier ones, of which the newest are kept.
inline constexpr size_t kMaxEarlierControllers = 8;
// "HOST:PORT": a name of DNS has at most 253 bytes.
inline constexpr size_t kMaxControllerBytes = 260;

// Empty, or why `text` is no address of a controller: HOST:PORT, where HOST is a name, an IPv4
// address or an IPv6 one in brackets, and PORT 1-65535; or one of gRPC's other forms (`unix:PATH`).
std::string CheckControllerAddress(std::string_view text);

// "A:7400,B:7400", as flags, settings and contexts have them: each address once, in their order.
// INVALID_ARGUMENT names the one that is wrong, or says that there are none, or too many.
absl::StatusOr<std::vector<std::string>> ParseControllers(std::string_view text);
// The way back.
std::string ControllersText(const std::vector<std::string>& addresses);

// What a file of ControllerAddresses holds, the earlier ones last; none if it is not there, or
// holds something else. Any thread.
std::vector<std::string> LearnedControllers(const std::string& file);

class ControllerAddresses {
 public:
  struct Options {
    std::vector<std::string> given;        // of --controller; one at least
    std::vector<std::string> joined = {};  // JoinRecord.controllers
    std::string file = {};                 // what was learned is kept there; empty: nowhere
    // There are no identities: what lies beyond this machine is never dialled.
    bool only_this_machine = false;
  };
  // Reads the file. One that is not there, or holds something else, counts as nothing learned.
  explicit ControllerAddresses(Options options);

  // The one to dial now, or that is dialled.
  const std::string& current() const { return current_; }
  // All, in the order of a round; without the earlier ones.
  const std::vector<std::string>& all() const { return all_; }

  // The try at current(), or the session there, has ended: goes to the next. `was_settled`: there
  // was a session, and not only for a moment; what failed before it counts no more. True: the next
  // may be dialled at once. False: all have been tried, and the next round begins after a wait.
  bool Next(bool was_settled);

  // What a controller says. current() stays. Empty: nothing new. What is no HOST:PORT is left out,
  // and so is what is more than kMaxControllers. A file that cannot be written is logged.
  void Learn(const v1::ControllerAddresses& told);

 private:
  void Save() const;
  void Order();
  // Null: none is left for this round.
  const std::string* NextEarlier();

  const Options options_;
  std::vector<std::string> learned_;
  std::vector<std::string> earlier_;  // none of them learned_; the newest first
  std::vector<std::string> all_;      // each once
  std::string current_;
  std::set<std::string> tried_;     // in this round
  bool has_tried_earlier_ = false;  // in this round
  size_t rounds_of_earlier_ = 0;    // that had one
};

}  // namespace remuda::identity
