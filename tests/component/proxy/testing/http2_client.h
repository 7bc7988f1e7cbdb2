// A client of HTTP/2 that writes and reads frames itself, good ones and bad ones; only header
// compression is nghttp2's. Blocking, with RawSocket's deadline on everything.
#pragma once

#include <nghttp2/nghttp2.h>

#include <algorithm>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tests/component/proxy/testing/raw_socket.h"

namespace remuda::proxy::testing {

// A number as frames have it.
std::string BigEndian(uint64_t number, size_t bytes);

using HeaderList = std::vector<std::pair<std::string, std::string>>;

struct Http2Frame {
  uint8_t type = 0xff;  // 0xff: there is none, the connection is over
  uint8_t flags = 0;
  uint32_t stream = 0;
  std::string payload;
};

// What came of one stream.
struct Http2Response {
  int status = 0;
  HeaderList fields;
  std::string body;
  HeaderList trailers;
  std::vector<int> interim;
  bool has_ended = false;                          // END_STREAM
  int64_t reset_code = -1;                         // RST_STREAM
  std::string Field(std::string_view name) const;  // the first one's value
};

class Http2Client {
 public:
  static constexpr uint32_t kDefaultWindow = 65535;

  explicit Http2Client(RawSocket socket);
  ~Http2Client();
  Http2Client(const Http2Client&) = delete;
  Http2Client& operator=(const Http2Client&) = delete;

  // The preface and SETTINGS; then the server's SETTINGS are read and acknowledged.
  bool Start(const std::vector<std::pair<uint16_t, uint32_t>>& settings = {});

  bool SendFrame(uint8_t type, uint8_t flags, uint32_t stream, std::string_view payload);
  // A header block in one HEADERS frame, on a new stream; returns its id.
  uint32_t SendHeaders(const HeaderList& fields, bool ends);
  // `method` for `path` of https://shop.test.
  uint32_t SendRequest(const std::string& method, const std::string& path, bool ends,
                       const HeaderList& more = {});
  std::string Deflate(const HeaderList& fields);
  uint32_t NewStream() { return std::exchange(next_stream_, next_stream_ + 2); }
  // As much as the windows allow, reading what opens them. False if the stream or connection ends.
  bool SendBody(uint32_t stream, std::string_view body, bool ends);
  void Reset(uint32_t stream, uint32_t code);
  // What may still be sent on the stream before the server opens a window.
  size_t stream_window(uint32_t stream) {
    const int64_t left = stream_windows_.try_emplace(stream, initial_window_).first->second;
    return static_cast<size_t>(std::max<int64_t>(std::min(left, window_), 0));
  }

  // The next frame; those of settings, pings and windows are dealt with. `opens_windows` off: what
  // comes is not acknowledged by WINDOW_UPDATE.
  Http2Frame ReadFrame();
  // Reads until the stream has ended or was reset, or the connection is over.
  Http2Response Await(uint32_t stream);
  // A GET, from beginning to end.
  Http2Response Get(const std::string& path = "/") { return Await(SendRequest("GET", path, true)); }
  Http2Response& response(uint32_t stream) { return responses_[stream]; }
  // Reads to the end of the connection; the code of the last GOAWAY, -1 if there was none.
  int64_t AwaitEnd();
  // Reads until a GOAWAY came that is not the notice; false if none does.
  bool AwaitFinalGoaway();

  bool opens_windows = true;
  bool acknowledges = true;  // SETTINGS and PING
  int64_t goaway_code = -1;
  uint32_t goaway_last_stream = 0;
  int goaways = 0;
  std::map<uint16_t, uint32_t> settings;  // of the server
  RawSocket& socket() { return socket_; }

 private:
  void Take(const Http2Frame& frame);
  void TakeHeaders(const Http2Frame& frame);

  RawSocket socket_;
  nghttp2_hd_deflater* deflater_ = nullptr;
  nghttp2_hd_inflater* inflater_ = nullptr;
  uint32_t next_stream_ = 1;
  int64_t window_ = kDefaultWindow;
  uint32_t initial_window_ = kDefaultWindow;
  std::map<uint32_t, int64_t> stream_windows_;
  std::map<uint32_t, Http2Response> responses_;
};

}  // namespace remuda::proxy::testing
