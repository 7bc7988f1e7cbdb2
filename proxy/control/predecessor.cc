#include "proxy/control/predecessor.h"

#include <spdlog/spdlog.h>

#include <algorithm>

namespace remuda::proxy {

using std::chrono::milliseconds;

std::vector<Busy> Merge(std::vector<Busy> busy, const std::vector<Busy>& more) {
  std::map<std::pair<std::string, std::string>, size_t> places;
  for (size_t i = 0; i < busy.size(); ++i) places[{busy[i].group, busy[i].target}] = i;
  for (const Busy& entry : more) {
    const auto [it, is_new] = places.try_emplace({entry.group, entry.target}, busy.size());
    if (is_new) {
      busy.push_back(entry);
    } else {
      busy[it->second].in_flight += entry.in_flight;
    }
  }
  return busy;
}

Predecessor::Predecessor(EventLoop& loop, std::shared_ptr<TakeoverChannel> channel,
                         Revision followed, int before, Events events)
    : loop_(loop),
      channel_(std::move(channel)),
      before_(before),
      events_(std::move(events)),
      asked_(followed),
      followed_(followed),
      patience_([this] { End("it does not end"); }),
      follow_patience_([this] { End("it does not take up what the controller says"); }) {
  const bool is_watched = channel_->Watch(
      loop_,
      {.on_message = [this](TakeoverChannel::Received received) { OnMessage(std::move(received)); },
       .on_closed = [this](const std::string& why) { End(why); }});
  if (!is_watched) loop_.Post([this] { End("it cannot be watched"); });
}

Predecessor::~Predecessor() {
  if (channel_ != nullptr) channel_->Close();
}

void Predecessor::SayServing(const std::vector<std::string>& listeners) {
  if (channel_ == nullptr) return;
  v1::TakeoverMessage message;
  for (const std::string& listener : listeners) message.mutable_serving()->add_listeners(listener);
  message.mutable_serving();
  patience_.Arm(loop_, std::chrono::steady_clock::now() + kYoursPatience);
  knows_we_serve_ = true;
  channel_->Send(message);
}

void Predecessor::Leave() {
  if (channel_ == nullptr) return;
  channel_->Close();
  // This may have come from one of its events.
  loop_.Post([channel = std::move(channel_)] {});
  channel_ = nullptr;
  patience_.Cancel();
  follow_patience_.Cancel();
  busy_.clear();
  held_.clear();
}

size_t Predecessor::CountHeld(const std::string& group) const {
  const auto it = held_.find(group);
  return it == held_.end() ? 0 : it->second;
}

void Predecessor::Follow(const v1::ConfigUpdate& update) {
  if (channel_ == nullptr) return;
  asked_ = {update.revision().epoch(), update.revision().sequence()};
  v1::TakeoverMessage message;
  *message.mutable_follow()->mutable_update() = update;
  follow_patience_.Arm(loop_, std::chrono::steady_clock::now() + kFollowPatience);
  channel_->Send(message);
}

void Predecessor::WhenFollowed(Revision revision, std::function<void()> done) {
  // What it was never told of, it need not confirm.
  if (channel_ == nullptr || std::min(revision, asked_) <= followed_) return done();
  waiting_.emplace_back(revision, std::move(done));
}

void Predecessor::Reopen() {
  if (channel_ == nullptr) return;
  v1::TakeoverMessage message;
  message.mutable_reopen();
  channel_->Send(message);
}

void Predecessor::TakeBusy(const v1::TakeoverBusy& busy) {
  busy_.clear();
  for (const v1::BusyTarget& target : busy.targets()) {
    if (target.requests_in_flight() <= 0) continue;
    busy_.push_back({target.target_group(), target.target(),
                     static_cast<uint64_t>(target.requests_in_flight())});
  }
  held_.clear();
  for (const v1::Wake& held : busy.held()) {
    if (held.held() > 0) held_[held.target_group()] = static_cast<size_t>(held.held());
  }
}

void Predecessor::OnMessage(TakeoverChannel::Received received) {
  const v1::TakeoverMessage& message = received.message;
  switch (message.message_case()) {
    case v1::TakeoverMessage::kYours: {
      if (is_yours_ || received.descriptors.size() != 1) return End("its yours is malformed");
      is_yours_ = true;
      TakeBusy(message.yours().busy());
      const auto& timeout = message.yours().drain_timeout();
      patience_.Arm(loop_, std::chrono::steady_clock::now() +
                               milliseconds(timeout.seconds() * 1000 + timeout.nanos() / 1000000) +
                               kEndGrace);
      return events_.on_yours(std::move(received.descriptors.front()));
    }
    case v1::TakeoverMessage::kFollowed: {
      const auto& revision = message.followed().revision();
      TakeBusy(message.followed().busy());
      return OnFollowed({revision.epoch(), revision.sequence()});
    }
    case v1::TakeoverMessage::kBusy:
      TakeBusy(message.busy());
      if (!is_yours_) return;
      events_.on_busy();
      for (const auto& [group, count] : held_) events_.on_held(group);
      return;
    case v1::TakeoverMessage::kRefusal:
      return End(message.refusal().reason());
    default:
      return;  // a newer one's: not ours to judge
  }
}

void Predecessor::OnFollowed(Revision revision) {
  followed_ = std::max(followed_, revision);
  if (followed_ >= asked_) follow_patience_.Cancel();
  while (!waiting_.empty() && waiting_.front().first <= followed_) {
    const auto done = std::move(waiting_.front().second);
    waiting_.pop_front();
    done();
  }
}

void Predecessor::End(const std::string& why) {
  if (channel_ == nullptr) return;
  Leave();
  const auto waiting = std::exchange(waiting_, {});
  for (const auto& [revision, done] : waiting) done();
  if (!is_yours_) return events_.on_lost(why);
  events_.on_busy();
  events_.on_ended();
}

}  // namespace remuda::proxy
