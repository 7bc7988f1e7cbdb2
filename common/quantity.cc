#include "common/quantity.h"

#include <absl/strings/str_cat.h>

#include <algorithm>
#include <charconv>
#include <limits>
#include <string>

namespace remuda {
namespace {

constexpr int64_t kMaxCpuMillis = 1'000'000;

absl::Status Wrong(std::string_view text, const char* rule) {
  return absl::InvalidArgumentError(absl::StrCat("\"", std::string(text), "\": ", rule));
}

// All of `digits` as a number above or equal to 0; -1 if it is none, or too large.
int64_t Whole(std::string_view digits) {
  int64_t value = -1;
  if (digits.empty() || digits.front() < '0' || digits.front() > '9') return -1;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  return error == std::errc() && end == digits.data() + digits.size() ? value : -1;
}

}  // namespace

absl::StatusOr<int64_t> ParseMemoryBytes(std::string_view text) {
  constexpr char kRule[] =
      "must be a whole number of bytes above 0 with an optional unit Ki Mi Gi Ti k M G T, as 256Mi";
  const size_t digits = std::min(text.find_first_not_of("0123456789"), text.size());
  const std::string_view unit = text.substr(digits);
  int64_t factor = 0;
  struct Unit {
    std::string_view name;
    int64_t factor;
  };
  constexpr Unit kUnits[] = {{"", 1},
                             {"Ki", int64_t{1} << 10},
                             {"Mi", int64_t{1} << 20},
                             {"Gi", int64_t{1} << 30},
                             {"Ti", int64_t{1} << 40},
                             {"k", 1'000},
                             {"M", 1'000'000},
                             {"G", 1'000'000'000},
                             {"T", 1'000'000'000'000}};
  for (const Unit& u : kUnits) {
    if (u.name == unit) factor = u.factor;
  }
  const int64_t number = Whole(text.substr(0, digits));
  if (factor == 0 || number <= 0 || number > std::numeric_limits<int64_t>::max() / factor)
    return Wrong(text, kRule);
  return number * factor;
}

absl::StatusOr<int64_t> ParseCpuMillis(std::string_view text) {
  constexpr char kRule[] =
      "must be cores above 0 and at most 1000, as 2 or 0.5, or thousandths, as 500m";
  int64_t millis = -1;
  if (!text.empty() && text.back() == 'm') {
    millis = Whole(text.substr(0, text.size() - 1));
  } else {
    const size_t dot = text.find('.');
    const int64_t cores = Whole(text.substr(0, dot));
    std::string decimals(dot == std::string_view::npos ? std::string_view("0")
                                                       : text.substr(dot + 1));
    if (decimals.empty() || decimals.size() > 3) return Wrong(text, kRule);
    decimals.resize(3, '0');
    const int64_t thousandths = Whole(decimals);
    if (cores >= 0 && cores <= kMaxCpuMillis && thousandths >= 0)
      millis = cores * 1000 + thousandths;
  }
  if (millis <= 0 || millis > kMaxCpuMillis) return Wrong(text, kRule);
  return millis;
}

}  // namespace remuda
