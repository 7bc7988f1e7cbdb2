// One line of the access log: AWS's fields in AWS's order ("Access logs for your Application Load
// Balancer"), or the same as JSON. No I/O; in the steady state no allocation either.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>

#include "proxy/http/reason.h"

namespace remuda::proxy {

enum class AccessLogFormat : uint8_t { kAlb, kJson };

enum class TrafficType : uint8_t { kHttp, kHttps, kHttp2, kWebSocket, kWebSocketTls, kTcp, kTls };

// A target that was asked.
struct AccessAttempt {
  std::string_view endpoint;  // "address:port"
  int status = 0;             // 0: it gave no response
};

// What happened. Views need to live only until the line is written; an empty one is logged as `-`
// (JSON: null), and so are a status, an id and a time that are not there.
struct AccessEntry {
  static constexpr int64_t kNever = -1;
  static constexpr int kNoRule = -2;      // none was looked for
  static constexpr int kRuleFailed = -1;  // none was found

  TrafficType type = TrafficType::kHttp;
  int64_t end_us = 0;    // since the epoch
  int64_t begin_us = 0;  // since the epoch
  std::string_view load_balancer;
  std::string_view client_address;
  uint16_t client_port = 0;
  uint16_t listener_port = 0;
  // kNever for what did not happen.
  int64_t request_us = kNever;   // until it was sent to the target
  int64_t target_us = kNever;    // until the response began to come
  int64_t response_us = kNever;  // until the response began to be sent on
  int status = 0;
  uint64_t received_bytes = 0;
  uint64_t sent_bytes = 0;
  std::string_view method;  // empty: the request could not be read
  std::string_view host;    // may hold a port; empty: the load balancer's name
  std::string_view path;
  std::string_view query;
  bool has_query = false;
  std::string_view version;  // "HTTP/1.1"
  std::string_view user_agent;
  std::string_view tls_cipher;
  std::string_view tls_protocol;
  std::string_view target_group;
  std::string_view trace_id;           // ours
  std::string_view incoming_trace_id;  // the client's X-Amzn-Trace-Id
  std::string_view domain_name;        // SNI
  std::string_view certificate;
  int rule_priority = kNoRule;
  std::string_view actions;  // "forward", or a list with commas
  std::string_view redirect_url;
  std::string_view error_reason;
  const AccessAttempt* attempts = nullptr;  // the last is the one that counts
  size_t attempt_count = 0;
  std::string_view classification;
  std::string_view classification_reason;
  uint64_t connection_id = 0;
  // What exactly is wrong with a message: behind AWS's fields, and only where there is something.
  std::string_view error_detail;
};

// What AWS cuts a User-Agent to.
inline constexpr size_t kMaxLoggedUserAgentBytes = 8 * 1024;

// Writes lines; keeps its buffer and the text of the last second. One thread.
class AccessLineWriter {
 public:
  explicit AccessLineWriter(AccessLogFormat format) : format_(format) {}

  // The line with its LF, valid until the next call. Bytes that a client chose are escaped: in
  // ALB's form `"`, `\` and everything but printable ASCII as \xHH, in JSON as JSON has it, a byte
  // above 0x7e as \u00HH.
  std::string_view Write(const AccessEntry& entry);

 private:
  class Out;
  void WriteAlb(const AccessEntry& entry, Out& out);
  void WriteJson(const AccessEntry& entry, Out& out);
  void Time(int64_t us, Out& out);
  static void Endpoint(std::string_view address, uint16_t port, Out& out);

  const AccessLogFormat format_;
  std::unique_ptr<char[]> buffer_;
  size_t capacity_ = 0;
  int64_t second_ = -1;  // that second_text_ is of
  std::array<char, 20> second_text_{};
};

}  // namespace remuda::proxy
