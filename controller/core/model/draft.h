// Draft: a State and the edits decided so far, read as one. Commands and reconciliation work on a
// draft; the state below never changes.
//
// Owns: the edits. Does not own: the State, which must outlive it and stay as it is. Thread: the
// loop thread.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include "controller/core/model/state.h"
#include "controller/core/model/time.h"

namespace remuda::core {

class Draft {
 public:
  explicit Draft(const State& state) : state_(state) {}

  const State& state() const { return state_; }

  // The value as the edits so far leave it; null if there is none.
  template <class T>
  std::shared_ptr<const T> Find(std::string_view key) const {
    const auto& overlay = std::get<Overlay<T>>(overlays_);
    const auto it = overlay.find(key);
    if (it != overlay.end()) return it->second;
    const Entry<T>* entry = state_.Find<T>(key);
    return entry == nullptr ? nullptr : entry->value;
  }

  // Number of the commit that wrote the value; nullopt if it is new or changed in this draft (then
  // no receiver can have confirmed it).
  template <class T>
  std::optional<int64_t> CommitOf(std::string_view key) const {
    if (std::get<Overlay<T>>(overlays_).contains(key)) return std::nullopt;
    const Entry<T>* entry = state_.Find<T>(key);
    if (entry == nullptr) return std::nullopt;
    return entry->commit;
  }

  // fn(const std::string& key, const T& value) for each row in key order, as the edits so far leave
  // it. fn must not edit rows of T.
  template <class T, class Fn>
  void ForEach(Fn&& fn) const {
    ForEachFrom<T>("", [&](const std::string& key, const T& value) {
      fn(key, value);
      return true;
    });
  }

  // The same from the first key that is not less than `from`, until fn answers false.
  template <class T, class Fn>
  void ForEachFrom(std::string_view from, Fn&& fn) const {
    ForEachRowFrom<T>(from, [&](const std::string& key, const std::shared_ptr<const T>& row) {
      return fn(key, *row);
    });
  }

  // The same with the row's pointer, for those who keep it.
  template <class T, class Fn>
  void ForEachRowFrom(std::string_view from, Fn&& fn) const {
    const auto& table = state_.All<T>();
    const auto& overlay = std::get<Overlay<T>>(overlays_);
    auto base = table.lower_bound(from);
    auto top = overlay.lower_bound(from);
    while (base != table.end() || top != overlay.end()) {
      if (top == overlay.end() || (base != table.end() && base->first < top->first)) {
        if (!fn(base->first, base->second.value)) return;
        ++base;
        continue;
      }
      if (base != table.end() && base->first == top->first) ++base;
      if (top->second != nullptr && !fn(top->first, top->second)) return;
      ++top;
    }
  }

  // Instances of a group or on a host (any state), by id, as the edits so far leave them. Costs
  // what the group or the host has, whatever else is edited; nothing, if none of the group was
  // edited since it was last asked.
  Instances InstancesOfGroup(std::string_view group) const;
  InstanceList InstancesOnHost(std::string_view host) const;
  // What the instances on a host take up, as the edits so far leave it. The reference is valid
  // until the next edit of one of them.
  const HostUse& UseOfHost(std::string_view host) const;

  // Hosts whose instances were edited, one an edit, in order: who keeps something by host reads on
  // from where it was. Another edition begins with anything else that it may hang on: an edit of a
  // host's row or of a launch template's version, Restore, Take.
  struct HostLog {
    int64_t edition = 0;
    std::vector<std::string> hosts = {};
  };
  const HostLog& host_log() const { return host_log_; }

  // Writes a row. A value equal to what is committed is no edit, so that re-planning yields
  // nothing.
  template <class T>
  void Put(std::string_view key, T value);

  template <class T>
  void Delete(std::string_view key);

  // The next number of a counter that never goes back; 1 at first.
  int64_t Next(std::string_view counter);

  // Adds an activity: `activity.name` is set here. Returns its key.
  std::string Note(v1::Activity activity);

  // The edits so far, one a row, in no particular order (a commit is atomic). The draft is empty
  // afterwards.
  Changes Take();
  bool empty() const;

  // A point to go back to when a command fails half-way.
  class Savepoint;
  Savepoint Save() const;
  void Restore(Savepoint savepoint);

 private:
  template <class T>
  using Overlay = std::map<std::string, std::shared_ptr<const T>, std::less<>>;
  using Overlays =
      std::tuple<Overlay<v1::Image>, Overlay<v1::LaunchTemplateVersion>, Overlay<v1::TargetGroup>,
                 Overlay<v1::Target>, Overlay<v1::LoadBalancer>, Overlay<v1::AutoScalingGroup>,
                 Overlay<v1::Instance>, Overlay<v1::Deployment>, Overlay<v1::Host>,
                 Overlay<v1::Proxy>, Overlay<v1::Activity>, Overlay<store::v1::Counter>,
                 Overlay<store::v1::RequestRecord>, Overlay<v1::Certificate>,
                 Overlay<v1::LaunchTemplate>, Overlay<store::v1::LoadHistory>, Overlay<v1::User>,
                 Overlay<v1::JoinToken>, Overlay<v1::Revocation>, Overlay<v1::Secret>,
                 Overlay<v1::SecurityGroup>>;

  // Instances that have been edited, by the groups and the hosts that they are or were of, here or
  // in the state. One that is back to what is committed may stay.
  struct Edited {
    IdIndex by_group;
    IdIndex by_host;
    std::map<std::string, HostUse, std::less<>> use;  // of the hosts among them
  };
  // Before a row is written: what is kept beside the rows follows it. `now` null: it is deleted.
  template <class T>
  void Follow(std::string_view key, const T* now);
  void Reindex(std::string_view id, const v1::Instance* now);
  void CountUse(const v1::Instance* before, const v1::Instance* now);
  void BeginEdition();
  HostUse& UseToEdit(const std::string& host);

  const State& state_;
  Overlays overlays_;
  Edited edited_;
  // What InstancesOfGroup has answered of groups with edits and is still so.
  mutable std::map<std::string, Instances, std::less<>> lists_by_group_;
  HostLog host_log_;
};

class Draft::Savepoint {
 private:
  friend class Draft;
  Savepoint(Overlays overlays, Edited edited)
      : overlays_(std::move(overlays)), edited_(std::move(edited)) {}
  Overlays overlays_;
  Edited edited_;
};

}  // namespace remuda::core
