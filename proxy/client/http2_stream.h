// One request and its response on an HTTP/2 connection, between nghttp2 and the exchange. Bytes
// that one side has given and the other has not taken wait here: of the request at most its
// flow-control window, of the response as many as the client's window takes, within http2_limits.h.
//
// Thread: its worker's. Streams are reused; one lives from the first frame of its request until
// nghttp2 has closed it and its exchange is over; with that it is one of the worker's connections.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "proxy/client/connection.h"
#include "proxy/exchange/client_stream.h"
#include "proxy/http/http2_fields.h"
#include "proxy/io/address_limit.h"
#include "proxy/io/block_queue.h"
#include "proxy/io/event_loop.h"

namespace remuda::proxy {

class Exchange;
class Http2Connection;

class Http2Stream final : public Connection, public ClientStream {
 public:
  explicit Http2Stream(ClientWorker& worker);

  // Of a connection, while a request is under way.
  void OnIo(uint32_t /*events*/) override {}  // it has no descriptor of its own
  void CloseWhenIdle() override {}
  TargetState* target() const override;
  void EndExchangeWith(const TargetState& target) override;
  void TargetFell(const TargetState& target, bool is_gone) override;
  void EndUnanswered(const TargetState& target) override;
  void Abort() override { Finish(false); }

  // Of the client's side of an exchange.
  Received Receive(char* data, size_t size) override;
  ssize_t Send(Gather& pieces) override;
  Sent SendInterim(const http::ResponseHead& head, Buffer& room, Gather& out) override;
  Sent SendHead(const http::ResponseHead& head, const http::ResponseStyle& style, size_t head_size,
                bool ends, Buffer& room, Gather& out) override;
  void SendTrailers(std::string_view lines) override { sent_trailers_ = lines; }
  Sent SendOwn(const http::OwnAnswer& answer, Buffer& room, Gather& out) override;
  bool delimits_bodies() const override { return true; }
  uint64_t unread_body_bytes() const override { return body_.size(); }
  bool is_last() const override { return true; }
  bool may_have_left() const override { return false; }
  const Transport& transport() const override;
  void Describe(bool is_upgraded, AccessEntry& entry) const override;
  void Wake() override { Drive(); }

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
  // Bytes of body_ have left it.
  void Consumed(size_t bytes);
  // What a request keeps that waits for a first target is bounded by its group: it holds up no
  // other upload of the connection.
  void ReturnWindow();
  bool is_done() const { return exchange_ == nullptr && is_served_; }
  // The request begins, or is refused.
  void Serve(http::Reason refusal);
  void ReadHead();
  void Drive();
  // The client has reset the stream, is gone, or has broken its request off. nghttp2 is not told.
  void Gone(http::Reason reason);
  // The response is whole, or it was cut short (the client must see that).
  void Finish(bool is_whole);
  void TakeDownExchange();
  bool Submit(size_t count, bool ends);
  // nghttp2 has all of the body: what ends the response. False: nothing does but the body's end.
  bool SubmitTrailers();
  void Resume();
  // How much more of the response may wait here.
  size_t ResponseRoom() const;

  Http2Connection* connection_ = nullptr;
  int32_t id_ = 0;
  Exchange* exchange_ = nullptr;
  Timer timer_;                // of the exchange
  AddressLimit::Place place_;  // until the exchange is over

  // The request.
  http::Http2Fields fields_;
  http::Http2Trailers trailers_;
  size_t head_charge_ = 0;  // of the connection's and the worker's bytes for heads
  size_t head_read_ = 0;    // of the text
  uint64_t received_ = 0;   // bytes of the body
  int32_t window_ = 0;      // how many may wait
  BlockQueue body_;
  size_t given_back_ = 0;    // bytes at the front of body_ that the connection's window has back
  uint64_t chunk_left_ = 0;  // bytes of body_ that belong to the chunk that was begun
  char chunk_head_[http::kMaxChunkHeadBytes];
  std::string last_chunk_;     // with trailers
  std::string_view framing_;   // what is to be read of what stands before or behind a chunk's bytes
  bool is_served_ = false;     // it has or had an exchange
  bool has_news_ = false;      // for the exchange: bytes, or the end
  bool has_ended_ = false;     // the client has sent all
  bool is_reset_ = false;      // by the client
  bool is_refused_ = false;    // its head needs more than there is room for
  bool is_last_sent_ = false;  // the last chunk is or was in framing_
  http::Reason broken_ = http::Reason::kNone;  // the client broke the request's own rules

  // The response.
  BlockQueue out_;
  bool has_head_ = false;  // the final one
  bool is_cut_ =
      false;  // it ends with what is in out_, and the client must see that it is not whole
  std::string sent_trailers_;  // behind it
  bool is_whole_ = false;      // all of it is in out_ or sent
  bool is_deferred_ = false;   // nghttp2 waits until it is told that there is more
  bool wants_room_ = false;    // the exchange waits for room in out_
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
