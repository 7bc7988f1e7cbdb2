#include "agent/usage.h"

#include <sched.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <set>
#include <sstream>
#include <unordered_map>

#include "agent/cgroup.h"
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

int64_t MicrosOf(uint64_t ticks) {
  static const auto kTicksPerSecond = static_cast<uint64_t>(sysconf(_SC_CLK_TCK));
  return static_cast<int64_t>(ticks * 1'000'000 / kTicksPerSecond);
}

// 0 if it cannot be told.
int64_t DiskFreeBytes(const std::string& directory) {
  struct statvfs fs {};
  if (statvfs(directory.c_str(), &fs) != 0) return 0;
  return static_cast<int64_t>(fs.f_bavail * fs.f_frsize);
}

}  // namespace

remuda::v1::HostCapacity CapacityOf(const std::string& data_directory) {
  remuda::v1::HostCapacity capacity;
  cpu_set_t cpus;
  const bool known = sched_getaffinity(0, sizeof cpus, &cpus) == 0;
  capacity.set_cpu_millis(1000 * (known ? CPU_COUNT(&cpus) : sysconf(_SC_NPROCESSORS_ONLN)));
  capacity.set_memory_bytes(MemInfo(ReadWholeFile("/proc/meminfo").value_or(""), "MemTotal"));
  capacity.set_disk_free_bytes(DiskFreeBytes(data_directory));
  return capacity;
}

int64_t RisingCount::See(int64_t sum) {
  const bool is_below = sum + lost_ < high_;
  // Once may be a look at the wrong moment; twice, and it will not come back.
  if (is_below && was_below_) lost_ = high_ - sum;
  was_below_ = is_below && !was_below_;
  high_ = std::max(high_, sum + lost_);
  return high_;
}

NetworkBytes NetworkBytesIn(const std::string& text) {
  NetworkBytes bytes;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    const size_t colon = line.find(':');
    if (colon == std::string::npos) continue;  // a heading
    const size_t name = std::min(line.find_first_not_of(' '), colon);
    if (line.compare(name, colon - name, "lo") == 0) continue;
    // Received: bytes and seven more, then sent: bytes.
    long long received = 0, sent = 0;
    if (std::sscanf(line.c_str() + colon + 1, "%lld %*d %*d %*d %*d %*d %*d %*d %lld", &received,
                    &sent) == 2) {
      bytes.received += received;
      bytes.sent += sent;
    }
  }
  return bytes;
}

v1::UsageReport UsageMeter::Look(const std::vector<Tree>& trees, const std::string& data_directory,
                                 std::chrono::steady_clock::time_point now) {
  const auto elapsed_ms =
      std::chrono::duration_cast<std::chrono::milliseconds>(now - when_).count();
  const bool first = when_ == std::chrono::steady_clock::time_point{} || elapsed_ms <= 0;
  when_ = now;
  // Of a core over the time since the last look, in thousandths.
  const auto millis = [&](int64_t before, int64_t after) -> int64_t {
    return first || after <= before ? 0 : (after - before) / elapsed_ms;
  };

  v1::UsageReport report;
  const auto all = trees.empty() ? std::vector<ProcessStat>() : AllProcesses();
  std::unordered_map<pid_t, uint64_t> ticks_of;
  ticks_of.reserve(all.size());
  for (const ProcessStat& p : all) ticks_of[p.pid] = p.cpu_ticks;
  std::set<std::string> present;
  for (const Tree& tree : trees) {
    // The shim's own counter holds those of its children that have ended.
    const auto shim = ticks_of.find(tree.root);
    uint64_t ticks = shim == ticks_of.end() ? 0 : shim->second;
    uint64_t memory_bytes = 0;
    const auto processes = DescendantsOf(tree.root, all);
    for (const ProcessStat& p : processes) {
      ticks += p.cpu_ticks;
      memory_bytes += p.resident_bytes;
    }
    Last& last = last_[tree.instance];
    const bool is_new = last.root != tree.root;
    const auto counted = Cgroups::CpuTimeMicros(tree.cgroups);
    if (is_new) last = {.root = tree.root, .counts_by_cgroup = counted.has_value()};
    const int64_t before = last.cpu_micros;
    if (!last.counts_by_cgroup) {
      last.cpu_micros = last.seen.See(MicrosOf(ticks));
    } else if (counted) {
      last.cpu_micros = *counted;
    }
    auto* usage = report.add_instances();
    usage->set_instance(tree.instance);
    usage->set_cpu_millis(is_new ? 0 : millis(before, last.cpu_micros));
    usage->set_memory_bytes(static_cast<int64_t>(memory_bytes));
    usage->set_processes(static_cast<int32_t>(processes.size()));
    usage->set_cpu_time_micros(last.cpu_micros);
    usage->mutable_counted_since()->set_seconds(tree.started_unix_ms / 1000);
    usage->mutable_counted_since()->set_nanos(
        static_cast<int32_t>(tree.started_unix_ms % 1000 * 1'000'000));
    usage->set_restarts(tree.restarts);
    present.insert(tree.instance);
  }
  std::erase_if(last_, [&](const auto& entry) { return present.count(entry.first) == 0; });

  const std::string memory = ReadWholeFile("/proc/meminfo").value_or("");
  const uint64_t busy = HostBusyTicks();
  auto* host = report.mutable_host();
  host->set_cpu_millis(millis(MicrosOf(host_busy_ticks_), MicrosOf(busy)));
  host->set_memory_bytes(MemInfo(memory, "MemTotal") - MemInfo(memory, "MemAvailable"));
  host->set_disk_free_bytes(DiskFreeBytes(data_directory));
  host_busy_ticks_ = busy;
  const NetworkBytes network = NetworkBytesIn(ReadWholeFile("/proc/net/dev").value_or(""));
  report.set_network_received_bytes(network.received);
  report.set_network_sent_bytes(network.sent);
  return report;
}

}  // namespace remuda::agent
