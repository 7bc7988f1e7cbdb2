// Instances, the part that starts and ends their processes.
#include <absl/strings/str_cat.h>
#include <signal.h>
#include <spdlog/spdlog.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <utility>

#include "agent/core/instance_secrets.h"
#include "agent/instances.h"

namespace remuda::agent {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kSweepEvery{500};
// Cgroups that wait to be empty; more are left where they are.
constexpr size_t kMaxLeftCgroups = 1000;

// Whether the program of a path can be there; one by a bare name is looked for when it is started.
// Of a static site: its directory.
absl::Status CheckProgram(const remuda::v1::LaunchTemplateVersion& launch_template,
                          const std::string& files) {
  if (launch_template.has_static_site()) {
    const std::string& root = launch_template.static_site().root();
    struct stat st {};
    if (root.empty() ||
        (stat(absl::StrCat(files, "/", root).c_str(), &st) == 0 && S_ISDIR(st.st_mode))) {
      return absl::OkStatus();
    }
    return absl::FailedPreconditionError(
        absl::StrCat("static_site.root \"", root, "\": is no directory in the image"));
  }
  const std::string& program = launch_template.command(0);
  if (program.find('/') == std::string::npos) return absl::OkStatus();
  const bool is_absolute = program[0] == '/';
  struct stat st {};
  if (stat((is_absolute ? program : absl::StrCat(files, "/", program)).c_str(), &st) != 0) {
    if (errno != ENOENT && errno != ENOTDIR) return absl::OkStatus();
    return absl::FailedPreconditionError(absl::StrCat(
        "program \"", program, "\": is not ", is_absolute ? "on this host" : "in the image"));
  }
  if ((st.st_mode & 0111) == 0 || S_ISDIR(st.st_mode)) {
    return absl::FailedPreconditionError(
        absl::StrCat("program \"", program, "\": is not executable"));
  }
  return absl::OkStatus();
}

}  // namespace

std::string Instances::HolderOf(int port, const std::string& except) const {
  for (const auto& [id, instance] : instances_) {
    const InstanceRun* run = supervisor_.Find(id);
    if (id != except && run != nullptr && IsAlive(*run) && run->port == port) return id;
  }
  return {};
}

int Instances::FixedPort(const std::string& id) const {
  const v1::InstanceAssignment* assigned = assignment_.Find(id);
  const int port = assigned == nullptr ? 0 : assigned->launch_template().port();
  if (port != 0) return port;
  // An instance that is changed keeps its port, whoever picked it.
  const InstanceRun* last = supervisor_.Find(id);
  return IsOld(id, last) ? last->port : 0;
}

void Instances::Start(const std::string& id) {
  const v1::InstanceAssignment* assigned = assignment_.Find(id);
  const bool is_changed = IsOld(id, FindRun(id));
  if (absl::Status status = TryStart(id, *assigned); !status.ok()) {
    Fail(id, status, absl::IsFailedPrecondition(status));
    return;
  }
  Instance& instance = instances_[id];
  instance.failed = false;
  instance.message.clear();
  instance.log_tail.clear();
  instance.started = EventLoop::Now();
  DropNext(id);
  if (is_changed) PruneImages();
}

absl::Status Instances::TryStart(const std::string& id, const v1::InstanceAssignment& assigned) {
  const auto& launch_template = assigned.launch_template();
  const InstanceRun* last = supervisor_.Find(id);
  LaunchFacts facts;
  facts.host = options_.host;
  facts.dir = Dir(id);
  const bool ran_before = last != nullptr && last->state == RunState::kEnded &&
                          last->generation == assigned.generation();
  facts.restarts = ran_before ? last->restarts + 1 : 0;
  facts.is_first_of_generation = !ran_before;
  if (absl::Status status = CheckHost(assigned); !status.ok()) return status;
  auto user = users_.Ensure(id, Dir(id), launch_template.user());
  if (!user.ok()) return user.status();
  facts.user = *std::move(user);
  const auto port = PortFor(id);
  if (!port.ok()) return port.status();
  facts.port = *port;
  if (absl::Status status = FilterPort(assigned, facts.port); !status.ok()) return status;
  if (!agent_url_.empty()) {
    const auto token = tokens_.Ensure(id, Dir(id));
    if (!token) return absl::ErrnoToStatus(errno, absl::StrCat("write ", Dir(id).Token()));
    facts.agent_url = agent_url_;
    facts.token = *token;
  }
  if (absl::Status status = GiveSecrets(assigned, facts); !status.ok()) return status;
  auto cgroups = cgroups_.Make(id, LimitsOf(launch_template));
  if (!cgroups.ok()) {
    secret_files_.Remove(id);
    return cgroups.status();
  }
  facts.cgroups = *std::move(cgroups);
  absl::Status status = supervisor_.Start(id, MakeRunRecord(assigned, facts, containment_));
  if (!status.ok()) {
    EndCgroups(facts.cgroups);
    secret_files_.Remove(id);
  }
  return status;
}

absl::Status Instances::GiveSecrets(const v1::InstanceAssignment& assigned, LaunchFacts& facts) {
  auto secrets = SecretsOf(assigned);
  if (!secrets.ok()) return secrets.status();
  facts.secret_env = std::move(secrets->env);
  if (secrets->files.empty()) {
    secret_files_.Remove(assigned.instance());
    return absl::OkStatus();
  }
  std::optional<SecretFiles::Owner> owner;
  if (facts.user) owner = {.uid = facts.user->uid, .gid = facts.user->gid};
  auto directory = secret_files_.Put(assigned.instance(), secrets->files, owner);
  if (!directory.ok()) return directory.status();
  facts.secrets_directory = *std::move(directory);
  return absl::OkStatus();
}

absl::Status Instances::CheckSecrets(const v1::InstanceAssignment& assigned) {
  const auto secrets = SecretsOf(assigned);
  if (!secrets.ok()) return secrets.status();
  return secrets->files.empty() ? absl::OkStatus() : secret_files_.Ready();
}

absl::StatusOr<int> Instances::PortFor(const std::string& id) {
  const std::string& address = options_.host.address;
  if (const int fixed = FixedPort(id); fixed != 0) {
    if (CanListen(address, fixed)) return fixed;
    return absl::UnavailableError(absl::StrCat("port ", fixed, " on ", address,
                                               " is in use by a process that is no instance of "
                                               "this host"));
  }
  std::set<int> taken;
  for (const auto& [other, instance] : instances_) {
    if (const InstanceRun* run = supervisor_.Find(other); run != nullptr && other != id)
      taken.insert(run->port);
  }
  // The one it had, if it still can: proxies know it, and with no controller nobody tells them of
  // another.
  if (const InstanceRun* last = supervisor_.Find(id); last != nullptr && last->port != 0 &&
                                                      taken.count(last->port) == 0 &&
                                                      CanListen(address, last->port)) {
    return last->port;
  }
  const InstanceRun* last = supervisor_.Find(id);
  auto port = ports_.Pick(address, taken);
  if (port.ok() && last != nullptr && last->port != 0 && last->port != *port) {
    spdlog::warn("instance {}: its port {} is in use by another; it gets port {}", id, last->port,
                 *port);
  }
  return port;
}

std::vector<FilteredPort> Instances::FilteredPorts(const v1::InstanceAssignment* begins,
                                                   int port) const {
  std::vector<FilteredPort> out;
  for (const auto& [id, assigned] : assignment_.instances()) {
    if (!assigned.has_ingress_filter() || &assigned == begins) continue;
    const InstanceRun* run = supervisor_.Find(id);
    if (run != nullptr && IsAlive(*run) && run->port != 0)
      out.push_back({.port = run->port, .filter = &assigned.ingress_filter()});
  }
  if (begins != nullptr && begins->has_ingress_filter())
    out.push_back({.port = port, .filter = &begins->ingress_filter()});
  return out;
}

absl::Status Instances::FilterPort(const v1::InstanceAssignment& assigned, int port) {
  if (!assigned.has_ingress_filter()) return absl::OkStatus();
  const absl::Status status = firewall_.Enforce(FilteredPorts(&assigned, port));
  if (status.ok() || !assigned.ingress_filter().required()) return absl::OkStatus();
  return absl::Status(status.code(),
                      absl::StrCat("who may reach it cannot be enforced, which its group requires "
                                   "(require_ingress_filter): ",
                                   status.message()));
}

bool Instances::EndCgroups(const std::vector<std::string>& directories) {
  const bool out_of_memory = Cgroups::End(directories);
  for (const std::string& directory : directories) {
    if (access(directory.c_str(), F_OK) == 0 && left_cgroups_.size() < kMaxLeftCgroups)
      left_cgroups_.push_back(directory);
  }
  SweepCgroups();
  return out_of_memory;
}

// What has ended leaves its cgroup only when it is reaped, which somebody else may have to do.
void Instances::SweepCgroups() {
  left_cgroups_.erase(std::remove_if(left_cgroups_.begin(), left_cgroups_.end(),
                                     [](const std::string& directory) {
                                       return rmdir(directory.c_str()) == 0 || errno == ENOENT;
                                     }),
                      left_cgroups_.end());
  loop_.Cancel(cgroup_timer_);
  if (!left_cgroups_.empty()) cgroup_timer_ = loop_.After(kSweepEvery, [this] { SweepCgroups(); });
}

// What an agent left that was killed between two steps, or whose whole directory was deleted. One
// without a process, whoever made it, has either just been made or nobody needs it any more: what
// was there a while ago is of the latter. One with a process is not removed by rmdir.
void Instances::RemoveLeftCgroups() {
  std::set<std::string> now = cgroups_.OfRuns();
  for (const std::string& id : supervisor_.Ids()) {
    for (const std::string& ours : supervisor_.Find(id)->cgroups) now.erase(ours);
  }
  for (const std::string& directory : now) {
    if (seen_cgroups_.count(directory) > 0 && rmdir(directory.c_str()) == 0)
      spdlog::info("removed the cgroup {}, which was left without a process", directory);
  }
  seen_cgroups_ = std::move(now);
  left_cgroups_timer_ = loop_.After(options_.left_cgroups_after, [this] { RemoveLeftCgroups(); });
}

void Instances::Stop(const std::string& id) {
  const v1::InstanceAssignment* assigned = assignment_.Find(id);
  // A STOPPED assignment may come without a template, and another generation's is not of what runs;
  // what it was started with then holds.
  const auto run = Record::ReadFrom(Dir(id).Run());
  int64_t grace_ms = run ? run->Number(key::kGraceMs) : 0;
  int64_t signal = run ? run->Number(key::kStopSignal) : SIGTERM;
  if (assigned != nullptr && assigned->has_launch_template() && !IsOld(id, FindRun(id))) {
    const auto& t = assigned->launch_template();
    if (const int named = StopSignalNumber(t.stop_signal()); named != 0) signal = named;
    if (t.has_stop_grace())
      grace_ms = t.stop_grace().seconds() * 1000 + t.stop_grace().nanos() / 1'000'000;
  }
  const bool to_prepare = assigned != nullptr && assigned->desired() == v1::DESIRED_STATE_PREPARED;
  supervisor_.Stop(id, static_cast<int>(signal), milliseconds(grace_ms), to_prepare);
}

void Instances::Settle(const std::string& id) {
  supervisor_.Settle(id);
  Instance& instance = instances_[id];
  instance.setbacks = 0;
  instance.started = {};
  instance.message.clear();
  instance.log_tail.clear();
  Evaluate(id);
}

absl::Status Instances::CheckHost(const v1::InstanceAssignment& assigned) const {
  const auto& launch_template = assigned.launch_template();
  if (!options_.image_keys.empty()) {
    std::vector<SignedDigest> signatures;
    for (const auto& one : assigned.image_signatures())
      signatures.push_back({one.key_id(), one.signature()});
    absl::Status status = options_.image_keys.Check(launch_template.image_digest(), signatures);
    if (!status.ok()) return status;
  }
  if (absl::Status status = users_.Check(launch_template.user()); !status.ok()) return status;
  if (absl::Status status = cgroups_.Check(LimitsOf(launch_template)); !status.ok()) return status;
  return containment_.Check(launch_template);
}

absl::Status Instances::CheckLaunch(const std::string& id) {
  const auto& launch_template = assignment_.Find(id)->launch_template();
  if (absl::Status status = CheckHost(*assignment_.Find(id)); !status.ok()) return status;
  if (absl::Status status = CheckSecrets(*assignment_.Find(id)); !status.ok()) return status;
  const std::string files = FactsOf(id).has_files ? Dir(id).App() : Dir(id).Next();
  if (absl::Status status = CheckProgram(launch_template, files); !status.ok()) return status;
  const int port = FixedPort(id);
  // Another process that listens there may be its own, which ends.
  const std::string holder = port == FindRun(id)->port ? "" : HolderOf(port, id);
  if (holder.empty()) return absl::OkStatus();
  return absl::UnavailableError(absl::StrCat("instance ", holder, " has port ", port));
}

void Instances::CheckPrepared(const std::string& id) {
  const v1::InstanceAssignment* assigned = assignment_.Find(id);
  if (assigned == nullptr || assigned->desired() != v1::DESIRED_STATE_PREPARED) return;
  if (!FactsOf(id).has_files) return;
  const absl::Status status = CheckProgram(assigned->launch_template(), Dir(id).App());
  if (!status.ok()) Fail(id, status, /*final=*/true);
}

void Instances::StopForChange(const std::string& id) {
  // What would keep the new process from starting, as far as it can be known, is better found while
  // the old one runs.
  if (absl::Status status = CheckLaunch(id); !status.ok()) {
    Fail(id, status, absl::IsFailedPrecondition(status));
    return;
  }
  instances_[id].failed = false;
  instances_[id].message.clear();
  Stop(id);
}

}  // namespace remuda::agent
