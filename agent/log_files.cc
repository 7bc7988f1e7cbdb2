#include "agent/log_files.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace remuda::agent {
namespace {

constexpr size_t kOffsetDigits = 20;
// As often as a read may be overtaken by a writer.
constexpr int kRotations = 10;

std::string SegmentPath(const std::string& directory, uint64_t start) {
  char name[40];
  std::snprintf(name, sizeof name, "/%020llu.log", static_cast<unsigned long long>(start));
  return directory + name;
}

// The start offsets of the files there, ascending.
std::vector<uint64_t> Segments(const std::string& directory) {
  std::vector<uint64_t> starts;
  DIR* dir = opendir(directory.c_str());
  if (dir == nullptr) return starts;
  while (const dirent* entry = readdir(dir)) {
    const std::string_view name = entry->d_name;
    if (name.size() != kOffsetDigits + 4 || name.substr(kOffsetDigits) != ".log") continue;
    starts.push_back(std::strtoull(entry->d_name, nullptr, 10));
  }
  closedir(dir);
  std::sort(starts.begin(), starts.end());
  return starts;
}

uint64_t SizeOf(const std::string& path) {
  struct stat st {};
  return stat(path.c_str(), &st) == 0 ? static_cast<uint64_t>(st.st_size) : 0;
}

}  // namespace

LogWriter::LogWriter(std::string directory, LogBounds bounds)
    : directory_(std::move(directory)), bounds_(bounds) {
  mkdir(directory_.c_str(), 0750);
  const auto starts = Segments(directory_);
  OpenSegment(starts.empty() ? 0 : starts.back());
}

bool LogWriter::OpenSegment(uint64_t start) {
  const std::string path = SegmentPath(directory_, start);
  Fd file(open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644));
  if (!file.valid()) return false;
  file_ = std::move(file);
  start_ = start;
  size_ = SizeOf(path);
  auto starts = Segments(directory_);
  for (size_t i = 0; i + bounds_.segments < starts.size(); ++i) {
    unlink(SegmentPath(directory_, starts[i]).c_str());
  }
  return true;
}

void LogWriter::Append(std::string_view bytes) {
  if (dropped_bytes_ > 0) {
    const uint64_t lost = std::exchange(dropped_bytes_, 0);
    char notice[96];
    const int n =
        std::snprintf(notice, sizeof notice, "remuda: %llu bytes of log could not be written\n",
                      static_cast<unsigned long long>(lost));
    Write(std::string_view(notice, static_cast<size_t>(n)));
    if (dropped_bytes_ > 0)
      dropped_bytes_ = lost;  // still failing: the notice itself is not counted
  }
  Write(bytes);
}

void LogWriter::Write(std::string_view bytes) {
  while (!bytes.empty()) {
    // A failed open is tried again with the next bytes; until then the old file takes them.
    if (!file_.valid() || size_ >= bounds_.segment_bytes) OpenSegment(end_offset());
    const size_t room = size_ < bounds_.segment_bytes ? bounds_.segment_bytes - size_ : 0;
    if (!file_.valid() || room == 0) {
      dropped_bytes_ += bytes.size();
      return;
    }
    const ssize_t n = write(file_.get(), bytes.data(), std::min<size_t>(room, bytes.size()));
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) {
      dropped_bytes_ += bytes.size();
      return;
    }
    size_ += static_cast<uint64_t>(n);
    bytes.remove_prefix(static_cast<size_t>(n));
  }
}

LogReader::Range LogReader::Available() const {
  const auto starts = Segments(directory_);
  if (starts.empty()) return {};
  return {starts.front(), starts.back() + SizeOf(SegmentPath(directory_, starts.back()))};
}

LogReader::Chunk LogReader::Read(uint64_t offset, size_t max_bytes) const {
  // One that was rotated away between the look and the read is not the log's end.
  for (int tries = 0; tries < kRotations; ++tries) {
    if (auto chunk = TryRead(offset, max_bytes)) return *std::move(chunk);
  }
  return {offset, {}};
}

std::optional<LogReader::Chunk> LogReader::TryRead(uint64_t offset, size_t max_bytes) const {
  const auto starts = Segments(directory_);
  if (starts.empty()) return Chunk{offset, {}};
  offset = std::max(offset, starts.front());
  // The last file that begins at or before the offset; at its very end, the next one.
  auto it = std::prev(std::upper_bound(starts.begin(), starts.end(), offset));
  while (offset - *it >= SizeOf(SegmentPath(directory_, *it)) && std::next(it) != starts.end()) {
    ++it;
    offset = std::max(offset, *it);
  }
  const Fd file(open(SegmentPath(directory_, *it).c_str(), O_RDONLY | O_CLOEXEC));
  if (!file.valid() && errno == ENOENT) return std::nullopt;
  Chunk chunk{offset, std::string(max_bytes, '\0')};
  const ssize_t n = file.valid() ? pread(file.get(), chunk.bytes.data(), max_bytes,
                                         static_cast<off_t>(offset - *it))
                                 : 0;
  chunk.bytes.resize(n > 0 ? static_cast<size_t>(n) : 0);
  return chunk;
}

uint64_t LogReader::TailOffset(uint64_t lines, uint64_t max_bytes) const {
  constexpr size_t kStepBytes = size_t{64} * 1024;
  const Range range = Available();
  if (lines == 0) return range.end;
  const uint64_t floor = range.end - std::min(max_bytes, range.end - range.begin);
  uint64_t seen = 0;
  for (uint64_t end = range.end; end > floor;) {
    const uint64_t begin = end - std::min<uint64_t>(kStepBytes, end - floor);
    std::string block;
    while (begin + block.size() < end) {
      const Chunk chunk =
          Read(begin + block.size(), static_cast<size_t>(end - begin - block.size()));
      if (chunk.bytes.empty() || chunk.offset != begin + block.size())
        return end;  // rotated away meanwhile
      block += chunk.bytes;
    }
    for (size_t i = block.size(); i-- > 0;) {
      // The newline that ends the last line is not one before it.
      if (block[i] == '\n' && begin + i + 1 < range.end && ++seen == lines) return begin + i + 1;
    }
    end = begin;
  }
  return floor;
}

}  // namespace remuda::agent
