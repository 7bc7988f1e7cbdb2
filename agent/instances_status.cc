// Instances, the part that says how they fare.
#include <absl/strings/str_cat.h>

#include <algorithm>
#include <string>
#include <utility>

#include "agent/instances.h"
#include "common/utf8.h"

namespace remuda::agent {
namespace {

// agent.proto bounds it: an entry's name in an archive may be as long as it likes.
constexpr size_t kMaxMessageBytes = 1024;

void SetTime(google::protobuf::Timestamp* time, int64_t unix_ms) {
  time->set_seconds(unix_ms / 1000);
  time->set_nanos(static_cast<int32_t>(unix_ms % 1000) * 1'000'000);
}

void SetProcess(const InstanceRun& run, v1::InstanceStatus& status) {
  status.set_pid(run.app_pid);
  status.set_port(run.port);
  status.set_restarts(run.restarts);
  if (run.started_unix_ms > 0) SetTime(status.mutable_start_time(), run.started_unix_ms);
  if (!run.end) return;
  auto* exit = status.mutable_exit();
  exit->set_code(run.end->code);
  exit->set_signal(run.end->signal);
  exit->set_out_of_memory(run.end->out_of_memory);
  exit->set_requested(run.end->requested);
  SetTime(exit->mutable_time(), run.end->ended_unix_ms);
}

}  // namespace

std::vector<v1::InstanceStatus> Instances::Statuses() const {
  std::vector<v1::InstanceStatus> all;
  for (const auto& [id, instance] : instances_) all.push_back(StatusOf(id));
  return all;
}

v1::InstanceStatus Instances::StatusOf(const std::string& id) const {
  const Instance& instance = instances_.at(id);
  const InstanceRun* run = supervisor_.Find(id);
  const Facts facts = FactsOf(id);
  v1::InstanceStatus status;
  status.set_instance(id);
  status.set_generation(std::max(instance.generation, run == nullptr ? 0 : run->generation));
  status.set_message(ValidUtf8(instance.message, kMaxMessageBytes));
  if (facts.has_spent_end) {
    // As if it had never run.
  } else if (facts.is_old) {
    // It has not run in this generation; the port is what stays.
    status.set_port(run->port);
  } else if (run != nullptr) {
    SetProcess(*run, status);
  }
  switch (facts.progress) {
    case Progress::kStarting:
    case Progress::kRunning:
      if (facts.is_old) {
        SetChanging(id, facts, status);
      } else {
        status.set_state(facts.progress == Progress::kRunning ? v1::PROCESS_STATE_RUNNING
                                                              : v1::PROCESS_STATE_STARTING);
      }
      break;
    case Progress::kStopping:
      status.set_state(v1::PROCESS_STATE_STOPPING);
      break;
    case Progress::kEnded:
      if (facts.preparing) {
        status.set_state(v1::PROCESS_STATE_FETCHING);
        break;
      }
      status.set_state(run->end->started ? v1::PROCESS_STATE_EXITED : v1::PROCESS_STATE_FAILED);
      status.set_log_tail(instance.log_tail);
      break;
    case Progress::kLocked:
      status.set_state(v1::PROCESS_STATE_FAILED);
      status.set_message(absl::StrCat("its directory ", Dir(id).path,
                                      " is locked by a process that is no shim of it"));
      break;
    case Progress::kAbsent:
    case Progress::kPrepared:
      SetWaiting(id, facts, status);
      break;
  }
  if (facts.failed && facts.failure_is_final &&
      (facts.wanted == Wanted::kRunning || facts.wanted == Wanted::kPrepared) &&
      (run == nullptr || !IsAlive(*run))) {
    status.set_state(v1::PROCESS_STATE_FAILED);
  }
  return status;
}

void Instances::SetChanging(const std::string& id, const Facts& facts,
                            v1::InstanceStatus& status) const {
  const bool is_ready =
      facts.wanted == Wanted::kRunning && !facts.failed && (facts.has_files || facts.has_next);
  if (facts.wanted != Wanted::kRunning || is_ready) {
    status.set_state(v1::PROCESS_STATE_STOPPING);
    return;
  }
  // Not FAILED, whatever is in the way: something runs here, and has to be stopped by name.
  status.set_state(v1::PROCESS_STATE_FETCHING);
  if (!facts.failed || status.message().empty()) return;
  const std::string why =
      absl::StrCat("generation ", status.generation(), " cannot be prepared: ", status.message(),
                   "; generation ", supervisor_.Find(id)->generation, " runs on");
  status.set_message(ValidUtf8(why, kMaxMessageBytes));
}

void Instances::SetWaiting(const std::string& id, const Facts& facts,
                           v1::InstanceStatus& status) const {
  if (facts.wanted == Wanted::kStopped) {
    // Told to end before it ever ran: it has ended.
    status.set_state(v1::PROCESS_STATE_EXITED);
    status.mutable_exit()->set_code(-1);
    status.mutable_exit()->set_requested(true);
    return;
  }
  if (facts.wanted == Wanted::kPrepared) {
    status.set_state(facts.has_files ? v1::PROCESS_STATE_PREPARED : v1::PROCESS_STATE_FETCHING);
    return;
  }
  const bool is_fetched = facts.progress == Progress::kPrepared || facts.has_next;
  status.set_state(is_fetched ? v1::PROCESS_STATE_STARTING : v1::PROCESS_STATE_FETCHING);
  if (facts.progress == Progress::kAbsent || !facts.port_is_held) return;
  const int port = FixedPort(id);
  status.set_message(
      absl::StrCat("waits for port ", port, ", which instance ", HolderOf(port, id), " still has"));
}

void Instances::Tell(const std::string& id) {
  const auto it = instances_.find(id);
  if (it == instances_.end()) return;
  v1::InstanceStatus status = StatusOf(id);
  if (status.SerializeAsString() == it->second.told.SerializeAsString()) return;
  it->second.told = status;
  if (options_.on_status) options_.on_status(status);
}

}  // namespace remuda::agent
