#include "proxy/client/http1_connection.h"

#include <cerrno>
#include <cstring>
#include <string_view>
#include <utility>

#include "proxy/client/client_worker.h"
#include "proxy/client/upgraded_request.h"
#include "proxy/exchange/exchange.h"

namespace remuda::proxy {
namespace {

// Answered in a row to a client that sends many at once, before others get their turn.
constexpr uint32_t kMaxRequestsATurn = 64;

}  // namespace

Http1Connection::Http1Connection(ClientWorker& worker)
    : Connection(worker), timer_([this] { OnTimer(); }) {}

Http1Connection::~Http1Connection() {
  if (phase_ != Phase::kClosed) Abort();
}

void Http1Connection::Open(Transport transport, const PeerAddress& peer,
                           std::shared_ptr<Listener> listener, IoHandler* watched_by) {
  transport_ = std::move(transport);
  peer_ = peer;
  listener_ = std::move(listener);
  phase_ = Phase::kIdle;
  is_readable = is_hung_up_ = close_when_idle_ = false;
  requests_ = 0;
  leading_bytes_ = 0;
  const bool is_watched = watched_by == nullptr
                              ? worker_.loop().Add(transport_.fd(), this)
                              : worker_.loop().Rebind(transport_.fd(), watched_by, this);
  if (!is_watched) {
    CloseNow();
    return;
  }
  worker_.NoteIdle(*this);
  Arm(IdleTimeout());
  if (watched_by == nullptr) return;
  // A layer knows what it has left; what comes later has its event with the new handler.
  is_readable = transport_.is_plain() || transport_.has_pending();
  Drive();
  if (phase_ == Phase::kIdle && worker_.is_draining()) CloseWhenIdle();
}

void Http1Connection::OnIo(uint32_t events) {
  if ((events & EPOLLIN) != 0) is_readable = true;
  if ((events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0) is_hung_up_ = is_readable = true;
  Drive();
}

void Http1Connection::Drive() {
  const uint32_t before = requests_;
  bool go_on = true;
  while (go_on) {
    switch (phase_) {
      case Phase::kClosed:
      case Phase::kTunnel:
        return;
      case Phase::kIdle:
      case Phase::kHead:
        if (requests_ - before >= kMaxRequestsATurn) {
          // Others first: it has an event again as soon as it takes answers.
          worker_.loop().Rebind(transport_.fd(), this, this);
          return;
        }
        go_on = ReadHead();
        break;
      case Phase::kExchange:
        go_on = DriveExchange();
        break;
      case Phase::kLingering:
        go_on = Linger();
        break;
    }
  }
}

void Http1Connection::Arm(std::chrono::milliseconds timeout) {
  timer_.Arm(worker_.loop(), worker_.loop().now() + timeout);
}

std::chrono::milliseconds Http1Connection::IdleTimeout() const {
  const auto* spec = listener_->spec;  // null: the listener is gone, what is under way ends soon
  return spec != nullptr ? spec->load_balancer->idle_timeout
                         : worker_.settings().request_head_timeout;
}

void Http1Connection::BeginExchange() {
  worker_.NoteBusy(*this);
  exchange_ = worker_.TakeExchange();
  exchange_->Open(
      {.client = this, .peer = &peer_, .entrance = listener_.get(), .connection_id = log_id()});
  exchange_->input() = std::exchange(in_, {});
  phase_ = Phase::kHead;
  Arm(worker_.settings().request_head_timeout);
}

// Some clients send an empty line behind a body: the connection is idle nonetheless, and gives its
// block back. The line is kept for the parser, which judges it with what comes behind it. True if
// there is nothing else.
bool Http1Connection::TakeLeadingLine() {
  constexpr std::string_view kEmptyLine = "\r\n";
  const std::string_view got(in_.data(), in_.size());
  if (got != kEmptyLine.substr(0, got.size())) return false;
  leading_bytes_ = static_cast<uint8_t>(got.size());
  worker_.buffers().Give(in_);
  return true;
}

bool Http1Connection::ReadHead() {
  while (true) {
    if (in_.size() > 0 && !(in_.data()[0] == '\r' && TakeLeadingLine())) BeginExchange();
    if (exchange_ != nullptr) {
      switch (exchange_->TakeHead()) {
        case http::ParseStatus::kDone:
          ++requests_;
          [[fallthrough]];
        case http::ParseStatus::kError:
          phase_ = Phase::kExchange;
          return true;
        case http::ParseStatus::kNeedMore:
          break;
      }
    }
    if (!is_readable) return false;
    Buffer& in = exchange_ == nullptr ? in_ : exchange_->input();
    if (!in) in = worker_.buffers().Take();
    if (in.room_size() == 0 && !exchange_->GrowInput()) {
      exchange_->Refuse(http::Reason::kHeadTooLarge);
      phase_ = Phase::kExchange;
      return true;
    }
    if (leading_bytes_ > 0) {
      std::memcpy(in.room(), "\r\n", leading_bytes_);
      in.end += std::exchange(leading_bytes_, uint8_t{0});
    }
    const Received got = Receive(in.room(), in.room_size());
    if (got.bytes == -EAGAIN) {
      if (exchange_ == nullptr && in.size() > 0) TakeLeadingLine();
      if (in.size() == 0) worker_.buffers().Give(in);
      return false;
    }
    if (got.bytes <= 0) return CloseNow();  // between requests, or in a head: nobody is left
    in.end += static_cast<size_t>(got.bytes);
  }
}

bool Http1Connection::DriveExchange() {
  if (is_hung_up_) exchange_->OnClientLeft();
  switch (exchange_->Drive()) {
    case Exchange::Next::kWait:
      timer_.Arm(worker_.loop(), exchange_->deadline());
      return false;
    case Exchange::Next::kTunnel:
      BeginTunnel();
      return false;
    case Exchange::Next::kOver:
      FinishExchange();
      return true;
  }
  return false;
}

void Http1Connection::OnTimer() {
  switch (phase_) {
    case Phase::kClosed:
    case Phase::kTunnel:
      return;
    case Phase::kIdle:
    case Phase::kLingering:
      CloseNow();
      return;
    case Phase::kHead:
      exchange_->Refuse(http::Reason::kClientHeadTimeout);
      phase_ = Phase::kExchange;
      break;
    case Phase::kExchange:
      exchange_->OnTimer();
      break;
  }
  Drive();
}

// --- The client's side of an exchange.

Received Http1Connection::Receive(char* data, size_t size) {
  const Received got = transport_.Receive(data, size);
  // An end behind what came must still be read.
  if (got.bytes < 0 || (got.is_drained && !is_hung_up_)) is_readable = false;
  if (got.bytes > 0) traffic().received_bytes.Add(static_cast<uint64_t>(got.bytes));
  return got;
}

ssize_t Http1Connection::FillPipe(SplicePipe& pipe, size_t max_bytes) {
  const ssize_t got = pipe.Fill(transport_.fd(), max_bytes);
  if (got == -EAGAIN) is_readable = false;
  if (got > 0) traffic().received_bytes.Add(static_cast<uint64_t>(got));
  return got;
}

bool Http1Connection::Yield() {
  worker_.loop().Rebind(transport_.fd(), this, this);
  return true;
}

ClientStream::Sent Http1Connection::SendInterim(const http::ResponseHead& head, Buffer& room,
                                                Gather& out) {
  if (!room) room = worker_.buffers().Take();
  const size_t size = http::WriteResponseHead(head, {}, room.block.get(), room.capacity);
  if (size == 0) return Sent::kNoRoom;
  out.Add(room.block.get(), size);
  return Sent::kStaged;
}

ClientStream::Sent Http1Connection::SendHead(const http::ResponseHead& head,
                                             const http::ResponseStyle& style, size_t head_size,
                                             bool /*ends*/, Buffer& room, Gather& out) {
  const size_t need = http::MaxForwardedHeadBytes(head_size);
  if (room.capacity < need) {
    worker_.buffers().Give(room);
    room = need <= BufferPool::kBlockBytes ? worker_.buffers().Take() : BufferPool::TakeLarge();
  }
  const size_t size = http::WriteResponseHead(head, style, room.block.get(), room.capacity);
  if (size == 0) return Sent::kNoRoom;
  room.end = size;
  out.Add(room.block.get(), size);
  return Sent::kStaged;
}

ClientStream::Sent Http1Connection::SendOwn(const http::OwnAnswer& answer, Buffer& room,
                                            Gather& out) {
  out.Add(room.block.get(), http::WriteOwnAnswer(answer, room.block.get(), room.capacity));
  return Sent::kStaged;
}

bool Http1Connection::is_last() const { return close_when_idle_ || worker_.is_draining(); }

void Http1Connection::Describe(bool is_upgraded, AccessEntry& entry) const {
  const bool is_plain = transport_.is_plain();
  if (is_upgraded) {
    entry.type = is_plain ? TrafficType::kWebSocket : TrafficType::kWebSocketTls;
  } else {
    entry.type = is_plain ? TrafficType::kHttp : TrafficType::kHttps;
  }
}

}  // namespace remuda::proxy
