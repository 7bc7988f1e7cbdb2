#include "agent/app_start.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <utility>

#include "agent/instance_dir.h"
#include "agent/privileges.h"
#include "agent/seccomp_filter.h"

namespace remuda::agent {

AppStart::AppStart(const Record& run, std::string directory, int output_fd, SiteServer serve_site)
    : run_(run),
      serve_site_(serve_site),
      args_(run.All(key::kArg)),
      env_(run.All(key::kEnv)),
      cgroups_(run.All(key::kCgroup)),
      directory_(std::move(directory)),
      output_fd_(output_fd),
      tmp_(run.Text(key::kTmp)),
      readable_(run.All(key::kReadable)),
      writable_(run.All(key::kWritable)),
      no_capabilities_(run.Number(key::kNoCapabilities) != 0),
      has_landlock_(run.Number(key::kLandlock) != 0),
      has_seccomp_(run.Number(key::kSeccomp) != 0),
      has_view_(run.Number(key::kPrivateView) != 0),
      open_files_(run.Number(key::kOpenFiles)),
      file_bytes_(run.Number(key::kFileBytes)),
      changes_user_(!run.Text(key::kUid).empty()),
      uid_(static_cast<uid_t>(run.Number(key::kUid))),
      gid_(static_cast<gid_t>(run.Number(key::kGid))) {
  for (const std::string& group : run.All(key::kGroup)) {
    groups_.push_back(static_cast<gid_t>(std::strtoul(group.c_str(), nullptr, 10)));
  }
  view_.app = directory_;
  view_.tmp = tmp_;
  view_.hidden = run.All(key::kHidden);
  view_.keep = readable_;
  view_.keep_writable = writable_;
}

pid_t AppStart::Fork() {
  int go[2], report[2];
  if (pipe2(go, O_CLOEXEC) != 0) return -1;
  if (pipe2(report, O_CLOEXEC) != 0) {
    close(go[0]);
    close(go[1]);
    return -1;
  }
  const pid_t shim = getpid();
  pid_ = fork();
  if (pid_ == 0) {
    close(go[1]);
    close(report[0]);
    Child(shim, go[0], report[1]);
  }
  close(go[0]);
  close(report[1]);
  go_ = Fd(go[1]);
  report_ = Fd(report[0]);
  return pid_;
}

AppStart::Failure AppStart::Go() {
  const char byte = 'g';
  // The child holds the read end and is alive, or its end shows below as an empty report.
  [[maybe_unused]] const ssize_t written = write(go_.get(), &byte, 1);
  go_.Reset();
  Report report{};
  ssize_t n = 0;
  do {
    n = read(report_.get(), &report, sizeof report);
  } while (n < 0 && errno == EINTR);
  report_.Reset();
  if (n != static_cast<ssize_t>(sizeof report)) return {};
  waitpid(pid_, nullptr, 0);
  return {Describe(report), report.error};
}

void AppStart::Abandon() {
  go_.Reset();
  waitpid(pid_, nullptr, 0);
}

std::string AppStart::Describe(const Report& report) const {
  switch (report.step) {
    case kSession:
      return "make a session";
    case kJoinCgroup:
      return "join the cgroup that holds its limits";
    case kTmp:
      return "make its directory for temporary files, " + tmp_;
    case kView:
      return std::string("give it its own view of the files: ") + report.detail;
    case kLimits:
      return "limit its open files and the size of its files";
    case kRules:
      return std::string("restrict it to its files: ") + report.detail;
    case kFilter:
      return "restrict its system calls";
    case kUser:
      return "become user " + std::to_string(uid_);
    case kPrivileges:
      return "give up privileges";
    case kDirectory:
      return "enter the directory " + directory_;
    case kOutput:
      return "connect its output";
    default:
      return "run \"" + args_.front() + "\"";
  }
}

int AppStart::MakeTmp() const {
  if (tmp_.empty()) return 0;
  if (mkdir(tmp_.c_str(), 0700) != 0 && errno != EEXIST) return errno;
  const Fd fd(open(tmp_.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!fd.valid()) return errno;
  return !changes_user_ || fchown(fd.get(), uid_, gid_) == 0 ? 0 : errno;
}

int AppStart::LimitSelf() const {
  // What spares the agent where memory is short (OOMScoreAdjust of its unit) is not for apps.
  if (const Fd score(open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC)); score.valid()) {
    [[maybe_unused]] const ssize_t n = write(score.get(), "0", 1);
  }
  const auto limit = [](auto resource, int64_t value) {
    const rlimit both{static_cast<rlim_t>(value), static_cast<rlim_t>(value)};
    return setrlimit(resource, &both) == 0 ? 0 : errno;
  };
  // A core file holds what the app knew, and fills the disk.
  if (const int error = limit(RLIMIT_CORE, 0); error != 0) return error;
  if (open_files_ > 0) {
    if (const int error = limit(RLIMIT_NOFILE, open_files_); error != 0) return error;
  }
  return file_bytes_ > 0 ? limit(RLIMIT_FSIZE, file_bytes_) : 0;
}

void AppStart::ServeSite(int report_fd) const {
  // No program begins, at which it would close by itself.
  _exit(serve_site_(run_, [report_fd](int error) {
    if (error != 0) {
      const Report report{kProgram, error, {}};
      [[maybe_unused]] const ssize_t n = write(report_fd, &report, sizeof report);
    }
    close(report_fd);
  }));
}

void AppStart::Child(pid_t shim, int go_fd, int report_fd) {
  int step = kSession;
  const char* detail = "";
  const auto fail = [&] {
    Report report{step, errno, {}};
    std::strncpy(report.detail, detail, sizeof report.detail - 1);
    [[maybe_unused]] const ssize_t n = write(report_fd, &report, sizeof report);
    _exit(127);
  };
  if (setsid() < 0) fail();
  // Signals as a program expects to find them; ignored ones survive exec.
  for (int signal = 1; signal < NSIG; ++signal) ::signal(signal, SIG_DFL);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);

  char byte = 0;
  ssize_t n = 0;
  do {
    n = read(go_fd, &byte, 1);
  } while (n < 0 && errno == EINTR);
  if (n != 1) _exit(127);

  step = kJoinCgroup;
  for (const std::string& cgroup : cgroups_) {
    const int fd = open((cgroup + "/cgroup.procs").c_str(), O_WRONLY | O_CLOEXEC);
    if (fd < 0 || write(fd, "0", 1) != 1) fail();
    close(fd);
  }
  const auto check = [&](int error) {
    errno = error;
    if (error != 0) fail();
  };
  step = kTmp;
  check(MakeTmp());
  step = kView;
  if (has_view_) {
    const int error = view_.Enter();
    detail = view_.failed.c_str();
    check(error);
  }
  step = kLimits;
  check(LimitSelf());
  step = kRules;
  // Made while it may open all that is named; kept to once it is the app's user.
  if (has_landlock_) {
    std::vector<std::string> writable = writable_;
    writable.push_back(directory_);
    if (has_view_) writable.insert(writable.end(), {"/tmp", "/var/tmp", "/dev/shm"});
    if (!has_view_ && !tmp_.empty()) writable.push_back(tmp_);
    const int error = landlock_.Make(readable_, writable);
    detail = landlock_.failed.c_str();
    check(error);
  }
  step = kUser;
  if (no_capabilities_) check(ForbidCapabilities());
  if (changes_user_) {
    // So that it can open /dev/stdout, which is this pipe.
    if (fchown(output_fd_, uid_, gid_) != 0) fail();
    check(BecomeUser(uid_, gid_, groups_));
  }
  step = kPrivileges;
  if (no_capabilities_) check(GiveUpPrivileges());
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) fail();
  // After the change of user, which clears it. The app must not outlive the shim: nobody would hear
  // of its end.
  if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0) fail();
  if (getppid() != shim) _exit(127);
  step = kDirectory;
  if (chdir(directory_.c_str()) != 0) fail();
  umask(no_capabilities_ ? 027 : 022);
  step = kRules;
  if (has_landlock_) {
    const int error = landlock_.Restrict();
    detail = landlock_.failed.c_str();
    check(error);
  }
  step = kOutput;
  const int null_fd = open("/dev/null", O_RDONLY);
  if (null_fd < 0 || dup2(null_fd, 0) < 0 || dup2(output_fd_, 1) < 0 || dup2(output_fd_, 2) < 0)
    fail();
  // The report's descriptor moves to 3 (and closes when the program runs); everything above it is
  // closed.
  if (report_fd != 3 && dup3(report_fd, 3, O_CLOEXEC) < 0) fail();
  report_fd = 3;
  if (syscall(SYS_close_range, 4u, ~0u, 0u) != 0) fail();

  std::vector<char*> args, env;
  for (const std::string& a : args_) args.push_back(const_cast<char*>(a.c_str()));
  for (const std::string& e : env_) env.push_back(const_cast<char*>(e.c_str()));
  args.push_back(nullptr);
  env.push_back(nullptr);
  environ = env.data();  // execvp looks the program up in the app's own PATH
  step = kFilter;
  if (has_seccomp_) check(FilterSystemCalls());
  step = kProgram;
  if (serve_site_ != nullptr && run_.Number(key::kSite) != 0) ServeSite(report_fd);
  execvp(args[0], args.data());
  fail();
  _exit(127);
}

}  // namespace remuda::agent
