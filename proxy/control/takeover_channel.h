// The connection between two processes of one proxy while the newer takes over from the older
// (takeover.proto): packets with descriptors over a Unix socket in the data directory. Everything
// is bounded; what is too large for a packet goes through memory that is passed as a descriptor.
//
// Owns: the socket, and the descriptors that came until they are taken. Thread: one, its owner's.
#pragma once

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "proxy/core/steady_time.h"
#include "proxy/io/descriptor.h"
#include "proxy/io/event_loop.h"
#include "remuda/proxy/v1/takeover.pb.h"

namespace remuda::proxy {

// Versions of the messages that this program speaks.
inline constexpr int kTakeoverVersion = 1;
inline constexpr int kLeastTakeoverVersion = 1;

class TakeoverChannel final : public IoHandler,
                              public std::enable_shared_from_this<TakeoverChannel> {
 public:
  // A packet; more goes through memory.
  static constexpr size_t kMaxPacketBytes = size_t{32} * 1024;
  // A whole config with thousands of targets, and what is known of them.
  static constexpr size_t kMaxMessageBytes = size_t{256} * 1024 * 1024;
  // That come with one packet: a socket for each worker.
  static constexpr size_t kMaxDescriptors = 64;
  // Messages that wait for the other one to read. One more ends the connection.
  static constexpr size_t kMaxQueued = 4096;

  struct Received {
    v1::TakeoverMessage message;
    std::vector<Descriptor> descriptors;
  };
  struct Events {
    std::function<void(Received)> on_message;
    // Once: the other process has closed it or ended, or what it sent is no message.
    std::function<void(const std::string& why)> on_closed;
  };

  explicit TakeoverChannel(Descriptor socket) : socket_(std::move(socket)) {}
  TakeoverChannel(const TakeoverChannel&) = delete;
  TakeoverChannel& operator=(const TakeoverChannel&) = delete;
  ~TakeoverChannel();

  // Connects to the socket of `directory`. NOT_FOUND: nobody listens there.
  static absl::StatusOr<std::shared_ptr<TakeoverChannel>> Connect(const std::string& directory,
                                                                  std::chrono::milliseconds limit);

  // Whether the process at the other end is of the same user, or of root. PERMISSION_DENIED names
  // both.
  absl::Status CheckPeer() const;
  pid_t peer() const;

  // Sends, now or as soon as there is room. `descriptors` stay the caller's; at most
  // kMaxDescriptors. False: the connection is over.
  bool Send(const v1::TakeoverMessage& message, const std::vector<int>& descriptors = {});
  // Before Watch: waits for a message. UNAVAILABLE: the connection is over; DEADLINE_EXCEEDED.
  absl::StatusOr<Received> Await(SteadyTime deadline);

  // From now on events tell. The loop's thread.
  bool Watch(EventLoop& loop, Events events);
  // No event comes any more. May be called from one.
  void Close();

  void OnIo(uint32_t events) override;

 private:
  struct Queued {
    std::string packet;
    std::vector<int> descriptors;
    Descriptor memory;              // of a large message
    std::vector<Descriptor> owned;  // copies of the caller's, of one that waits
  };
  enum class Read { kMessage, kNothing, kEnd };
  Read ReadOne(Received& out, std::string& why);
  bool Flush();
  void Fail(const std::string& why);
  void Shut();

  Descriptor socket_;
  std::deque<Queued> queue_;
  EventLoop* loop_ = nullptr;
  Events events_;
  bool is_deaf_ = false;  // its owner has closed it
};

// The listening socket of `directory`, in place of what was there. -errno if it cannot be.
int OpenTakeoverSocket(const std::string& directory);

}  // namespace remuda::proxy
