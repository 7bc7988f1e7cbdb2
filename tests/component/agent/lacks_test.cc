// The real remuda-agent on a host that lacks something: room on its disk, cgroups.
#include <gmock/gmock.h>
#include <sched.h>
#include <sys/mount.h>

#include <fstream>
#include <random>
#include <string>
#include <vector>

#include "tests/component/agent/agent_fixture.h"

namespace remuda::agent {
namespace {

using testing::HasSubstr;

// May mount in a mount namespace of this process, so that nothing of it stays.
class LacksTest : public AgentTest {
 protected:
  void SetUp() override {
    AgentTest::SetUp();
    if (unshare(CLONE_NEWNS) != 0 || mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0)
      GTEST_SKIP() << "only root mounts";
  }
  void TearDown() override {
    AgentTest::TearDown();
    for (const std::string& path : mounted_) umount2(path.c_str(), MNT_DETACH);
    fs::remove_all(root_);
  }
  // An empty file system there.
  void Mount(const std::string& path, const char* options) {
    ASSERT_EQ(mount("tmpfs", path.c_str(), "tmpfs", 0, options), 0) << path;
    mounted_.push_back(path);
  }
  bool Failed(const std::string& id) {
    return controller_.Wait(
        [&] { return controller_.status[id].state() == v1::PROCESS_STATE_FAILED; },
        kPastLaunchDeadline);
  }

 private:
  std::vector<std::string> mounted_;
};

// Its data directory is a small file system of its own.
class DiskTest : public LacksTest {
 protected:
  void SetUp() override {
    LacksTest::SetUp();
    if (IsSkipped()) return;
    fs::create_directories(data_);
    Mount(data_.string(), "size=80m");
  }
  // What cannot be packed smaller.
  std::string AddNoise(size_t bytes) {
    std::string noise(bytes, 0);
    std::mt19937 random(1);
    for (char& byte : noise) byte = static_cast<char>(random());
    return AddImage(controller_, {{"serve.sh", kServe}, {"noise", noise}});
  }
  // Until not a byte can be written.
  void Fill() const {
    std::ofstream out(data_ / "full", std::ios::binary);
    const std::string block(size_t{64} * 1024, 'x');
    while (out.write(block.data(), static_cast<std::streamsize>(block.size())).flush()) {
    }
  }
};

TEST_F(DiskTest, AnImageForWhichThereIsNoRoomFailsTheLaunch) {
  Begin();
  controller_.Assign({Serve("i-a"), Runs("i-b", AddNoise(size_t{12} << 20), {"./serve.sh"})});
  ASSERT_TRUE(Running("i-a"));
  ASSERT_TRUE(controller_.Wait([&] { return !controller_.status["i-b"].message().empty(); }))
      << "said at once, before it is given up";
  ASSERT_TRUE(Failed("i-b"));
  EXPECT_THAT(controller_.Status("i-b").message(), HasSubstr("are kept free"));
  EXPECT_EQ(controller_.Status("i-a").state(), v1::PROCESS_STATE_RUNNING);
}

TEST_F(DiskTest, AFullDiskFailsEachStepOfALaunchAndIsForgottenOnceThereIsRoom) {
  digest_ = AddNoise(size_t{1} << 20);
  Begin();
  auto warm = Serve("i-warm");
  warm.set_desired(v1::DESIRED_STATE_PREPARED);
  controller_.Assign({Serve("i-a"), warm});
  ASSERT_TRUE(Running("i-a"));
  ASSERT_TRUE(controller_.WaitState("i-warm", v1::PROCESS_STATE_PREPARED));
  Fill();
  // Another image's download, the copy of one that is here, and what a start writes.
  const std::string other = AddImage(controller_, {{"serve.sh", kServe}, {"other", "x"}});
  controller_.Assign(
      {Serve("i-a"), Serve("i-warm"), Serve("i-copy"), Runs("i-fetch", other, {"./serve.sh"})});
  for (const char* id : {"i-warm", "i-copy", "i-fetch"}) {
    ASSERT_TRUE(Failed(id)) << id << controller_.Status(id).ShortDebugString();
    EXPECT_THAT(controller_.Status(id).message(), HasSubstr("No space left on device")) << id;
  }
  EXPECT_EQ(controller_.Status("i-a").state(), v1::PROCESS_STATE_RUNNING);
  fs::remove(data_ / "full");
  controller_.Change({Serve("i-next")}, {"i-warm", "i-copy", "i-fetch"});
  EXPECT_TRUE(Running("i-next")) << controller_.Status("i-next").ShortDebugString();
  EXPECT_TRUE(controller_.Wait([&] { return controller_.removed.size() == 3; }));
}

TEST_F(LacksTest, WhatALimitKeepsFromRunningIsNotFetched) {
  Mount("/sys/fs/cgroup", "size=1m");
  Begin();
  auto limited = Serve("i-a");
  limited.mutable_launch_template()->mutable_limits()->set_memory("64Mi");
  auto warm = limited;
  warm.set_instance("i-warm");
  warm.set_desired(v1::DESIRED_STATE_PREPARED);
  controller_.Assign({limited, warm});
  for (const char* id : {"i-a", "i-warm"}) {
    ASSERT_TRUE(Failed(id)) << id;
    EXPECT_THAT(controller_.Status(id).message(),
                HasSubstr("limits.memory: cannot be enforced on this host"));
  }
  EXPECT_TRUE(controller_.fetch_offsets.empty());
  controller_.Change({Serve("i-b")}, {});
  EXPECT_TRUE(Running("i-b")) << "one without a limit runs";
}

}  // namespace
}  // namespace remuda::agent
