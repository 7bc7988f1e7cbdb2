// Durations and points in time as people write them, to protobuf's messages and back. Thread: pure
// functions.
#pragma once

#include <google/protobuf/duration.pb.h>
#include <google/protobuf/timestamp.pb.h>

#include <optional>
#include <string>
#include <string_view>

namespace remuda {

// `1s`, `500ms`, `1m30s`, `1.5s`, `2h`; units h, m, s, ms, us, ns; at most ±10,000 years. A leading
// `-` is taken. Returns what is wrong with `text`, or nothing and sets *out.
std::optional<std::string> ParseDuration(std::string_view text, google::protobuf::Duration* out);

// Whole seconds as `90s`, below one second as `500ms`, else `1.5s`. The same value gives the same
// text, and ParseDuration takes it back.
std::string FormatDuration(const google::protobuf::Duration& duration);

// RFC 3339: `2026-11-22T14:00:00Z`, with an optional fraction and an offset. As ParseDuration.
std::optional<std::string> ParseTimestamp(std::string_view text, google::protobuf::Timestamp* out);

// RFC 3339 in UTC with 0, 3, 6 or 9 digits of fraction.
std::string FormatTimestamp(const google::protobuf::Timestamp& timestamp);

}  // namespace remuda
