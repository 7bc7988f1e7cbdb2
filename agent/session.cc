#include "agent/session.h"

#include <absl/strings/str_cat.h>
#include <grpcpp/grpcpp.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <deque>
#include <mutex>
#include <utility>

#include "agent/core/decide.h"
#include "common/message_text.h"
#include "remuda/agent/v1/agent.grpc.pb.h"

namespace remuda::agent {
namespace {

// The wait between two tries at most; Backoff (agent/core) grows further.
constexpr std::chrono::milliseconds kMaxWait{5000};

}  // namespace

// gRPC calls the reactor on its own threads; `mutex_` guards what they share with the loop. It
// keeps itself alive until OnDone.
class SessionStream : public grpc::ClientBidiReactor<v1::ConnectRequest, v1::ConnectResponse>,
                      public std::enable_shared_from_this<SessionStream> {
 public:
  using OnMessage = std::function<void(v1::ConnectResponse)>;
  using OnEnd = std::function<void(std::string)>;

  SessionStream(OpenCalls& calls, OnMessage on_message, OnEnd on_end)
      : calls_(calls), on_message_(std::move(on_message)), on_end_(std::move(on_end)) {}

  void Begin(const std::shared_ptr<grpc::Channel>& channel, v1::ConnectRequest hello) {
    self_ = shared_from_this();
    calls_.Begin();
    stub_ = v1::AgentService::NewStub(channel);
    stub_->async()->Connect(&context_, this);
    // Writes come from the loop, outside of the reactions: the hold keeps the call open for them.
    AddHold();
    Send(std::move(hello));
    StartRead(&incoming_);
    StartCall();
  }

  void Send(v1::ConnectRequest message) {
    // Names in archives, errors, what apps print: one byte that is no UTF-8 would end the session,
    // and the next one, which says the same.
    MakeTextValid(message);
    const std::lock_guard lock(mutex_);
    if (ended_) return;
    outgoing_.push_back(std::move(message));
    if (outgoing_.size() > Session::kMaxQueued) {
      context_.TryCancel();
    } else if (!writing_) {
      StartNextWrite();
    }
  }

  size_t queued() const {
    const std::lock_guard lock(mutex_);
    return outgoing_.size();
  }

  void Cancel() { context_.TryCancel(); }

  void OnWriteDone(bool ok) override {
    const std::lock_guard lock(mutex_);
    writing_ = false;
    outgoing_.pop_front();
    if (!ok) {
      outgoing_.clear();
      End();
    } else if (!outgoing_.empty() && !ended_) {
      StartNextWrite();
    }
  }

  void OnReadDone(bool ok) override {
    if (!ok) {
      const std::lock_guard lock(mutex_);
      End();
      return;
    }
    on_message_(std::move(incoming_));
    incoming_.Clear();
    StartRead(&incoming_);
  }

  void OnDone(const grpc::Status& status) override {
    on_end_(status.ok() ? "the controller ended the session"
                        : absl::StrCat(status.error_message(), " (code ",
                                       static_cast<int>(status.error_code()), ")"));
    OpenCalls& calls = calls_;
    std::exchange(self_, nullptr).reset();
    calls.End();  // this may be gone
  }

 private:
  void StartNextWrite() {  // mutex_ is held
    writing_ = true;
    StartWrite(&outgoing_.front());
  }
  void End() {  // mutex_ is held
    if (std::exchange(ended_, true)) return;
    context_.TryCancel();
    RemoveHold();
  }

  OpenCalls& calls_;
  const OnMessage on_message_;
  const OnEnd on_end_;
  std::unique_ptr<v1::AgentService::Stub> stub_;
  grpc::ClientContext context_;
  v1::ConnectResponse incoming_;
  std::shared_ptr<SessionStream> self_;
  mutable std::mutex mutex_;
  std::deque<v1::ConnectRequest>
      outgoing_;          // guarded by mutex_; the first is being written while writing_
  bool writing_ = false;  // guarded by mutex_
  bool ended_ = false;    // guarded by mutex_: nothing more may be started
};

Session::Session(EventLoop& loop, identity::ControllerAddresses& controllers,
                 identity::ControllerChannel& channel, uint64_t seed, Handlers handlers)
    : loop_(loop),
      controllers_(controllers),
      channel_(channel),
      seed_(seed),
      handlers_(std::move(handlers)) {}

Session::~Session() {
  Stop();
  *alive_ = false;
}

void Session::Start() { Dial(); }

void Session::Stop() {
  stopped_ = true;
  up_ = false;
  loop_.Cancel(timer_);
  if (stream_ != nullptr) stream_->Cancel();
  calls_.WaitUntilNone();
  stream_.reset();
}

void Session::Send(v1::ConnectRequest message) {
  if (up_ && stream_) stream_->Send(std::move(message));
}

size_t Session::queued() const { return stream_ ? stream_->queued() : 0; }

void Session::Dial() {
  const uint64_t number = ++number_;
  v1::ConnectRequest hello;
  *hello.mutable_hello() = handlers_.make_hello();
  // The handlers run on gRPC's threads and may outlast this object's tries, so they hold what they
  // use.
  const auto post = [this, loop = &loop_, alive = alive_](auto task) {
    loop->Post([this, alive, task = std::move(task)]() mutable {
      if (*alive) task();
    });
  };
  stream_ = std::make_shared<SessionStream>(
      calls_,
      [this, number, post](v1::ConnectResponse message) {
        post([this, number, message = std::move(message)] { OnMessage(number, message); });
      },
      [this, number, post](std::string reason) {
        post([this, number, reason = std::move(reason)] { OnDone(number, reason); });
      });
  stream_->Begin(channel_.Dial(controllers_.current()), std::move(hello));
}

void Session::OnMessage(uint64_t number, const v1::ConnectResponse& message) {
  if (number != number_ || stopped_ || !refusal_.empty()) return;
  if (up_) {
    handlers_.on_message(message);
    return;
  }
  if (!message.has_welcome()) {
    refusal_ = "its first message was no Welcome";
    stream_->Cancel();
    return;
  }
  // Up before the handler runs: what it sends belongs to this session.
  up_ = true;
  if (!handlers_.on_welcome(message.welcome())) {
    up_ = false;
    refusal_ = "it is not followed";
    stream_->Cancel();
    return;
  }
  up_since_ = EventLoop::Now();
  failures_ = 0;
  last_errors_.clear();
}

void Session::LogEnd(const std::string& reason) {
  std::string& last = last_errors_[controllers_.current()];
  if (last == reason) return;
  spdlog::warn("no session with the controller at {}: {}", controllers_.current(), reason);
  last = reason;
}

void Session::OnDone(uint64_t number, const std::string& reason) {
  if (number != number_ || stopped_) return;
  stream_.reset();
  const bool was_up = std::exchange(up_, false);
  LogEnd(refusal_.empty() ? reason : std::exchange(refusal_, ""));
  if (was_up) handlers_.on_down(reason);
  if (controllers_.Next(was_up && EventLoop::Now() - up_since_ >= kSettled)) return Dial();
  ++failures_;
  timer_ = loop_.After(std::min(Backoff(failures_, seed_ + number), kMaxWait), [this] { Dial(); });
}

}  // namespace remuda::agent
