// Cookie fields, a line each: any bytes are some cookies or none, each a piece of its field, and
// looking one up finds the first of its name.
#include <cstdint>
#include <string_view>

#include "proxy/http/cookie.h"
#include "tests/fuzz/require.h"

namespace http = remuda::proxy::http;
using remuda::Require;

namespace {

bool IsWithin(std::string_view part, std::string_view whole) {
  return part.empty() ||
         (part.data() >= whole.data() && part.data() + part.size() <= whole.data() + whole.size());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  http::Fields fields;
  std::string_view rest = bytes;
  while (!rest.empty()) {
    const std::string_view line = rest.substr(0, rest.find('\n'));
    if (!fields.Add({.name = "Cookie", .value = line, .id = http::FieldId::kCookie})) break;
    rest.remove_prefix(std::min(rest.size(), line.size() + 1));
  }
  http::CookieReader reader(fields);
  http::Cookie cookie;
  size_t count = 0;
  while (reader.Next(cookie)) {
    Require(++count <= http::kMaxCookies);
    Require(IsWithin(cookie.name, bytes) && IsWithin(cookie.value, bytes));
    Require(cookie.name.find_first_of(";=\n") == std::string_view::npos);
    Require(cookie.value.find_first_of(";\n") == std::string_view::npos);
    const auto found = http::FindCookie(fields, cookie.name);
    Require(found.has_value() && found->data() <= cookie.value.data());
  }
  if (count == 0) Require(!http::FindCookie(fields, "a").has_value());
  for (http::Field& field : fields) field.name = "Set-Cookie";
  http::SetsCookie(fields, "a");
  return 0;
}
