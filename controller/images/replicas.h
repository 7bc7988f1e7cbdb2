// Replicas: which controllers hold the bytes of which image, as the one that leads sees it.
//
// Owns: the standbys that are connected and what each holds, what waits for copies, what is missing
// here and is asked for. Does not own: the bytes (Blobs), which of them are needed (the state).
// What a standby holds counts while it is connected, and no longer.
//
// Times are arguments; who calls has Check called every kCheckPeriod. Thread: the blob thread.
#pragma once

#include <absl/status/status.h>
#include <absl/time/time.h>

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "controller/images/blobs.h"
#include "remuda/controller/v1/peer.pb.h"

namespace remuda {

// A standby's call, as Replicas sees it.
class ReplicaStream {
 public:
  virtual ~ReplicaStream() = default;
  virtual void Send(controller::v1::ReplicateImagesResponse message) = 0;
  // Ends the call, once; OnClosed is not called for it.
  virtual void Close(const absl::Status& status) = 0;
};
using ReplicaStreamPtr = std::shared_ptr<ReplicaStream>;

class Replicas {
 public:
  struct Options {
    std::string self;  // this controller's name: it is no standby of its own
    int copies = 1;    // how many controllers must hold what is pushed, this one included
    // No other controller keeps images of its own: nobody is waited for.
    bool is_alone = true;
  };
  // A wait for copies ends when for so long no byte of the image has come to a standby.
  static constexpr absl::Duration kReplicaTimeout = absl::Seconds(60);
  // Or when for so long too few standbys are connected and able.
  static constexpr absl::Duration kTooFewWait = absl::Seconds(15);
  // And in any case after.
  static constexpr absl::Duration kLongestWait = absl::Minutes(55);
  // A download of what is missing here waits so long for its bytes.
  static constexpr absl::Duration kBytesWait = absl::Seconds(20);
  // What a standby could not do it is asked for again after, and later each time, unless a push
  // waits for it.
  static constexpr absl::Duration kRetryAfter = absl::Seconds(5);
  static constexpr absl::Duration kLongestRetryAfter = absl::Minutes(5);
  // A new call must say hello within.
  static constexpr absl::Duration kHelloTimeout = absl::Seconds(10);
  // A standby that sends nothing of what it was asked for is asked for something else after.
  static constexpr absl::Duration kSendTimeout = absl::Seconds(30);
  static constexpr absl::Duration kCheckPeriod = absl::Seconds(1);
  // Calls of standbys, the greeting ones included.
  static constexpr size_t kMaxStreams = 64;
  // Digests that one standby holds.
  static constexpr size_t kMaxDigests = 200'000;
  static constexpr size_t kMaxChunkBytes = size_t{256} << 10;
  static constexpr size_t kMaxErrorBytes = 1024;

  // `blobs` outlives it.
  Replicas(Options options, Blobs& blobs);
  Replicas(const Replicas&) = delete;
  Replicas& operator=(const Replicas&) = delete;

  // What the state names: digests with their sizes (0: not known). All of it, or one more.
  void SetNeeded(std::map<std::string, int64_t> needed);
  void Need(const std::string& digest, int64_t size_bytes);
  bool IsNeeded(const std::string& digest) const { return needed_.contains(digest); }

  using Done = std::function<void(const absl::Status&)>;
  // Calls `done` once: OK when as many controllers as are wanted hold it, this one among them;
  // UNAVAILABLE (reason IMAGE_COPIES) with who does not, and why. Answers the wait; 0: it is over
  // already.
  uint64_t AwaitCopies(const std::string& digest, int64_t size_bytes, absl::Time now, Done done);
  // Calls `done` once: OK when the bytes of what is needed are here; UNAVAILABLE (reason
  // IMAGE_BYTES) when they are not in time; NOT_FOUND for what is not needed. As AwaitCopies.
  uint64_t AwaitBytes(const std::string& digest, absl::Time now, Done done);
  // Its `done` is not called any more. One that is over is no error.
  void Forget(uint64_t wait);

  // The bytes here are not those of `digest`, as `reader` has found, or cannot be read. Where
  // another controller is connected that holds them, they are removed here, and asked for. Answers
  // what to tell whoever wanted them.
  absl::Status OnLost(const std::string& digest, const Blobs::Reader& reader, absl::Time now);

  // A reader of FetchImage that is a controller has got the bytes up to `offset`.
  void OnFetched(const std::string& reader, const std::string& digest, int64_t offset,
                 absl::Time now);

  // Of a standby's call. `name`: of its identity; empty: there are no identities.
  void OnOpened(ReplicaStreamPtr stream, std::string name, absl::Time now);
  void OnMessage(const ReplicaStreamPtr& stream,
                 const controller::v1::ReplicateImagesRequest& message, absl::Time now);
  void OnClosed(const ReplicaStreamPtr& stream, absl::Time now);

  // Ends what has lasted too long, and asks again for what has failed.
  void Check(absl::Time now);
  // Closes all calls, fails all waits, and takes no more.
  void Stop();

  // For pages and tests.
  size_t standbys() const { return standbys_.size(); }
  size_t copy_waits() const { return copy_waits_.size(); }
  size_t missing() const { return missing_.size(); }
  struct Counts {
    int64_t standbys = 0;       // connected ones
    int64_t missing = 0;        // of what is needed: not here
    int64_t few_copies = 0;     // held by fewer controllers than are wanted
    int64_t copies_behind = 0;  // that the standbys have yet to make
  };
  Counts Count();
  // How many controllers hold it, this one not counted.
  size_t HoldersOf(const std::string& digest) const;
  // Why that standby could not do what it was asked to with it; empty: nothing is known.
  std::string FailureOf(const std::string& controller, const std::string& digest) const;

 private:
  struct Failure {
    std::string why;
    absl::Time at;
    absl::Duration pause = absl::ZeroDuration();  // until it is asked again
  };
  // Bytes that a standby sends.
  struct Arrival {
    std::string digest;
    std::unique_ptr<Blobs::Upload> upload;
    absl::Time moved;
  };
  struct Standby {
    std::string name;
    ReplicaStreamPtr stream;
    // What it has said that it holds, as long as something names that: the rest it collects.
    std::set<std::string> held = {};
    std::set<std::string> lacking = {};          // of what is needed: to be told, one by one
    std::optional<std::string> telling = {};     // the one of them that it is at
    std::optional<Arrival> arrival = {};         // what it sends
    std::map<std::string, Failure> failed = {};  // what it could not do
  };
  struct Greeting {
    ReplicaStreamPtr stream;
    std::string name;
    absl::Time since;
  };
  struct CopyWait {
    std::string digest;
    int64_t size_bytes;
    absl::Time begun;
    absl::Time moved;                        // the last sign of a copy on its way
    std::optional<absl::Time> too_few;       // since when
    std::map<std::string, int64_t> reached;  // how far each reader has come
    Done done;
  };
  struct ByteWait {
    std::string digest;
    absl::Time until;
    Done done;
  };
  using Stream = const ReplicaStream*;

  void Hello(const Greeting& greeting, const controller::v1::ReplicaHello& hello, absl::Time now);
  // Each answers what was wrong with the message.
  absl::Status TakeHeld(Standby& standby, const std::string& digest, absl::Time now);
  absl::Status TakeError(Standby& standby, const controller::v1::ReplicaError& error,
                         absl::Time now);
  absl::Status TakeChunk(Standby& standby, const controller::v1::ImageChunk& chunk, absl::Time now);
  // All of an arrival has come.
  void Complete(Standby& standby, absl::Time now);
  static void NoteFailure(Standby& standby, const std::string& digest, std::string why,
                          absl::Time now);
  void GiveUp(Standby& standby, const std::string& why, absl::Time now);
  void BytesAreHere(const std::string& digest);
  // What is needed and here and not there.
  void FindLacking(Standby& standby);
  void TellNext(Standby& standby);
  void AskNext(Standby& standby, absl::Time now);
  void AskAll(absl::Time now);
  void SendHold(Standby& standby, const std::string& digest, int64_t size_bytes);
  void CloseStandby(Stream stream, const absl::Status& status, absl::Time now);
  // Ends the waits that have what they wait for.
  void LookAtWaits(absl::Time now);
  bool HasEnough(CopyWait& wait, absl::Time now);
  // Whether a push waits for copies of it.
  bool IsAwaited(const std::string& digest) const;
  absl::Status TooFew(const CopyWait& wait) const;
  absl::Status NotHere(const std::string& digest) const;
  void Retry(Standby& standby, absl::Time now);

  const Options options_;
  Blobs& blobs_;
  std::map<std::string, int64_t> needed_;
  std::set<std::string> missing_;  // needed, and not here
  std::map<Stream, Greeting> greetings_;
  std::map<Stream, Standby> standbys_;
  uint64_t last_wait_ = 0;
  std::map<uint64_t, CopyWait> copy_waits_;
  std::map<uint64_t, ByteWait> byte_waits_;
  absl::Time now_ = absl::InfinitePast();  // as last said
  std::optional<Counts> counts_;           // not set: something has changed
  bool is_stopped_ = false;
};

}  // namespace remuda
