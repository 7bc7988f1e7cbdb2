// Tables that a person reads, and how numbers and times are written in them. Pure.
#pragma once

#include <google/protobuf/timestamp.pb.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace remuda::cli {

struct Table {
  std::vector<std::string> headers;
  std::vector<std::vector<std::string>> rows;  // each as long as headers
};

struct TableStyle {
  bool with_headers = true;
  // Headers in bold, and states by what they mean: green for good, red for bad, yellow for what is
  // on its way or waits.
  bool with_colours = false;
};

// Control characters as `?`: a resource's text must not steer a terminal.
std::string Printable(std::string text);

// Columns that it takes: code points, near enough for names and sentences.
size_t TextWidth(const std::string& text);
// Bytes of the first `columns` of them.
size_t BytesOf(const std::string& text, size_t columns);

// Columns two spaces apart, the last one unpadded; each cell Printable. Without rows only the
// headers.
std::string RenderTable(const Table& table, const TableStyle& style = {});

// `text` in the colour that a cell with it would have.
std::string Coloured(std::string_view header, const std::string& text);

// What a text's colour says of it.
enum class Tone { kPlain, kStrong, kGood, kBad, kWaiting };
std::string InTone(Tone tone, const std::string& text);

// `3s`, `5m`, `2h13m`, `4d`; `-` if `then` is not set. In the future: as now.
std::string FormatAge(const google::protobuf::Timestamp& then,
                      const google::protobuf::Timestamp& now);
// `12.3 MiB`.
std::string FormatBytes(int64_t bytes);
// Wall clock of this machine's zone, `14:03:07`.
std::string FormatClock(const google::protobuf::Timestamp& time);
// The same with its day, `2026-11-22 14:03:07`; `-` if it is not set.
std::string FormatDate(const google::protobuf::Timestamp& time);

google::protobuf::Timestamp SystemNow();

}  // namespace remuda::cli
