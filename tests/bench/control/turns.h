// Turns: what a controller's page of metrics tells of the rounds of its loop.
#pragma once

#include <cstdint>
#include <map>
#include <string>

namespace remuda::bench {

// Of a series without labels; throws std::runtime_error if it is not on the page.
double MetricOf(const std::string& page, const std::string& name);

struct Turns {
  static Turns Of(const std::string& page);

  int64_t count = 0;
  double sum_seconds = 0;
  double longest_seconds = 0;       // since the start
  std::map<double, int64_t> up_to;  // by bound: as many were no longer
};

// No turn between the two was longer. Exact if that was the longest since the start; else the bound
// of its bucket.
double LongestBetween(const Turns& before, const Turns& after);

}  // namespace remuda::bench
