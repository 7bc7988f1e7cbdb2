#include "cli/deploy_watch.h"

#include <absl/strings/str_cat.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <condition_variable>
#include <csignal>
#include <mutex>
#include <optional>
#include <ostream>
#include <thread>

#include "cli/deploy_progress.h"
#include "cli/deploy_trouble.h"
#include "cli/live_picture.h"
#include "cli/printing.h"
#include "cli/table_layout.h"

namespace remuda::cli {
namespace {

using std::chrono::milliseconds;
using SteadyClock = std::chrono::steady_clock;

constexpr milliseconds kTick{100};
constexpr milliseconds kRedraw{500};
constexpr milliseconds kRedialWait{300};
constexpr std::chrono::seconds kRedialFor{
    60};  // without a controller; then the watching is given up
constexpr std::chrono::hours kStreamDeadline{24 * 7};
constexpr size_t kDefaultWidth = 100;
// Below the panel: that the controller is away, and where the cursor stands.
constexpr size_t kLinesBelow = 2;

// Reads the stream on a thread of its own, so that the main one can tick. The thread ends with the
// object.
class DeploymentStream {
 public:
  DeploymentStream(const ControllerClient& client, std::string name)
      : client_(client), name_(std::move(name)), thread_([this] { Run(); }) {}
  DeploymentStream(const DeploymentStream&) = delete;
  DeploymentStream& operator=(const DeploymentStream&) = delete;
  ~DeploymentStream() {
    {
      const std::lock_guard lock(mutex_);
      is_stopping_ = true;
      if (call_ != nullptr) call_->TryCancel();
    }
    changed_.notify_all();
    thread_.join();
  }

  struct News {
    std::optional<v1::Deployment> deployment;  // the newest since the last look
    bool is_connected = true;
    std::optional<absl::Status> failed;  // for good
  };
  // What came since the last call; waits for something at most `wait`.
  News Next(milliseconds wait) {
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, wait, [this] { return newest_.has_value() || failed_.has_value(); });
    News news{std::move(newest_), is_connected_, failed_};
    newest_.reset();
    return news;
  }

 private:
  void Run() {
    SteadyClock::time_point alone_since = SteadyClock::now();
    while (true) {
      const absl::Status status = ReadOne(alone_since);
      std::unique_lock lock(mutex_);
      if (is_stopping_) return;
      const bool may_retry = status.ok() || status.code() == absl::StatusCode::kUnavailable ||
                             status.code() == absl::StatusCode::kDeadlineExceeded ||
                             status.code() == absl::StatusCode::kCancelled;
      if (!may_retry || SteadyClock::now() - alone_since > kRedialFor) {
        failed_ = status.ok()
                      ? absl::UnavailableError("the controller ends the stream again and again")
                      : status;
        changed_.notify_all();
        return;
      }
      is_connected_ = status.ok();
      changed_.wait_for(lock, kRedialWait, [this] { return is_stopping_; });
    }
  }

  // One stream to its end.
  absl::Status ReadOne(SteadyClock::time_point& alone_since) {
    grpc::ClientContext call;
    call.set_deadline(std::chrono::system_clock::now() + kStreamDeadline);
    {
      const std::lock_guard lock(mutex_);
      if (is_stopping_) return absl::CancelledError();
      call_ = &call;
    }
    v1::WatchDeploymentRequest request;
    request.set_name(name_);
    const auto stream = client_.deployments->WatchDeployment(&call, request);
    v1::WatchDeploymentResponse response;
    while (stream->Read(&response)) {
      alone_since = SteadyClock::now();
      const std::lock_guard lock(mutex_);
      newest_ = response.deployment();
      is_connected_ = true;
      changed_.notify_all();
    }
    absl::Status status = FromGrpcStatus(stream->Finish());
    const std::lock_guard lock(mutex_);
    call_ = nullptr;
    return status;
  }

  const ControllerClient& client_;
  const std::string name_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::optional<v1::Deployment> newest_;  // guarded by mutex_
  std::optional<absl::Status> failed_;    // guarded by mutex_
  bool is_connected_ = true;              // guarded by mutex_
  bool is_stopping_ = false;              // guarded by mutex_
  grpc::ClientContext* call_ = nullptr;   // guarded by mutex_; of the stream that is being read
  std::thread thread_;                    // last: it uses the others
};

// Draws on standard output; on standard error if that is for the outcome as data.
class ProgressView {
 public:
  explicit ProgressView(Context& context)
      : out_(IsTable(context.output) ? context.out : context.err),
        is_redrawn_(IsTable(context.output) && context.out_is_terminal),
        has_colours_(context.out_has_colours),
        picture_(out_) {}

  bool is_redrawn() const { return is_redrawn_; }

  void Show(const v1::Deployment& deployment, bool is_connected) {
    if (!is_redrawn_) return Lines(deployment);
    auto lines = ProgressPanel(deployment, SystemNow(), Style());
    if (!is_connected)
      lines.emplace_back(
          "  the controller is away; trying again (the deployment itself waits for it too)");
    picture_.Draw(lines);
  }

 private:
  void Lines(const v1::Deployment& deployment) {
    const auto now = SystemNow();
    for (const std::string& line : told_.Next(deployment, now))
      out_ << FormatClock(now) << " " << line << std::endl;
  }

  // The terminal may have got another size meanwhile. What is higher than it could not be drawn
  // over.
  PanelStyle Style() const {
    const TerminalSize size = SizeOfTerminal();
    PanelStyle style{.width = kDefaultWidth, .with_colours = has_colours_};
    if (size.columns > 0) style.width = size.columns;
    if (size.rows > kLinesBelow) style.height = size.rows - kLinesBelow;
    return style;
  }

  std::ostream& out_;
  const bool is_redrawn_;
  const bool has_colours_;
  LivePicture picture_;
  ProgressLines told_;
};

// What it came to, and the exit code that says so.
ExitCode Outcome(Context& context, const ControllerClient& client, const v1::Deployment& ended,
                 v1::DeploymentState wanted) {
  if (IsTable(context.output)) {
    context.out << OutcomeText(ended) << std::endl;
    // Who asked for the rollback knows why.
    if (ended.state() != wanted) PrintTrouble(context, client, ended);
  } else {
    PrintResource(context, KindId::kDeployment, ended);
  }
  if (ended.state() == v1::DEPLOYMENT_STATE_FAILED) return ExitCode::kFailed;
  return ended.state() == wanted ? ExitCode::kOk : ExitCode::kRolledBack;
}

// The time is over, and the deployment is not.
ExitCode LeaveOff(Context& context, const ControllerClient& client, const v1::Deployment& latest,
                  const std::string& how_to_go_on) {
  if (IsTable(context.output)) {
    PrintTrouble(context, client, latest);
  } else {
    PrintResource(context, KindId::kDeployment, latest);
  }
  context.err << "remuda: the time to watch it (--timeout) is over; the deployment goes on: "
              << ProgressLine(latest) << "\nWatch again: " << how_to_go_on << std::endl;
  return ExitCode::kTimedOut;
}

}  // namespace

InterruptFlag::InterruptFlag() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGINT);
  sigaddset(&signals, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  fd_ = signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
}

InterruptFlag::~InterruptFlag() {
  if (fd_ >= 0) close(fd_);
}

bool InterruptFlag::Seen() {
  signalfd_siginfo info;
  while (read(fd_, &info, sizeof info) == sizeof info) seen_ = true;
  return seen_;
}

ExitCode WatchDeploymentToEnd(Context& context, const ControllerClient& client,
                              const v1::Deployment& deployment, const WatchOptions& options,
                              InterruptFlag& interrupt) {
  const auto begin = SteadyClock::now();
  const std::string how_to_go_on = "`remuda deployment watch " + ShortId(deployment.name()) + "`";
  DeploymentStream stream(client, deployment.name());
  ProgressView view(context);
  v1::Deployment latest = deployment;
  view.Show(latest, true);
  auto drawn_at = SteadyClock::now();
  bool was_connected = true;
  while (!HasEnded(latest)) {
    const auto news = stream.Next(kTick);
    if (interrupt.Seen()) {
      context.err << "\nStopped watching; the deployment goes on. Watch again: " << how_to_go_on
                  << std::endl;
      return ExitCode::kOk;
    }
    if (news.failed.has_value()) {
      context.err << "remuda: the deployment cannot be watched any more (it may go on); later: "
                  << how_to_go_on << "\n";
      return Fail(context, *news.failed);
    }
    if (!news.is_connected && was_connected && !view.is_redrawn()) {
      context.err << "remuda: the controller is away; trying again" << std::endl;
    }
    const bool is_due = view.is_redrawn() && SteadyClock::now() - drawn_at >= kRedraw;
    if (news.deployment.has_value()) latest = *news.deployment;
    if (news.deployment.has_value() || is_due || news.is_connected != was_connected) {
      view.Show(latest, news.is_connected);
      drawn_at = SteadyClock::now();
    }
    was_connected = news.is_connected;
    if (options.limit.count() > 0 && SteadyClock::now() - begin >= options.limit &&
        !HasEnded(latest)) {
      return LeaveOff(context, client, latest, how_to_go_on);
    }
  }
  return Outcome(context, client, latest, options.wanted);
}

}  // namespace remuda::cli
