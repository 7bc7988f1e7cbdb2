// Rooms: what room each host has, for all groups of one pass that launch. Each host is looked at
// once; after that only those that the draft's edits have touched.
//
// Owns: the hosts in the order in which they are taken. Does not own: the draft and the
// observations, which must not change but by edits of the draft. Thread: the loop thread. Pure.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "controller/core/model/draft.h"
#include "controller/core/model/observations.h"

namespace remuda::core {

// Whether the host may take instances of the group: its labels hold all of host_selector, and it
// filters what comes in if the group requires that.
bool Suits(const v1::Host& host, const v1::AutoScalingGroup& group);

// Why the host can filter nothing that comes in (Host.lacks); empty: it can.
std::string WhyNoIngressFilter(const v1::Host& host);

// What an instance is bounded to. 0: no bound.
struct Bounds {
  int64_t cpu = 0;
  int64_t memory = 0;
};
Bounds BoundsOf(const v1::LaunchTemplateVersion& row);

class Rooms {
 public:
  Rooms(const Draft& draft, const Observations& seen, Time now)
      : draft_(draft), seen_(seen), now_(now) {}

  // Hosts that take nothing in this pass. Before the first Update; null: none.
  void LeaveOut(const std::set<std::string>* hosts) { left_out_ = hosts; }

  // What keeps every new instance from a host.
  enum class Bar { kNone, kNotThere, kCordoned, kDraining };

  // (instances on the host, its index): those that take instances and have the labels.
  using Line = std::set<std::pair<int, size_t>>;
  // host_selector, and whether the hosts must filter what comes in.
  using Selection = std::pair<std::map<std::string, std::string>, bool>;
  struct Order {
    std::vector<bool> holds;  // by index
    std::map<std::string, Line, std::less<>> by_zone;
  };

  // Brings all up to the draft as it is now. Indexes and orders that were answered before are not
  // valid after it.
  void Update();
  // Hosts for groups of this host_selector, and that filter what comes in if this one must, as of
  // the newest Update.
  const Order& OrderFor(const v1::AutoScalingGroup& group);

  // Hosts, by name.
  size_t size() const { return hosts_.size(); }
  std::optional<size_t> Find(std::string_view host) const;
  const std::string& id(size_t index) const { return hosts_[index].id; }
  const std::string& zone(size_t index) const { return hosts_[index].row->zone(); }
  Bar bar(size_t index) const { return hosts_[index].bar; }
  int instances(size_t index) const { return hosts_[index].instances; }
  // When it counts as lost if it does not come back: it has not been heard of since the controller
  // began. InfinitePast for any other.
  Time awaited_until(size_t index) const { return hosts_[index].awaited_until; }

  // Those with instances that may be failed launches.
  const std::set<size_t>& failed() const { return failed_; }
  const v1::Host& row(size_t index) const { return *hosts_[index].row; }

  // What there is beyond what instances are bounded to; the maximum if not declared.
  Bounds Free(size_t index);
  bool IsPortTaken(size_t index, int port) const;
  // Whether launches of this version have failed there lately.
  bool IsAvoided(size_t index, const v1::LaunchTemplateRef& launch);
  // When that may be otherwise by time alone; InfiniteFuture: never.
  Time AvoidedChangesAt(size_t index, const v1::LaunchTemplateRef& launch);

  Time now() const { return now_; }

 private:
  struct Avoided {
    Time until = absl::InfinitePast();
    Time changes_at = absl::InfiniteFuture();
  };
  struct Host {
    std::string id;
    std::shared_ptr<const v1::Host> row;
    const HostObservation* seen = nullptr;
    Time awaited_until = absl::InfinitePast();
    Bar bar = Bar::kNone;
    const HostUse* use = nullptr;  // the draft's
    int instances = 0;
    // Found when first asked for.
    std::optional<Bounds> used = std::nullopt;
    std::map<std::string, Avoided> avoided = {};  // by version
  };
  const Avoided& AvoidedOn(Host& host, const v1::LaunchTemplateRef& launch);

  void Build();
  void Refresh(std::string_view host);
  const Bounds& BoundsOfVersion(const std::pair<std::string, int>& version);

  const Draft& draft_;
  const Observations& seen_;
  const std::set<std::string>* left_out_ = nullptr;
  const Time now_;
  std::optional<int64_t> edition_;  // of the draft's log
  size_t read_ = 0;                 // of it
  std::vector<Host> hosts_;
  std::set<size_t> failed_;
  std::map<Selection, Order> orders_;
  std::map<std::pair<std::string, int>, Bounds> bounds_;  // by template and version
};

}  // namespace remuda::core
