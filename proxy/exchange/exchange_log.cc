// What the access log says of an exchange.
#include <algorithm>
#include <cstring>

#include "proxy/exchange/exchange.h"
#include "proxy/exchange/worker_context.h"
#include "proxy/telemetry/access_log.h"
#include "proxy/tls/connection_info.h"

namespace remuda::proxy {
namespace {

int64_t MicrosecondsBetween(SteadyTime from, SteadyTime to) {
  if (from == SteadyTime() || to == SteadyTime()) return AccessEntry::kNever;
  return std::chrono::duration_cast<std::chrono::microseconds>(to - from).count();
}

std::string_view ActionOf(const Rule* rule) {
  if (rule == nullptr) return "";
  if (std::holds_alternative<ForwardAction>(rule->action)) return "forward";
  return std::holds_alternative<Redirect>(rule->action) ? "redirect" : "fixed-response";
}

std::string_view ValueOf(const http::RequestHead& head, http::FieldId id) {
  const http::Field* field = head.fields.Find(id);
  return field == nullptr ? std::string_view() : field->value;
}

void DescribeRequest(const http::RequestHead& head, const ExchangeRecord& record,
                     AccessEntry& entry) {
  entry.method = head.method_name;
  entry.host = head.host;
  entry.path = head.path.empty() ? head.target : head.path;
  entry.query = head.query;
  entry.has_query = head.has_query;
  entry.version = head.minor_version == 1 ? "HTTP/1.1" : "HTTP/1.0";
  entry.user_agent = ValueOf(head, http::FieldId::kUserAgent);
  entry.trace_id = {record.trace_id, std::strlen(record.trace_id)};
  entry.incoming_trace_id = ValueOf(head, http::FieldId::kXAmznTraceId);
}

}  // namespace

// Remembers the target of an attempt that will be followed by another: it may be gone when the log
// is written.
void Exchange::NoteFailedAttempt() {
  if (record_.failed_attempts == record_.failed_endpoints.size()) return;
  const std::string& endpoint = record_.in_flight.last_target()->endpoint();
  const size_t size = std::min(endpoint.size(), kMaxEndpointBytes);
  std::memcpy(record_.failed_endpoints[record_.failed_attempts].data(), endpoint.data(), size);
  record_.failed_endpoint_bytes[record_.failed_attempts++] = static_cast<uint8_t>(size);
}

http::Verdict Exchange::Classify() const {
  return http::VerdictOf(record_.reason, head_size_ > 0 ? request_.oddity : http::Oddity::kNone);
}

void Exchange::WriteLog() {
  if (record_.status == 0 && head_size_ == 0) return;  // a head that never became whole
  const SteadyTime now = worker_.loop().now();
  AccessEntry entry;
  entry.begin_us = record_.begin_us;
  entry.end_us = worker_.WallUs(now);
  const auto* spec = origin_.entrance->spec;
  if (spec != nullptr) entry.load_balancer = spec->load_balancer->id;
  entry.client_address = {origin_.peer->text, origin_.peer->text_size};
  entry.client_port = origin_.peer->port;
  entry.listener_port = origin_.entrance->port;
  entry.connection_id = origin_.connection_id;
  if (head_size_ > 0) DescribeRequest(request_, record_, entry);
  origin_.client->Describe(record_.status == 101, entry);
  if (const tls::ConnectionInfo* tls = origin_.client->transport().tls_info(); tls != nullptr) {
    entry.tls_protocol = tls->protocol;
    entry.tls_cipher = tls->cipher;
    entry.certificate = tls->certificate;
    entry.domain_name = tls->server_name;
  }

  entry.request_us = MicrosecondsBetween(record_.first_byte, record_.sent_to_target);
  if (record_.target_status != 0) {
    entry.target_us = MicrosecondsBetween(record_.sent_to_target, record_.response_begin);
    entry.response_us = MicrosecondsBetween(record_.response_begin, record_.response_sent);
  }
  entry.status = record_.status != 0 ? record_.status : http::StatusOf(record_.reason);
  entry.received_bytes = head_size_ > 0 ? record_.received_bytes : input_.size();
  entry.sent_bytes = record_.sent_bytes;
  if (record_.group != nullptr) entry.target_group = record_.group->id();
  if (record_.rule != nullptr) {
    entry.rule_priority = record_.rule->priority;
  } else if (record_.reason == http::Reason::kNoRule) {
    entry.rule_priority = AccessEntry::kRuleFailed;
  }
  entry.actions = ActionOf(record_.rule);
  entry.redirect_url = redirect_url_;
  entry.error_reason = http::NameOf(record_.reason);
  char detail[http::MessageFault::kMaxDescriptionBytes];
  if (fault_.is_set()) entry.error_detail = fault_.Describe(detail);
  const http::Verdict verdict = Classify();
  entry.classification = http::NameOf(verdict.classification);
  entry.classification_reason = verdict.reason;

  std::array<AccessAttempt, kMaxAttempts + 1> attempts;
  for (size_t i = 0; i < record_.failed_attempts; ++i) {
    attempts[entry.attempt_count++].endpoint = {record_.failed_endpoints[i].data(),
                                                record_.failed_endpoint_bytes[i]};
  }
  if (record_.attempts > record_.failed_attempts && record_.in_flight.last_target() != nullptr) {
    attempts[entry.attempt_count++] = {record_.in_flight.last_target()->endpoint(),
                                       record_.target_status};
  }
  entry.attempts = attempts.data();
  worker_.log()->Write(worker_.index(), entry);
}

}  // namespace remuda::proxy
