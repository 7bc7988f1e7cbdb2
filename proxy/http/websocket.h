// Where WebSocket frames begin and end (RFC 6455 section 5.2): as much as it takes to put a close
// frame between two of them. Payloads are not looked at. No I/O.
#pragma once

#include <cstddef>
#include <cstdint>

namespace remuda::proxy::http {

// Follows the frames of one direction.
class WebSocketFrames {
 public:
  // Takes the next `size` bytes. With `stop_at_boundary` it stops behind the first frame that ends.
  // Returns the bytes taken.
  size_t Follow(const char* data, size_t size, bool stop_at_boundary = false);
  // `size` bytes of payload, at most payload_left(), have passed unseen.
  void Skip(uint64_t size);

  uint64_t payload_left() const { return payload_left_; }
  // No frame is under way. Never again once what passed was no WebSocket frame.
  bool at_boundary() const { return header_size_ == 0 && !is_lost_; }
  // A close frame has passed as a whole: nothing may follow it.
  bool has_closed() const { return has_closed_; }
  // What passed was no WebSocket frame.
  bool is_lost() const { return is_lost_; }

 private:
  void EndFrame();

  uint64_t payload_left_ = 0;
  uint8_t header_[10];       // without the mask's key, whose bytes are only counted
  uint8_t header_size_ = 0;  // 0: between frames
  bool is_header_whole_ = false;
  bool has_closed_ = false;
  bool is_lost_ = false;
};

// A close frame without text. `mask`: the client's side, which must mask; null: the server's.
// `out` has room for kMaxCloseFrameBytes. Returns its size.
inline constexpr size_t kMaxCloseFrameBytes = 8;
inline constexpr uint16_t kCloseGoingAway = 1001;
size_t WriteCloseFrame(uint16_t code, const uint8_t (*mask)[4], char* out);

}  // namespace remuda::proxy::http
