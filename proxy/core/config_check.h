// Field by field checks of the config message: each names the field, the value and the rule. Used
// by the compiler alone.
#pragma once

#include <google/protobuf/duration.pb.h>

#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "proxy/core/routing_table.h"

namespace remuda::proxy {

// Nothing, or what is wrong ("health_check.path: 'x' does not start with '/'").
using Fault = std::optional<std::string>;

// "targetGroups/blue" or "blue" to "blue"; false if it is neither, or not a resource id.
bool NormalizeId(std::string_view name, std::string_view collection, std::string& id);

struct DurationRule {
  std::string_view field;
  std::chrono::milliseconds min, max;
};
// Leaves `out` as it is (the default) when `is_set` is false.
Fault TakeDuration(bool is_set, const google::protobuf::Duration& value, const DurationRule& rule,
                   std::chrono::milliseconds& out);

Fault CheckRange(std::string_view field, int64_t value, int64_t min, int64_t max);

// "200,202,300-399" within 200-499.
Fault ParseMatcher(const std::string& text, std::vector<std::pair<int, int>>& out);

Fault CompileHealthCheck(const remuda::v1::HealthCheck& config, HealthCheckSpec& out);

// Finds the state of a target group by id; null if the config has none.
using GroupLookup = std::function<std::shared_ptr<GroupState>(const std::string& id)>;

Fault CompileLoadBalancer(const remuda::v1::LoadBalancer& config, const GroupLookup& groups,
                          bool allow_port_zero, LoadBalancer& out);

}  // namespace remuda::proxy
