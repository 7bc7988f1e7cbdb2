// An instance's log: one endless stream of bytes, of which the newest part is kept in a few files.
// Each file is named by the offset of its first byte ("00000000000004194304.log"), so a reader's
// position stays true while files are added at the end and removed at the front.
//
// LogWriter is the shim's (plain C++, no other library); LogReader is the agent's. One thread each.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "agent/process.h"

namespace remuda::agent {

struct LogBounds {
  uint64_t segment_bytes = 4 << 20;  // of one file
  uint32_t segments = 5;             // files kept: at most segments * segment_bytes on disk
};

class LogWriter {
 public:
  // Goes on after what `directory` already holds; makes the directory if it is not there.
  LogWriter(std::string directory, LogBounds bounds);

  // Never fails and never blocks on more than the disk: what cannot be written (disk full) is
  // dropped and counted, and the log says so once it can be written again.
  void Append(std::string_view bytes);

  uint64_t end_offset() const { return start_ + size_; }
  uint64_t dropped_bytes() const { return dropped_bytes_; }

 private:
  bool OpenSegment(uint64_t start);
  void Write(std::string_view bytes);

  const std::string directory_;
  const LogBounds bounds_;
  Fd file_;
  uint64_t start_ = 0;  // of the open file
  uint64_t size_ = 0;
  uint64_t dropped_bytes_ = 0;  // since the last notice
};

class LogReader {
 public:
  explicit LogReader(std::string directory) : directory_(std::move(directory)) {}

  struct Range {
    uint64_t begin = 0;  // the oldest byte kept
    uint64_t end = 0;    // one past the newest
  };
  Range Available() const;

  struct Chunk {
    uint64_t offset = 0;  // of the first byte; larger than asked if the asked ones are gone
    std::string bytes;    // empty: nothing there yet
  };
  // At most `max_bytes` from `offset` on.
  Chunk Read(uint64_t offset, size_t max_bytes) const;

  // Where the last `lines` lines begin, looking back at most `max_bytes`.
  uint64_t TailOffset(uint64_t lines, uint64_t max_bytes) const;

 private:
  // nullopt: the file was removed meanwhile.
  std::optional<Chunk> TryRead(uint64_t offset, size_t max_bytes) const;

  const std::string directory_;
};

}  // namespace remuda::agent
