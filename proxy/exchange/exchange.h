// One request and its response: what the rule that it meets says is done with it, the attempts at
// targets, and both bodies on their way. A state machine without I/O of its own: events come in by
// calls, bytes come and go through a ClientStream and a TargetStream, time is the loop's, and Drive
// makes all progress that can be made and says what comes next. Bytes wait in bounded blocks, and a
// side is read only when the other has taken what was read before (backpressure).
//
//   kHead --> kActing --> kConnecting --> kForwarding --> kOver
//               ^  |           |  (failed, may be repeated)  |
//               |  v           v                             +--> kSwitched (a tunnel)
//          kSuspended       kActing
//   and from each to kAnswering (an answer of our own) --> kOver
//
// Owned by its client's side, which drives it. Thread: its worker's. Exchanges are reused; a
// request allocates nothing in the steady state.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "proxy/core/picker.h"
#include "proxy/core/rewritten.h"
#include "proxy/exchange/body_pipe.h"
#include "proxy/exchange/client_stream.h"
#include "proxy/exchange/entrance.h"
#include "proxy/exchange/exchange_record.h"
#include "proxy/exchange/stickiness.h"
#include "proxy/http/framing.h"
#include "proxy/http/head_parser.h"
#include "proxy/http/message_fault.h"
#include "proxy/io/buffer_pool.h"
#include "proxy/io/socket.h"
#include "proxy/target/target_stream.h"

namespace remuda::proxy {

struct BalancerSlot;
class RequestCopy;
class WorkerContext;

// How far the target's response is.
enum class ResponseProgress : uint8_t {
  kAwaited,    // no byte of it has come
  kBegun,      // some have: the request is not repeated any more
  kBody,       // the final head was taken; its body follows
  kSwitching,  // it is a 101: what follows is a tunnel
};

// How the client's side goes on when the exchange is over.
struct ExchangeEnd {
  bool is_whole = false;  // the response left as a whole
  // Not whole, and the client would take the end of its connection for that of the body.
  bool is_cut_unseen = false;
  bool close = false;   // no request can follow on the connection
  bool linger = false;  // and what still comes is read on for a while
};

// What a tunnel goes on with.
struct Upgrade {
  ExchangeRecord record;  // the target is in flight, the tables are pinned
  std::string head;       // the request's, for the log
  UpstreamConnection* upstream = nullptr;
  bool is_websocket = false;
  Buffer from_client, from_target;  // what came behind the heads
};

// Big, so a client holds one only while a request is under way. What every request touches comes
// first and close together: most of its cost is cache misses.
class Exchange final : public UpstreamUser, public Waiter {
 public:
  // Whose request it is. All outlives the exchange.
  struct Origin {
    ClientStream* client = nullptr;
    const PeerAddress* peer = nullptr;
    const Entrance* entrance = nullptr;
    uint64_t connection_id = 0;
  };

  explicit Exchange(WorkerContext& worker) : worker_(worker) {}
  Exchange(const Exchange&) = delete;
  Exchange& operator=(const Exchange&) = delete;
  ~Exchange() override = default;

  // The first byte of a request has come.
  void Open(const Origin& origin);
  // What came of the request and behind it; the client's side fills it until the head is whole.
  Buffer& input() { return input_; }
  // Makes room for more of a head. False: there is no more, the request is refused.
  bool GrowInput();
  // Takes the head if it is whole. kDone: it has, kError: it was refused; then it is to be driven.
  http::ParseStatus TakeHead();
  // Refuses the request: its head cannot be had.
  void Refuse(http::Reason reason) { Answer(reason); }

  enum class Next : uint8_t {
    kWait,    // for an event, or for the deadline
    kTunnel,  // the client has the target's 101: TakeUpgrade
    kOver,    // Finish
  };
  Next Drive();
  // Until when it waits.
  SteadyTime deadline() const { return deadline_; }

  // Events; to be driven afterwards. The deadline has passed:
  void OnTimer();
  // The client has ended its sending side, or broken off.
  void OnClientLeft() { has_client_left_ = true; }
  // Nobody is left to be answered.
  void Cut(http::Reason reason);
  // The deregistration delay of its target is over.
  void OnDrainTimeout();
  // See Connection::TargetFell.
  void OnTargetFell(bool is_gone);
  // See Connection::EndUnanswered.
  void OnTargetGone();

  // It waits for a first target: nothing more of it is wanted now.
  bool is_held() const { return is_held_; }
  // The response has left as a whole.
  bool is_whole() const { return end_.is_whole; }
  // With which it is in flight, or null.
  TargetState* target() const { return record_.in_flight.target(); }

  // It goes on as a tunnel; it is over then.
  void TakeUpgrade(Upgrade& out);
  // A tunnel is over: an exchange again, that is at its end.
  void TakeBack(const Upgrade& upgrade, uint64_t received_bytes, uint64_t sent_bytes);
  // Logs, and gives back what it holds, whatever it is at; but for its input: what is left in there
  // is behind its request.
  ExchangeEnd Finish();

  // Of TargetStream and WaitQueue.
  void OnUpstream() override { origin_.client->Wake(); }
  bool OnPlaceFree() override;

 private:
  enum class Phase : uint8_t {
    kHead,
    kActing,
    kSuspended,
    kConnecting,
    kForwarding,
    kAnswering,
    kSwitched,
    kOver
  };
  // What a rule says is done, one after the other.
  enum class Action : uint8_t {
    kChooseGroup,
    kRewrite,
    kPreparePick,
    kTakePlace,
    kOpenTarget,
    kAnswerFixed,
    kAnswerRedirect
  };
  static constexpr Action kForwardChain[] = {Action::kChooseGroup, Action::kRewrite,
                                             Action::kPreparePick, Action::kTakePlace,
                                             Action::kOpenTarget};
  static constexpr Action kFixedChain[] = {Action::kAnswerFixed};
  static constexpr Action kRedirectChain[] = {Action::kAnswerRedirect};
  // What comes of one.
  enum class Acted : uint8_t {
    kDone,       // the next one follows
    kSuspended,  // something is waited for: Resume
    kElsewhere   // the phase says what follows
  };
  enum class Pump : uint8_t { kBlocked, kProgress, kEnded };  // kEnded: the phase changed

  void Reset();
  // Each does what it can in its phase; true if the phase changed.
  bool AwaitConnect();
  bool Forward();
  bool FlushAnswer();

  // exchange.cc
  void BeginRequest();
  void TakeOddity(http::DesyncMode mode);
  void SetDeadline(std::chrono::milliseconds timeout);
  std::chrono::milliseconds IdleTimeout() const;
  bool MustClose() const { return end_.close || origin_.client->is_last(); }
  BalancerSlot& traffic() const;
  Stickiness::Cookies Cookies();
  void OnForwardingTimer();

  // exchange_actions.cc: what the rule says is done, one action after the other.
  void BeginActions();
  void RunActions();
  Acted Suspend(SteadyTime until, http::Reason if_not_resumed);
  void Resume();
  Acted ChooseGroup();
  Acted Rewrite();
  Acted PreparePick();
  Acted TakePlace();
  Acted OpenTarget();
  Acted AnswerFixed();
  Acted AnswerRedirect();
  bool MustQueue() const;
  Acted Enqueue();
  void LeaveQueue();
  Acted TakePicked(const Picked& picked);
  Picked PickNext();
  bool MayTryNext();
  bool BeginAttempt(const Picked& picked);

  // exchange_hold.cc: waiting for a first target.
  const HoldSpec* FindHold() const;
  const HoldSpec* HoldFor(const Picked& picked);
  uint64_t UnsentBodyBytes() const;
  Acted Hold(const HoldSpec& hold);
  bool HoldBehind();
  bool MayBeginHold() const;
  bool PushHeld(const HoldSpec& hold);
  void LeaveHold();
  bool LookForTarget();
  void CountHeldBytes();
  std::string_view WriteRetryAfter(http::Reason reason, std::span<char> room) const;

  // exchange_own_answer.cc: answers of our own.
  void Answer(http::Reason reason);
  void AnswerWith(const http::OwnAnswer& answer);

  // exchange_attempt.cc: an attempt at a target, and the request on its way.
  void BeginSending();
  http::ForwardedInfo ForwardedTo(const TargetState& target);
  size_t ForwardedHeadBytes() const;
  void FailAttempt(http::Reason reason, bool is_connect_failure);
  void BlameTarget(http::Reason reason);
  void NoteOutcome(bool is_failure);
  void ReleaseTarget(bool may_reuse);
  Pump PumpRequest();
  Pump SpliceRequest();
  void StopUpload();
  void StageUpload();
  void DecodeUpload(size_t raw_bytes);
  bool IsUploadAwaited() const;
  bool MayAwaitContinue() const;
  bool AwaitsBody() const;
  // All of the request is with the target.
  bool IsUploadOver() const { return upload_.is_staged() && !upload_.is_sink_behind(); }
  void ArmForwarding();
  bool IsUploadInTime();

  // exchange_mirror.cc: a copy of the request.
  void BeginMirror(const SubsetState* taken_by);
  void FeedCopy(std::string_view body);

  // exchange_response.cc: the way back.
  Pump PumpResponse();
  Pump ReceiveResponse();
  Pump TakeResponseHead();
  Pump PassInterim();
  Pump StartResponse();
  void CountResponse();
  Pump TakeSwitch();
  Pump StageResponseHead(const http::ResponseStyle& style);
  Pump StageResponseBody();
  Pump SpliceResponse();
  Pump EndResponse();
  Pump FailResponse(http::Reason reason);
  bool has_response_head() const { return progress_ >= ResponseProgress::kBody; }

  // exchange_fault.cc: messages that are refused for what they are.
  void RefuseHead();
  void NoteBadRequest(http::Reason reason);
  void NoteDroppedField();
  Pump RefuseResponse(http::Reason rule, const http::BadHead& bad);
  // exchange_log.cc: one line of the access log.
  void WriteLog();
  http::Verdict Classify() const;
  void NoteFailedAttempt();

  WorkerContext& worker_;
  Origin origin_;
  Phase phase_ = Phase::kHead;
  ResponseProgress progress_ = ResponseProgress::kAwaited;
  bool has_client_left_ = false;
  // A byte of a response went to the client, or cannot be taken back: no other answer may follow.
  bool is_bound_ = false;
  ExchangeEnd end_;
  SteadyTime deadline_{};
  TargetStream* stream_ = nullptr;
  ExchangeRecord record_;

  // The request: its head and what is decoded of its body lie at [0, body_end_) of the input, of
  // which [head_size_, body_end_) is body; the next request follows.
  Buffer input_;
  http::RequestParser parser_;
  http::Framing framing_;
  size_t head_size_ = 0;
  size_t body_end_ = 0;
  size_t body_staged_ = 0;      // staged for the target up to here
  bool is_body_held_ = true;    // all of it that was sent is still in the input: may be sent again
  bool must_not_pool_ = false;  // the request is one that a target may read in another way
  BodyPipe upload_;
  RequestCopy* copy_ = nullptr;  // as long as it is not whole
  uint64_t rate_bytes_ = 0;      // received at the last look at the upload's rate
  SteadyTime rate_check_{};      // when to look again; zero: nobody waits for the upload
  SteadyTime last_progress_{};   // while it is forwarded

  // The rule's actions.
  std::span<const Action> actions_;
  uint8_t action_ = 0;        // the one that is under way
  uint8_t retry_action_ = 0;  // with which another attempt begins
  bool was_queued_ = false;
  bool is_held_ = false;  // waits for a first target
  bool was_held_ = false;
  http::Reason unresumed_{};     // suspended: what is answered if nothing resumes it
  SteadyTime queue_deadline_{};  // if it was queued
  SteadyTime hold_deadline_{};   // if it was held
  uint64_t held_bytes_ = 0;      // while it is held: of its body

  // The attempt.
  bool any_sent_ = false;
  bool has_connect_timed_out_ = false;  // then no target is tried twice
  bool may_reuse_ = false;              // the connection to the target, as far as is known
  PickRequest pick_;                    // what the picks of all attempts have in common
  std::array<TargetState*, kMaxAttempts> tried_{};
  http::ChunkTolerance tolerance_;  // of the group, for its targets' answers
  Stickiness sticky_;
  Buffer request_head_;  // as written for the target

  // The response.
  Buffer response_in_;
  http::ResponseParser response_parser_;
  http::Framing response_framing_;
  uint32_t interim_responses_ = 0;
  Buffer response_head_;  // as written for the client, or an answer of our own
  BodyPipe download_;

  std::string_view redirect_url_;  // for the log; into request_head_

  // The heads as they were sent to us; views into input_ and response_in_. Of their room for fields
  // little is used.
  http::RequestHead request_;
  http::ResponseHead response_;

  // What the rule's rewrites made of the request, and the block that holds it.
  Rewritten rewritten_;
  Buffer rewritten_bytes_;

  http::MessageFault fault_;  // of a request or response that is odd, or was refused for what it is
};

}  // namespace remuda::proxy
