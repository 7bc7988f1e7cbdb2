#include "agent/shim.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <string>
#include <vector>

#include "agent/app_start.h"
#include "agent/instance_dir.h"
#include "agent/log_files.h"
#include "agent/log_pace.h"
#include "agent/process.h"
#include "agent/record_file.h"

namespace remuda::agent {
namespace {

constexpr int kPipeBytes = 256 * 1024;
// What the exit record takes of the disk, at most.
constexpr size_t kRoomBytes = 4096;
constexpr size_t kReadBytes = size_t{256} * 1024;
// How often the tree is looked through again while it is being killed, for what was forked
// meanwhile.
constexpr int kKillPassMs = 10;
// A process in uninterruptible sleep cannot be killed; the instance's end is told without it after
// this long.
constexpr int64_t kKillBoundMs = 10'000;

int64_t MonotonicMs() {
  timespec ts{};
  clock_gettime(CLOCK_MONOTONIC, &ts);
  return ts.tv_sec * 1000 + ts.tv_nsec / 1'000'000;
}

class Shim {
 public:
  Shim(InstanceDir dir, Record run, SiteServer serve_site)
      : dir_(std::move(dir)),
        run_(std::move(run)),
        serve_site_(serve_site),
        log_(dir_.Logs(),
             {.segment_bytes = static_cast<uint64_t>(run_.Number(key::kLogSegmentBytes)),
              .segments = static_cast<uint32_t>(run_.Number(key::kLogSegments))}) {}

  int Run() {
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    signal(SIGPIPE, SIG_IGN);
    sigset_t handled;
    sigemptyset(&handled);
    for (const int signal : {SIGCHLD, SIGTERM, SIGINT, SIGHUP}) sigaddset(&handled, signal);
    sigprocmask(SIG_BLOCK, &handled, nullptr);
    signals_ = Fd(signalfd(-1, &handled, SFD_CLOEXEC | SFD_NONBLOCK));

    if (const std::string mark = run_.Text(key::kLogMark); !mark.empty()) log_.Append(mark + "\n");
    if (!Start()) {
      WriteExit();
      return 0;
    }
    while (phase_ != Phase::kEnded) {
      Wait();
      ReadSignals();
      Reap();
      Advance();
    }
    ReadLastWords();
    WriteExit();
    return 0;
  }

 private:
  enum class Phase { kRunning, kStopping, kKilling, kEnded };

  bool Start() {
    int pipe_fds[2];
    if (pipe2(pipe_fds, O_CLOEXEC) != 0) return Fail("log pipe", errno);
    pipe_ = Fd(pipe_fds[0]);
    Fd write_end(pipe_fds[1]);
    fcntl(pipe_.get(), F_SETFL, O_NONBLOCK);
    fcntl(pipe_.get(), F_SETPIPE_SZ,
          kPipeBytes);  // best effort: fewer wake-ups for a talkative app

    // The app may fill the disk, and how it ended must be told all the same.
    WriteFileAtomically(dir_.Room(), std::string(kRoomBytes, '\0'), /*sync=*/false, 0600);
    AppStart start(run_, dir_.App(), write_end.get(), serve_site_);
    const pid_t pid = start.Fork();
    if (pid < 0) return Fail("fork", errno);
    write_end.Reset();
    app_pid_ = pid;
    // The app waits before its first instruction until this record is there: no app runs unknown to
    // a later agent.
    if (const int error = WriteRunning(); error != 0) {
      start.Abandon();
      return Fail("write the record \"running\"", error);
    }
    if (const AppStart::Failure failure = start.Go(); failure.error != 0) {
      return Fail(failure.step, failure.error);
    }
    // Whoever started us hears at once that the program runs; nobody does after this.
    [[maybe_unused]] const ssize_t n = write(kShimReadyFd, "r", 1);
    close(kShimReadyFd);
    return true;
  }

  bool Fail(const std::string& step, int error) {
    start_error_ = step + ": " + std::strerror(error);
    const std::string line = "remuda: the app could not be started: " + start_error_ + "\n";
    log_.Append(line);
    return false;
  }

  int WriteRunning() {
    const auto shim = ReadStat(getpid());
    const auto app = ReadStat(app_pid_);
    if (!shim || !app) return ESRCH;
    Record record;
    record.Add(key::kBootId, BootId());
    record.Add(key::kLock, FileId(kShimLockFd));
    record.Add(key::kShimPid, getpid());
    record.Add(key::kShimStart, static_cast<int64_t>(shim->start_ticks));
    record.Add(key::kAppPid, app_pid_);
    record.Add(key::kAppStart, static_cast<int64_t>(app->start_ticks));
    record.Add(key::kStartedMs, UnixMs());
    return record.WriteTo(dir_.Running());
  }

  void WriteExit() {
    rusage usage{};
    getrusage(RUSAGE_CHILDREN, &usage);
    const auto micros = [](const timeval& t) { return int64_t{t.tv_sec} * 1'000'000 + t.tv_usec; };
    Record record;
    record.Add(key::kBootId, BootId());
    record.Add(key::kCode, app_reaped_ && WIFEXITED(app_status_) ? WEXITSTATUS(app_status_) : -1);
    record.Add(key::kSignal, app_reaped_ && WIFSIGNALED(app_status_) ? WTERMSIG(app_status_) : 0);
    record.Add(key::kEndedMs, app_reaped_ ? app_ended_ms_ : UnixMs());
    record.Add(key::kRequested, stop_asked_ ? 1 : 0);
    if (!start_error_.empty()) record.Add(key::kError, start_error_);
    record.Add(key::kCpuUs, micros(usage.ru_utime) + micros(usage.ru_stime));
    record.Add(key::kMaxResidentKb, usage.ru_maxrss);
    record.Add(key::kKilled, killed_);
    unlink(dir_.Room().c_str());
    record.WriteTo(dir_.Exit());
  }

  void Wait() {
    int timeout = -1;
    if (phase_ == Phase::kKilling) {
      timeout = kKillPassMs;
    } else if (phase_ == Phase::kStopping) {
      timeout =
          static_cast<int>(std::clamp<int64_t>(stop_deadline_ms_ - MonotonicMs(), 0, 3'600'000));
    }
    const auto pause = static_cast<int>(pace_.WaitMs(MonotonicMs()));
    const bool reads = pipe_.valid() && pause == 0;
    if (pipe_.valid() && pause > 0) timeout = timeout < 0 ? pause : std::min(timeout, pause);
    pollfd polled[2] = {{signals_.get(), POLLIN, 0}, {pipe_.get(), POLLIN, 0}};
    poll(polled, reads ? 2 : 1, timeout);
    // One read a round, so that an app which prints without end cannot keep the signals waiting.
    if (reads && polled[1].revents != 0) ReadLog();
  }

  // How many bytes came; 0: there is nothing more to read now.
  ssize_t ReadLog() {
    if (!pipe_.valid()) return 0;
    static char buffer[kReadBytes];
    ssize_t n = 0;
    do {
      n = read(pipe_.get(), buffer, sizeof buffer);
    } while (n < 0 && errno == EINTR);
    if (n > 0) {
      log_.Append(std::string_view(buffer, static_cast<size_t>(n)));
      pace_.Took(n, MonotonicMs());
    }
    // The end: everybody closed it (a daemon does). The app may well run on.
    if (n == 0) pipe_.Reset();
    return std::max<ssize_t>(n, 0);
  }

  // What the tree has left in the pipe. No more than that holds: somebody outside of the tree, who
  // was given its other end, may write on.
  void ReadLastWords() {
    int64_t left = pipe_.valid() ? fcntl(pipe_.get(), F_GETPIPE_SZ) : 0;
    while (left > 0) {
      const ssize_t n = ReadLog();
      if (n == 0) return;
      left -= n;
    }
  }

  void ReadSignals() {
    signalfd_siginfo info{};
    while (read(signals_.get(), &info, sizeof info) == sizeof info) {
      if (info.ssi_signo == SIGTERM) BeginStop();
    }
  }

  void BeginStop() {
    const Record asked = Record::ReadFrom(dir_.Stop()).value_or(run_);
    const int64_t deadline =
        MonotonicMs() + std::clamp<int64_t>(asked.Number(key::kGraceMs), 0, 3'600'000);
    if (phase_ == Phase::kStopping) {
      // Asked again: a shorter grace counts, a longer one does not, and the app is not signalled
      // twice.
      stop_deadline_ms_ = std::min(stop_deadline_ms_, deadline);
      return;
    }
    if (phase_ != Phase::kRunning) return;
    stop_asked_ = true;
    phase_ = Phase::kStopping;
    stop_deadline_ms_ = deadline;
    const auto signal = static_cast<int>(asked.Number(key::kStopSignal));
    for (const ProcessStat& p : Tree()) {
      SendSignal(p, signal > 0 && signal < NSIG ? signal : SIGTERM);
      SendSignal(p, SIGCONT);  // a stopped process would not act on it
    }
  }

  std::vector<ProcessStat> Tree() const { return DescendantsOf(getpid(), AllProcesses()); }

  // Collects every child that has ended; orphans of the tree became our children.
  void Reap() {
    // The app's group is killed while the app is not yet reaped: until then its number cannot
    // belong to a stranger, and one kill of a group cannot be outrun by forks.
    siginfo_t info{};
    if (!app_reaped_ &&
        waitid(P_PID, static_cast<id_t>(app_pid_), &info, WEXITED | WNOHANG | WNOWAIT) == 0 &&
        info.si_pid == app_pid_ && phase_ != Phase::kStopping) {
      kill(-app_pid_, SIGKILL);
    }
    for (;;) {
      int status = 0;
      const pid_t pid = waitpid(-1, &status, WNOHANG);
      if (pid > 0) {
        if (pid == app_pid_) {
          app_reaped_ = true;
          app_status_ = status;
          app_ended_ms_ = UnixMs();
        }
        continue;
      }
      // No child is left: nothing of the tree is, since we are its subreaper.
      if (pid < 0 && errno == ECHILD) phase_ = Phase::kEnded;
      return;
    }
  }

  void Advance() {
    if (phase_ == Phase::kRunning && app_reaped_) {
      // The instance is its first process. What it left behind would hold the port of its
      // successor.
      BeginKilling();
    } else if (phase_ == Phase::kStopping && MonotonicMs() >= stop_deadline_ms_) {
      if (!app_reaped_) kill(-app_pid_, SIGKILL);
      BeginKilling();
    } else if (phase_ == Phase::kKilling) {
      KillPass();
    }
  }

  void BeginKilling() {
    phase_ = Phase::kKilling;
    kill_bound_ms_ = MonotonicMs() + kKillBoundMs;
    KillPass();
  }

  void KillPass() {
    // What forks faster than the tree can be looked through: at once, by its user.
    if (run_.Number(key::kOwnUid) != 0 && run_.Number(key::kUid) > 0)
      KillUser(static_cast<uid_t>(run_.Number(key::kUid)));
    for (const ProcessStat& p : Tree()) {
      if (p.state == 'Z') continue;
      SendSignal(p, SIGKILL);
      ++killed_;
    }
    if (MonotonicMs() >= kill_bound_ms_) phase_ = Phase::kEnded;
  }

  const InstanceDir dir_;
  const Record run_;
  const SiteServer serve_site_;
  LogWriter log_;
  LogPace pace_;
  Fd signals_;
  Fd pipe_;  // read end; invalid once every writer closed it
  Phase phase_ = Phase::kRunning;
  pid_t app_pid_ = 0;
  bool app_reaped_ = false;
  int app_status_ = 0;
  int64_t app_ended_ms_ = 0;
  bool stop_asked_ = false;
  int64_t stop_deadline_ms_ = 0;
  int64_t kill_bound_ms_ = 0;
  int64_t killed_ = 0;
  std::string start_error_;
};

}  // namespace

int ShimMain(const char* directory, SiteServer serve_site) {
  prctl(PR_SET_NAME, "remuda-shim");
  InstanceDir dir{directory};
  auto run = Record::ReadFrom(dir.Run());
  if (!run || run->All(key::kArg).empty()) return 1;
  return Shim(std::move(dir), *std::move(run), serve_site).Run();
}

}  // namespace remuda::agent
