// Which controllers hold what, as the one that leads sees it: with scripted standbys and a clock
// that is moved by hand.
#include "controller/images/replicas.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <optional>
#include <string>
#include <vector>

#include "common/ids.h"
#include "common/sha256.h"
#include "common/status.h"
#include "google/rpc/error_details.pb.h"

namespace remuda {
namespace {

using controller::v1::ReplicateImagesRequest;
using controller::v1::ReplicateImagesResponse;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

std::string DigestOf(const std::string& bytes) {
  return std::string(kDigestPrefix) + Sha256Hex(bytes);
}

// What a standby was told.
class FakeStream : public ReplicaStream {
 public:
  void Send(ReplicateImagesResponse message) override {
    if (message.has_hold()) holds.push_back(message.hold().digest());
    if (message.has_send()) sends.push_back(message.send().digest());
  }
  void Close(const absl::Status& status) override { closed = status; }

  std::vector<std::string> holds;
  std::vector<std::string> sends;
  std::optional<absl::Status> closed;
};
using FakeStreamPtr = std::shared_ptr<FakeStream>;

class ReplicasTest : public testing::Test {
 protected:
  ReplicasTest() {
    char path[] = "/tmp/remuda-replicas-XXXXXX";
    directory_ = mkdtemp(path);
    blobs_ = *Blobs::Open({.directory = directory_, .max_blob_bytes = 1 << 20}, total_);
    Begin(2);
  }
  ~ReplicasTest() override { std::filesystem::remove_all(directory_); }

  void Begin(int copies, bool is_alone = false) {
    replicas_.reset();
    replicas_.emplace(Replicas::Options{.self = "a", .copies = copies, .is_alone = is_alone},
                      *blobs_);
  }
  std::string Store(const std::string& bytes) {
    auto upload = *blobs_->Begin();
    EXPECT_TRUE(upload->Append(bytes).ok());
    EXPECT_TRUE(Blobs::Seal(*upload, "", 0).ok());
    const auto blob = blobs_->Finish(*upload);
    blobs_->Release(blob->digest);
    return blob->digest;
  }
  FakeStreamPtr Connect(const std::string& name, const std::vector<std::string>& held = {},
                        const std::string& identity = "") {
    auto stream = std::make_shared<FakeStream>();
    replicas_->OnOpened(stream, identity, now_);
    ReplicateImagesRequest message;
    message.mutable_hello()->set_controller(name);
    for (const std::string& digest : held) message.mutable_hello()->add_digests(digest);
    replicas_->OnMessage(stream, message, now_);
    return stream;
  }
  void SayHeld(const FakeStreamPtr& stream, const std::string& digest) {
    ReplicateImagesRequest message;
    message.mutable_held()->set_digest(digest);
    replicas_->OnMessage(stream, message, now_);
  }
  void SayError(const FakeStreamPtr& stream, const std::string& digest, const std::string& why) {
    ReplicateImagesRequest message;
    message.mutable_error()->set_digest(digest);
    message.mutable_error()->set_error(why);
    replicas_->OnMessage(stream, message, now_);
  }
  void SayChunk(const FakeStreamPtr& stream, const std::string& digest, int64_t offset,
                const std::string& data) {
    ReplicateImagesRequest message;
    message.mutable_chunk()->set_digest(digest);
    message.mutable_chunk()->set_offset(offset);
    message.mutable_chunk()->set_data(data);
    replicas_->OnMessage(stream, message, now_);
  }
  uint64_t Push(const std::string& digest) {
    outcome_.reset();
    return replicas_->AwaitCopies(digest, 1, now_,
                                  [this](const absl::Status& status) { outcome_ = status; });
  }
  void Advance(absl::Duration time) {
    for (const absl::Time end = now_ + time; now_ < end;) {
      now_ += absl::Seconds(1);
      replicas_->Check(now_);
    }
  }
  static std::string ReasonOf(const absl::Status& status) {
    const auto detail = status.GetPayload("type.googleapis.com/google.rpc.ErrorInfo");
    google::rpc::ErrorInfo info;
    if (detail.has_value()) info.ParseFromString(std::string(*detail));
    return info.reason();
  }

  std::string directory_;
  std::atomic<int64_t> total_ = 0;
  std::unique_ptr<Blobs> blobs_;
  std::optional<Replicas> replicas_;
  absl::Time now_ = absl::FromUnixSeconds(1'000'000);
  std::optional<absl::Status> outcome_;
};

TEST_F(ReplicasTest, OneCopyIsTheControllersOwn) {
  Begin(1);
  Push(Store("app"));
  ASSERT_TRUE(outcome_.has_value());
  EXPECT_TRUE(outcome_->ok());
}

TEST_F(ReplicasTest, APushWaitsForTheSecondCopyAndEveryStandbyGetsIt) {
  const FakeStreamPtr b = Connect("b");
  const FakeStreamPtr c = Connect("c");
  const std::string digest = Store("app");
  Push(digest);
  EXPECT_FALSE(outcome_.has_value());
  EXPECT_THAT(b->holds, ElementsAre(digest));
  EXPECT_THAT(c->holds, ElementsAre(digest));
  SayHeld(c, DigestOf("other"));
  EXPECT_FALSE(outcome_.has_value());
  SayHeld(c, digest);
  ASSERT_TRUE(outcome_.has_value());
  EXPECT_TRUE(outcome_->ok());
}

TEST_F(ReplicasTest, ACopyCountsWhileItsStandbyIsConnected) {
  Begin(3);
  const std::string digest = Store("app");
  const FakeStreamPtr b = Connect("b");
  Push(digest);
  SayHeld(b, digest);
  replicas_->OnClosed(b, now_);
  SayHeld(Connect("c"), digest);
  EXPECT_FALSE(outcome_.has_value());
  SayHeld(Connect("b"), digest);
  ASSERT_TRUE(outcome_.has_value());
  EXPECT_TRUE(outcome_->ok());
}

// What nothing names a standby collects without a word.
TEST_F(ReplicasTest, ACopyOfBeforeAPushCountsWhenItIsSaidAgain) {
  const std::string digest = Store("app");
  const FakeStreamPtr b = Connect("b", {digest});
  Push(digest);
  EXPECT_FALSE(outcome_.has_value());
  EXPECT_THAT(b->holds, ElementsAre(digest));
  // Nor one of a standby that comes while it is waited for.
  const FakeStreamPtr c = Connect("c", {digest});
  EXPECT_FALSE(outcome_.has_value());
  EXPECT_THAT(c->holds, ElementsAre(digest));
  SayHeld(c, digest);
  EXPECT_TRUE(outcome_.has_value());
}

TEST_F(ReplicasTest, WhatNothingNamesIsHeldByNobody) {
  const std::string digest = Store("app");
  replicas_->SetNeeded({{digest, 3}});
  const FakeStreamPtr b = Connect("b", {digest});
  EXPECT_EQ(replicas_->HoldersOf(digest), 1u);
  replicas_->SetNeeded({});
  EXPECT_EQ(replicas_->HoldersOf(digest), 0u);
  // Named again, it is asked for.
  replicas_->Need(digest, 3);
  EXPECT_THAT(b->holds, ElementsAre(digest));
}

TEST_F(ReplicasTest, AStandbyThatConnectsMeanwhileIsTold) {
  const std::string digest = Store("app");
  Push(digest);
  const FakeStreamPtr b = Connect("b");
  EXPECT_THAT(b->holds, ElementsAre(digest));
  SayHeld(b, digest);
  EXPECT_TRUE(outcome_.has_value());
}

TEST_F(ReplicasTest, WithoutAStandbyAPushFailsAndSaysSo) {
  const std::string digest = Store("app");
  Push(digest);
  Advance(Replicas::kTooFewWait - absl::Seconds(1));
  EXPECT_FALSE(outcome_.has_value());
  Advance(absl::Seconds(1));
  ASSERT_TRUE(outcome_.has_value());
  EXPECT_EQ(outcome_->code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(ReasonOf(*outcome_), "IMAGE_COPIES");
  EXPECT_THAT(std::string(outcome_->message()),
              HasSubstr(digest + " is held by 1 controllers, --image-copies wants 2; no other is "
                                 "connected"));
}

TEST_F(ReplicasTest, AStandbyThatCannotIsNamedWithItsReason) {
  const FakeStreamPtr b = Connect("b");
  const std::string digest = Store("app");
  Push(digest);
  SayError(b, digest, "the disk is full");
  Advance(Replicas::kTooFewWait);
  // It was asked again meanwhile.
  EXPECT_GT(b->holds.size(), 1u);
  ASSERT_TRUE(outcome_.has_value());
  EXPECT_THAT(std::string(outcome_->message()), HasSubstr("not by b (the disk is full)"));
}

TEST_F(ReplicasTest, AStandbyThatMakesProgressIsWaitedFor) {
  Connect("b");
  const std::string digest = Store("app");
  Push(digest);
  for (int64_t offset = 1; offset <= 5; ++offset) {
    Advance(Replicas::kReplicaTimeout - absl::Seconds(1));
    replicas_->OnFetched("controller/b", digest, offset, now_);
  }
  EXPECT_FALSE(outcome_.has_value());
  // The same bytes again are none.
  Advance(Replicas::kReplicaTimeout - absl::Seconds(1));
  replicas_->OnFetched("controller/b", digest, 5, now_);
  Advance(absl::Seconds(1));
  ASSERT_TRUE(outcome_.has_value());
  EXPECT_EQ(outcome_->code(), absl::StatusCode::kUnavailable);
}

TEST_F(ReplicasTest, AWaitThatIsForgottenIsNotCalled) {
  const FakeStreamPtr b = Connect("b");
  const std::string digest = Store("app");
  const uint64_t wait = Push(digest);
  ASSERT_NE(wait, 0u);
  replicas_->Forget(wait);
  SayHeld(b, digest);
  Advance(absl::Minutes(2));
  EXPECT_FALSE(outcome_.has_value());
}

TEST_F(ReplicasTest, AStandbyIsToldOfWhatItLacksOneByOne) {
  const std::string one = Store("one"), two = Store("two"), three = Store("three");
  replicas_->SetNeeded({{one, 3}, {two, 3}, {three, 5}});
  const FakeStreamPtr b = Connect("b", {two});
  std::vector<std::string> told;
  for (int i = 0; i < 2; ++i) {
    ASSERT_EQ(b->holds.size(), 1u);
    told.push_back(b->holds[0]);
    b->holds.clear();
    SayHeld(b, told.back());
  }
  EXPECT_THAT(b->holds, IsEmpty());
  EXPECT_THAT(told, testing::UnorderedElementsAre(one, three));
  const std::string four = Store("four");
  replicas_->Need(four, 4);
  EXPECT_THAT(b->holds, ElementsAre(four));
}

TEST_F(ReplicasTest, ANewLeaderAsksForBytesThatItLacks) {
  const std::string bytes = "only b has them";
  const std::string digest = DigestOf(bytes);
  const FakeStreamPtr c = Connect("c");
  const FakeStreamPtr b = Connect("b", {digest});
  replicas_->SetNeeded({{digest, 0}});
  EXPECT_THAT(c->sends, IsEmpty());
  ASSERT_THAT(b->sends, ElementsAre(digest));
  std::optional<absl::Status> fetched;
  replicas_->AwaitBytes(digest, now_, [&](const absl::Status& status) { fetched = status; });
  SayChunk(b, digest, 0, bytes.substr(0, 4));
  SayChunk(b, digest, 4, bytes.substr(4));
  EXPECT_FALSE(fetched.has_value());
  SayChunk(b, digest, static_cast<int64_t>(bytes.size()), "");
  ASSERT_TRUE(fetched.has_value());
  EXPECT_TRUE(fetched->ok());
  EXPECT_TRUE(blobs_->Has(digest));
  EXPECT_EQ(replicas_->missing(), 0u);
  // And whoever lacks them is told.
  EXPECT_THAT(c->holds, ElementsAre(digest));
}

TEST_F(ReplicasTest, WrongBytesAreRefusedAndAnotherIsAsked) {
  const std::string bytes = "the right ones";
  const std::string digest = DigestOf(bytes);
  replicas_->SetNeeded({{digest, 0}});
  const FakeStreamPtr b = Connect("b", {digest});
  const FakeStreamPtr c = Connect("c", {digest});
  ASSERT_THAT(b->sends, ElementsAre(digest));
  ASSERT_THAT(c->sends, IsEmpty());
  SayChunk(b, digest, 0, "wrong ones");
  SayChunk(b, digest, 10, "");
  EXPECT_FALSE(blobs_->Has(digest));
  ASSERT_THAT(c->sends, ElementsAre(digest));
  SayChunk(c, digest, 0, bytes);
  SayChunk(c, digest, static_cast<int64_t>(bytes.size()), "");
  EXPECT_TRUE(blobs_->Has(digest));
  // b does not hold it, whatever it said.
  EXPECT_EQ(replicas_->HoldersOf(digest), 1u);
  EXPECT_THAT(b->holds, ElementsAre(digest));
}

TEST_F(ReplicasTest, WhatAStandbyWouldNotSendAnotherIsAskedFor) {
  const std::string digest = DigestOf("bytes");
  replicas_->SetNeeded({{digest, 0}});
  const FakeStreamPtr b = Connect("b", {digest});
  const FakeStreamPtr c = Connect("c", {digest});
  const FakeStreamPtr d = Connect("d", {digest});
  ASSERT_THAT(b->sends, ElementsAre(digest));
  replicas_->OnClosed(b, now_);
  // One of the two.
  ASSERT_EQ(c->sends.size() + d->sends.size(), 1u);
  const FakeStreamPtr first = c->sends.empty() ? d : c;
  const FakeStreamPtr second = c->sends.empty() ? c : d;
  Advance(Replicas::kSendTimeout);
  EXPECT_THAT(second->sends, ElementsAre(digest));
  SayError(second, digest, "the disk has lost some of its bytes");
  EXPECT_EQ(replicas_->HoldersOf(digest), 1u);
}

TEST_F(ReplicasTest, BytesThatAreLostHereAreAskedForWhereTheyAreHeld) {
  const std::string bytes = "the right ones";
  const std::string digest = Store(bytes);
  replicas_->SetNeeded({{digest, 0}});
  const auto reader = *blobs_->Read(digest);
  // The only ones, right or not, stay.
  absl::Status lost = replicas_->OnLost(digest, *reader, now_);
  EXPECT_EQ(lost.code(), absl::StatusCode::kDataLoss);
  EXPECT_THAT(std::string(lost.message()), HasSubstr("push the image again"));
  EXPECT_TRUE(blobs_->Has(digest));
  const FakeStreamPtr b = Connect("b", {digest});
  lost = replicas_->OnLost(digest, *reader, now_);
  EXPECT_EQ(lost.code(), absl::StatusCode::kDataLoss);
  EXPECT_THAT(std::string(lost.message()), HasSubstr("another controller is asked"));
  EXPECT_FALSE(blobs_->Has(digest));
  ASSERT_THAT(b->sends, ElementsAre(digest));
  SayChunk(b, digest, 0, bytes);
  SayChunk(b, digest, static_cast<int64_t>(bytes.size()), "");
  EXPECT_TRUE(blobs_->Has(digest));
  // Whoever had begun to read the lost ones finds it later.
  EXPECT_EQ(replicas_->OnLost(digest, *reader, now_).code(), absl::StatusCode::kDataLoss);
  EXPECT_TRUE(blobs_->Has(digest));
  EXPECT_EQ(replicas_->missing(), 0u);
}

TEST_F(ReplicasTest, AnImageThatIsLostAndPushedAgainIsThere) {
  const std::string digest = DigestOf("app");
  replicas_->SetNeeded({{digest, 3}});
  std::optional<absl::Status> fetched;
  replicas_->AwaitBytes(digest, now_, [&](const absl::Status& status) { fetched = status; });
  EXPECT_EQ(replicas_->missing(), 1u);
  Push(Store("app"));
  ASSERT_TRUE(fetched.has_value());
  EXPECT_TRUE(fetched->ok());
  EXPECT_EQ(replicas_->missing(), 0u);
}

TEST_F(ReplicasTest, WhatFailsAgainAndAgainIsAskedForLaterEachTime) {
  const std::string digest = Store("app");
  replicas_->SetNeeded({{digest, 3}});
  const FakeStreamPtr b = Connect("b");
  const auto asked_within = [&](absl::Duration time) {
    b->holds.clear();
    size_t answered = 0;
    for (const absl::Time end = now_ + time; now_ < end;) {
      Advance(absl::Seconds(1));
      for (; answered < b->holds.size(); ++answered) SayError(b, digest, "the disk is full");
    }
    return b->holds.size();
  };
  SayError(b, digest, "the disk is full");
  EXPECT_EQ(asked_within(Replicas::kRetryAfter), 1u);
  EXPECT_EQ(asked_within(Replicas::kRetryAfter), 0u);
  EXPECT_EQ(asked_within(Replicas::kRetryAfter), 1u);
  asked_within(absl::Hours(1));
  EXPECT_LE(asked_within(absl::Hours(1)), absl::Hours(1) / Replicas::kLongestRetryAfter);
  EXPECT_GT(asked_within(absl::Hours(1)), 1u);
  // A push that waits is no such matter.
  Push(digest);
  SayError(b, digest, "the disk is full");
  EXPECT_EQ(asked_within(Replicas::kRetryAfter), 1u);
}

TEST_F(ReplicasTest, CopiesAreCounted) {
  const auto counts = [this] {
    const Replicas::Counts now = replicas_->Count();
    return std::vector<int64_t>{now.standbys, now.missing, now.few_copies, now.copies_behind};
  };
  const std::string one = Store("one"), two = Store("two"), lost = DigestOf("lost");
  EXPECT_THAT(counts(), ElementsAre(0, 0, 0, 0));
  replicas_->SetNeeded({{one, 3}, {lost, 4}});
  EXPECT_THAT(counts(), ElementsAre(0, 1, 2, 0));
  const FakeStreamPtr b = Connect("b", {one});
  EXPECT_THAT(counts(), ElementsAre(1, 1, 1, 1));
  const FakeStreamPtr c = Connect("c", {lost});
  EXPECT_THAT(counts(), ElementsAre(2, 1, 1, 2));
  SayChunk(c, lost, 0, "lost");
  SayChunk(c, lost, 4, "");
  EXPECT_THAT(counts(), ElementsAre(2, 0, 0, 2));
  replicas_->Need(two, 3);
  EXPECT_THAT(counts(), ElementsAre(2, 0, 1, 4));
  for (const std::string& digest : {one, two, lost}) SayHeld(c, digest);
  EXPECT_THAT(counts(), ElementsAre(2, 0, 0, 2));
  replicas_->OnClosed(c, now_);
  EXPECT_THAT(counts(), ElementsAre(1, 0, 2, 2));
  replicas_->SetNeeded({});
  EXPECT_THAT(counts(), ElementsAre(1, 0, 0, 0));
}

TEST_F(ReplicasTest, ADownloadOfMissingBytesIsUnavailableNotUnknown) {
  const std::string digest = DigestOf("bytes");
  replicas_->SetNeeded({{digest, 0}});
  std::optional<absl::Status> fetched;
  const auto done = [&](const absl::Status& status) { fetched = status; };
  EXPECT_NE(replicas_->AwaitBytes(digest, now_, done), 0u);
  Advance(Replicas::kBytesWait);
  ASSERT_TRUE(fetched.has_value());
  EXPECT_EQ(fetched->code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(ReasonOf(*fetched), "IMAGE_BYTES");
  EXPECT_EQ(replicas_->AwaitBytes(DigestOf("nobody's"), now_, done), 0u);
  EXPECT_EQ(fetched->code(), absl::StatusCode::kNotFound);
  // A controller without others does not wait for them.
  Begin(1, true);
  replicas_->SetNeeded({{digest, 0}});
  EXPECT_EQ(replicas_->AwaitBytes(digest, now_, done), 0u);
  EXPECT_EQ(fetched->code(), absl::StatusCode::kUnavailable);
}

TEST_F(ReplicasTest, WhatIsNoStandbyIsRefused) {
  const auto code = [](const FakeStreamPtr& stream) {
    return stream->closed.has_value() ? stream->closed->code() : absl::StatusCode::kOk;
  };
  EXPECT_EQ(code(Connect("a")), absl::StatusCode::kFailedPrecondition) << "the leader itself";
  EXPECT_EQ(code(Connect("B!")), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(code(Connect("b", {"sha256:0"})), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(code(Connect("b", {}, "c")), absl::StatusCode::kPermissionDenied);
  auto silent = std::make_shared<FakeStream>();
  replicas_->OnOpened(silent, "", now_);
  Advance(Replicas::kHelloTimeout);
  EXPECT_EQ(code(silent), absl::StatusCode::kDeadlineExceeded);
  auto rude = std::make_shared<FakeStream>();
  replicas_->OnOpened(rude, "", now_);
  SayHeld(rude, DigestOf("x"));
  EXPECT_EQ(code(rude), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(replicas_->standbys(), 0u);
  // A second call of one name takes the first one's place.
  const FakeStreamPtr first = Connect("b", {}, "b");
  const FakeStreamPtr second = Connect("b", {}, "b");
  EXPECT_EQ(code(first), absl::StatusCode::kAborted);
  EXPECT_EQ(code(second), absl::StatusCode::kOk);
  SayHeld(second, "sha256:0");
  EXPECT_EQ(code(second), absl::StatusCode::kInvalidArgument);
  for (size_t i = 0; i < Replicas::kMaxStreams; ++i)
    replicas_->OnOpened(std::make_shared<FakeStream>(), "", now_);
  auto one_more = std::make_shared<FakeStream>();
  replicas_->OnOpened(one_more, "", now_);
  EXPECT_EQ(code(one_more), absl::StatusCode::kResourceExhausted);
}

TEST_F(ReplicasTest, ChunksThatDoNotFollowEndTheCall) {
  const std::string digest = DigestOf("bytes");
  replicas_->SetNeeded({{digest, 0}});
  const FakeStreamPtr b = Connect("b", {digest});
  SayChunk(b, DigestOf("another"), 7, "late ones of what was given up");
  EXPECT_FALSE(b->closed.has_value());
  SayChunk(b, digest, 3, "byt");
  ASSERT_TRUE(b->closed.has_value());
  EXPECT_THAT(std::string(b->closed->message()), HasSubstr("chunk.offset: 3 is not 0"));
  const FakeStreamPtr c = Connect("c", {digest});
  SayChunk(c, digest, 0, std::string(Replicas::kMaxChunkBytes + 1, 'x'));
  ASSERT_TRUE(c->closed.has_value());
  EXPECT_THAT(std::string(c->closed->message()), HasSubstr("chunk.data: 262145 bytes"));
}

TEST_F(ReplicasTest, AtTheEndAllIsClosedAndAnswered) {
  const FakeStreamPtr b = Connect("b");
  Push(Store("app"));
  replicas_->Stop();
  EXPECT_TRUE(b->closed.has_value());
  ASSERT_TRUE(outcome_.has_value());
  EXPECT_EQ(outcome_->code(), absl::StatusCode::kUnavailable);
  EXPECT_TRUE(Connect("c")->closed.has_value());
  Push(Store("app"));
  EXPECT_EQ(outcome_->code(), absl::StatusCode::kUnavailable);
}

}  // namespace
}  // namespace remuda
