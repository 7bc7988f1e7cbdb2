#include "controller/images/image_replicator.h"

#include <absl/strings/str_cat.h>
#include <grpcpp/create_channel.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <chrono>
#include <deque>
#include <filesystem>
#include <future>
#include <random>
#include <system_error>
#include <type_traits>
#include <utility>
#include <vector>

#include "common/grpc_status.h"
#include "common/ids.h"
#include "common/sha256.h"
#include "common/status.h"
#include "controller/limits.h"
#include "remuda/controller/v1/peer.grpc.pb.h"
#include "remuda/v1/image.grpc.pb.h"

namespace remuda {
namespace {

using controller::v1::ReplicateImagesRequest;
using controller::v1::ReplicateImagesResponse;

std::shared_ptr<grpc::Channel> Dial(const std::string& address,
                                    const std::shared_ptr<grpc::ChannelCredentials>& credentials) {
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, limits::kKeepaliveTimeMs);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, limits::kKeepaliveTimeoutMs);
  arguments.SetInt(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);
  return grpc::CreateCustomChannel(address, credentials, arguments);
}

}  // namespace

// One call to the leader, with the workers that do what it wants.
class ImageReplicator::Session {
 public:
  Session(ImageReplicator& owner, const std::string& address)
      : owner_(owner),
        channel_(Dial(address, owner.options_.credentials)),
        peers_(controller::v1::PeerService::NewStub(channel_)),
        images_(v1::ImageService::NewStub(channel_)) {}

  absl::Status Run(bool& was_well) {
    const auto held = OnBlobs([](Blobs& blobs) { return blobs.List(); });
    if (!held.ok()) return held.status();
    stream_ = peers_->ReplicateImages(&context_);
    SayHello(*held);
    std::vector<std::thread> workers;
    workers.reserve(kWorkers);
    for (int i = 0; i < kWorkers; ++i) workers.emplace_back([this] { Work(); });
    ReplicateImagesResponse wish;
    while (stream_->Read(&wish)) {
      was_well = true;
      Take(wish);
    }
    End();
    for (std::thread& worker : workers) worker.join();
    return FromGrpcStatus(stream_->Finish());
  }

  // Ends it soon. Any thread.
  void Cancel() {
    End();
    context_.TryCancel();
  }

 private:
  struct Job {
    std::string digest;
    int64_t size_bytes = 0;
    bool is_send = false;
  };

  // Has the workers end.
  void End() {
    const std::lock_guard lock(mutex_);
    is_over_ = true;
    for (grpc::ClientContext* context : downloads_) context->TryCancel();
    changed_.notify_all();
  }

  // Runs `fn` on the blob thread and waits for what it answers.
  template <class Fn>
  std::invoke_result_t<Fn, Blobs&> OnBlobs(Fn fn) {
    std::promise<std::invoke_result_t<Fn, Blobs&>> done;
    owner_.options_.blob_thread.Post([&] { done.set_value(fn(owner_.options_.blobs)); });
    return done.get_future().get();
  }

  void SayHello(const std::vector<Blobs::Blob>& held) {
    ReplicateImagesRequest message;
    auto* hello = message.mutable_hello();
    hello->set_controller(owner_.options_.controller);
    size_t said = 0;
    for (; said < std::min(held.size(), kMaxHelloDigests); ++said)
      hello->add_digests(held[said].digest);
    Write(message);
    for (; said < held.size(); ++said) SayHeld(held[said].digest);
  }

  bool Write(const ReplicateImagesRequest& message) {
    const std::lock_guard lock(write_mutex_);
    return stream_->Write(message);
  }
  void SayHeld(const std::string& digest) {
    ReplicateImagesRequest message;
    message.mutable_held()->set_digest(digest);
    Write(message);
  }
  void SayError(const std::string& digest, const absl::Status& why) {
    ReplicateImagesRequest message;
    message.mutable_error()->set_digest(digest);
    message.mutable_error()->set_error(std::string(why.message()).substr(0, 1024));
    spdlog::warn("{}: {}", digest, std::string(why.message()));
    Write(message);
  }

  void Take(const ReplicateImagesResponse& wish) {
    Job job;
    if (wish.has_hold()) {
      job = {wish.hold().digest(), wish.hold().size_bytes(), false};
    } else {
      job = {wish.send().digest(), 0, true};
    }
    if (!IsDigest(job.digest)) return;  // of a leader that is newer: nothing that is known here
    const std::lock_guard lock(mutex_);
    // Told twice, it is done once.
    if (!job.is_send && !holding_.insert(job.digest).second) return;
    if (jobs_.size() < kMaxJobs) {
      jobs_.push_back(std::move(job));
      changed_.notify_one();
    } else {
      // The leader asks again for what it still wants.
      holding_.erase(job.digest);
    }
  }

  void Work() {
    while (true) {
      Job job;
      {
        std::unique_lock lock(mutex_);
        changed_.wait(lock, [this] { return is_over_ || !jobs_.empty(); });
        if (is_over_) return;
        job = std::move(jobs_.front());
        jobs_.pop_front();
      }
      if (job.is_send) {
        Send(job.digest);
        continue;
      }
      const absl::Status held = Hold(job);
      {
        const std::lock_guard lock(mutex_);
        holding_.erase(job.digest);
        if (is_over_) return;
      }
      held.ok() ? SayHeld(job.digest) : SayError(job.digest, held);
    }
  }

  absl::Status Hold(const Job& job) {
    // What is there counts as new: it is not removed before the state names it.
    if (OnBlobs([&](Blobs& blobs) { return blobs.Renew(job.digest); }) && IsWhole(job.digest))
      return absl::OkStatus();
    absl::Status status = OnBlobs([&](Blobs& blobs) { return blobs.CheckSize(job.size_bytes); });
    if (!status.ok()) return status;
    std::unique_ptr<Blobs::Upload> upload = owner_.TakeBegun(job.digest);
    for (int attempt = 0; attempt < kFetchAttempts; ++attempt) {
      if (attempt > 0 && !Wait(kFetchPause)) break;
      if (upload == nullptr) {
        auto begun = OnBlobs([](Blobs& blobs) { return blobs.Begin(); });
        if (!begun.ok()) return begun.status();
        upload = *std::move(begun);
      }
      const int64_t before = upload->size_bytes();
      bool is_refused = false, is_final = false;
      status = Fetch(job.digest, *upload, is_refused, is_final);
      if (status.ok()) {
        status = Keep(job, *upload);
        if (status.ok()) return status;
        // Wrong bytes: from the beginning. What the disk refuses it may take later.
        upload = nullptr;
      }
      // A disk that is full would stay so. What the leader's disk has lost begins with wrong bytes.
      if (is_refused || absl::IsDataLoss(status)) upload = nullptr;
      if (is_refused || is_final) break;
      // What moves is not given up.
      if (upload != nullptr && upload->size_bytes() > before) attempt = -1;
      if (IsOver()) break;
    }
    if (upload != nullptr && upload->size_bytes() > 0)
      owner_.KeepBegun(job.digest, std::move(upload));
    return status;
  }

  // The rest of the bytes. `is_refused`: by the disk here. `is_final`: no further attempt would do
  // better.
  absl::Status Fetch(const std::string& digest, Blobs::Upload& upload, bool& is_refused,
                     bool& is_final) {
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() +
                         absl::ToChronoMilliseconds(kFetchAttempt));
    {
      const std::lock_guard lock(mutex_);
      if (is_over_) return absl::CancelledError("the call to the leader is over");
      downloads_.insert(&context);
    }
    v1::FetchImageRequest request;
    request.set_digest(digest);
    request.set_offset(upload.size_bytes());
    const auto reader = images_->FetchImage(&context, request);
    v1::FetchImageResponse response;
    absl::Status written;
    while (written.ok() && reader->Read(&response))
      written = OnBlobs([&](Blobs&) { return upload.Append(response.chunk()); });
    if (!written.ok()) context.TryCancel();
    const absl::Status status = FromGrpcStatus(reader->Finish());
    {
      const std::lock_guard lock(mutex_);
      downloads_.erase(&context);
    }
    is_refused = !written.ok();
    is_final = absl::IsNotFound(status) || absl::IsPermissionDenied(status) ||
               absl::IsInvalidArgument(status) || absl::IsDataLoss(status);
    return written.ok() ? status : written;
  }

  absl::Status Keep(const Job& job, Blobs::Upload& upload) {
    return OnBlobs([&](Blobs& blobs) -> absl::Status {
      if (absl::Status sealed = Blobs::Seal(upload, job.digest, job.size_bytes); !sealed.ok())
        return sealed;
      const auto blob = blobs.Finish(upload);
      if (!blob.ok()) return blob.status();
      blobs.Release(blob->digest);
      return absl::OkStatus();
    });
  }

  void Send(const std::string& digest) {
    auto reader = OnBlobs([&](Blobs& blobs) { return blobs.Read(digest); });
    if (!reader.ok()) return SayError(digest, reader.status());
    Sha256 hash;
    ReplicateImagesRequest message;
    auto* chunk = message.mutable_chunk();
    chunk->set_digest(digest);
    for (int64_t offset = 0; !IsOver();) {
      auto bytes = OnBlobs([&](Blobs&) { return (*reader)->Read(offset, kChunkBytes); });
      if (!bytes.ok()) return SayError(digest, bytes.status());
      const bool is_end = bytes->empty();
      if (is_end && absl::StrCat(std::string(kDigestPrefix), hash.HexDigest()) != digest) {
        Discard(digest, **reader);
        return SayError(digest, absl::DataLossError("the disk has lost some of its bytes"));
      }
      hash.Update(*bytes);
      chunk->set_offset(offset);
      offset += static_cast<int64_t>(bytes->size());
      chunk->set_data(*std::move(bytes));
      if (!Write(message) || is_end) return;
    }
  }

  // Reads what is there, and removes it if it is not the bytes of its digest. True also where it is
  // over before all is read.
  bool IsWhole(const std::string& digest) {
    auto reader = OnBlobs([&](Blobs& blobs) { return blobs.Read(digest); });
    if (!reader.ok()) return false;
    Sha256 hash;
    for (int64_t offset = 0; !IsOver();) {
      const auto bytes = OnBlobs([&](Blobs&) { return (*reader)->Read(offset, kChunkBytes); });
      if (bytes.ok() && !bytes->empty()) {
        hash.Update(*bytes);
        offset += static_cast<int64_t>(bytes->size());
        continue;
      }
      if (bytes.ok() && absl::StrCat(std::string(kDigestPrefix), hash.HexDigest()) == digest)
        return true;
      spdlog::error("{}: the disk has lost some of its bytes", digest);
      Discard(digest, **reader);
      return false;
    }
    return true;
  }
  void Discard(const std::string& digest, const Blobs::Reader& reader) {
    OnBlobs([&](Blobs& blobs) {
      blobs.Discard(digest, reader);
      return true;
    });
  }

  bool IsOver() {
    const std::lock_guard lock(mutex_);
    return is_over_;
  }
  // False: it is over.
  bool Wait(absl::Duration pause) {
    std::unique_lock lock(mutex_);
    return !changed_.wait_for(lock, absl::ToChronoMilliseconds(pause), [this] { return is_over_; });
  }

  ImageReplicator& owner_;
  const std::shared_ptr<grpc::Channel> channel_;
  const std::unique_ptr<controller::v1::PeerService::Stub> peers_;
  const std::unique_ptr<v1::ImageService::Stub> images_;
  grpc::ClientContext context_;
  std::unique_ptr<grpc::ClientReaderWriter<ReplicateImagesRequest, ReplicateImagesResponse>>
      stream_;              // read by the call's thread alone
  std::mutex write_mutex_;  // one writes
  std::mutex mutex_;        // guards what follows
  std::condition_variable changed_;
  bool is_over_ = false;
  std::deque<Job> jobs_;
  std::set<std::string> holding_;  // waiting or being fetched
  std::set<grpc::ClientContext*> downloads_;
};

ImageReplicator::ImageReplicator(Options options)
    : options_(std::move(options)), thread_([this] { Run(); }) {}

ImageReplicator::~ImageReplicator() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    if (session_ != nullptr) session_->Cancel();
  }
  changed_.notify_all();
  thread_.join();
}

void ImageReplicator::SetLeader(std::optional<std::string> address) {
  {
    const std::lock_guard lock(mutex_);
    if (leader_ == address) return;
    leader_ = std::move(address);
    if (session_ != nullptr) session_->Cancel();
  }
  changed_.notify_all();
}

void ImageReplicator::SetNeeded(std::set<std::string> digests, Blobs::FileClock::time_point now) {
  {
    const std::lock_guard lock(mutex_);
    std::erase_if(begun_, [&](const auto& one) {
      std::error_code error;
      const auto moved = std::filesystem::last_write_time(one.second->path(), error);
      return !digests.contains(one.first) && (error || moved < now - Blobs::kCollectGrace);
    });
  }
  options_.blob_thread.Post([&blobs = options_.blobs, now, digests = std::move(digests)] {
    blobs.Collect(digests, Blobs::kCollectGrace, now);
  });
}

std::unique_ptr<Blobs::Upload> ImageReplicator::TakeBegun(const std::string& digest) {
  const std::lock_guard lock(mutex_);
  const auto node = begun_.extract(digest);
  return node.empty() ? nullptr : std::move(node.mapped());
}

void ImageReplicator::KeepBegun(const std::string& digest, std::unique_ptr<Blobs::Upload> upload) {
  const std::lock_guard lock(mutex_);
  if (begun_.size() >= kMaxBegun) begun_.erase(begun_.begin());
  begun_[digest] = std::move(upload);
}

absl::Status ImageReplicator::Replicate(const std::string& address, bool& was_well) {
  Session session(*this, address);
  {
    const std::lock_guard lock(mutex_);
    if (stopping_ || leader_ != address) return absl::CancelledError("another one leads");
    session_ = &session;
  }
  const absl::Status status = session.Run(was_well);
  const std::lock_guard lock(mutex_);
  session_ = nullptr;
  return status;
}

bool ImageReplicator::Pause(absl::Duration pause, const std::string& address) {
  std::unique_lock lock(mutex_);
  changed_.wait_for(lock, absl::ToChronoMilliseconds(pause),
                    [&] { return stopping_ || leader_ != address; });
  return !stopping_;
}

void ImageReplicator::Run() {
  std::minstd_rand random(std::random_device{}());
  std::uniform_real_distribution<double> jitter(0.5, 1.0);
  absl::Duration pause = options_.first_pause;
  std::string said;  // what was logged last: the same is not said again
  while (true) {
    std::string address;
    {
      std::unique_lock lock(mutex_);
      changed_.wait(lock, [this] { return stopping_ || leader_.has_value(); });
      if (stopping_) return;
      address = *leader_;
    }
    bool was_well = false;
    const auto begun = std::chrono::steady_clock::now();
    const absl::Status status = Replicate(address, was_well);
    const auto lasted = absl::FromChrono(std::chrono::steady_clock::now() - begun);
    // A leader that lacks nothing says nothing.
    was_well = was_well || lasted >= options_.longest_pause;
    std::string why = absl::StrCat("images of the leader at ", address, ": ",
                                   status.ok() ? "it has ended the call" : status.message());
    if (was_well) pause = options_.first_pause;
    if (!absl::IsCancelled(status) && why != said) spdlog::warn("{}", why);
    said = std::move(why);
    if (!Pause(pause * jitter(random), address)) return;
    pause = std::min(pause * 2, options_.longest_pause);
  }
}

}  // namespace remuda
