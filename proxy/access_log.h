// The access log: AWS's fields in AWS's order. Workers format a line into a bounded queue; one
// thread writes. What does not fit is counted, never waited for.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <string>
#include <thread>

namespace remuda::proxy {

class Session;
struct Exchange;
struct PeerAddress;

// What a line is made of beside the exchange.
struct AccessContext {
  std::string_view load_balancer;
  const PeerAddress& peer;
  uint16_t listener_port;
};

class AccessLog {
 public:
  static constexpr size_t kMaxQueuedBytes = 4 * 1024 * 1024;

  // Appends to `path`; "-" is stdout. Throws std::system_error if it cannot be opened.
  explicit AccessLog(const std::string& path);
  ~AccessLog();

  // Any thread. Takes a short lock, no I/O.
  void Write(const Exchange& exchange, const AccessContext& context);
  uint64_t lost_lines() const { return lost_.load(std::memory_order_relaxed); }

 private:
  void Run();

  int fd_ = -1;
  std::atomic<uint64_t> lost_{0};
  std::mutex mutex_;
  std::condition_variable wake_;
  std::string queue_;        // guarded by mutex_
  bool is_stopped_ = false;  // guarded by mutex_
  std::thread thread_;
};

// One line, with its LF; every byte that a client chose is escaped.
void AppendAccessLine(const Exchange& exchange, const AccessContext& context, std::string& out);

}  // namespace remuda::proxy
