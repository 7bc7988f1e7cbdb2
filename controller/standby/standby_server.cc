#include "controller/standby/standby_server.h"

#include <utility>

namespace remuda {

absl::StatusOr<std::unique_ptr<StandbyServer>> StandbyServer::Listen(const Endpoint& api,
                                                                     std::optional<Endpoint> join) {
  auto calls = Acceptor::Listen(api);
  if (!calls.ok()) return calls.status();
  std::unique_ptr<Acceptor> joins;
  if (join.has_value()) {
    auto listening = Acceptor::Listen(*join);
    if (!listening.ok()) return listening.status();
    joins = *std::move(listening);
  }
  return std::unique_ptr<StandbyServer>(new StandbyServer(*std::move(calls), std::move(joins)));
}

absl::Status StandbyServer::Serve(const Options& options) {
  auto no_leader = NoLeader::Start(options.why_no_leader);
  if (!no_leader.ok()) return no_leader.status();
  no_leader_ = *std::move(no_leader);
  cluster_ = options.cluster;
  Relay::Options passed_on;
  passed_on.on_no_leader = [to = no_leader_.get()](int fd, const CallerPtr&) { to->Add(fd); };
  if (cluster_ != nullptr) passed_on.identity = [cluster = cluster_] { return cluster->current(); };
  calls_ = std::make_unique<Relay>(std::move(passed_on));
  Acceptor::Bound bound{.max_descriptors = options.max_descriptors, .each = 2};
  if (cluster_ != nullptr) {
    gate_ = std::make_unique<Gate>(
        Gate::Options{
            .cluster = cluster_->cluster(),
            // The leader looks who is shut out.
            .admit = [](const Caller&) { return absl::OkStatus(); },
            .on_connection = [to = calls_.get()](int fd,
                                                 const CallerPtr& caller) { to->Add(fd, caller); },
            .keeps_certificates = true,
            .on_refused = options.on_refused},
        *options.callers);
    if (absl::Status status = gate_->Show(*cluster_); !status.ok()) return status;
    bound.each = Gate::kDescriptorsEach + 1;
    bound.to_come = [gate = gate_.get()] {
      return static_cast<size_t>(gate->counts().handshakes.load()) * Gate::kDescriptorsEach;
    };
  }
  api_->Start(bound, *options.metrics,
              [this](int fd) { gate_ == nullptr ? calls_->Add(fd, nullptr) : gate_->Add(fd); });
  if (join_ != nullptr && cluster_ != nullptr) {
    joins_ = std::make_unique<Relay>(
        Relay::Options{.identity = [cluster = cluster_] { return cluster->current(); },
                       .joins = true,
                       .max_connections = kMaxJoins});
    join_->Start({.max_descriptors = options.max_descriptors, .each = 2}, *options.metrics,
                 [to = joins_.get()](int fd) { to->Add(fd, nullptr); });
  }
  return absl::OkStatus();
}

void StandbyServer::SetLeader(const store::v1::EtcdController* leader, int64_t epoch) {
  const bool is_there = leader != nullptr && !leader->address().empty();
  const auto address = is_there ? std::optional(leader->address()) : std::nullopt;
  if (calls_ != nullptr) calls_->SetLeader(address, epoch);
  // Its API's too: the leader's gate hands over who joins.
  if (joins_ != nullptr) joins_->SetLeader(address, epoch);
}

StandbyServer::~StandbyServer() {
  api_->Stop();
  if (join_ != nullptr) join_->Stop();
  if (cluster_ != nullptr) cluster_->Stop();
  if (gate_ != nullptr) gate_->Drain();
  if (calls_ != nullptr) calls_->Stop();
  if (joins_ != nullptr) joins_->Stop();
  if (gate_ != nullptr) gate_->Stop();
}

}  // namespace remuda
