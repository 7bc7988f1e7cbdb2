// The parameters of a query, read as HTML forms write them (WHATWG URL, "application/x-www-form-
// urlencoded parsing"): `&` between pairs, `+` for a space, percent-encoded bytes decoded; a bad
// escape stays as it is. Matching what targets read keeps `?admi%6e=1` from passing by a rule on
// `admin`. No allocation.
#pragma once

#include <array>
#include <cstddef>
#include <string_view>

#include "proxy/http/limits.h"

namespace remuda::proxy {

struct QueryPair {
  std::string_view key;
  std::string_view value;  // empty without '='
};

class QueryReader {
 public:
  explicit QueryReader(std::string_view query) : rest_(query) {}

  // The next pair, valid until the next call; false at the end. Empty pairs are skipped.
  bool Next(QueryPair& pair);

 private:
  std::string_view Decode(std::string_view text, size_t& used);

  std::string_view rest_;
  std::array<char, http::kMaxRequestLineBytes> decoded_;  // set as far as it is used
};

}  // namespace remuda::proxy
