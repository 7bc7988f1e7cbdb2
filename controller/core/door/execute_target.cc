// Commands on targets that are registered by hand.
#include "common/traffic/address.h"
#include "controller/core/door/done.h"
#include "controller/core/door/follow_targets.h"
#include "controller/core/model/words.h"

namespace remuda::core {
namespace {

// Each address valid and named once; the ids in the request's order.
template <class Request>
std::vector<std::string> CheckAddresses(Violations& out, const Request& request) {
  // Where targets leave, an address and a port say which.
  constexpr bool kReadsAll = std::is_same_v<Request, v1::RegisterTargetsRequest>;
  const FieldPath at("targets");
  CheckCount(out, at, request.targets_size(), 1, limits::kTargetsARequest);
  std::vector<std::string> ids;
  std::set<std::string> seen;
  for (int i = 0; i < request.targets_size(); ++i) {
    const v1::TargetAddress& target = request.targets(i);
    if (!IsAddress(target.address())) {
      out.Add(at[i] / "address",
              absl::StrCat(Quoted(target.address()), " is not an IPv4 or IPv6 address"));
    }
    CheckRange(out, at[i] / "port", target.port(), 1, limits::kMaxPort);
    if (kReadsAll) {
      CheckRange(out, at[i] / "weight", target.weight(), 0, limits::kMaxTargetWeight);
      CheckText(out, at[i] / "zone", target.zone(), limits::kZoneBytes);
    }
    ids.push_back(traffic::TargetIdOf(target.address(), target.port()));
    if (!seen.insert(ids.back()).second)
      out.Add(at[i], absl::StrCat(ids.back(), " is named twice"));
  }
  return ids;
}

// Rows of a group registered by hand.
int CountTargets(const Draft& draft, const std::string& group) {
  const std::string prefix = TargetKey(group, "");
  int count = 0;
  draft.ForEachFrom<v1::Target>(prefix, [&](const std::string& key, const v1::Target&) {
    if (key.compare(0, prefix.size(), prefix) != 0) return false;
    ++count;
    return true;
  });
  return count;
}

absl::Status CheckTargetQuota(const Draft& draft, const std::string& group, size_t more) {
  const int have = CountTargets(draft, group);
  if (have + static_cast<int>(more) > limits::kTargetsAGroup) {
    return LimitExceeded("targets_a_group",
                         absl::StrCat(NameOf<v1::TargetGroup>(group), ": it has ",
                                      Counted(have, "target"), " registered by hand, and ", more,
                                      " more would be above ", limits::kTargetsAGroup));
  }
  if (draft.state().All<v1::Target>().size() + more > limits::kTargetsByHand) {
    return LimitExceeded("targets_by_hand",
                         absl::StrCat("targets: at most ", limits::kTargetsByHand,
                                      " may be registered by hand in a cluster"));
  }
  return absl::OkStatus();
}

// The row of a target that is registered, for the first time or again.
v1::Target Registered(const std::string& key, const v1::TargetAddress& wish,
                      const v1::Target* before, Time now) {
  v1::Target target;
  if (before != nullptr) {
    target = *before;
  } else {
    target.set_name(FullName(kTargetGroups, key));
    target.set_address(traffic::CanonicalAddress(wish.address()));
    target.set_port(wish.port());
    *target.mutable_create_time() = ToProto(now);
    target.set_weight(1);
  }
  target.set_state(v1::TARGET_STATE_INITIAL);
  target.clear_drain_start_time();
  target.clear_source();  // what a source had brought is somebody's own from now on
  if (wish.has_weight()) target.set_weight(wish.weight());
  if (wish.has_zone()) target.set_zone(wish.zone());
  return target;
}

// "Registered 2 targets, the first: targetGroups/…", if there are any.
void NoteTargets(Draft& draft, const Context& context, const std::string& group, const char* what,
                 const std::vector<std::pair<std::string, v1::Target>>& targets) {
  if (targets.empty()) return;
  NoteDone(draft, context,
           {.resource = group,
            .description = absl::StrCat(what, " ", targets.size(),
                                        targets.size() == 1 ? " target: " : " targets, the first: ",
                                        targets.front().second.name())});
}

}  // namespace

absl::StatusOr<v1::RegisterTargetsResponse> Execute(Draft& draft,
                                                    const v1::RegisterTargetsRequest& request,
                                                    const Context& context) {
  const auto row = FindRow<v1::TargetGroup>(draft, "target_group", request.target_group());
  if (!row.ok()) return row.status();
  Violations violations;
  const std::vector<std::string> ids = CheckAddresses(violations, request);
  if (!violations.empty()) return violations.ToStatus();
  std::vector<std::pair<std::string, v1::Target>> registered;  // new ones, and those taken back
  std::vector<std::pair<std::string, v1::Target>> changed;     // in weight or zone alone
  size_t added = 0;
  v1::RegisterTargetsResponse response;
  for (int i = 0; i < request.targets_size(); ++i) {
    const std::string key = TargetKey(row->id, ids[static_cast<size_t>(i)]);
    const auto before = draft.Find<v1::Target>(key);
    v1::Target target = Registered(key, request.targets(i), before.get(), context.now);
    *response.add_targets() = target;
    added += before == nullptr;
    if (before == nullptr || before->has_drain_start_time() || IsFollowed(*before)) {
      registered.emplace_back(key, std::move(target));
    } else if (before->weight() != target.weight() || before->zone() != target.zone()) {
      changed.emplace_back(key, std::move(target));
    }
  }
  if (absl::Status quota = CheckTargetQuota(draft, row->id, added); !quota.ok()) return quota;
  NoteTargets(draft, context, row->value->name(), "Registered", registered);
  NoteTargets(draft, context, row->value->name(), "Changed weight or zone of", changed);
  for (auto* targets : {&registered, &changed}) {
    for (auto& [key, target] : *targets) draft.Put(key, std::move(target));
  }
  return response;
}

absl::StatusOr<v1::DeregisterTargetsResponse> Execute(Draft& draft,
                                                      const v1::DeregisterTargetsRequest& request,
                                                      const Context& context) {
  const auto row = FindRow<v1::TargetGroup>(draft, "target_group", request.target_group());
  if (!row.ok()) return row.status();
  Violations violations;
  const std::vector<std::string> ids = CheckAddresses(violations, request);
  for (int i = 0; i < request.targets_size(); ++i) {
    const std::string& id = ids[static_cast<size_t>(i)];
    const auto target = draft.Find<v1::Target>(TargetKey(row->id, id));
    if (target == nullptr || IsFollowed(*target)) {
      violations.Add(FieldPath("targets")[i],
                     absl::StrCat(id, " is not registered by hand in ", row->value->name(),
                                  target == nullptr ? "" : ": it comes from ",
                                  target == nullptr ? "" : target->source()));
    }
  }
  if (!violations.empty()) return violations.ToStatus();
  v1::DeregisterTargetsResponse response;
  int changed = 0;
  for (const std::string& id : ids) {
    const std::string key = TargetKey(row->id, id);
    v1::Target target = *draft.Find<v1::Target>(key);
    if (!target.has_drain_start_time()) {
      target.set_state(v1::TARGET_STATE_DRAINING);
      *target.mutable_drain_start_time() = ToProto(context.now);
      draft.Put(key, target);
      ++changed;
    }
    *response.add_targets() = std::move(target);
  }
  if (changed > 0) {
    NoteDone(draft, context,
             {.resource = row->value->name(),
              .description = absl::StrCat(
                  "Draining ", changed, changed == 1 ? " target: " : " targets, the first named: ",
                  response.targets(0).name())});
  }
  return response;
}

}  // namespace remuda::core
