// ImageReplicator: keeps a standby's images like the leader's: fetches what it is told to hold,
// sends what the leader has not.
//
// Owns: the call to the leader, its threads, the downloads under way. Does not own: the bytes
// (Blobs), who leads. What it holds it keeps, until it is told what is needed and some of it is
// not. Threads: one for the call, and kWorkers while there is one, which block.
#pragma once

#include <absl/status/status.h>
#include <absl/time/time.h>
#include <grpcpp/client_context.h>
#include <grpcpp/security/credentials.h>

#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <thread>

#include "controller/images/blobs.h"
#include "controller/images/task_thread.h"

namespace remuda {

class ImageReplicator {
 public:
  struct Options {
    std::string controller;  // this one's name, that of its identity
    std::shared_ptr<grpc::ChannelCredentials> credentials;
    Blobs& blobs;  // touched on blob_thread; both outlive this
    TaskThread& blob_thread;
    // A call that has ended is made anew after the first pause, longer each time, with jitter.
    absl::Duration first_pause = absl::Milliseconds(200);
    absl::Duration longest_pause = absl::Seconds(5);
  };
  // What the leader wants at once: one image that it has found lacking, one that it lacks itself,
  // the others are pushes.
  static constexpr int kWorkers = 6;
  static constexpr size_t kMaxJobs = 1024;
  // One download is tried so often, each for so long; what came goes on from there the next time.
  static constexpr int kFetchAttempts = 4;
  static constexpr absl::Duration kFetchAttempt = absl::Seconds(60);
  static constexpr absl::Duration kFetchPause = absl::Milliseconds(500);
  // Begun downloads that are kept for the next call.
  static constexpr size_t kMaxBegun = 8;
  // Digests of one hello; the rest is said one by one.
  static constexpr size_t kMaxHelloDigests = 50'000;
  static constexpr size_t kChunkBytes = size_t{256} << 10;

  explicit ImageReplicator(Options options);
  ImageReplicator(const ImageReplicator&) = delete;
  ImageReplicator& operator=(const ImageReplicator&) = delete;
  ~ImageReplicator();  // ends what is under way, and waits for it

  // "ADDRESS:PORT" of who leads; not set: nobody does. Any thread.
  void SetLeader(std::optional<std::string> address);
  // The digests that the state names, as far as it is known here: others that are older than
  // Blobs::kCollectGrace are removed. `now`: see Blobs::Collect. Any thread.
  void SetNeeded(std::set<std::string> digests,
                 Blobs::FileClock::time_point now = Blobs::FileClock::now());

 private:
  class Session;

  void Run();
  // One call, from hello to its end. `was_well`: the leader took the hello.
  absl::Status Replicate(const std::string& address, bool& was_well);
  // What an earlier download of it has left; null: nothing.
  std::unique_ptr<Blobs::Upload> TakeBegun(const std::string& digest);
  void KeepBegun(const std::string& digest, std::unique_ptr<Blobs::Upload> upload);
  // Waits before the next call; false: it is to stop.
  bool Pause(absl::Duration pause, const std::string& address);

  const Options options_;
  std::mutex mutex_;  // guards what follows
  std::condition_variable changed_;
  std::optional<std::string> leader_;
  bool stopping_ = false;
  Session* session_ = nullptr;  // the one under way
  // By digest: what is left of downloads.
  std::map<std::string, std::unique_ptr<Blobs::Upload>> begun_;
  std::thread thread_;  // last: it uses the others
};

}  // namespace remuda
