#include "agent/supervisor.h"

#include <absl/strings/str_cat.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <spdlog/spdlog.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <utility>

namespace remuda::agent {
namespace {

namespace fs = std::filesystem;
using std::chrono::milliseconds;

constexpr milliseconds kAdoptRetry{10};
constexpr milliseconds kLockedRetry{500};
// From the shim's start to its app's: milliseconds, unless the file system of its files hangs.
constexpr std::chrono::seconds kStartDeadline{30};
constexpr milliseconds kMaxGrace{3'600'000};  // as the shim takes it
constexpr milliseconds kStrayPass{20};
constexpr int kStrayPasses = 500;

ProcessName ShimName(const Record& running) {
  return {static_cast<pid_t>(running.Number(key::kShimPid)),
          static_cast<uint64_t>(running.Number(key::kShimStart)), running.Text(key::kBootId)};
}

// Whether the record was written in another directory, of which this one is a copy: nothing that it
// names belongs here.
bool IsCopied(const InstanceDir& dir, const Record& running) {
  const Fd lock(open(dir.Lock().c_str(), O_RDONLY | O_CLOEXEC));
  const std::string here = FileId(lock.get());
  std::string written = running.Text(key::kLock);
  if (written.empty()) {
    // By an older shim, which has its lock open for as long as it lives.
    if (!OpenProcess(ShimName(running)).valid()) return false;
    const Fd held(
        open(absl::StrCat("/proc/", running.Number(key::kShimPid), "/fd/", kShimLockFd).c_str(),
             O_RDONLY | O_CLOEXEC));
    written = FileId(held.get());
  }
  return !here.empty() && !written.empty() && written != here;
}

RunEnd EndFrom(const Record& exit) {
  RunEnd end;
  end.code = static_cast<int>(exit.Number(key::kCode));
  end.signal = static_cast<int>(exit.Number(key::kSignal));
  end.ended_unix_ms = exit.Number(key::kEndedMs);
  end.requested = exit.Number(key::kRequested) != 0;
  end.error = exit.Text(key::kError);
  end.started = end.error.empty();
  return end;
}

// What the shim was told, or what it was started with.
milliseconds GraceIn(const InstanceDir& dir) {
  auto how = Record::ReadFrom(dir.Stop());
  if (!how) how = Record::ReadFrom(dir.Run());
  return milliseconds(how ? how->Number(key::kGraceMs) : 0);
}

// One whose number is not among those that a shim inherits; invalid, with errno, if there is none.
Fd Above(Fd fd) {
  if (!fd.valid() || fd.get() > kShimLockFd) return fd;
  return Fd(fcntl(fd.get(), F_DUPFD_CLOEXEC, kShimLockFd + 1));
}

// posix_spawn: no fork handlers of other libraries run, and the agent's memory is not copied.
absl::Status Spawn(const std::string& program, const std::string& directory, int ready_fd,
                   int lock_fd, pid_t* pid) {
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  // Neither is 0 to 4 itself (see Start), so no dup2 overwrites what the next one needs.
  for (int fd = 0; fd <= 2; ++fd)
    posix_spawn_file_actions_addopen(&actions, fd, "/dev/null", O_RDWR, 0);
  posix_spawn_file_actions_adddup2(&actions, ready_fd, kShimReadyFd);
  posix_spawn_file_actions_adddup2(&actions, lock_fd, kShimLockFd);
  posix_spawn_file_actions_addclosefrom_np(&actions, kShimLockFd + 1);

  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  // What the shim reads from a signalfd is held back from the start, so that an early stop does not
  // kill it.
  sigset_t held, all;
  sigemptyset(&held);
  for (const int signal : {SIGCHLD, SIGTERM, SIGINT, SIGHUP}) sigaddset(&held, signal);
  sigfillset(&all);
  posix_spawnattr_setsigmask(&attributes, &held);
  posix_spawnattr_setsigdefault(&attributes, &all);
  posix_spawnattr_setflags(
      &attributes,
      static_cast<short>(POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF));
  std::string name = "remuda-agent", verb = "shim", dir = directory;
  char* args[] = {name.data(), verb.data(), dir.data(), nullptr};
  char* environment[] = {nullptr};
  const int error = posix_spawn(pid, program.c_str(), &actions, &attributes, args, environment);
  posix_spawn_file_actions_destroy(&actions);
  posix_spawnattr_destroy(&attributes);
  if (error != 0) return absl::ErrnoToStatus(error, absl::StrCat("spawn ", program));
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<Fd> LockInstance(const InstanceDir& dir) {
  Fd fd(open(dir.Lock().c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  if (!fd.valid()) return absl::ErrnoToStatus(errno, absl::StrCat("open ", dir.Lock()));
  if (flock(fd.get(), LOCK_EX | LOCK_NB) == 0) return fd;
  return absl::UnavailableError(absl::StrCat(dir.path, ": another process has its lock"));
}

std::vector<ProcessStat> ProcessesOfRun(const std::string& run_id) {
  std::vector<ProcessStat> found;
  if (run_id.empty()) return found;
  const std::string wanted = absl::StrCat(kRunIdVariable, "=", run_id);
  for (const ProcessStat& p : AllProcesses()) {
    const auto environment = ReadWholeFile(absl::StrCat("/proc/", p.pid, "/environ"));
    if (!environment) continue;
    for (size_t at = 0; at < environment->size();) {
      const size_t end = std::min(environment->find('\0', at), environment->size());
      if (environment->compare(at, end - at, wanted) == 0) {
        found.push_back(p);
        break;
      }
      at = end + 1;
    }
  }
  return found;
}

Supervisor::Supervisor(EventLoop& loop, Options options)
    : loop_(loop), options_(std::move(options)) {}

Supervisor::~Supervisor() {
  for (auto& [id, entry] : entries_) {
    if (entry.pidfd.valid()) loop_.Unwatch(entry.pidfd.get());
    if (entry.ready.valid()) loop_.Unwatch(entry.ready.get());
    loop_.Cancel(entry.start_timer);
    loop_.Cancel(entry.stop_timer);
  }
}

const InstanceRun* Supervisor::Find(const std::string& id) const {
  const auto it = entries_.find(id);
  return it == entries_.end() ? nullptr : &it->second.run;
}

std::vector<std::string> Supervisor::Ids() const {
  std::vector<std::string> ids;
  for (const auto& [id, entry] : entries_) ids.push_back(id);
  return ids;
}

std::string Supervisor::DoomedPath(const std::string& id) {
  return absl::StrCat(options_.instances_directory, "/.deleted-", id, "-", getpid(), "-",
                      ++deleted_);
}

void Supervisor::Changed(const std::string& id) {
  if (options_.on_change && !adopting_all_) options_.on_change(id);
}

void Supervisor::AdoptAll() {
  std::error_code error;
  std::vector<std::string> doomed;
  for (fs::directory_iterator it(options_.instances_directory, error), end; !error && it != end;
       it.increment(error)) {
    const std::string id = it->path().filename().string();
    if (!it->is_directory(error)) continue;
    if (id.front() == '.') {
      doomed.push_back(it->path().string());
      continue;
    }
    entries_[id].adopting_since = EventLoop::Now();
  }
  adopting_all_ = true;
  for (const std::string& id : Ids()) Adopt(id);
  adopting_all_ = false;
  for (const std::string& path : doomed) Delete(path);
}

void Supervisor::Delete(const std::string& path) {
  if (options_.delete_tree) {
    options_.delete_tree(path);
    return;
  }
  std::error_code error;
  fs::remove_all(path, error);
}

void Supervisor::LoadRunning(const std::string& id, const Record& running) {
  InstanceRun& run = entries_[id].run;
  run.shim_pid = static_cast<pid_t>(running.Number(key::kShimPid));
  run.app_pid = static_cast<pid_t>(running.Number(key::kAppPid));
  run.started_unix_ms = running.Number(key::kStartedMs);
}

void Supervisor::Adopt(const std::string& id) {
  const auto it = entries_.find(id);
  if (it == entries_.end()) return;
  Entry& entry = it->second;
  const InstanceDir dir = Dir(id);
  const bool nobody_there = LockInstance(dir).ok();
  const auto running = Record::ReadFrom(dir.Running());
  const auto exit = Record::ReadFrom(dir.Exit());
  const bool is_copied = running && IsCopied(dir, *running);
  if (running && !is_copied) LoadRunning(id, *running);
  // Even of one that never ran: it keeps its port.
  if (const auto how = Record::ReadFrom(dir.Run())) {
    entry.run.port = static_cast<int>(how->Number(key::kPort));
    entry.run.restarts = static_cast<int>(how->Number(key::kRestarts));
    entry.run.generation = static_cast<int>(how->Number(key::kGeneration));
    entry.run.cgroups = how->All(key::kCgroup);
  }

  if (nobody_there) {
    if (exit) {
      Ended(id, EndFrom(*exit));
    } else if (!running) {
      // Made ready but never begun, or an end that was lost with the machine's power: nothing runs.
      entry.run.state = RunState::kNone;
      Changed(id);
    } else if (running->Text(key::kBootId) != BootId()) {
      Ended(id, {.ended_unix_ms = UnixMs(), .error = "the host was restarted"});
    } else if (is_copied) {
      for (const std::string& foreign : {dir.Run(), dir.Stop(), dir.Running()})
        unlink(foreign.c_str());
      Ended(id, {.ended_unix_ms = UnixMs(),
                 .error = "its files are a copy of another directory's; what runs there is left "
                          "alone"});
    } else {
      EndStrays(id, "its shim was killed while the agent was away");
    }
    return;
  }
  if (running && !is_copied) {
    if (Fd pidfd = OpenProcess(ShimName(*running)); pidfd.valid()) {
      struct stat st {};
      entry.run.state =
          stat(dir.Stop().c_str(), &st) == 0 ? RunState::kStopping : RunState::kRunning;
      entry.tries = 0;
      spdlog::info("instance {}: taken up, pid {}", id, entry.run.app_pid);
      // The agent before may have died before it told the shim, which takes being told twice well.
      const bool is_stopping = entry.run.state == RunState::kStopping;
      if (is_stopping) SendSignal(pidfd, SIGTERM);
      WatchShim(id, std::move(pidfd));
      if (is_stopping) ExpectEnd(id, GraceIn(dir));
      Changed(id);
      return;
    }
  }
  // A shim is just beginning (no record yet), or just ending (the lock goes last).
  if (EventLoop::Now() - entry.adopting_since < options_.adopt_patience) {
    entry.run.state = RunState::kStarting;
    loop_.After(kAdoptRetry, [this, id] { Adopt(id); });
    return;
  }
  // Or neither. Whoever it is may give the lock up, so it is looked at for as long as it does not.
  loop_.After(kLockedRetry, [this, id] { Adopt(id); });
  if (entry.run.state == RunState::kLocked) return;
  spdlog::error("instance {}: {} is locked by a process that is no shim of it; left alone", id,
                dir.path);
  entry.run.state = RunState::kLocked;
  Changed(id);
}

absl::Status Supervisor::Start(const std::string& id, const Record& run) {
  const InstanceDir dir = Dir(id);
  if (const InstanceRun* now = Find(id);
      now != nullptr && now->state != RunState::kNone && now->state != RunState::kEnded) {
    return absl::FailedPreconditionError(absl::StrCat("instance ", id, ": runs already"));
  }
  auto locked = LockInstance(dir);
  if (!locked.ok()) return locked.status();
  const Fd lock = Above(*std::move(locked));
  for (const std::string& stale : {dir.Running(), dir.Stop(), dir.Exit()}) unlink(stale.c_str());
  if (const int error = run.WriteTo(dir.Run()); error != 0) {
    return absl::ErrnoToStatus(error, absl::StrCat("write ", dir.Run()));
  }
  int ready[2];
  if (pipe2(ready, O_CLOEXEC | O_NONBLOCK) != 0) return absl::ErrnoToStatus(errno, "pipe");
  Fd ready_read(ready[0]), ready_write = Above(Fd(ready[1]));
  if (!lock.valid() || !ready_write.valid()) return absl::ErrnoToStatus(errno, "pipe");
  pid_t pid = 0;
  if (absl::Status status = Spawn(options_.program, dir.path, ready_write.get(), lock.get(), &pid);
      !status.ok()) {
    return status;
  }
  // Our child and not yet reaped: the pid is surely its.
  Fd pidfd(static_cast<int>(syscall(SYS_pidfd_open, pid, 0)));
  if (!pidfd.valid()) {
    // No descriptor is left, say. Nobody would hear of its end: it ends, and its app with it.
    const int error = errno;
    kill(pid, SIGKILL);
    waitpid(pid, nullptr, 0);
    return absl::ErrnoToStatus(error, "pidfd_open");
  }
  Entry& entry = entries_[id];
  entry.run = InstanceRun{.state = RunState::kStarting,
                          .shim_pid = pid,
                          .port = static_cast<int>(run.Number(key::kPort)),
                          .restarts = static_cast<int>(run.Number(key::kRestarts)),
                          .generation = static_cast<int>(run.Number(key::kGeneration)),
                          .cgroups = run.All(key::kCgroup)};
  entry.tries = 0;
  entry.stuck.clear();
  entry.is_overdue = false;
  entry.start_timer = loop_.After(kStartDeadline, [this, id] { OnStuckStart(id); });
  entry.ready = std::move(ready_read);
  loop_.Watch(entry.ready.get(), [this, id] { OnReady(id); });
  WatchShim(id, std::move(pidfd));
  Changed(id);
  return absl::OkStatus();
}

void Supervisor::WatchShim(const std::string& id, Fd pidfd) {
  Entry& entry = entries_[id];
  entry.pidfd = std::move(pidfd);
  loop_.Watch(entry.pidfd.get(), [this, id] { OnShimGone(id); });
}

void Supervisor::OnReady(const std::string& id) {
  Entry& entry = entries_[id];
  loop_.Cancel(entry.start_timer);
  char byte = 0;
  const bool runs = read(entry.ready.get(), &byte, 1) == 1;
  loop_.Unwatch(entry.ready.get());
  entry.ready.Reset();
  if (!runs) return;  // it ended without; its pidfd tells
  if (const auto running = Record::ReadFrom(Dir(id).Running())) LoadRunning(id, *running);
  if (entry.run.state == RunState::kStarting) entry.run.state = RunState::kRunning;
  Changed(id);
}

void Supervisor::OnStuckStart(const std::string& id) {
  const auto it = entries_.find(id);
  if (it == entries_.end() || !it->second.ready.valid() || !it->second.pidfd.valid()) return;
  it->second.stuck = absl::StrCat("the app's program did not begin within ",
                                  std::chrono::seconds(kStartDeadline).count(), " s");
  SendSignal(it->second.pidfd, SIGKILL);
}

void Supervisor::ExpectEnd(const std::string& id, milliseconds grace) {
  Entry& entry = entries_[id];
  const EventLoop::TimePoint due = EventLoop::Now() +
                                   std::clamp<milliseconds>(grace, milliseconds(0), kMaxGrace) +
                                   options_.stop_patience;
  if (entry.stop_timer != 0 && entry.stop_due <= due) return;
  loop_.Cancel(entry.stop_timer);
  entry.stop_due = due;
  entry.stop_timer = loop_.At(due, [this, id] {
    const auto it = entries_.find(id);
    if (it == entries_.end() || !it->second.pidfd.valid()) return;
    spdlog::error("instance {}: its shim, pid {}, does not end it; the shim is killed", id,
                  it->second.run.shim_pid);
    it->second.is_overdue = true;
    SendSignal(it->second.pidfd, SIGKILL);
  });
}

void Supervisor::OnShimGone(const std::string& id) {
  Entry& entry = entries_[id];
  // Reaps it if it was our child; one that was taken up is somebody else's, which is an error we do
  // not mind.
  siginfo_t info{};
  waitid(static_cast<idtype_t>(P_PIDFD), static_cast<id_t>(entry.pidfd.get()), &info,
         WEXITED | WNOHANG);
  loop_.Unwatch(entry.pidfd.get());
  entry.pidfd.Reset();
  if (entry.ready.valid()) OnReady(id);
  if (const auto exit = Record::ReadFrom(Dir(id).Exit())) {
    Ended(id, EndFrom(*exit));
  } else {
    const char* killed =
        entry.is_overdue ? "its shim did not end it in time and was killed" : "its shim was killed";
    EndStrays(id, entry.stuck.empty() ? killed : entry.stuck);
  }
  ReapStrays();  // one that ended before this shim was reaped had to wait behind it
}

void Supervisor::EndStrays(const std::string& id, const std::string& why) {
  const auto it = entries_.find(id);
  if (it == entries_.end()) return;
  const InstanceDir dir = Dir(id);
  const auto how = Record::ReadFrom(dir.Run());
  const auto running = Record::ReadFrom(dir.Running());
  std::vector<ProcessStat> strays =
      how ? ProcessesOfRun(how->Text(key::kRunId)) : std::vector<ProcessStat>();
  if (running) {
    const auto app = ReadStat(static_cast<pid_t>(running->Number(key::kAppPid)));
    if (app && app->start_ticks == static_cast<uint64_t>(running->Number(key::kAppStart)) &&
        app->state != 'Z') {
      strays.push_back(*app);
    }
  }
  for (const std::string& cgroup : how ? how->All(key::kCgroup) : std::vector<std::string>()) {
    const std::string pids = ReadWholeFile(cgroup + "/cgroup.procs").value_or("");
    for (const char* at = pids.c_str(); *at != '\0';) {
      char* end = nullptr;
      if (const auto stat = ReadStat(static_cast<pid_t>(std::strtol(at, &end, 10))))
        strays.push_back(*stat);
      if (end == at) break;
      at = *end == '\n' ? end + 1 : end;
    }
  }
  // Whatever it has done to its environment: no other process has its user.
  if (how && how->Number(key::kOwnUid) != 0 && how->Number(key::kUid) > 0) {
    for (const ProcessStat& p : ProcessesOfUser(static_cast<uid_t>(how->Number(key::kUid))))
      strays.push_back(p);
  }
  bool any = false;
  for (const ProcessStat& p : strays) {
    if (p.state == 'Z') continue;
    SendSignal(p, SIGKILL);
    any = true;
  }
  if (any && ++it->second.tries < kStrayPasses) {
    it->second.run.state = RunState::kStopping;
    loop_.After(kStrayPass, [this, id, why] { EndStrays(id, why); });
    return;
  }
  ReapStrays();
  Ended(id, {.ended_unix_ms = UnixMs(),
             .requested = ReadWholeFile(dir.Stop()).has_value(),
             .error = why,
             .started = it->second.stuck.empty()});
}

void Supervisor::Ended(const std::string& id, RunEnd end) {
  Entry& entry = entries_[id];
  if (const auto how = Record::ReadFrom(Dir(id).Run()); how && options_.on_end) {
    end.out_of_memory = options_.on_end(id, *how);
  }
  if (const auto stop = Record::ReadFrom(Dir(id).Stop()))
    end.to_prepare = stop->Number(key::kToPrepare) != 0;
  spdlog::info("instance {}: ended, code {}, signal {}{}{}", id, end.code, end.signal,
               end.error.empty() ? "" : ": ", end.error);
  entry.run.state = RunState::kEnded;
  entry.run.app_pid = 0;
  entry.run.shim_pid = 0;
  entry.run.end = std::move(end);
  entry.tries = 0;
  loop_.Cancel(std::exchange(entry.stop_timer, 0));
  Changed(id);
}

void Supervisor::Stop(const std::string& id, int signal, milliseconds grace, bool to_prepare) {
  const auto it = entries_.find(id);
  if (it == entries_.end() || !it->second.pidfd.valid()) return;
  Record record;
  record.Add(key::kStopSignal, signal);
  record.Add(key::kGraceMs, grace.count());
  if (to_prepare) record.Add(key::kToPrepare, 1);
  if (const int error = record.WriteTo(Dir(id).Stop()); error != 0) {
    // Disk full, say. The shim then takes the signal and grace it was started with.
    spdlog::warn("instance {}: cannot write how to stop it: {}", id, std::strerror(error));
  }
  SendSignal(it->second.pidfd, SIGTERM);
  ExpectEnd(id, grace);
  if (it->second.run.state != RunState::kStopping) {
    it->second.run.state = RunState::kStopping;
    Changed(id);
  }
}

void Supervisor::EndApp(const std::string& id) {
  const auto running = Record::ReadFrom(Dir(id).Running());
  if (!running) return;
  const ProcessName app{static_cast<pid_t>(running->Number(key::kAppPid)),
                        static_cast<uint64_t>(running->Number(key::kAppStart)),
                        running->Text(key::kBootId)};
  if (const Fd fd = OpenProcess(app); fd.valid()) SendSignal(fd, SIGKILL);
}

void Supervisor::Settle(const std::string& id) {
  if (const InstanceRun* run = Find(id); run == nullptr || run->state != RunState::kEnded) return;
  // `running` first: whoever finds it without `exit` believes that its shim was killed.
  const InstanceDir dir = Dir(id);
  for (const std::string& spent : {dir.Running(), dir.Exit(), dir.Stop(), dir.Run()})
    unlink(spent.c_str());
  entries_.erase(id);
}

absl::Status Supervisor::Forget(const std::string& id) {
  const InstanceRun* run = Find(id);
  if (run != nullptr && run->state != RunState::kNone && run->state != RunState::kEnded) {
    return absl::FailedPreconditionError(absl::StrCat("instance ", id, ": runs"));
  }
  // Whatever is believed of it: what holds the lock may be using the files.
  const auto lock = LockInstance(Dir(id));
  const bool exists = !absl::IsNotFound(lock.status());
  if (exists && !lock.ok()) return lock.status();
  if (exists && options_.on_forget) options_.on_forget(id);
  // Out of the way at once, by a name that no instance has, then deleted at leisure.
  const std::string doomed = DoomedPath(id);
  if (rename(Dir(id).path.c_str(), doomed.c_str()) == 0) {
    Delete(doomed);
  } else if (errno != ENOENT) {
    return absl::ErrnoToStatus(errno, absl::StrCat("delete ", Dir(id).path));
  }
  entries_.erase(id);
  return absl::OkStatus();
}

void Supervisor::ReapStrays() {
  // Shims are reaped through their pidfds. WNOWAIT peeks, so that none of them is taken from under
  // its watch.
  for (;;) {
    siginfo_t info{};
    if (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) != 0 || info.si_pid == 0) return;
    for (const auto& [id, entry] : entries_) {
      if (entry.pidfd.valid() && entry.run.shim_pid == info.si_pid)
        return;  // its turn comes, then ours again
    }
    waitpid(info.si_pid, nullptr, WNOHANG);
  }
}

}  // namespace remuda::agent
