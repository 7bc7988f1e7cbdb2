// What the access log says of an exchange.
#include <algorithm>
#include <cstring>

#include "proxy/client/client_worker.h"
#include "proxy/exchange/session.h"
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

void DescribeRequest(const Exchange& x, AccessEntry& entry) {
  const http::RequestHead& head = x.request;
  entry.method = head.method_name;
  entry.host = head.host;
  entry.path = head.path.empty() ? head.target : head.path;
  entry.query = head.query;
  entry.has_query = head.has_query;
  entry.version = head.minor_version == 1 ? "HTTP/1.1" : "HTTP/1.0";
  entry.user_agent = ValueOf(head, http::FieldId::kUserAgent);
  entry.trace_id = {x.trace_id, std::strlen(x.trace_id)};
  entry.incoming_trace_id = ValueOf(head, http::FieldId::kXAmznTraceId);
}

}  // namespace

// Remembers the target of an attempt that will be followed by another: it may be gone when the log
// is written.
void Session::NoteFailedAttempt() {
  Exchange& x = *exchange_;
  if (x.failed_attempts == x.failed_endpoints.size()) return;
  const std::string& endpoint = x.in_flight.last_target()->endpoint();
  const size_t size = std::min(endpoint.size(), kMaxEndpointBytes);
  std::memcpy(x.failed_endpoints[x.failed_attempts].data(), endpoint.data(), size);
  x.failed_endpoint_bytes[x.failed_attempts++] = static_cast<uint8_t>(size);
}

http::Verdict Session::ClassifyExchange() const {
  const Exchange& x = *exchange_;
  return http::VerdictOf(x.reason, x.head_size > 0 ? x.request.oddity : http::Oddity::kNone);
}

void Session::WriteLog() {
  const Exchange& x = *exchange_;
  if (x.status == 0 && x.head_size == 0) return;  // a head that never became whole
  const SteadyTime now = worker_.loop().now();
  AccessEntry entry;
  entry.begin_us = x.begin_us;
  entry.end_us = worker_.WallUs(now);
  const auto* spec = listener_->spec;
  if (spec != nullptr) entry.load_balancer = spec->load_balancer->id;
  entry.client_address = {peer_.text, peer_.text_size};
  entry.client_port = peer_.port;
  entry.listener_port = listener_->port;
  entry.connection_id = log_id();
  if (stream_ != nullptr) {
    entry.type = TrafficType::kHttp2;
  } else if (x.status == 101) {
    entry.type = transport_.is_plain() ? TrafficType::kWebSocket : TrafficType::kWebSocketTls;
  } else {
    entry.type = transport_.is_plain() ? TrafficType::kHttp : TrafficType::kHttps;
  }
  if (x.head_size > 0) DescribeRequest(x, entry);
  if (stream_ != nullptr) entry.version = "HTTP/2.0";
  if (const tls::ConnectionInfo* tls = ClientTls(); tls != nullptr) {
    entry.tls_protocol = tls->protocol;
    entry.tls_cipher = tls->cipher;
    entry.certificate = tls->certificate;
    entry.domain_name = tls->server_name;
  }

  entry.request_us = MicrosecondsBetween(x.first_byte, x.sent_to_target);
  if (x.target_status != 0) {
    entry.target_us = MicrosecondsBetween(x.sent_to_target, x.response_begin);
    entry.response_us = MicrosecondsBetween(x.response_begin, x.response_sent);
  }
  entry.status = x.status != 0 ? x.status : http::StatusOf(x.reason);
  entry.received_bytes = x.head_size > 0 ? x.received_bytes : in_.size();
  entry.sent_bytes = x.sent_bytes;
  if (x.group != nullptr) entry.target_group = x.group->id();
  if (x.rule != nullptr) {
    entry.rule_priority = x.rule->priority;
  } else if (x.reason == http::Reason::kNoRule) {
    entry.rule_priority = AccessEntry::kRuleFailed;
  }
  entry.actions = ActionOf(x.rule);
  entry.redirect_url = x.redirect_url;
  entry.error_reason = http::NameOf(x.reason);
  char detail[http::MessageFault::kMaxDescriptionBytes];
  if (x.fault.is_set()) entry.error_detail = x.fault.Describe(detail);
  const http::Verdict verdict = ClassifyExchange();
  entry.classification = http::NameOf(verdict.classification);
  entry.classification_reason = verdict.reason;

  std::array<AccessAttempt, kMaxAttempts + 1> attempts;
  for (size_t i = 0; i < x.failed_attempts; ++i) {
    attempts[entry.attempt_count++].endpoint = {x.failed_endpoints[i].data(),
                                                x.failed_endpoint_bytes[i]};
  }
  if (x.attempts > x.failed_attempts && x.in_flight.last_target() != nullptr) {
    attempts[entry.attempt_count++] = {x.in_flight.last_target()->endpoint(), x.target_status};
  }
  entry.attempts = attempts.data();
  worker_.log()->Write(worker_.index(), entry);
}

}  // namespace remuda::proxy
