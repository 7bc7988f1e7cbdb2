// A redirect's parts: text in which placeholders stand for parts of the request.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "common/traffic/field_fault.h"

namespace remuda::v1 {
class Listener;
class RedirectAction;
}  // namespace remuda::v1

namespace remuda::traffic {

struct TemplatePart {
  enum class Kind : uint8_t { kText, kHost, kPort, kPath, kQuery };
  Kind kind = Kind::kText;
  std::string text = {};
  bool operator==(const TemplatePart&) const = default;
};
using Template = std::vector<TemplatePart>;

struct Redirect {
  int status = 302;
  std::string protocol = "http";  // "#{protocol}" is known when it is parsed: the listener's
  Template host, port, path, query;
};

// Every fault of `config` as an action of `listener` (HTTP or HTTPS); `out` is whole only if there
// is none. Placeholders stand where a Location (RFC 9110 section 10.2.2) can carry
// what they become: #{host} in host, path and query, #{port} in port, path and query, and so on.
FieldFaults ParseRedirect(const v1::RedirectAction& config, const v1::Listener& listener,
                          Redirect& out);

// Whether protocol, host, port and path stay as they came in on `listener`: a client that follows
// comes back to the same place, with another query at most.
bool StaysInPlace(const Redirect& redirect, const v1::Listener& listener);

// The template of a query that stays as it came.
Template SameQuery();

}  // namespace remuda::traffic
