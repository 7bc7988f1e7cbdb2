#include "proxy/client/http2_worker.h"

#include <algorithm>
#include <cstring>
#include <new>

#include "proxy/client/http2_connection.h"
#include "proxy/client/http2_limits.h"
#include "proxy/io/kept_memory.h"

namespace remuda::proxy {
namespace {

nghttp2_mem* Memory() {
#ifdef REMUDA_SANITIZED
  return nullptr;
#else
  static nghttp2_mem memory{
      nullptr, [](size_t bytes, void*) { return KeptAllocate(bytes); },
      [](void* block, void*) { KeptFree(block); },
      [](size_t count, size_t bytes, void*) -> void* {
        if (bytes != 0 && count > SIZE_MAX / bytes) return nullptr;
        void* const block = KeptAllocate(count * bytes);
        return block == nullptr ? nullptr : std::memset(block, 0, count * bytes);
      },
      [](void* block, size_t bytes, void*) { return KeptReallocate(block, bytes); }};
  return &memory;
#endif
}

constexpr size_t kMaxFreeStreams = 1024;

Http2Connection& Of(void* user_data) { return *static_cast<Http2Connection*>(user_data); }

std::string_view Text(const uint8_t* data, size_t size) {
  return {reinterpret_cast<const char*>(data), size};
}

}  // namespace

Http2Worker::Http2Worker() {
  if (nghttp2_session_callbacks_new(&callbacks_) != 0 || nghttp2_option_new(&options_) != 0)
    throw std::bad_alloc();
  nghttp2_session_callbacks_set_on_begin_frame_callback(
      callbacks_, [](nghttp2_session*, const nghttp2_frame_hd* head, void* user) {
        return Of(user).OnBeginFrame(*head);
      });
  nghttp2_session_callbacks_set_on_begin_headers_callback(
      callbacks_, [](nghttp2_session*, const nghttp2_frame* frame, void* user) {
        return Of(user).OnBeginHeaders(*frame);
      });
  nghttp2_session_callbacks_set_on_header_callback(
      callbacks_,
      [](nghttp2_session*, const nghttp2_frame* frame, const uint8_t* name, size_t name_size,
         const uint8_t* value, size_t value_size, uint8_t, void* user) {
        return Of(user).OnHeader(*frame, Text(name, name_size), Text(value, value_size));
      });
  nghttp2_session_callbacks_set_on_frame_recv_callback(
      callbacks_, [](nghttp2_session*, const nghttp2_frame* frame, void* user) {
        return Of(user).OnFrame(*frame);
      });
  nghttp2_session_callbacks_set_on_data_chunk_recv_callback(
      callbacks_, [](nghttp2_session*, uint8_t, int32_t stream_id, const uint8_t* data, size_t size,
                     void* user) {
        return Of(user).OnData(stream_id, reinterpret_cast<const char*>(data), size);
      });
  nghttp2_session_callbacks_set_on_stream_close_callback(
      callbacks_, [](nghttp2_session*, int32_t stream_id, uint32_t, void* user) {
        return Of(user).OnStreamClosed(stream_id);
      });
  nghttp2_session_callbacks_set_send_data_callback(
      callbacks_, [](nghttp2_session*, nghttp2_frame*, const uint8_t* frame_head, size_t size,
                     nghttp2_data_source* source, void* user) {
        return Of(user).OnSendData(*static_cast<Http2Stream*>(source->ptr), frame_head, size);
      });
  nghttp2_session_callbacks_set_on_frame_send_callback(
      callbacks_, [](nghttp2_session*, const nghttp2_frame* frame, void* user) {
        return Of(user).OnFrameSent(*frame);
      });
  nghttp2_session_callbacks_set_on_invalid_frame_recv_callback(
      callbacks_, [](nghttp2_session*, const nghttp2_frame*, int error, void* user) {
        return Of(user).OnInvalidFrame(error);
      });
  // Frames of types that mean nothing to us are ignored, but counted (OnBeginFrame).
  nghttp2_session_callbacks_set_unpack_extension_callback(
      callbacks_, [](nghttp2_session*, void**, const nghttp2_frame_hd*, void*) -> int {
        return NGHTTP2_ERR_CANCEL;
      });
  for (unsigned type = NGHTTP2_CONTINUATION + 1; type <= 0xff; ++type)
    nghttp2_option_set_user_recv_extension_type(options_, static_cast<uint8_t>(type));

  nghttp2_option_set_no_auto_window_update(options_, 1);
  // Http2Fields judges them: what it refuses is answered and logged, not dropped without a word.
  nghttp2_option_set_no_http_messaging(options_, 1);
  nghttp2_option_set_no_closed_streams(options_, 1);
  nghttp2_option_set_max_deflate_dynamic_table_size(options_, kHttp2HeaderTableBytes);
  // Ours (OnBeginFrame) counts more than what it counts; it must not be stricter.
  nghttp2_option_set_stream_reset_rate_limit(options_, UINT32_MAX, UINT32_MAX);
  nghttp2_option_set_max_outbound_ack(options_, kHttp2MaxQueuedAcks);
  nghttp2_option_set_max_settings(options_, kHttp2MaxSettings);
  nghttp2_option_set_max_continuations(options_, kHttp2MaxContinuations);
}

Http2Worker::~Http2Worker() {
  nghttp2_option_del(options_);
  nghttp2_session_callbacks_del(callbacks_);
}

nghttp2_session* Http2Worker::NewSession(Http2Connection* connection) {
  nghttp2_session* session = nullptr;
  if (nghttp2_session_server_new3(&session, callbacks_, connection, options_, Memory()) != 0)
    return nullptr;
  return session;
}

ssize_t Http2Worker::ReadResponse(nghttp2_session*, int32_t, uint8_t*, size_t size, uint32_t* flags,
                                  nghttp2_data_source* source, void* user) {
  return Of(user).OnReadResponse(*static_cast<Http2Stream*>(source->ptr), size, *flags);
}

Http2Stream* Http2Worker::TakeStream(ClientWorker& worker) {
  if (free_streams_.empty()) return new Http2Stream(worker);
  Http2Stream* const stream = free_streams_.back().release();
  free_streams_.pop_back();
  return stream;
}

void Http2Worker::GiveStream(Http2Stream* stream) {
  std::unique_ptr<Http2Stream> owned(stream);
  if (free_streams_.size() < kMaxFreeStreams) free_streams_.push_back(std::move(owned));
}

size_t Http2Worker::TakeWindow(size_t held, size_t wanted) {
  const size_t left = kHttp2WorkerWindowBytes - (window_bytes_ - held);
  const size_t taken = std::max(held, std::min(wanted, left / kHttp2WindowShares));
  window_bytes_ += taken - held;
  return taken;
}

void Http2Worker::Append(const void* data, size_t size) { std::memcpy(Extend(size), data, size); }

void Http2Worker::BeginHead(std::string_view status) {
  head_.clear();
  AddField(":status", status);
}

void Http2Worker::BeginTrailers() { head_.clear(); }

void Http2Worker::AddField(std::string_view name, std::string_view value) {
  nghttp2_nv field;
  field.name = reinterpret_cast<uint8_t*>(const_cast<char*>(name.data()));
  field.namelen = name.size();
  field.value = reinterpret_cast<uint8_t*>(const_cast<char*>(value.data()));
  field.valuelen = value.size();
  field.flags = NGHTTP2_NV_FLAG_NONE;  // nghttp2 copies both, and the name in lower case
  head_.push_back(field);
}

}  // namespace remuda::proxy
