#include "proxy/exchange/session.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "proxy/client/client_worker.h"
#include "proxy/client/upgraded_session.h"
#include "proxy/http/chars.h"
#include "proxy/http/target.h"

namespace remuda::proxy {
namespace {

// Answered in a row to a client that sends many at once, before others get their turn.
constexpr uint32_t kMaxRequestsATurn = 64;
// With less room, a long body would cost a system call for a few bytes each, or find no room at
// all.
constexpr size_t kMinBodyRoomBytes = 2048;

// "1-<seconds, 8 hex>-<random, 24 hex>" and NUL, as AWS has it.
void MakeTraceId(int64_t time_us, uint64_t random, uint64_t more_random, char* out) {
  out[0] = '1';
  out[1] = out[10] = '-';
  http::WriteHex8(static_cast<uint32_t>(time_us / 1000000), out + 2);
  http::WriteHex8(static_cast<uint32_t>(random >> 32), out + 11);
  http::WriteHex8(static_cast<uint32_t>(random), out + 19);
  http::WriteHex8(static_cast<uint32_t>(more_random), out + 27);
  out[35] = '\0';
}

}  // namespace

void Exchange::Reset() {
  parser.Reset();
  framing = http::Framing();
  head_size = 0;
  body_decoder.Reset();
  body_left = 0;
  body_end = body_staged = 0;
  is_body_done = is_body_held = true;
  group = nullptr;
  pick = {};
  stickiness = nullptr;
  group_stickiness = std::chrono::seconds(0);
  in_flight = {};
  was_queued = false;
  upstream = nullptr;
  tried.fill(nullptr);
  attempts = 0;
  has_connect_timed_out = false;
  tolerance = {};
  rate_check = last_progress = SteadyTime();
  any_sent = is_request_staged = is_upload_stopped = false;
  to_upstream.Clear();
  response_parser.Reset();
  response.status = 0;
  response_framing = http::Framing();
  response_decoder.Reset();
  client_body = http::BodyKind::kNone;
  response_left = 0;
  interim_responses = 0;
  has_response_bytes = has_response_head = is_response_staged = is_upstream_reusable = false;
  is_switching = false;
  to_client.Clear();
  any_answered = must_not_pool = false;
  table = nullptr;
  rule = nullptr;
  first_byte = head_end = sent_to_target = response_begin = response_sent = SteadyTime();
  received_bytes = sent_bytes = 0;
  status = target_status = 0;
  reason = http::Reason::kNone;
  fault.Clear();
  trace_id[0] = '\0';
  failed_attempts = 0;
  redirect_url = {};
  rewritten = {};
}

Session::Session(ClientWorker& worker) : Connection(worker), timer_([this] { OnTimer(); }) {}

Session::~Session() {
  if (phase_ != Phase::kClosed) Abort();
}

void Session::Open(Transport transport, const PeerAddress& peer, std::shared_ptr<Listener> listener,
                   IoHandler* watched_by) {
  transport_ = std::move(transport);
  peer_ = peer;
  listener_ = std::move(listener);
  phase_ = Phase::kIdle;
  is_readable_ = is_hung_up_ = false;
  close_when_idle_ = close_after_ = linger_after_ = is_answered_ = false;
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
  is_readable_ = transport_.is_plain() || transport_.has_pending();
  Drive();
  if (phase_ == Phase::kIdle && worker_.is_draining()) CloseWhenIdle();
}

void Session::Open(ClientStream& stream, const PeerAddress& peer,
                   std::shared_ptr<Listener> listener) {
  stream_ = &stream;
  peer_ = peer;
  listener_ = std::move(listener);
  phase_ = Phase::kIdle;
  is_readable_ = is_hung_up_ = false;
  close_when_idle_ = linger_after_ = is_answered_ = false;
  close_after_ = true;  // one request
  requests_ = 0;
  leading_bytes_ = 0;
  Arm(worker_.settings().request_head_timeout);
}

void Session::OnStreamReadable() {
  is_readable_ = true;
  Drive();
}

void Session::RefuseStream(http::Reason reason) {
  BeginExchange();
  Answer(reason);
  Drive();
}

void Session::OnStreamGone(http::Reason reason) {
  is_hung_up_ = is_readable_ = true;
  if (exchange_ != nullptr) exchange_->reason = reason;
  CloseNow();
}

void Session::OnIo(uint32_t events) {
  if ((events & EPOLLIN) != 0) is_readable_ = true;
  if ((events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0) is_hung_up_ = is_readable_ = true;
  Drive();
}

void Session::Drive() {
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
      case Phase::kQueued:
        go_on = AwaitPlace();
        break;
      case Phase::kConnecting:
        go_on = AwaitConnect();
        break;
      case Phase::kForwarding:
        go_on = Forward();
        break;
      case Phase::kAnswering:
        go_on = FlushAnswer();
        break;
      case Phase::kLingering:
        go_on = Linger();
        break;
    }
  }
}

void Session::Arm(std::chrono::milliseconds timeout) {
  timer_.Arm(worker_.loop(), worker_.loop().now() + timeout);
}

std::chrono::milliseconds Session::IdleTimeout() const {
  const auto* spec = listener_->spec;  // null: the listener is gone, what is under way ends soon
  return spec != nullptr ? spec->load_balancer->idle_timeout
                         : worker_.settings().request_head_timeout;
}

bool Session::MustClose() const {
  return close_after_ || close_when_idle_ || worker_.is_draining();
}

ssize_t Session::ReceiveFromClient(size_t max_bytes) {
  const Received got = stream_ == nullptr ? transport_.Receive(in_.room(), max_bytes)
                                          : stream_->Receive(in_.room(), max_bytes);
  // An end behind what came must still be read.
  if (got.bytes < 0 || (got.is_drained && !is_hung_up_)) is_readable_ = false;
  if (got.bytes <= 0) return got.bytes;
  in_.end += static_cast<size_t>(got.bytes);
  traffic().received_bytes.Add(static_cast<uint64_t>(got.bytes));
  return got.bytes;
}

// Moves a head that fills its block into a large one. Offsets hold, views do not: the parser starts
// over.
bool Session::GrowInput() {
  if (in_.capacity >= BufferPool::kLargeBytes) return false;
  Buffer larger = BufferPool::TakeLarge();
  std::memcpy(larger.block.get(), in_.block.get() + in_.begin, in_.size());
  larger.end = in_.size();
  worker_.buffers().Give(in_);
  in_ = std::move(larger);
  exchange_->parser.Reset();
  return true;
}

void Session::BeginExchange() {
  worker_.NoteBusy(*this);
  exchange_ = worker_.TakeExchange();
  exchange_->first_byte = worker_.loop().now();
  exchange_->begin_us = worker_.WallUs(exchange_->first_byte);
  phase_ = Phase::kHead;
  Arm(worker_.settings().request_head_timeout);
}

// Some clients send an empty line behind a body: the connection is idle nonetheless, and gives its
// block back. The line is kept for the parser, which judges it with what comes behind it. True if
// there is nothing else.
bool Session::TakeLeadingLine() {
  constexpr std::string_view kEmptyLine = "\r\n";
  const std::string_view got(in_.data(), in_.size());
  if (exchange_ != nullptr || got != kEmptyLine.substr(0, got.size())) return false;
  leading_bytes_ = static_cast<uint8_t>(got.size());
  worker_.buffers().Give(in_);
  return true;
}

bool Session::ReadHead() {
  while (true) {
    if (in_.size() > 0 && !(in_.data()[0] == '\r' && TakeLeadingLine())) {
      if (exchange_ == nullptr) BeginExchange();
      switch (exchange_->parser.Parse(in_.data(), in_.size(), exchange_->request)) {
        case http::ParseStatus::kDone:
          // The body passes through what the head leaves of the block: parsed again in a larger
          // one.
          if (in_.capacity - exchange_->parser.head_size() < kMinBodyRoomBytes && GrowInput())
            continue;
          return BeginRequest();
        case http::ParseStatus::kError:
          return RefuseHead();
        case http::ParseStatus::kNeedMore:
          break;
      }
    }
    if (!is_readable_) return false;
    if (!in_) in_ = worker_.buffers().Take();
    if (in_.room_size() == 0 && !GrowInput()) return Answer(http::Reason::kHeadTooLarge);
    if (leading_bytes_ > 0) {
      std::memcpy(in_.room(), "\r\n", leading_bytes_);
      in_.end += std::exchange(leading_bytes_, uint8_t{0});
    }
    const ssize_t got = ReceiveFromClient(in_.room_size());
    if (got == -EAGAIN) {
      if (exchange_ == nullptr && in_.size() > 0) TakeLeadingLine();
      if (in_.size() == 0) worker_.buffers().Give(in_);
      return false;
    }
    if (got <= 0) return CloseNow();  // between requests, or in a head: nobody is left to answer
  }
}

bool Session::BeginRequest() {
  Exchange& x = *exchange_;
  ++requests_;
  worker_.counters().requests.Add(1);
  traffic().requests.Add(1);
  worker_.retry_budget().OnRequest();
  x.head_end = worker_.loop().now();
  x.head_size = x.parser.head_size();
  x.received_bytes = x.head_size;
  x.table = worker_.Pin();
  const LoadBalancer* const balancer =
      listener_->spec != nullptr ? listener_->spec->load_balancer : nullptr;
  const http::DesyncMode mode =
      balancer != nullptr ? balancer->desync_mode : http::DesyncMode::kStrictest;
  if (const http::Reason r = http::DecideRequestFraming(x.request, x.framing, mode);
      r != http::Reason::kNone)
    return Answer(r);
  if (!x.request.dropped_name.empty()) NoteDroppedField();
  if (const http::Reason r = http::CanonicalizeTarget(
          x.request, mode, balancer != nullptr ? balancer->paths : http::PathRules());
      r != http::Reason::kNone) {
    return Answer(r);
  }
  x.must_not_pool = x.framing.is_body_unexpected;
  if (x.request.oddity != http::Oddity::kNone) TakeOddity(mode);
  if (http::CountForwardedAddresses(x.request) > http::kMaxForwardedAddresses) {
    return Answer(http::Reason::kTooManyForwardedAddresses);
  }
  if (!x.framing.keep_alive) close_after_ = true;
  x.is_body_done = x.framing.kind == http::BodyKind::kNone;
  x.body_left = x.framing.length;
  x.body_end = x.body_staged = x.head_size;
  if (!x.is_body_done) DecodeBody(in_.size() - x.head_size);
  if (x.reason != http::Reason::kNone) return Answer(x.reason);
  MakeTraceId(x.begin_us, worker_.Random(), worker_.Random(), x.trace_id);
  return DispatchRule();
}

// A request that is odd and passes.
void Session::TakeOddity(http::DesyncMode mode) {
  Exchange& x = *exchange_;
  const bool is_ambiguous =
      http::VerdictOf(x.request.oddity).classification == http::Classification::kAmbiguous;
  if (is_ambiguous && mode == http::DesyncMode::kDefensive) x.must_not_pool = close_after_ = true;
}

bool Session::Answer(http::Reason reason) {
  Exchange& x = *exchange_;
  x.reason = reason;
  worker_.counters().reasons[static_cast<size_t>(reason)].Add(1);
  const bool is_bad_request = http::IsRequestsFault(reason);
  const bool is_about_message = is_bad_request || reason == http::Reason::kTargetBadResponse ||
                                reason == http::Reason::kTargetHeadTooLarge;
  if (is_bad_request) NoteBadRequest(reason);
  const int status = http::StatusOf(reason);
  const bool is_clients_fault =
      status < 500 || reason == http::Reason::kUnknownTransferEncoding || status == 505;
  // A request after a refused one is not parsed.
  if (is_clients_fault && reason != http::Reason::kNoRule) close_after_ = true;
  http::OwnAnswer answer;
  answer.status = status;
  answer.reason = http::NameOf(reason);
  char body[128];
  const std::string_view phrase = http::PhraseOf(status);
  size_t size = 0;
  for (const std::string_view part :
       {phrase, std::string_view(": "), answer.reason, std::string_view("\n")}) {
    std::memcpy(body + size, part.data(), part.size());
    size += part.size();
  }
  answer.body = {body, size};
  // What a client sent is not sent back but for names of fields.
  char detail[http::MessageFault::kMaxEscapedBytes];
  const bool says_more = x.fault.is_set() && x.fault.is_name() &&
                         (x.fault.rule() != reason || !x.fault.text().empty());
  if (is_about_message && says_more) answer.detail = x.fault.Escape(detail);
  return AnswerWith(answer);
}

bool Session::AnswerWith(const http::OwnAnswer& wanted) {
  Exchange& x = *exchange_;
  http::OwnAnswer answer = wanted;
  // What the client still sends of this body would be taken for the next request.
  if (!x.is_body_done || x.head_size == 0) close_after_ = linger_after_ = true;
  answer.date = worker_.Date();
  answer.close = MustClose();
  answer.say_keep_alive = !answer.close && x.request.minor_version == 0;
  answer.omit_body = x.head_size > 0 && x.request.method == http::Method::kHead;
  if (close_after_ && answer.status >= 400) linger_after_ = true;
  if (!x.response_head) x.response_head = worker_.buffers().Take();
  x.status = answer.status;
  x.to_client.Clear();
  if (stream_ == nullptr) {
    x.to_client.Add(
        x.response_head.block.get(),
        http::WriteOwnAnswer(answer, x.response_head.block.get(), x.response_head.capacity));
  } else if (!StageOwnAnswerOfStream(answer)) {
    return CloseNow();
  }
  const size_t cls = static_cast<size_t>(answer.status / 100);
  traffic().own_codes[std::min<size_t>(cls, 5)].Add(1);
  phase_ = Phase::kAnswering;
  Arm(IdleTimeout());
  return true;
}

// The body may be of the routing table or the caller's stack: it is copied.
bool Session::StageOwnAnswerOfStream(const http::OwnAnswer& answer) {
  Exchange& x = *exchange_;
  if (!stream_->SendOwnHead(answer)) return false;
  const size_t size = answer.has_body() ? answer.body.size() : 0;
  if (size > 0) std::memcpy(x.response_head.block.get(), answer.body.data(), size);
  x.to_client.Add(x.response_head.block.get(), size);
  return true;
}

// Sends what it can of to_client. Bytes, or -errno.
ssize_t Session::SendToClient() {
  Gather& pieces = exchange_->to_client;
  if (stream_ == nullptr) return pieces.Send(transport_);
  const ssize_t sent = stream_->SendBody(pieces.pieces(), pieces.count());
  if (sent > 0) pieces.Consume(static_cast<size_t>(sent));
  return sent;
}

bool Session::FlushAnswer() {
  Exchange& x = *exchange_;
  const ssize_t sent = x.to_client.empty() ? 0 : SendToClient();
  if (sent < 0) {
    if (sent == -EAGAIN) return false;
    x.reason = http::Reason::kClientClosed;
    return CloseNow();
  }
  x.sent_bytes += static_cast<uint64_t>(sent);
  traffic().sent_bytes.Add(static_cast<uint64_t>(sent));
  if (!x.to_client.empty()) return false;
  FinishExchange();
  return true;
}

}  // namespace remuda::proxy
