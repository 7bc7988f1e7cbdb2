#include "cli/table_layout.h"

#include <absl/strings/str_cat.h>
#include <google/protobuf/util/time_util.h>

#include <algorithm>
#include <cstdio>
#include <ctime>
#include <iterator>

namespace remuda::cli {
namespace {

using google::protobuf::Timestamp;

constexpr size_t kColumnGap = 2;

using Row = std::vector<std::string>;

// ECMA-48, "select graphic rendition".
constexpr char kBold[] = "\x1b[1m";
constexpr char kRed[] = "\x1b[31m";
constexpr char kGreen[] = "\x1b[32m";
constexpr char kYellow[] = "\x1b[33m";
constexpr char kPlain[] = "\x1b[0m";

bool IsOneOf(std::string_view word, std::initializer_list<std::string_view> words) {
  return std::find(words.begin(), words.end(), word) != words.end();
}

const char* ColourOfState(const std::string& cell) {
  const std::string_view word = std::string_view(cell).substr(0, cell.find(' '));
  if (IsOneOf(word, {"UNHEALTHY", "LOST", "FAILED", "ROLLED_BACK", "UNKNOWN", "GONE"})) return kRed;
  if (cell.find("(unhealthy)") != std::string::npos) return kRed;
  if (IsOneOf(word, {"IN_SERVICE", "HEALTHY", "CONNECTED", "SUCCEEDED", "SUCCESSFUL", "PASSED"}))
    return kGreen;
  return IsOneOf(word, {"TERMINATED", "UNUSED", "CANCELLED", "WARM"}) ? "" : kYellow;
}

// Empty: none.
const char* ColourOf(std::string_view header, const std::string& cell) {
  if (cell == "-") return "";
  if (IsOneOf(header, {"STATE", "STATUS", "VERDICT"})) return ColourOfState(cell);
  if (header == "TROUBLE") return kRed;
  return IsOneOf(header, {"WAITING", "DRIFT"}) ? kYellow : "";
}

std::string In(const char* colour, const std::string& text) {
  return *colour == '\0' ? text : absl::StrCat(colour, text, kPlain);
}

std::string Local(const Timestamp& time, const char* format) {
  const std::time_t seconds = time.seconds();
  std::tm local{};
  localtime_r(&seconds, &local);
  char text[32];
  std::strftime(text, sizeof text, format, &local);
  return text;
}

}  // namespace

size_t TextWidth(const std::string& text) {
  return static_cast<size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return (c & 0xC0) != 0x80; }));
}

size_t BytesOf(const std::string& text, size_t columns) {
  size_t seen = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    if ((static_cast<unsigned char>(text[i]) & 0xC0) == 0x80) continue;
    if (seen++ == columns) return i;
  }
  return text.size();
}

std::string Printable(std::string text) {
  for (char& c : text) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F) c = '?';
  }
  return text;
}

std::string Coloured(std::string_view header, const std::string& text) {
  return In(ColourOf(header, text), text);
}

std::string InTone(Tone tone, const std::string& text) {
  switch (tone) {
    case Tone::kStrong:
      return In(kBold, text);
    case Tone::kGood:
      return In(kGreen, text);
    case Tone::kBad:
      return In(kRed, text);
    case Tone::kWaiting:
      return In(kYellow, text);
    case Tone::kPlain:
      break;
  }
  return text;
}

std::string RenderTable(const Table& table, const TableStyle& style) {
  std::vector<Row> rows;
  if (style.with_headers) rows.push_back(table.headers);
  rows.insert(rows.end(), table.rows.begin(), table.rows.end());
  std::vector<size_t> widths(table.headers.size());
  for (size_t i = 0; i < table.headers.size(); ++i) widths[i] = TextWidth(table.headers[i]);
  for (Row& row : rows) {
    for (size_t i = 0; i < row.size(); ++i) {
      row[i] = Printable(std::move(row[i]));
      widths[i] = std::max(widths[i], TextWidth(row[i]));
    }
  }
  std::string out;
  for (size_t n = 0; n < rows.size(); ++n) {
    const Row& row = rows[n];
    const bool is_header = style.with_headers && n == 0;
    for (size_t i = 0; i < row.size(); ++i) {
      if (!style.with_colours) {
        out += row[i];
      } else {
        out += is_header ? In(kBold, row[i]) : Coloured(table.headers[i], row[i]);
      }
      if (i + 1 < row.size()) out.append(widths[i] - TextWidth(row[i]) + kColumnGap, ' ');
    }
    out += '\n';
  }
  return out;
}

std::string FormatAge(const Timestamp& then, const Timestamp& now) {
  if (then.seconds() == 0) return "-";
  const int64_t seconds = std::max<int64_t>(0, now.seconds() - then.seconds());
  if (seconds < 120) return absl::StrCat(seconds, "s");
  const int64_t minutes = seconds / 60;
  if (minutes < 60) return absl::StrCat(minutes, "m");
  const int64_t hours = minutes / 60;
  if (hours < 10) return absl::StrCat(hours, "h", minutes % 60, "m");
  if (hours < 48) return absl::StrCat(hours, "h");
  return absl::StrCat(hours / 24, "d");
}

std::string FormatBytes(int64_t bytes) {
  static constexpr const char* kUnits[] = {"B", "KiB", "MiB", "GiB", "TiB"};
  auto value = static_cast<double>(bytes);
  size_t unit = 0;
  while (value >= 1024 && unit + 1 < std::size(kUnits)) {
    value /= 1024;
    ++unit;
  }
  char text[32];
  std::snprintf(text, sizeof text, unit == 0 || value >= 100 ? "%.0f %s" : "%.1f %s", value,
                kUnits[unit]);
  return text;
}

std::string FormatClock(const Timestamp& time) { return Local(time, "%H:%M:%S"); }

std::string FormatDate(const Timestamp& time) {
  return time.seconds() == 0 ? "-" : Local(time, "%Y-%m-%d %H:%M:%S");
}

Timestamp SystemNow() { return google::protobuf::util::TimeUtil::GetCurrentTime(); }

}  // namespace remuda::cli
