// A client that speaks HTTP/1, or one stream of an HTTP/2 connection: reads requests one at a time,
// forwards each to a target and its response back. A state machine that is driven by readiness:
// Drive makes all progress that can be made and returns. Bytes wait in bounded blocks, and a side
// is read only when the other has taken what was read before (backpressure).
//
// Thread: its worker's. Sessions and exchanges are reused; a request allocates nothing in the
// steady state.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>

#include "proxy/client/client_stream.h"
#include "proxy/client/connection.h"
#include "proxy/client/tunnel.h"
#include "proxy/core/picker.h"
#include "proxy/core/rewritten.h"
#include "proxy/core/routing_table.h"
#include "proxy/exchange/in_flight.h"
#include "proxy/exchange/sticky_cookie.h"
#include "proxy/http/chunk_decoder.h"
#include "proxy/http/framing.h"
#include "proxy/http/head_parser.h"
#include "proxy/http/head_writer.h"
#include "proxy/http/message_fault.h"
#include "proxy/io/buffer_pool.h"
#include "proxy/io/event_loop.h"
#include "proxy/io/splice_pipe.h"
#include "proxy/io/transport.h"
#include "proxy/target/upstream.h"

namespace remuda::proxy {

struct AdoptedTable;
class Session;
struct UpgradedSession;

// What is known of an exchange for its target, the log and the metrics. Small: of a tunnel it
// outlives all else.
struct ExchangeRecord {
  GroupState* group = nullptr;
  InFlight in_flight;
  AdoptedTable* table = nullptr;  // pinned: `rule` and `group` are of it
  const Rule* rule = nullptr;

  int64_t begin_us = 0;  // since the epoch
  SteadyTime first_byte, head_end, sent_to_target, response_begin, response_sent;
  uint64_t received_bytes = 0, sent_bytes = 0;
  int status = 0;         // to the client
  int target_status = 0;  // from the target
  http::Reason reason = http::Reason::kNone;
  char trace_id[36] = {};  // "1-xxxxxxxx-xxxxxxxxxxxxxxxxxxxxxxxx"
  uint32_t attempts = 0;
  // Attempts that gave no response; their targets may be gone by now.
  std::array<std::array<char, kMaxEndpointBytes>, kMaxAttempts> failed_endpoints;
  std::array<uint8_t, kMaxAttempts> failed_endpoint_bytes{};
  size_t failed_attempts = 0;
};

// One Set-Cookie of ours: the name, the sealed claim, the attributes.
inline constexpr size_t kMaxStickyFieldBytes = 192;

// In the queue of a group whose targets are full: calls its session.
class QueuedRequest final : public Waiter {
 public:
  bool OnPlaceFree() override;
  Session* session = nullptr;  // set while it waits
};

// One request and its response. Big, so a connection holds one only while a request is under way.
// What every request touches comes first and close together: most of its cost is cache misses.
struct Exchange : ExchangeRecord {
  http::RequestParser parser;
  http::Framing framing;
  size_t head_size = 0;

  // The request's body: decoded bytes lie at [head_size, body_end) of the input block.
  http::ChunkDecoder body_decoder;
  uint64_t body_left = 0;  // of a Content-Length
  size_t body_end = 0;
  size_t body_staged = 0;      // staged for the target up to here
  uint64_t rate_bytes = 0;     // received at the last look at the upload's rate
  SteadyTime rate_check{};     // when to look again; zero: nobody waits for the upload
  SteadyTime last_progress{};  // while it is forwarded
  bool is_body_done = true;
  bool is_body_held = true;  // all of it that was sent is still in the block: may be sent again

  // The attempt.
  PickRequest pick;                            // what the picks of all attempts have in common
  const StickinessSpec* stickiness = nullptr;  // of the group, if it has any
  std::chrono::seconds group_stickiness{0};    // of the action
  std::array<char, 2 * kMaxStickyFieldBytes> sticky_text;
  size_t sticky_text_size = 0;
  http::ChunkTolerance tolerance;  // of the group, for its targets' answers
  bool was_queued = false;
  SteadyTime queue_deadline{};  // if it was
  QueuedRequest queued;
  UpstreamConnection* upstream = nullptr;
  std::array<TargetState*, kMaxAttempts> tried{};
  bool has_connect_timed_out = false;  // then no target is tried twice
  bool any_sent = false;
  bool is_request_staged = false;  // all of it
  bool is_upload_stopped = false;
  Buffer request_head;  // as written for the target
  Gather to_upstream;
  std::unique_ptr<SplicePipe> request_pipe;  // while a large body passes through it

  // The response.
  Buffer response_in;
  http::ResponseParser response_parser;
  http::Framing response_framing;
  http::ChunkDecoder response_decoder;
  http::BodyKind client_body = http::BodyKind::kNone;  // how it is framed for the client
  uint64_t response_left = 0;
  uint32_t interim_responses = 0;
  bool has_response_bytes = false;
  bool has_response_head = false;
  bool is_response_staged = false;  // all of it
  bool is_switching = false;        // it is a 101: what follows is a tunnel
  bool is_upstream_reusable = false;
  bool must_not_pool = false;  // the request was one that a target may read in another way
  Buffer response_head;        // as written for the client, or an answer of our own
  Gather to_client;
  std::unique_ptr<SplicePipe> response_pipe;  // while a large body passes through it
  bool any_answered = false;                  // a byte of a final response went to the client

  std::string_view redirect_url;  // for the log; into request_head

  // The heads as they were sent to us; views into Session::in_ and response_in. Of their room for
  // fields little is used.
  http::RequestHead request;
  http::ResponseHead response;

  char request_chunk_head[http::kMaxChunkHeadBytes];
  char response_chunk_head[http::kMaxChunkHeadBytes];

  // What the rule's rewrites made of the request, and the block that holds it.
  Rewritten rewritten;
  Buffer rewritten_bytes;

  http::MessageFault fault;  // of a request or response that is odd, or was refused for what it is

  void Reset();
};

class Session final : public Connection, public UpstreamUser, public TunnelOwner {
 public:
  explicit Session(ClientWorker& worker);
  ~Session() override;

  // Serves a client's connection. `watched_by`: the loop watches it already, for that handler, and
  // bytes may wait in it.
  void Open(Transport transport, const PeerAddress& peer, std::shared_ptr<Listener> listener,
            IoHandler* watched_by = nullptr);
  // Serves the one request of a stream, which lives until its Finish was called. Then either drive
  // it, or refuse the request if it could not be made into text.
  void Open(ClientStream& stream, const PeerAddress& peer, std::shared_ptr<Listener> listener);
  void RefuseStream(http::Reason reason);

  void OnIo(uint32_t events) override;
  void OnUpstream() override { Drive(); }
  // Makes all progress that can be made now.
  void Drive();
  // Of a stream: bytes of the request have come.
  void OnStreamReadable();
  // Of a stream: the client has reset it, is gone, or has broken its request off.
  void OnStreamGone(http::Reason reason);
  // Of one that waits for a place: there may be one. True if it waits no more.
  bool OnPlaceFree();
  // What carries the request.
  const Transport& client_transport() const {
    return stream_ == nullptr ? transport_ : stream_->transport();
  }
  bool is_stream() const { return stream_ != nullptr; }

  void CloseWhenIdle() override;
  bool CloseIfIdle() override;
  void EndExchangeWith(const TargetState& target) override;
  TargetState* target() const override;
  void TargetLeaves(const TargetState& target) override;
  void TargetFell(const TargetState& target, bool is_gone) override;
  void EndUnanswered(const TargetState& target) override;
  void Abort() override;
  void OnTunnelEnd(TunnelEnd how) override;

 private:
  enum class Phase : uint8_t {
    kClosed,
    kIdle,
    kHead,
    kQueued,
    kConnecting,
    kForwarding,
    kAnswering,
    kTunnel,  // the tunnel runs by itself
    kLingering
  };

  // Each does what it can in its phase; true if the phase changed, so that Drive goes on.
  bool ReadHead();
  void BeginExchange();
  bool AwaitConnect();
  bool Forward();
  bool FlushAnswer();
  bool Linger();
  void ArmLinger();
  ssize_t Discard();

  // session.cc: the client's side.
  ssize_t ReceiveFromClient(size_t max_bytes);  // bytes, 0 at the end, -EAGAIN, or -errno
  bool GrowInput();
  bool TakeLeadingLine();
  bool BeginRequest();
  void TakeOddity(http::DesyncMode mode);
  bool DispatchRule();
  bool RewriteRequest();  // false: it makes something that may not be sent
  bool Answer(http::Reason reason);
  bool AnswerWith(const http::OwnAnswer& answer);
  ssize_t SendToClient();
  bool StageOwnAnswerOfStream(const http::OwnAnswer& answer);
  void FinishExchange();
  void PrepareNextRequest();
  bool BeginLinger();
  bool CloseNow();
  void OnTimer();
  void Arm(std::chrono::milliseconds timeout);
  bool MustClose() const;
  // Of a client that speaks TLS, else null.
  const tls::ConnectionInfo* ClientTls() const { return client_transport().tls_info(); }
  void DropExchange();
  // session_log.cc: one line of the access log for the exchange.
  void WriteLog();
  http::Verdict ClassifyExchange() const;
  void NoteFailedAttempt();
  std::chrono::milliseconds IdleTimeout() const;

  // session_balance.cc: what balancing asks of a request.
  void PreparePick();
  bool StartAttempt();
  Picked PickNext();
  bool MayTryNext();
  bool Enqueue();
  bool AwaitPlace();
  void NoteOutcome(bool is_failure);
  void LeaveQueue();

  // session_sticky.cc: staying with a target.
  GroupState* ChooseGroup(const ForwardAction& forward);
  void ReadTargetCookie(const StickinessSpec& spec);
  bool OpenCookie(std::string_view name, StickyClaim::Kind kind, StickyClaim& claim);
  void AddStickyCookies();
  void SetStickyCookie(std::string_view name, std::chrono::seconds duration, StickyClaim claim);

  // session_forward.cc: the way to the target.
  bool BeginAttempt(const Picked& picked);
  bool BeginSending();
  bool FailAttempt(http::Reason reason, bool is_connect_failure);
  void BlameTarget(http::Reason reason);
  bool IsUploadAwaited() const;
  void ReleaseUpstream(bool reuse);
  enum class Pump : uint8_t { kBlocked, kProgress, kEnded };  // kEnded: the phase changed
  Pump PumpRequest();
  bool IsTargetBehind() const;
  void StopUpload();
  void StageBody();
  void DecodeBody(size_t raw_bytes);
  bool MayAwaitContinue() const;
  bool AwaitsBody() const;
  bool IsUploadOver() const;
  void ArmForwarding();
  bool IsUploadInTime();
  bool OnForwardingTimer();

  // session_response.cc: the way back.
  Pump PumpResponse();
  Pump ReceiveResponse();
  Pump TakeResponseHead();
  Pump PassInterim();
  Pump StartResponse();
  Pump StageResponseHead(const http::ResponseStyle& style);
  Pump StageResponseBody();
  Pump EndResponse();
  // session_fault.cc: messages that are refused for what they are.
  bool RefuseHead();
  void NoteBadRequest(http::Reason reason);
  void NoteDroppedField();
  Pump RefuseResponse(http::Reason rule, const http::BadHead& bad);
  // session_splice.cc
  bool TakeRequestPipe();
  Pump SpliceRequest();
  bool TakeResponsePipe();
  Pump SpliceResponse();
  Pump FailResponse(http::Reason reason);

  // session_tunnel.cc: after a 101.
  Pump TakeSwitch();
  Pump BeginTunnel();
  void ScheduleGoodbye(const TargetState& target);
  void EndTunnel(http::Reason reason);
  void RecallExchange();

  Transport transport_;             // not open for a stream
  ClientStream* stream_ = nullptr;  // null for a connection
  Phase phase_ = Phase::kClosed;
  bool is_readable_ = false;
  bool is_hung_up_ = false;  // FIN or error seen
  bool close_when_idle_ = false;
  bool close_after_ = false;   // after the answer under way
  bool linger_after_ = false;  // and read on a while
  bool is_answered_ = false;   // the answer under way left as a whole
  bool owes_goodbye_ = false;  // lingering: TLS's end is not sent yet
  uint8_t leading_bytes_ = 0;  // of an empty line (CR LF) that came before a request
  uint32_t requests_ = 0;
  uint64_t lingered_bytes_ = 0;
  SteadyTime linger_end_{};
  Buffer in_;
  Exchange* exchange_ = nullptr;
  std::unique_ptr<UpgradedSession> upgraded_;  // in the phase kTunnel, instead of exchange_
  Timer timer_;
};

}  // namespace remuda::proxy
