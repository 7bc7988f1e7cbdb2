#include "tests/component/controller/testing/fake_receivers.h"

#include <utility>

namespace remuda {

void FakeProxy::Connect(std::shared_ptr<grpc::Channel> channel) {
  stream_.reset();
  proxy::v1::ConnectRequest request;
  *request.mutable_hello() = hello_;
  {
    const std::lock_guard lock(mutex_);
    if (had_.revision.epoch() != 0) *request.mutable_hello()->mutable_held() = had_.revision;
    request.mutable_hello()->set_held_digest(had_.digest);
    had_.welcome.reset();
    had_.updates.clear();
  }
  stream_ = std::make_unique<Stream>(std::move(channel), request,
                                     [this](const proxy::v1::ConnectResponse& message,
                                            Stream& stream) { OnMessage(message, stream); });
}

void FakeProxy::set_answer(Answer answer) {
  const std::lock_guard lock(mutex_);
  answer_ = answer;
}

void FakeProxy::set_pong(Pong pong) {
  const std::lock_guard lock(mutex_);
  pong_ = pong;
}

void FakeProxy::set_healthy(bool healthy) {
  const std::lock_guard lock(mutex_);
  healthy_ = healthy;
}

void FakeProxy::Apply(const proxy::v1::ConfigUpdate& update) {
  if (!update.has_base()) {
    had_.targets.clear();
    had_.load_balancers.clear();
  }
  for (const auto& target : update.upserts().targets())
    had_.targets[target.target_group() + "/" + target.id()] = target;
  for (const auto& name : update.removed_targets()) had_.targets.erase(name);
  for (const auto& balancer : update.upserts().load_balancers()) {
    had_.load_balancers[balancer.name().substr(balancer.name().find('/') + 1)] = balancer;
  }
  for (const auto& name : update.removed_load_balancers()) had_.load_balancers.erase(name);
  had_.revision = update.revision();
  had_.digest = update.digest();
}

void FakeProxy::OnMessage(const proxy::v1::ConnectResponse& message, Stream& stream) {
  std::vector<proxy::v1::ConnectRequest> answers;
  {
    const std::lock_guard lock(mutex_);
    proxy::v1::ConnectRequest answer;
    if (message.has_welcome()) {
      had_.welcome = message.welcome();
      answer.mutable_health()->set_full(true);
      answers.push_back(answer);
    } else if (message.has_ping()) {
      ++had_.pings;
      answer.mutable_pong()->set_ping_id(message.ping().ping_id());
      answer.mutable_pong()->set_is_leaving(pong_ == Pong::kLeaving);
      if (pong_ != Pong::kNothing) answers.push_back(answer);
    } else if (message.has_lease()) {
      had_.lease_renewal = message.lease().stats_report();
    } else if (message.has_ticket_keys()) {
      had_.ticket_keys = message.ticket_keys();
    } else if (message.has_update()) {
      had_.updates.push_back(message.update());
      if (answer_ == Answer::kNack) {
        *answer.mutable_nack()->mutable_revision() = message.update().revision();
        answer.mutable_nack()->set_resource("loadBalancers/shop");
        answer.mutable_nack()->set_reason("port 8080 is taken");
        answers.push_back(answer);
      } else {
        Apply(message.update());
      }
      if (answer_ == Answer::kAck) {
        *answer.mutable_ack()->mutable_revision() = had_.revision;
        answers.push_back(answer);
        answer.mutable_health()->set_full(true);
        for (const auto& [key, target] : had_.targets) {
          auto& health = *answer.mutable_health()->add_targets();
          health.set_target_group(target.target_group());
          health.set_target(target.id());
          health.set_state(healthy_ ? v1::TARGET_STATE_HEALTHY : v1::TARGET_STATE_UNHEALTHY);
        }
        answers.push_back(answer);
      }
    }
  }
  for (const auto& answer : answers) stream.Write(answer);
  changed_.notify_all();
}

bool FakeProxy::WaitFor(const std::function<bool(const Had&)>& condition) {
  std::unique_lock lock(mutex_);
  return changed_.wait_for(lock, kPatience, [&] { return condition(had_); });
}

FakeProxy::Had FakeProxy::had() {
  const std::lock_guard lock(mutex_);
  return had_;
}

void FakeAgent::Connect(std::shared_ptr<grpc::Channel> channel) {
  stream_.reset();
  agent::v1::ConnectRequest request;
  *request.mutable_hello() = hello_;
  {
    const std::lock_guard lock(mutex_);
    if (had_.revision.epoch() != 0) *request.mutable_hello()->mutable_held() = had_.revision;
    request.mutable_hello()->set_held_digest(had_.digest);
    for (const auto& [id, status] : had_.running)
      *request.mutable_hello()->add_instances() = status;
    had_.welcome.reset();
    had_.updates = had_.whole_updates = 0;
  }
  stream_ = std::make_unique<Stream>(std::move(channel), request,
                                     [this](const agent::v1::ConnectResponse& message,
                                            Stream& stream) { OnMessage(message, stream); });
}

void FakeAgent::Apply(const agent::v1::AssignmentUpdate& update,
                      agent::v1::InstanceReport& report) {
  ++had_.updates;
  if (!update.has_base()) {
    ++had_.whole_updates;
    had_.assigned.clear();
  }
  for (const auto& assignment : update.upserts()) {
    had_.assigned[assignment.instance()] = assignment;
    auto& status = had_.running[assignment.instance()];
    const bool runs = status.state() == agent::v1::PROCESS_STATE_RUNNING;
    const bool shall_run = assignment.desired() == agent::v1::DESIRED_STATE_RUNNING;
    if (runs == shall_run || (!runs && status.state() == agent::v1::PROCESS_STATE_EXITED)) continue;
    status.set_instance(assignment.instance());
    if (shall_run) {
      status.set_state(is_slow ? agent::v1::PROCESS_STATE_FETCHING
                               : agent::v1::PROCESS_STATE_RUNNING);
      const int fixed = assignment.launch_template().port();
      status.set_port(fixed != 0 ? fixed : next_port_++);
      status.set_pid(4711);
    } else {
      status.set_state(agent::v1::PROCESS_STATE_EXITED);
      status.mutable_exit()->set_requested(true);
    }
    *report.add_instances() = status;
  }
  for (const std::string& id : update.removed()) {
    had_.assigned.erase(id);
    had_.running.erase(id);
    report.add_removed(id);
  }
  had_.revision = update.revision();
  had_.digest = update.digest();
}

void FakeAgent::OnMessage(const agent::v1::ConnectResponse& message, Stream& stream) {
  std::vector<agent::v1::ConnectRequest> answers;
  {
    const std::lock_guard lock(mutex_);
    if (message.has_welcome()) {
      had_.welcome = message.welcome();
    } else if (message.has_update()) {
      agent::v1::ConnectRequest ack;
      agent::v1::ConnectRequest report;
      Apply(message.update(), *report.mutable_report());
      *ack.mutable_ack()->mutable_revision() = had_.revision;
      answers = {ack, report};
    } else if (message.has_ping()) {
      ++had_.pings;
      answers.emplace_back().mutable_pong()->set_ping_id(message.ping().ping_id());
    } else {
      had_.requests.push_back(message);
    }
  }
  for (const auto& answer : answers) stream.Write(answer);
  changed_.notify_all();
}

void FakeAgent::Kill(const std::string& instance, int signal) {
  agent::v1::ConnectRequest report;
  {
    const std::lock_guard lock(mutex_);
    auto& status = had_.running[instance];
    status.set_state(agent::v1::PROCESS_STATE_EXITED);
    status.mutable_exit()->set_code(-1);
    status.mutable_exit()->set_signal(signal);
    *report.mutable_report()->add_instances() = status;
  }
  stream_->Write(report);
}

bool FakeAgent::WaitFor(const std::function<bool(const Had&)>& condition) {
  std::unique_lock lock(mutex_);
  return changed_.wait_for(lock, kPatience, [&] { return condition(had_); });
}

FakeAgent::Had FakeAgent::had() {
  const std::lock_guard lock(mutex_);
  return had_;
}

}  // namespace remuda
