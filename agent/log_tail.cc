#include "agent/log_tail.h"

#include <string_view>

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

// The end of a line that is longer than `room`, from the beginning of a character on.
std::string EndOf(const std::string& line, size_t room) {
  size_t at = line.size() - room;
  while (at < line.size() && (static_cast<unsigned char>(line[at]) & 0xC0) == 0x80) ++at;
  return line.substr(at);
}

}  // namespace

std::string LogTail(const std::string& log_directory) {
  const LogReader reader(log_directory);
  // Blank lines are not told, so a few more are looked at.
  std::string bytes;
  for (uint64_t offset = reader.TailOffset(2 * kLogTailLines, 2 * kLogTailBytes);;) {
    const LogReader::Chunk chunk = reader.Read(offset, 2 * kLogTailBytes);
    if (chunk.bytes.empty() || bytes.size() >= 2 * kLogTailBytes) break;
    bytes += chunk.bytes;
    offset = chunk.offset + chunk.bytes.size();
  }
  std::string tail;
  uint64_t lines = 0;
  std::string_view left = bytes;
  while (!left.empty() && lines < kLogTailLines) {
    if (left.back() == '\n') left.remove_suffix(1);
    const size_t newline = left.rfind('\n');
    const size_t begin = newline == std::string_view::npos ? 0 : newline + 1;
    std::string line = Shown(left.substr(begin));
    left = left.substr(0, begin);
    if (line.empty()) continue;
    if (tail.size() + line.size() + 1 > kLogTailBytes) {
      if (!tail.empty()) break;
      line = EndOf(line, kLogTailBytes - 1);
    }
    tail = line + "\n" + tail;
    ++lines;
  }
  return tail;
}

}  // namespace remuda::agent
