#include "agent/run_record.h"

#include <absl/strings/str_cat.h>
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <map>

#include "agent/core/assignment.h"
#include "agent/log_files.h"
#include "common/quantity.h"
#include "common/random_bytes.h"

namespace remuda::agent {
namespace {

constexpr int64_t kDefaultGraceMs = 30'000;
constexpr char kDefaultIndex[] = "index.html";
constexpr char kDefaultCacheControl[] = "no-cache";  // asked for again each time, with its tag
constexpr char kDefaultPath[] = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

void AddSite(const remuda::v1::LaunchTemplateVersion& t, Record& run) {
  const auto or_default = [](const std::string& text, const char* otherwise) {
    return text.empty() ? std::string(otherwise) : text;
  };
  const auto& site = t.static_site();
  run.Add(key::kArg, "static site");  // what it is called where it fails
  run.Add(key::kSite, 1);
  run.Add(key::kSiteRoot, site.root());
  run.Add(key::kSiteIndex, or_default(site.index(), kDefaultIndex));
  run.Add(key::kSiteNotFound, site.not_found());
  run.Add(key::kSiteCacheControl, or_default(site.cache_control(), kDefaultCacheControl));
  run.Add(key::kSiteVersion, t.image_digest() + "/" + site.root());
}

}  // namespace

bool CanListen(const std::string& address, int port) {
  sockaddr_storage storage{};
  socklen_t length = 0;
  auto* v4 = reinterpret_cast<sockaddr_in*>(&storage);
  auto* v6 = reinterpret_cast<sockaddr_in6*>(&storage);
  if (inet_pton(AF_INET, address.c_str(), &v4->sin_addr) == 1) {
    v4->sin_family = AF_INET;
    v4->sin_port = htons(static_cast<uint16_t>(port));
    length = sizeof *v4;
  } else if (inet_pton(AF_INET6, address.c_str(), &v6->sin6_addr) == 1) {
    v6->sin6_family = AF_INET6;
    v6->sin6_port = htons(static_cast<uint16_t>(port));
    length = sizeof *v6;
  } else {
    return false;
  }
  const Fd fd(socket(storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const int on = 1;
  // As servers do: connections of an earlier one that are still closing do not matter, a listener
  // does.
  setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  return fd.valid() && bind(fd.get(), reinterpret_cast<sockaddr*>(&storage), length) == 0;
}

absl::StatusOr<int> PortPicker::Pick(const std::string& address, const std::set<int>& taken) {
  constexpr int kCount = kLast - kFirst + 1;
  // Begins anywhere, so that an agent that starts again does not begin with ports that were just in
  // use.
  if (next_ == 0)
    next_ = kFirst + static_cast<int>(std::strtoull(RandomHex().c_str(), nullptr, 16) % kCount);
  for (int i = 0; i < kCount; ++i) {
    const int port = next_;
    next_ = next_ == kLast ? kFirst : next_ + 1;
    if (taken.count(port) == 0 && CanListen(address, port)) return port;
  }
  return absl::UnavailableError(
      absl::StrCat("no free port from ", kFirst, " to ", kLast, " on ", address));
}

CgroupLimits LimitsOf(const remuda::v1::LaunchTemplateVersion& launch_template) {
  const auto& limits = launch_template.limits();
  CgroupLimits result;
  // Both were checked when the assignment was taken up.
  if (!limits.memory().empty()) result.memory_bytes = ParseMemoryBytes(limits.memory()).value_or(0);
  if (!limits.cpu().empty()) result.cpu_millis = ParseCpuMillis(limits.cpu()).value_or(0);
  result.pids = limits.pids();
  result.best_effort = limits.best_effort();
  return result;
}

std::string LogMark(int generation) {
  return absl::StrCat("remuda: generation ", generation, " begins");
}

Record MakeRunRecord(const v1::InstanceAssignment& assignment, const LaunchFacts& facts,
                     const Containment& containment) {
  const auto& t = assignment.launch_template();
  const std::string run_id = RandomHex();
  const char* path = std::getenv("PATH");
  std::map<std::string, std::string> env = {
      {"PATH", path != nullptr ? path : kDefaultPath},
      {"HOME", facts.dir.App()},
      {"LANG", "C.UTF-8"},
  };
  if (facts.user) {
    env["USER"] = env["LOGNAME"] =
        facts.user->name.empty() ? assignment.instance() : facts.user->name;
  }
  if (const char* zone = std::getenv("TZ"); zone != nullptr) env["TZ"] = zone;
  if (!containment.has_private_tmp()) env["TMPDIR"] = facts.dir.Tmp();
  for (const auto& [name, value] : t.env()) env[name] = value;
  for (const auto& [name, value] : facts.secret_env) env[name] = value;
  env["HOST"] = facts.host.address;
  env["PORT"] = absl::StrCat(facts.port);
  env["REMUDA_INSTANCE"] = assignment.instance();
  env["REMUDA_GROUP"] = assignment.auto_scaling_group();
  env["REMUDA_ZONE"] = facts.host.zone;
  if (!facts.agent_url.empty()) {
    env["REMUDA_AGENT_URL"] = facts.agent_url;
    env["REMUDA_INSTANCE_TOKEN"] = facts.token;
  }
  if (!facts.secrets_directory.empty()) env["REMUDA_SECRETS"] = facts.secrets_directory;
  env[kRunIdVariable] = run_id;

  Record run;
  for (const std::string& arg : t.command()) run.Add(key::kArg, arg);
  if (t.has_static_site()) AddSite(t, run);
  for (const auto& [name, value] : env) run.Add(key::kEnv, absl::StrCat(name, "=", value));
  containment.AddTo(t, facts.dir, facts.user, run);
  if (!facts.secrets_directory.empty()) run.Add(key::kReadable, facts.secrets_directory);
  for (const std::string& cgroup : facts.cgroups) run.Add(key::kCgroup, cgroup);
  run.Add(key::kRunId, run_id);
  run.Add(key::kPort, facts.port);
  run.Add(key::kRestarts, facts.restarts);
  if (const int generation = assignment.generation(); generation > 0) {
    run.Add(key::kGeneration, generation);
    if (facts.is_first_of_generation) run.Add(key::kLogMark, LogMark(generation));
  }
  run.Add(key::kStopSignal, StopSignalNumber(t.stop_signal()));
  const int64_t grace_ms = t.stop_grace().seconds() * 1000 + t.stop_grace().nanos() / 1'000'000;
  run.Add(key::kGraceMs, t.has_stop_grace() ? grace_ms : kDefaultGraceMs);
  const LogBounds log;
  run.Add(key::kLogSegmentBytes, static_cast<int64_t>(log.segment_bytes));
  run.Add(key::kLogSegments, log.segments);
  return run;
}

}  // namespace remuda::agent
