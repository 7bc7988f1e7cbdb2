#include "proxy/control/handover.h"

#include <spdlog/spdlog.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

namespace remuda::proxy {

using std::chrono::milliseconds;

Handover::Handover(EventLoop& loop, Coordinator& coordinator, DataLock& lock,
                   Predecessor* predecessor, Options options, Events events)
    : loop_(loop),
      coordinator_(coordinator),
      lock_(lock),
      predecessor_(predecessor),
      options_(std::move(options)),
      events_(std::move(events)),
      timer_([this] { OnTimer(); }) {}

Handover::~Handover() { Stop(); }

std::string Handover::Start() {
  const int fd = OpenTakeoverSocket(options_.directory);
  if (fd < 0) return std::strerror(-fd);
  socket_.Reset(fd);
  loop_.AddListening(fd, this);
  return "";
}

void Handover::Stop() {
  if (socket_.is_open()) loop_.Remove(socket_.get(), this);
  socket_.Reset();
  if (!is_handed_over() && channel_ != nullptr) Fail("this process drains");
}

void Handover::OnIo(uint32_t /*events*/) {
  while (socket_.is_open()) {
    Descriptor accepted(accept4(socket_.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (!accepted.is_open()) return;
    auto channel = std::make_shared<TakeoverChannel>(std::move(accepted));
    if (const absl::Status status = channel->CheckPeer(); !status.ok()) {
      Refuse(*channel, std::string(status.message()));
      continue;
    }
    if (channel_ != nullptr) {
      Refuse(*channel, "process " + std::to_string(peer_) + " is taking over already");
      continue;
    }
    peer_ = channel->peer();
    stage_ = Stage::kHello;
    channel_ = std::move(channel);
    deadline_ = std::chrono::steady_clock::now() + kHelloPatience;
    timer_.Arm(loop_, deadline_);
    channel_->Watch(
        loop_, {.on_message = [this](TakeoverChannel::Received got) { OnMessage(std::move(got)); },
                .on_closed =
                    [this](const std::string& why) {
                      if (!is_handed_over()) return Fail(why);
                      // Nobody tells any more what is in force.
                      DropChannel();
                      BeginNothing();
                    }});
  }
}

void Handover::Refuse(TakeoverChannel& channel, const std::string& reason) const {
  spdlog::warn("process {} may not take over: {}", channel.peer(), reason);
  v1::TakeoverMessage message;
  message.mutable_refusal()->set_reason(reason);
  channel.Send(message);
}

void Handover::DropChannel() {
  if (channel_ == nullptr) return;
  channel_->Close();
  // This may have come from one of its events.
  loop_.Post([channel = std::move(channel_)] {});
  channel_ = nullptr;
}

void Handover::Fail(const std::string& why) {
  const Stage stage = std::exchange(stage_, Stage::kNone);
  timer_.Cancel();
  DropChannel();
  spdlog::warn("the takeover by process {} has ended: {}; this one serves on", peer_, why);
  if (stage >= Stage::kSettling) events_.on_freeze(false);
  events_.on_failed(why);
}

void Handover::OnTimer() {
  const bool is_over = std::chrono::steady_clock::now() >= deadline_;
  switch (stage_) {
    case Stage::kNone:
      return;
    case Stage::kHello:
      return Fail("it says nothing");
    case Stage::kSettling:
      return is_over ? Fail("the config could not be written in time") : OfferWhenSettled();
    case Stage::kOffered:
      return Fail("it does not serve in time");
    case Stage::kHandedOver:
      OnBusy();
      timer_.Arm(loop_, std::chrono::steady_clock::now() + kReportInterval);
  }
}

void Handover::OnMessage(TakeoverChannel::Received received) {
  const v1::TakeoverMessage& message = received.message;
  switch (message.message_case()) {
    case v1::TakeoverMessage::kHello:
      if (stage_ == Stage::kHello) OnHello(message.hello());
      return;
    case v1::TakeoverMessage::kServing:
      if (stage_ == Stage::kOffered) OnServing(message.serving());
      return;
    case v1::TakeoverMessage::kFollow:
      if (is_handed_over()) OnFollow(message.follow().update());
      return;
    case v1::TakeoverMessage::kReopen:
      if (!is_handed_over()) return;
      events_.on_reopen();
      if (predecessor_ != nullptr) predecessor_->Reopen();
      return;
    default:
      return;  // a newer one's: not ours to judge
  }
}

std::string Handover::WhyNot(const v1::TakeoverHello& hello) const {
  if (hello.least_version() > kTakeoverVersion) {
    return "remuda-proxy " + hello.program() + " speaks version " +
           std::to_string(hello.least_version()) + " of takeovers at least, this process (" +
           options_.program + ") " + std::to_string(kTakeoverVersion) + " at most";
  }
  if (hello.version() < kLeastTakeoverVersion) {
    return "remuda-proxy " + hello.program() + " speaks version " +
           std::to_string(hello.version()) + " of takeovers at most, this process (" +
           options_.program + ") " + std::to_string(kLeastTakeoverVersion) + " at least";
  }
  if (hello.proxy() != options_.proxy) {
    const auto name = [](const std::string& proxy) {
      return proxy.empty() ? std::string("one with its config from a file") : "proxy " + proxy;
    };
    return "this process is " + name(options_.proxy) + ", that one is " + name(hello.proxy());
  }
  if (predecessor_ != nullptr && predecessor_->draining() > kMaxDraining) {
    return std::to_string(predecessor_->draining()) +
           " processes before this one still drain (kMaxDraining is " +
           std::to_string(kMaxDraining) + ")";
  }
  return "";
}

void Handover::OnHello(const v1::TakeoverHello& hello) {
  if (const std::string why = WhyNot(hello); !why.empty()) {
    Refuse(*channel_, why);
    return Fail("it is refused");
  }
  spdlog::info("process {} (remuda-proxy {}) takes over", peer_, hello.program());
  version_ = std::min(hello.version(), kTakeoverVersion);
  stage_ = Stage::kSettling;
  deadline_ = std::chrono::steady_clock::now() + kServingPatience;
  events_.on_freeze(true);
  OfferWhenSettled();
}

void Handover::OfferWhenSettled() {
  if (events_.is_settled()) return Offer();
  timer_.Arm(loop_, std::chrono::steady_clock::now() + kSettleLook);
}

void Handover::Offer() {
  stage_ = Stage::kOffered;
  timer_.Arm(loop_, deadline_);
  const auto listeners = coordinator_.listening().Sockets();
  const auto [admin, admin_port] = events_.admin();
  v1::TakeoverMessage message;
  v1::TakeoverOffer& offer = *message.mutable_offer();
  offer.set_version(version_);
  offer.set_program(options_.program);
  for (const KnownTarget& known : coordinator_.KnownTargets()) Write(known, *offer.add_targets());
  offer.set_sockets(static_cast<int>(listeners.size()) + (admin >= 0 ? 1 : 0));
  offer.set_draining(predecessor_ == nullptr ? 0 : predecessor_->draining());
  events_.describe(offer);
  if (channel_ != nullptr) channel_->Send(message);
  for (const auto& [key, open] : listeners) {
    message.mutable_sockets()->set_listener(key);
    message.mutable_sockets()->set_port(open.port);
    if (channel_ == nullptr || !channel_->Send(message, open.sockets)) return;
  }
  if (admin < 0 || channel_ == nullptr) return;
  message.mutable_sockets()->clear_listener();
  message.mutable_sockets()->set_port(admin_port);
  channel_->Send(message, {admin});
}

void Handover::OnServing(const v1::TakeoverServing& serving) {
  stage_ = Stage::kHandedOver;
  if (socket_.is_open()) loop_.Remove(socket_.get(), this);
  socket_.Reset();
  coordinator_.HandOver(options_.drain_timeout,
                        {serving.listeners().begin(), serving.listeners().end()});
  spdlog::info("process {} serves: this one drains, {} s at most", peer_,
               std::chrono::duration<double>(options_.drain_timeout).count());
  events_.on_handed_over();
  v1::TakeoverMessage message;
  v1::TakeoverYours& yours = *message.mutable_yours();
  yours.mutable_drain_timeout()->set_seconds(options_.drain_timeout.count() / 1000);
  yours.mutable_drain_timeout()->set_nanos(
      static_cast<int32_t>(options_.drain_timeout.count() % 1000 * 1000000));
  *yours.mutable_busy() = Busyness();
  channel_->Send(message, {lock_.fd()});
  lock_.Close();
  timer_.Arm(loop_, std::chrono::steady_clock::now() + kReportInterval);
}

v1::TakeoverBusy Handover::Busyness() const {
  v1::TakeoverBusy out;
  std::vector<Busy> busy = coordinator_.CountBusy();
  if (predecessor_ != nullptr) busy = Merge(std::move(busy), predecessor_->busy());
  for (const Busy& entry : busy) {
    v1::BusyTarget& target = *out.add_targets();
    target.set_target_group(entry.group);
    target.set_target(entry.target);
    target.set_requests_in_flight(static_cast<int64_t>(entry.in_flight));
  }
  for (const auto& [id, group] : coordinator_.newest()->groups) {
    const size_t held =
        group->state->CountHeld() + (predecessor_ == nullptr ? 0 : predecessor_->CountHeld(id));
    if (held == 0) continue;
    v1::Wake& wake = *out.add_held();
    wake.set_target_group(id);
    wake.set_held(static_cast<int64_t>(held));
  }
  return out;
}

void Handover::OnBusy() {
  if (!is_handed_over() || channel_ == nullptr) return;
  v1::TakeoverMessage message;
  *message.mutable_busy() = Busyness();
  channel_->Send(message);
}

void Handover::OnFollow(const v1::ConfigUpdate& update) {
  const Revision revision{update.revision().epoch(), update.revision().sequence()};
  const auto done = [this, revision] {
    if (channel_ == nullptr) return;
    v1::TakeoverMessage message;
    v1::TakeoverFollowed& followed = *message.mutable_followed();
    followed.mutable_revision()->set_epoch(revision.epoch);
    followed.mutable_revision()->set_sequence(revision.sequence);
    *followed.mutable_busy() = Busyness();
    channel_->Send(message);
  };
  if (predecessor_ != nullptr) predecessor_->Follow(update);
  const Revision base{update.base().epoch(), update.base().sequence()};
  const bool is_next = !update.has_base() || base == coordinator_.newest()->revision;
  const auto error =
      !is_next
          ? std::optional(ConfigError{"", "it is not the next one"})
          : coordinator_.Apply(update, false, [this, revision, done](const Coordinator::Adopted&) {
              if (predecessor_ == nullptr) return done();
              predecessor_->WhenFollowed(revision, done);
            });
  if (!error) return;
  spdlog::error(
      "what the controller says now is not understood here ({}: {}): nothing new is begun",
      error->resource, error->reason);
  BeginNothing();
  done();
}

void Handover::BeginNothing() { coordinator_.Drain(options_.drain_timeout); }

}  // namespace remuda::proxy
