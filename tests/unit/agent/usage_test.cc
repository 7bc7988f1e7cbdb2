#include "agent/usage.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>

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
  const auto first = meter.Look({{"i-1", parent}}, "/", start);
  ASSERT_EQ(first.instances_size(), 1);
  EXPECT_EQ(first.instances(0).cpu_millis(), 0) << "nothing to compare with yet";
  const uint64_t before = spun();
  EXPECT_TRUE(WaitUntil([&] { return spun() >= before + 20; }));
  // As if exactly one second had passed: 20 ticks of 10 ms are a fifth of a core, and a little more
  // by now.
  const auto second = meter.Look({{"i-1", parent}}, "/", start + std::chrono::seconds(1));
  EXPECT_GE(second.instances(0).cpu_millis(), 190);
  EXPECT_EQ(second.instances(0).processes(), 1);
  EXPECT_GT(second.instances(0).memory_bytes(), 0);
  EXPECT_GT(second.host().memory_bytes(), 0);
  EXPECT_GT(second.host().disk_free_bytes(), 0);
  for (const ProcessStat& p : DescendantsOf(parent, AllProcesses())) SendSignal(p, SIGKILL);
  kill(parent, SIGKILL);
  waitpid(parent, nullptr, 0);
  EXPECT_TRUE(meter.Look({}, "/", start + std::chrono::seconds(2)).instances().empty());
}

TEST(Capacity, IsSaid) {
  const auto capacity = CapacityOf("/");
  EXPECT_GE(capacity.cpu_millis(), 1000);
  EXPECT_GT(capacity.memory_bytes(), 1 << 20);
}

}  // namespace
}  // namespace remuda::agent
