#include "common/duration_text.h"

#include <google/protobuf/util/time_util.h>

#include <array>
#include <cstdint>

namespace remuda {
namespace {

constexpr int64_t kNanosPerSecond = 1'000'000'000;
constexpr int64_t kMaxSeconds = 315'576'000'000;  // protobuf's bound of a Duration
constexpr int kMaxFractionDigits = 9;
constexpr int kMaxWholeDigits = 12;

struct Unit {
  std::string_view name;
  int64_t nanos;
};
constexpr std::array<Unit, 6> kUnits = {{{"h", 3600 * kNanosPerSecond},
                                         {"m", 60 * kNanosPerSecond},
                                         {"s", kNanosPerSecond},
                                         {"ms", 1'000'000},
                                         {"us", 1'000},
                                         {"ns", 1}}};

bool IsDigit(char c) { return c >= '0' && c <= '9'; }

std::string_view TakeWhile(std::string_view& text, bool (*accepts)(char)) {
  size_t n = 0;
  while (n < text.size() && accepts(text[n])) ++n;
  const std::string_view taken = text.substr(0, n);
  text.remove_prefix(n);
  return taken;
}

std::string WithoutTrailingZeros(std::string digits) {
  while (!digits.empty() && digits.back() == '0') digits.pop_back();
  return digits;
}

std::string Padded(int64_t value, size_t width) {
  std::string digits = std::to_string(value);
  return digits.size() < width ? std::string(width - digits.size(), '0') + digits : digits;
}

}  // namespace

std::optional<std::string> ParseDuration(std::string_view text, google::protobuf::Duration* out) {
  const std::string shown = "\"" + std::string(text.substr(0, 64)) + "\"";
  const bool negative = !text.empty() && text.front() == '-';
  if (negative) text.remove_prefix(1);
  if (text.empty()) return shown + " is not a duration: write for example 10s or 500ms";
  __int128 total = 0;
  while (!text.empty()) {
    const std::string_view whole = TakeWhile(text, IsDigit);
    std::string_view fraction;
    if (!text.empty() && text.front() == '.') {
      text.remove_prefix(1);
      fraction = TakeWhile(text, IsDigit);
      if (fraction.empty()) return shown + " is not a duration: a digit must follow the point";
    }
    if (whole.empty()) return shown + " is not a duration: write for example 10s or 500ms";
    if (whole.size() > kMaxWholeDigits || fraction.size() > kMaxFractionDigits) {
      return shown + " has too many digits";
    }
    const std::string_view name = TakeWhile(text, [](char c) { return !IsDigit(c) && c != '.'; });
    if (name.empty())
      return shown + " has no unit: write for example " + std::string(whole) +
             "s (h, m, s, ms, us, ns)";
    const Unit* unit = nullptr;
    for (const Unit& candidate : kUnits) {
      if (candidate.name == name) unit = &candidate;
    }
    if (unit == nullptr) {
      return shown + ": unknown unit \"" + std::string(name) + "\"; units are h, m, s, ms, us, ns";
    }
    total += static_cast<__int128>(std::stoll(std::string(whole))) * unit->nanos;
    __int128 part = 0;
    int64_t divisor = 1;
    for (const char digit : fraction) {
      part = part * 10 + (digit - '0');
      divisor *= 10;
    }
    total += part * unit->nanos / divisor;
    if (total > static_cast<__int128>(kMaxSeconds) * kNanosPerSecond)
      return shown + " is over 10,000 years";
  }
  const auto seconds = static_cast<int64_t>(total / kNanosPerSecond);
  const auto nanos = static_cast<int32_t>(total % kNanosPerSecond);
  out->set_seconds(negative ? -seconds : seconds);
  out->set_nanos(negative ? -nanos : nanos);
  return std::nullopt;
}

std::string FormatDuration(const google::protobuf::Duration& duration) {
  int64_t seconds = duration.seconds();
  int64_t nanos = duration.nanos();
  const bool negative = seconds < 0 || nanos < 0;
  if (seconds < 0) seconds = seconds == INT64_MIN ? INT64_MAX : -seconds;
  if (nanos < 0) nanos = -nanos;
  const std::string sign = negative ? "-" : "";
  if (nanos == 0) return sign + std::to_string(seconds) + "s";
  if (seconds > 0) {
    return sign + std::to_string(seconds) + "." + WithoutTrailingZeros(Padded(nanos, 9)) + "s";
  }
  for (const Unit& unit : kUnits) {
    if (unit.nanos < kNanosPerSecond && nanos % unit.nanos == 0) {
      return sign + std::to_string(nanos / unit.nanos) + std::string(unit.name);
    }
  }
  return sign + std::to_string(nanos) + "ns";
}

std::optional<std::string> ParseTimestamp(std::string_view text, google::protobuf::Timestamp* out) {
  if (google::protobuf::util::TimeUtil::FromString(std::string(text), out)) return std::nullopt;
  return "\"" + std::string(text.substr(0, 64)) +
         "\" is not a time: write for example 2026-11-22T14:00:00Z";
}

std::string FormatTimestamp(const google::protobuf::Timestamp& timestamp) {
  return google::protobuf::util::TimeUtil::ToString(timestamp);
}

}  // namespace remuda
