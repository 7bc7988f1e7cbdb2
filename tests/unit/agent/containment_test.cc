#include "agent/containment.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <string>
#include <vector>

#include "agent/private_view.h"

namespace remuda::agent {
namespace {

namespace fs = std::filesystem;

class ContainmentTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = (fs::temp_directory_path() / "remuda-contain-XXXXXX").string();
    root_ = fs::canonical(mkdtemp(pattern.data()));
    fs::create_directories(root_ / "data/instances/i-a");
    fs::create_directories(root_ / "disk");
    fs::create_directories(root_ / "programs");
  }
  void TearDown() override { fs::remove_all(root_); }
  Containment Make() const {
    return Containment({.program = "/bin/false",
                        .data_directory = root_ / "data",
                        .readable = {root_ / "programs", root_ / "data/instances", "/", "/none"}});
  }

  fs::path root_;
  remuda::v1::LaunchTemplateVersion template_;
};

TEST_F(ContainmentTest, WhatCouldNotBeTriedIsLacking) {
  const Containment containment = Make();
  for (const char* means : {"user", "seccomp", "landlock", "private_tmp"})
    EXPECT_EQ(containment.lacks().count(means), 1u) << means;
  Record run;
  containment.AddTo(template_, {root_ / "data/instances/i-a"}, std::nullopt, run);
  for (const char* key : {key::kSeccomp, key::kLandlock, key::kPrivateView, key::kUid})
    EXPECT_EQ(run.Text(key), "") << key;
  EXPECT_EQ(run.Text(key::kNoCapabilities), "1");
  EXPECT_EQ(run.Text(key::kTmp), root_ / "data/instances/i-a/tmp");
}

TEST_F(ContainmentTest, TheAgentsOwnDirectoryIsNeverReadable) {
  Record run;
  Make().AddTo(template_, {root_ / "data/instances/i-a"}, std::nullopt, run);
  const auto readable = run.All(key::kReadable);
  EXPECT_EQ(std::count(readable.begin(), readable.end(), root_ / "programs"), 1);
  for (const std::string& path : readable) {
    EXPECT_NE(path, "/");
    EXPECT_EQ(path.find(root_ / "data"), std::string::npos) << path;
  }
}

TEST_F(ContainmentTest, WritablePathsAreDirectoriesThatAreThereAndNotTheAgents) {
  const Containment containment = Make();
  template_.add_writable_paths(root_ / "disk");
  EXPECT_TRUE(containment.Check(template_).ok());
  fs::create_directory_symlink(root_ / "data", root_ / "link");
  for (const fs::path& bad : {root_ / "none", root_ / "data", root_ / "data/instances", root_,
                              fs::path("/"), root_ / "link", fs::path("/bin/false")}) {
    template_.set_writable_paths(0, bad);
    const absl::Status status = containment.Check(template_);
    EXPECT_TRUE(absl::IsFailedPrecondition(status)) << bad;
    EXPECT_NE(status.message().find("writable_paths: "), absl::string_view::npos) << bad;
  }
}

TEST_F(ContainmentTest, MoreOpenFilesThanTheHostAllowsAreRefusedUnlessBestEffort) {
  const Containment containment = Make();
  template_.mutable_limits()->set_open_files(100);  // where it could not be tried, none are
  const absl::Status status = containment.Check(template_);
  EXPECT_TRUE(absl::IsFailedPrecondition(status));
  EXPECT_NE(status.message().find("limits.open_files: 100"), absl::string_view::npos);
  template_.mutable_limits()->set_best_effort(true);
  EXPECT_TRUE(containment.Check(template_).ok());
}

TEST_F(ContainmentTest, WhatIsOnlyToBeReadIsNotWrittenInAViewWhateverItsModeIs) {
  if (geteuid() != 0) GTEST_SKIP() << "only root makes a view";
  const pid_t pid = fork();
  if (pid == 0) {
    PrivateView view;
    view.app = (root_ / "data/instances/i-a").string();
    view.hidden = {root_.string()};
    view.keep = {(root_ / "programs").string()};
    view.keep_writable = {(root_ / "disk").string()};
    const auto writes = [](const fs::path& path) {
      return open(path.c_str(), O_WRONLY | O_CREAT, 0600) < 0 ? errno : 0;
    };
    if (view.Enter() != 0) _exit(1);
    if (writes(root_ / "programs/x") != EROFS) _exit(2);
    _exit(writes(root_ / "disk/x") == 0 && writes(view.app + "/x") == 0 ? 0 : 3);
  }
  int status = 0;
  ASSERT_EQ(waitpid(pid, &status, 0), pid);
  if (WEXITSTATUS(status) == 1) GTEST_SKIP() << "no mount namespace can be had here";
  EXPECT_EQ(WEXITSTATUS(status), 0);
}

TEST_F(ContainmentTest, WhatIsHiddenIsTheFirstThatOthersMayNotPass) {
  fs::create_directories(root_ / "a/b/c");
  chmod(root_.c_str(), 0755);
  EXPECT_EQ(FirstClosed(root_ / "a/b/c"), root_ / "a/b/c");
  chmod((root_ / "a").c_str(), 0750);
  EXPECT_EQ(FirstClosed(root_ / "a/b/c"), root_ / "a");
  chmod((root_ / "a").c_str(), 0711);
  EXPECT_EQ(FirstClosed(root_ / "a/b/c"), root_ / "a/b/c");
}

}  // namespace
}  // namespace remuda::agent
