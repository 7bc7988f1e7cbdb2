// Parts of the shell that need no socket of a client: the loop's timers, the stored config.
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <utility>

#include "proxy/config_store.h"
#include "proxy/event_loop.h"
#include "proxy/socket.h"

namespace remuda::proxy {
namespace {

using std::chrono::milliseconds;

TEST(EventLoop, TimersFireInOrderAndNeverEarly) {
  EventLoop loop;
  std::vector<int> fired;
  const SteadyTime start = loop.now();
  SteadyTime at[3];
  Timer first([&] { fired.push_back(1), at[0] = loop.now(); });
  Timer second([&] { fired.push_back(2), at[1] = loop.now(); });
  Timer moved([&] {
    fired.push_back(3);
    at[2] = loop.now();
    loop.Stop();
  });
  Timer cancelled([&] { fired.push_back(4); });
  moved.Arm(loop, start + milliseconds(5));
  second.Arm(loop, start + milliseconds(30));
  first.Arm(loop, start + milliseconds(10));
  cancelled.Arm(loop, start + milliseconds(15));
  moved.Arm(loop, start + milliseconds(60));  // later: no new place in the wheel
  cancelled.Cancel();
  loop.Run();
  EXPECT_EQ(fired, (std::vector<int>{1, 2, 3}));
  EXPECT_GE(at[0] - start, milliseconds(10));
  EXPECT_GE(at[1] - start, milliseconds(30));
  EXPECT_GE(at[2] - start, milliseconds(60));
}

TEST(EventLoop, TimerBeyondTheWheelComesBack) {
  EventLoop loop;
  bool is_far_fired = false;
  Timer far([&] { is_far_fired = true; });
  Timer stop([&] { loop.Stop(); });
  far.Arm(loop, loop.now() + std::chrono::hours(24));  // many turns of the wheel away
  stop.Arm(loop, loop.now() + milliseconds(20));
  loop.Run();
  EXPECT_FALSE(is_far_fired);
  EXPECT_TRUE(far.is_armed());
}

TEST(EventLoop, RunsPostedTasksInOrder) {
  EventLoop loop;
  std::vector<int> ran;
  loop.Post([&] { ran.push_back(1); });
  loop.Post([&] {
    ran.push_back(2);
    loop.Post([&] {
      ran.push_back(3);
      loop.Stop();
    });
  });
  loop.Run();
  EXPECT_EQ(ran, (std::vector<int>{1, 2, 3}));
}

StoredConfig Sample() {
  StoredConfig config;
  config.cluster_id = "c1";
  config.epoch = 4;
  config.update.mutable_revision()->set_sequence(9);
  config.update.mutable_upserts()->add_target_groups()->set_name("blue\n\n");
  return config;
}

TEST(StoredConfig, ComesBack) {
  const auto decoded = DecodeStoredConfig(EncodeStoredConfig(Sample()));
  ASSERT_TRUE(decoded.ok()) << decoded.status();
  EXPECT_EQ(decoded->cluster_id, "c1");
  EXPECT_EQ(decoded->epoch, 4);
  EXPECT_EQ(decoded->update.SerializeAsString(), Sample().update.SerializeAsString());
}

TEST(StoredConfig, AnyChangedOrMissingByteIsFound) {
  const std::string bytes = EncodeStoredConfig(Sample());
  for (size_t i = 0; i < bytes.size(); ++i) {
    std::string changed = bytes;
    changed[i] = static_cast<char>(changed[i] ^ 1);
    EXPECT_FALSE(DecodeStoredConfig(changed).ok()) << i;
    EXPECT_FALSE(DecodeStoredConfig(bytes.substr(0, i)).ok()) << i;
  }
}

TEST(ConfigStore, KeepsTheNewest) {
  std::string pattern = (std::filesystem::temp_directory_path() / "remuda-store-XXXXXX").string();
  ASSERT_NE(mkdtemp(pattern.data()), nullptr);
  const std::string directory = pattern + "/a/b";
  {
    ConfigStore store(directory);
    EXPECT_EQ(store.Load().status().code(), absl::StatusCode::kNotFound);
    for (int i = 1; i <= 50; ++i) {
      auto table = std::make_shared<RoutingTable>();
      table->revision = {1, i};
      store.Save(table, "c1", 1);
    }
  }  // writes what is pending
  ConfigStore store(directory);
  const auto loaded = store.Load();
  ASSERT_TRUE(loaded.ok()) << loaded.status();
  EXPECT_EQ(loaded->update.revision().sequence(), 50);
  std::ofstream(directory + "/config", std::ios::app) << "x";
  EXPECT_EQ(store.Load().status().code(), absl::StatusCode::kDataLoss);
  std::filesystem::remove_all(pattern);
}

// What is still being sent may wait for an application that keeps its window shut.
TEST(DoubtPeer, GivesMoreTimeWhileMoreIsToBeSent) {
  const std::pair<bool, std::chrono::milliseconds> cases[] = {{false, kDoubtTimeout},
                                                              {true, kDoubtWhileSending}};
  for (const auto& [is_sending, wanted] : cases) {
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    DoubtPeer(fd, is_sending);
    int got = 0;
    socklen_t size = sizeof got;
    EXPECT_EQ(getsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &got, &size), 0);
    EXPECT_EQ(milliseconds(got), wanted) << is_sending;
    close(fd);
  }
}

}  // namespace
}  // namespace remuda::proxy
