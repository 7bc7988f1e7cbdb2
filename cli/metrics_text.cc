#include "cli/metrics_text.h"

#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <iterator>
#include <map>

#include "cli/cell_text.h"
#include "cli/kinds.h"
#include "common/duration_text.h"

namespace remuda::cli {
namespace {

using Values = google::protobuf::RepeatedField<double>;

constexpr int kShownNumbers = 10;
constexpr size_t kMinSparkline = 10;
constexpr size_t kSpacesBetween = 2;
// U+2581 to U+2588.
constexpr const char* kBlocks[] = {"\u2581", "\u2582", "\u2583", "\u2584",
                                   "\u2585", "\u2586", "\u2587", "\u2588"};

// Three digits that say something, more before the point.
std::string Number(double value) {
  const double size = std::fabs(value);
  char text[32];
  std::snprintf(text, sizeof text, size >= 100 ? "%.0f" : size >= 10 ? "%.1f" : "%.2f", value);
  std::string out = text;
  if (out.find('.') == std::string::npos) return out;
  out.erase(out.find_last_not_of('0') + 1);
  if (out.back() == '.') out.pop_back();
  return out == "-0" ? "0" : out;
}

// NaN if none is there.
double Largest(const Values& values) {
  double out = std::nan("");
  for (const double value : values) {
    if (!std::isnan(value)) out = std::isnan(out) ? value : std::max(out, value);
  }
  return out;
}

double Smallest(const Values& values) {
  double out = std::nan("");
  for (const double value : values) {
    if (!std::isnan(value)) out = std::isnan(out) ? value : std::min(out, value);
  }
  return out;
}

double Last(const Values& values) {
  return values.empty() ? std::nan("") : values.Get(values.size() - 1);
}

std::string NewestNumbers(const Values& values) {
  std::vector<std::string> out;
  for (int i = std::max(0, values.size() - kShownNumbers); i < values.size(); ++i)
    out.push_back(ValueText(values.Get(i), ""));
  return absl::StrJoin(out, " ");
}

// Columns of a table without the one that follows.
size_t WidthOf(const Table& table) {
  size_t sum = 0;
  for (size_t i = 0; i < table.headers.size(); ++i) {
    size_t width = TextWidth(table.headers[i]);
    for (const auto& row : table.rows) width = std::max(width, TextWidth(row[i]));
    sum += width + kSpacesBetween;
  }
  return sum;
}

}  // namespace

std::string ValueText(double value, const std::string& unit) {
  if (std::isnan(value)) return "-";
  if (unit == "B" || unit == "B/s")
    return FormatBytes(static_cast<int64_t>(value)) + (unit == "B" ? "" : "/s");
  const bool is_word = !unit.empty() && unit != "%" && unit != "/s" && unit != "ms";
  return absl::StrCat(Number(value), is_word ? " " : "", unit);
}

std::string Sparkline(const Values& values, size_t room) {
  const int shown = std::min(values.size(), static_cast<int>(room));
  const Values newest(values.end() - shown, values.end());
  const double highest = std::max(0.0, Largest(newest));
  std::string out;
  for (const double value : newest) {
    if (std::isnan(value)) {
      out += ' ';
      continue;
    }
    const double eighths = highest > 0 ? std::ceil(value / highest * 8) : 1;
    out += kBlocks[static_cast<size_t>(std::clamp(eighths, 1.0, 8.0)) - 1];
  }
  return out;
}

Table SeriesTable(const v1::GroupMetrics& metrics, const MetricsStyle& style) {
  Table table = {{"METRIC", "LAST", "LOWEST", "HIGHEST"}, {}};
  for (const v1::SeriesMetrics& series : metrics.series()) {
    const auto text = [&](double value) { return ValueText(value, series.unit()); };
    table.rows.push_back({series.metric(), text(Last(series.values())),
                          text(Smallest(series.values())), text(Largest(series.values()))});
  }
  const size_t used = WidthOf(table);
  const size_t room = std::max(kMinSparkline, style.width > used ? style.width - used : 0);
  table.headers.emplace_back(style.has_blocks ? "HISTORY" : "NEWEST");
  for (size_t i = 0; i < table.rows.size(); ++i) {
    const Values& values = metrics.series(static_cast<int>(i)).values();
    table.rows[i].push_back(style.has_blocks ? Sparkline(values, room) : NewestNumbers(values));
  }
  return table;
}

Table InstanceMetricsTable(const v1::GroupMetrics& metrics) {
  Table table = {{"INSTANCE", "CPU", "MEMORY", "REQUESTS", "IN-FLIGHT", "RESTARTS", "WARM"}, {}};
  for (const v1::InstanceMetrics& instance : metrics.instances()) {
    const bool is_known = instance.has_cpu_percent() || instance.memory_bytes() > 0;
    table.rows.push_back({IdText(instance.instance()),
                          instance.has_cpu_percent() ? ValueText(instance.cpu_percent(), "%") : "-",
                          is_known ? FormatBytes(instance.memory_bytes()) : "-",
                          ValueText(instance.requests(), "/s"), absl::StrCat(instance.in_flight()),
                          absl::StrCat(instance.restarts()),
                          instance.is_warm() ? "yes" : "not yet"});
  }
  return table;
}

std::string MetricsTitle(const v1::GroupMetrics& metrics) {
  const int values = metrics.series().empty() ? 0 : metrics.series(0).values_size();
  const std::string group = absl::StrCat("asg/", ShortId(metrics.auto_scaling_group()));
  if (values == 0) return group + ": nothing is measured yet";
  return absl::StrCat(group, ": ", values, values == 1 ? " value" : " values", ", one each ",
                      FormatDuration(metrics.period()), ", the last at ",
                      FormatClock(metrics.end_time()));
}

std::string SilentText(const v1::GroupMetrics& metrics) {
  if (metrics.silent().empty()) return "";
  return absl::StrCat("silent: ", absl::StrJoin(metrics.silent(), ", "),
                      "; what they measure is missing");
}

std::string NewestLine(const v1::GroupMetrics& metrics) {
  std::vector<std::string> parts;
  for (const v1::SeriesMetrics& series : metrics.series()) {
    const double last = Last(series.values());
    if (!std::isnan(last))
      parts.push_back(absl::StrCat(series.metric(), " ", ValueText(last, series.unit())));
  }
  if (parts.empty()) parts.emplace_back("nothing is measured");
  if (const std::string silent = SilentText(metrics); !silent.empty()) parts.push_back(silent);
  return absl::StrJoin(parts, "  ");
}

void AppendMetrics(const v1::GroupMetrics& newer, int most, v1::GroupMetrics& known) {
  const int length = known.series().empty() ? 0 : known.series(0).values_size();
  std::map<std::string, const Values*> before;
  for (const v1::SeriesMetrics& series : known.series()) before[series.metric()] = &series.values();
  v1::GroupMetrics out = newer;
  for (v1::SeriesMetrics& series : *out.mutable_series()) {
    const auto it = before.find(series.metric());
    // One that is new has been missing until now.
    std::vector<double> values(static_cast<size_t>(length), std::nan(""));
    if (it != before.end()) values.assign(it->second->begin(), it->second->end());
    values.insert(values.end(), series.values().begin(), series.values().end());
    const auto surplus = std::max<std::ptrdiff_t>(std::ssize(values) - most, 0);
    series.mutable_values()->Assign(values.begin() + surplus, values.end());
  }
  known = out;
}

}  // namespace remuda::cli
