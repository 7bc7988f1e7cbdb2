#include "agent/usage.h"

#include <sched.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <set>

#include "agent/record_file.h"

namespace remuda::agent {
namespace {

// Value in bytes of a line "Name:   123 kB" of /proc/meminfo.
int64_t MemInfo(const std::string& text, const std::string& name) {
  const size_t at = text.find(name + ":");
  if (at == std::string::npos) return 0;
  return std::strtoll(text.c_str() + at + name.size() + 1, nullptr, 10) * 1024;
}

uint64_t HostBusyTicks() {
  const std::string text = ReadWholeFile("/proc/stat").value_or("");
  unsigned long long user = 0, nice = 0, system = 0, idle = 0, wait = 0, irq = 0, soft = 0,
                     steal = 0;
  std::sscanf(text.c_str(), "cpu %llu %llu %llu %llu %llu %llu %llu %llu", &user, &nice, &system,
              &idle, &wait, &irq, &soft, &steal);
  return user + nice + system + irq + soft + steal;
}

}  // namespace

remuda::v1::HostCapacity CapacityOf(const std::string& data_directory) {
  remuda::v1::HostCapacity capacity;
  cpu_set_t cpus;
  const bool known = sched_getaffinity(0, sizeof cpus, &cpus) == 0;
  capacity.set_cpu_millis(1000 * (known ? CPU_COUNT(&cpus) : sysconf(_SC_NPROCESSORS_ONLN)));
  capacity.set_memory_bytes(MemInfo(ReadWholeFile("/proc/meminfo").value_or(""), "MemTotal"));
  struct statvfs fs {};
  if (statvfs(data_directory.c_str(), &fs) == 0) {
    capacity.set_disk_free_bytes(static_cast<int64_t>(fs.f_bavail * fs.f_frsize));
  }
  return capacity;
}

v1::UsageReport UsageMeter::Look(const std::vector<Tree>& trees, const std::string& data_directory,
                                 std::chrono::steady_clock::time_point now) {
  const auto elapsed_ms =
      std::chrono::duration_cast<std::chrono::milliseconds>(now - when_).count();
  const bool first = when_ == std::chrono::steady_clock::time_point{} || elapsed_ms <= 0;
  when_ = now;
  static const auto kTicksPerSecond = static_cast<uint64_t>(sysconf(_SC_CLK_TCK));
  const auto millis = [&](uint64_t before, uint64_t after) -> int64_t {
    if (first || after <= before) return 0;
    // ticks / (ticks/s) = s of processor; over s elapsed, in thousandths.
    return static_cast<int64_t>((after - before) * 1'000'000 / kTicksPerSecond /
                                static_cast<uint64_t>(elapsed_ms));
  };

  v1::UsageReport report;
  const auto all = trees.empty() ? std::vector<ProcessStat>() : AllProcesses();
  std::set<std::string> present;
  for (const Tree& tree : trees) {
    uint64_t ticks = 0;
    uint64_t memory_bytes = 0;
    const auto processes = DescendantsOf(tree.root, all);
    for (const ProcessStat& p : processes) {
      ticks += p.cpu_ticks;
      memory_bytes += p.resident_bytes;
    }
    // The shim's own counter holds those of its children that have ended.
    if (const auto shim = ReadStat(tree.root)) ticks += shim->cpu_ticks;
    Last& last = last_[tree.instance];
    auto* usage = report.add_instances();
    usage->set_instance(tree.instance);
    usage->set_cpu_millis(last.root == tree.root ? millis(last.cpu_ticks, ticks) : 0);
    usage->set_memory_bytes(static_cast<int64_t>(memory_bytes));
    usage->set_processes(static_cast<int32_t>(processes.size()));
    last = {tree.root, ticks};
    present.insert(tree.instance);
  }
  std::erase_if(last_, [&](const auto& entry) { return present.count(entry.first) == 0; });

  const std::string memory = ReadWholeFile("/proc/meminfo").value_or("");
  const uint64_t busy = HostBusyTicks();
  auto* host = report.mutable_host();
  host->set_cpu_millis(millis(host_busy_ticks_, busy));
  host->set_memory_bytes(MemInfo(memory, "MemTotal") - MemInfo(memory, "MemAvailable"));
  host->set_disk_free_bytes(CapacityOf(data_directory).disk_free_bytes());
  host_busy_ticks_ = busy;
  return report;
}

}  // namespace remuda::agent
