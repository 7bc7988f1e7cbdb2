#include "cli/dev_supervisor.h"

#include <absl/strings/numbers.h>
#include <absl/strings/str_cat.h>
#include <poll.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "cli/child_process.h"
#include "common/yaml_tree.h"

namespace remuda::cli {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr milliseconds kFirstBackoff{250};
constexpr milliseconds kMaxBackoff{10'000};
constexpr milliseconds kOldAge{30'000};  // lived so long: the next end counts as the first
constexpr milliseconds kReadyPoll{20};
constexpr milliseconds kQuietPoll{500};
constexpr seconds kReadyDeadline{60};
constexpr seconds kStopDeadline[kStopStages] = {seconds(15), seconds(15), seconds(45)};
constexpr seconds kKillDeadline{5};
constexpr seconds kLogCheckInterval{5};
constexpr int64_t kMaxLogBytes = int64_t{16} << 20;
constexpr int kTailLines = 8;

SteadyTime Now() { return std::chrono::steady_clock::now(); }

std::string RoleName(const DevProgram& program) {
  switch (program.role) {
    case DevRole::kController:
      return "controller";
    case DevRole::kAgent:
      return "agent " + program.name;
    case DevRole::kProxy:
      return "proxy " + program.name;
  }
  return program.name;
}

// The port at the end of "127.0.0.1:7400"; 0 if there is none.
int PortOf(const std::string& address) {
  int port = 0;
  const size_t colon = address.rfind(':');
  if (colon == std::string::npos || !absl::SimpleAtoi(address.substr(colon + 1), &port)) return 0;
  return port;
}

}  // namespace

milliseconds RestartBackoff::Next(milliseconds lived) {
  young_deaths_ = lived >= kOldAge ? 1 : young_deaths_ + 1;
  milliseconds wait = kFirstBackoff;
  for (int i = 1; i < young_deaths_ && wait < kMaxBackoff; ++i) wait *= 2;
  return std::min(wait, kMaxBackoff);
}

DevSupervisor::DevSupervisor(DevOptions options, std::ostream& err)
    : options_(std::move(options)), err_(err) {
  sigset_t signals;
  sigemptyset(&signals);
  for (const int signal : {SIGINT, SIGTERM, SIGHUP, SIGCHLD}) sigaddset(&signals, signal);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  signal_fd_ = signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
  for (const DevProgram& program : PlanDev(options_)) {
    Child child;
    child.program = program;
    children_.push_back(child);
  }
}

DevSupervisor::~DevSupervisor() {
  for (int stage = 0; stage < kStopStages; ++stage) SignalStage(stage, SIGKILL);
  if (signal_fd_ >= 0) close(signal_fd_);
}

absl::Status DevSupervisor::Start(const std::function<absl::Status()>& before_rest) {
  std::error_code error;
  for (const char* folder : {"run", "logs", "controller", "agents", "proxies"}) {
    std::filesystem::create_directories(options_.data_dir + "/" + folder, error);
    if (error)
      return absl::UnavailableError(
          absl::StrCat(options_.data_dir, "/", folder, ": ", error.message()));
  }
  for (const bool is_controller : {true, false}) {
    for (Child& child : children_) {
      if ((child.program.role == DevRole::kController) != is_controller) continue;
      if (auto status = Launch(child); !status.ok()) return status;
    }
    if (auto status = AwaitReady(); !status.ok()) return status;
    if (is_controller) {
      if (auto status = before_rest(); !status.ok()) return status;
    }
  }
  return absl::OkStatus();
}

absl::Status DevSupervisor::Launch(Child& child) {
  std::filesystem::create_directories(DevProgramDataDir(options_, child.program));
  std::filesystem::remove(DevReadyFile(options_, child.program));
  const auto pid = SpawnChild(DevArguments(options_, child.program, controller_address()),
                              DevLogFile(options_, child.program));
  if (!pid.ok()) return pid.status();
  child.pid = *pid;
  ++changes_;
  child.is_ready = false;
  child.restart_planned = false;
  child.started = Now();
  return absl::OkStatus();
}

// Of everything that was launched so far.
absl::Status DevSupervisor::AwaitReady() {
  const SteadyTime deadline = Now() + kReadyDeadline;
  while (true) {
    const auto waiting = std::find_if(children_.begin(), children_.end(), [](const Child& child) {
      return child.pid != 0 && !child.is_ready;
    });
    if (!start_error_.ok()) return start_error_;
    if (stop_requested()) return absl::CancelledError("stopped before everything was up");
    if (waiting == children_.end()) return absl::OkStatus();
    if (Now() > deadline) {
      const std::string log = DevLogFile(options_, waiting->program);
      return absl::DeadlineExceededError(
          absl::StrCat(RoleName(waiting->program), " is not ready after ", kReadyDeadline.count(),
                       " s; the end of ", log, ":\n", TailOfFile(log, kTailLines, "  ")));
    }
    PollOnce(kReadyPoll);
  }
}

bool DevSupervisor::RunFor(milliseconds duration, const std::function<bool()>& done) {
  const SteadyTime end = Now() + duration;
  while (!stop_requested()) {
    if (done && done()) return true;
    const auto left = std::chrono::duration_cast<milliseconds>(end - Now());
    if (left <= milliseconds(0)) return true;
    const bool is_busy = std::any_of(children_.begin(), children_.end(), [](const Child& child) {
      return child.restart_planned || !child.is_ready;
    });
    PollOnce(std::min(left, is_busy ? kReadyPoll : kQuietPoll));
  }
  return false;
}

void DevSupervisor::Stop() {
  is_stopping_ = true;
  const int first_signals = signals_seen_;
  for (int stage = 0; stage < kStopStages; ++stage) {
    SignalStage(stage, SIGTERM);
    const SteadyTime deadline = Now() + kStopDeadline[stage];
    while (!StageEnded(stage) && Now() < deadline && signals_seen_ <= first_signals)
      PollOnce(kReadyPoll);
  }
  bool was_forced = false;
  for (int stage = 0; stage < kStopStages; ++stage) {
    if (StageEnded(stage)) continue;
    was_forced = true;
    SignalStage(stage, SIGKILL);
    const SteadyTime deadline = Now() + kKillDeadline;
    while (!StageEnded(stage) && Now() < deadline) PollOnce(kReadyPoll);
  }
  if (was_forced) {
    err_ << "remuda dev: some programs were ended by force; apps may still run, and the next "
            "`remuda dev` with this "
            "data directory takes them over\n";
  }
}

void DevSupervisor::PollOnce(milliseconds wait) {
  pollfd signals{signal_fd_, POLLIN, 0};
  poll(&signals, 1, static_cast<int>(wait.count()));
  ReadSignals();
  ReapChildren();
  for (Child& child : children_) {
    if (child.pid != 0 && !child.is_ready) ReadReadyFile(child);
  }
  RestartDue();
  BoundLogs();
}

void DevSupervisor::ReadSignals() {
  signalfd_siginfo info;
  while (read(signal_fd_, &info, sizeof info) == sizeof info) {
    if (info.ssi_signo != SIGCHLD) ++signals_seen_;
  }
}

void DevSupervisor::ReapChildren() {
  for (Child& child : children_) {
    int wait_status = 0;
    if (child.pid != 0 && waitpid(child.pid, &wait_status, WNOHANG) == child.pid)
      OnExit(child, wait_status);
  }
}

void DevSupervisor::OnExit(Child& child, int wait_status) {
  child.pid = 0;
  ++changes_;
  child.is_ready = false;
  if (is_stopping_) return;
  const std::string log = DevLogFile(options_, child.program);
  if (!child.was_ready) {
    start_error_ = absl::UnavailableError(absl::StrCat(
        RoleName(child.program), " ended before it was ready (", DescribeExit(wait_status),
        "); the end of ", log, ":\n", TailOfFile(log, kTailLines, "  ")));
    return;
  }
  const auto wait =
      child.backoff.Next(std::chrono::duration_cast<milliseconds>(Now() - child.started));
  child.restart_at = Now() + wait;
  child.restart_planned = true;
  err_ << "remuda dev: " << RoleName(child.program) << " ended (" << DescribeExit(wait_status)
       << "); starting it again in " << wait.count() << " ms. Its log: " << log << std::endl;
}

void DevSupervisor::ReadReadyFile(Child& child) {
  std::ifstream in(DevReadyFile(options_, child.program), std::ios::binary);
  if (!in) return;
  const std::string text{std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
  const auto documents = ParseYaml(text, "ready file");  // JSON is YAML
  if (!documents.ok() || documents->empty()) return;
  for (const auto& [key, value] : documents->front().root->entries) {
    // Taken for good: after a restart the same ports are asked for again.
    if (key->scalar == "grpc") child.program.grpc_port = PortOf(value->scalar);
    if (key->scalar == "http") child.program.http_port = PortOf(value->scalar);
    if (key->scalar == "join") child.program.join_port = PortOf(value->scalar);
  }
  if (child.was_ready) err_ << "remuda dev: " << RoleName(child.program) << " is back" << std::endl;
  child.is_ready = true;
  child.was_ready = true;
  ++changes_;
}

void DevSupervisor::RestartDue() {
  if (is_stopping_) return;
  for (Child& child : children_) {
    if (!child.restart_planned || Now() < child.restart_at) continue;
    if (const auto status = Launch(child); !status.ok()) {
      child.restart_at = Now() + child.backoff.Next(milliseconds(0));
      err_ << "remuda dev: " << RoleName(child.program) << ": " << status.message() << std::endl;
    }
  }
}

void DevSupervisor::BoundLogs() {
  if (Now() < logs_bounded_at_ + kLogCheckInterval) return;
  logs_bounded_at_ = Now();
  for (const Child& child : children_) BoundLog(DevLogFile(options_, child.program), kMaxLogBytes);
}

bool DevSupervisor::StageEnded(int stage) const {
  return std::none_of(children_.begin(), children_.end(), [stage](const Child& child) {
    return child.pid != 0 && StopStage(child.program.role) == stage;
  });
}

void DevSupervisor::SignalStage(int stage, int signal) {
  for (const Child& child : children_) {
    if (child.pid != 0 && StopStage(child.program.role) == stage) kill(child.pid, signal);
  }
}

std::string DevSupervisor::controller_address() const {
  return absl::StrCat("127.0.0.1:", children_.front().program.grpc_port);
}

std::string DevSupervisor::join_address() const {
  return absl::StrCat("127.0.0.1:", children_.front().program.join_port);
}

std::vector<DevProgram> DevSupervisor::programs() const {
  std::vector<DevProgram> out;
  for (const Child& child : children_) out.push_back(child.program);
  return out;
}

int DevSupervisor::PidOf(const std::string& name) const {
  for (const Child& child : children_) {
    if (child.program.name == name) return child.pid;
  }
  return 0;
}

}  // namespace remuda::cli
