#include "agent/instances.h"

#include <absl/strings/str_cat.h>
#include <spdlog/spdlog.h>
#include <sys/stat.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <utility>

#include "agent/log_tail.h"
#include "agent/private_files.h"

namespace remuda::agent {
namespace {

namespace fs = std::filesystem;

// A run this long ends a row of setbacks.
constexpr std::chrono::seconds kSteadyRun{30};
constexpr std::chrono::seconds kForgetRetry{1};
constexpr std::chrono::seconds kPruneEvery{60};

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
    case RunState::kLocked:
      return Progress::kLocked;
    case RunState::kNone:
      break;
  }
  return has_files ? Progress::kPrepared : Progress::kAbsent;
}

Wanted WantedBy(const v1::InstanceAssignment& assigned) {
  switch (assigned.desired()) {
    case v1::DESIRED_STATE_RUNNING:
      return Wanted::kRunning;
    case v1::DESIRED_STATE_PREPARED:
      return Wanted::kPrepared;
    default:
      return Wanted::kStopped;
  }
}

uint64_t HashOf(const std::string& id) { return std::hash<std::string>()(id); }

}  // namespace

Instances::Instances(EventLoop& loop, TaskThreads& transfers, TaskThreads& files,
                     ImageSource& source, Options options)
    : loop_(loop),
      transfers_(transfers),
      files_(files),
      options_(std::move(options)),
      images_({.directory = options_.data_directory + "/images", .unpacker = options_.program},
              source),
      cgroups_(Cgroups::Detect()),
      users_({.range = options_.users,
              .allow_root = options_.allow_root_apps,
              .counter = options_.data_directory + "/last-user"}),
      containment_({.program = options_.program,
                    .data_directory = options_.data_directory,
                    .users = options_.users,
                    .readable = options_.readable}),
      logs_({.directory = options_.data_directory + "/logs"}),
      secret_files_(options_.data_directory + "/secrets"),
      supervisor_(loop, {.instances_directory = options_.data_directory + "/instances",
                         .program = options_.program,
                         .on_change = [this](const std::string& id) { OnRunChange(id); },
                         .on_end =
                             [this](const std::string& id, const Record& run) {
                               secret_files_.Remove(id);
                               return EndCgroups(run.All(key::kCgroup));
                             },
                         .on_forget =
                             [this](const std::string& id) {
                               logs_.Keep(id, Dir(id).Logs(), std::chrono::system_clock::now());
                             },
                         .delete_tree =
                             [this](const std::string& path) {
                               files_.Post([path] {
                                 std::error_code error;
                                 fs::remove_all(path, error);
                               });
                             }}),
      firewall_(loop, files, {.host = options_.name, .program = options_.nft}),
      file_(std::make_shared<AssignmentFile>(options_.data_directory + "/assignment")) {
  session_.down_since = EventLoop::Now();
}

Instances::~Instances() {
  for (auto& [id, instance] : instances_) loop_.Cancel(instance.timer);
  loop_.Cancel(prune_timer_);
  loop_.Cancel(cgroup_timer_);
  loop_.Cancel(disk_timer_);
  loop_.Cancel(left_cgroups_timer_);
}

absl::Status Instances::Open() {
  std::error_code error;
  fs::create_directories(options_.data_directory + "/instances", error);
  if (error) {
    return absl::ErrnoToStatus(error.value(),
                               absl::StrCat("make ", options_.data_directory, "/instances"));
  }
  chmod((options_.data_directory + "/instances").c_str(), 0711);
  if (absl::Status status = ClosePrivateFiles(options_.data_directory); !status.ok()) return status;
  if (absl::Status status = images_.Open(); !status.ok()) return status;
  if (const auto wrong = LoadAssignment()) {
    // The controller sends it again; until then what runs goes on.
    spdlog::error("the assignment on disk is not used: {}", *wrong);
  }
  for (const auto& [id, assigned] : assignment_.instances()) TakeUp(assigned);
  supervisor_.AdoptAll();
  for (const std::string& id : supervisor_.Ids()) {
    const InstanceRun& run = *supervisor_.Find(id);
    instances_[id];
    if (run.state == RunState::kEnded) NoteEnd(id, run);
  }
  std::set<std::string> with_process;
  for (const std::string& id : supervisor_.Ids()) {
    if (IsAlive(*supervisor_.Find(id))) with_process.insert(id);
  }
  secret_files_.RemoveAllBut(with_process);
  for (auto& [id, instance] : instances_) {
    instance.files_of = FilesIn(Dir(id));
    instance.next_of = NextFilesIn(Dir(id));
    tokens_.Load(id, Dir(id));
    users_.Load(id, Dir(id));
  }
  firewall_.Open();
  firewall_.Want(FilteredPorts(nullptr, 0));
  logs_.Open();
  PruneLogs();
  PruneImages();
  LookAtDisks();
  RemoveLeftCgroups();
  // Not at once: the loop begins, and a session may come, before anything is decided. And not
  // before all of the above is known: to what was not yet taken up, one that runs looks absent.
  loop_.Post([this] { EvaluateAll(); });
  // Nothing is done about these, and the session's first message tells of them.
  for (const std::string& id : Ids()) {
    const InstanceRun* run = FindRun(id);
    if (run == nullptr || run->state == RunState::kNone) CheckPrepared(id);
  }
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
  for (const auto& [id, assigned] : assignment_.instances()) TakeUp(assigned);
  firewall_.Want(FilteredPorts(nullptr, 0));
  EvaluateAll();
  return std::nullopt;
}

// What the generation before failed at, or waits for, is not this one's; nor is what a start failed
// at of any interest to one that shall only be prepared.
void Instances::TakeUp(const v1::InstanceAssignment& assigned) {
  const std::string& id = assigned.instance();
  Instance& instance = instances_[id];
  const v1::DesiredState before = std::exchange(instance.desired, assigned.desired());
  const bool is_turned =
      before != assigned.desired() &&
      (before == v1::DESIRED_STATE_PREPARED || assigned.desired() == v1::DESIRED_STATE_PREPARED);
  const bool is_changed = assigned.generation() > instance.generation;
  if (!is_turned && !is_changed) return;
  instance.failed = false;
  instance.setbacks = 0;
  instance.came_bytes = 0;
  instance.started = {};
  instance.message.clear();
  instance.log_tail.clear();
  if (!is_changed) return;
  instance.generation = assigned.generation();
  if (!instance.fetching) return;
  for (auto& [digest, waiting] : fetching_) {
    if (digest == assigned.launch_template().image_digest()) continue;
    const auto it = std::find(waiting.begin(), waiting.end(), id);
    if (it == waiting.end()) continue;
    waiting.erase(it);
    instance.preparing = instance.fetching = false;
  }
}

void Instances::SessionUp() {
  session_ = {.up = true, .up_since = EventLoop::Now()};
  EvaluateAll();
}

void Instances::SessionDown() {
  if (!session_.up) return;
  session_ = {.up = false, .down_since = EventLoop::Now()};
  EvaluateAll();
}

std::map<std::string, std::string> Instances::Lacks() {
  std::map<std::string, std::string> lacks = containment_.lacks();
  lacks.insert(cgroups_.lacks().begin(), cgroups_.lacks().end());
  if (!firewall_.why_not().empty()) lacks["ingress_filter"] = firewall_.why_not();
  if (const absl::Status status = secret_files_.Ready(); !status.ok())
    lacks["secret_files"] = std::string(status.message());
  return lacks;
}

std::vector<std::string> Instances::Ids() const {
  std::vector<std::string> ids;
  for (const auto& [id, instance] : instances_) ids.push_back(id);
  return ids;
}

std::string Instances::GroupOf(const std::string& id) const {
  const v1::InstanceAssignment* assigned = assignment_.Find(id);
  return assigned == nullptr ? "" : assigned->auto_scaling_group();
}

bool Instances::IsOld(const std::string& id, const InstanceRun* run) const {
  const auto it = instances_.find(id);
  return it != instances_.end() && run != nullptr && run->generation < it->second.generation;
}

bool Instances::IsSpent(const std::string& id, const InstanceRun& run) const {
  if (run.state != RunState::kEnded) return false;
  const v1::InstanceAssignment* assigned = assignment_.Find(id);
  if (assigned == nullptr) return false;
  return assigned->desired() == v1::DESIRED_STATE_PREPARED ||
         (assigned->desired() == v1::DESIRED_STATE_RUNNING && run.end->to_prepare);
}

bool Instances::MayPrint(const std::string& id) const {
  const InstanceRun* run = supervisor_.Find(id);
  if (run == nullptr) return false;
  return run->state != RunState::kEnded ||
         (IsOld(id, run) && FactsOf(id).wanted == Wanted::kRunning);
}

Facts Instances::FactsOf(const std::string& id) const {
  const Instance& instance = instances_.at(id);
  const v1::InstanceAssignment* assigned = assignment_.Find(id);
  const InstanceRun* run = supervisor_.Find(id);
  Facts facts;
  if (assigned != nullptr) {
    facts.wanted = WantedBy(*assigned);
    const int port = FixedPort(id);
    facts.port_is_held = port != 0 && !HolderOf(port, id).empty();
  }
  // One that is to be prepared has no process afterwards anyway.
  if (stopping_all_ && facts.wanted != Wanted::kPrepared) facts.wanted = Wanted::kStopped;
  // Files of another image than the one wanted count as none.
  if (facts.wanted == Wanted::kRunning || facts.wanted == Wanted::kPrepared) {
    const std::string wanted = FilesWanted(*assigned);
    facts.has_files = instance.files_of == wanted;
    facts.has_next = instance.next_of == wanted;
  } else {
    facts.has_files = !instance.files_of.empty();
  }
  facts.is_old = IsOld(id, run);
  RunState state = run != nullptr ? run->state : RunState::kNone;
  facts.has_spent_end = run != nullptr && facts.wanted != Wanted::kStopped && IsSpent(id, *run);
  if (facts.has_spent_end || (facts.is_old && state == RunState::kEnded)) state = RunState::kNone;
  facts.progress = ProgressOf(state, facts.has_files);
  facts.preparing = instance.preparing;
  facts.failed = instance.failed;
  facts.failure_is_final = instance.failure_is_final;
  facts.failing_since = instance.failing_since;
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
    case Action::kInstall:
      Install(id);
      break;
    case Action::kStart:
      Start(id);
      break;
    case Action::kStop:
      if (IsOld(id, FindRun(id)) && FactsOf(id).wanted == Wanted::kRunning) {
        StopForChange(id);
      } else {
        Stop(id);
      }
      break;
    case Action::kSettle:
      Settle(id);
      break;
    case Action::kForget:
      Forget(id);
      break;
    case Action::kGiveUp:
      GiveUp(id);
      break;
  }
}

void Instances::Fail(const std::string& id, const absl::Status& status, bool final) {
  Instance& instance = instances_[id];
  if (!instance.failed) instance.failing_since = EventLoop::Now();
  instance.failed = true;
  instance.failure_is_final = final;
  instance.message = std::string(status.message());
  instance.since = EventLoop::Now();
  ++instance.setbacks;
  spdlog::warn("instance {}: {}{}", id, instance.message, final ? "" : " (will be tried again)");
  Evaluate(id);
}

void Instances::GiveUp(const std::string& id) {
  Instance& instance = instances_[id];
  instance.failure_is_final = true;
  spdlog::warn("instance {}: could not be started for {} s: {}", id, kLaunchDeadline.count(),
               instance.message);
  Tell(id);
}

void Instances::Forget(const std::string& id) {
  if (absl::Status status = supervisor_.Forget(id); !status.ok()) {
    spdlog::error("{}", std::string(status.message()));
    instances_[id].timer = loop_.After(kForgetRetry, [this, id] { Evaluate(id); });
    return;
  }
  loop_.Cancel(instances_[id].timer);
  instances_.erase(id);
  tokens_.Forget(id);
  users_.Forget(id);
  secret_files_.Remove(id);
  if (options_.on_removed) options_.on_removed(id);
  PruneImages();
}

void Instances::PruneImages() {
  std::set<std::string> used;
  for (const auto& [id, assigned] : assignment_.instances())
    used.insert(assigned.launch_template().image_digest());
  // What is in an instance's directory and not in its image is the app's (see app_files.h).
  for (const auto& [id, instance] : instances_) {
    used.insert(DigestOf(instance.files_of));
    if (!instance.next_of.empty())
      used.insert(DigestOf(ReadWholeFile(Dir(id).Image()).value_or("")));
  }
  files_.Post([this, used = std::move(used)] { images_.Prune(used); });
}

std::string Instances::LogDirectory(const std::string& id) const {
  std::error_code error;
  const bool is_here = instances_.count(id) > 0;
  if (is_here && fs::exists(Dir(id).Logs(), error)) return Dir(id).Logs();
  const std::string kept = logs_.Find(id);
  return kept.empty() && is_here ? Dir(id).Logs() : kept;
}

void Instances::PruneLogs() {
  logs_.Prune(std::chrono::system_clock::now());
  prune_timer_ = loop_.After(kPruneEvery, [this] { PruneLogs(); });
}

void Instances::NoteEnd(const std::string& id, const InstanceRun& run) {
  const std::string ended_for = std::exchange(instances_[id].ended_for, {});
  if (IsOld(id, &run) || IsSpent(id, run)) return;
  Instance& instance = instances_[id];
  instance.since = EventLoop::Now();
  const bool was_steady =
      instance.started != TimePoint{} && instance.since - instance.started > kSteadyRun;
  instance.setbacks = was_steady ? 1 : instance.setbacks + 1;
  instance.message = ended_for.empty() ? run.end->error : ended_for;
  instance.log_tail = run.end->requested ? "" : LogTail(Dir(id).Logs(), LogMark(run.generation));
}

void Instances::OnRunChange(const std::string& id) {
  const InstanceRun& run = *supervisor_.Find(id);
  firewall_.Want(FilteredPorts(nullptr, 0));
  if (run.state == RunState::kEnded) {
    NoteEnd(id, run);
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
    // The program is about to end, and its workers with it.
    if (firewall_.why_not().empty()) firewall_.Enforce(FilteredPorts(nullptr, 0)).IgnoreError();
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

}  // namespace remuda::agent
