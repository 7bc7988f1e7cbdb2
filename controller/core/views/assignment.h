// What a host's agent shall make so, from state and observations. Pure.
//
// Thread: the loop thread.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "controller/core/model/observations.h"
#include "controller/core/model/state.h"
#include "controller/core/views/ingress.h"
#include "remuda/agent/v1/agent.pb.h"

namespace remuda::core {

// What a host shall do with an instance.
struct Wish {
  std::string group;  // empty: the state does not know the instance
  agent::v1::DesiredState desired = agent::v1::DESIRED_STATE_STOPPED;
  std::shared_ptr<const v1::LaunchTemplateVersion> launch;  // null: there is none
  std::shared_ptr<const v1::Image> image;                   // whose signatures go along; null: none
  int generation = 0;
  std::shared_ptr<const agent::v1::IngressFilter> ingress = {};  // null: everybody may reach it
  std::vector<std::shared_ptr<const v1::Secret>> secrets = {};   // that `launch` names
  bool operator==(const Wish&) const = default;
};
// The instances that a host shall have, by id. Instances that the host reports and the state does
// not know are STOPPED ones.
using Wishes = std::map<std::string, Wish, std::less<>>;
Wishes WishesFor(const State& state, const Observations& seen, const Ingress& ingress,
                 std::string_view host);

agent::v1::InstanceAssignment AssignmentOf(const std::string& id, const Wish& wish);
// The wishes as the host is told them. The shell keeps them up to date piece by piece; this is the
// same from nothing.
using Assignment = std::map<std::string, agent::v1::InstanceAssignment, std::less<>>;
Assignment AssignmentFor(const State& state, const Observations& seen, std::string_view host);

}  // namespace remuda::core
