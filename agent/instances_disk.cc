// Instances, the part that holds them to their limit of the disk: looked at every few seconds, and
// ended where they are over it.
#include <signal.h>
#include <spdlog/spdlog.h>

#include <chrono>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "agent/disk_use.h"
#include "agent/instances.h"

namespace remuda::agent {
namespace {

// From the end of one look to the next one.
constexpr std::chrono::seconds kLookEvery{2};

struct Held {
  std::string id;
  InstanceDir dir;
  pid_t app_pid;
  int64_t limit_bytes;
  std::string over = {};
};

}  // namespace

void Instances::LookAtDisks() {
  std::vector<Held> held;
  for (const auto& [id, instance] : instances_) {
    const InstanceRun* run = supervisor_.Find(id);
    if (run == nullptr || run->state != RunState::kRunning) continue;
    // What it was started with: another generation may have another limit.
    const auto how = Record::ReadFrom(Dir(id).Run());
    const int64_t limit = how ? how->Number(key::kFileBytes) : 0;
    if (limit > 0) held.push_back({id, Dir(id), run->app_pid, limit});
  }
  const auto again = [this] { disk_timer_ = loop_.After(kLookEvery, [this] { LookAtDisks(); }); };
  if (held.empty()) return again();
  files_.Post([this, again, held = std::move(held)]() mutable {
    for (Held& one : held) {
      const DiskUse use =
          DiskUseOf({one.dir.App(), one.dir.Tmp(), one.dir.Logs()}, one.limit_bytes);
      one.over = OverDisk(use, one.limit_bytes);
    }
    loop_.Post([this, again, held = std::move(held)] {
      for (const Held& one : held) {
        const InstanceRun* run = supervisor_.Find(one.id);
        if (one.over.empty() || run == nullptr || run->app_pid != one.app_pid) continue;
        spdlog::warn("instance {}: {}; it is ended", one.id, one.over);
        instances_[one.id].ended_for = one.over;
        supervisor_.EndApp(one.id);
      }
      again();
    });
  });
}

}  // namespace remuda::agent
