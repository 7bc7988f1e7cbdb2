// Images' bytes on disk: what is collected and what is spared, and directories that several
// controllers share.
#include "controller/images/blobs.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "controller/images/shared_directory.h"

namespace remuda {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

class BlobsTest : public testing::Test {
 protected:
  BlobsTest() {
    char path[] = "/tmp/remuda-blobs-XXXXXX";
    directory_ = mkdtemp(path);
  }
  ~BlobsTest() override { fs::remove_all(directory_); }

  std::unique_ptr<Blobs> Open(const std::string& shared_as = "") {
    auto blobs = Blobs::Open(
        {.directory = directory_, .max_blob_bytes = 1 << 20, .shared_as = shared_as}, total_);
    EXPECT_TRUE(blobs.ok()) << blobs.status();
    return *std::move(blobs);
  }
  static std::string Store(Blobs& blobs, const std::string& bytes) {
    auto upload = *blobs.Begin();
    EXPECT_TRUE(upload->Append(bytes).ok());
    EXPECT_TRUE(Blobs::Seal(*upload, "", 0).ok());
    const auto blob = blobs.Finish(*upload);
    EXPECT_TRUE(blob.ok()) << blob.status();
    blobs.Release(blob->digest);
    return blob->digest;
  }
  static void Age(const fs::path& path, std::chrono::hours age) {
    fs::last_write_time(path, fs::file_time_type::clock::now() - age);
  }

  std::string directory_;
  std::atomic<int64_t> total_ = 0;
};

TEST_F(BlobsTest, WhatNothingNamesGoesAtOnceUnlessAGraceIsGiven) {
  const auto blobs = Open();
  const std::string named = Store(*blobs, "named"), other = Store(*blobs, "other");
  blobs->Collect({named}, Blobs::kCollectGrace);
  EXPECT_TRUE(blobs->Has(other)) << "it is young";
  Age(blobs->PathOf(other), Blobs::kCollectGrace + std::chrono::hours(1));
  Age(blobs->PathOf(named), Blobs::kCollectGrace + std::chrono::hours(1));
  ASSERT_TRUE(blobs->Renew(other));
  blobs->Collect({named}, Blobs::kCollectGrace);
  EXPECT_TRUE(blobs->Has(other)) << "it was renewed";
  Age(blobs->PathOf(other), Blobs::kCollectGrace + std::chrono::hours(1));
  blobs->Collect({named}, Blobs::kCollectGrace);
  EXPECT_FALSE(blobs->Has(other));
  EXPECT_TRUE(blobs->Has(named));
  EXPECT_FALSE(blobs->Renew(other));
  EXPECT_EQ(total_, 5);
  const std::string young = Store(*blobs, "young");
  blobs->Collect({named});
  EXPECT_FALSE(blobs->Has(young));
}

// A limit of files' sizes stands for a disk that is full.
TEST_F(BlobsTest, AnUploadThatTheDiskRefusedGoesOnWhereItsFileEnds) {
  const auto blobs = Open();
  const std::string bytes = "0123456789";
  auto upload = *blobs->Begin();
  signal(SIGXFSZ, SIG_IGN);
  rlimit before{};
  ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &before), 0);
  rlimit full = before;
  full.rlim_cur = 4;
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &full), 0);
  const absl::Status refused = upload->Append(bytes);
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &before), 0);
  EXPECT_EQ(refused.code(), absl::StatusCode::kResourceExhausted) << refused;
  ASSERT_EQ(upload->size_bytes(), 4);
  EXPECT_TRUE(upload->Append(std::string_view(bytes).substr(4)).ok());
  EXPECT_TRUE(Blobs::Seal(*upload, "", 0).ok());
  const std::string digest = blobs->Finish(*upload)->digest;
  const auto reader = blobs->Read(digest);
  ASSERT_TRUE(reader.ok()) << reader.status();
  EXPECT_EQ((*reader)->Read(0, 100).value(), bytes);
  blobs->Release(digest);
}

TEST_F(BlobsTest, AClaimedBlobIsNotCollected) {
  const auto blobs = Open();
  auto upload = *blobs->Begin();
  ASSERT_TRUE(upload->Append("pushed").ok());
  ASSERT_TRUE(Blobs::Seal(*upload, "", 0).ok());
  const std::string digest = blobs->Finish(*upload)->digest;
  blobs->Collect({});
  EXPECT_TRUE(blobs->Has(digest));
  blobs->Release(digest);
  blobs->Collect({});
  EXPECT_FALSE(blobs->Has(digest));
}

TEST_F(BlobsTest, ADirectoryThatIsSharedKeepsWhatIsYoungAndOthersUploads) {
  const auto a = Open("a");
  auto upload = *a->Begin();
  ASSERT_TRUE(upload->Append("half").ok());
  const auto b = Open("b");  // starts while a takes an upload
  EXPECT_TRUE(fs::exists(upload->path()));
  const std::string digest = Store(*b, "b's");
  EXPECT_TRUE(a->Has(digest));
  a->Collect({});
  EXPECT_TRUE(a->Has(digest)) << "another controller may be about to register it";
  Age(a->PathOf(digest), Blobs::kCollectGrace + std::chrono::hours(1));
  a->Collect({});
  EXPECT_FALSE(b->Has(digest));
  // What a controller left that is there no more.
  EXPECT_TRUE(fs::exists(upload->path()));
  Age(upload->path(), Blobs::kUploadGrace + std::chrono::hours(1));
  b->Collect({});
  EXPECT_FALSE(fs::exists(upload->path()));
}

TEST_F(BlobsTest, ANameThatLeadsElsewhereIsRefused) {
  for (const char* name : {"../x", "a/b", ".."}) {
    const auto blobs =
        Blobs::Open({.directory = directory_, .max_blob_bytes = 1, .shared_as = name}, total_);
    EXPECT_EQ(blobs.status().code(), absl::StatusCode::kInvalidArgument) << name;
  }
}

TEST_F(BlobsTest, ASharedDirectoryIsOneClusters) {
  const std::string directory = directory_ + "/images";
  ASSERT_TRUE(ClaimSharedDirectory(directory, "c-1", false).ok());
  ASSERT_TRUE(ClaimSharedDirectory(directory, "c-1", true).ok()) << "a second controller, or again";
  const absl::Status other = ClaimSharedDirectory(directory, "c-2", true);
  EXPECT_EQ(other.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(other.message()),
              HasSubstr(directory + " is the directory of cluster c-1"));
  EXPECT_THAT(std::string(other.message()), HasSubstr("this is cluster c-2"));
  size_t files = 0;
  for (const auto& entry : fs::directory_iterator(directory)) files += entry.exists() ? 1 : 0;
  EXPECT_EQ(files, 1u) << "the mark alone";
}

TEST_F(BlobsTest, ADirectoryWithoutTheImagesThatThereMustBeIsNotTaken) {
  const std::string directory = directory_ + "/mount";
  for (int i = 0; i < 2; ++i) {
    const absl::Status status = ClaimSharedDirectory(directory, "c-1", true);
    EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
    EXPECT_THAT(std::string(status.message()), HasSubstr(directory + " has neither the mark"));
    EXPECT_FALSE(fs::exists(directory + "/cluster"));
    fs::create_directory(directory);
  }
  // Moved there before the first start with it.
  fs::create_directory(directory + "/sha256");
  EXPECT_TRUE(ClaimSharedDirectory(directory, "c-1", true).ok());
}

// A pause of a leader that was deposed meanwhile, and goes on with what it knew.
TEST_F(BlobsTest, WhatIsWrittenLaterThanWhatIsNamedWasKnownStays) {
  const auto blobs = Open("a");
  const auto known = Blobs::FileClock::now() - std::chrono::hours(5);
  const std::string later = Store(*blobs, "later"), before = Store(*blobs, "before");
  Age(blobs->PathOf(later), std::chrono::hours(4));
  Age(blobs->PathOf(before), std::chrono::hours(7));
  blobs->Collect({}, {}, known);
  EXPECT_TRUE(blobs->Has(later));
  EXPECT_FALSE(blobs->Has(before));
}

TEST_F(BlobsTest, OnlyTheFileThatWasReadIsDiscarded) {
  const auto blobs = Open();
  const std::string digest = Store(*blobs, "bytes");
  const auto reader = *blobs->Read(digest);
  ASSERT_EQ(Store(*blobs, "bytes"), digest) << "anew, in its place";
  blobs->Discard(digest, *reader);
  EXPECT_TRUE(blobs->Has(digest));
  blobs->Discard(digest, **blobs->Read(digest));
  EXPECT_FALSE(blobs->Has(digest));
  EXPECT_EQ(total_, 0);
}

TEST_F(BlobsTest, ADirectoryThatCannotBeIsSaid) {
  std::ofstream(directory_ + "/file") << "x";
  const absl::Status status = ClaimSharedDirectory(directory_ + "/file/images", "c-1", false);
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(std::string(status.message()), HasSubstr("--blobs: " + directory_ + "/file/images"));
}

}  // namespace
}  // namespace remuda
