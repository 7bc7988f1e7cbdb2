// The agent's session with the controller: one bidirectional stream, dialled again whenever it
// ends.
//
// Owns the stream and the waits between tries. Does not own what is said on it (see agent.h).
// Public functions and handlers: the event loop's thread; gRPC's own threads only post to it.
#pragma once

#include <grpcpp/channel.h>

#include <chrono>
#include <functional>
#include <memory>
#include <string>

#include "agent/event_loop.h"
#include "common/open_calls.h"
#include "remuda/agent/v1/agent.pb.h"

namespace remuda::agent {

class SessionStream;  // one try of the stream; lives on gRPC's threads

class Session {
 public:
  struct Handlers {
    // The first message of each try.
    std::function<v1::Hello()> make_hello;
    // The controller accepted the session. False: it is not the one it must be; the session ends.
    std::function<bool(const v1::Welcome&)> on_welcome;
    // Anything after the Welcome.
    std::function<void(const v1::ConnectResponse&)> on_message;
    // A session that had been accepted has ended.
    std::function<void(const std::string& reason)> on_down;
  };
  // Messages that may wait to be sent. A controller that takes none for so long is dead: the
  // session ends and begins anew.
  static constexpr size_t kMaxQueued = 4096;

  Session(EventLoop& loop, std::shared_ptr<grpc::Channel> channel, uint64_t seed,
          Handlers handlers);
  // Ends the stream and waits until gRPC has let go of it.
  ~Session();

  void Start();
  // Ends it for good.
  void Stop();

  bool is_up() const { return up_; }
  // Queues a message; dropped when there is no session (the next Hello says everything anyway).
  void Send(v1::ConnectRequest message);
  // Messages not yet handed to gRPC.
  size_t queued() const;
  // Why there is no session; empty while there is one.
  const std::string& last_error() const { return last_error_; }

 private:
  void Dial();
  void OnMessage(uint64_t number, const v1::ConnectResponse& message);
  void OnDone(uint64_t number, const std::string& reason);

  EventLoop& loop_;
  const std::shared_ptr<grpc::Channel> channel_;
  const uint64_t seed_;
  const Handlers handlers_;
  OpenCalls calls_;
  std::shared_ptr<SessionStream> stream_;
  std::shared_ptr<bool> alive_ =
      std::make_shared<bool>(true);  // false once destroyed; for tasks still posted
  uint64_t number_ = 0;              // of the try; messages of an earlier one are ignored
  bool up_ = false;
  bool stopped_ = false;
  int failures_ = 0;  // tries without a Welcome, in a row
  EventLoop::TimerId timer_ = 0;
  std::string last_error_ = "not yet connected";
};

}  // namespace remuda::agent
