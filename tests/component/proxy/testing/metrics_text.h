// Prometheus' text form (version 0.0.4), read strictly.
#pragma once

#include <map>
#include <string>
#include <vector>

namespace remuda::proxy::testing {

struct MetricSeries {
  std::string name;  // as written, with _bucket, _sum, _count
  std::map<std::string, std::string> labels;
  double value = 0;
};

struct MetricFamily {
  std::string type;
  std::string help;
  std::vector<MetricSeries> series;
};

struct MetricsText {
  std::map<std::string, MetricFamily> families;
  std::vector<std::string> problems;  // empty: every rule holds

  // The sum of the series that have at least the labels of `selector` (`name` or
  // `name{label="value",...}`, without the prefix remuda_proxy_); -1 if there is none.
  double Sum(const std::string& selector) const;
};

// Rules: HELP then TYPE once before a family's samples, which lie together; names and labels of the
// right characters; no series twice; counters end with _total, are finite and not negative;
// histograms have rising buckets, a +Inf bucket that is their _count, and a _sum.
MetricsText ParseMetrics(const std::string& text);

}  // namespace remuda::proxy::testing
