#include "tests/component/proxy/testing/metrics_text.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <regex>
#include <set>
#include <sstream>

namespace remuda::proxy::testing {
namespace {

bool EndsWith(const std::string& text, const std::string& end) {
  return text.size() >= end.size() && text.compare(text.size() - end.size(), end.size(), end) == 0;
}

// Takes `{a="b",c="d"}` off `text`; false if it is malformed.
bool TakeLabels(std::string& text, std::map<std::string, std::string>& labels) {
  size_t at = 1;
  while (at < text.size() && text[at] != '}') {
    const size_t equals = text.find("=\"", at);
    if (equals == std::string::npos) return false;
    const std::string name = text.substr(at, equals - at);
    if (!std::regex_match(name, std::regex("[a-zA-Z_][a-zA-Z0-9_]*"))) return false;
    std::string value;
    for (at = equals + 2; at < text.size() && text[at] != '"'; ++at) {
      if (text[at] == '\\') {
        ++at;
        if (at == text.size() || std::string("\\\"n").find(text[at]) == std::string::npos)
          return false;
      }
      value += text[at];
    }
    if (at == text.size() || !labels.emplace(name, value).second) return false;
    ++at;
    if (at < text.size() && text[at] == ',') ++at;
  }
  if (at >= text.size()) return false;
  text = text.substr(at + 1);
  return true;
}

class Reader {
 public:
  MetricsText Run(const std::string& text) {
    if (text.empty() || text.back() != '\n') Problem("does not end with a line end", "");
    std::istringstream in(text);
    for (std::string line; std::getline(in, line);) {
      if (line.rfind("# HELP ", 0) == 0) {
        TakeHelp(line);
      } else if (line.rfind("# TYPE ", 0) == 0) {
        TakeType(line);
      } else {
        TakeSample(line);
      }
    }
    for (const auto& [name, family] : out_.families) CheckFamily(name, family);
    return std::move(out_);
  }

 private:
  void Problem(const std::string& what, const std::string& where) {
    out_.problems.push_back(what + ": " + where);
  }
  void TakeHelp(const std::string& line) {
    std::istringstream in(line.substr(7));
    in >> current_;
    std::string help;
    std::getline(in, help);
    if (help.size() < 2) Problem("empty HELP", line);
    if (!out_.families.emplace(current_, MetricFamily{"", help, {}}).second)
      Problem("HELP twice, or a family in two places", line);
  }
  void TakeType(const std::string& line) {
    std::istringstream in(line.substr(7));
    std::string name;
    std::string type;
    in >> name >> type;
    if (name != current_ || !out_.families[name].type.empty()) Problem("TYPE out of place", line);
    static const std::set<std::string> kTypes = {"counter", "gauge", "histogram", "summary"};
    if (kTypes.count(type) == 0) Problem("unknown type", line);
    out_.families[name].type = type;
  }
  void TakeSample(const std::string& line) {
    MetricSeries series;
    const size_t end = line.find_first_of("{ ");
    if (end == std::string::npos) return Problem("no sample", line);
    series.name = line.substr(0, end);
    std::string rest = line.substr(end);
    if (rest[0] == '{' && !TakeLabels(rest, series.labels)) return Problem("bad labels", line);
    char* number_end = nullptr;
    series.value = std::strtod(rest.c_str(), &number_end);
    if (rest.size() < 2 || rest[0] != ' ' || *number_end != '\0') Problem("bad value", line);
    if (!std::regex_match(series.name, std::regex("[a-zA-Z_:][a-zA-Z0-9_:]*")))
      Problem("bad name", line);
    if (series.name.rfind(current_, 0) != 0 || current_.empty())
      return Problem("a sample outside its family", line);
    if (!seen_.insert({series.name, series.labels}).second) Problem("a series twice", line);
    out_.families[current_].series.push_back(std::move(series));
  }
  void CheckFamily(const std::string& name, const MetricFamily& family) {
    if (family.type == "counter" && !EndsWith(name, "_total")) Problem("a counter's name", name);
    if (family.type == "gauge" && EndsWith(name, "_total")) Problem("a gauge's name", name);
    for (const MetricSeries& series : family.series) {
      const bool is_plain = family.type == "counter" || family.type == "gauge";
      if (is_plain && series.name != name) Problem("a suffix", series.name);
      if (family.type == "counter" && !(std::isfinite(series.value) && series.value >= 0))
        Problem("a counter's value", series.name);
    }
    if (family.type == "histogram") CheckHistogram(name, family);
  }
  void CheckHistogram(const std::string& name, const MetricFamily& family) {
    struct One {
      std::vector<std::pair<double, double>> buckets;
      int sums = 0;
      std::vector<double> counts;
    };
    std::map<std::map<std::string, std::string>, One> each;
    for (const MetricSeries& series : family.series) {
      auto labels = series.labels;
      labels.erase("le");
      One& one = each[labels];
      if (series.name == name + "_bucket") {
        const std::string le = series.labels.count("le") > 0 ? series.labels.at("le") : "";
        const double bound = le == "+Inf" ? HUGE_VAL : std::atof(le.c_str());
        if (!one.buckets.empty() &&
            (bound <= one.buckets.back().first || series.value < one.buckets.back().second))
          Problem("buckets do not rise", name);
        one.buckets.emplace_back(bound, series.value);
      } else if (series.name == name + "_sum") {
        ++one.sums;
      } else if (series.name == name + "_count") {
        one.counts.push_back(series.value);
      } else {
        Problem("a suffix", series.name);
      }
    }
    for (const auto& [labels, one] : each) {
      if (one.buckets.empty() || one.buckets.back().first != HUGE_VAL || one.sums != 1 ||
          one.counts.size() != 1 || one.counts[0] != one.buckets.back().second)
        Problem("a histogram that is not whole", name);
    }
  }

  MetricsText out_;
  std::string current_;
  std::set<std::pair<std::string, std::map<std::string, std::string>>> seen_;
};

}  // namespace

double MetricsText::Sum(const std::string& selector) const {
  const size_t brace = selector.find('{');
  const std::string name = "remuda_proxy_" + selector.substr(0, brace);
  std::map<std::string, std::string> wanted;
  if (brace != std::string::npos) {
    std::string rest = selector.substr(brace);
    if (!TakeLabels(rest, wanted)) return -1;
  }
  double sum = -1;
  for (const auto& [family_name, family] : families) {
    for (const MetricSeries& series : family.series) {
      const bool fits =
          series.name == name &&
          std::includes(series.labels.begin(), series.labels.end(), wanted.begin(), wanted.end());
      if (fits) sum = (sum < 0 ? 0 : sum) + series.value;
    }
  }
  return sum;
}

MetricsText ParseMetrics(const std::string& text) { return Reader().Run(text); }

}  // namespace remuda::proxy::testing
