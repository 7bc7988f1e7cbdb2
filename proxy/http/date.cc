#include "proxy/http/date.h"

#include <cstring>
#include <ctime>

namespace remuda::proxy::http {
namespace {

constexpr std::string_view kDays = "SunMonTueWedThuFriSat";
constexpr std::string_view kMonths = "JanFebMarAprMayJunJulAugSepOctNovDec";

void WriteDigits(int value, size_t count, char* out) {
  for (size_t i = count; i > 0; --i, value /= 10) out[i - 1] = static_cast<char>('0' + value % 10);
}

void CopyName(std::string_view names, int index, char* out) {
  std::memcpy(out, names.data() + 3 * static_cast<size_t>(index), 3);
}

}  // namespace

// Not by strftime: that writes the names of a locale.
std::string_view DateText::At(int64_t us) {
  const int64_t second = us / 1000000;
  if (second != second_) {
    second_ = second;
    const time_t seconds = second;
    std::tm parts{};
    gmtime_r(&seconds, &parts);
    std::memcpy(text_.data(), "Sun, 06 Nov 1994 08:49:37 GMT", kDateBytes);
    CopyName(kDays, parts.tm_wday, text_.data());
    WriteDigits(parts.tm_mday, 2, text_.data() + 5);
    CopyName(kMonths, parts.tm_mon, text_.data() + 8);
    WriteDigits(parts.tm_year + 1900, 4, text_.data() + 12);
    WriteDigits(parts.tm_hour, 2, text_.data() + 17);
    WriteDigits(parts.tm_min, 2, text_.data() + 20);
    WriteDigits(parts.tm_sec, 2, text_.data() + 23);
  }
  return {text_.data(), text_.size()};
}

}  // namespace remuda::proxy::http
