#include "proxy/core/action_check.h"

#include <algorithm>

#include "common/traffic/fixed_response.h"
#include "common/traffic/redirect.h"
#include "proxy/core/forward.h"
#include "proxy/core/traffic_fault.h"

namespace remuda::proxy {
namespace {

Fault CompileForward(const remuda::v1::ForwardAction& config, const GroupLookup& groups,
                     ForwardAction& out) {
  if (Fault f =
          CheckRange("forward.target_groups", config.target_groups_size(), 1, kMaxForwardGroups)) {
    return f;
  }
  for (const auto& choice : config.target_groups()) {
    std::string id;
    if (!NormalizeId(choice.target_group(), "targetGroups", id)) {
      return "forward.target_groups.target_group: " + Quote(choice.target_group()) +
             " is not a target group's name";
    }
    std::shared_ptr<GroupState> group = groups(id);
    if (group == nullptr)
      return "forward.target_groups.target_group: there is no target group " + Quote(id);
    const bool is_twice = std::any_of(out.groups.begin(), out.groups.end(),
                                      [&](const auto& other) { return other.group == group; });
    if (is_twice) return "forward.target_groups.target_group: " + Quote(id) + " is there twice";
    const int weight = choice.has_weight() ? choice.weight() : 1;
    if (Fault f = CheckRange("forward.target_groups.weight", weight, 0, kMaxGroupWeight)) return f;
    out.groups.push_back({std::move(group), weight});
  }
  const auto& stickiness = config.stickiness_duration();
  std::chrono::milliseconds duration{0};
  if (Fault f = TakeDuration(stickiness.seconds() != 0 || stickiness.nanos() != 0, stickiness,
                             {"forward.stickiness_duration", std::chrono::milliseconds(1000),
                              std::chrono::milliseconds(604800000)},
                             duration)) {
    return f;
  }
  out.stickiness = std::chrono::duration_cast<std::chrono::seconds>(duration);
  return std::nullopt;
}

Fault CompileFixed(const remuda::v1::FixedResponseAction& config, FixedResponse& out) {
  if (Fault f = FirstOf(traffic::CheckFixedResponse(config), "fixed_response")) return f;
  out.status = config.status();
  out.content_type = config.content_type().empty() ? "text/plain" : config.content_type();
  out.body = config.body();
  return std::nullopt;
}

Fault CompileRedirect(const remuda::v1::RedirectAction& config,
                      const remuda::v1::Listener& listener, Redirect& out) {
  if (Fault f = FirstOf(traffic::ParseRedirect(config, listener, out), "redirect")) return f;
  // A client would follow it in a circle. Another query may meet another rule.
  if (traffic::StaysInPlace(out, listener) && out.query == traffic::SameQuery()) {
    return std::string(
        "redirect: leads to itself: one of protocol, host, port, path and query must differ");
  }
  return std::nullopt;
}

}  // namespace

Fault CompileAction(const remuda::v1::Action& config, const remuda::v1::Listener& listener,
                    const GroupLookup& groups, RuleAction& out) {
  switch (config.kind_case()) {
    case remuda::v1::Action::kForward: {
      ForwardAction action;
      if (Fault f = CompileForward(config.forward(), groups, action)) return f;
      PlanTurns(action);
      out = std::move(action);
      return std::nullopt;
    }
    case remuda::v1::Action::kFixedResponse: {
      FixedResponse action;
      if (Fault f = CompileFixed(config.fixed_response(), action)) return f;
      out = std::move(action);
      return std::nullopt;
    }
    case remuda::v1::Action::kRedirect: {
      Redirect action;
      if (Fault f = CompileRedirect(config.redirect(), listener, action)) return f;
      out = std::move(action);
      return std::nullopt;
    }
    default:
      return std::string("action: one of forward, fixed_response, redirect must be set");
  }
}

}  // namespace remuda::proxy
