// Answers of our own.
#include <algorithm>
#include <cerrno>
#include <cstring>

#include "proxy/exchange/exchange.h"
#include "proxy/exchange/worker_context.h"

namespace remuda::proxy {

void Exchange::Answer(http::Reason reason) {
  record_.reason = reason;
  worker_.counters().reasons[static_cast<size_t>(reason)].Add(1);
  const bool is_bad_request = http::IsRequestsFault(reason);
  const bool is_about_message = is_bad_request || reason == http::Reason::kTargetBadResponse ||
                                reason == http::Reason::kTargetHeadTooLarge;
  if (is_bad_request) NoteBadRequest(reason);
  if (http::IsForWantOfTarget(reason) && record_.group != nullptr)
    record_.group->slot(worker_.index()).refused.Add(1);
  const int status = http::StatusOf(reason);
  const bool is_clients_fault =
      status < 500 || reason == http::Reason::kUnknownTransferEncoding || status == 505;
  // A request after a refused one is not parsed.
  if (is_clients_fault && reason != http::Reason::kNoRule) end_.close = true;
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
  char retry_after[8];
  answer.retry_after = WriteRetryAfter(reason, retry_after);
  // What a client sent is not sent back but for names of fields.
  char detail[http::MessageFault::kMaxEscapedBytes];
  const bool says_more =
      fault_.is_set() && fault_.is_name() && (fault_.rule() != reason || !fault_.text().empty());
  if (is_about_message && says_more) answer.detail = fault_.Escape(detail);
  AnswerWith(answer);
}

void Exchange::AnswerWith(const http::OwnAnswer& wanted) {
  http::OwnAnswer answer = wanted;
  // What the client still sends of this body would be taken for the next request.
  if (!upload_.is_source_done() || head_size_ == 0) end_.close = end_.linger = true;
  answer.date = worker_.Date();
  answer.close = MustClose();
  answer.say_keep_alive = !answer.close && request_.minor_version == 0;
  answer.omit_body = head_size_ > 0 && request_.method == http::Method::kHead;
  if (end_.close && answer.status >= 400) end_.linger = true;
  if (!response_head_) response_head_ = worker_.buffers().Take();
  record_.status = answer.status;
  download_.staged().Clear();
  if (origin_.client->SendOwn(answer, response_head_, download_.staged()) ==
      ClientStream::Sent::kGone) {
    phase_ = Phase::kOver;
    return;
  }
  const size_t cls = static_cast<size_t>(answer.status / 100);
  traffic().own_codes[std::min<size_t>(cls, 5)].Add(1);
  phase_ = Phase::kAnswering;
  SetDeadline(IdleTimeout());
}

bool Exchange::FlushAnswer() {
  Gather& out = download_.staged();
  const ssize_t sent = out.empty() ? 0 : origin_.client->Send(out);
  if (sent == -EAGAIN) return false;
  if (sent < 0) {
    Cut(http::Reason::kClientClosed);
    return true;
  }
  record_.sent_bytes += static_cast<uint64_t>(sent);
  traffic().sent_bytes.Add(static_cast<uint64_t>(sent));
  if (!out.empty()) return false;
  end_.is_whole = true;
  phase_ = Phase::kOver;
  return true;
}

}  // namespace remuda::proxy
