#include "controller/sessions/agent_sessions.h"

#include <absl/strings/str_cat.h>
#include <arpa/inet.h>

#include "common/status.h"
#include "controller/core/door/execute.h"
#include "controller/core/model/instance_state.h"
#include "controller/core/model/time.h"
#include "controller/limits.h"
#include "controller/sessions/report_bounds.h"
#include "controller/sessions/report_limits.h"

namespace remuda {
namespace {

bool IsIpAddress(const std::string& text) {
  if (text.find('\0') != std::string::npos) return false;  // C would not see what follows
  unsigned char bytes[sizeof(in6_addr)];
  return inet_pton(AF_INET, text.c_str(), bytes) == 1 ||
         inet_pton(AF_INET6, text.c_str(), bytes) == 1;
}

// The lock of an agent's directory; the kernel that keeps it names it.
std::string LockOf(const agent::v1::Hello& hello) {
  if (hello.lock().empty() || hello.boot_id().empty()) return "";
  return absl::StrCat(hello.boot_id(), "/", hello.lock());
}

// Reports add up, also of ids that nobody assigned.
absl::Status CheckKnown(const std::string& name, const core::HostObservation& seen) {
  if (seen.instances.size() <= limits::kMaxReportedInstances) return absl::OkStatus();
  return LimitExceeded("kMaxReportedInstances",
                       absl::StrCat("a host has at most ", limits::kMaxReportedInstances,
                                    " instances, ", name, " has told of ", seen.instances.size()));
}

// First key of a host in a map by (host, id).
template <class Map>
auto FirstOf(Map& map, const std::string& host) {
  return map.lower_bound({host, 0});
}

}  // namespace

absl::Status AgentSessions::Handle(Session& session, std::string_view bytes) {
  agent::v1::ConnectRequest request;
  if (absl::Status status = Read(session, bytes, request); !status.ok()) return status;
  if (absl::Status status = BoundReport(request); !status.ok()) return status;
  if (request.message_case() == agent::v1::ConnectRequest::kHello)
    return OnHello(session, std::move(*request.mutable_hello()));
  if (session.name.empty()) return InvalidField("hello", "must be the first message");
  return HandleReport(session, request);
}

absl::Status AgentSessions::HandleReport(Session& session,
                                         const agent::v1::ConnectRequest& request) {
  Seen(session.name).last_seen = engine_.Now();
  switch (request.message_case()) {
    case agent::v1::ConnectRequest::kAck:
      OnAck(session, request.ack().revision());
      break;
    case agent::v1::ConnectRequest::kNack:
      OnNack(session, request.nack().revision(), request.nack().resource(),
             request.nack().reason());
      break;
    case agent::v1::ConnectRequest::kReport:
      OnInstances(session.name, request.report());
      return CheckKnown(session.name, Seen(session.name));
    case agent::v1::ConnectRequest::kUsage:
      OnUsage(session.name, request.usage());
      break;
    case agent::v1::ConnectRequest::kLog:
      OnLog(session.name, request.log());
      break;
    case agent::v1::ConnectRequest::kSnapshot:
      FinishSnapshot({session.name, request.snapshot().snapshot_id()},
                     request.snapshot().error().empty()
                         ? absl::OkStatus()
                         : FailedPrecondition("SNAPSHOT_FAILED",
                                              session.name + ": " + request.snapshot().error()));
      break;
    case agent::v1::ConnectRequest::kPong:
      OnPong(session, request.pong().ping_id());
      break;
    case agent::v1::ConnectRequest::kAppCall:
      OnAppCall(session, request.app_call());
      break;
    case agent::v1::ConnectRequest::kHello:
    case agent::v1::ConnectRequest::MESSAGE_NOT_SET:
      // A newer agent's message: ignored, as unknown fields are.
      break;
  }
  return absl::OkStatus();
}

absl::Status AgentSessions::CheckMachine(const Session& session, const agent::v1::Hello& hello) {
  for (const auto& [field, text] :
       {std::pair("hello.machine_id", &hello.machine_id()),
        std::pair("hello.boot_id", &hello.boot_id()), std::pair("hello.lock", &hello.lock())}) {
    if (text->size() <= limits::kMaxMachineIdBytes) continue;
    return InvalidField(field,
                        absl::StrCat("is longer than ", limits::kMaxMachineIdBytes, " bytes"));
  }
  const auto* row = engine_.state().Find<v1::Host>(hello.host());
  const Session* first = Find(hello.host());
  const bool connected = first != nullptr;
  if (!session.name.empty() || (row == nullptr && !connected)) return absl::OkStatus();
  core::HostObservation& seen = Seen(hello.host());
  const std::string known = row != nullptr && !(*row)->machine_id().empty() ? (*row)->machine_id()
                            : connected ? seen.hello.machine_id()
                                        : "";
  // One that does not say who it is comes from before machines had ids; it may not push out one
  // that does.
  const bool is_other = hello.machine_id().empty() ? connected && !known.empty()
                                                   : !known.empty() && hello.machine_id() != known;
  // A copy of the machine, with its data directory. (Those that have incarnations are told apart by
  // them. The end of the session that a crash left is noticed within seconds.)
  const bool is_copy = connected && first->incarnation.empty() && !hello.boot_id().empty() &&
                       !seen.hello.boot_id().empty() && hello.boot_id() != seen.hello.boot_id();
  if (!is_other && !is_copy) return absl::OkStatus();
  const std::string who = hello.machine_id().empty() ? "(unknown)" : hello.machine_id();
  NoteRefused(
      seen.refused, "hosts/" + hello.host(),
      absl::StrCat("machine ", who, is_copy ? ", boot " : "", is_copy ? hello.boot_id() : ""),
      session.stream->peer(), hello.host() + " is another machine");
  return FailedPrecondition(
      "OTHER_MACHINE",
      absl::StrCat(
          "hosts/", hello.host(), " is another machine (", known.empty() ? "?" : known,
          is_copy ? ", connected now" : "", "), this one is ", who,
          ": give this agent a --name of its own; if the host was set up anew, run `remuda "
          "delete host ",
          hello.host(), "` once it is lost"));
}

Frame AgentSessions::PingFrame(int64_t ping_id) const {
  agent::v1::ConnectResponse response;
  response.mutable_ping()->set_ping_id(ping_id);
  return MakeFrame(response);
}

Frame AgentSessions::ControllersFrame() const {
  agent::v1::ConnectResponse response;
  *response.mutable_controllers() = controllers();
  return MakeFrame(response);
}

absl::Status AgentSessions::RefuseSecond(const Session& second, const Session& first,
                                         const std::string& why) {
  const std::string resource = "hosts/" + first.name;
  NoteRefused(Seen(first.name).refused, resource,
              "a second agent, with a copy of the data directory,", second.stream->peer(),
              absl::StrCat(first.name, " is connected from ", first.stream->peer()));
  return FailedPrecondition(
      "NAME_TAKEN",
      absl::StrCat(resource, " is connected from ", first.stream->peer(),
                   ", and this is another agent with a copy of its data directory: give this one a "
                   "--name and an empty --data-dir of its own, or end the other one",
                   why));
}

absl::Status AgentSessions::OnHello(Session& session, agent::v1::Hello hello) {
  if (absl::Status own = CheckIsOwn(session, "host", hello.host()); !own.ok()) return own;
  if (session.name.empty() && !IsIpAddress(hello.address())) {
    return InvalidField("hello.address",
                        "\"" + hello.address() + "\" is not an IPv4 or IPv6 address");
  }
  if (absl::Status status = CheckMachine(session, hello); !status.ok()) return status;
  const HelloFields fields{.name_field = "host",
                           .name = hello.host(),
                           .cluster_id = hello.cluster_id(),
                           .address = hello.address(),
                           .zone = hello.zone(),
                           .labels = hello.labels(),
                           .held = hello.has_held() ? &hello.held() : nullptr,
                           .held_digest = hello.held_digest(),
                           .incarnation = hello.incarnation(),
                           .lock = LockOf(hello)};
  const absl::StatusOr<Began> began = Begin(session, fields);
  if (!began.ok() || *began == Began::kWaits) return began.status();
  core::HostObservation& seen = Seen(session.name);
  seen.connected = seen.reported = true;
  seen.last_seen = engine_.Now();
  seen.instances.clear();
  seen.on_the_way.clear();
  for (const agent::v1::InstanceStatus& status : hello.instances()) {
    core::Report(seen, status, seen.last_seen);
  }
  hello.clear_instances();
  seen.hello = std::move(hello);
  TouchHost(engine_.state(), session.name, engine_.touched());

  agent::v1::ConnectResponse response;
  auto& welcome = *response.mutable_welcome();
  welcome.set_epoch(identity_.epoch);
  welcome.set_cluster_id(identity_.cluster_id);
  if (!controllers().addresses().empty()) *welcome.mutable_controllers() = controllers();
  *welcome.mutable_usage_interval() = core::ToProto(engine_.seen().metrics.period);
  Send(session, MakeFrame(response));
  return absl::OkStatus();
}

void AgentSessions::OnInstances(const std::string& name, const agent::v1::InstanceReport& report) {
  core::HostObservation& seen = Seen(name);
  Touched& touched = engine_.touched();
  touched.hosts.insert(name);
  touched.room = true;  // also of what no row tells any more
  for (const agent::v1::InstanceStatus& status : report.instances()) {
    core::Report(seen, status, seen.last_seen);
    TouchInstance(engine_.state(), status.instance(), touched);
  }
  for (const std::string& id : report.removed()) {
    core::Forget(seen, id);
    TouchInstance(engine_.state(), id, touched);
  }
}

void AgentSessions::OnAppCall(const Session& session, const agent::v1::AppCall& call) {
  if (engine_.queued() >= limits::kMaxQueuedRequests) {
    return AnswerApp(session.name, session.stream, call.call_id(),
                     LimitExceeded("kMaxQueuedRequests", "too many commands wait; try again later"),
                     nullptr);
  }
  const auto state = std::make_shared<core::AppState>();
  engine_.Add({
      .decide = [wish = core::AppWish{session.name, call}, state](
                    core::Draft& draft, const core::Context& context) -> absl::Status {
        auto decided = core::Execute(draft, wish, context);
        if (decided.ok()) *state = *std::move(decided);
        return decided.status();
      },
      .done = [this, state, name = session.name, stream = session.stream, call_id = call.call_id()](
                  const absl::Status& status,
                  const core::State&) { AnswerApp(name, stream, call_id, status, state.get()); },
  });
}

void AgentSessions::AnswerApp(const std::string& name, const StreamPtr& stream, int64_t call_id,
                              const absl::Status& status, const core::AppState* state) {
  Session* session = Find(name);
  if (session == nullptr || session->stream != stream) return;  // its numbers are another session's
  agent::v1::ConnectResponse response;
  agent::v1::AppAnswer& answer = *response.mutable_app_answer();
  answer.set_call_id(call_id);
  answer.set_code(static_cast<int>(status.code()));
  answer.set_message(std::string(status.message()));
  if (status.ok()) {
    constexpr std::string_view kPrefix = "INSTANCE_STATE_";
    const v1::Instance& instance = state->instance;
    answer.set_state(v1::InstanceState_Name(instance.state()).substr(kPrefix.size()));
    for (const auto& action : instance.lifecycle_actions()) {
      if (action.has_start_time()) answer.add_hooks(action.hook());
    }
    answer.set_is_protected(core::IsProtected(instance));
  }
  Send(*session, MakeFrame(response));
}

void AgentSessions::OnUsage(const std::string& name, const agent::v1::UsageReport& report) {
  core::HostObservation& seen = Seen(name);
  seen.used = report.host();
  std::set<std::string>& touched = engine_.touched().instances;
  for (const auto& [id, usage] : seen.usage.instances) touched.insert(id);
  core::TakeUsage(report, engine_.Now(), engine_.seen().metrics.period, seen.usage);
  for (const auto& [id, usage] : seen.usage.instances) touched.insert(id);
}

absl::StatusOr<AgentSessions::LogReader> AgentSessions::ReadLog(const std::string& host,
                                                                agent::v1::LogRequest request,
                                                                OnChunk on_chunk) {
  Session* session = Find(host);
  if (session == nullptr)
    return Unavailable("hosts/" + host + " has no session: its logs cannot be read now");
  size_t readers = 0;
  for (auto it = FirstOf(logs_, host); it != logs_.end() && it->first.first == host; ++it)
    ++readers;
  if (readers >= limits::kMaxLogReadersPerHost) {
    return LimitExceeded(
        "kMaxLogReadersPerHost",
        "hosts/" + host + " has " + std::to_string(readers) + " log readers already");
  }
  const LogReader reader{host, next_request_id_++};
  logs_[{host, reader.stream_id}] = std::move(on_chunk);
  request.set_stream_id(reader.stream_id);
  agent::v1::ConnectResponse response;
  *response.mutable_log() = std::move(request);
  Send(*session, MakeFrame(response));
  return reader;
}

void AgentSessions::CancelLog(const LogReader& reader) {
  if (logs_.erase({reader.host, reader.stream_id}) == 0) return;
  Session* session = Find(reader.host);
  if (session == nullptr) return;
  agent::v1::ConnectResponse response;
  response.mutable_log_cancel()->set_stream_id(reader.stream_id);
  Send(*session, MakeFrame(response));
}

void AgentSessions::OnLog(const std::string& name, const agent::v1::LogChunk& chunk) {
  const auto it = logs_.find({name, chunk.stream_id()});
  if (it == logs_.end()) return;
  // A copy: the reader may cancel from inside, and so erase itself.
  const OnChunk on_chunk = it->second;
  if (chunk.end()) logs_.erase(it);
  on_chunk(chunk);
}

void AgentSessions::Snapshot(const std::string& host, agent::v1::SnapshotRequest request,
                             std::function<void(const absl::Status&)> done,
                             absl::Duration timeout) {
  Session* session = Find(host);
  if (session == nullptr)
    return done(Unavailable("hosts/" + host + " has no session: no image can be made there now"));
  const Key key{host, next_request_id_++};
  snapshots_[key] = {request.instance(), request.image_id(), std::move(done)};
  request.set_snapshot_id(key.second);
  agent::v1::ConnectResponse response;
  *response.mutable_snapshot() = std::move(request);
  Send(*session, MakeFrame(response));
  loop_.At(engine_.Now() + timeout, [this, key] {
    FinishSnapshot(key, DeadlineExceeded("hosts/" + key.first + " has not made the image in time"));
  });
}

void AgentSessions::FinishSnapshot(const Key& key, const absl::Status& status) {
  auto it = snapshots_.extract(key);
  if (!it.empty()) it.mapped().done(status);
}

bool AgentSessions::IsMaking(const std::string& host, std::string_view instance,
                             std::string_view image_id) const {
  for (auto it = FirstOf(snapshots_, host); it != snapshots_.end() && it->first.first == host;
       ++it) {
    if (it->second.instance == instance && it->second.image_id == image_id) return true;
  }
  return false;
}

void AgentSessions::Confirm(const std::string& name, int64_t before, int64_t commit) {
  if (on_confirmed_) on_confirmed_();
  // Only what never ran and shall not waits for its agent's word.
  for (const std::string& id : engine_.state().InstancesOnHost(name)) {
    const auto* instance = engine_.state().Find<v1::Instance>(id);
    if ((*instance)->state() != v1::INSTANCE_STATE_STOPPING) continue;
    if (instance->commit <= before || instance->commit > commit) continue;
    engine_.touched().groups.insert((*instance)->auto_scaling_group());
  }
}

void AgentSessions::Lost(const std::string& name) {
  core::HostObservation& seen = Seen(name);
  seen.connected = false;
  seen.last_seen = engine_.Now();
  TouchHost(engine_.state(), name, engine_.touched());
  // When the controller ends, these calls say so as all others do.
  const std::string why = is_closing() ? kStopping : "hosts/" + name + " has lost its session";
  while (true) {
    const auto it = FirstOf(logs_, name);
    if (it == logs_.end() || it->first.first != name) break;
    const OnChunk on_chunk = std::move(it->second);
    logs_.erase(it);
    agent::v1::LogChunk last;
    last.set_end(true);
    last.set_error(why);
    on_chunk(last);
  }
  while (true) {
    const auto it = FirstOf(snapshots_, name);
    if (it == snapshots_.end() || it->first.first != name) break;
    FinishSnapshot(it->first, Unavailable(why + "; the image was not finished"));
  }
}

}  // namespace remuda
