// Windows of uploads: they begin small, and widen where they hold a client back that is far away.
// Whether they do is measured by what comes between a PING and its answer: a round trip, whatever
// lies on the way. As long as a good part of a window comes in that time, the window is the limit.
#include <algorithm>
#include <utility>

#include "proxy/client/client_worker.h"
#include "proxy/client/http2_connection.h"
#include "proxy/client/http2_limits.h"
#include "proxy/client/http2_stream.h"
#include "proxy/client/http2_worker.h"
#include "proxy/exchange/exchange.h"

namespace remuda::proxy {
namespace {

// A window is opened again once half of it is consumed, so that a client that it holds back sends
// half of it or more in a round trip.
bool IsLimit(int32_t window, uint64_t bytes_a_round_trip) {
  return bytes_a_round_trip * 8 >= static_cast<uint64_t>(window) * 3;
}

// Small ones need no more than they have.
bool IsLarge(uint64_t received) { return received >= kHttp2StreamWindowBytes / 2; }

}  // namespace

// Bytes of a body have come.
void Http2Connection::NoteUpload(Http2Stream& stream, size_t size) {
  if (is_probing_) probe_bytes_ += size;
  if (!IsLarge(stream.received_)) return;
  // One that waits for a first target takes no more, however fast its client is.
  if (stream.exchange_ != nullptr && stream.exchange_->is_held()) return;
  if (stream.window_ < stream_window_) WidenWindow(stream);
  if (is_probing_ || stream_window_ >= kHttp2LargestStreamWindowBytes) return;
  if (bytes_to_probe_ > size) {
    bytes_to_probe_ -= size;
    return;
  }
  is_probing_ = is_probe_due_ = true;
  probe_bytes_ = 0;
  WantFlush();
}

void Http2Connection::OnProbeAnswered() {
  is_probing_ = false;
  // What came was sent within the window that the client had a round trip ago.
  if (IsLimit(std::exchange(known_window_, stream_window_), probe_bytes_) && WidenWindows()) {
    probe_pause_bytes_ = kHttp2MinProbeBytes;
    bytes_to_probe_ = 0;
    return;
  }
  bytes_to_probe_ = probe_pause_bytes_;
  probe_pause_bytes_ = std::min(kHttp2MaxProbeBytes, 2 * probe_pause_bytes_);
}

// False if there is no more for it: it has the largest, or others have theirs.
bool Http2Connection::WidenWindows() {
  const int32_t wanted =
      std::min(kHttp2LargestStreamWindowBytes, kHttp2WindowGrowth * stream_window_);
  const size_t taken =
      shared_.TakeWindow(static_cast<size_t>(stream_window_ - kHttp2StreamWindowBytes),
                         static_cast<size_t>(wanted - kHttp2StreamWindowBytes));
  const int32_t stream_window = kHttp2StreamWindowBytes + static_cast<int32_t>(taken);
  if (stream_window == stream_window_) return false;
  stream_window_ = stream_window;
  nghttp2_session_set_local_window_size(
      http2_, NGHTTP2_FLAG_NONE, 0,
      kHttp2ConnectionWindowBytes + stream_window_ - kHttp2StreamWindowBytes);
  for (Http2Stream* stream = streams_; stream != nullptr; stream = stream->next_) {
    if (IsLarge(stream->received_) && !stream->is_done()) WidenWindow(*stream);
  }
  return true;
}

void Http2Connection::WidenWindow(Http2Stream& stream) {
  stream.window_ = stream_window_;
  nghttp2_session_set_local_window_size(http2_, NGHTTP2_FLAG_NONE, stream.id_, stream.window_);
}

// Not before the end: what the client was promised it may use at any time.
void Http2Connection::GiveWindowsBack() {
  shared_.GiveWindow(static_cast<size_t>(std::exchange(stream_window_, kHttp2StreamWindowBytes) -
                                         kHttp2StreamWindowBytes));
}

}  // namespace remuda::proxy
