// When the WebSockets of a target that leaves are asked to end. Time is an argument.
#pragma once

#include <chrono>
#include <cstdint>

#include "proxy/core/steady_time.h"

namespace remuda::proxy {

// Of a target group (remuda.v1.WebSocketClose).
enum class WebSocketClose : uint8_t { kNearEnd, kSpread, kAtOnce };

// Each at any moment from `begin` to `end`.
struct GoodbyeTimes {
  SteadyTime begin;
  SteadyTime end;
};

// The last part of the deregistration delay is for the close itself: clients answer it, and come
// back elsewhere.
inline constexpr int64_t kGoodbyePart = 10;
inline constexpr std::chrono::milliseconds kMaxGoodbyeWindow{30000};

// For a target that begins to leave `now` and may take `delay` for it.
constexpr GoodbyeTimes GoodbyeTimesOf(WebSocketClose policy, std::chrono::milliseconds delay,
                                      SteadyTime now) {
  const std::chrono::milliseconds part = delay / kGoodbyePart;
  const auto window = part < kMaxGoodbyeWindow ? part : kMaxGoodbyeWindow;
  const SteadyTime last = now + delay - window / 2;
  switch (policy) {
    case WebSocketClose::kAtOnce:
      return {now, now};
    case WebSocketClose::kSpread:
      return {now, last};
    case WebSocketClose::kNearEnd:
      break;
  }
  return {now + delay - window, last};
}

}  // namespace remuda::proxy
