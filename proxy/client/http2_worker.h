// What the HTTP/2 connections of one worker share: nghttp2's callbacks and options, the blocks that
// a turn reads into and writes from, streams to be used again.
//
// Thread: its worker's.
#pragma once

#include <nghttp2/nghttp2.h>

#include <cstddef>
#include <memory>
#include <string_view>
#include <vector>

#include "proxy/client/http2_limits.h"
#include "proxy/client/http2_stream.h"

namespace remuda::proxy {

class Http2Worker {
 public:
  static constexpr size_t kInputBytes = 32 * 1024;
  // DATA frames are added up to the first, anything else up to the second.
  static constexpr size_t kOutputDataBytes = 64 * 1024;
  static constexpr size_t kOutputBytes = 128 * 1024;

  Http2Worker();
  Http2Worker(const Http2Worker&) = delete;
  Http2Worker& operator=(const Http2Worker&) = delete;
  ~Http2Worker();

  // For one connection; null if there is no memory.
  nghttp2_session* NewSession(Http2Connection* connection);
  // nghttp2's read callback of a response's body; the source is its Http2Stream.
  static ssize_t ReadResponse(nghttp2_session* session, int32_t stream_id, uint8_t* out,
                              size_t size, uint32_t* flags, nghttp2_data_source* source,
                              void* user);

  Http2Stream* TakeStream(ClientWorker& worker);
  void GiveStream(Http2Stream* stream);

  // Bytes that connections want to hold for large heads. False if others hold too much.
  bool TakeHead(size_t bytes) {
    if (head_bytes_ + bytes > kHttp2WorkerHeadBytes) return false;
    head_bytes_ += bytes;
    return true;
  }
  void GiveHead(size_t bytes) { head_bytes_ -= bytes; }
  // What uploads may have beyond the usual windows: a connection that has `held` and could use
  // `wanted` has from now on what this answers, which is between the two, until it gives it back.
  size_t TakeWindow(size_t held, size_t wanted);
  void GiveWindow(size_t bytes) { window_bytes_ -= bytes; }

  char* input() { return input_.get(); }

  // What is written at the end of the turn.
  char* output() { return output_.get(); }
  size_t output_size() const { return output_size_; }
  void ClearOutput() { output_size_ = 0; }
  bool HasRoom(size_t size, size_t limit) const { return output_size_ + size <= limit; }
  void Append(const void* data, size_t size);
  char* Extend(size_t size) {
    char* const at = output_.get() + output_size_;
    output_size_ += size;
    return at;
  }

  // The fields of a head that is being sent; their bytes must live until it is submitted.
  void BeginHead(std::string_view status);
  void BeginTrailers();
  void AddField(std::string_view name, std::string_view value);
  const nghttp2_nv* head() const { return head_.data(); }
  size_t head_size() const { return head_.size(); }

 private:
  size_t head_bytes_ = 0;
  size_t window_bytes_ = 0;
  nghttp2_session_callbacks* callbacks_ = nullptr;
  nghttp2_option* options_ = nullptr;
  std::unique_ptr<char[]> input_{new char[kInputBytes]};
  std::unique_ptr<char[]> output_{new char[kOutputBytes]};
  size_t output_size_ = 0;
  std::vector<nghttp2_nv> head_;
  std::vector<std::unique_ptr<Http2Stream>> free_streams_;
};

}  // namespace remuda::proxy
