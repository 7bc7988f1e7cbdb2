// Cookies in place: those of a request's Cookie fields (RFC 6265 section 4.2), and the name that a
// Set-Cookie sets. Total: any bytes are read as some cookies or none. No allocation.
#pragma once

#include <cstddef>
#include <optional>
#include <string_view>

#include "proxy/http/field.h"

namespace remuda::proxy::http {

// More cookies of one request are not looked at.
inline constexpr size_t kMaxCookies = 300;

struct Cookie {
  std::string_view name;   // compared with case
  std::string_view value;  // with its quotes, if it has any
};

// Goes through all cookies of a request, in order, over all its Cookie fields.
class CookieReader {
 public:
  explicit CookieReader(const Fields& fields) : next_(fields.begin()), end_(fields.end()) {}
  // False after the last. Pieces without `=` are passed.
  bool Next(Cookie& cookie);

 private:
  const Field* next_;
  const Field* const end_;
  std::string_view rest_;
  size_t count_ = 0;
};

// The value of the first cookie of that name.
std::optional<std::string_view> FindCookie(const Fields& fields, std::string_view name);

// Whether a Set-Cookie field of the response sets that name.
bool SetsCookie(const Fields& fields, std::string_view name);

}  // namespace remuda::proxy::http
