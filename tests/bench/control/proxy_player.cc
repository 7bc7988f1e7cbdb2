#include "tests/bench/control/proxy_player.h"

#include <ctime>
#include <string_view>
#include <utility>

namespace remuda::bench {
namespace {

void AddHealthy(const TargetName& name, int64_t now, proxy::v1::HealthReport& report) {
  auto& health = *report.add_targets();
  health.set_target_group(name.group);
  health.set_target(name.target);
  health.set_state(v1::TARGET_STATE_HEALTHY);
  health.mutable_since()->set_seconds(now);
}

bool Shows(const proxy::v1::ConfigUpdate& update, const Awaited& awaited) {
  for (const proxy::v1::Target& target : update.upserts().targets()) {
    if (target.id() != awaited.target || target.target_group() != awaited.target_group) continue;
    const bool is_active = target.state() == proxy::v1::Target::STATE_ACTIVE ||
                           target.state() == proxy::v1::Target::STATE_UNSPECIFIED;
    return is_active == (awaited.change == Awaited::Change::kActive);
  }
  if (awaited.change != Awaited::Change::kOutOfRotation) return false;
  for (const std::string& key : update.removed_targets()) {
    if (key == awaited.target_group + "/" + awaited.target) return true;
  }
  return false;
}

}  // namespace

void ProxyPlayer::Send(Link& link, const proxy::v1::ConnectRequest& message) {
  std::string bytes = message.SerializeAsString();
  tally_.CountUp(bytes.size());
  link.Send(std::move(bytes));
}

void ProxyPlayer::Connect(const Dial& dial) {
  Disconnect();
  proxy::v1::ConnectRequest request;
  auto& hello = *request.mutable_hello();
  hello.set_proxy(options_.name);
  hello.set_incarnation("process-of-" + options_.name);
  (*hello.mutable_labels())["shard"] = options_.shard;
  const std::lock_guard lock(mutex_);
  if (held_.epoch() != 0) *hello.mutable_held() = held_;
  hello.set_held_digest(digest_);
  link_ = dial(*this);
  Send(*link_, request);
}

void ProxyPlayer::ReportAll(Link& link) {
  proxy::v1::ConnectRequest request;
  request.mutable_health()->set_full(true);
  const int64_t now = std::time(nullptr);
  const std::lock_guard lock(mutex_);
  for (const TargetName* name : targets_) AddHealthy(*name, now, *request.mutable_health());
  Send(link, request);
}

void ProxyPlayer::Disconnect() {
  std::unique_ptr<Link> link;
  {
    const std::lock_guard lock(mutex_);
    link = std::move(link_);
  }
  if (link != nullptr) link->Close();
}

void ProxyPlayer::ReportStats() {
  const std::lock_guard lock(mutex_);
  if (link_ == nullptr) return;
  proxy::v1::ConnectRequest request;
  request.mutable_stats()->set_active_connections(10);
  request.mutable_stats()->set_requests(1000);
  Send(*link_, request);
}

void ProxyPlayer::Find(const proxy::v1::ConfigUpdate& update, proxy::v1::HealthReport& report) {
  const bool is_whole = !update.has_base();
  if (is_whole) targets_.clear();
  report.set_full(is_whole);
  const int64_t now = std::time(nullptr);
  for (const proxy::v1::Target& target : update.upserts().targets()) {
    const TargetName* name = tally_.Intern({target.target_group(), target.id()});
    if (targets_.insert(name).second) AddHealthy(*name, now, report);
  }
  for (const std::string& key : update.removed_targets()) {
    const size_t slash = key.find('/');
    targets_.erase(tally_.Intern({key.substr(0, slash), key.substr(slash + 1)}));
  }
}

void ProxyPlayer::Take(Link& link, const proxy::v1::ConfigUpdate& update) {
  const std::shared_ptr<const Awaited> awaited = tally_.awaited();
  const bool shows = awaited != nullptr && Shows(update, *awaited);
  proxy::v1::ConnectRequest ack;
  *ack.mutable_ack()->mutable_revision() = update.revision();
  proxy::v1::ConnectRequest health;
  const std::lock_guard lock(mutex_);
  Find(update, *health.mutable_health());
  const bool is_new_epoch = update.revision().epoch() != held_.epoch();
  held_ = update.revision();
  digest_ = update.digest();
  Send(link, ack);
  if (shows) tally_.CountAwaited(awaited.get());
  if (health.health().full() || health.health().targets_size() != 0) Send(link, health);
  tally_.Add([&](Counts& counts) {
    counts.new_targets += health.health().targets_size();
    if (is_new_epoch) ++counts.proxies_confirmed[held_.epoch()];
  });
}

void ProxyPlayer::OnMessage(Link& link, const Frame& message) {
  tally_.CountDown(message->size());
  proxy::v1::ConnectResponse response;
  if (!response.ParseFromString(*message)) return;
  if (response.has_welcome()) ReportAll(link);
  if (response.has_update()) Take(link, response.update());
}

void ProxyPlayer::OnEnd(const std::string&) {
  tally_.Add([](Counts& counts) { ++counts.lost; });
}

}  // namespace remuda::bench
