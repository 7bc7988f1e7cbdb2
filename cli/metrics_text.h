// Metrics of a group as people read them: values with their units, a sparkline a series, a row an
// instance; what is missing is a gap. Pure.
#pragma once

#include <google/protobuf/repeated_field.h>

#include <string>
#include <vector>

#include "cli/table_layout.h"
#include "remuda/v1/metrics.pb.h"

namespace remuda::cli {

struct MetricsStyle {
  bool has_blocks = false;  // sparklines; else the newest values as numbers
  size_t width = 100;       // of a line at most, in columns
};

// `12.5%`, `340/s`, `1.2 MiB/s`, `3`; `-` of NaN.
std::string ValueText(double value, const std::string& unit);

// A block of an eighth to eight eighths for each of the newest `room` values, the largest of them
// being eight; a space where one is missing.
std::string Sparkline(const google::protobuf::RepeatedField<double>& values, size_t room);

Table SeriesTable(const v1::GroupMetrics& metrics, const MetricsStyle& style);
Table InstanceMetricsTable(const v1::GroupMetrics& metrics);

// "asg/blue: 60 values, one each 5s, the last at 14:03:07".
std::string MetricsTitle(const v1::GroupMetrics& metrics);
// From whom nothing comes; empty: all is well.
std::string SilentText(const v1::GroupMetrics& metrics);
// Of a watch, the newest value of each series that is not missing: "cpu 12.5%  requests 340/s".
std::string NewestLine(const v1::GroupMetrics& metrics);

// What a watch knows after a message with newer values: the newest `most` of each series, the
// newest last.
void AppendMetrics(const v1::GroupMetrics& newer, int most, v1::GroupMetrics& known);

}  // namespace remuda::cli
