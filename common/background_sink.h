// BackgroundSink: lines of a program's log that a thread of its own writes to a descriptor, so that
// whoever logs never waits for whoever reads. What does not fit waits in memory up to a bound; the
// lines beyond are lost and counted, and the log says how many.
//
// Owns: the queue and the thread. Does not own: the descriptor. Threads: any may log.
#pragma once

#include <spdlog/sinks/base_sink.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <string>
#include <thread>

namespace remuda {

class BackgroundSink final : public spdlog::sinks::base_sink<std::mutex> {
 public:
  static constexpr size_t kMaxWaitingBytes = 1024 * 1024;
  // How long flush() and the end wait for a reader that does not read.
  static constexpr std::chrono::milliseconds kMaxFlush{500};

  // `colors`: levels are coloured where the pattern says so, for a terminal.
  BackgroundSink(std::string program, int fd, bool colors);
  ~BackgroundSink() override;

  // Lines that did not fit, or could not be written.
  uint64_t lost_lines() const { return lost_.load(std::memory_order_relaxed); }

 protected:
  void sink_it_(const spdlog::details::log_msg& message) override;
  // Until all is written, or kMaxFlush is over.
  void flush_() override;

 private:
  void Run();
  // False: it cannot be written any more, or the end has come and nobody reads.
  bool Write(const std::string& lines);
  void SayWhatIsLost();

  const std::string program_;
  const int fd_;
  const bool colors_;
  std::mutex queue_mutex_;
  std::condition_variable wake_;
  std::condition_variable written_;
  std::string waiting_;      // guarded by queue_mutex_; whole lines
  bool is_writing_ = false;  // guarded by queue_mutex_
  std::atomic<bool> is_ending_{false};
  std::chrono::steady_clock::time_point ends_at_;  // set before is_ending_
  std::atomic<uint64_t> lost_{0};
  uint64_t told_lost_ = 0;  // the thread's
  std::thread thread_;
};

}  // namespace remuda
