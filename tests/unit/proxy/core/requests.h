// Requests for tests of decisions: parsed and made canonical as the proxy does it.
#pragma once

#include <memory>
#include <string>

#include "proxy/http/head_parser.h"
#include "proxy/http/target.h"

namespace remuda::proxy::testing {

// A request with the bytes that its views point into; null if the proxy would refuse it.
struct Request {
  std::string bytes;
  http::RequestHead head;
};

// `lines`: the head without its final empty line, "\r\n" between lines.
inline std::unique_ptr<Request> ParseRequest(const std::string& lines) {
  auto request = std::make_unique<Request>();
  request->bytes = lines + "\r\n\r\n";
  http::RequestParser parser;
  if (parser.Parse(request->bytes.data(), request->bytes.size(), request->head) !=
          http::ParseStatus::kDone ||
      http::CanonicalizeTarget(request->head) != http::Reason::kNone) {
    return nullptr;
  }
  return request;
}

}  // namespace remuda::proxy::testing
