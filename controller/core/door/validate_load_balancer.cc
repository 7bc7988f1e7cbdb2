// What a load balancer may say.
#include <absl/strings/ascii.h>
#include <absl/strings/match.h>
#include <absl/strings/str_cat.h>

#include <algorithm>

#include "common/traffic/fixed_response.h"
#include "common/traffic/listen_address.h"
#include "common/traffic/redirect.h"
#include "controller/core/door/validate_resources.h"
#include "controller/core/model/limits.h"
#include "controller/core/model/names.h"

namespace remuda::core {
namespace {

void CheckForward(Violations& out, const FieldPath& at, const References& references,
                  v1::ForwardAction& value) {
  CheckCount(out, at / "target_groups", value.target_groups_size(), 1,
             limits::kTargetGroupsAForward);
  std::set<std::string> seen;
  int64_t total = 0;
  for (int i = 0; i < value.target_groups_size(); ++i) {
    const FieldPath here = (at / "target_groups")[i];
    auto& group = *value.mutable_target_groups(i);
    CheckRange(out, here / "weight", group.weight(), 0, limits::kMaxForwardWeight);
    total += group.weight();
    if (!NormalizeReference(out, here / "target_group", kTargetGroups,
                            *group.mutable_target_group()))
      continue;
    const std::string full = FullName(kTargetGroups, group.target_group());
    if (!references.Exists<v1::TargetGroup>(full, group.target_group())) {
      out.Add(here / "target_group", absl::StrCat("there is no ", full));
    }
    if (!seen.insert(group.target_group()).second)
      out.Add(here / "target_group", absl::StrCat(full, " is named twice"));
  }
  if (value.target_groups_size() > 0 && total == 0) {
    out.Add(at / "target_groups", "at least one weight must be above 0");
  }
}

void CheckRedirect(Violations& out, const FieldPath& at, const v1::Listener& listener,
                   const v1::RedirectAction& value) {
  traffic::Redirect redirect;
  const traffic::FieldFaults faults = traffic::ParseRedirect(value, listener, redirect);
  Tell(out, at, faults);
  // ELB's RedirectActionConfig: "To avoid a redirect loop, you must modify at least one of
  // protocol, port, hostname or path".
  if (faults.empty() && traffic::StaysInPlace(redirect, listener))
    out.Add(at, "would loop: protocol, host, port or path must differ from the request's");
}

void CheckAction(Violations& out, const FieldPath& at, const References& references,
                 const v1::Listener& listener, v1::Action& value) {
  switch (value.kind_case()) {
    case v1::Action::kForward:
      return CheckForward(out, at / "forward", references, *value.mutable_forward());
    case v1::Action::kFixedResponse:
      return Tell(out, at / "fixed_response", traffic::CheckFixedResponse(value.fixed_response()));
    case v1::Action::kRedirect:
      return CheckRedirect(out, at / "redirect", listener, value.redirect());
    case v1::Action::KIND_NOT_SET:
      return out.Add(at, "must be one of forward, fixed_response, redirect");
  }
}

void CheckListener(Violations& out, const FieldPath& at, const References& references,
                   v1::Listener& value) {
  CheckRange(out, at / "port", value.port(), 1, limits::kMaxPort);
  if (!value.address().empty() && !IsAddress(value.address())) {
    out.Add(at / "address",
            absl::StrCat(Quoted(value.address()), " is not an IPv4 or IPv6 address"));
  }
  CheckKnown(out, at / "protocol", value.protocol(), "a protocol");
  CheckCount(out, at / "rules", value.rules_size(), 0, limits::kRulesAListener);
  std::map<int, int> by_priority;
  for (int i = 0; i < value.rules_size(); ++i) {
    const FieldPath here = (at / "rules")[i];
    auto& rule = *value.mutable_rules(i);
    CheckRange(out, here / "priority", rule.priority(), 1, limits::kMaxPriority);
    const auto [first, is_new] = by_priority.emplace(rule.priority(), i);
    if (!is_new) {
      out.Add(here / "priority", absl::StrCat(rule.priority(), " is the priority of rules[",
                                              first->second, "] already"));
    }
    CheckCount(out, here / "conditions", rule.conditions_size(), 1, limits::kConditionsARule);
    for (int c = 0; c < rule.conditions_size(); ++c) {
      CheckCondition(out, (here / "conditions")[c], rule.conditions(c));
    }
    CheckAction(out, here / "action", references, value, *rule.mutable_action());
    CheckTransforms(out, here, rule);
  }
  CheckAction(out, at / "default_action", references, value, *value.mutable_default_action());
  if (IsKnown(value.protocol())) CheckListenerProtocol(out, at, references, value);
}

// A pattern for paths that no canonical path can match.
void CheckPathPattern(Violations& out, const FieldPath& at, const v1::PathNormalization& paths,
                      const std::string& pattern) {
  const bool merges = !paths.has_merge_slashes() || paths.merge_slashes();
  if (merges && absl::StrContains(pattern, "//"))
    out.Add(at, absl::StrCat(Quoted(pattern), " never matches: merge_slashes makes // one slash"));
  const bool keeps = paths.escaped_slashes() == v1::PathNormalization::ESCAPED_SLASHES_KEEP;
  const std::string lower = absl::AsciiStrToLower(pattern);
  if (!keeps && (absl::StrContains(lower, "%2f") || absl::StrContains(lower, "%5c"))) {
    out.Add(at, absl::StrCat(Quoted(pattern),
                             " never matches: escaped_slashes is not ESCAPED_SLASHES_KEEP"));
  }
  const bool has_parameters =
      paths.path_parameters() != v1::PathNormalization::PATH_PARAMETERS_REFUSE &&
      paths.path_parameters() != v1::PathNormalization::PATH_PARAMETERS_STRIP;
  if (!has_parameters && absl::StrContains(pattern, ';'))
    out.Add(at, absl::StrCat(Quoted(pattern), " never matches: path_parameters leaves no ;"));
}

void CheckPaths(Violations& out, const FieldPath& at, const v1::LoadBalancer& value) {
  const v1::PathNormalization& paths = value.path_normalization();
  const FieldPath here = at / "path_normalization";
  CheckKnown(out, here / "escaped_slashes", paths.escaped_slashes());
  CheckKnown(out, here / "path_parameters", paths.path_parameters());
  for (int l = 0; l < value.listeners_size(); ++l) {
    for (int r = 0; r < value.listeners(l).rules_size(); ++r) {
      const v1::Rule& rule = value.listeners(l).rules(r);
      const FieldPath rules = ((at / "listeners")[l] / "rules")[r];
      for (int c = 0; c < rule.conditions_size(); ++c) {
        const auto& patterns = rule.conditions(c).path_pattern().values();
        for (int p = 0; p < patterns.size(); ++p)
          CheckPathPattern(out, ((rules / "conditions")[c] / "path_pattern" / "values")[p], paths,
                           patterns[p]);
      }
    }
  }
}

// Whether one proxy's labels could satisfy both: they do unless some key must have two values.
bool MayOverlap(const v1::LoadBalancer& a, const v1::LoadBalancer& b) {
  return std::none_of(a.proxy_selector().begin(), a.proxy_selector().end(), [&](const auto& label) {
    const auto other = b.proxy_selector().find(label.first);
    return other != b.proxy_selector().end() && other->second != label.second;
  });
}

}  // namespace

void Check(Violations& out, const FieldPath& at, const References& references,
           v1::LoadBalancer& value) {
  if (const size_t size = value.ByteSizeLong(); size > limits::kLoadBalancerBytes) {
    // Said alone: what is in it is not looked at.
    return out.Add(at / "listeners",
                   absl::StrCat(size, " bytes with all rules; a load balancer has at most ",
                                limits::kLoadBalancerBytes));
  }
  CheckCount(out, at / "listeners", value.listeners_size(), 1, limits::kListenersALoadBalancer);
  std::map<int, int> by_port;
  for (int i = 0; i < value.listeners_size(); ++i) {
    const FieldPath here = (at / "listeners")[i];
    CheckListener(out, here, references, *value.mutable_listeners(i));
    const auto [first, is_new] = by_port.emplace(value.listeners(i).port(), i);
    if (!is_new) {
      out.Add(here / "port", absl::StrCat(value.listeners(i).port(), " is the port of listeners[",
                                          first->second, "] already"));
    }
  }
  CheckLabels(out, at / "proxy_selector", value.proxy_selector());
  CheckDuration(out, at / "idle_timeout", value.idle_timeout(), limits::kMinIdleTimeout,
                limits::kMaxIdleTimeout);
  CheckDuration(out, at / "client_keep_alive", value.client_keep_alive(),
                limits::kMinClientKeepAlive, limits::kMaxClientKeepAlive);
  CheckKnown(out, at / "x_forwarded_for_mode", value.x_forwarded_for_mode(), "a mode");
  CheckKnown(out, at / "desync_mitigation_mode", value.desync_mitigation_mode(), "a mode");
  CheckPaths(out, at, value);
  CheckAttached(out, at / "security_groups", references, *value.mutable_security_groups());
  CheckLabels(out, at / "labels", value.labels());
}

void CheckPortsFree(Violations& out, const FieldPath& at, const Draft& draft, std::string_view id,
                    const v1::LoadBalancer& value) {
  draft.ForEach<v1::LoadBalancer>([&](const std::string& other_id, const v1::LoadBalancer& other) {
    if (other_id == id || !MayOverlap(value, other)) return;
    for (int i = 0; i < value.listeners_size(); ++i) {
      const v1::Listener& mine = value.listeners(i);
      for (const v1::Listener& theirs : other.listeners()) {
        if (mine.port() != theirs.port() ||
            !traffic::AddressesCollide(mine.address(), theirs.address())) {
          continue;
        }
        out.AddTaken(
            (at / "listeners")[i] / "port",
            absl::StrCat(mine.port(), " is a listener's port of ",
                         FullName(kLoadBalancers, other_id), " already, on the same proxies"));
      }
    }
  });
}

}  // namespace remuda::core
