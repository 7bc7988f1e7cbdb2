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

void Host::Next(const std::string& id, absl::Duration delay, std::function<void(Process&)> what) {
  const int attempt = ++processes_.at(id).attempt;
  scheduler_.After(delay, [this, id, attempt, w = std::move(what)] {
    Process* process = Find(id);
    if (process != nullptr && process->attempt == attempt) w(*process);
  });
}

bool Host::IsWanted(const std::string& id, agent::v1::DesiredState desired) const {
  const auto it = assignment_.find(id);
  return it != assignment_.end() && it->second.desired() == desired;
}

void Host::Tell(const std::string& id) {
  if (has_session) report(processes_.at(id).status);
}

void Host::Take(const core::Assignment& assignment) {
  assignment_ = assignment;
  for (const auto& [id, wanted] : assignment) {
    Process* process = Find(id);
    if (wanted.desired() == agent::v1::DESIRED_STATE_RUNNING) {
      if (process == nullptr) {
        Start(id, wanted);
      } else if (wanted.generation() > process->status.generation()) {
        process->status.set_generation(wanted.generation());
        Change(id);
      } else if (process->status.state() == agent::v1::PROCESS_STATE_PREPARED) {
        Launch(id);
      }
    } else if (wanted.desired() == agent::v1::DESIRED_STATE_PREPARED) {
      Prepare(id, wanted);
    } else if (process != nullptr && process->status.state() != agent::v1::PROCESS_STATE_EXITED &&
               process->status.state() != agent::v1::PROCESS_STATE_FAILED) {
      Stop(id);
    }
  }
  std::vector<std::string> done;
  for (const auto& [id, process] : processes_) {
    if (assignment.count(id) == 0 &&
        (process.status.state() == agent::v1::PROCESS_STATE_EXITED ||
         process.status.state() == agent::v1::PROCESS_STATE_FAILED ||
         process.status.state() == agent::v1::PROCESS_STATE_PREPARED)) {
      done.push_back(id);
    }
  }
  for (const std::string& id : done) {
    processes_.erase(id);
    if (has_session) forgot(id);
  }
}

void Host::Start(const std::string& id, const agent::v1::InstanceAssignment& wanted) {
  if (std::exchange(ever_[id], true)) complain_(id + " was launched twice on " + name_);
  Process& process = processes_[id];
  process.status.set_instance(id);
  process.status.set_generation(wanted.generation());
  process.generation = wanted.generation();
  if (wanted.desired() == agent::v1::DESIRED_STATE_PREPARED) {
    Change(id);
  } else {
    Launch(id);
  }
}

void Host::Prepare(const std::string& id, const agent::v1::InstanceAssignment& wanted) {
  Process* process = Find(id);
  if (process == nullptr) return Start(id, wanted);
  const bool is_new = wanted.generation() > process->status.generation();
  if (is_new) process->status.set_generation(wanted.generation());
  if (process->alive) {
    process->to_prepare = true;
    return Stop(id);
  }
  if (is_new) return Change(id);
  switch (process->status.state()) {
    case agent::v1::PROCESS_STATE_PREPARED:
    case agent::v1::PROCESS_STATE_FETCHING:
      return;  // it is, or is about to be
    case agent::v1::PROCESS_STATE_FAILED:
      // What a start failed at does not matter.
      if (!process->to_prepare) Change(id);
      return;
    default:
      // It has ended, or was about to start: its files are there.
      ++process->attempt;
      Prepared(id);
  }
}

void Host::Change(const std::string& id) {
  Process& process = processes_.at(id);
  process.status.clear_exit();
  process.status.clear_message();
  process.status.clear_restarts();
  if (process.alive && process.stop_asked) return Tell(id);  // its end decides what is next
  process.to_prepare = IsWanted(id, agent::v1::DESIRED_STATE_PREPARED);
  process.status.set_state(agent::v1::PROCESS_STATE_FETCHING);
  if (fault != Fault::kNone) {
    process.status.set_message("it cannot be prepared: no space left on its disk");
    if (!process.alive) process.status.set_state(agent::v1::PROCESS_STATE_FAILED);
    ++process.attempt;
    return Tell(id);
  }
  Tell(id);
  Next(id, random_.Between(Milliseconds(5), Seconds(2)), [this, id](Process&) { Prepared(id); });
}

void Host::Prepared(const std::string& id) {
  if (IsWanted(id, agent::v1::DESIRED_STATE_PREPARED)) {
    Process& process = processes_.at(id);
    process.generation = process.status.generation();
    process.stop_asked = false;
    process.status.clear_port();
    process.status.clear_exit();
    process.status.clear_message();
    process.status.clear_restarts();
    process.status.set_state(agent::v1::PROCESS_STATE_PREPARED);
    return Tell(id);
  }
  if (!IsWanted(id)) return;
  if (processes_.at(id).alive) {
    Stop(id);
  } else {
    Launch(id);
  }
}

void Host::Launch(const std::string& id) {
  Process& process = processes_.at(id);
  process.to_prepare = false;
  process.status.set_state(agent::v1::PROCESS_STATE_STARTING);
  process.status.clear_message();
  if (process.status.port() == 0) {
    const auto wanted = assignment_.find(id);
    const int port = wanted == assignment_.end() ? 0 : wanted->second.launch_template().port();
    process.status.set_port(port != 0 ? port : ++next_port_);
  }
  if (fault == Fault::kHangs) process.status.set_message("its port is in use");
  ++process.attempt;
  Tell(id);
  if (fault == Fault::kHangs) return;
  if (fault == Fault::kFails) {
    Next(id, random_.Between(Milliseconds(5), Seconds(1)), [this, id](Process& p) {
      p.status.set_state(agent::v1::PROCESS_STATE_FAILED);
      p.status.set_message("no space left on its disk");
      Tell(id);
    });
    return;
  }
  Next(id, random_.Between(Milliseconds(5), Seconds(1)), [this, id](Process&) { Run(id); });
}

void Host::Run(const std::string& id) {
  Process& process = processes_.at(id);
  for (const auto& [other_id, other] : processes_) {
    if (other_id != id && other.Alive() && other.status.port() == process.status.port()) {
      // As the agent does: one that was started again while there was no controller is ended first.
      if (other.stop_asked) return Next(id, Milliseconds(100), [this, id](Process&) { Run(id); });
      complain_(id + " and " + other_id + " want port " + std::to_string(process.status.port()) +
                " of " + name_);
    }
  }
  if (process.alive) complain_(id + " runs twice on " + name_);
  ++process.life;
  process.alive = true;
  process.listens = process.stop_asked = process.check_fails = false;
  process.generation = process.status.generation();
  const auto wanted = assignment_.find(id);
  if (wanted != assignment_.end())
    process.behaviour = behaviours_(wanted->second.launch_template());
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
  if (process.alive && process.stop_asked) return;
  ++process.attempt;
  process.stop_asked = true;
  process.status.clear_message();
  if (!process.alive) {
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
  if (process != nullptr && process->alive && !process->stop_asked) End(id, signal, false);
}

void Host::CrashAgent() {
  for (auto& [id, process] : processes_) {
    const auto state = process.status.state();
    if (process.IsOld() && process.alive) {
      if (random_.OneIn(3)) {
        process.status.set_generation(process.generation);
        process.status.clear_message();
        process.status.set_state(process.stop_asked ? agent::v1::PROCESS_STATE_STOPPING
                                                    : agent::v1::PROCESS_STATE_RUNNING);
        ++process.attempt;
      } else {
        Change(id);
      }
    } else if (state == agent::v1::PROCESS_STATE_FETCHING) {
      Change(id);
    } else if (state == agent::v1::PROCESS_STATE_STARTING) {
      Launch(id);
    }
  }
}

void Host::End(const std::string& id, int signal, bool requested) {
  Process& process = processes_.at(id);
  ++process.life;
  process.alive = process.listens = false;
  // How it ended does not matter.
  if (IsWanted(id, agent::v1::DESIRED_STATE_PREPARED))
    return process.IsOld() ? Change(id) : Prepared(id);
  if (process.to_prepare && IsWanted(id)) {
    process.status.clear_port();
    return process.IsOld() ? Change(id) : Launch(id);
  }
  if (process.IsOld() && IsWanted(id)) {
    // Where files are being fetched, they come first; where they cannot be, nothing is left.
    if (process.status.state() != agent::v1::PROCESS_STATE_FETCHING) return Launch(id);
    if (process.status.message().empty()) return;
    process.status.set_state(agent::v1::PROCESS_STATE_FAILED);
    return Tell(id);
  }
  process.status.set_state(agent::v1::PROCESS_STATE_EXITED);
  process.status.mutable_exit()->set_signal(signal);
  process.status.mutable_exit()->set_code(signal == 0 ? 1 : -1);
  process.status.mutable_exit()->set_requested(requested);
  Tell(id);
  if (has_session || requested) return;
  // No controller to replace it: the agent starts it again.
  Next(id, random_.Between(Milliseconds(200), Seconds(2)), [this, id](Process& p) {
    if (has_session) return;
    p.status.set_restarts(p.status.restarts() + 1);
    Run(id);
  });
}

}  // namespace remuda::sim
