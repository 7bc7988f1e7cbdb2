// One request and its response on an HTTP/2 connection, between nghttp2 and the session that serves
// it. Bytes that one side has given and the other has not taken wait here: of the request at most
// its flow-control window, of the response as many as the client's window takes, within
// http2_limits.h.
//
// Thread: its worker's. Streams are reused; one lives from the first frame of its request until
// nghttp2 has closed it and its session is done.
#pragma once

#include <cstdint>

#include "proxy/client/client_stream.h"
#include "proxy/http/http2_fields.h"
#include "proxy/io/address_limit.h"
#include "proxy/io/block_queue.h"
#include "proxy/io/event_loop.h"

namespace remuda::proxy {

class Http2Connection;
class Session;

class Http2Stream final : public ClientStream {
 public:
  Received Receive(char* data, size_t size) override;
  bool SendInterim(const http::ResponseHead& head) override;
  bool SendHead(const http::ResponseHead& head, const http::ResponseStyle& style,
                bool ends) override;
  bool SendOwnHead(const http::OwnAnswer& answer) override;
  ssize_t SendBody(const iovec* pieces, size_t count) override;
  void Finish(bool is_whole) override;
  const Transport& transport() const override;

 private:
  friend class Http2Connection;
  friend class Http2Worker;

  // For the connection: a stream begins, for which the worker and its address had a place, or is
  // over.
  void Begin(Http2Connection& connection, int32_t id, AddressLimit::Place place);
  void End();
  // Bytes of the body have come. False if it is longer than the client has declared.
  bool TakeBody(const char* data, size_t size);
  // All fields have come, and maybe the body: the text's head. kNone, or why it is refused.
  http::Reason MakeHead();
  bool IsBodyShort() const {
    return fields_.has_declared_length() && received_ != fields_.declared_length();
  }
  size_t ReadBody(char* data, size_t size);
  bool is_done() const { return session_ == nullptr && is_served_; }
  bool Submit(size_t count, bool ends);
  void Resume();
  // How much more of the response may wait here.
  size_t ResponseRoom() const;

  Http2Connection* connection_ = nullptr;
  int32_t id_ = 0;
  Session* session_ = nullptr;
  AddressLimit::Place place_;  // until its session is done

  // The request.
  http::Http2Fields fields_;
  http::Http2Trailers trailers_;
  size_t head_charge_ = 0;  // of the connection's and the worker's bytes for heads
  size_t head_read_ = 0;    // of the text
  uint64_t received_ = 0;   // bytes of the body
  int32_t window_ = 0;      // how many may wait
  BlockQueue body_;
  uint64_t chunk_left_ = 0;  // bytes of body_ that belong to the chunk that was begun
  char framing_[24];         // of a chunk: what stands before or behind its bytes
  size_t framing_size_ = 0;
  size_t framing_read_ = 0;
  bool is_served_ = false;                     // it has or had a session
  bool has_news_ = false;                      // for the session: bytes, or the end
  bool has_ended_ = false;                     // the client has sent all
  bool is_reset_ = false;                      // by the client
  bool is_refused_ = false;                    // its head needs more than there is room for
  bool is_last_sent_ = false;                  // the last chunk is in framing_
  http::Reason broken_ = http::Reason::kNone;  // the client broke the request's own rules

  // The response.
  BlockQueue out_;
  bool has_head_ = false;  // the final one
  bool is_cut_ =
      false;  // it ends with what is in out_, and the client must see that it is not whole
  bool is_whole_ = false;     // all of it is in out_ or sent
  bool is_deferred_ = false;  // nghttp2 waits until it is told that there is more
  bool wants_room_ = false;   // the session waits for room in out_
  SteadyTime last_progress_{};
  SteadyTime answered_at_{};  // all of it is sent, the request has not ended. Zero: not so
  uint64_t discarded_ = 0;    // bytes of the request that came after that

  // In the connection's lists.
  Http2Stream* previous_ = nullptr;
  Http2Stream* next_ = nullptr;
  Http2Stream* next_ready_ = nullptr;
  bool is_ready_ = false;
};

}  // namespace remuda::proxy
