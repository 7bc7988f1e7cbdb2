// Relay: stands between a client and a server on loopback, and keeps, loses or cuts what passes.
// Any thread.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

namespace remuda {

class Relay {
 public:
  enum class Way { kToServer, kToClient };

  explicit Relay(int server_port);
  Relay(const Relay&) = delete;
  Relay& operator=(const Relay&) = delete;
  ~Relay();

  std::string endpoint() const { return "127.0.0.1:" + std::to_string(port_); }
  // What goes that way is kept back until Release, or for good if the connection ends.
  void Hold(Way way);
  void Release();
  // Every connection is cut when so many more bytes have gone that way.
  void CutAfter(Way way, int64_t bytes);
  // From now on so many bytes a second go that way on each connection, at most.
  void Slow(Way way, int64_t bytes_per_second);
  // Bytes that are kept back.
  int64_t held() const { return held_; }

 private:
  struct Link {
    int client = -1;
    int server = -1;
    std::thread up;
    std::thread down;
  };
  void Accept();
  void Move(Link& link, Way way);
  // Waits while the way is held; false: the relay ends.
  bool Pass(Way way, int64_t bytes);
  void Cut();

  const int server_port_;
  int listener_ = -1;
  int port_ = 0;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool is_ending_ = false;                    // guarded by mutex_
  bool is_held_[2] = {false, false};          // guarded by mutex_
  int64_t left_[2] = {INT64_MAX, INT64_MAX};  // before a cut; guarded by mutex_
  int64_t bytes_per_second_[2] = {0, 0};      // 0: as they come; guarded by mutex_
  std::list<Link> links_;                     // guarded by mutex_
  std::atomic<int64_t> held_ = 0;
  std::thread acceptor_;
};

}  // namespace remuda
