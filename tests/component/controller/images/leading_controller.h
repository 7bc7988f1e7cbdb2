// A controller that leads, in this process: as main.cc wires it, on port 0, without identities. And
// one that stands by. For *_test.cc of this folder.
#pragma once

#include <grpcpp/create_channel.h>
#include <grpcpp/security/credentials.h>
#include <gtest/gtest.h>

#include <atomic>
#include <filesystem>
#include <future>
#include <memory>
#include <string>
#include <utility>

#include "controller/api/image_upkeep.h"
#include "controller/api/server.h"
#include "controller/certificate_reader.h"
#include "controller/engine/commit_thread.h"
#include "controller/images/image_replicator.h"
#include "controller/store/sqlite_store.h"

namespace remuda {

// Blobs in a directory, and their thread.
class BlobPlace {
 public:
  explicit BlobPlace(const std::string& directory)
      : directory_(directory),
        blobs_(*Blobs::Open({.directory = directory, .max_blob_bytes = 64 << 20}, total_)) {}
  ~BlobPlace() { thread_.Stop(); }
  BlobPlace(const BlobPlace&) = delete;
  BlobPlace& operator=(const BlobPlace&) = delete;

  Blobs& blobs() { return *blobs_; }
  TaskThread& thread() { return thread_; }
  // Answers what `fn` does on the thread.
  template <class Fn>
  auto On(Fn fn) {
    std::promise<decltype(fn())> done;
    thread_.Post([&] { done.set_value(fn()); });
    return done.get_future().get();
  }
  // Of a digest. Any thread.
  std::filesystem::path PathOf(const std::string& digest) const { return blobs_->PathOf(digest); }
  bool Has(const std::string& digest) const { return std::filesystem::exists(PathOf(digest)); }

 private:
  const std::string directory_;
  std::atomic<int64_t> total_ = 0;
  std::unique_ptr<Blobs> blobs_;
  TaskThread thread_;
};

class LeadingController {
 public:
  // The state lies in `directory`, which another one may have led from before.
  LeadingController(const std::string& directory, BlobPlace& place, int copies,
                    std::string name = "a")
      : place_(place),
        store_(*SqliteStore::Open(
            {.path = directory + "/state.db", .sealing_key_file = directory + "/sealing.key"})),
        leadership_(*store_->Campaign()),
        replicas_({.self = std::move(name), .copies = copies, .is_alone = false}, place.blobs()),
        backups_({.data_directory = directory,
                  .state_file = directory + "/state.db",
                  .sealing_key_file = directory + "/sealing.key",
                  .sealed_files = {}},
                 place.blobs(), place.thread()),
        loop_(clock_, metrics_),
        committer_(*store_, leadership_.epoch, loop_),
        controller_({.identity = {leadership_.cluster_id, leadership_.epoch, leadership_.secret},
                     .engine = {.state = Load(*store_, leadership_.commit),
                                .patience = {},
                                .read_certificate = &ReadCertificate,
                                .on_leadership_lost = nullptr},
                     .version = "test",
                     .leads = [this] { return leads_.load(); }},
                    clock_, committer_, loop_, metrics_) {
    const BlobWorker worker{place.blobs(), place.thread(), checker_, keys_, &replicas_};
    CollectBlobs(controller_, worker);
    KeepBlobs(controller_, worker);
    loop_.Start([this] { return controller_.Turn(); });
    Endpoint endpoint;
    ParseEndpoint("127.0.0.1:0", endpoint);
    server_ =
        *Server::Start(endpoint, kMaxDescriptors, controller_, worker, {backups_, backup_thread_});
  }
  ~LeadingController() {
    loop_.Post([this] { controller_.CloseStreams(); });
    server_->Stop(absl::ZeroDuration());
    committer_.Stop();
    loop_.Stop();
    checker_.Stop();
    backup_thread_.Stop();
    // What is left of calls refers to what goes now.
    place_.On([] { return true; });
  }
  LeadingController(const LeadingController&) = delete;
  LeadingController& operator=(const LeadingController&) = delete;

  const std::string& address() const { return server_->address(); }
  std::shared_ptr<grpc::Channel> Channel() const {
    return grpc::CreateChannel(address(), grpc::InsecureChannelCredentials());
  }
  size_t standbys() {
    return place_.On([this] { return replicas_.standbys(); });
  }
  size_t HoldersOf(const std::string& digest) {
    return place_.On([&] { return replicas_.HoldersOf(digest); });
  }
  size_t copy_waits() {
    return place_.On([this] { return replicas_.copy_waits(); });
  }
  const Metrics& metrics() const { return metrics_; }
  // From now on another controller may lead, as far as it knows.
  void Depose() { leads_ = false; }
  // What the loop has been given is done, and what comes of that on the blob thread.
  void Settle() {
    std::promise<void> done;
    loop_.Post([&done] { done.set_value(); });
    done.get_future().wait();
    place_.On([] { return true; });
  }
  std::string FailureOf(const std::string& standby, const std::string& digest) {
    return place_.On([&] { return replicas_.FailureOf(standby, digest); });
  }

 private:
  static constexpr size_t kMaxDescriptors = 512;
  static core::State Load(Store& store, int64_t commit) {
    core::State state;
    EXPECT_TRUE(store
                    .Load([&](core::Kind kind, std::string_view key, std::string_view value,
                              int64_t number) { return state.Load(kind, key, value, number); })
                    .ok());
    state.SetCommit(commit);
    return state;
  }

  std::atomic<bool> leads_ = true;
  BlobPlace& place_;
  MonotonicClock clock_;
  Metrics metrics_;
  std::unique_ptr<Store> store_;
  Leadership leadership_;
  Replicas replicas_;
  const ImageKeys keys_;  // none are demanded
  TaskThread checker_;
  Backups backups_;
  TaskThread backup_thread_;
  Loop loop_;
  CommitThread committer_;
  Controller controller_;
  std::unique_ptr<Server> server_;
};

// Keeps `place` like the leader's.
class StandingBy {
 public:
  StandingBy(BlobPlace& place, const std::string& name, const std::string& leader)
      : replicator_({.controller = name,
                     .credentials = grpc::InsecureChannelCredentials(),
                     .blobs = place.blobs(),
                     .blob_thread = place.thread(),
                     .first_pause = absl::Milliseconds(5),
                     .longest_pause = absl::Milliseconds(50)}) {
    replicator_.SetLeader(leader);
  }
  ImageReplicator& operator*() { return replicator_; }
  ImageReplicator* operator->() { return &replicator_; }

 private:
  ImageReplicator replicator_;
};

}  // namespace remuda
