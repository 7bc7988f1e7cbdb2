#include "proxy/client/greeting.h"

#include <sys/socket.h>

#include <utility>

#include "proxy/client/client_worker.h"

namespace remuda::proxy {

namespace {

// How long a client that is about to ask has for what comes before, when the proxy drains.
constexpr std::chrono::milliseconds kClosingGrace{1000};

}  // namespace

Greeting::Greeting(ClientWorker& worker) : Handshaking(worker), timer_([this] { OnTimer(); }) {}

bool Greeting::IsNeeded(const Listener& listener, const PeerAddress& peer) {
  if (listener.spec == nullptr) return false;
  const bool is_tls = listener.spec->protocol != ListenerProtocol::kHttp &&
                      listener.spec->protocol != ListenerProtocol::kTcp;
  return is_tls || IsOfProxy(listener, peer);
}

bool Greeting::IsOfProxy(const Listener& listener, const PeerAddress& peer) {
  return listener.spec != nullptr && !listener.spec->proxy_protocol_sources.empty() &&
         IsProxySource(listener, peer);
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
  worker_.NoteIdle(*this);  // until something comes
}

void Greeting::OnIo(uint32_t events) {
  if (!awaits_turn_ && IsOfUse(events)) GoOn(false);
}

void Greeting::TakeTurn() {
  awaits_turn_ = false;
  GoOn(true);
}

void Greeting::GoOn(bool has_turn) {
  worker_.NoteBusy(*this);
  while (stage_ != Stage::kDone) {
    if (stage_ == Stage::kTls && !has_turn && !worker_.handshakes().Take(*this)) {
      awaits_turn_ = true;
      return;
    }
    has_turn = stage_ == Stage::kTls;
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

bool Greeting::CloseIfIdle() {
  char byte;
  if (recv(transport_.fd(), &byte, 1, MSG_PEEK) > 0) return false;
  Close();
  return true;
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
