#include "tests/bench/control/plot.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>

namespace remuda::bench {
namespace {

constexpr double kWidth = 640;
constexpr double kHeight = 400;
constexpr double kLeft = 70;
constexpr double kRight = 20;
constexpr double kTop = 40;
constexpr double kBottom = 50;
constexpr std::array<const char*, 4> kColors = {"#1b6ca8", "#c0392b", "#2e8b57", "#8e44ad"};

// Whole decades of a logarithmic axis.
struct Axis {
  double low = 0;
  double high = 0;
  double from;
  double to;

  double At(double value) const {
    return from + (std::log10(value) - low) / (high - low) * (to - from);
  }
};

Axis AxisOf(const std::vector<double>& values, double from, double to) {
  const auto [least, most] = std::minmax_element(values.begin(), values.end());
  Axis axis{.from = from, .to = to};
  axis.low = std::floor(std::log10(*least));
  axis.high = std::max(std::ceil(std::log10(*most)), axis.low + 1);
  return axis;
}

template <class... Values>
std::string Format(const char* format, Values... values) {
  char text[512];
  std::snprintf(text, sizeof text, format, values...);
  return text;
}

std::string Label(double x, double y, const char* anchor, const std::string& text,
                  const char* color = "#333") {
  return Format("<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"%s\" fill=\"%s\">%s</text>\n", x, y,
                anchor, color, text.c_str());
}

std::string Line(double x1, double y1, double x2, double y2) {
  return Format("<line x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\" stroke=\"#ddd\"/>\n", x1, y1,
                x2, y2);
}

std::string Grid(const Axis& x, const Axis& y) {
  std::string out;
  for (double decade = x.low; decade <= x.high; ++decade) {
    const double at = x.At(std::pow(10, decade));
    out += Line(at, y.from, at, y.to);
    out += Label(at, y.from + 18, "middle", Format("%g", std::pow(10, decade)));
  }
  for (double decade = y.low; decade <= y.high; ++decade) {
    const double at = y.At(std::pow(10, decade));
    out += Line(x.from, at, x.to, at);
    out += Label(x.from - 8, at + 4, "end", Format("%g", std::pow(10, decade)));
  }
  return out + Label((x.from + x.to) / 2, kHeight - 12, "middle", "instances");
}

}  // namespace

std::string Plot(const std::vector<Row>& rows, const std::vector<std::string>& keys,
                 const std::string& title) {
  struct Point {
    size_t key;
    double instances;
    double value;
  };
  std::vector<Point> points;
  std::vector<double> xs;
  std::vector<double> ys;
  for (const Row& row : rows) {
    const bool is_alike =
        row.size.agents == rows[0].size.agents && row.size.proxies == rows[0].size.proxies;
    for (size_t i = 0; is_alike && i < keys.size(); ++i) {
      const std::optional<double> value = row.Find(keys[i]);
      if (!value.has_value() || *value <= 0) continue;
      points.push_back({i, static_cast<double>(row.size.instances), *value});
      xs.push_back(points.back().instances);
      ys.push_back(*value);
    }
  }
  if (xs.empty() ||
      *std::min_element(xs.begin(), xs.end()) == *std::max_element(xs.begin(), xs.end()))
    return "";
  std::sort(points.begin(), points.end(), [](const Point& a, const Point& b) {
    return std::pair(a.key, a.instances) < std::pair(b.key, b.instances);
  });
  const Axis x = AxisOf(xs, kLeft, kWidth - kRight);
  const Axis y = AxisOf(ys, kHeight - kBottom, kTop);
  std::string out = Format(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%.0f\" height=\"%.0f\" "
      "font-family=\"sans-serif\" font-size=\"12\">\n<rect width=\"100%%\" height=\"100%%\" "
      "fill=\"#fff\"/>\n",
      kWidth, kHeight);
  out += Grid(x, y) + Label(kLeft, 22, "start", title);
  for (size_t i = 0; i < keys.size(); ++i) {
    const char* const color = kColors[i % kColors.size()];
    std::string line;
    for (const Point& point : points) {
      if (point.key != i) continue;
      line += Format("%.1f,%.1f ", x.At(point.instances), y.At(point.value));
      out += Format("<circle cx=\"%.1f\" cy=\"%.1f\" r=\"3.5\" fill=\"%s\"/>\n",
                    x.At(point.instances), y.At(point.value), color);
    }
    out += "<polyline fill=\"none\" stroke-width=\"2\" stroke=\"" + std::string(color) +
           "\" points=\"" + line + "\"/>\n";
    out += Label(kLeft + 12, kTop + 18 + 16 * static_cast<double>(i), "start", keys[i], color);
  }
  return out + "</svg>\n";
}

}  // namespace remuda::bench
