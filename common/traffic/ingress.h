// Rules of security groups: what is right, and what they let in. Thread: pure functions.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "common/traffic/cidr.h"
#include "common/traffic/field_fault.h"

namespace remuda::v1 {
class IngressRule;
class SecurityGroup;
}  // namespace remuda::v1

namespace remuda::traffic {

// Bounds of security_group.proto.
inline constexpr int kRulesASecurityGroup = 60;
inline constexpr int kCidrsARule = 60;
inline constexpr int kSourceGroupsARule = 5;
// That a load balancer or an auto scaling group may name.
inline constexpr int kSecurityGroupsAttached = 5;
inline constexpr size_t kIngressDescriptionBytes = 255;

// Every fault of the rules, but not whether the groups that they name are there. `max_cidrs`: of
// one rule.
FieldFaults CheckIngress(const v1::SecurityGroup& group, int max_cidrs);

// Whether the rule lets TCP (or UDP) in to the port.
bool LetsIn(const v1::IngressRule& rule, bool is_udp, int port);

// The blocks that are named in the rule; those that are none are left out.
void AddBlocks(const v1::IngressRule& rule, std::vector<Cidr>& out);

}  // namespace remuda::traffic
