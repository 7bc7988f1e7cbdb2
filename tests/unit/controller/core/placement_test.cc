// Placement against a look at every host and every instance on it, over random worlds.
#include "controller/core/reconcile/placement.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <optional>
#include <random>
#include <string>
#include <tuple>
#include <vector>

#include "common/quantity.h"
#include "controller/core/model/instance_state.h"
#include "controller/core/reconcile/host_failures.h"

namespace remuda::core {
namespace {

const Time kNow = absl::FromUnixSeconds(1'000'000);

struct Answer {
  std::string host;  // empty: none
  bool is_awaited = false;
};

// The rule as placement.h says it, each time over all.
class ByLooking {
 public:
  ByLooking(const Draft& draft, const Observations& seen, const Placement::Wish& wish)
      : draft_(draft), seen_(seen), wish_(wish) {}

  // `rows` are instances of the side that were placed since `wish`.
  Answer Next(const InstanceList& rows) const {
    std::optional<std::tuple<bool, int, int, int, std::string>> best;
    draft_.ForEach<v1::Host>([&](const std::string& id, const v1::Host& host) {
      if (!IsEligible(id, host) || !HasRoom(id, host)) return;
      const auto on_host = draft_.InstancesOnHost(id);
      int of_side = 0;
      int in_zone = 0;
      for (const InstanceList* side : {&wish_.spread, &rows}) {
        for (const auto& [name, row] : *side) {
          if (!IsUp(row->state())) continue;
          of_side += row->host() == id;
          in_zone += row->zone() == host.zone();
        }
      }
      const auto in_all = std::count_if(on_host.begin(), on_host.end(), [](const auto& e) {
        return e.second->state() != v1::INSTANCE_STATE_TERMINATED;
      });
      const std::tuple rank{kNow < HostRecordOf(on_host, wish_.launch, kNow).avoided_until, in_zone,
                            of_side, static_cast<int>(in_all), id};
      if (!best.has_value() || rank < *best) best = rank;
    });
    if (!best.has_value()) return {};
    const std::string& host = std::get<4>(*best);
    if (IsAwaited(host, *draft_.Find<v1::Host>(host))) return {.host = host, .is_awaited = true};
    return {.host = host};
  }

  bool IsEligible(const std::string& id, const v1::Host& host) const {
    const auto it = seen_.hosts.find(id);
    const bool reported = it != seen_.hosts.end() && it->second.connected && it->second.reported;
    const auto& zones = wish_.group.zones();
    return (reported || IsAwaited(id, host)) && host.schedule() != v1::HOST_SCHEDULE_CORDONED &&
           host.schedule() != v1::HOST_SCHEDULE_DRAINING &&
           (zones.empty() || std::find(zones.begin(), zones.end(), host.zone()) != zones.end()) &&
           HasLabels(host) &&
           !(wish_.group.require_ingress_filter() && host.lacks().count("ingress_filter") > 0);
  }

 private:
  bool HasLabels(const v1::Host& host) const {
    return std::all_of(wish_.group.host_selector().begin(), wish_.group.host_selector().end(),
                       [&](const auto& wanted) {
                         const auto it = host.labels().find(wanted.first);
                         return it != host.labels().end() && it->second == wanted.second;
                       });
  }
  bool IsAwaited(const std::string& id, const v1::Host& host) const {
    const auto it = seen_.hosts.find(id);
    const HostObservation* observed = it == seen_.hosts.end() ? nullptr : &it->second;
    if ((observed != nullptr && observed->reported) || host.has_lost_time()) return false;
    return LastSeen(seen_, observed) + seen_.patience.host_lost_after > kNow;
  }
  bool HasRoom(const std::string& id, const v1::Host& host) const {
    constexpr int64_t kPlenty = std::numeric_limits<int64_t>::max();
    const Bounds wanted = BoundsOf(wish_.wanted);
    int64_t cpu = host.capacity().cpu_millis() > 0 ? host.capacity().cpu_millis() : kPlenty;
    int64_t memory = host.capacity().memory_bytes() > 0 ? host.capacity().memory_bytes() : kPlenty;
    const int port = wish_.wanted.port();
    for (const auto& [name, row] : draft_.InstancesOnHost(id)) {
      if (row->state() == v1::INSTANCE_STATE_TERMINATED) continue;
      if (port != 0 && row->port() == port) return false;
      const auto runs = draft_.Find<v1::LaunchTemplateVersion>(LaunchTemplateKey(
          row->launch_template().launch_template(), row->launch_template().resolved_version()));
      if (runs == nullptr) continue;
      cpu -= BoundsOf(*runs).cpu;
      memory -= BoundsOf(*runs).memory;
    }
    if (const auto it = seen_.hosts.find(id); port != 0 && it != seen_.hosts.end()) {
      for (const auto& [name, status] : it->second.instances) {
        if (status.port() == port && status.state() == agent::v1::PROCESS_STATE_RUNNING) {
          return false;
        }
      }
    }
    return (wanted.cpu == 0 || cpu >= wanted.cpu) &&
           (wanted.memory == 0 || memory >= wanted.memory);
  }

  const Draft& draft_;
  const Observations& seen_;
  const Placement::Wish& wish_;
};

// Hosts, templates and instances as they come, and what has been placed.
class RandomWorld {
 public:
  explicit RandomWorld(unsigned seed) : random_(seed) {
    seen.start = kNow - absl::Seconds(Below(20));
    Draft draft(state);
    for (int i = 0; i < 3; ++i) PutVersion(draft, i);
    const int hosts = 1 + Below(12);
    for (int i = 0; i < hosts; ++i) PutHost(draft, "h" + std::to_string(i));
    for (int i = 0; i < 30; ++i) PutInstance(draft);
    state.Apply(draft.Take(), 1);
  }

  int Below(int bound) { return static_cast<int>(random_() % static_cast<unsigned>(bound)); }
  bool OneIn(int n) { return Below(n) == 0; }

  void PutVersion(Draft& draft, int version) {
    v1::LaunchTemplateVersion row;
    row.set_version(version);
    if (OneIn(3)) row.set_port(80 + Below(2));
    if (OneIn(3)) row.mutable_limits()->set_cpu(std::to_string(100 * (1 + Below(5))) + "m");
    if (OneIn(3)) row.mutable_limits()->set_memory(std::to_string(100 * (1 + Below(5))) + "Mi");
    draft.Put(LaunchTemplateKey("shop", version), row);
  }
  void PutHost(Draft& draft, const std::string& id) {
    v1::Host row;
    row.set_zone(std::string(1, static_cast<char>('a' + Below(3))));
    if (OneIn(2)) (*row.mutable_labels())["disk"] = "fast";
    if (OneIn(4)) (*row.mutable_lacks())["ingress_filter"] = "there is no program nft";
    if (OneIn(8)) row.set_schedule(v1::HOST_SCHEDULE_CORDONED);
    if (OneIn(8)) row.set_schedule(v1::HOST_SCHEDULE_DRAINING);
    if (OneIn(8)) *row.mutable_lost_time() = ToProto(kNow);
    if (OneIn(2)) row.mutable_capacity()->set_cpu_millis(500 * (1 + Below(5)));
    if (OneIn(2)) row.mutable_capacity()->set_memory_bytes((int64_t{500} << 20) * (1 + Below(5)));
    draft.Put(id, row);
    if (seen.hosts.contains(id) || OneIn(6)) return;
    HostObservation& host = seen.hosts[id];
    host.connected = !OneIn(8);
    host.reported = !OneIn(8);
    host.last_seen = kNow - absl::Seconds(Below(20));
    if (OneIn(4)) {
      agent::v1::InstanceStatus& status = host.instances["x"];
      status.set_port(80 + Below(2));
      status.set_state(OneIn(2) ? agent::v1::PROCESS_STATE_RUNNING
                                : agent::v1::PROCESS_STATE_EXITED);
    }
  }
  void PutInstance(Draft& draft) {
    v1::Instance row;
    row.set_auto_scaling_group("g" + std::to_string(Below(3)));
    row.set_host("h" + std::to_string(Below(13)));
    row.set_zone(std::string(1, static_cast<char>('a' + Below(3))));
    if (OneIn(4)) row.set_port(80 + Below(2));
    row.mutable_launch_template()->set_launch_template("shop");
    row.mutable_launch_template()->set_resolved_version(Below(4));
    row.set_state(OneIn(2)   ? v1::INSTANCE_STATE_IN_SERVICE
                  : OneIn(2) ? v1::INSTANCE_STATE_TERMINATED
                             : v1::INSTANCE_STATE_DRAINING);
    row.set_unhealthy(OneIn(2));
    *row.mutable_state_time() = ToProto(kNow - absl::Seconds(Below(60)));
    if (OneIn(2)) *row.mutable_in_service_time() = ToProto(kNow - absl::Seconds(Below(90)));
    draft.Put("i" + std::to_string(Below(60)), row);
  }
  // What a pass may do between two placements.
  void Edit(Draft& draft) {
    const int kind = Below(20);
    if (kind < 14) return PutInstance(draft);
    if (kind < 17) return draft.Delete<v1::Instance>("i" + std::to_string(Below(60)));
    if (kind == 17) return PutVersion(draft, Below(3));
    if (kind == 18) return PutHost(draft, "h" + std::to_string(Below(12)));
    draft.Delete<v1::Host>("h" + std::to_string(Below(12)));
  }

  State state;
  Observations seen;

 private:
  std::mt19937 random_;
};

// Places some instances of a random group with both, and says how many.
int PlaceSome(RandomWorld& world, Draft& draft, Rooms& rooms, int& placed) {
  v1::AutoScalingGroup group;
  if (world.OneIn(3)) group.add_zones("a");
  if (world.OneIn(3)) group.add_zones("b");
  if (world.OneIn(3)) (*group.mutable_host_selector())["disk"] = "fast";
  group.set_require_ingress_filter(world.OneIn(3));
  v1::LaunchTemplateRef launch;
  launch.set_launch_template("shop");
  launch.set_resolved_version(world.Below(3));
  const auto wanted =
      draft.Find<v1::LaunchTemplateVersion>(LaunchTemplateKey("shop", launch.resolved_version()));
  const std::string name = "g" + std::to_string(world.Below(3));
  const Instances spread = draft.InstancesOfGroup(name);
  const Placement::Wish wish{
      .group = group, .launch = launch, .wanted = *wanted, .spread = spread.list()};
  Placement placement(rooms, wish);
  const ByLooking looking(draft, world.seen, wish);
  InstanceList rows;
  const int count = world.Below(8);
  for (int i = 0; i < count; ++i) {
    const Answer want = looking.Next(rows);
    const std::string got = placement.Take();
    EXPECT_EQ(got, want.is_awaited ? "" : want.host);
    EXPECT_EQ(placement.awaited_until() > kNow, want.is_awaited);
    if (got.empty()) {
      EXPECT_NE(placement.WhyNone(), "");
      break;
    }
    const auto host = draft.Find<v1::Host>(got);
    EXPECT_EQ(placement.ZoneOf(got), host->zone());
    EXPECT_EQ(placement.IsAvoided(got),
              kNow < HostRecordOf(draft.InstancesOnHost(got), launch, kNow).avoided_until);
    v1::Instance row;
    row.set_auto_scaling_group(name);
    row.set_host(got);
    row.set_zone(host->zone());
    row.set_port(wanted->port());
    row.set_state(v1::INSTANCE_STATE_PENDING);
    *row.mutable_launch_template() = launch;
    const std::string id = "n" + std::to_string(placed++);
    draft.Put(id, row);
    rows.emplace_back(id, draft.Find<v1::Instance>(id));
  }
  draft.ForEach<v1::Host>([&](const std::string& id, const v1::Host& host) {
    EXPECT_EQ(placement.WouldFree(id), looking.IsEligible(id, host));
  });
  return static_cast<int>(rows.size());
}

TEST(PlacementTest, ChoosesWhatALookAtEveryHostChooses) {
  int placed = 0;
  int groups_that_placed = 0;
  for (unsigned seed = 1; seed <= 400; ++seed) {
    SCOPED_TRACE(seed);
    RandomWorld world(seed);
    Draft draft(world.state);
    Rooms rooms(draft, world.seen, kNow);
    std::optional<Draft::Savepoint> savepoint;
    for (int group = 0; group < 12; ++group) {
      groups_that_placed += PlaceSome(world, draft, rooms, placed) > 0;
      for (int i = world.Below(4); i > 0; --i) world.Edit(draft);
      if (world.OneIn(6)) savepoint = draft.Save();
      if (savepoint.has_value() && world.OneIn(6)) draft.Restore(*std::exchange(savepoint, {}));
      if (::testing::Test::HasFailure()) return;
    }
  }
  EXPECT_GT(groups_that_placed, 1000);
}

TEST(PlacementTest, AHostThatCannotFilterIsNamedWhereOneMust) {
  State state;
  Observations seen;
  Draft draft(state);
  v1::Host host;
  (*host.mutable_lacks())["ingress_filter"] = "there is no program nft";
  draft.Put("h1", host);
  seen.hosts["h1"].connected = seen.hosts["h1"].reported = true;
  v1::AutoScalingGroup group;
  const v1::LaunchTemplateRef launch;
  const v1::LaunchTemplateVersion wanted;
  for (const bool must_filter : {false, true}) {
    group.set_require_ingress_filter(must_filter);
    Rooms rooms(draft, seen, kNow);
    Placement placement(
        rooms, {.group = group, .launch = launch, .wanted = wanted, .spread = InstanceList()});
    EXPECT_EQ(placement.Take(), must_filter ? "" : "h1");
    if (must_filter) {
      EXPECT_EQ(placement.WhyNone(),
                "no host is eligible: h1 cannot filter what comes in, which require_ingress_filter "
                "asks for: there is no program nft");
    }
  }
}

}  // namespace
}  // namespace remuda::core
