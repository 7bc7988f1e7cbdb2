#include "tests/sim/scaling/chart.h"

#include <algorithm>
#include <cmath>
#include <cstdio>

#include "tests/sim/scaling/series.h"

namespace remuda::scaling_sim {
namespace {

constexpr double kWidth = 800;
constexpr double kHeight = 300;
constexpr double kLeft = 50;
constexpr double kRight = 15;
constexpr double kTop = 45;
constexpr double kBottom = 35;
constexpr size_t kColumns = 360;

template <class... Values>
std::string Format(const char* format, Values... values) {
  char text[256];
  std::snprintf(text, sizeof text, format, values...);
  return text;
}

std::string Label(double x, double y, const char* anchor, const std::string& text,
                  const std::string& color = "#333") {
  return Format("<text x=\"%.0f\" y=\"%.0f\" text-anchor=\"%s\" fill=\"%s\">", x, y, anchor,
                color.c_str()) +
         text + "</text>\n";
}

std::vector<double> Columns(const std::vector<double>& values) {
  const size_t count = std::min(kColumns, values.size());
  std::vector<double> out;
  for (size_t i = 0; i < count; ++i) {
    const auto from = values.begin() + static_cast<std::ptrdiff_t>(i * values.size() / count);
    const auto to = values.begin() + static_cast<std::ptrdiff_t>((i + 1) * values.size() / count);
    out.push_back(*std::max_element(from, to));
  }
  return out;
}

struct Frame {
  double top;  // the highest value
  size_t columns;

  double X(size_t column) const {
    return kLeft +
           static_cast<double>(column) / static_cast<double>(columns) * (kWidth - kLeft - kRight);
  }
  double Y(double value) const {
    return kHeight - kBottom - value / top * (kHeight - kTop - kBottom);
  }
};

// A number of 1, 2 or 5 times a power of ten, of which some five make up `span`.
double Step(double span) {
  const double power = std::pow(10, std::floor(std::log10(span / 5)));
  for (const double factor : {1.0, 2.0, 5.0}) {
    if (span / (factor * power) <= 6) return factor * power;
  }
  return 10 * power;
}

// Steps: what held in a column, until the next one.
std::string Points(const Frame& frame, const std::vector<double>& columns) {
  std::string out;
  for (size_t i = 0; i < columns.size(); ++i) {
    const bool is_first = i == 0 || columns[i] != columns[i - 1];
    if (!is_first) continue;
    if (i > 0) out += Format("%.0f,%.1f ", frame.X(i), frame.Y(columns[i - 1]));
    out += Format("%.0f,%.1f ", frame.X(i), frame.Y(columns[i]));
  }
  return out + Format("%.0f,%.1f", frame.X(columns.size()), frame.Y(columns.back()));
}

std::string Grid(const Frame& frame, size_t ticks) {
  std::string out;
  for (double value = 0; value <= frame.top; value += Step(frame.top)) {
    out += Format("<path d=\"M%.0f %.1fH%.0f\" stroke=\"#ddd\"/>\n", kLeft, frame.Y(value),
                  kWidth - kRight);
    out += Label(kLeft - 6, frame.Y(value) + 4, "end", Format("%g", value));
  }
  const double hours = static_cast<double>(ticks) * absl::ToDoubleHours(kTick);
  const bool in_minutes = hours <= 3;
  const double span = in_minutes ? hours * 60 : hours;
  for (double at = 0; at <= span; at += Step(span)) {
    const double x = kLeft + at / span * (kWidth - kLeft - kRight);
    out += Label(x, kHeight - kBottom + 18, "middle", Format(in_minutes ? "%g min" : "%g h", at));
  }
  return out;
}

}  // namespace

std::string Chart(const std::string& title, const Line& area, const std::vector<Line>& lines) {
  double top = 0;
  for (const double value : area.values) top = std::max(top, value);
  for (const Line& line : lines) {
    for (const double value : line.values) top = std::max(top, value);
  }
  const std::vector<double> behind = Columns(area.values);
  const Frame frame{.top = std::max(1.0, top * 1.05), .columns = behind.size()};
  std::string out = Format(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%.0f\" height=\"%.0f\" "
      "font-family=\"sans-serif\" font-size=\"12\">\n<rect width=\"100%%\" height=\"100%%\" "
      "fill=\"#fff\"/>\n",
      kWidth, kHeight);
  out += Label(kLeft, 18, "start", title) + Grid(frame, area.values.size());
  out += "<polygon fill=\"" + area.color + "\" points=\"" +
         Format("%.0f,%.1f ", frame.X(0), frame.Y(0)) + Points(frame, behind) +
         Format(" %.0f,%.1f", frame.X(behind.size()), frame.Y(0)) + "\"/>\n";
  out += Label(kLeft, 36, "start", area.name, "#777");
  double x = kLeft + 270;
  for (const Line& line : lines) {
    out += "<polyline fill=\"none\" stroke-width=\"1.5\" stroke=\"" + line.color + "\" points=\"" +
           Points(frame, Columns(line.values)) + "\"/>\n";
    out += Label(x, 36, "start", line.name, line.color);
    x += 90;
  }
  return out + "</svg>\n";
}

}  // namespace remuda::scaling_sim
