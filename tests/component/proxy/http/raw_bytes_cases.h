// The tables of raw_bytes_test: what a client or a target sends, byte by byte, and what must come
// of it. One line a form of the grammar; a form that the proxy should take or refuse is added here.
#pragma once

#include <ostream>
#include <string>
#include <vector>

namespace remuda::proxy::testing {

// A client's bytes.
struct RequestCase {
  std::string name;
  std::string sent;
  // What the proxy answers, in order: 200 is the target's "ok". After the last one the connection
  // is closed if `closes`.
  std::vector<int> statuses = {200};
  std::string reason = "";  // X-Remuda-Reason of the last answer
  bool closes = false;
  // The bytes that reach targets, without the fields that the proxy adds to each request
  // (X-Forwarded-*, X-Amzn-Trace-Id). Empty: nothing arrives.
  std::string arrives = "";
};

// A target's bytes, in answer to `request`; then it waits, or closes if `ends`.
struct ResponseCase {
  std::string name;
  std::string sent;
  // What the client gets, byte by byte; of an answer of the proxy's own only its status line and
  // reason: "502 TargetBadResponse".
  std::string got;
  bool is_reused = false;  // the connection to the target is kept for later requests
  bool ends = false;
  std::string request = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n";
  bool closes = false;  // the client's connection is closed after it
};

// For test names in failures.
inline void PrintTo(const RequestCase& c, std::ostream* out) { *out << c.name; }
inline void PrintTo(const ResponseCase& c, std::ostream* out) { *out << c.name; }

std::vector<RequestCase> FramingRequests();  // lengths, codings, chunks, trailers
std::vector<RequestCase> HeadRequests();     // request lines, targets, fields, Host, Connection
std::vector<ResponseCase> Responses();

// A refused request: nothing arrives, the connection closes.
inline RequestCase Refused(std::string name, std::string sent, int status, std::string reason) {
  return {std::move(name), std::move(sent), {status}, std::move(reason), true, ""};
}

// A request that is forwarded and answered with 200; the connection is kept.
inline RequestCase Forwarded(std::string name, std::string sent, std::string arrives) {
  return {std::move(name), std::move(sent), {200}, "", false, std::move(arrives)};
}

}  // namespace remuda::proxy::testing
