#include "proxy/exchange/exchange.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "proxy/exchange/worker_context.h"
#include "proxy/http/chars.h"
#include "proxy/http/target.h"

namespace remuda::proxy {
namespace {

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

// The head as it is understood, so that parsing it again gives the same: the canonical path has
// overwritten what came.
std::string WriteHead(const http::RequestHead& head) {
  std::string out;
  const auto add = [&](std::string_view text) { out.append(text); };
  add(head.method_name);
  add(" ");
  add(head.path);
  if (head.has_query) add("?");
  add(head.query);
  add(" HTTP/1.1\r\n");
  for (const http::Field& field : head.fields) {
    add(field.name);
    add(":");
    add(field.value);
    add("\r\n");
  }
  add("\r\n");
  return out;
}

}  // namespace

void ExchangeRecord::Reset() {
  group = nullptr;
  in_flight = {};
  table = nullptr;
  rule = nullptr;
  begin_us = 0;
  first_byte = head_end = sent_to_target = response_begin = response_sent = SteadyTime();
  received_bytes = sent_bytes = 0;
  status = target_status = 0;
  reason = http::Reason::kNone;
  trace_id[0] = '\0';
  attempts = 0;
  failed_attempts = 0;
}

void Exchange::Reset() {
  phase_ = Phase::kHead;
  progress_ = ResponseProgress::kAwaited;
  has_client_left_ = is_bound_ = false;
  end_ = {};
  stream_ = nullptr;
  record_.Reset();
  input_ = {};
  parser_.Reset();
  framing_ = http::Framing();
  head_size_ = body_end_ = body_staged_ = 0;
  is_body_held_ = true;
  must_not_pool_ = false;
  upload_.Reset();
  rate_check_ = last_progress_ = SteadyTime();
  actions_ = {};
  action_ = 0;
  was_queued_ = is_held_ = was_held_ = false;
  any_sent_ = has_connect_timed_out_ = may_reuse_ = false;
  pick_ = {};
  tried_.fill(nullptr);
  tolerance_ = {};
  sticky_.Reset();
  response_parser_.Reset();
  response_.status = 0;
  response_framing_ = http::Framing();
  interim_responses_ = 0;
  download_.Reset();
  redirect_url_ = {};
  rewritten_ = {};
  fault_.Clear();
}

void Exchange::Open(const Origin& origin) {
  Reset();
  origin_ = origin;
  record_.first_byte = worker_.loop().now();
  record_.begin_us = worker_.WallUs(record_.first_byte);
}

BalancerSlot& Exchange::traffic() const {
  return origin_.entrance->balancer->slot(worker_.index());
}

Stickiness::Cookies Exchange::Cookies() {
  return {worker_.sticky_cookies(), worker_.WallUs(worker_.loop().now()) / 1000000};
}

void Exchange::SetDeadline(std::chrono::milliseconds timeout) {
  deadline_ = worker_.loop().now() + timeout;
}

std::chrono::milliseconds Exchange::IdleTimeout() const {
  // Null: the listener is gone, what is under way ends soon.
  const ListenerSpec* const spec = origin_.entrance->spec;
  return spec != nullptr ? spec->load_balancer->idle_timeout
                         : worker_.settings().request_head_timeout;
}

// Moves a head that fills its block into a large one. Offsets hold, views do not: the parser starts
// over.
bool Exchange::GrowInput() {
  if (input_.capacity >= BufferPool::kLargeBytes) return false;
  Buffer larger = BufferPool::TakeLarge();
  std::memcpy(larger.block.get(), input_.block.get() + input_.begin, input_.size());
  larger.end = input_.size();
  worker_.buffers().Give(input_);
  input_ = std::move(larger);
  parser_.Reset();
  return true;
}

http::ParseStatus Exchange::TakeHead() {
  while (true) {
    const http::ParseStatus status = parser_.Parse(input_.data(), input_.size(), request_);
    if (status == http::ParseStatus::kNeedMore) return status;
    if (status == http::ParseStatus::kError) {
      RefuseHead();
      return status;
    }
    // The body passes through what the head leaves of the block: parsed again in a larger one.
    if (input_.capacity - parser_.head_size() < kMinBodyRoomBytes && GrowInput()) continue;
    BeginRequest();
    return status;
  }
}

void Exchange::BeginRequest() {
  worker_.counters().requests.Add(1);
  traffic().requests.Add(1);
  worker_.retry_budget().OnRequest();
  record_.head_end = worker_.loop().now();
  head_size_ = parser_.head_size();
  record_.received_bytes = head_size_;
  record_.table = worker_.Pin();
  const ListenerSpec* const spec = origin_.entrance->spec;
  const LoadBalancer* const balancer = spec != nullptr ? spec->load_balancer : nullptr;
  const http::DesyncMode mode =
      balancer != nullptr ? balancer->desync_mode : http::DesyncMode::kStrictest;
  if (const http::Reason r = http::DecideRequestFraming(request_, framing_, mode);
      r != http::Reason::kNone)
    return Answer(r);
  if (!request_.dropped_name.empty()) NoteDroppedField();
  if (const http::Reason r = http::CanonicalizeTarget(
          request_, mode, balancer != nullptr ? balancer->paths : http::PathRules());
      r != http::Reason::kNone) {
    return Answer(r);
  }
  must_not_pool_ = framing_.is_body_unexpected;
  if (request_.oddity != http::Oddity::kNone) TakeOddity(mode);
  if (http::CountForwardedAddresses(request_) > http::kMaxForwardedAddresses)
    return Answer(http::Reason::kTooManyForwardedAddresses);
  if (!framing_.keep_alive) end_.close = true;
  upload_.Begin(framing_.kind, framing_.kind, framing_.length);
  body_end_ = body_staged_ = head_size_;
  if (!upload_.is_source_done()) DecodeUpload(input_.size() - head_size_);
  if (record_.reason != http::Reason::kNone) return Answer(record_.reason);
  MakeTraceId(record_.begin_us, worker_.Random(), worker_.Random(), record_.trace_id);
  BeginActions();
}

// A request that is odd and passes.
void Exchange::TakeOddity(http::DesyncMode mode) {
  const bool is_ambiguous =
      http::VerdictOf(request_.oddity).classification == http::Classification::kAmbiguous;
  if (is_ambiguous && mode == http::DesyncMode::kDefensive) must_not_pool_ = end_.close = true;
}

Exchange::Next Exchange::Drive() {
  while (true) {
    switch (phase_) {
      case Phase::kHead:
        return Next::kWait;
      case Phase::kActing:
        RunActions();
        break;
      case Phase::kSuspended:
        if (has_client_left_) {
          Cut(http::Reason::kClientClosed);
          break;
        }
        if (is_held_) CountHeldBytes();
        if (phase_ == Phase::kSuspended) return Next::kWait;
        break;
      case Phase::kConnecting:
        if (!AwaitConnect()) return Next::kWait;
        break;
      case Phase::kForwarding:
        if (!Forward()) return Next::kWait;
        break;
      case Phase::kAnswering:
        if (!FlushAnswer()) return Next::kWait;
        break;
      case Phase::kSwitched:
        return Next::kTunnel;
      case Phase::kOver:
        return Next::kOver;
    }
  }
}

void Exchange::Cut(http::Reason reason) {
  record_.reason = reason;
  phase_ = Phase::kOver;
}

void Exchange::OnTimer() {
  switch (phase_) {
    case Phase::kSuspended:
      if (is_waiting()) LeaveQueue();
      Answer(unresumed_);
      break;
    case Phase::kConnecting:
      FailAttempt(http::Reason::kTargetConnectTimeout, true);
      break;
    case Phase::kForwarding:
      OnForwardingTimer();
      break;
    case Phase::kAnswering:
      Cut(http::Reason::kClientWriteTimeout);
      break;
    case Phase::kHead:
    case Phase::kActing:
    case Phase::kSwitched:
    case Phase::kOver:
      break;
  }
}

// Whoever it was that we waited for.
void Exchange::OnForwardingTimer() {
  const bool is_in_time = IsUploadInTime();
  if (is_in_time && worker_.loop().now() < last_progress_ + IdleTimeout()) return ArmForwarding();
  const bool is_clients = !is_in_time || AwaitsBody();
  const bool is_client_behind = download_.is_sink_behind();
  if (is_client_behind || is_bound_) {
    if (!is_client_behind && !is_clients) record_.in_flight.NoteError();
    return Cut(is_client_behind ? http::Reason::kClientWriteTimeout
               : is_clients     ? http::Reason::kClientBodyTimeout
                                : http::Reason::kTargetResponseTimeout);
  }
  // Without a 100 (Continue) neither side has to go on: the client may never mean to.
  if (!is_clients && !MayAwaitContinue()) {
    NoteOutcome(true);
    record_.in_flight.NoteError();
  }
  ReleaseTarget(false);
  Answer(is_clients ? http::Reason::kClientBodyTimeout : http::Reason::kTargetResponseTimeout);
}

void Exchange::OnDrainTimeout() {
  // Cut short: the client must see that it is not whole.
  if (is_bound_) {
    record_.in_flight.NoteError();
    return Cut(http::Reason::kTargetDrainTimeout);
  }
  FailAttempt(http::Reason::kTargetDrainTimeout, false);
}

// A connect is given up if there is another that is well; nothing was sent. With what is sent
// already the kernel finds out whether the host still answers: an application that is only slow may
// finish.
void Exchange::OnTargetFell(bool is_gone) {
  if (phase_ != Phase::kConnecting) {
    if (stream_ != nullptr) stream_->Doubt(!IsUploadOver());
    return;
  }
  pick_.tried = {tried_.data(), record_.attempts};
  if (!is_gone && !worker_.HasHealthyUntried(*record_.group, pick_)) return;
  has_connect_timed_out_ = true;  // as good as
  FailAttempt(http::Reason::kTargetConnectFailed, false);
}

void Exchange::OnTargetGone() {
  if (phase_ != Phase::kConnecting && phase_ != Phase::kForwarding) return;
  // What it has sent may still be on its way.
  if (progress_ != ResponseProgress::kAwaited || is_bound_) return;
  FailAttempt(http::Reason::kTargetClosed, false);
}

ExchangeEnd Exchange::Finish() {
  // Ended without an answer, as AWS counts a 460, or within the target's.
  if (record_.reason != http::Reason::kNone && (record_.status == 0 || is_bound_))
    worker_.counters().reasons[static_cast<size_t>(record_.reason)].Add(1);
  if (record_.reason != http::Reason::kNone && record_.status == 0)
    traffic().own_codes[static_cast<size_t>(http::StatusOf(record_.reason) / 100)].Add(1);
  if (is_waiting()) LeaveQueue();
  ReleaseTarget(false);
  if (copy_ != nullptr) worker_.mirrors().Drop(*copy_);
  if (Classify().classification != http::Classification::kCompliant) traffic().non_compliant.Add(1);
  if (worker_.log() != nullptr) WriteLog();
  // Without a body in chunks, body_end_ is where the next request begins; DecodeUpload keeps it so
  // with them.
  if (head_size_ > 0) input_.begin = std::min(input_.end, std::max(body_end_, head_size_));
  for (Buffer* const buffer : {&request_head_, &rewritten_bytes_, &response_in_, &response_head_}) {
    if (*buffer) worker_.buffers().Give(*buffer);
  }
  upload_.GivePipe(worker_.pipes());
  download_.GivePipe(worker_.pipes());
  if (record_.table != nullptr) worker_.Unpin(record_.table);
  record_.in_flight.Unpin(worker_);
  end_.is_cut_unseen =
      !end_.is_whole && is_bound_ && download_.sink_kind() == http::BodyKind::kUntilClose;
  phase_ = Phase::kOver;
  return end_;
}

void Exchange::TakeUpgrade(Upgrade& out) {
  out.head = WriteHead(request_);
  out.record = record_;
  out.upstream = std::exchange(stream_, nullptr)->TakeConnection();
  out.is_websocket = http::EqualsIgnoreCase(framing_.upgrade, "websocket");
  input_.begin = std::min(input_.end, std::max(body_end_, head_size_));
  if (input_.size() > 0) out.from_client = std::exchange(input_, {});
  if (response_in_.size() > 0) out.from_target = std::exchange(response_in_, {});
  worker_.buffers().Give(input_);
  record_ = ExchangeRecord();  // the exchange does not end here
  head_size_ = 0;
}

void Exchange::TakeBack(const Upgrade& upgrade, uint64_t received_bytes, uint64_t sent_bytes) {
  record_ = upgrade.record;
  is_bound_ = true;
  record_.received_bytes += received_bytes;
  record_.sent_bytes += sent_bytes;
  if (parser_.Parse(upgrade.head.data(), upgrade.head.size(), request_) !=
      http::ParseStatus::kDone) {
    return;
  }
  const ListenerSpec* const spec = origin_.entrance->spec;
  http::CanonicalizeTarget(request_, http::DesyncMode::kMonitor,  // it has passed
                           spec != nullptr ? spec->load_balancer->paths : http::PathRules());
  head_size_ = parser_.head_size();
}

}  // namespace remuda::proxy
