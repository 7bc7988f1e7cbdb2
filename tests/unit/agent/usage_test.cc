#include "agent/usage.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include "tests/wait.h"

namespace remuda::agent {
namespace {

TEST(UsageMeter, CountsATreeAndTheProcessorItTook) {
  // A parent (the "shim") with a child that spins until it is told to end.
  const pid_t parent = fork();
  if (parent == 0) {
    const pid_t child = fork();
    if (child == 0) {
      for (std::atomic<uint64_t> i{0};;) i.fetch_add(1);
    }
    pause();
  }
  const auto spun = [&] {
    uint64_t ticks = 0;
    for (const ProcessStat& p : DescendantsOf(parent, AllProcesses())) ticks += p.cpu_ticks;
    return ticks;
  };
  UsageMeter meter;
  const auto start = std::chrono::steady_clock::now();
  const UsageMeter::Tree tree{
      .instance = "i-1", .root = parent, .started_unix_ms = 1'700'000'000'250, .restarts = 4};
  const auto first = meter.Look({tree}, "/", start);
  ASSERT_EQ(first.instances_size(), 1);
  EXPECT_EQ(first.instances(0).cpu_millis(), 0) << "nothing to compare with yet";
  const uint64_t before = spun();
  EXPECT_TRUE(WaitUntil([&] { return spun() >= before + 20; }));
  // As if exactly one second had passed: 20 ticks of 10 ms are a fifth of a core, and a little more
  // by now.
  const auto second = meter.Look({tree}, "/", start + std::chrono::seconds(1));
  EXPECT_GE(second.instances(0).cpu_millis(), 190);
  EXPECT_EQ(second.instances(0).processes(), 1);
  EXPECT_GT(second.instances(0).memory_bytes(), 0);
  // The count goes on, and is of the run.
  EXPECT_GE(second.instances(0).cpu_time_micros(), first.instances(0).cpu_time_micros() + 190'000);
  EXPECT_EQ(second.instances(0).counted_since().seconds(), 1'700'000'000);
  EXPECT_EQ(second.instances(0).counted_since().nanos(), 250'000'000);
  EXPECT_EQ(second.instances(0).restarts(), 4);
  EXPECT_GT(second.host().memory_bytes(), 0);
  EXPECT_GT(second.host().disk_free_bytes(), 0);
  for (const ProcessStat& p : DescendantsOf(parent, AllProcesses())) SendSignal(p, SIGKILL);
  kill(parent, SIGKILL);
  waitpid(parent, nullptr, 0);
  EXPECT_TRUE(meter.Look({}, "/", start + std::chrono::seconds(2)).instances().empty());
}

TEST(UsageMeter, TakesACgroupsCountWhereThereIsOne) {
  std::string pattern = (std::filesystem::temp_directory_path() / "remuda-usage-XXXXXX").string();
  const std::string directory = mkdtemp(pattern.data());
  const auto write = [&](const std::string& file, const std::string& text) {
    std::ofstream(directory + "/" + file) << text;
  };
  UsageMeter::Tree tree{.instance = "i-1", .root = getpid(), .cgroups = {"/none", directory}};
  const auto micros = [&](UsageMeter& meter) {
    return meter.Look({tree}, "/", std::chrono::steady_clock::now()).instances(0).cpu_time_micros();
  };
  UsageMeter v1;
  write("cpu.stat", "nr_periods 0\nnr_throttled 0\n");
  write("cpuacct.usage", "7000123456\n");
  EXPECT_EQ(micros(v1), 7'000'123);
  UsageMeter v2;
  write("cpu.stat", "usage_usec 5000000\nuser_usec 1\n");
  EXPECT_EQ(micros(v2), 5'000'000);
  write("cpu.stat", "usage_usec 5000042\n");
  EXPECT_EQ(micros(v2), 5'000'042);
  std::filesystem::remove_all(directory);
  EXPECT_EQ(micros(v2), 5'000'042) << "what cannot be read any more counts no further";
}

TEST(RisingCount, NeverFallsAndLosesNothingThatWasSeen) {
  RisingCount count;
  EXPECT_EQ(count.See(100), 100);
  EXPECT_EQ(count.See(90), 100) << "a look at the wrong moment";
  EXPECT_EQ(count.See(130), 130) << "is made good by the next";
  // 50 of an ended process are nowhere any more.
  EXPECT_EQ(count.See(80), 130);
  EXPECT_EQ(count.See(85), 130) << "now it is believed";
  EXPECT_EQ(count.See(95), 140);
  EXPECT_EQ(count.See(5), 140);
  EXPECT_EQ(count.See(5), 140);
  EXPECT_EQ(count.See(7), 142);
}

TEST(NetworkBytes, AreThoseOfAllInterfacesButLoopback) {
  const NetworkBytes bytes = NetworkBytesIn(
      "Inter-|   Receive                                                |  Transmit\n"
      " face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets\n"
      "    lo: 999 1 0 0 0 0 0 0 999 1 0 0 0 0 0 0\n"
      "  eth0: 6000000000 5 0 0 0 0 0 0 70 5 0 0 0 0 0 0\n"
      "lo-eth1:20 1 0 0 0 0 0 0 3 1 0 0 0 0 0 0\n");
  EXPECT_EQ(bytes.received, 6'000'000'020);
  EXPECT_EQ(bytes.sent, 73);
  EXPECT_EQ(NetworkBytesIn("").received, 0);
}

TEST(Capacity, IsSaid) {
  const auto capacity = CapacityOf("/");
  EXPECT_GE(capacity.cpu_millis(), 1000);
  EXPECT_GT(capacity.memory_bytes(), 1 << 20);
}

}  // namespace
}  // namespace remuda::agent
