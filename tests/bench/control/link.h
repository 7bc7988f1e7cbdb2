// Link: a receiver's end of its stream with the controller, in bytes.
#pragma once

#include <memory>
#include <string>

#include "controller/views/frame.h"

namespace remuda::bench {

class Link {
 public:
  virtual ~Link() = default;
  // Sends a message after those before; dropped once the stream has ended. Thread: any.
  virtual void Send(std::string bytes) = 0;
  // Ends the stream; when it returns, its handler is not called any more. Not from a handler.
  virtual void Close() = 0;
};

class LinkHandler {
 public:
  virtual ~LinkHandler() = default;
  // One message at a time, on a thread of the link's.
  virtual void OnMessage(Link& link, const Frame& message) = 0;
  // The controller has ended the stream.
  virtual void OnEnd(const std::string& why) = 0;
};

enum class Side { kAgent, kProxy };

}  // namespace remuda::bench
