// A simulated host: an agent, and processes that start, serve, crash and end, are changed to
// another version in place, and prepared.
#pragma once

#include <functional>
#include <map>
#include <string>

#include "controller/core/views/assignment.h"
#include "remuda/agent/v1/agent.pb.h"
#include "tests/sim/scheduler.h"

namespace remuda::sim {

// How a template version behaves.
enum class Behaviour { kGood, kNeverHealthy, kExitsAtStart, kDiesSoon, kAnswersErrors };

struct Process {
  agent::v1::InstanceStatus status;
  Behaviour behaviour = Behaviour::kGood;
  bool alive = false;  // whatever the status says, which may be of the next generation
  int generation = 0;  // of what runs, or ran last
  bool listens = false;
  bool stop_asked = false;   // what runs was told to end
  bool to_prepare = false;   // only to run later again
  bool check_fails = false;  // its health check was made to fail
  int life = 0;              // names what runs
  int attempt = 0;           // names what the agent does to it

  bool Alive() const { return alive; }
  bool IsOld() const { return generation < status.generation(); }
  bool Serves() const { return Alive() && listens; }
  bool PassesCheck() const {
    return Serves() && !check_fails && behaviour != Behaviour::kNeverHealthy;
  }
};

class Host {
 public:
  using Behaviours = std::function<Behaviour(const v1::LaunchTemplateVersion&)>;
  // Called with each status that changed, and with the id of each instance that was forgotten.
  using Report = std::function<void(const agent::v1::InstanceStatus&)>;
  using Forgot = std::function<void(const std::string&)>;
  using Complain = std::function<void(const std::string&)>;

  Host(std::string name, Scheduler& scheduler, Random& random, Behaviours behaviours,
       Complain complain)
      : name_(std::move(name)),
        scheduler_(scheduler),
        random_(random),
        behaviours_(std::move(behaviours)),
        complain_(std::move(complain)) {}

  Report report;
  Forgot forgot;
  bool has_session = false;
  // What it is given now it cannot start: says so and fails, or stays on the way for ever.
  enum class Fault { kNone, kFails, kHangs };
  Fault fault = Fault::kNone;

  const std::string& name() const { return name_; }
  const std::map<std::string, Process>& processes() const { return processes_; }
  Process* Find(const std::string& id);

  // Makes the whole assignment so.
  void Take(const core::Assignment& assignment);
  // Ends the process as a signal from outside does.
  void Kill(const std::string& id, int signal);
  // The agent dies and comes back, without a session: what it was about to do begins anew, and a
  // generation that it had not written down yet is forgotten.
  void CrashAgent();
  // The session has ended: what ends now is restarted here.
  void LoseSession() { has_session = false; }

 private:
  void Start(const std::string& id, const agent::v1::InstanceAssignment& wanted);
  // To the generation that was taken up: files, end of the old process, start.
  void Change(const std::string& id);
  void Prepared(const std::string& id);
  // It shall have no process, and its files.
  void Prepare(const std::string& id, const agent::v1::InstanceAssignment& wanted);
  // From STARTING on.
  void Launch(const std::string& id);
  void Run(const std::string& id);
  void Stop(const std::string& id);
  void End(const std::string& id, int signal, bool requested);
  void Tell(const std::string& id);
  bool IsWanted(const std::string& id,
                agent::v1::DesiredState desired = agent::v1::DESIRED_STATE_RUNNING) const;
  // After `delay`, unless the process's life has changed.
  void Later(const std::string& id, absl::Duration delay, std::function<void(Process&)> what);
  // After `delay`, unless the agent does something else to it by then.
  void Next(const std::string& id, absl::Duration delay, std::function<void(Process&)> what);

  std::string name_;
  Scheduler& scheduler_;
  Random& random_;
  Behaviours behaviours_;
  Complain complain_;
  std::map<std::string, Process> processes_;
  std::map<std::string, bool> ever_;  // ids that were started once
  core::Assignment assignment_;
  int next_port_ = 20'000;
};

}  // namespace remuda::sim
