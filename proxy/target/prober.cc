#include "proxy/target/prober.h"

#include <spdlog/spdlog.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "proxy/core/slow_start.h"
#include "proxy/io/socket.h"
#include "proxy/io/transport.h"
#include "proxy/tls/client_context.h"
#include "proxy/tls/tls_stream.h"

namespace remuda::proxy {

using std::chrono::milliseconds;

// One target: waits, connects, asks, judges, waits again.
class Prober::Check final : public IoHandler, public CheckTurn {
 public:
  Check(Prober& prober, std::shared_ptr<TargetState> target)
      : CheckTurn(prober.slots_, target->group().id()),
        prober_(prober),
        target_(std::move(target)),
        tracker_(std::chrono::system_clock::now()),
        timer_([this] { OnTimer(); }) {}
  ~Check() override { CloseSocket(); }

  // Before all else.
  void Recall(const HealthChange& known) {
    tracker_ = HealthTracker(known.health, known.reason, known.description, known.since);
  }

  void SetGroup(std::shared_ptr<const TargetGroup> group, bool is_active) {
    if (group_ == nullptr) warms_up_ = WarmsUp(*group, prober_.loop_.now());
    group_ = std::move(group);
    const bool is_new = !is_active_ && is_active;
    const bool is_changed = !(group_->health_check == spec_);
    spec_ = group_->health_check;
    is_active_ = is_active;
    if (!is_active) {
      CloseSocket();
      timer_.Cancel();
    } else if (is_new || is_changed) {
      CloseSocket();  // what is asked by the old rules counts no more
      is_spread_ = false;
      const bool is_first = tracker_.health() == Health::kInitial || target_->is_passively_out();
      Schedule(is_first ? milliseconds(0)
                        : AnyMoment(std::min(spec_.interval, kMaxRespread), prober_.random_()));
    }
  }

  void CheckSoon() {
    if (is_active_ && !transport_.is_open()) Schedule(milliseconds(0));
  }

  void OnIo(uint32_t events) override {
    if (!is_connected_) {
      if ((events & (EPOLLOUT | EPOLLERR | EPOLLHUP)) == 0) return;
      if (const int error = ConnectError(transport_.fd()); error != 0) {
        return Finish(NotConnected("connect: ", error));
      }
      is_connected_ = true;
      // A new socket's send buffer holds it whole; what goes wrong is found by the next call.
      if (!spec_.greeting.empty())
        send(transport_.fd(), spec_.greeting.data(), spec_.greeting.size(), MSG_NOSIGNAL);
      if (spec_.is_tcp) return Finish({});
      if (!spec_.is_tls) Ask();
    }
    if (!transport_.is_plain() && !is_asked_) {
      const int error = transport_.Handshake();
      if (error == -EAGAIN) return;
      if (error != 0) {
        return Finish({CheckResult::Kind::kConnectFailed, 0,
                       std::string("TLS handshake: ") + std::strerror(-error)});
      }
      Ask();
    }
    if (transport_.is_open() && (events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0)
      Read();
  }

  void OnTurn() override {
    if (!prober_.is_ending_) Begin();
  }

  // Says what is known, whether or not it changed.
  void Report() const {
    prober_.on_change_(
        {target_, tracker_.health(), tracker_.reason(), tracker_.description(), tracker_.since()});
  }

 private:
  void Schedule(milliseconds delay) { timer_.Arm(prober_.loop_, prober_.loop_.now() + delay); }

  void OnTimer() {
    if (transport_.is_open()) return Finish({CheckResult::Kind::kTimeout, 0, "no answer in time"});
    prober_.slots_.Ask(*this, is_silent_);
  }

  static CheckResult NotConnected(const char* what, int error) {
    return {
        IsOurShortage(error) ? CheckResult::Kind::kOurShortage : CheckResult::Kind::kConnectFailed,
        0, what + std::string(std::strerror(error))};
  }

  void Begin() {
    prober_.checks_.fetch_add(1, std::memory_order_relaxed);
    started_ = prober_.loop_.now();
    const uint16_t port = spec_.port != 0 ? spec_.port : target_->port();
    is_connected_ = false;
    is_asked_ = false;
    const int fd = BeginConnect(MakeSocketAddress(target_->address(), port));
    if (fd < 0) return Finish(NotConnected("connect: ", -fd));
    transport_ = Transport(fd);
    if (spec_.is_tls) {
      // Whoever answers is healthy: certificates are judged when requests are sent.
      transport_.SetLayer(
          std::make_unique<tls::TlsStream>(tls::ClientContext::ForChecks().NewConnection(
                                               spec_.server_name, target_->address(), nullptr),
                                           fd, tls::TlsStream::Side::kClient));
    }
    if (!prober_.loop_.Add(fd, this)) {
      // The kernel has no room to watch it, whatever it calls that.
      return Finish(
          {CheckResult::Kind::kOurShortage, 0, std::string("epoll: ") + std::strerror(errno)});
    }
    Schedule(spec_.timeout);
  }

  void Ask() {
    parser_.Reset();
    received_.clear();
    const std::string request =
        "GET " + spec_.path +
        " HTTP/1.1\r\nHost: " + (spec_.host.empty() ? target_->endpoint() : spec_.host) +
        "\r\nUser-Agent: Remuda-HealthChecker/1.0\r\nAccept: */*\r\nConnection: close\r\n\r\n";
    // A new socket's send buffer holds it whole.
    is_asked_ = true;
    const iovec piece{const_cast<char*>(request.data()), request.size()};
    if (transport_.Send(&piece, 1) != static_cast<ssize_t>(request.size())) {
      Finish({CheckResult::Kind::kBadAnswer, 0, std::string("send: ") + std::strerror(errno)});
    }
  }

  void Read() {
    char block[4096];
    while (true) {
      const ssize_t got = transport_.Receive(block, sizeof block).bytes;
      if (got == -EAGAIN) return;
      if (got <= 0) {
        return Finish({CheckResult::Kind::kBadAnswer, 0,
                       got == 0 ? "the connection ended before an answer"
                                : std::string("read: ") + std::strerror(static_cast<int>(-got))});
      }
      received_.append(block, static_cast<size_t>(got));
      if (TakeAnswer()) return;
    }
  }

  // Of what was received. False if more is needed.
  bool TakeAnswer() {
    while (!received_.empty()) {
      parser_.Reset();  // the string may have moved
      const http::ParseStatus status = parser_.Parse(received_.data(), received_.size(), head_);
      if (status == http::ParseStatus::kNeedMore) return false;
      if (status == http::ParseStatus::kError) {
        Finish({CheckResult::Kind::kBadAnswer, 0,
                "not an HTTP answer: " + std::string(http::NameOf(parser_.reason()))});
        return true;
      }
      if (head_.status < 200 && head_.status != 101) {  // the final one is behind it
        received_.erase(0, parser_.head_size());
        continue;
      }
      Finish(spec_.Passes(head_.status) ? CheckResult{}
                                        : CheckResult{CheckResult::Kind::kWrongCode, head_.status,
                                                      "got " + std::to_string(head_.status) +
                                                          ", want " + spec_.matcher_text});
      return true;
    }
    return false;
  }

  void CloseSocket() {
    if (transport_.is_open()) {
      prober_.loop_.Remove(transport_.fd(), this);
      transport_.Close();
    }
    prober_.slots_.Give(*this);
  }

  void Finish(const CheckResult& result) {
    CloseSocket();
    const SteadyTime now = prober_.loop_.now();
    const bool is_pass = result.kind == CheckResult::Kind::kPass;
    const bool is_skipped = result.kind == CheckResult::Kind::kOurShortage;
    if (is_skipped) prober_.NoteShortage(result);
    is_silent_ = result.kind == CheckResult::Kind::kTimeout;
    const bool was_healthy = target_->is_healthy();
    const bool was_eager = tracker_.health() == Health::kInitial || target_->is_passively_out();
    const bool counts = is_pass || is_skipped || !was_eager || started_ >= next_counted_;
    if (counts && !is_skipped) next_counted_ = started_ + spec_.interval;
    bool is_changed = false;
    if (!was_healthy && is_pass) BeginWarmUp(now);
    if (counts && tracker_.OnCheck(result, spec_, std::chrono::system_clock::now())) {
      target_->SetHealth(tracker_.health());
      is_changed = true;
    }
    if (is_pass && target_->SetPassivelyOut(false)) is_changed = true;
    if (is_changed) {
      target_->group().Changed();
      Report();
    }
    const bool is_eager = tracker_.health() == Health::kInitial || target_->is_passively_out();
    if (!is_eager && !is_spread_) {
      // Those that came together part here, and stay apart.
      is_spread_ = true;
      return Schedule(AnyMoment(spec_.interval, prober_.random_()));
    }
    // From one check's begin to the next, however long it took.
    const milliseconds interval =
        is_eager ? std::min(spec_.interval, kEagerInterval) : spec_.interval;
    const SteadyTime next = started_ + WithJitter(interval, prober_.random_());
    const auto left = std::chrono::duration_cast<milliseconds>(next - now);
    Schedule(std::max(left, milliseconds(0)));
  }

  // Before it is said to be healthy. A new target warms up if the group served when it came.
  void BeginWarmUp(SteadyTime now) {
    const bool is_new = tracker_.health() == Health::kInitial;
    target_->SetWarmBegin((is_new ? warms_up_ : WarmsUp(*group_, now)) ? now : SteadyTime());
  }

  Prober& prober_;
  const std::shared_ptr<TargetState> target_;
  std::shared_ptr<const TargetGroup> group_;
  bool warms_up_ = false;
  HealthCheckSpec spec_;
  HealthTracker tracker_;
  bool is_active_ = false;
  bool is_connected_ = false;
  bool is_asked_ = false;
  bool is_silent_ = false;  // the last check had no answer in time
  bool is_spread_ = false;  // it has a moment of its own within the interval
  Transport transport_;
  SteadyTime started_{};
  SteadyTime next_counted_{};
  std::string received_;
  http::ResponseParser parser_;
  http::ResponseHead head_;
  Timer timer_;
};

Prober::Prober(std::function<void(const HealthChange&)> on_change)
    : on_change_(std::move(on_change)), random_(std::random_device()()) {}

Prober::~Prober() {
  Stop();
  is_ending_ = true;
  checks_by_target_.clear();
}

void Prober::Start() {
  thread_ = std::thread([this] { loop_.Run(); });
}

void Prober::Stop() {
  if (!thread_.joinable()) return;
  loop_.Stop();
  thread_.join();
}

void Prober::Update(std::shared_ptr<const RoutingTable> table, std::vector<HealthChange> recalled) {
  loop_.Post(
      [this, table = std::move(table), recalled = std::move(recalled)] { Take(table, recalled); });
}

void Prober::CheckSoon(TargetState* target) {
  loop_.Post([this, target] {
    if (const auto it = checks_by_target_.find(target); it != checks_by_target_.end())
      it->second->CheckSoon();
  });
}

void Prober::NoteShortage(const CheckResult& result) {
  skipped_checks_.fetch_add(1, std::memory_order_relaxed);
  if (loop_.now() < next_shortage_log_) return;
  next_shortage_log_ = loop_.now() + kShortageLogInterval;
  spdlog::error("checks of targets are not made and do not count: {}", result.detail);
}

void Prober::Take(const std::shared_ptr<const RoutingTable>& table,
                  const std::vector<HealthChange>& recalled) {
  for (const HealthChange& known : recalled) {
    auto& check = checks_by_target_[known.target.get()];
    check = std::make_unique<Check>(*this, known.target);
    check->Recall(known);
    check->Report();
  }
  for (const auto& group : table->changed_groups) {
    for (const Member& member : group->members) {
      auto& check = checks_by_target_[member.target.get()];
      if (check == nullptr) {
        check = std::make_unique<Check>(*this, member.target);
        check->Report();
      }
      check->SetGroup(group, member.admin == AdminState::kActive);
    }
  }
  for (const auto& [target, admin] : table->admin_changes) {
    if (admin == AdminState::kRemoved) checks_by_target_.erase(target.get());
  }
}

}  // namespace remuda::proxy
