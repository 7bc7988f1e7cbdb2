// Engine: decide, commit, apply, answer. Holds the state and what is observed, runs commands and
// reconciliation on drafts, and sends one commit at a time to the store.
//
// Owns: State, Observations, the queue of commands, what was touched since the views were last
// brought up to date. Does not own: the thread it runs on (Loop), the store (Committer), what the
// views' receivers get (Publisher). No I/O and no clock reads but by the interfaces it is given.
// Thread: the loop thread.
#pragma once

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "controller/core/door/execute.h"
#include "controller/core/door/read.h"
#include "controller/core/model/draft.h"
#include "controller/core/model/observations.h"
#include "controller/core/model/state.h"
#include "controller/core/reconcile.h"
#include "controller/engine/clock.h"
#include "controller/engine/metrics.h"
#include "controller/engine/touched.h"
#include "controller/limits.h"

namespace remuda {

// Makes changes durable. One call at a time.
class Committer {
 public:
  using Done = std::function<void(absl::StatusOr<int64_t> commit)>;
  virtual ~Committer() = default;
  // Begins to commit; `done` is called later, on the loop thread, never from inside Begin.
  virtual void Begin(std::shared_ptr<const core::Changes> changes, Done done) = 0;
};

// One wish of a caller.
struct Command {
  // Edits the draft; on error it leaves the draft as it was.
  std::function<absl::Status(core::Draft&, const core::Context&)> decide;
  // The outcome: OK only when everything it decided is durable and applied. Called exactly once.
  std::function<void(const absl::Status&, const core::State&)> done;
};

// How much one turn looks at and does: what is more goes on in the next, with the groups that have
// not had their turn.
struct TurnBounds {
  size_t edits = limits::kMaxReconcileEdits;
  size_t most_edits = limits::kMostReconcileEdits;  // as turns last, see Engine::NoteTurn
  size_t batch = core::kSmallestBatch;              // see core::Scope
  size_t instances = limits::kMaxInstancesLookedAt;
  size_t hosts = limits::kMaxHostsLookedAt;
};

class Engine {
 public:
  struct Options {
    core::State state;  // as loaded
    core::Patience patience;
    core::CertificateReader read_certificate = nullptr;
    core::AuthoritiesCheck check_authorities = nullptr;
    core::AnalysisCommands analysis_commands = {};
    // The store says that another controller leads: nothing more will be committed.
    std::function<void(const absl::Status&)> on_leadership_lost;
    // The store has begun to refuse commits (why), or has come to itself again (empty).
    std::function<void(const std::string& error)> on_store = nullptr;
    TurnBounds bounds = {};
  };
  Engine(Options options, const Clock& clock, Committer& committer, Metrics& metrics);
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  const core::State& state() const { return state_; }
  const core::Observations& seen() const { return seen_; }
  absl::Time Now() const { return clock_.Now(); }
  // What there is to read from, now.
  core::Snapshot snapshot() const { return {state_, seen_, clock_.Now()}; }

  // Observations change here only; the caller says what they touch.
  core::Observations& observe() { return seen_; }
  Touched& touched() { return touched_; }
  // What was touched since the last call.
  Touched TakeTouched();

  // Called with each commit once it is applied: all its edits, in order.
  void set_on_commit(std::function<void(const core::Changes&)> fn) { on_commit_ = std::move(fn); }

  void Add(Command command) { commands_.push_back(std::move(command)); }
  // Answers all that wait with `why`; nothing of them is decided.
  void Refuse(const absl::Status& why);
  size_t queued() const { return commands_.size(); }

  // Begins the next commit if none is under way and there is something to decide.
  void Turn();
  // How long the last one took, with what was made of the one before: the bound of edits follows.
  void NoteTurn(absl::Duration took);
  // Whether nothing is under way and nothing is left to look at before due().
  bool is_idle() const;

  // When Turn has something to do by time alone.
  absl::Time due() const;

 private:
  struct Batch {
    std::shared_ptr<const core::Changes> changes;
    std::vector<std::pair<Command, absl::Status>> decided;
    absl::Time begun;
  };

  void Decide(Batch& batch, core::Draft& draft);
  // Which groups the agenda says to look at, now and for what has changed.
  void Gather(absl::Time now);
  void AddListed(const std::set<std::string>& keys);
  // Names all that "all" means.
  void NameAll();
  // What this turn looks at: as much as it may. The rest stays in looks_.
  core::Scope TakeLooks(absl::Time now);
  bool has_looks() const;
  void ReconcileOn(core::Draft& draft, absl::Time now);
  void Take(core::Agendum agendum, const core::Scope& scope, absl::Time now);
  void OnCommitted(absl::StatusOr<int64_t> commit);
  void Apply(const core::Changes& changes, int64_t commit);
  // What deleted hosts and proxies once said.
  void ForgetDeleted(const core::Changes& changes);
  void OnFailed(const absl::Status& status);
  void SetStoreError(const std::string& error);
  void Answer(Batch& batch, const absl::Status& outcome);

  const Clock& clock_;
  Committer& committer_;
  Metrics& metrics_;
  const core::CertificateReader read_certificate_;
  const core::AuthoritiesCheck check_authorities_;
  const core::AnalysisCommands analysis_commands_;
  const std::function<void(const absl::Status&)> on_leadership_lost_;
  const std::function<void(const std::string&)> on_store_;
  const TurnBounds bounds_;
  size_t edits_ = bounds_.edits;  // of the next turn, within the bounds
  bool was_cut_ = false;          // the last one left groups to the next
  std::function<void(const core::Changes&)> on_commit_;

  core::State state_;
  core::Observations seen_;
  std::deque<Command> commands_;
  std::unique_ptr<Batch> under_way_;

  // What views and watchers have not seen yet, and what reconciliation has not.
  Touched touched_;
  Looks looks_;
  // Those before it have had their turn; empty: none waits for another turn.
  std::string next_group_;
  std::string next_host_;
  core::Agenda
      agenda_;  // by group; hosts as "hosts/NAME", targets registered by hand as "targets/"
  absl::Time all_due_ = absl::InfiniteFuture();
  std::map<std::string, absl::Time> balance_at_;  // by group: its zones are not looked at before
  absl::Time retry_at_ = absl::InfinitePast();
};

}  // namespace remuda
