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

#include "common/ids.h"
#include "common/sha256.h"
#include "remuda/controller/v1/peer.grpc.pb.h"
#include "remuda/v1/image.grpc.pb.h"
#include "tests/component/controller/images/leading_controller.h"
#include "tests/component/controller/testing/tar.h"
#include "tests/wait.h"

namespace remuda {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

std::string DigestOf(const std::string& bytes) {
  return std::string(kDigestPrefix) + Sha256Hex(bytes);
}

std::string BytesIn(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

grpc::Status Push(const std::shared_ptr<grpc::Channel>& channel, const std::string& id,
                  const std::string& bytes) {
  const auto stub = v1::ImageService::NewStub(channel);
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + kWaitDeadline);
  v1::Image image;
  const auto writer = stub->PushImage(&context, &image);
  v1::PushImageRequest request;
  request.mutable_header()->set_image_id(id);
  writer->Write(request);
  for (size_t at = 0; at < bytes.size(); at += 1 << 20) {
    request.set_chunk(bytes.substr(at, 1 << 20));
    if (!writer->Write(request)) break;
  }
  writer->WritesDone();
  return writer->Finish();
}

grpc::Status Fetch(const std::shared_ptr<grpc::Channel>& channel, const std::string& digest,
                   std::string& bytes) {
  const auto stub = v1::ImageService::NewStub(channel);
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + kWaitDeadline);
  v1::FetchImageRequest request;
  request.set_digest(digest);
  const auto reader = stub->FetchImage(&context, request);
  v1::FetchImageResponse response;
  bytes.clear();
  while (reader->Read(&response)) bytes += response.chunk();
  return reader->Finish();
}

void Delete(const std::shared_ptr<grpc::Channel>& channel, const std::string& id) {
  const auto stub = v1::ImageService::NewStub(channel);
  grpc::ClientContext context;
  v1::DeleteImageRequest request;
  request.set_name("images/" + id);
  google::protobuf::Empty empty;
  const grpc::Status status = stub->DeleteImage(&context, request, &empty);
  EXPECT_TRUE(status.ok()) << status.error_message();
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
    return std::async(std::launch::async,
                      [channel = leader.Channel(), bytes] { return Push(channel, "app", bytes); });
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
    ASSERT_TRUE(Push(leader.Channel(), "app-" + std::to_string(i), bytes).ok());
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
    ASSERT_TRUE(Push(leader.Channel(), "app", bytes_).ok());
  }
  BlobPlace c(Images("c")), d(Images("d"));
  LeadingController leader(State(), c, 2, "c");
  // Asked for before anybody who has them is there.
  std::string fetched;
  auto fetch = std::async(std::launch::async, [&, channel = leader.Channel()] {
    return Fetch(channel, digest_, fetched);
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
    ASSERT_TRUE(Push(leader.Channel(), "app", bytes_).ok());
  }
  (*standby)->SetLeader(std::nullopt);
  BlobPlace c(Images("c"));
  LeadingController leader(State(), c, 2, "c");
  (*standby)->SetLeader(leader.address());
  ASSERT_TRUE(WaitUntil([&] { return c.Has(digest_); }));
  const std::string next = TarOf("the next");
  EXPECT_TRUE(Push(leader.Channel(), "next", next).ok());
  EXPECT_TRUE(b.Has(DigestOf(next)));
}

TEST_F(ReplicationTest, BytesThatADiskHasLostAreNotGivenOn) {
  BlobPlace b(Images("b")), d(Images("d"));
  {
    BlobPlace a(Images("a"));
    LeadingController leader(State(), a, 3);
    StandingBy one(b, "b", leader.address()), two(d, "d", leader.address());
    ASSERT_TRUE(Push(leader.Channel(), "app", bytes_).ok());
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
  ASSERT_TRUE(Push(leader.Channel(), "app", bytes_).ok());
  std::string wrong = bytes_;
  wrong[600] = 'y';
  std::ofstream(a.PathOf(digest_), std::ios::binary) << wrong;
  StandingBy standby(b, "b", leader.address());
  // A push that it does meanwhile: it is alive, and has been told of the other first.
  const std::string next = TarOf("the next");
  ASSERT_TRUE(WaitUntil([&] { return leader.standbys() == 1; }));
  ASSERT_TRUE(Push(leader.Channel(), "next", next).ok());
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
  ASSERT_TRUE(Push(leader.Channel(), "app", bytes_).ok());
  const std::string young = TarOf("young"), kept = TarOf("kept");
  ASSERT_TRUE(Push(leader.Channel(), "young", young).ok());
  ASSERT_TRUE(Push(leader.Channel(), "kept", kept).ok());
  for (const char* id : {"app", "young"}) Delete(leader.Channel(), id);
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
  ASSERT_TRUE(Push(leader.Channel(), "app", bytes_).ok());
  Delete(leader.Channel(), "app");
  fs::last_write_time(b.PathOf(digest_), fs::file_time_type::clock::now() - Blobs::kCollectGrace -
                                             std::chrono::hours(1));
  standby->SetNeeded({});
  ASSERT_TRUE(WaitUntil([&] { return !b.Has(digest_); }));
  ASSERT_TRUE(Push(leader.Channel(), "app", bytes_).ok());
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

TEST_F(ReplicationTest, APushWhoseCallerHasGoneLeavesNothingBehind) {
  BlobPlace a(Images("a"));
  LeadingController leader(State(), a, 2);
  const auto stub = v1::ImageService::NewStub(leader.Channel());
  {
    grpc::ClientContext context;
    v1::Image image;
    const auto writer = stub->PushImage(&context, &image);
    v1::PushImageRequest request;
    request.mutable_header()->set_image_id("app");
    writer->Write(request);
    request.set_chunk(TarOf("app"));
    writer->Write(request);
    writer->WritesDone();
    ASSERT_TRUE(WaitUntil([&] { return a.Has(DigestOf(TarOf("app"))); }));
    context.TryCancel();
    EXPECT_EQ(writer->Finish().error_code(), grpc::StatusCode::CANCELLED);
  }
  EXPECT_FALSE(IsRegistered(leader.Channel(), "app"));
  // Its claim is released: the next collection takes it.
  EXPECT_TRUE(WaitUntil([&] {
    return a.On([&] {
      a.blobs().Collect({});
      return !a.blobs().Has(DigestOf(TarOf("app")));
    });
  }));
}

}  // namespace
}  // namespace remuda
