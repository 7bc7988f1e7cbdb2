#include "controller/core/reconcile/placement.h"

#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>

#include <tuple>
#include <vector>

#include "controller/core/model/instance_state.h"
#include "controller/core/model/words.h"

namespace remuda::core {
namespace {

// Hosts that a reason names.
constexpr size_t kHostsNamed = 8;

// The first of them, and how many more there are.
class NameList {
 public:
  // Whether the next will be named.
  bool has_place() const { return named_.size() < kHostsNamed; }
  void Name(std::string text) { named_.push_back(std::move(text)); }
  void CountOne() { ++more_; }
  bool empty() const { return named_.empty(); }
  std::string Text() const {
    std::string out = absl::StrJoin(named_, ", ");
    if (more_ > 0) absl::StrAppend(&out, " and ", more_, " more");
    return out;
  }

 private:
  std::vector<std::string> named_;
  size_t more_ = 0;
};

const Rooms::Order& UpdatedOrder(Rooms& rooms, const v1::AutoScalingGroup& group) {
  rooms.Update();
  return rooms.OrderFor(group);
}

}  // namespace

Placement::Placement(Rooms& rooms, const Wish& wish)
    : rooms_(rooms),
      launch_(wish.launch),
      port_(wish.wanted.port()),
      wanted_(BoundsOf(wish.wanted)),
      must_filter_(wish.group.require_ingress_filter()),
      wanted_zones_(wish.group.zones().begin(), wish.group.zones().end()),
      order_(UpdatedOrder(rooms, wish.group)) {
  for (const auto& [zone, line] : order_.by_zone) {
    if (Names(zone)) by_zone_.emplace(zone, Zone{.line = &line, .next = line.begin(), .known = {}});
  }
  for (const auto& [id, row] : wish.spread) {
    if (!IsUp(row->state())) continue;
    ++zones_[row->zone()];
    const std::optional<size_t> index = rooms_.Find(row->host());
    if (index.has_value() && IsCandidate(*index)) ++ours_[*index].of_side;
  }
  for (const auto& [index, ours] : ours_) {
    if (HasRoom(index)) by_zone_.find(rooms_.zone(index))->second.known.insert(RankOf(index));
  }
}

bool Placement::Names(std::string_view zone) const {
  return wanted_zones_.empty() || wanted_zones_.contains(zone);
}

bool Placement::IsCandidate(size_t index) const {
  return order_.holds[index] && Names(rooms_.zone(index));
}

Placement::Ours Placement::OursOn(size_t index) const {
  const auto it = ours_.find(index);
  return it == ours_.end() ? Ours() : it->second;
}

Placement::Rank Placement::RankOf(size_t index) const {
  const Ours ours = OursOn(index);
  return {rooms_.IsAvoided(index, launch_), ours.of_side, rooms_.instances(index) + ours.placed,
          index};
}

bool Placement::IsPortTaken(size_t index) const {
  return port_ != 0 && (OursOn(index).placed > 0 || rooms_.IsPortTaken(index, port_));
}

bool Placement::HasRoom(size_t index) const {
  if (IsPortTaken(index)) return false;
  if (wanted_.cpu == 0 && wanted_.memory == 0) return true;
  const Bounds free = rooms_.Free(index);
  const int64_t times = OursOn(index).placed + 1;
  return (wanted_.cpu == 0 || free.cpu >= times * wanted_.cpu) &&
         (wanted_.memory == 0 || free.memory >= times * wanted_.memory);
}

std::optional<Placement::Rank> Placement::First(Zone& zone) const {
  for (; zone.next != zone.line->end(); ++zone.next) {
    const size_t index = zone.next->second;
    if (ours_.contains(index) || !HasRoom(index)) continue;
    // None of the known is less: it is avoided, or has some of the side.
    if (!rooms_.IsAvoided(index, launch_)) return RankOf(index);
    zone.known.insert(RankOf(index));
  }
  if (zone.known.empty()) return std::nullopt;
  return *zone.known.begin();
}

std::string Placement::Take() {
  // Each zone's first, and of those the one whose zone has the fewest.
  Zone* of_zone = nullptr;
  std::tuple<bool, int, int, int, size_t> least;
  for (auto& [name, zone] : by_zone_) {
    const std::optional<Rank> first = First(zone);
    if (!first.has_value()) continue;
    const auto& [avoided, of_side, in_all, index] = *first;
    const std::tuple rank{avoided, InZone(name), of_side, in_all, index};
    if (of_zone != nullptr && least < rank) continue;
    of_zone = &zone;
    least = rank;
  }
  awaited_until_ = absl::InfinitePast();
  if (of_zone == nullptr) return "";
  const size_t best = std::get<4>(least);
  awaited_until_ = rooms_.awaited_until(best);
  if (awaited_until_ > rooms_.now()) {
    awaited_ = rooms_.id(best);
    return "";
  }
  of_zone->known.erase(RankOf(best));  // if it was among them
  Ours& ours = ours_[best];
  ++zones_[rooms_.zone(best)];
  ++ours.of_side;
  ++ours.placed;
  if (HasRoom(best)) of_zone->known.insert(RankOf(best));
  return rooms_.id(best);
}

const std::string& Placement::ZoneOf(std::string_view host) const {
  return rooms_.zone(*rooms_.Find(host));
}

int Placement::InZone(std::string_view zone) const {
  const auto it = zones_.find(zone);
  return it == zones_.end() ? 0 : it->second;
}

bool Placement::IsAvoided(std::string_view host) const {
  return rooms_.IsAvoided(*rooms_.Find(host), launch_);
}

std::string Placement::WhyIneligible(size_t index) const {
  switch (rooms_.bar(index)) {
    case Rooms::Bar::kNotThere:
      return "is not connected";
    case Rooms::Bar::kCordoned:
      return "is cordoned";
    case Rooms::Bar::kDraining:
      return "is being drained";
    case Rooms::Bar::kNone:
      break;
  }
  if (!Names(rooms_.zone(index))) return absl::StrCat("is in zone '", rooms_.zone(index), "'");
  if (const std::string why = WhyNoIngressFilter(rooms_.row(index)); must_filter_ && !why.empty())
    return absl::StrCat("cannot filter what comes in, which require_ingress_filter asks for: ",
                        why);
  return "lacks a label of host_selector";
}

std::string Placement::WhyNone() const {
  if (awaited_until_ > rooms_.now()) {
    return absl::StrCat("host ", awaited_,
                        " has not been heard of since the controller began; it is "
                        "waited for until ",
                        MomentText(awaited_until_));
  }
  NameList eligible;
  NameList ineligible;
  bool all_ports_taken = true;
  for (size_t i = 0; i < rooms_.size(); ++i) {
    const bool is_candidate = IsCandidate(i);
    NameList& list = is_candidate ? eligible : ineligible;
    if (!list.has_place()) {
      list.CountOne();
    } else if (is_candidate) {
      list.Name(rooms_.id(i));
    } else {
      list.Name(absl::StrCat(rooms_.id(i), " ", WhyIneligible(i)));
    }
    if (is_candidate) all_ports_taken = all_ports_taken && IsPortTaken(i);
  }
  if (eligible.empty()) {
    if (ineligible.empty()) return "no host has joined";
    return absl::StrCat("no host is eligible: ", ineligible.Text());
  }
  if (all_ports_taken) {
    return absl::StrCat("port ", port_, " is taken on every eligible host: ", eligible.Text());
  }
  return absl::StrCat("no eligible host has room for its limits", port_ != 0 ? " and port" : "",
                      ": ", eligible.Text());
}

bool Placement::WouldFree(std::string_view host) const {
  const std::optional<size_t> index = rooms_.Find(host);
  return index.has_value() && IsCandidate(*index);
}

}  // namespace remuda::core
