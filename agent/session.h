// The agent's session with the controller: one bidirectional stream, dialled again whenever it
// ends: at the next controller at once, and after a whole round of them with a wait.
//
// Owns the stream and the waits between tries. Does not own what is said on it (see agent.h), nor
// which controllers there are.
// Public functions and handlers: the event loop's thread; gRPC's own threads only post to it.
#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <string>

#include "agent/event_loop.h"
#include "common/identity/controller_addresses.h"
#include "common/identity/controller_channel.h"
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
  // One that ends sooner is as a try that failed: who throws it out at once would do so again.
  static constexpr std::chrono::milliseconds kSettled{1000};

  // The others outlive it.
  Session(EventLoop& loop, identity::ControllerAddresses& controllers,
          identity::ControllerChannel& channel, uint64_t seed, Handlers handlers);
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

 private:
  void Dial();
  void OnMessage(uint64_t number, const v1::ConnectResponse& message);
  void OnDone(uint64_t number, const std::string& reason);
  void LogEnd(const std::string& reason);

  EventLoop& loop_;
  identity::ControllerAddresses& controllers_;
  identity::ControllerChannel& channel_;
  const uint64_t seed_;
  const Handlers handlers_;
  OpenCalls calls_;
  std::shared_ptr<SessionStream> stream_;
  std::shared_ptr<bool> alive_ =
      std::make_shared<bool>(true);  // false once destroyed; for tasks still posted
  uint64_t number_ = 0;              // of the try; messages of an earlier one are ignored
  bool up_ = false;
  bool stopped_ = false;
  EventLoop::TimePoint up_since_;
  int failures_ = 0;  // rounds without a Welcome, in a row
  EventLoop::TimerId timer_ = 0;
  std::string refusal_;  // why this agent ends the session itself; empty: it does not
  // Why there is no session, as was logged of each controller since the last one was up.
  std::map<std::string, std::string> last_errors_;
};

}  // namespace remuda::agent
