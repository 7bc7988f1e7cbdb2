#include "proxy/http/cookie.h"

#include "proxy/http/chars.h"

namespace remuda::proxy::http {
namespace {

constexpr std::string_view kSetCookie = "set-cookie";

}  // namespace

bool CookieReader::Next(Cookie& cookie) {
  while (count_ < kMaxCookies) {
    while (rest_.empty()) {
      if (next_ == end_) return false;
      const Field& field = *next_++;
      if (field.id == FieldId::kCookie) rest_ = field.value;
    }
    ++count_;
    const size_t end = rest_.find(';');
    const std::string_view pair = TrimOws(rest_.substr(0, end));
    rest_ = end == std::string_view::npos ? std::string_view() : rest_.substr(end + 1);
    const size_t equals = pair.find('=');
    if (equals == std::string_view::npos) continue;
    cookie.name = TrimOws(pair.substr(0, equals));
    cookie.value = TrimOws(pair.substr(equals + 1));
    return true;
  }
  return false;
}

std::optional<std::string_view> FindCookie(const Fields& fields, std::string_view name) {
  CookieReader reader(fields);
  Cookie cookie;
  while (reader.Next(cookie)) {
    if (cookie.name == name) return cookie.value;
  }
  return std::nullopt;
}

bool SetsCookie(const Fields& fields, std::string_view name) {
  for (const Field& field : fields) {
    if (!EqualsIgnoreCase(field.name, kSetCookie)) continue;
    const size_t equals = field.value.find_first_of("=;");
    if (equals != std::string_view::npos && field.value[equals] == '=' &&
        TrimOws(field.value.substr(0, equals)) == name) {
      return true;
    }
  }
  return false;
}

}  // namespace remuda::proxy::http
