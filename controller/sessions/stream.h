// Stream: one open bidirectional stream with an agent or a proxy, as the sessions see it. Thread:
// the loop thread, all of it.
#pragma once

#include <absl/status/status.h>

#include <memory>
#include <string>
#include <string_view>

#include "controller/identity/caller.h"
#include "controller/views/frame.h"

namespace remuda {

class Stream {
 public:
  virtual ~Stream() = default;
  // Sends a message after those before. No effect after Close.
  virtual void Send(Frame frame) = 0;
  // Messages that have not been taken by the transport yet.
  virtual size_t queued() const = 0;
  // Ends the stream, once; what is queued may be lost. OnClosed is not called.
  virtual void Close(const absl::Status& status) = 0;
  // The other end, for logs.
  virtual std::string peer() const = 0;
  // Who is there. Never null; a local caller where there are no identities.
  virtual CallerPtr caller() const { return std::make_shared<Caller>(); }
};

using StreamPtr = std::shared_ptr<Stream>;

class StreamHandler {
 public:
  virtual ~StreamHandler() = default;
  virtual void OnOpened(const StreamPtr& stream) = 0;
  // One message; the next comes only after this returns.
  virtual void OnMessage(const StreamPtr& stream, std::string_view bytes) = 0;
  // Everything queued has been taken by the transport.
  virtual void OnDrained(const StreamPtr& stream) = 0;
  // The other end is gone. The last call about this stream.
  virtual void OnClosed(const StreamPtr& stream) = 0;
};

}  // namespace remuda
