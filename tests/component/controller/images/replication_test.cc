// Images on several controllers: one that leads and those that stand by, each with a directory of
// its own, over real connections.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <future>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "remuda/controller/v1/peer.grpc.pb.h"
#include "remuda/v1/image.grpc.pb.h"
#include "tests/component/controller/images/image_calls.h"
#include "tests/component/controller/images/leading_controller.h"
#include "tests/component/controller/testing/tar.h"
#include "tests/wait.h"

namespace remuda {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

std::string BytesIn(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

bool IsRegistered(const std::shared_ptr<grpc::Channel>& channel, const std::string& id) {
  const auto stub = v1::ImageService::NewStub(channel);
  grpc::ClientContext context;
  v1::GetImageRequest request;
  request.set_name("images/" + id);
  v1::Image image;
  return stub->GetImage(&context, request, &image).ok();
}

// A standby that says what the test says.
class FakeStandby {
 public:
  FakeStandby(const std::shared_ptr<grpc::Channel>& channel, const std::string& name)
      : stub_(controller::v1::PeerService::NewStub(channel)),
        stream_(stub_->ReplicateImages(&context_)) {
    controller::v1::ReplicateImagesRequest message;
    message.mutable_hello()->set_controller(name);
    EXPECT_TRUE(stream_->Write(message));
  }
  void SayHeld(const std::string& digest) {
    controller::v1::ReplicateImagesRequest message;
    message.mutable_held()->set_digest(digest);
    EXPECT_TRUE(stream_->Write(message));
  }
  ~FakeStandby() { End(); }
  grpc::Status End() {
    context_.TryCancel();
    if (stream_ == nullptr) return {};
    const grpc::Status status = stream_->Finish();
    stream_ = nullptr;
    return status;
  }

 private:
  grpc::ClientContext context_;
  std::unique_ptr<controller::v1::PeerService::Stub> stub_;
  std::unique_ptr<grpc::ClientReaderWriter<controller::v1::ReplicateImagesRequest,
                                           controller::v1::ReplicateImagesResponse>>
      stream_;
};

class ReplicationTest : public testing::Test {
 protected:
  ReplicationTest() {
    char path[] = "/tmp/remuda-replication-XXXXXX";
    directory_ = mkdtemp(path);
    fs::create_directory(directory_ + "/state");
  }
  ~ReplicationTest() override { fs::remove_all(directory_); }

  std::string State() const { return directory_ + "/state"; }
  std::string Images(const std::string& name) const { return directory_ + "/" + name; }
  static std::future<grpc::Status> BeginPush(const LeadingController& leader,
                                             const std::string& bytes) {
    return std::async(std::launch::async, [channel = leader.Channel(), bytes] {
      return PushImage(channel, "app", bytes);
    });
  }
  static bool IsUnderWay(const std::future<grpc::Status>& push) {
    return push.wait_for(std::chrono::seconds(0)) == std::future_status::timeout;
  }

  std::string directory_;
  const std::string bytes_ = TarOf(std::string(3'000'000, 'x'));  // several chunks
  const std::string digest_ = DigestOf(bytes_);
};

TEST_F(ReplicationTest, APushIsAcknowledgedWhenASecondControllerHoldsIt) {
  BlobPlace a(Images("a")), b(Images("b"));
  LeadingController leader(State(), a, 2);
  auto push = BeginPush(leader, bytes_);
  ASSERT_TRUE(WaitUntil([&] { return a.Has(digest_); }));
  EXPECT_FALSE(IsRegistered(leader.Channel(), "app"));
  EXPECT_TRUE(IsUnderWay(push));
  StandingBy standby(b, "b", leader.address());
  const grpc::Status status = push.get();
  EXPECT_TRUE(status.ok()) << status.error_message();
  EXPECT_EQ(BytesIn(b.PathOf(digest_)), bytes_);
  EXPECT_TRUE(IsRegistered(leader.Channel(), "app"));
}

TEST_F(ReplicationTest, ACopyOfAStandbyThatHasGoneCountsNoMore) {
  BlobPlace a(Images("a")), b(Images("b")), c(Images("c"));
  LeadingController leader(State(), a, 3);
  auto push = BeginPush(leader, bytes_);
  ASSERT_TRUE(WaitUntil([&] { return a.Has(digest_); }));
  {
    FakeStandby gone(leader.Channel(), "gone");
    gone.SayHeld(digest_);
    ASSERT_TRUE(WaitUntil([&] { return leader.HoldersOf(digest_) == 1; }));
  }
  ASSERT_TRUE(WaitUntil([&] { return leader.standbys() == 0; }));
  StandingBy first(b, "b", leader.address());
  ASSERT_TRUE(WaitUntil([&] { return leader.HoldersOf(digest_) == 1; }));
  EXPECT_TRUE(IsUnderWay(push));
  StandingBy second(c, "c", leader.address());
  const grpc::Status status = push.get();
  EXPECT_TRUE(status.ok()) << status.error_message();
  EXPECT_TRUE(b.Has(digest_) && c.Has(digest_));
}

TEST_F(ReplicationTest, AStandbyCatchesUpWithAllThatIsNamed) {
  BlobPlace a(Images("a")), b(Images("b"));
  LeadingController leader(State(), a, 1);
  std::vector<std::string> digests;
  for (int i = 0; i < 20; ++i) {
    const std::string bytes = TarOf("app " + std::to_string(i));
    digests.push_back(DigestOf(bytes));
    ASSERT_TRUE(PushImage(leader.Channel(), "app-" + std::to_string(i), bytes).ok());
  }
  StandingBy standby(b, "b", leader.address());
  for (const std::string& digest : digests) {
    ASSERT_TRUE(WaitUntil([&] { return leader.HoldersOf(digest) == 1; }));
    EXPECT_TRUE(b.Has(digest));
  }
}

TEST_F(ReplicationTest, ALeaderWithoutTheBytesHasThemFromAStandby) {
  BlobPlace b(Images("b"));
  {
    BlobPlace a(Images("a"));
    LeadingController leader(State(), a, 2);
    StandingBy standby(b, "b", leader.address());
    ASSERT_TRUE(PushImage(leader.Channel(), "app", bytes_).ok());
  }
  BlobPlace c(Images("c")), d(Images("d"));
  LeadingController leader(State(), c, 2, "c");
  // Asked for before anybody who has them is there.
  std::string fetched;
  auto fetch = std::async(std::launch::async, [&, channel = leader.Channel()] {
    return FetchImage(channel, digest_, fetched);
  });
  StandingBy other(d, "d", leader.address());
  ASSERT_TRUE(WaitUntil([&] { return leader.standbys() == 1; }));
  EXPECT_FALSE(c.Has(digest_));
  StandingBy standby(b, "b", leader.address());
  const grpc::Status status = fetch.get();
  EXPECT_TRUE(status.ok()) << status.error_message();
  EXPECT_EQ(fetched, bytes_);
  EXPECT_EQ(BytesIn(c.PathOf(digest_)), bytes_);
  ASSERT_TRUE(WaitUntil([&] { return leader.HoldersOf(digest_) == 2; }));
  EXPECT_EQ(BytesIn(d.PathOf(digest_)), bytes_);
}

TEST_F(ReplicationTest, AStandbyFollowsToTheNextLeader) {
  BlobPlace b(Images("b"));
  std::optional<StandingBy> standby;
  {
    BlobPlace a(Images("a"));
    LeadingController leader(State(), a, 2);
    standby.emplace(b, "b", leader.address());
    ASSERT_TRUE(PushImage(leader.Channel(), "app", bytes_).ok());
  }
  (*standby)->SetLeader(std::nullopt);
  BlobPlace c(Images("c"));
  LeadingController leader(State(), c, 2, "c");
  (*standby)->SetLeader(leader.address());
  ASSERT_TRUE(WaitUntil([&] { return c.Has(digest_); }));
  const std::string next = TarOf("the next");
  EXPECT_TRUE(PushImage(leader.Channel(), "next", next).ok());
  EXPECT_TRUE(b.Has(DigestOf(next)));
}

TEST_F(ReplicationTest, BytesThatADiskHasLostAreNotGivenOn) {
  BlobPlace b(Images("b")), d(Images("d"));
  {
    BlobPlace a(Images("a"));
    LeadingController leader(State(), a, 3);
    StandingBy one(b, "b", leader.address()), two(d, "d", leader.address());
    ASSERT_TRUE(PushImage(leader.Channel(), "app", bytes_).ok());
  }
  std::string wrong = bytes_;
  wrong[600] = 'y';
  std::ofstream(b.PathOf(digest_), std::ios::binary) << wrong;
  BlobPlace c(Images("c"));
  LeadingController leader(State(), c, 1, "c");
  StandingBy one(b, "b", leader.address());
  ASSERT_TRUE(WaitUntil([&] { return !b.Has(digest_); })) << "it does not hold it";
  EXPECT_FALSE(c.Has(digest_));
  StandingBy two(d, "d", leader.address());
  ASSERT_TRUE(WaitUntil([&] { return leader.HoldersOf(digest_) == 2; }));
  EXPECT_EQ(BytesIn(c.PathOf(digest_)), bytes_);
  EXPECT_EQ(BytesIn(b.PathOf(digest_)), bytes_);
}

TEST_F(ReplicationTest, AStandbyTakesNoOtherBytesThanThoseOfTheDigest) {
  BlobPlace a(Images("a")), b(Images("b"));
  LeadingController leader(State(), a, 1);
  ASSERT_TRUE(PushImage(leader.Channel(), "app", bytes_).ok());
  std::string wrong = bytes_;
  wrong[600] = 'y';
  std::ofstream(a.PathOf(digest_), std::ios::binary) << wrong;
  StandingBy standby(b, "b", leader.address());
  // A push that it does meanwhile: it is alive, and has been told of the other first.
  const std::string next = TarOf("the next");
  ASSERT_TRUE(WaitUntil([&] { return leader.standbys() == 1; }));
  ASSERT_TRUE(PushImage(leader.Channel(), "next", next).ok());
  ASSERT_TRUE(WaitUntil([&] { return b.Has(DigestOf(next)); }));
  EXPECT_FALSE(b.Has(digest_));
  std::ofstream(a.PathOf(digest_), std::ios::binary) << bytes_;
  // It is told again.
  ASSERT_TRUE(WaitUntil([&] { return b.Has(digest_); }));
  EXPECT_EQ(BytesIn(b.PathOf(digest_)), bytes_);
}

TEST_F(ReplicationTest, EachCollectsByWhatTheStateNames) {
  BlobPlace a(Images("a")), b(Images("b"));
  LeadingController leader(State(), a, 2);
  StandingBy standby(b, "b", leader.address());
  ASSERT_TRUE(PushImage(leader.Channel(), "app", bytes_).ok());
  const std::string young = TarOf("young"), kept = TarOf("kept");
  ASSERT_TRUE(PushImage(leader.Channel(), "young", young).ok());
  ASSERT_TRUE(PushImage(leader.Channel(), "kept", kept).ok());
  for (const char* id : {"app", "young"}) DeleteImage(leader.Channel(), id);
  EXPECT_TRUE(WaitUntil([&] { return !a.Has(digest_) && !a.Has(DigestOf(young)); }));
  for (const std::string& digest : {digest_, DigestOf(kept)}) {
    fs::last_write_time(b.PathOf(digest), fs::file_time_type::clock::now() - Blobs::kCollectGrace -
                                              std::chrono::hours(1));
  }
  standby->SetNeeded({DigestOf(kept)});
  EXPECT_TRUE(WaitUntil([&] { return !b.Has(digest_); }));
  EXPECT_TRUE(b.Has(DigestOf(kept)));
  EXPECT_TRUE(b.Has(DigestOf(young))) << "a push may be under way";
}

TEST_F(ReplicationTest, ACopyThatAStandbyHasCollectedIsMadeAgain) {
  BlobPlace a(Images("a")), b(Images("b"));
  LeadingController leader(State(), a, 2);
  StandingBy standby(b, "b", leader.address());
  ASSERT_TRUE(PushImage(leader.Channel(), "app", bytes_).ok());
  DeleteImage(leader.Channel(), "app");
  fs::last_write_time(b.PathOf(digest_), fs::file_time_type::clock::now() - Blobs::kCollectGrace -
                                             std::chrono::hours(1));
  standby->SetNeeded({});
  ASSERT_TRUE(WaitUntil([&] { return !b.Has(digest_); }));
  ASSERT_TRUE(PushImage(leader.Channel(), "app", bytes_).ok());
  EXPECT_TRUE(b.Has(digest_)) << "it was acknowledged with one copy";
}

// A limit of files' sizes, of this whole process, stands for a disk that is full.
TEST_F(ReplicationTest, AStandbyWhoseDiskIsFullTakesItWhole) {
  BlobPlace a(Images("a")), b(Images("b"));
  LeadingController leader(State(), a, 2);
  auto push = BeginPush(leader, bytes_);
  ASSERT_TRUE(WaitUntil([&] { return a.Has(digest_); }));
  signal(SIGXFSZ, SIG_IGN);
  rlimit before{};
  ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &before), 0);
  rlimit full = before;
  full.rlim_cur = 1'000'001;  // within a chunk
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &full), 0);
  StandingBy standby(b, "b", leader.address());
  const bool has_failed = WaitUntil([&] { return !leader.FailureOf("b", digest_).empty(); });
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &before), 0);
  ASSERT_TRUE(has_failed);
  EXPECT_TRUE(fs::is_empty(Images("b") + "/tmp")) << "the half of it keeps the disk full";
  const grpc::Status status = push.get();
  EXPECT_TRUE(status.ok()) << status.error_message();
  EXPECT_EQ(BytesIn(b.PathOf(digest_)), bytes_);
}

// A push of `bytes` that waits for a copy until it is given up.
class WaitingPush {
 public:
  WaitingPush(LeadingController& leader, const std::string& bytes)
      : stub_(v1::ImageService::NewStub(leader.Channel())),
        writer_(stub_->PushImage(&context_, &image_)) {
    v1::PushImageRequest request;
    request.mutable_header()->set_image_id("app");
    writer_->Write(request);
    request.set_chunk(bytes);
    writer_->Write(request);
    writer_->WritesDone();
    EXPECT_TRUE(WaitUntil([&] { return leader.copy_waits() == 1; }));
  }
  grpc::Status GiveUp() {
    context_.TryCancel();
    return writer_->Finish();
  }

 private:
  grpc::ClientContext context_;
  v1::Image image_;
  std::unique_ptr<v1::ImageService::Stub> stub_;
  std::unique_ptr<grpc::ClientWriter<v1::PushImageRequest>> writer_;
};

TEST_F(ReplicationTest, APushWhoseCallerHasGoneLeavesNothingBehind) {
  BlobPlace a(Images("a"));
  LeadingController leader(State(), a, 2);
  const std::string digest = DigestOf(TarOf("app"));
  WaitingPush push(leader, TarOf("app"));
  EXPECT_TRUE(a.Has(digest));
  EXPECT_EQ(push.GiveUp().error_code(), grpc::StatusCode::CANCELLED);
  EXPECT_TRUE(WaitUntil([&] { return !a.Has(digest); }));
  EXPECT_FALSE(IsRegistered(leader.Channel(), "app"));
}

TEST_F(ReplicationTest, APushThatFindsNoSecondControllerLeavesNothingBehind) {
  BlobPlace a(Images("a"));
  LeadingController leader(State(), a, 2);
  const grpc::Status status = PushImage(leader.Channel(), "app", bytes_);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::UNAVAILABLE);
  EXPECT_THAT(status.error_message(), HasSubstr("no other is connected"));
  EXPECT_TRUE(WaitUntil([&] { return !a.Has(digest_); }));
}

// What it does not know of another one may have registered.
TEST_F(ReplicationTest, WhoeverMayLeadNoMoreCollectsNothing) {
  BlobPlace a(Images("a"));
  LeadingController leader(State(), a, 2);
  const std::string digest = DigestOf(TarOf("app"));
  WaitingPush push(leader, TarOf("app"));
  leader.Depose();
  EXPECT_FALSE(push.GiveUp().ok());
  ASSERT_TRUE(WaitUntil([&] { return leader.copy_waits() == 0; }));
  leader.Settle();
  EXPECT_TRUE(a.Has(digest));
}

TEST_F(ReplicationTest, ALeaderWhoseDiskHasLostBytesHasThemFromAStandby) {
  BlobPlace a(Images("a")), b(Images("b")), c(Images("c"));
  LeadingController leader(State(), a, 2);
  StandingBy standby(b, "b", leader.address());
  ASSERT_TRUE(PushImage(leader.Channel(), "app", bytes_).ok());
  std::string wrong = bytes_;
  wrong[600] = 'y';
  std::ofstream(a.PathOf(digest_), std::ios::binary) << wrong;
  std::string fetched;
  const grpc::Status status = FetchImage(leader.Channel(), digest_, fetched);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::DATA_LOSS) << status.error_message();
  EXPECT_LT(fetched.size(), bytes_.size()) << "nobody is given all of what is wrong";
  EXPECT_TRUE(FetchImage(leader.Channel(), digest_, fetched).ok());
  EXPECT_EQ(fetched, bytes_);
  EXPECT_EQ(BytesIn(a.PathOf(digest_)), bytes_);

  // Cut short; and it is a standby that finds it.
  fs::resize_file(a.PathOf(digest_), 1'000'000);
  StandingBy late(c, "c", leader.address());
  ASSERT_TRUE(WaitUntil([&] { return leader.HoldersOf(digest_) == 2; }));
  EXPECT_EQ(BytesIn(c.PathOf(digest_)), bytes_);
  EXPECT_EQ(BytesIn(a.PathOf(digest_)), bytes_);
}

TEST_F(ReplicationTest, AStandbyLooksAtWhatItHasWhenAnImageIsPushedAgain) {
  BlobPlace a(Images("a")), b(Images("b"));
  LeadingController leader(State(), a, 2);
  StandingBy standby(b, "b", leader.address());
  ASSERT_TRUE(PushImage(leader.Channel(), "app", bytes_).ok());
  std::string wrong = bytes_;
  wrong[600] = 'y';
  std::ofstream(b.PathOf(digest_), std::ios::binary) << wrong;
  ASSERT_TRUE(PushImage(leader.Channel(), "app", bytes_).ok());
  EXPECT_EQ(BytesIn(b.PathOf(digest_)), bytes_);
}

// A deletion while a standby is at it, and while it is told.
TEST_F(ReplicationTest, AnImageThatIsDeletedMeanwhileHoldsNothingUp) {
  BlobPlace a(Images("a")), b(Images("b"));
  LeadingController leader(State(), a, 1);
  std::vector<std::string> digests;
  for (int i = 0; i < 8; ++i) {
    const std::string bytes = TarOf(std::string(1'000'000, static_cast<char>('a' + i)));
    digests.push_back(DigestOf(bytes));
    ASSERT_TRUE(PushImage(leader.Channel(), "app-" + std::to_string(i), bytes).ok());
  }
  StandingBy standby(b, "b", leader.address());
  ASSERT_TRUE(WaitUntil([&] { return leader.standbys() == 1; }));
  for (int i = 0; i < 7; ++i) DeleteImage(leader.Channel(), "app-" + std::to_string(i));
  ASSERT_TRUE(WaitUntil([&] { return leader.HoldersOf(digests.back()) == 1; }));
  for (int i = 0; i < 7; ++i) {
    EXPECT_TRUE(WaitUntil([&] { return !a.Has(digests[static_cast<size_t>(i)]); }));
    EXPECT_EQ(leader.HoldersOf(digests[static_cast<size_t>(i)]), 0u);
  }
  ASSERT_TRUE(PushImage(leader.Channel(), "next", bytes_).ok());
  EXPECT_TRUE(WaitUntil([&] { return b.Has(digest_); }));
}

TEST_F(ReplicationTest, MetricsSayHowManyImagesLackCopies) {
  BlobPlace a(Images("a")), b(Images("b"));
  {
    LeadingController leader(State(), a, 1);
    ASSERT_TRUE(PushImage(leader.Channel(), "app", bytes_).ok());
    ASSERT_TRUE(PushImage(leader.Channel(), "lost", TarOf("lost")).ok());
  }
  fs::remove(a.PathOf(DigestOf(TarOf("lost"))));
  LeadingController leader(State(), a, 2);
  const Metrics& metrics = leader.metrics();
  ASSERT_TRUE(WaitUntil([&] { return metrics.images_few_copies == 2; }));
  EXPECT_EQ(metrics.images_missing, 1);
  StandingBy standby(b, "b", leader.address());
  ASSERT_TRUE(WaitUntil(
      [&] { return metrics.images_few_copies == 1 && metrics.image_copies_behind == 1; }));
  EXPECT_EQ(metrics.image_standbys, 1);
  ASSERT_TRUE(PushImage(leader.Channel(), "lost", TarOf("lost")).ok());
  ASSERT_TRUE(WaitUntil(
      [&] { return metrics.images_few_copies == 0 && metrics.image_copies_behind == 0; }));
  EXPECT_EQ(metrics.images_missing, 0);
  EXPECT_THAT(metrics.Print(), HasSubstr("\nremuda_controller_images_few_copies 0\n"));
}

}  // namespace
}  // namespace remuda
