// The access log. A worker makes its lines into a ring of its own, without a lock; one thread
// writes what the rings hold to the file. What does not fit, or cannot be written, is counted and
// never waited for.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "proxy/core/access_line.h"
#include "proxy/core/target_state.h"
#include "proxy/telemetry/log_ring.h"

namespace remuda::proxy {

class AccessLog {
 public:
  // What waits to be written, for each worker: some 2,000 lines.
  static constexpr size_t kLaneBytes = size_t{1} << 20;
  // Between two writes of a busy log, so that one system call writes many lines.
  static constexpr int kBatchMs = 10;
  // At its end, for a pipe whose reader does not read: then the rest is lost.
  static constexpr std::chrono::seconds kLastWords{5};

  // Appends to `path`; "-" is stdout. Throws std::system_error if it cannot be opened.
  AccessLog(const std::string& path, AccessLogFormat format, size_t workers);
  AccessLog(const AccessLog&) = delete;
  AccessLog& operator=(const AccessLog&) = delete;
  ~AccessLog();  // writes what waits

  // On the thread of that worker. No lock, no I/O; in the steady state no allocation and no system
  // call.
  void Write(size_t worker, const AccessEntry& entry);
  // Any thread: the file is opened anew by its name (logrotate). Where that fails, the old one
  // stays in use.
  void Reopen();
  // Lines that were not written, since the start. Any thread.
  uint64_t lost_lines() const;

 private:
  struct Lane {
    explicit Lane(AccessLogFormat format) : ring(kLaneBytes), line(format) {}
    LogRing ring;
    AccessLineWriter line;
    OwnedCounter<uint64_t> lost;
    std::atomic<bool> is_nudged{false};  // the reader was told that the ring is half full
  };

  void Run();
  bool WriteAll();
  enum class Room { kThere, kLater, kNever };
  Room AwaitRoom();
  bool WriteLane(Lane& lane);
  void LoseLines(Lane& lane, int error);
  void LoseRestOfCutLine();
  void OpenAnew();
  void Wake();
  void Wait(int timeout_ms);
  bool HasWork() const;

  const std::string path_;
  int fd_ = -1;
  bool may_be_full_ = false;  // fd_ is no file
  int wake_fd_ = -1;
  std::vector<std::unique_ptr<Lane>> lanes_;
  OwnedCounter<uint64_t> unwritable_;                   // lines, by the log's thread
  bool is_failing_ = false;                             // the last write failed: said once
  std::chrono::steady_clock::time_point give_up_at_{};  // zero: not stopped
  bool is_line_torn_ = false;  // the file ends within a line whose rest is lost
  Lane* cut_lane_ = nullptr;   // the file ends within a line whose rest is the first of this lane
  std::atomic<bool> is_asleep_{false};
  std::atomic<bool> is_reopen_asked_{false};
  std::atomic<bool> is_stopped_{false};
  std::thread thread_;
};

}  // namespace remuda::proxy
