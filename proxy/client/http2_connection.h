// A client's connection that speaks HTTP/2: feeds nghttp2, gives each request to an exchange
// through its stream, writes once a turn of the loop what all streams have made, and keeps the
// client within its bounds (http2_limits.h).
//
// Thread: its worker's.
#pragma once

#include <nghttp2/nghttp2.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>

#include "proxy/client/connection.h"
#include "proxy/core/token_bucket.h"
#include "proxy/http/http2_frame_heads.h"
#include "proxy/http/reason.h"
#include "proxy/io/block_queue.h"
#include "proxy/io/event_loop.h"
#include "proxy/io/transport.h"

namespace remuda::proxy {

class Http2Stream;
class Http2Worker;

// The streams that the client has ended or passed over last: what it still sends on one of them is
// its fault (RFC 9113 section 5.1), while on others it may not know yet that we have ended them.
class ClosedStreams {
 public:
  // It has reset the stream, or sent all of its request, and the stream is over.
  void Note(int32_t id) { ended_[next_++ % ended_.size()] = id; }
  // A stream begins above `before`: those between are never used (section 5.1.1).
  void Skip(int32_t before, int32_t id) {
    if (id - before <= 2) return;
    skipped_after_ = before;
    skipped_before_ = id;
  }
  // The error that HEADERS (or DATA) on a stream that is not open are; NGHTTP2_NO_ERROR: none.
  uint32_t ErrorOf(int32_t id, bool is_headers) const;

 private:
  std::array<int32_t, 64> ended_{};  // stream ids; 0: none
  uint32_t next_ = 0;
  int32_t skipped_after_ = 0;  // the newest gap, its ends not included
  int32_t skipped_before_ = 0;
};

class Http2Connection final : public Connection, public TurnEndHandler {
 public:
  explicit Http2Connection(ClientWorker& worker);
  ~Http2Connection() override;

  // Serves a connection on which HTTP/2 was agreed. `watched_by`: who gets its events so far, and
  // bytes may wait in it; null: nobody yet.
  void Open(Transport transport, const PeerAddress& peer, std::shared_ptr<Listener> listener,
            IoHandler* watched_by);

  void OnIo(uint32_t events) override;
  void OnTurnEnd() override;
  void CloseWhenIdle() override;
  bool CloseIfIdle() override;
  void EndExchangeWith(const TargetState& /*target*/) override {}  // its streams do
  void Abort() override;

  // For its streams.
  ClientWorker& worker() { return worker_; }
  Http2Worker& shared() { return shared_; }
  nghttp2_session* http2() { return http2_; }
  const Transport& transport() const { return transport_; }
  // Something is to be written when the turn ends.
  void WantFlush();
  // Bytes of a stream's body have left its buffer, or come to nothing: the client may send more.
  void Consume(int32_t stream_id, size_t bytes);
  // The two halves of that, for bytes that are kept for long: others of the connection may send
  // more at once, the stream itself when they have left.
  void ConsumeOfConnection(size_t bytes);
  void ConsumeOfStream(int32_t stream_id, size_t bytes);

 private:
  friend class Http2Worker;
  friend class Http2Stream;
  enum class Phase : uint8_t { kOpen, kLingering, kClosed };
  enum class Shutdown : uint8_t { kNone, kNoticed, kFinal };

  // nghttp2's callbacks. What they return goes to nghttp2.
  int OnBeginFrame(const nghttp2_frame_hd& head);
  int OnBeginHeaders(const nghttp2_frame& frame);
  int OnHeader(const nghttp2_frame& frame, std::string_view name, std::string_view value);
  int OnFrame(const nghttp2_frame& frame);
  int OnData(int32_t stream_id, const char* data, size_t size);
  int OnStreamClosed(int32_t stream_id);
  int OnInvalidFrame(int error);
  ssize_t OnReadResponse(Http2Stream& stream, size_t size, uint32_t& flags);
  int OnSendData(Http2Stream& stream, const uint8_t* frame_head, size_t size);
  int OnFrameSent(const nghttp2_frame& frame);

  int OnHeadersEnd(Http2Stream& stream, const nghttp2_frame& frame);
  void OnRequestEnd(Http2Stream& stream);
  int RefuseStream(int32_t stream_id);
  int CheckClosed(int32_t stream_id, bool is_headers);
  // Gives what was received to nghttp2. As nghttp2_session_mem_recv.
  ssize_t Parse(const char* data, size_t size);
  // Room for a head that grows: false if there is none.
  bool ChargeHead(Http2Stream& stream);
  void ReleaseHead(Http2Stream& stream);

  // http2_windows.cc: windows of uploads.
  void NoteUpload(Http2Stream& stream, size_t size);
  void OnProbeAnswered();
  bool WidenWindows();
  void WidenWindow(Http2Stream& stream);
  void GiveWindowsBack();
  void Read();
  void Serve();
  void ServeStream(Http2Stream& stream);
  void Ready(Http2Stream& stream);
  void Unready(Http2Stream& stream);
  // Writes what there is. False if the client takes no more now, or the connection is closed.
  bool Flush();
  bool FlushAll();
  bool SendUnsent();
  bool SendOutput();
  bool FillOutput();
  void CloseIfOver();
  void EndStreams(http::Reason reason);
  void RemoveStream(Http2Stream& stream);
  // Takes from a budget of the client's. Once one is used up the client is told to go, and what it
  // has begun is served; if that is used up too, the connection ends.
  int Charge(TokenBucket& budget);
  void TellToGo();
  // The connection ends with this error. For nghttp2.
  int Broken(uint32_t error_code);
  void ResetOverdue(Http2Stream& stream);
  char* AddFrame(uint8_t type, uint32_t payload_bytes);
  void AddGoaway(uint32_t last_stream, uint32_t error_code);
  // Says why, and closes.
  void Fail(uint32_t error_code);
  void FinishShutdown();
  void BeginLinger();
  void Linger();
  void CloseNow();
  void OnTimer();
  void ArmTimer();
  SteadyTime IdleDeadline() const;
  std::chrono::milliseconds IdleTimeout() const;

  Http2Worker& shared_;
  Transport transport_;
  nghttp2_session* http2_ = nullptr;
  Phase phase_ = Phase::kClosed;
  Shutdown shutdown_ = Shutdown::kNone;
  bool is_readable_ = false;
  bool is_hung_up_ = false;
  bool is_preface_seen_ = false;  // with the client's first SETTINGS
  bool is_told_to_go_ = false;    // for what it did
  bool is_flushing_ = false;
  bool is_notice_due_ = false;
  bool is_probe_due_ = false;
  bool is_probing_ = false;              // its PING is not answered yet
  uint32_t failure_ = NGHTTP2_NO_ERROR;  // found within nghttp2: the connection ends with it
  uint32_t unanswered_pings_ = 0;        // of ours
  uint64_t requests_ = 0;
  size_t header_block_bytes_ = 0;  // of the block that is being decoded
  int32_t newest_stream_ = 0;      // of the client's
  http::Http2FrameHeads heads_;
  ClosedStreams closed_;
  size_t head_bytes_ = 0;      // held for large heads
  size_t response_bytes_ = 0;  // that wait for the client

  // What uploads have shown that the client has use for.
  int32_t stream_window_;
  int32_t known_window_;         // which the client had at the last look
  uint64_t probe_bytes_ = 0;     // of bodies since the PING
  uint64_t bytes_to_probe_ = 0;  // before the next one
  uint64_t probe_pause_bytes_;   // between two
  size_t lingered_bytes_ = 0;
  bool owes_goodbye_ = false;  // lingering: TLS's end is not sent yet
  BlockQueue unsent_;          // what the client did not take; nothing else is written before it
  TokenBucket resets_;
  TokenBucket frames_;
  Http2Stream* streams_ = nullptr;
  size_t stream_count_ = 0;
  Http2Stream* ready_first_ = nullptr;  // something is to be done for their exchanges
  Http2Stream* ready_last_ = nullptr;

  // Zero: not running.
  SteadyTime opened_at_{};
  SteadyTime idle_since_{};
  SteadyTime headers_since_{};
  SteadyTime unsent_since_{};
  SteadyTime shutdown_at_{};
  SteadyTime linger_since_{};
  Timer timer_;
};

}  // namespace remuda::proxy
