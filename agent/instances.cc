#include "agent/instances.h"

#include <absl/strings/str_cat.h>
#include <signal.h>
#include <spdlog/spdlog.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <utility>

namespace remuda::agent {
namespace {

namespace fs = std::filesystem;
using std::chrono::milliseconds;

// A run this long ends a row of setbacks.
constexpr std::chrono::seconds kSteadyRun{30};

Progress ProgressOf(RunState state, bool has_files) {
  switch (state) {
    case RunState::kStarting:
      return Progress::kStarting;
    case RunState::kRunning:
      return Progress::kRunning;
    case RunState::kStopping:
      return Progress::kStopping;
    case RunState::kEnded:
      return Progress::kEnded;
    case RunState::kNone:
      break;
  }
  return has_files ? Progress::kPrepared : Progress::kAbsent;
}

bool IsAlive(const InstanceRun& run) {
  return run.state == RunState::kStarting || run.state == RunState::kRunning ||
         run.state == RunState::kStopping;
}

uint64_t HashOf(const std::string& id) { return std::hash<std::string>()(id); }

void SetTime(google::protobuf::Timestamp* time, int64_t unix_ms) {
  time->set_seconds(unix_ms / 1000);
  time->set_nanos(static_cast<int32_t>(unix_ms % 1000) * 1'000'000);
}

}  // namespace

Instances::Instances(EventLoop& loop, TaskThreads& transfers, TaskThreads& files,
                     ImageSource& source, Options options)
    : loop_(loop),
      transfers_(transfers),
      files_(files),
      options_(std::move(options)),
      images_({.directory = options_.data_directory + "/images"}, source),
      cgroups_(Cgroups::Detect()),
      supervisor_(loop,
                  {.instances_directory = options_.data_directory + "/instances",
                   .program = options_.program,
                   .on_change = [this](const std::string& id) { OnRunChange(id); },
                   .on_end = [](const std::string&,
                                const Record& run) { return Cgroups::End(run.All(key::kCgroup)); },
                   .delete_tree =
                       [this](const std::string& path) {
                         files_.Post([path] {
                           std::error_code error;
                           fs::remove_all(path, error);
                         });
                       }}),
      file_(std::make_shared<AssignmentFile>(options_.data_directory + "/assignment")) {
  session_.down_since = EventLoop::Now();
}

Instances::~Instances() {
  for (auto& [id, instance] : instances_) loop_.Cancel(instance.timer);
}

absl::Status Instances::Open() {
  std::error_code error;
  fs::create_directories(options_.data_directory + "/instances", error);
  if (error) {
    return absl::ErrnoToStatus(error.value(),
                               absl::StrCat("make ", options_.data_directory, "/instances"));
  }
  chmod((options_.data_directory + "/instances").c_str(), 0711);
  if (absl::Status status = images_.Open(); !status.ok()) return status;
  if (const auto wrong = LoadAssignment()) {
    // The controller sends it again; until then what runs goes on.
    spdlog::error("the assignment on disk is not used: {}", *wrong);
  }
  for (const auto& [id, assigned] : assignment_.instances()) instances_[id];
  supervisor_.AdoptAll();
  for (const std::string& id : supervisor_.Ids()) instances_[id];
  for (auto& [id, instance] : instances_)
    if (fs::is_directory(Dir(id).App(), error))
      instance.files_of = ReadWholeFile(Dir(id).Image()).value_or("");
  // Not at once: the loop begins, and a session may come, before anything is decided.
  loop_.Post([this] { EvaluateAll(); });
  return absl::OkStatus();
}

std::optional<std::string> Instances::LoadAssignment() {
  const auto loaded = file_->Load();
  if (!loaded.ok()) return std::string(loaded.status().message());
  if (!loaded->has_value()) return std::nullopt;
  if (const auto refusal = assignment_.Apply(**loaded, 0))
    return absl::StrCat(refusal->resource, ": ", refusal->reason);
  return std::nullopt;
}

void Instances::SaveAssignment() {
  file_->Save(assignment_.Whole());
  files_.Post([file = file_] {
    // A full disk must not keep a host from doing what it shall; only a start without a controller
    // suffers.
    if (const absl::Status status = file->Write(); !status.ok())
      spdlog::error("{}", std::string(status.message()));
  });
}

void Instances::Flush() {
  if (const absl::Status status = file_->Write(); !status.ok())
    spdlog::error("{}", std::string(status.message()));
}

std::optional<Refusal> Instances::Apply(const v1::AssignmentUpdate& update, int64_t min_epoch) {
  if (auto refusal = assignment_.Apply(update, min_epoch)) return refusal;
  SaveAssignment();
  for (const auto& [id, assigned] : assignment_.instances()) instances_[id];
  EvaluateAll();
  return std::nullopt;
}

void Instances::SessionUp() {
  session_.up = true;
  EvaluateAll();
}

void Instances::SessionDown() {
  if (!session_.up) return;
  session_ = {.up = false, .down_since = EventLoop::Now()};
  EvaluateAll();
}

std::vector<std::string> Instances::Ids() const {
  std::vector<std::string> ids;
  for (const auto& [id, instance] : instances_) ids.push_back(id);
  return ids;
}

std::vector<v1::InstanceStatus> Instances::Statuses() const {
  std::vector<v1::InstanceStatus> all;
  for (const auto& [id, instance] : instances_) all.push_back(StatusOf(id));
  return all;
}

std::string Instances::HolderOf(int port, const std::string& except) const {
  for (const auto& [id, instance] : instances_) {
    const InstanceRun* run = supervisor_.Find(id);
    if (id != except && run != nullptr && IsAlive(*run) && run->port == port) return id;
  }
  return {};
}

Facts Instances::FactsOf(const std::string& id) const {
  const Instance& instance = instances_.at(id);
  const v1::InstanceAssignment* assigned = assignment_.Find(id);
  const InstanceRun* run = supervisor_.Find(id);
  Facts facts;
  if (assigned != nullptr) {
    facts.wanted =
        assigned->desired() == v1::DESIRED_STATE_RUNNING ? Wanted::kRunning : Wanted::kStopped;
    const int port = assigned->launch_template().port();
    facts.port_is_held = port != 0 && !HolderOf(port, id).empty();
  }
  if (stopping_all_) facts.wanted = Wanted::kStopped;
  // Files of another image than the one wanted count as none.
  facts.has_files = !instance.files_of.empty() &&
                    (facts.wanted != Wanted::kRunning ||
                     instance.files_of == assigned->launch_template().image_digest());
  facts.progress = ProgressOf(run != nullptr ? run->state : RunState::kNone, facts.has_files);
  if (instance.preparing) facts.progress = Progress::kPreparing;
  facts.failed = instance.failed;
  facts.failure_is_final = instance.failure_is_final;
  facts.since = instance.since;
  facts.setbacks = instance.setbacks;
  return facts;
}

void Instances::EvaluateAll() {
  for (const std::string& id : Ids()) Evaluate(id);
}

void Instances::Evaluate(const std::string& id) {
  const auto it = instances_.find(id);
  if (it == instances_.end()) return;
  loop_.Cancel(it->second.timer);
  const Decision decision =
      Decide(FactsOf(id), session_, EventLoop::Now(), options_.seed ^ HashOf(id));
  if (decision.look_again)
    it->second.timer = loop_.At(*decision.look_again, [this, id] { Evaluate(id); });
  switch (decision.action) {
    case Action::kNothing:
      Tell(id);
      break;
    case Action::kPrepare:
      Prepare(id);
      break;
    case Action::kStart:
      Start(id);
      break;
    case Action::kStop:
      Stop(id);
      break;
    case Action::kForget:
      Forget(id);
      break;
  }
}

void Instances::Fail(const std::string& id, const absl::Status& status, bool final) {
  Instance& instance = instances_[id];
  instance.failed = true;
  instance.failure_is_final = final;
  instance.message = std::string(status.message());
  instance.since = EventLoop::Now();
  ++instance.setbacks;
  spdlog::warn("instance {}: {}{}", id, instance.message, final ? "" : " (will be tried again)");
  Evaluate(id);
}

void Instances::Start(const std::string& id) {
  const v1::InstanceAssignment* assigned = assignment_.Find(id);
  if (absl::Status status = TryStart(id, *assigned); !status.ok()) {
    Fail(id, status, absl::IsFailedPrecondition(status));
    return;
  }
  Instance& instance = instances_[id];
  instance.failed = false;
  instance.message.clear();
  instance.started = EventLoop::Now();
}

absl::Status Instances::TryStart(const std::string& id, const v1::InstanceAssignment& assigned) {
  const auto& launch_template = assigned.launch_template();
  const InstanceRun* last = supervisor_.Find(id);
  LaunchFacts facts;
  facts.host = options_.host;
  facts.app_directory = Dir(id).App();
  facts.restarts = last != nullptr && last->state == RunState::kEnded ? last->restarts + 1 : 0;
  auto user = FindUser(launch_template.user());
  if (!user.ok()) return user.status();
  facts.user = *std::move(user);
  facts.port = launch_template.port();
  if (facts.port == 0) {
    std::set<int> taken;
    for (const auto& [other, instance] : instances_) {
      if (const InstanceRun* run = supervisor_.Find(other); run != nullptr && other != id)
        taken.insert(run->port);
    }
    const auto port = ports_.Pick(options_.host.address, taken);
    if (!port.ok()) return port.status();
    facts.port = *port;
  } else if (!CanListen(options_.host.address, facts.port)) {
    return absl::UnavailableError(
        absl::StrCat("port ", facts.port, " on ", options_.host.address,
                     " is in use by a process that is no instance of this host"));
  }
  auto cgroups =
      cgroups_.Make(absl::StrCat(id, "-", RandomHex().substr(0, 6)), LimitsOf(launch_template));
  if (!cgroups.ok()) return cgroups.status();
  facts.cgroups = *std::move(cgroups);
  absl::Status status = supervisor_.Start(id, MakeRunRecord(assigned, facts));
  if (!status.ok()) Cgroups::End(facts.cgroups);
  return status;
}

void Instances::Stop(const std::string& id) {
  const v1::InstanceAssignment* assigned = assignment_.Find(id);
  // A STOPPED assignment may come without a template; what it was started with then holds.
  const auto run = Record::ReadFrom(Dir(id).Run());
  int64_t grace_ms = run ? run->Number(key::kGraceMs) : 0;
  int64_t signal = run ? run->Number(key::kStopSignal) : SIGTERM;
  if (assigned != nullptr && assigned->has_launch_template()) {
    const auto& t = assigned->launch_template();
    if (const int named = StopSignalNumber(t.stop_signal()); named != 0) signal = named;
    if (t.has_stop_grace())
      grace_ms = t.stop_grace().seconds() * 1000 + t.stop_grace().nanos() / 1'000'000;
  }
  supervisor_.Stop(id, static_cast<int>(signal), milliseconds(grace_ms));
}

void Instances::Forget(const std::string& id) {
  if (absl::Status status = supervisor_.Forget(id); !status.ok()) {
    spdlog::error("{}", std::string(status.message()));
    return;
  }
  loop_.Cancel(instances_[id].timer);
  instances_.erase(id);
  if (options_.on_removed) options_.on_removed(id);
  std::set<std::string> used;
  for (const auto& [other, assigned] : assignment_.instances())
    used.insert(assigned.launch_template().image_digest());
  files_.Post([this, used = std::move(used)] { images_.Prune(used); });
}

void Instances::OnRunChange(const std::string& id) {
  Instance& instance = instances_[id];
  const InstanceRun& run = *supervisor_.Find(id);
  if (run.state == RunState::kEnded) {
    instance.since = EventLoop::Now();
    const bool was_steady =
        instance.started != TimePoint{} && instance.since - instance.started > kSteadyRun;
    instance.setbacks = was_steady ? 1 : instance.setbacks + 1;
    instance.message = run.end->error;
    Tell(id);
    // The end may be what another one waits for: its port is free.
    EvaluateAll();
  } else {
    Evaluate(id);
  }
  if (all_stopped_) {
    for (const std::string& other : supervisor_.Ids()) {
      if (IsAlive(*supervisor_.Find(other))) return;
    }
    loop_.Post(std::exchange(all_stopped_, nullptr));
  }
}

void Instances::StopAll(std::function<void()> done) {
  stopping_all_ = true;
  bool any = false;
  for (const std::string& id : supervisor_.Ids()) any = any || IsAlive(*supervisor_.Find(id));
  if (!any) {
    loop_.Post(std::move(done));
    return;
  }
  all_stopped_ = std::move(done);
  EvaluateAll();
}

v1::InstanceStatus Instances::StatusOf(const std::string& id) const {
  const Instance& instance = instances_.at(id);
  const InstanceRun* run = supervisor_.Find(id);
  const Facts facts = FactsOf(id);
  v1::InstanceStatus status;
  status.set_instance(id);
  status.set_message(instance.message);
  if (run != nullptr) {
    status.set_pid(run->app_pid);
    status.set_port(run->port);
    status.set_restarts(run->restarts);
    if (run->started_unix_ms > 0) SetTime(status.mutable_start_time(), run->started_unix_ms);
    if (run->end) {
      auto* exit = status.mutable_exit();
      exit->set_code(run->end->code);
      exit->set_signal(run->end->signal);
      exit->set_out_of_memory(run->end->out_of_memory);
      exit->set_requested(run->end->requested);
      SetTime(exit->mutable_time(), run->end->ended_unix_ms);
    }
  }
  switch (facts.progress) {
    case Progress::kPreparing:
      status.set_state(v1::PROCESS_STATE_FETCHING);
      break;
    case Progress::kStarting:
      status.set_state(v1::PROCESS_STATE_STARTING);
      break;
    case Progress::kRunning:
      status.set_state(v1::PROCESS_STATE_RUNNING);
      break;
    case Progress::kStopping:
      status.set_state(v1::PROCESS_STATE_STOPPING);
      break;
    case Progress::kEnded:
      status.set_state(run->end->started ? v1::PROCESS_STATE_EXITED : v1::PROCESS_STATE_FAILED);
      break;
    case Progress::kAbsent:
    case Progress::kPrepared:
      if (facts.wanted == Wanted::kStopped) {
        // Told to end before it ever ran: it has ended.
        status.set_state(v1::PROCESS_STATE_EXITED);
        status.mutable_exit()->set_code(-1);
        status.mutable_exit()->set_requested(true);
      } else if (facts.progress == Progress::kAbsent) {
        status.set_state(v1::PROCESS_STATE_FETCHING);
      } else {
        status.set_state(v1::PROCESS_STATE_STARTING);
        if (const auto* assigned = assignment_.Find(id);
            facts.port_is_held && assigned != nullptr) {
          const int port = assigned->launch_template().port();
          status.set_message(absl::StrCat("waits for port ", port, ", which instance ",
                                          HolderOf(port, id), " still has"));
        }
      }
      break;
  }
  if (facts.failed && facts.failure_is_final && facts.wanted == Wanted::kRunning &&
      facts.progress != Progress::kRunning) {
    status.set_state(v1::PROCESS_STATE_FAILED);
  }
  return status;
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
