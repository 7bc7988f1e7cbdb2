#include "tests/bench/control/agent_player.h"

#include <utility>

namespace remuda::bench {
namespace {

constexpr int kFirstPort = 20'000;
constexpr int kLastPort = 60'000;
constexpr int64_t kPid = 4711;
constexpr int64_t kMemoryBytes = int64_t{256} << 30;
constexpr int64_t kInstanceBytes = 32 << 20;

}  // namespace

void AgentPlayer::Send(Link& link, const agent::v1::ConnectRequest& message) {
  std::string bytes = message.SerializeAsString();
  tally_.CountUp(bytes.size());
  link.Send(std::move(bytes));
}

agent::v1::InstanceStatus AgentPlayer::StatusOf(const Running& running) {
  agent::v1::InstanceStatus status;
  status.set_instance(running.instance);
  status.set_state(agent::v1::PROCESS_STATE_RUNNING);
  status.set_pid(kPid);
  status.set_port(running.port);
  return status;
}

void AgentPlayer::Connect(const Dial& dial) {
  Disconnect();
  agent::v1::ConnectRequest request;
  auto& hello = *request.mutable_hello();
  hello.set_host(options_.name);
  hello.set_address(options_.address);
  hello.set_zone(options_.zone);
  hello.set_boot_id("boot-of-" + options_.name);
  hello.set_machine_id("machine-of-" + options_.name);
  hello.set_incarnation("process-of-" + options_.name);
  hello.mutable_capacity()->set_cpu_millis(64'000);
  hello.mutable_capacity()->set_memory_bytes(kMemoryBytes);
  const std::lock_guard lock(mutex_);
  if (held_.epoch() != 0) *hello.mutable_held() = held_;
  hello.set_held_digest(digest_);
  for (const auto& [id, running] : running_) *hello.add_instances() = StatusOf(running);
  link_ = dial(*this);
  Send(*link_, request);
}

void AgentPlayer::Disconnect() {
  std::unique_ptr<Link> link;
  {
    const std::lock_guard lock(mutex_);
    link = std::move(link_);
  }
  // Not under the lock: a message that is being handled wants it.
  if (link != nullptr) link->Close();
}

void AgentPlayer::Vanish() {
  Disconnect();
  const std::lock_guard lock(mutex_);
  tally_.Add([&](Counts& counts) { counts.running -= static_cast<int64_t>(running_.size()); });
  running_.clear();
  held_.Clear();
  digest_.clear();
}

void AgentPlayer::ReportUsage() {
  const std::lock_guard lock(mutex_);
  if (link_ == nullptr) return;
  agent::v1::ConnectRequest request;
  auto& usage = *request.mutable_usage();
  for (const auto& [id, running] : running_) {
    auto& instance = *usage.add_instances();
    instance.set_instance(id);
    instance.set_cpu_millis(10);
    instance.set_memory_bytes(kInstanceBytes);
    instance.set_processes(1);
  }
  usage.mutable_host()->set_cpu_millis(100);
  usage.mutable_host()->set_memory_bytes(kInstanceBytes * (usage.instances_size() + 1));
  Send(*link_, request);
}

std::optional<AgentPlayer::Running> AgentPlayer::AnyRunning() {
  const std::lock_guard lock(mutex_);
  if (link_ == nullptr || running_.empty()) return std::nullopt;
  return running_.begin()->second;
}

void AgentPlayer::Kill(const std::string& instance) {
  const std::lock_guard lock(mutex_);
  const auto it = running_.find(instance);
  if (link_ == nullptr || it == running_.end()) return;
  agent::v1::ConnectRequest request;
  auto& status = *request.mutable_report()->add_instances();
  status = StatusOf(it->second);
  status.set_state(agent::v1::PROCESS_STATE_EXITED);
  status.mutable_exit()->set_code(-1);
  status.mutable_exit()->set_signal(9);
  running_.erase(it);
  tally_.Add([](Counts& counts) { --counts.running; });
  Send(*link_, request);
}

void AgentPlayer::Take(Link& link, const agent::v1::AssignmentUpdate& update) {
  agent::v1::ConnectRequest ack;
  *ack.mutable_ack()->mutable_revision() = update.revision();
  agent::v1::ConnectRequest request;
  auto& report = *request.mutable_report();
  int64_t begun = 0;
  int64_t ended = 0;
  const std::lock_guard lock(mutex_);
  for (const agent::v1::InstanceAssignment& assignment : update.upserts()) {
    const std::string& id = assignment.instance();
    const auto it = running_.find(id);
    const bool shall_run = assignment.desired() == agent::v1::DESIRED_STATE_RUNNING;
    if (shall_run == (it != running_.end())) continue;
    if (shall_run) {
      Running& running = running_[id];
      running.instance = id;
      running.group = assignment.auto_scaling_group();
      running.port = next_port_;
      next_port_ = next_port_ == kLastPort ? kFirstPort : next_port_ + 1;
      *report.add_instances() = StatusOf(running);
      ++begun;
    } else {
      auto& status = *report.add_instances();
      status = StatusOf(it->second);
      status.set_state(agent::v1::PROCESS_STATE_EXITED);
      status.mutable_exit()->set_requested(true);
      running_.erase(it);
      ++ended;
    }
  }
  for (const std::string& id : update.removed()) {
    ended += static_cast<int64_t>(running_.erase(id));
    report.add_removed(id);
  }
  const bool is_new_epoch = update.revision().epoch() != held_.epoch();
  held_ = update.revision();
  digest_ = update.digest();
  Send(link, ack);
  if (report.instances_size() + report.removed_size() != 0) Send(link, request);
  tally_.Add([&](Counts& counts) {
    counts.running += begun - ended;
    counts.started += begun;
    if (is_new_epoch) ++counts.agents_confirmed[held_.epoch()];
  });
}

void AgentPlayer::OnMessage(Link& link, const Frame& message) {
  tally_.CountDown(message->size());
  agent::v1::ConnectResponse response;
  if (!response.ParseFromString(*message)) return;
  if (response.has_update()) Take(link, response.update());
}

void AgentPlayer::OnEnd(const std::string&) {
  tally_.Add([](Counts& counts) { ++counts.lost; });
}

}  // namespace remuda::bench
