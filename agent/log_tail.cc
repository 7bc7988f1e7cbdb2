#include "agent/log_tail.h"

#include <string_view>
#include <vector>

#include "agent/log_files.h"
#include "common/utf8.h"

namespace remuda::agent {
namespace {

// A terminal acts on control characters; what an app printed is only to be read.
std::string Shown(std::string_view line) {
  static constexpr char kHex[] = "0123456789abcdef";
  std::string out;
  for (const char c : ValidUtf8(line)) {
    const auto byte = static_cast<unsigned char>(c);
    if ((byte < 0x20 && c != '\t') || byte == 0x7F) {
      if (c != '\r') out += {'\\', 'x', kHex[byte >> 4], kHex[byte & 15]};
    } else {
      out += c;
    }
  }
  return out;
}

constexpr uint64_t kLogTailReadLines = 60;
constexpr size_t kLogTailReadBytes = 8 << 10;
constexpr char kLeftOut[] = "    ...";

bool IsIndented(const std::string& line) { return line[0] == ' ' || line[0] == '\t'; }

// Of lines that go on under another (a stack's frames under its error) the first alone, in front of
// a mark for the rest. So the lines that say what went wrong stay within the bounds.
std::vector<std::string> WithoutFrames(const std::vector<std::string>& lines) {
  std::vector<std::string> out;
  size_t indented = 0;  // in a row
  for (const std::string& line : lines) {
    indented = IsIndented(line) ? indented + 1 : 0;
    if (indented <= 1) out.push_back(line);
    if (indented == 2) out.emplace_back(kLeftOut);
  }
  return out;
}

bool IsWithinBounds(const std::vector<std::string>& lines) {
  size_t bytes = 0;
  for (const std::string& line : lines) bytes += line.size() + 1;
  return lines.size() <= kLogTailLines && bytes <= kLogTailBytes;
}

// The end of a line that is longer than `room`, from the beginning of a character on.
std::string EndOf(const std::string& line, size_t room) {
  size_t at = line.size() - room;
  while (at < line.size() && (static_cast<unsigned char>(line[at]) & 0xC0) == 0x80) ++at;
  return line.substr(at);
}

// From the beginning of a line on, unless a line alone is longer than what is read.
std::string ReadEnd(const LogReader& reader) {
  uint64_t offset = reader.TailOffset(kLogTailReadLines, kLogTailReadBytes);
  const bool has_more_above = offset > 0;
  size_t left = kLogTailReadBytes;
  if (has_more_above) {
    // The byte before is read too: where it ends a line, only itself is dropped below.
    --offset;
    ++left;
  }
  std::string bytes;
  while (left > 0) {
    const LogReader::Chunk chunk = reader.Read(offset, left);
    if (chunk.bytes.empty()) break;
    bytes += chunk.bytes;
    offset = chunk.offset + chunk.bytes.size();
    left -= chunk.bytes.size();
  }
  const size_t newline = bytes.find('\n');
  if (has_more_above && newline != std::string::npos &&
      bytes.find_first_not_of(" \t\r\n", newline) != std::string::npos) {
    bytes.erase(0, newline + 1);
  }
  return bytes;
}

// As many of the last lines as there is room for.
std::string Told(const std::vector<std::string>& all) {
  const std::vector<std::string> lines = IsWithinBounds(all) ? all : WithoutFrames(all);
  std::string tail;
  uint64_t told = 0;
  for (auto it = lines.rbegin(); it != lines.rend() && told < kLogTailLines; ++it, ++told) {
    std::string line = *it;
    if (tail.size() + line.size() + 1 > kLogTailBytes) {
      if (!tail.empty()) break;
      line = EndOf(line, kLogTailBytes - 1);
    }
    tail = line + "\n" + tail;
  }
  return tail;
}

}  // namespace

std::string LogTail(const std::string& log_directory, std::string_view after) {
  const std::string bytes = ReadEnd(LogReader(log_directory));
  std::vector<std::string> lines;
  for (std::string_view left = bytes; !left.empty();) {
    const size_t newline = left.find('\n');
    std::string line = Shown(left.substr(0, newline));
    left.remove_prefix(newline == std::string_view::npos ? left.size() : newline + 1);
    if (!after.empty() && line == after) {
      lines.clear();
    } else if (line.find_first_not_of(" \t") != std::string::npos) {
      lines.push_back(std::move(line));
    }
  }
  return Told(lines);
}

}  // namespace remuda::agent
