#include "tests/sim/host.h"

#include <utility>
#include <vector>

namespace remuda::sim {

using absl::Milliseconds;
using absl::Seconds;

Process* Host::Find(const std::string& id) {
  const auto it = processes_.find(id);
  return it == processes_.end() ? nullptr : &it->second;
}

void Host::Later(const std::string& id, absl::Duration delay, std::function<void(Process&)> what) {
  const int life = processes_.at(id).life;
  scheduler_.After(delay, [this, id, life, w = std::move(what)] {
    Process* process = Find(id);
    if (process != nullptr && process->life == life) w(*process);
  });
}

void Host::Tell(const std::string& id) {
  if (has_session) report(processes_.at(id).status);
}

void Host::Take(const core::Assignment& assignment) {
  assignment_ = assignment;
  for (const auto& [id, wanted] : assignment) {
    Process* process = Find(id);
    if (wanted.desired() == agent::v1::DESIRED_STATE_RUNNING) {
      if (process == nullptr) Start(id, wanted.launch_template());
    } else if (process != nullptr && !process->stop_asked &&
               process->status.state() != agent::v1::PROCESS_STATE_EXITED &&
               process->status.state() != agent::v1::PROCESS_STATE_FAILED) {
      Stop(id);
    }
  }
  std::vector<std::string> done;
  for (const auto& [id, process] : processes_) {
    if (assignment.count(id) == 0 && (process.status.state() == agent::v1::PROCESS_STATE_EXITED ||
                                      process.status.state() == agent::v1::PROCESS_STATE_FAILED)) {
      done.push_back(id);
    }
  }
  for (const std::string& id : done) {
    processes_.erase(id);
    if (has_session) forgot(id);
  }
}

void Host::Start(const std::string& id, const v1::LaunchTemplateVersion& launch) {
  if (std::exchange(ever_[id], true)) complain_(id + " was launched twice on " + name_);
  Process& process = processes_[id];
  process.behaviour = behaviours_(launch);
  process.status.set_instance(id);
  process.status.set_port(launch.port() != 0 ? launch.port() : ++next_port_);
  process.status.set_state(agent::v1::PROCESS_STATE_STARTING);
  if (fault == Fault::kHangs) process.status.set_message("its port is in use");
  Tell(id);
  if (fault == Fault::kHangs) return;
  if (fault == Fault::kFails) {
    Later(id, random_.Between(Milliseconds(5), Seconds(1)), [this, id](Process& p) {
      p.status.set_state(agent::v1::PROCESS_STATE_FAILED);
      p.status.set_message("no space left on its disk");
      Tell(id);
    });
    return;
  }
  Later(id, random_.Between(Milliseconds(5), Seconds(1)), [this, id](Process&) { Run(id); });
}

void Host::Run(const std::string& id) {
  Process& process = processes_.at(id);
  for (const auto& [other_id, other] : processes_) {
    if (other_id != id && other.Alive() && other.status.port() == process.status.port()) {
      // As the agent does: one that was started again while there was no controller is ended first.
      if (other.stop_asked) return Later(id, Milliseconds(100), [this, id](Process&) { Run(id); });
      complain_(id + " and " + other_id + " want port " + std::to_string(process.status.port()) +
                " of " + name_);
    }
  }
  ++process.life;
  process.listens = false;
  process.status.set_state(agent::v1::PROCESS_STATE_RUNNING);
  process.status.clear_exit();
  Tell(id);
  if (process.behaviour == Behaviour::kExitsAtStart) {
    Later(id, Milliseconds(50), [this, id](Process&) { End(id, 0, false); });
    return;
  }
  Later(id, random_.Between(Milliseconds(1), Milliseconds(1500)),
        [](Process& p) { p.listens = true; });
  if (process.behaviour == Behaviour::kDiesSoon) {
    Later(id, random_.Between(Seconds(2), Seconds(12)),
          [this, id](Process&) { End(id, 11, false); });
  }
}

void Host::Stop(const std::string& id) {
  Process& process = processes_.at(id);
  process.stop_asked = true;
  if (process.status.state() == agent::v1::PROCESS_STATE_STARTING) {
    End(id, 0, true);
    return;
  }
  ++process.life;
  process.status.set_state(agent::v1::PROCESS_STATE_STOPPING);
  Tell(id);
  Later(id, random_.Between(Milliseconds(1), Seconds(2)),
        [this, id](Process&) { End(id, 15, true); });
}

void Host::Kill(const std::string& id, int signal) {
  const Process* process = Find(id);
  if (process != nullptr && process->status.state() == agent::v1::PROCESS_STATE_RUNNING) {
    End(id, signal, false);
  }
}

void Host::End(const std::string& id, int signal, bool requested) {
  Process& process = processes_.at(id);
  ++process.life;
  process.listens = false;
  process.status.set_state(agent::v1::PROCESS_STATE_EXITED);
  process.status.mutable_exit()->set_signal(signal);
  process.status.mutable_exit()->set_code(signal == 0 ? 1 : -1);
  process.status.mutable_exit()->set_requested(requested);
  Tell(id);
  if (has_session || requested) return;
  // No controller to replace it: the agent starts it again.
  Later(id, random_.Between(Milliseconds(200), Seconds(2)), [this, id](Process& p) {
    if (has_session) return;
    p.status.set_restarts(p.status.restarts() + 1);
    Run(id);
  });
}

}  // namespace remuda::sim
