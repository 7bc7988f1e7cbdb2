// Tables that a person reads: what of each kind of resource is shown, and how it is laid out. Pure.
#pragma once

#include <google/protobuf/timestamp.pb.h>

#include <cstdint>
#include <string>
#include <vector>

#include "cli/resources.h"

namespace remuda::cli {

struct Table {
  std::vector<std::string> headers;
  std::vector<std::vector<std::string>> rows;  // each as long as headers
};

// Columns two spaces apart, the last one unpadded. Control characters are shown as `?`: a
// resource's text must not steer a terminal. Without rows only the headers.
std::string RenderTable(const Table& table, bool with_headers = true);

// One row a resource. Ages are counted to `now`.
Table TableOf(KindId kind, const ResourceList& resources, const google::protobuf::Timestamp& now);

// `3s`, `5m`, `2h13m`, `4d`; `-` if `then` is not set. In the future: as now.
std::string FormatAge(const google::protobuf::Timestamp& then,
                      const google::protobuf::Timestamp& now);
// `12.3 MiB`.
std::string FormatBytes(int64_t bytes);
// Wall clock of this machine's zone, `14:03:07`.
std::string FormatClock(const google::protobuf::Timestamp& time);
google::protobuf::Timestamp SystemNow();

}  // namespace remuda::cli
