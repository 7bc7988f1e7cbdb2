#include "agent/image_cache.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "agent/record_file.h"
#include "common/sha256.h"
#include "tests/few_files.h"

namespace remuda::agent {
namespace {

namespace fs = std::filesystem;

class FakeSource : public ImageSource {
 public:
  absl::Status Fetch(const std::string& digest, uint64_t offset, const Sink& sink) override {
    offsets.push_back(offset);
    if (images.count(digest) == 0) return absl::NotFoundError("no such image");
    const std::string rest = images[digest].substr(offset);
    const size_t most = std::exchange(break_after, std::nullopt).value_or(rest.size());
    for (size_t at = 0; at < std::min(most, rest.size()); at += 100) {
      if (absl::Status s =
              sink(std::string_view(rest).substr(at, std::min<size_t>(100, most - at)));
          !s.ok())
        return s;
    }
    if (and_then) and_then();
    return most < rest.size() ? absl::UnavailableError("broken off") : absl::OkStatus();
  }
  std::map<std::string, std::string> images;
  std::vector<uint64_t> offsets;
  std::optional<size_t> break_after;
  std::function<void()> and_then;  // once all is given
};

class ImageCacheTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = (fs::temp_directory_path() / "remuda-images-XXXXXX").string();
    root_ = mkdtemp(pattern.data());
  }
  void TearDown() override { fs::remove_all(root_); }

  std::string AddImage(const std::string& content) {
    const fs::path dir = root_ / ("src-" + std::to_string(source_.images.size()));
    fs::create_directories(dir / "sub");
    std::ofstream(dir / "sub/file") << content;
    return Add(dir);
  }
  // An image of two files of 600 bytes: it is smaller than its content.
  std::string AddBomb() {
    const fs::path dir = root_ / "bomb";
    fs::create_directories(dir);
    for (const char* name : {"a", "b"}) std::ofstream(dir / name) << std::string(600, 'x');
    return Add(dir);
  }
  ImageCache::Options Options() { return {.directory = root_ / "cache"}; }

  fs::path root_;
  FakeSource source_;

 private:
  std::string Add(const fs::path& dir) {
    const std::string archive = dir.string() + ".tar";
    const auto packed = PackDirectory(dir, archive);
    EXPECT_TRUE(packed.ok());
    std::string digest = "sha256:" + packed->sha256;
    source_.images[digest] = *ReadWholeFile(archive);
    return digest;
  }
};

TEST_F(ImageCacheTest, FetchesOnceAndResumes) {
  const std::string digest = AddImage("hello");
  ImageCache cache(Options(), source_);
  ASSERT_TRUE(cache.Open().ok());
  source_.break_after = 50;
  EXPECT_EQ(cache.Ensure(digest).status().code(), absl::StatusCode::kUnavailable);
  const auto path = cache.Ensure(digest);
  ASSERT_TRUE(path.ok()) << path.status();
  EXPECT_EQ(*ReadWholeFile(*path + "/sub/file"), "hello");
  EXPECT_EQ(source_.offsets, (std::vector<uint64_t>{0, 50}));
  EXPECT_EQ(*cache.Ensure(digest), *path);
  EXPECT_EQ(source_.offsets.size(), 2u);
}

TEST_F(ImageCacheTest, WhatIsWrongIsSaidAndLeavesNothing) {
  const std::string wrong = "sha256:" + std::string(64, 'a');
  source_.images[wrong] = "other bytes";
  ImageCache cache({.directory = root_ / "cache", .max_archive_bytes = 150}, source_);
  ASSERT_TRUE(cache.Open().ok());
  for (const std::string& digest : {std::string("sha256:xyz"), std::string("md5:1"), wrong,
                                    "sha256:" + std::string(62, 'a') + "/."}) {
    EXPECT_EQ(cache.Ensure(digest).status().code(), absl::StatusCode::kInvalidArgument) << digest;
  }
  EXPECT_EQ(cache.Ensure("sha256:" + std::string(64, 'b')).status().code(),
            absl::StatusCode::kNotFound);
  const std::string large(1000, 'x');
  source_.images["sha256:" + Sha256Hex(large)] = large;
  const auto refused = cache.Ensure("sha256:" + Sha256Hex(large));
  EXPECT_NE(refused.status().message().find("over 150 bytes"), absl::string_view::npos)
      << refused.status();
  for (const auto& entry : fs::directory_iterator(root_ / "cache"))
    EXPECT_EQ(entry.path().filename(), "boot");
}

TEST_F(ImageCacheTest, ARefusedArchiveLeavesNothingAndIsNotFetchedAgain) {
  const std::string digest = AddBomb();
  ImageCache cache({.directory = root_ / "cache", .limits = {.max_content_bytes = 1000}}, source_);
  ASSERT_TRUE(cache.Open().ok());
  for (int i = 0; i < 3; ++i) {
    const absl::Status refused = cache.Ensure(digest).status();
    EXPECT_EQ(refused.code(), absl::StatusCode::kInvalidArgument);
    EXPECT_NE(refused.message().find("\"b\": the content is over 1000 bytes"),
              absl::string_view::npos)
        << refused;
  }
  EXPECT_EQ(source_.offsets.size(), 1u) << "the same digest means the same bytes";
  for (const auto& entry : fs::directory_iterator(root_ / "cache"))
    EXPECT_EQ(entry.path().filename(), "boot");
}

// All of it is judged before the first file is written.
TEST_F(ImageCacheTest, NothingOfARefusedArchiveIsWritten) {
  const std::string digest = AddBomb();
  ImageCache::Options options = Options();
  options.limits.max_content_bytes = 1000;
  int looks = 0;
  options.room_of = [&](const std::string&) {
    ++looks;
    return DiskRoom{1 << 30, 1000, 4096};
  };
  ImageCache cache(options, source_);
  ASSERT_TRUE(cache.Open().ok());
  // Where its files would be written, none can be.
  std::ofstream(root_ / "cache" / (digest.substr(7) + ".unpack")) << "in the way";
  source_.and_then = [&] { looks = 0; };  // those before were for the archive itself
  EXPECT_EQ(cache.Ensure(digest).status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(ReadWholeFile((root_ / "cache" / (digest.substr(7) + ".unpack")).string()),
            "in the way");
  EXPECT_EQ(looks, 0);
}

TEST_F(ImageCacheTest, WhatTheDiskHasNoRoomForWaitsForIt) {
  const std::string digest = AddImage(std::string(10'000, 'x'));  // and two entries: 3 blocks
  ImageCache::Options options = Options();
  DiskRoom room;
  options.room_of = [&](const std::string&) { return room; };
  ImageCache cache(options, source_);
  ASSERT_TRUE(cache.Open().ok());
  const std::string archive = (root_ / "cache" / (digest.substr(7) + ".part")).string();
  constexpr uint64_t kBlock = 4096, kNeeded = 10'000 + 2 * kBlock;
  struct Case {
    DiskRoom room;
    const char* why;
  };
  for (const Case& c :
       {Case{{0, 0, kBlock}, "has 0 left"},
        Case{{ImageCache::kKeepFreeBytes + kNeeded - 1, 100, kBlock}, "its files take 18192 bytes"},
        Case{{ImageCache::kKeepFreeBytes + kNeeded, 1, kBlock}, "it has 2 files"}}) {
    room = c.room;
    const absl::Status refused = cache.Ensure(digest).status();
    EXPECT_EQ(refused.code(), absl::StatusCode::kResourceExhausted) << "it may fit later";
    EXPECT_NE(refused.message().find(c.why), absl::string_view::npos) << refused;
    EXPECT_FALSE(fs::exists(root_ / "cache" / (digest.substr(7) + ".unpack")));
    EXPECT_TRUE(fs::exists(archive)) << "it need not be fetched again";
  }
  EXPECT_EQ(cache.BytesOfPart(digest), fs::file_size(archive));
  room = {ImageCache::kKeepFreeBytes + kNeeded, 2, kBlock};
  const auto path = cache.Ensure(digest);
  ASSERT_TRUE(path.ok()) << path.status();
  EXPECT_EQ(cache.BytesOfPart(digest), 0u);
}

// What runs has logs and records to write.
TEST_F(ImageCacheTest, ADownloadLeavesTheLastOfTheDiskFree) {
  std::mt19937 random(1);
  std::string content(1000, '\0');  // that cannot be made smaller
  for (char& c : content) c = static_cast<char>(random() & 0x7f);
  const std::string digest = AddImage(content);
  ImageCache::Options options = Options();
  const std::string archive = (root_ / "cache" / (digest.substr(7) + ".part")).string();
  uint64_t disk = ImageCache::kKeepFreeBytes + 150;
  options.room_of = [&](const std::string&) {
    return DiskRoom{disk - ReadWholeFile(archive).value_or("").size(), 1000, 1};
  };
  ImageCache cache(options, source_);
  ASSERT_TRUE(cache.Open().ok());
  for (int i = 0; i < 2; ++i) {
    const absl::Status refused = cache.Ensure(digest).status();
    EXPECT_EQ(refused.code(), absl::StatusCode::kResourceExhausted) << refused;
    EXPECT_NE(refused.message().find("are kept free"), absl::string_view::npos) << refused;
    EXPECT_EQ(fs::file_size(archive), 100u) << "one chunk fitted, and is kept for the next try";
  }
  disk *= 2;
  EXPECT_TRUE(cache.Ensure(digest).ok());
}

TEST_F(ImageCacheTest, TheRoomOfADiskIsWhatItHas) {
  const auto room = RoomOf(root_);
  ASSERT_TRUE(room.ok()) << room.status();
  EXPECT_EQ(room->bytes > 0, fs::space(root_).available > 0);
  EXPECT_GT(room->block_bytes, 0u);
  EXPECT_FALSE(RoomOf(root_ / "nothing").ok());
}

TEST_F(ImageCacheTest, WrongBytesForADigestAreNotHeldAgainstIt) {
  const std::string digest = AddImage("right");
  const std::string right = source_.images[digest];
  source_.images[digest] = "wrong";
  ImageCache cache(Options(), source_);
  ASSERT_TRUE(cache.Open().ok());
  EXPECT_EQ(cache.Ensure(digest).status().code(), absl::StatusCode::kInvalidArgument);
  source_.images[digest] = right;
  EXPECT_TRUE(cache.Ensure(digest).ok());
}

TEST_F(ImageCacheTest, DownloadsThatNobodyGoesOnWithAreDeleted) {
  ImageCache cache(Options(), source_);
  ASSERT_TRUE(cache.Open().ok());
  const auto part = [&](char digit) {
    std::string name(64, digit);  // g++ 12 warns of a bound that `+` keeps
    name.append(".part");
    return root_ / "cache" / name;
  };
  for (const char digit : {'a', 'b', 'c'}) std::ofstream(part(digit)) << "half";
  const auto long_ago = fs::file_time_type::clock::now() - 2 * ImageCache::kKeepPart;
  fs::last_write_time(part('a'), long_ago);
  fs::last_write_time(part('b'), long_ago);
  cache.Prune({"sha256:" + std::string(64, 'b')});
  EXPECT_FALSE(fs::exists(part('a')));
  EXPECT_TRUE(fs::exists(part('b'))) << "wanted";
  EXPECT_TRUE(fs::exists(part('c'))) << "new";
}

TEST_F(ImageCacheTest, ADamagedPartIsFetchedAnew) {
  const std::string digest = AddImage("hello");
  ImageCache cache(Options(), source_);
  ASSERT_TRUE(cache.Open().ok());
  std::ofstream(root_ / "cache" / (digest.substr(7) + ".part")) << "damaged on disk";
  EXPECT_EQ(cache.Ensure(digest).status().code(), absl::StatusCode::kUnavailable);
  EXPECT_TRUE(cache.Ensure(digest).ok());
}

TEST_F(ImageCacheTest, AHostThatCannotUnpackItNowMayLater) {
  const std::string digest = AddImage("hello");
  ImageCache::Options options = Options();
  options.room_of = [](const std::string&) {
    return DiskRoom{.bytes = uint64_t{1} << 40, .files = 1000, .block_bytes = 4096};
  };
  ImageCache cache(options, source_);
  ASSERT_TRUE(cache.Open().ok());
  std::optional<FewFiles> few;
  // The download's own file is open still: then the archive can be read, and nothing be written.
  source_.and_then = [&] { few.emplace(0); };
  const absl::Status status = cache.Ensure(digest).status();
  few.reset();
  source_.and_then = nullptr;
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable) << status;
  EXPECT_TRUE(cache.Ensure(digest).ok()) << "it is not remembered as refused";
  EXPECT_EQ(source_.offsets.size(), 2U);
  EXPECT_GT(source_.offsets[1], 0U) << "what came is kept";
}

TEST_F(ImageCacheTest, AfterALossOfPowerOnlyWhatWasDurableCounts) {
  const std::string kept = AddImage("kept"), lost = AddImage("lost");
  {
    ImageCache cache(Options(), source_);
    ASSERT_TRUE(cache.Open().ok());
    ASSERT_TRUE(cache.Ensure(kept).ok());
    cache.MakeDurable();
    ASSERT_TRUE(cache.Ensure(lost).ok());
  }
  {
    ImageCache same_boot(Options(), source_);
    ASSERT_TRUE(same_boot.Open().ok());
    EXPECT_TRUE(fs::exists(root_ / "cache" / lost.substr(7)));
  }
  std::ofstream(root_ / "cache/boot") << "another boot";
  ImageCache cache(Options(), source_);
  ASSERT_TRUE(cache.Open().ok());
  EXPECT_TRUE(fs::exists(root_ / "cache" / kept.substr(7)));
  EXPECT_FALSE(fs::exists(root_ / "cache" / lost.substr(7)));
}

TEST_F(ImageCacheTest, PruneKeepsTheUsedAndTheNewest) {
  ImageCache cache(Options(), source_);
  ASSERT_TRUE(cache.Open().ok());
  std::vector<std::string> digests;
  for (int i = 0; i < 8; ++i) {
    digests.push_back(AddImage("image " + std::to_string(i)));
    ASSERT_TRUE(cache.Ensure(digests.back()).ok());
    const auto age = std::chrono::hours(100 - i);
    fs::last_write_time(root_ / "cache" / digests.back().substr(7),
                        fs::file_time_type::clock::now() - age);
  }
  cache.Prune({digests[0]});
  for (size_t i = 0; i < digests.size(); ++i) {
    EXPECT_EQ(fs::exists(root_ / "cache" / digests[i].substr(7)), i == 0 || i >= 3) << i;
  }
}

// What runs as their user (the version before, in an instance that is changed) could put a link in
// the place of a directory, and have the agent write where that leads.
TEST_F(ImageCacheTest, NobodyPassesACopyThatIsNotWhole) {
  const fs::path from = root_ / "from";
  fs::create_directories(from / "d");
  ASSERT_EQ(mkfifo((from / "d/fifo").c_str(), 0600), 0);  // no image has one: it breaks off there
  ASSERT_FALSE(CopyTree(from, root_ / "to").ok());
  EXPECT_TRUE(fs::exists(root_ / "to/d"));
  EXPECT_EQ(fs::status(root_ / "to").permissions(), fs::perms(0700));
  fs::remove(from / "d/fifo");
  ASSERT_TRUE(CopyTree(from, root_ / "whole").ok());
  EXPECT_EQ(fs::status(root_ / "whole").permissions(), fs::perms(0755));
}

TEST_F(ImageCacheTest, CopiesShareNothingThatCanBeWritten) {
  const fs::path from = root_ / "from";
  fs::create_directories(from / "d/e");
  std::ofstream(from / "d/run") << "#!/bin/sh\n";
  fs::permissions(from / "d/run", fs::perms(0750));
  fs::permissions(from / "d", fs::perms(0555));
  fs::create_symlink("d/run", from / "link");
  ASSERT_TRUE(CopyTree(from, root_ / "to").ok());
  EXPECT_EQ(fs::read_symlink(root_ / "to/link"), "d/run");
  EXPECT_EQ(fs::status(root_ / "to/d/run").permissions(), fs::perms(0750));
  EXPECT_EQ(fs::status(root_ / "to/d").permissions(), fs::perms(0555));
  std::ofstream(root_ / "to/d/run", std::ios::app) << "changed";
  EXPECT_EQ(*ReadWholeFile(from / "d/run"), "#!/bin/sh\n");
  EXPECT_FALSE(CopyTree(from, root_ / "to").ok()) << "it exists";
  if (geteuid() == 0) {
    ASSERT_TRUE(CopyTree(from, root_ / "owned", 65534, 65534).ok());
    for (const char* name : {"owned", "owned/d", "owned/d/run", "owned/link"}) {
      struct stat st {};
      ASSERT_EQ(lstat((root_ / name).c_str(), &st), 0);
      EXPECT_EQ(st.st_uid, 65534u) << name;
    }
  }
}

}  // namespace
}  // namespace remuda::agent
