// What a shift between two target groups is to its load balancer, as far as the rows say. Pure
// functions. What it does next: deployment/shift_subject.h.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "controller/core/model/draft.h"

namespace remuda::core {

// How the reconciler's lists of groups name a shift, which belongs to no group.
inline constexpr std::string_view kShiftKeys = "deployments/";

// Full name of the listener or rule whose action it moves, and the id of its load balancer.
const std::string& ActionName(const v1::TrafficShift& shift);
std::string BalancerOf(const v1::TrafficShift& shift);

// The forward action; null if the load balancer does not have it (any more).
const v1::ForwardAction* ForwardOf(const v1::LoadBalancer& balancer, const v1::TrafficShift& shift);
v1::ForwardAction* ForwardOf(v1::LoadBalancer& balancer, const v1::TrafficShift& shift);

// 0 for a target group that the action does not name.
int WeightIn(const v1::ForwardAction& action, std::string_view target_group);
// Names it if it does not.
void SetWeightIn(v1::ForwardAction& action, const std::string& target_group, int weight);

// Takes away what the shift added for its previews.
void RemovePreviews(v1::LoadBalancer& balancer, const v1::TrafficShift& shift);

// Ids of the load balancer's shifts, ended ones too.
std::vector<std::string> ShiftsOf(const Draft& draft, std::string_view balancer);

}  // namespace remuda::core
