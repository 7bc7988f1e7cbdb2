// Copies of requests, sent once to a target that their own does not go to (mirroring). A copy is
// made while the request passes, and sent apart from it once it is whole, at the end of the loop's
// turn; what becomes of it changes nothing for the request. Its answer is read up to a bound and
// thrown away. It is never repeated, and counts nowhere but as mirrored: not in the target's
// requests in flight, its load, its health or its ejection.
//
// A drain does not wait for copies: those to a target that leaves are dropped when the worker
// adopts the table that says so, before that is acknowledged.
//
// Owns: the copies, and the streams that carry them. Thread: its worker's.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "proxy/core/picker.h"
#include "proxy/exchange/body_pipe.h"
#include "proxy/http/framing.h"
#include "proxy/http/head_parser.h"
#include "proxy/io/buffer_pool.h"
#include "proxy/io/event_loop.h"
#include "proxy/target/target_stream.h"

namespace remuda::proxy {

struct AdoptedTable;
struct LeavingTarget;
class WorkerContext;
class Mirrors;

// Of a worker, from the head of a request to the end of the copy's answer. What finds no room is
// not mirrored.
inline constexpr size_t kMaxCopies = 64;
inline constexpr size_t kMaxCopiedBytes = 8 * 1024 * 1024;
// Of an answer is read: then its connection is closed.
inline constexpr uint64_t kMaxCopyAnswerBytes = 1024 * 1024;
// From the connect to the end of the answer.
inline constexpr std::chrono::seconds kCopyTimeout{10};

class RequestCopy final : public UpstreamUser {
 public:
  explicit RequestCopy(Mirrors& mirrors);

  // Takes bytes of the request behind those before; there is room for as many as were asked for.
  void Add(std::string_view bytes);
  // The same of what `write` writes to the room that it is given, and whose size it returns; false
  // if that is 0.
  template <typename Write>
  bool AddBy(Write write) {
    const size_t size = write(bytes_.get() + size_, capacity_ - size_);
    size_ += size;
    return size > 0;
  }

  void OnUpstream() override { Drive(); }

 private:
  friend class Mirrors;
  enum class Phase : uint8_t { kMade, kConnecting, kForwarding };
  enum class Outcome : uint8_t { kDropped, kAnswered, kFailed };

  void Start();
  void Drive();
  bool Send();
  // False: it is over.
  bool Receive();
  bool TakeAnswer();
  bool TakeHead();
  bool GrowInput();
  // Always false.
  bool End(Outcome outcome, bool may_reuse = false);

  Mirrors& mirrors_;
  RequestCopy** holder_ = nullptr;  // whoever makes it, as long as it is not whole
  bool is_used_ = false;
  Phase phase_ = Phase::kMade;
  TargetState* target_ = nullptr;
  SubsetState* subset_ = nullptr;
  AdoptedTable* table_ = nullptr;  // pinned: the target is of it
  std::string host_;
  std::string greeting_;
  bool may_pool_ = false;
  http::Method method_{};
  http::ChunkTolerance tolerance_;

  std::unique_ptr<char[]> bytes_;
  size_t capacity_ = 0;
  size_t size_ = 0;
  Gather unsent_;
  TargetStream* stream_ = nullptr;
  Timer timer_;

  Buffer input_;
  uint64_t answer_bytes_ = 0;
  http::ResponseParser parser_;
  http::ResponseHead head_;
  http::Framing framing_;
  BodyPipe body_;
};

class Mirrors final : private TurnEndHandler {
 public:
  explicit Mirrors(WorkerContext& worker) : worker_(worker) {}
  Mirrors(const Mirrors&) = delete;
  Mirrors& operator=(const Mirrors&) = delete;
  ~Mirrors() override;

  struct Wanted {
    const Picked& picked;            // PickMirror
    size_t bytes;                    // of head and body, at most
    std::string_view host;           // see TargetStreams::Wanted
    std::string greeting;            // see there
    bool may_pool;                   // other requests may follow it on its connection
    http::Method method;             // of the request
    http::ChunkTolerance tolerance;  // of the group
    bool takes_bare_lf;
  };
  // Begins one in `holder`, which is made null when it is whole or dropped. False: there is no
  // room.
  bool Begin(const Wanted& wanted, RequestCopy*& holder);
  // It is whole, or will not be.
  void Send(RequestCopy& copy);
  void Drop(RequestCopy& copy) { copy.End(RequestCopy::Outcome::kDropped); }

  void DropThoseTo(const std::vector<LeavingTarget>& leaving);
  void DropAll();

 private:
  friend class RequestCopy;
  void OnTurnEnd() override;

  WorkerContext& worker_;
  std::vector<std::unique_ptr<RequestCopy>> copies_;  // used or not: at most kMaxCopies
  std::vector<RequestCopy*> ready_;                   // to be sent at the end of the turn
  size_t used_ = 0;
  size_t held_bytes_ = 0;
};

}  // namespace remuda::proxy
