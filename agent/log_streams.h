// Answers LogRequests: the tail of an instance's log, and what comes after it if asked to follow.
//
// Sends no faster than the session takes it, so that a long log keeps nothing else waiting and is
// never held in memory. Loop thread.
#pragma once

#include <functional>
#include <map>
#include <string>

#include "agent/event_loop.h"
#include "agent/log_files.h"
#include "remuda/agent/v1/agent.pb.h"

namespace remuda::agent {

class LogStreams {
 public:
  static constexpr size_t kMaxStreams = 64;
  static constexpr size_t kChunkBytes = size_t{64} * 1024;
  static constexpr int kMaxTailLines = 100'000;
  static constexpr uint64_t kMaxTailBytes = 16 << 20;

  struct Options {
    // The log directory of an instance; empty: there is no such instance.
    std::function<std::string(const std::string& instance)> directory_of;
    // Whether more can still come.
    std::function<bool(const std::string& instance)> is_alive;
    std::function<void(v1::LogChunk)> send;
    // Whether there is room for another chunk now.
    std::function<bool()> has_room;
  };

  LogStreams(EventLoop& loop, Options options) : loop_(loop), options_(std::move(options)) {}
  ~LogStreams() { loop_.Cancel(timer_); }

  void Open(const v1::LogRequest& request);
  void Cancel(int64_t stream_id);
  // The session is gone, and the streams with it.
  void Clear();

 private:
  // The directory is looked up for each read: that of an instance which is forgotten moves.
  struct Stream {
    std::string instance;
    uint64_t offset = 0;
    bool follow = false;
    uint64_t end = 0;  // without follow: where it ends, though more is printed meanwhile
  };

  void Pump();
  // False: the stream is over.
  bool PumpOne(int64_t id, Stream& stream);

  EventLoop& loop_;
  const Options options_;
  std::map<int64_t, Stream> streams_;
  EventLoop::TimerId timer_ = 0;
};

}  // namespace remuda::agent
