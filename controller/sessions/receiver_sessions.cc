#include "controller/sessions/receiver_sessions.h"

#include <absl/strings/str_cat.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "common/status.h"
#include "controller/core/model/names.h"
#include "controller/core/model/time.h"
#include "controller/limits.h"
#include "controller/sessions/lenient_parse.h"
#include "controller/sessions/report_limits.h"

namespace remuda {
namespace {

constexpr size_t kMaxLabels = 32;
constexpr size_t kMaxTextBytes = 255;

}  // namespace

void ReceiverSessions::OnOpened(const StreamPtr& stream) {
  if (closing_) return stream->Close(Unavailable(kStopping));
  if (sessions_.size() >= limits::kMaxSessions) {
    return stream->Close(LimitExceeded(
        "kMaxSessions", "there are " + std::to_string(limits::kMaxSessions) + " sessions already"));
  }
  auto session = std::make_unique<Session>();
  session->stream = stream;
  sessions_.emplace(stream.get(), std::move(session));
  loop_.At(engine_.Now() + limits::kHelloTimeout, [this, weak = std::weak_ptr<Stream>(stream)] {
    const StreamPtr open = weak.lock();
    const auto it = sessions_.find(open.get());
    if (open == nullptr || it == sessions_.end() || !it->second->name.empty() ||
        !it->second->wanted_name.empty())
      return;
    End(*it->second,
        DeadlineExceeded("no hello came within " + absl::FormatDuration(limits::kHelloTimeout)));
  });
}

void ReceiverSessions::OnMessage(const StreamPtr& stream, std::string_view bytes) {
  const auto it = sessions_.find(stream.get());
  if (it == sessions_.end() || it->second->is_departing) return;
  const absl::Status status = Handle(*it->second, bytes);
  if (!status.ok()) {
    // Handle may have ended other sessions, never this one.
    spdlog::warn("session {} from {} ends: {}",
                 it->second->name.empty() ? "(no hello)" : it->second->name, stream->peer(),
                 std::string(status.message()));
    End(*it->second, status);
  } else if (!it->second->wanted_name.empty()) {
    if (bytes.size() > limits::kMaxWaitingHelloBytes) {
      return Refuse(
          *it->second,
          absl::StrCat("; a hello that waits for a name may have ", limits::kMaxWaitingHelloBytes,
                       " bytes, this one has ", bytes.size(), " (kMaxWaitingHelloBytes)"));
    }
    it->second->hello = std::string(bytes);
  }
}

void ReceiverSessions::OnDrained(const StreamPtr& stream) {
  const auto it = sessions_.find(stream.get());
  if (it != sessions_.end() && !it->second->is_departing) FlushOne(*it->second);
}

void ReceiverSessions::OnClosed(const StreamPtr& stream) {
  const auto it = sessions_.find(stream.get());
  if (it == sessions_.end()) return;
  const std::unique_ptr<Session> session = std::move(it->second);
  sessions_.erase(it);
  StopWaiting(*session);
  Forget(*session);
  if (!session->is_departing) return;
  departing_.erase(departing_.find(session->name));
  spdlog::info("the process that had the name {} before has ended", session->name);
  if (Session* next = Find(session->name); next != nullptr) FlushOne(*next);
}

void ReceiverSessions::End(Session& session, const absl::Status& status) {
  const StreamPtr stream = session.stream;
  stream->Close(status);
  OnClosed(stream);
}

void ReceiverSessions::Forget(const Session& session) {
  const auto it = by_name_.find(session.name);
  if (it == by_name_.end() || it->second != &session) return;
  by_name_.erase(it);
  --session_count();
  spdlog::info("session of {} ended", session.name);
  Lost(session.name);
  // By tasks of their own: one session ends often because another begins. The first of them gets
  // the name, the others ask it.
  const auto [first, last] = waiting_.equal_range(session.name);
  for (auto next = first; next != last; ++next) {
    loop_.Post([this, stream = next->second->stream] { HandleAgain(stream); });
  }
}

absl::Status ReceiverSessions::Wait(Session& session, Session& first, const std::string& name) {
  if (waiting_.count(name) >= limits::kMaxWaitingForName) {
    return RefuseSecond(session, first,
                        absl::StrCat("; ", limits::kMaxWaitingForName,
                                     " others ask for the name already (kMaxWaitingForName)"));
  }
  if (first.asked == 0) {
    first.asked = ++last_ping_id_;
    Send(first, PingFrame(first.asked));
  }
  session.wanted_name = name;
  session.ping_id = first.asked;
  waiting_.emplace(name, &session);
  // It neither ended nor answered, but its connection would have been found dead by now.
  loop_.At(engine_.Now() + limits::kNameWait,
           [this, weak = std::weak_ptr<Stream>(session.stream), id = session.ping_id] {
             const StreamPtr open = weak.lock();
             const auto it = sessions_.find(open.get());
             if (open != nullptr && it != sessions_.end() && it->second->ping_id == id)
               Refuse(*it->second, "");
           });
  return absl::OkStatus();
}

void ReceiverSessions::StopWaiting(Session& session) {
  const auto [first, last] = waiting_.equal_range(session.wanted_name);
  for (auto it = first; it != last; ++it) {
    if (it->second != &session) continue;
    waiting_.erase(it);
    break;
  }
  session.wanted_name.clear();
  session.ping_id = 0;
}

void ReceiverSessions::HandleAgain(const StreamPtr& stream) {
  const auto it = sessions_.find(stream.get());
  if (it == sessions_.end() || it->second->wanted_name.empty()) return;
  StopWaiting(*it->second);
  const std::string hello = std::move(it->second->hello);
  OnMessage(stream, hello);
}

void ReceiverSessions::Refuse(Session& second, const std::string& why) {
  const Session* first = Find(second.wanted_name);
  // Its session has just ended: the task that handles the hello again is on its way.
  if (first == nullptr) return;
  const absl::Status status = RefuseSecond(second, *first, why);
  spdlog::warn("session from {} ends: {}", second.stream->peer(), std::string(status.message()));
  End(second, status);
}

void ReceiverSessions::OnPong(Session& session, int64_t ping_id) {
  if (ping_id != session.asked) return;
  session.asked = 0;
  std::vector<Session*> refused;  // at most limits::kMaxWaitingForName
  const auto [first, last] = waiting_.equal_range(session.name);
  for (auto it = first; it != last; ++it) refused.push_back(it->second);
  for (Session* second : refused) Refuse(*second, "");
}

void ReceiverSessions::GiveNameUp(Session& session, absl::Duration patience) {
  session.asked = 0;
  const auto next = waiting_.find(session.name);
  if (next == waiting_.end()) return;
  spdlog::info("{} drains at {}, and its name goes to the process at {}", session.name,
               session.stream->peer(), next->second->stream->peer());
  session.is_departing = true;
  departing_.insert(session.name);
  Forget(session);
  loop_.At(engine_.Now() + patience, [this, weak = std::weak_ptr<Stream>(session.stream)] {
    const StreamPtr open = weak.lock();
    const auto it = sessions_.find(open.get());
    if (open == nullptr || it == sessions_.end()) return;
    End(*it->second, Aborted("another process has the name " + it->second->name + " now"));
  });
}

void ReceiverSessions::NoteRefused(core::Refused& refused, const std::string& resource,
                                   const std::string& who, const std::string& peer,
                                   const std::string& why) {
  const absl::Time now = engine_.Now();
  const bool is_told = refused.who == who && refused.told + limits::kRefusalToldAgain > now;
  const bool is_too_soon = refused.told + limits::kMinRefusalInterval > now;
  refused.who = who;
  refused.peer = peer;
  refused.last = now;
  if (is_told || is_too_soon) return;
  refused.told = now;
  engine_.Add({.decide =
                   [resource, who, peer, why](core::Draft& draft, const core::Context& context) {
                     v1::Activity activity;
                     activity.set_resource(resource);
                     activity.set_description("Refused a second session of " + resource);
                     activity.set_cause(
                         absl::StrCat(who, " asks to join from ", peer, ", but ", why));
                     activity.set_status(v1::ACTIVITY_STATUS_FAILED);
                     *activity.mutable_start_time() = core::ToProto(context.now);
                     *activity.mutable_end_time() = core::ToProto(context.now);
                     draft.Note(std::move(activity));
                     return absl::OkStatus();
                   },
               .done = [](const absl::Status&, const core::State&) {}});
}

void ReceiverSessions::CloseAll() {
  closing_ = true;
  while (!sessions_.empty()) End(*sessions_.begin()->second, Unavailable(kStopping));
}

absl::Status ReceiverSessions::CheckIsOwn(const Session& session, std::string_view name_field,
                                          const std::string& name) {
  const CallerPtr caller = session.stream->caller();
  if (caller->is_local() || caller->peer.id.name == name) return absl::OkStatus();
  return absl::PermissionDeniedError(absl::StrCat(caller->actor(), " may not speak for ",
                                                  std::string(name_field), " \"",
                                                  name.substr(0, kMaxTextBytes), "\""));
}

absl::Status ReceiverSessions::Check(const Session& session, const HelloFields& hello) const {
  const auto field = [](std::string_view name) { return "hello." + std::string(name); };
  if (!core::IsValidId(hello.name)) {
    return InvalidField(field(hello.name_field),
                        "\"" + hello.name + "\" is not [a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?");
  }
  if (absl::Status own = CheckIsOwn(session, hello.name_field, hello.name); !own.ok()) return own;
  if (!hello.cluster_id.empty() && hello.cluster_id != identity_.cluster_id) {
    return FailedPrecondition("OTHER_CLUSTER",
                              hello.name + " belongs to cluster " + hello.cluster_id +
                                  ", this controller leads " + identity_.cluster_id +
                                  "; a data directory of another cluster must be removed by hand");
  }
  if (hello.held != nullptr && hello.held->epoch() > identity_.epoch) {
    return FailedPrecondition(
        "STALE_EPOCH", hello.name + " has followed epoch " + std::to_string(hello.held->epoch()) +
                           ", above this controller's, " + std::to_string(identity_.epoch));
  }
  if (hello.held_digest.size() > limits::kMaxMachineIdBytes) {
    return InvalidField("hello.held_digest",
                        absl::StrCat("is longer than ", limits::kMaxMachineIdBytes, " bytes"));
  }
  if (hello.incarnation.size() > limits::kMaxMachineIdBytes) {
    return InvalidField("hello.incarnation",
                        absl::StrCat("is longer than ", limits::kMaxMachineIdBytes, " bytes"));
  }
  if (hello.address.size() > kMaxTextBytes)
    return InvalidField("hello.address", "is longer than 255 bytes");
  if (hello.zone.size() > kMaxTextBytes)
    return InvalidField("hello.zone", "is longer than 255 bytes");
  if (hello.labels.size() > kMaxLabels)
    return InvalidField("hello.labels", "there are more than 32");
  for (const auto& [key, value] : hello.labels) {
    if (key.empty() || key.size() > kMaxTextBytes || value.size() > kMaxTextBytes) {
      return InvalidField("hello.labels", "\"" + key.substr(0, 64) +
                                              "\": keys have 1-255 bytes, values at most 255");
    }
  }
  return absl::OkStatus();
}

absl::Status ReceiverSessions::Read(const Session& session, std::string_view bytes,
                                    google::protobuf::Message& out) {
  if (bytes.size() > static_cast<size_t>(limits::kMaxRequestBytes)) {
    return LimitExceeded("kMaxRequestBytes",
                         absl::StrCat("a message may have ", limits::kMaxRequestBytes,
                                      " bytes, this one has ", bytes.size()));
  }
  if (bytes.size() > limits::kSmallReportBytes &&
      ParsedBytes(*out.GetDescriptor(), bytes, limits::kMaxParsedReportBytes) >=
          limits::kMaxParsedReportBytes) {
    return LimitExceeded("kMaxParsedReportBytes",
                         absl::StrCat("a message may take ", limits::kMaxParsedReportBytes,
                                      " bytes of memory; this one has too many parts"));
  }
  switch (LenientParse(bytes, out)) {
    case Parsed::kWell:
      return absl::OkStatus();
    case Parsed::kMended:
      ++metrics_.mended_messages;
      spdlog::warn(
          "a message of {} from {} held a text that is no UTF-8; its bytes are shown as U+FFFD",
          session.name.empty() ? "(no hello)" : session.name, session.stream->peer());
      return absl::OkStatus();
    case Parsed::kNot:
      break;
  }
  return InvalidField("message", "is not a " + out.GetTypeName());
}

absl::StatusOr<ReceiverSessions::Began> ReceiverSessions::Begin(Session& session,
                                                                const HelloFields& hello) {
  if (!session.name.empty() || !session.wanted_name.empty())
    return InvalidField("hello", "comes once, as the first message");
  if (absl::Status status = Check(session, hello); !status.ok()) return status;
  if (Session* earlier = Find(hello.name); earlier != nullptr) {
    // An older one knows no Ping.
    const bool gives_way = earlier->incarnation.empty() ||
                           earlier->incarnation == hello.incarnation ||
                           (!hello.lock.empty() && earlier->lock == hello.lock);
    if (!gives_way) {
      if (absl::Status status = Wait(session, *earlier, hello.name); !status.ok()) return status;
      return Began::kWaits;
    }
    End(*earlier,
        Aborted("another session of " + hello.name + " began from " + session.stream->peer()));
  }
  session.name = hello.name;
  session.incarnation = hello.incarnation;
  session.lock = hello.lock;
  by_name_[session.name] = &session;
  FlushLater(session);
  ++session_count();
  const bool of_this_epoch = hello.held != nullptr && hello.held->epoch() == identity_.epoch;
  session.held = of_this_epoch ? hello.held->sequence() : 0;
  if (hello.held != nullptr) {
    session.first_held = *hello.held;
    session.first_digest = hello.held_digest;
  }
  const bool known = of_this_epoch && views_.CanBuildOn(session.name, session.held);
  session.follower.Begin(known ? std::optional(session.held) : std::nullopt);
  v1::ReceiverStatus& status = StatusOf(session.name);
  status.Clear();
  if (known) *status.mutable_acknowledged() = *hello.held;
  spdlog::info("session of {} began from {}{}", session.name, session.stream->peer(),
               known ? ", it is up to date or gets a delta" : "");
  return Began::kYes;
}

ReceiverSessions::Session* ReceiverSessions::Find(std::string_view name) {
  const auto it = by_name_.find(name);
  return it == by_name_.end() ? nullptr : it->second;
}

void ReceiverSessions::Send(Session& session, Frame frame) {
  if (session.stream->queued() < limits::kMaxQueuedMessages)
    return session.stream->Send(std::move(frame));
  // Ended by a task of its own: the caller still uses the session.
  loop_.Post([this, stream = session.stream] {
    const auto it = sessions_.find(stream.get());
    if (it == sessions_.end()) return;
    End(*it->second, LimitExceeded("kMaxQueuedMessages", "the receiver does not read"));
  });
}

void ReceiverSessions::SendToAll(const Frame& frame) {
  for (const auto& [name, session] : by_name_) Send(*session, frame);
}

void ReceiverSessions::SetControllers(const std::vector<std::string>& addresses) {
  const auto& before = controllers_.addresses();
  if (std::equal(before.begin(), before.end(), addresses.begin(), addresses.end())) return;
  controllers_.mutable_addresses()->Assign(addresses.begin(), addresses.end());
  if (!addresses.empty()) SendToAll(ControllersFrame());
}

void ReceiverSessions::OnAck(Session& session, const v1::Revision& revision) {
  if (revision.epoch() != identity_.epoch || !session.follower.OnAck(revision.sequence())) return;
  ++metrics_.acks;
  metrics_.ack_seconds.Record(absl::ToDoubleSeconds(engine_.Now() - session.sent_at));
  v1::ReceiverStatus& status = StatusOf(session.name);
  FlushLater(session);
  // A refusal is what every gate names.
  if (status.has_rejected()) engine_.touched().all_groups = engine_.touched().deployments = true;
  *status.mutable_acknowledged() = revision;
  status.clear_rejected();
  status.clear_rejected_resource();
  status.clear_rejected_reason();
}

void ReceiverSessions::OnNack(Session& session, const v1::Revision& revision,
                              const std::string& resource, const std::string& reason) {
  if (revision.epoch() != identity_.epoch || !session.follower.OnNack(revision.sequence())) return;
  ++metrics_.nacks;
  spdlog::warn("{} rejects revision {}.{}: {}: {}", session.name, revision.epoch(),
               revision.sequence(), resource, reason);
  v1::ReceiverStatus& status = StatusOf(session.name);
  *status.mutable_rejected() = revision;
  status.set_rejected_resource(resource);
  status.set_rejected_reason(reason);
  engine_.touched().all_groups = engine_.touched().deployments = true;
  FlushLater(session);
}

void ReceiverSessions::Flush(const std::set<std::string>* touched) {
  std::set<std::string> some = std::exchange(unflushed_, {});
  if (touched == nullptr) {
    for (auto& [name, session] : by_name_) FlushOne(*session);
    return;
  }
  some.insert(touched->begin(), touched->end());
  for (const std::string& name : some) {
    if (Session* session = Find(name); session != nullptr) FlushOne(*session);
  }
}

void ReceiverSessions::FlushOne(Session& session) {
  if (session.name.empty()) return;
  const ViewLog* view = views_.ViewOf(session.name);
  if (view == nullptr) return;
  if (session.may_confirm && !departing_.contains(session.name) &&
      session.follower.in_force().has_value()) {
    const int64_t covered = views_.CoveredBy(session.name, *session.follower.in_force());
    v1::ReceiverStatus& status = StatusOf(session.name);
    const int64_t before = status.confirmed_commit();
    if (covered > before) {
      status.set_confirmed_commit(covered);
      Confirm(session.name, before, covered);
    }
  }
  if (session.stream->queued() != 0) return;
  const bool has_content =
      !session.first_digest.empty() && session.first_digest == views_.DigestOf(session.name);
  std::optional<Follower::Update> update = session.follower.Next(*view, has_content);
  if (!update.has_value()) return;
  if (!update->base.has_value() && view->sequence() <= session.held) {
    // It holds a revision of a view that we do not know any more; ours must be above it.
    views_.Surpass(session.name, session.held);
    session.follower.Begin(std::nullopt);
    session.held = 0;
    update = session.follower.Next(*view, has_content);
    if (!update.has_value()) return;
  }
  v1::ReceiverStatus& status = StatusOf(session.name);
  status.mutable_sent()->set_epoch(identity_.epoch);
  status.mutable_sent()->set_sequence(view->sequence());
  session.sent_at = engine_.Now();
  session.stream->Send(update->is_renaming ? views_.RenamingOf(session.name, session.first_held)
                                           : views_.UpdateFor(session.name, update->base));
  session.first_digest.clear();
  ++metrics_.updates_sent;
  if (!update->base.has_value() && !update->is_renaming) ++metrics_.whole_updates_sent;
}

}  // namespace remuda
