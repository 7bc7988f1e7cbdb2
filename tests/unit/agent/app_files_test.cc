#include "agent/app_files.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "agent/record_file.h"
#include "agent/supervisor.h"

namespace remuda::agent {
namespace {

namespace fs = std::filesystem;

const std::string kOld = "sha256:" + std::string(64, 'a');
const std::string kNew = "sha256:" + std::string(64, 'b');

class AppFilesTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = (fs::temp_directory_path() / "remuda-files-XXXXXX").string();
    root_ = mkdtemp(pattern.data());
    fs::create_directories(root_ / "images/old");
    fs::create_directories(root_ / "images/new");
    dir_.path = root_ / "i-a";
  }
  void TearDown() override { fs::remove_all(root_); }

  static void Write(const fs::path& path, const std::string& text = "x") {
    fs::create_directories(path.parent_path());
    std::ofstream(path) << text;
  }
  std::string Place(const std::string& digest) const {
    if (digest == kOld && old_is_known_) return root_ / "images/old";
    if (digest == kNew) return root_ / "images/new";
    return "";
  }
  ImagePlace Places() const {
    return [this](const std::string& digest) { return Place(digest); };
  }
  absl::Status Install() { return InstallFiles(dir_, Places(), root_ / "doomed"); }
  // app/ as the old image has it.
  void RunOld() {
    ASSERT_TRUE(PrepareFiles(root_ / "images/old", kOld, dir_, std::nullopt).ok());
    ASSERT_TRUE(Install().ok());
    fs::remove_all(root_ / "doomed");
  }
  void PrepareNew() {
    ASSERT_TRUE(PrepareFiles(root_ / "images/new", kNew, dir_, std::nullopt).ok());
  }
  // Every file below app/, with what it holds.
  std::map<std::string, std::string> App() const {
    std::map<std::string, std::string> all;
    const fs::path app = dir_.App();
    for (const auto& entry : fs::recursive_directory_iterator(app)) {
      const std::string name = entry.path().lexically_relative(app).string();
      if (entry.is_symlink()) {
        all[name] = "-> " + fs::read_symlink(entry.path()).string();
      } else if (entry.is_regular_file()) {
        all[name] = ReadWholeFile(entry.path()).value_or("?");
      }
    }
    return all;
  }

  fs::path root_;
  InstanceDir dir_;
  bool old_is_known_ = true;
};

TEST_F(AppFilesTest, WhatTheAppWroteStaysAndTheImagesFilesGo) {
  const fs::path images = root_ / "images";
  for (const char* file : {"bin", "gone", "lib/a", "lib/gone", "gone-dir/a", "becomes-dir",
                           "becomes-link/a", "static/css/old"}) {
    Write(images / "old" / file, "old");
  }
  for (const char* file : {"bin", "lib/a", "lib/b", "becomes-dir/a", "static/css/new", "taken"})
    Write(images / "new" / file, "new");
  fs::create_symlink("/etc", images / "new/becomes-link");
  RunOld();
  const fs::path app = dir_.App();
  Write(app / "bin", "patched by the app");
  Write(app / "data/db", "mine");
  Write(app / "lib/plugin", "mine");
  Write(app / "lib/b", "mine, in the way");
  Write(app / "gone-dir/cache", "mine");
  Write(app / "becomes-link/mine", "mine, in the way");
  Write(app / "static/css/upload", "mine");
  Write(app / "taken", "mine, in the way");
  fs::create_symlink("/nowhere", app / "link");
  PrepareNew();
  EXPECT_EQ(FilesIn(dir_), kOld) << "while it runs";
  EXPECT_EQ(NextFilesIn(dir_), kNew);
  ASSERT_TRUE(Install().ok());
  const std::map<std::string, std::string> expected = {{"bin", "new"},
                                                       {"data/db", "mine"},
                                                       {"lib/a", "new"},
                                                       {"lib/b", "new"},
                                                       {"lib/plugin", "mine"},
                                                       {"gone-dir/cache", "mine"},
                                                       {"becomes-dir/a", "new"},
                                                       {"becomes-link", "-> /etc"},
                                                       {"static/css/new", "new"},
                                                       {"static/css/upload", "mine"},
                                                       {"taken", "new"},
                                                       {"link", "-> /nowhere"}};
  EXPECT_EQ(App(), expected);
  EXPECT_EQ(FilesIn(dir_), kNew);
  EXPECT_EQ(NextFilesIn(dir_), "");
  EXPECT_FALSE(fs::exists("/etc/mine"));
}

TEST_F(AppFilesTest, OfAnImageThatIsNotKnownAnyMoreNothingIsLost) {
  Write(root_ / "images/old/file", "old");
  Write(root_ / "images/new/bin", "new");
  RunOld();
  Write(dir_.App() + "/data/db", "mine");
  PrepareNew();
  old_is_known_ = false;
  ASSERT_TRUE(Install().ok());
  EXPECT_EQ(App(), (std::map<std::string, std::string>{
                       {"bin", "new"}, {"data/db", "mine"}, {"file", "old"}}));
}

TEST_F(AppFilesTest, AnInstallationThatWasBrokenOffAnywhereIsFinished) {
  const std::vector<std::function<void(const InstanceDir&)>> done = {
      [](const InstanceDir& d) { fs::rename(d.Next(), d.Into()); },
      [](const InstanceDir& d) { fs::rename(d.App() + "/mine", d.Into() + "/mine"); },
      [](const InstanceDir& d) { fs::rename(d.App(), d.path + "/../doomed-before"); },
      [](const InstanceDir& d) { WriteFileAtomically(d.Image(), kNew, false); },
  };
  for (size_t steps = 0; steps <= done.size(); ++steps) {
    SCOPED_TRACE(steps);
    fs::remove_all(root_ / "images");
    Write(root_ / "images/old/bin", "old");
    Write(root_ / "images/new/bin", "new");
    fs::remove_all(dir_.path);
    RunOld();
    Write(dir_.App() + "/mine");
    Write(dir_.App() + "/other");
    if (steps < 3) Write(dir_.App() + "/late");
    PrepareNew();
    for (size_t i = 0; i < steps; ++i) {
      if (i == 2) fs::rename(dir_.App() + "/other", dir_.Into() + "/other");
      done[i](dir_);
    }
    EXPECT_EQ(IsHalfInstalled(dir_), steps > 0);
    EXPECT_EQ(FilesIn(dir_), steps == 0 ? kOld : "") << "half a directory is none";
    EXPECT_EQ(NextFilesIn(dir_), kNew);
    ASSERT_TRUE(Install().ok());
    std::map<std::string, std::string> expected = {{"bin", "new"}, {"mine", "x"}, {"other", "x"}};
    if (steps < 3) expected["late"] = "x";
    EXPECT_EQ(App(), expected);
    EXPECT_EQ(FilesIn(dir_), kNew);
    EXPECT_EQ(NextFilesIn(dir_), "");
    EXPECT_FALSE(IsHalfInstalled(dir_));
    fs::remove_all(root_ / "doomed");
    fs::remove_all(root_ / "doomed-before");
  }
}

TEST_F(AppFilesTest, NothingIsTouchedUnderALockThatIsHeld) {
  Write(root_ / "images/new/bin", "new");
  RunOld();
  PrepareNew();
  const auto lock = LockInstance(dir_);
  ASSERT_TRUE(lock.ok());
  EXPECT_TRUE(absl::IsUnavailable(Install()));
  EXPECT_EQ(FilesIn(dir_), kOld);
  EXPECT_EQ(NextFilesIn(dir_), kNew);
}

TEST_F(AppFilesTest, AnotherUserGetsWhatTheFirstOneWrote) {
  if (geteuid() != 0) GTEST_SKIP() << "only root gives files away";
  const UserIds first{.uid = 60'001, .gid = 60'001, .name = "first"};
  const UserIds second{.uid = 60'002, .gid = 60'003, .name = "second"};
  Write(root_ / "images/old/share/bin", "old");
  Write(root_ / "images/new/bin", "new");
  ASSERT_TRUE(PrepareFiles(root_ / "images/old", FilesKey(kOld, "first"), dir_, first).ok());
  ASSERT_TRUE(Install().ok());
  fs::remove_all(root_ / "doomed");
  Write(dir_.App() + "/data/db", "mine");
  Write(dir_.App() + "/share/cache", "mine");
  for (const char* file : {"/data", "/data/db", "/share/cache"})
    ASSERT_EQ(lchown((dir_.App() + file).c_str(), first.uid, first.gid), 0);
  Write(dir_.App() + "/data/roots", "root's");
  ASSERT_TRUE(PrepareFiles(root_ / "images/new", FilesKey(kNew, "second"), dir_, second).ok());
  ASSERT_TRUE(Install().ok());
  EXPECT_EQ(FilesIn(dir_), FilesKey(kNew, "second"));
  EXPECT_EQ(DigestOf(FilesIn(dir_)), kNew);
  for (const char* file : {"", "/bin", "/data", "/data/db", "/share", "/share/cache"}) {
    struct stat st {};
    ASSERT_EQ(lstat((dir_.App() + file).c_str(), &st), 0) << file;
    EXPECT_EQ(st.st_uid, second.uid) << file;
    EXPECT_EQ(st.st_gid, second.gid) << file;
  }
  struct stat st {};
  ASSERT_EQ(lstat((dir_.App() + "/data/roots").c_str(), &st), 0);
  EXPECT_EQ(st.st_uid, 0u) << "was not the first one's";
}

}  // namespace
}  // namespace remuda::agent
