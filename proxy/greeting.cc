#include "proxy/greeting.h"

#include <utility>

#include "proxy/worker.h"

namespace remuda::proxy {

namespace {

// How long a client that is about to ask has for what comes before, when the proxy drains.
constexpr std::chrono::milliseconds kClosingGrace{1000};

}  // namespace

Greeting::Greeting(Worker& worker) : Connection(worker), timer_([this] { OnTimer(); }) {}

bool Greeting::IsNeeded(const Listener& listener, const PeerAddress& peer) {
  if (listener.spec == nullptr) return false;
  const bool is_tls = listener.spec->protocol != ListenerProtocol::kHttp &&
                      listener.spec->protocol != ListenerProtocol::kTcp;
  return is_tls ||
         (!listener.spec->proxy_protocol_sources.empty() && IsProxySource(listener, peer));
}

void Greeting::Open(Transport transport, const PeerAddress& peer,
                    std::shared_ptr<Listener> listener) {
  transport_ = std::move(transport);
  peer_ = peer;
  listener_ = std::move(listener);
  if (!worker_.loop().Add(transport_.fd(), this)) {
    Close();
    return;
  }
  timer_.Arm(worker_.loop(), worker_.loop().now() + worker_.settings().greeting_timeout);
}

void Greeting::OnIo(uint32_t events) {
  if (!IsOfUse(events)) return;
  while (stage_ != Stage::kDone) {
    const int result = Step();
    if (result == -EAGAIN) return;
    if (result != 0) {
      Close();
      return;
    }
  }
  HandOver();
}

int Greeting::Step() {
  switch (stage_) {
    case Stage::kProxyHeader:
      if (const int result = StepProxyHeader(); result != 0) return result;
      stage_ = Stage::kTls;
      return 0;
    case Stage::kTls:
      if (const int result = StepTls(); result != 0) return result;
      stage_ = Stage::kDone;
      return 0;
    case Stage::kDone:
      return 0;
  }
  return 0;
}

// Without its listener it cannot go on; with it, who has connected is about to ask.
void Greeting::CloseWhenIdle() {
  if (listener_->spec == nullptr) return Close();
  if (std::exchange(is_closing_, true)) return;
  timer_.Arm(worker_.loop(), worker_.loop().now() + kClosingGrace);
}

void Greeting::HandOver() {
  timer_.Cancel();
  worker_.Serve(std::move(transport_), peer_, std::move(listener_), this);
  worker_.ConnectionClosed(this);
}

void Greeting::Close() {
  timer_.Cancel();
  worker_.loop().Remove(transport_.fd(), this);
  transport_.Close();
  listener_.reset();
  worker_.ConnectionClosed(this);
}

}  // namespace remuda::proxy
