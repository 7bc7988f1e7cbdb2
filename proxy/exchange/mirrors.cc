#include "proxy/exchange/mirrors.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "proxy/exchange/worker_context.h"
#include "proxy/io/socket.h"

namespace remuda::proxy {

RequestCopy::RequestCopy(Mirrors& mirrors)
    : mirrors_(mirrors), timer_([this] { End(Outcome::kFailed); }) {}

void RequestCopy::Add(std::string_view bytes) {
  if (!bytes.empty()) std::memcpy(bytes_.get() + size_, bytes.data(), bytes.size());
  size_ += bytes.size();
}

void RequestCopy::Start() {
  WorkerContext& worker = mirrors_.worker_;
  const TargetStreams::Opened opened =
      worker.targets().Open({.target = *target_,
                             .user = this,
                             .host = host_,
                             .may_reuse = may_pool_ && greeting_.empty(),
                             .greeting = greeting_});
  stream_ = opened.stream;
  if (stream_ == nullptr) {
    End(IsOurShortage(errno) ? Outcome::kDropped : Outcome::kFailed);
    return;
  }
  phase_ = opened.is_reused ? Phase::kForwarding : Phase::kConnecting;
  unsent_.Add(bytes_.get(), size_);
  timer_.Arm(worker.loop(), worker.loop().now() + kCopyTimeout);
  Drive();
}

void RequestCopy::Drive() {
  if (phase_ == Phase::kConnecting) {
    const int error = stream_->FinishConnect();
    if (error == -EAGAIN) return;
    if (error != 0) {
      End(Outcome::kFailed);
      return;
    }
    phase_ = Phase::kForwarding;
  }
  while (!unsent_.empty()) {
    const ssize_t sent = stream_->Send(unsent_);
    if (sent == -EAGAIN) break;
    if (sent < 0) {  // it may have answered before it closed
      unsent_.Clear();
      may_pool_ = false;
      stream_->StopSending();
    }
  }
  while (stream_->is_readable && Receive() && TakeAnswer()) {
  }
}

// False: there is nothing now, or it is over.
bool RequestCopy::Receive() {
  BufferPool& buffers = mirrors_.worker_.buffers();
  if (!input_) input_ = buffers.Take();
  if (input_.size() == 0) input_.begin = input_.end = 0;
  if (input_.room_size() == 0 && !GrowInput()) return End(Outcome::kFailed);
  const Received got = stream_->Receive(input_.room(), input_.room_size());
  if (got.bytes == -EAGAIN) return false;
  if (got.bytes <= 0) {
    const bool is_whole =
        got.bytes == 0 && head_.status >= 200 && body_.source_kind() == http::BodyKind::kUntilClose;
    return End(is_whole ? Outcome::kAnswered : Outcome::kFailed);
  }
  input_.end += static_cast<size_t>(got.bytes);
  answer_bytes_ += static_cast<uint64_t>(got.bytes);
  return true;
}

// Only a head can fill a block.
bool RequestCopy::GrowInput() {
  if (input_.capacity >= BufferPool::kLargeBytes) return false;
  Buffer larger = BufferPool::TakeLarge();
  std::memcpy(larger.block.get(), input_.data(), input_.size());
  larger.end = input_.size();
  mirrors_.worker_.buffers().Give(input_);
  input_ = std::move(larger);
  parser_.Reset();
  return true;
}

// False: it is over.
bool RequestCopy::TakeAnswer() {
  while (head_.status < 200) {
    switch (parser_.Parse(input_.data(), input_.size(), head_)) {
      case http::ParseStatus::kNeedMore:
        head_.status = 0;
        return answer_bytes_ <= kMaxCopyAnswerBytes || End(Outcome::kFailed);
      case http::ParseStatus::kError:
        return End(Outcome::kFailed);
      case http::ParseStatus::kDone:
        break;
    }
    if (http::DecideResponseFraming(head_, method_, framing_) != http::Reason::kNone ||
        head_.status == 101) {
      return End(Outcome::kFailed);
    }
    input_.begin += parser_.head_size();
    if (head_.status >= 200) {
      body_.Begin(framing_.kind, http::BodyKind::kUntilClose, framing_.length, tolerance_);
    } else {
      parser_.Reset();
      if (input_.size() == 0) return true;
    }
  }
  if (!body_.is_source_done()) {
    const BodyPipe::Decoded decoded = body_.Decode(input_.data(), input_.size());
    if (body_.fault() != http::Reason::kNone) return End(Outcome::kFailed);
    input_.begin += decoded.consumed;
  }
  if (body_.is_source_done()) {
    const bool is_clean = input_.size() == 0 && unsent_.empty() && framing_.keep_alive;
    return End(Outcome::kAnswered, is_clean && may_pool_);
  }
  return answer_bytes_ <= kMaxCopyAnswerBytes || End(Outcome::kAnswered);
}

bool RequestCopy::End(Outcome outcome, bool may_reuse) {
  WorkerContext& worker = mirrors_.worker_;
  timer_.Cancel();
  if (holder_ != nullptr) *std::exchange(holder_, nullptr) = nullptr;
  if (stream_ != nullptr) std::exchange(stream_, nullptr)->End(may_reuse);
  if (outcome != Outcome::kDropped) {
    SubsetSlot& slot = subset_->slot(worker.index());
    slot.mirrored.Add(1);
    if (outcome == Outcome::kFailed || head_.status >= 500) slot.mirrored_errors.Add(1);
  }
  worker.buffers().Give(input_);
  bytes_.reset();
  mirrors_.held_bytes_ -= std::exchange(capacity_, 0);
  worker.Unpin(std::exchange(table_, nullptr));
  is_used_ = false;
  --mirrors_.used_;
  return false;
}

Mirrors::~Mirrors() { DropAll(); }

bool Mirrors::Begin(const Wanted& wanted, RequestCopy*& holder) {
  if (used_ == kMaxCopies || held_bytes_ + wanted.bytes > kMaxCopiedBytes) {
    worker_.counters().copies_skipped.Add(1);
    return false;
  }
  const auto free = std::find_if(copies_.begin(), copies_.end(),
                                 [](const auto& copy) { return !copy->is_used_; });
  RequestCopy& copy =
      free != copies_.end() ? **free : *copies_.emplace_back(std::make_unique<RequestCopy>(*this));
  copy.is_used_ = true;
  copy.phase_ = RequestCopy::Phase::kMade;
  copy.target_ = wanted.picked.target;
  copy.subset_ = wanted.picked.subset;
  copy.table_ = worker_.Pin();
  copy.host_ = wanted.host;
  copy.greeting_ = wanted.greeting;
  copy.may_pool_ = wanted.may_pool;
  copy.method_ = wanted.method;
  copy.tolerance_ = wanted.tolerance;
  copy.bytes_ = std::make_unique_for_overwrite<char[]>(wanted.bytes);
  copy.capacity_ = wanted.bytes;
  copy.size_ = 0;
  copy.unsent_.Clear();
  copy.answer_bytes_ = 0;
  copy.parser_.Reset();
  copy.parser_.TakeBareLf(wanted.takes_bare_lf);
  copy.head_.status = 0;
  copy.body_.Reset();
  copy.holder_ = &holder;
  holder = &copy;
  held_bytes_ += wanted.bytes;
  ++used_;
  return true;
}

void Mirrors::Send(RequestCopy& copy) {
  *std::exchange(copy.holder_, nullptr) = nullptr;
  ready_.push_back(&copy);
  worker_.loop().AtTurnEnd(this);
}

// What the requests of this turn have of this worker's time comes first.
void Mirrors::OnTurnEnd() {
  for (RequestCopy* const copy : std::exchange(ready_, {})) {
    // It may have been dropped meanwhile, and be another one by now, which is not whole.
    const bool is_ready =
        copy->is_used_ && copy->phase_ == RequestCopy::Phase::kMade && copy->holder_ == nullptr;
    if (is_ready) copy->Start();
  }
}

void Mirrors::DropThoseTo(const std::vector<LeavingTarget>& leaving) {
  if (used_ == 0 || leaving.empty()) return;
  for (const auto& copy : copies_) {
    const auto is_its = [&](const LeavingTarget& entry) {
      return entry.target.get() == copy->target_;
    };
    if (copy->is_used_ && std::any_of(leaving.begin(), leaving.end(), is_its)) Drop(*copy);
  }
}

void Mirrors::DropAll() {
  for (const auto& copy : copies_) {
    if (copy->is_used_) Drop(*copy);
  }
  worker_.loop().ForgetTurnEnd(this);
}

}  // namespace remuda::proxy
