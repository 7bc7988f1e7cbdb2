#include "controller/core/views/assignment.h"

namespace remuda::core {
namespace {

bool HasEnded(const agent::v1::InstanceStatus& status) {
  return status.state() == agent::v1::PROCESS_STATE_EXITED ||
         status.state() == agent::v1::PROCESS_STATE_FAILED;
}

}  // namespace

Assignment AssignmentFor(const State& state, const Observations& seen, std::string_view host) {
  Assignment out;
  for (const std::string& id : state.InstancesOnHost(host)) {
    const v1::Instance& row = **state.Find<v1::Instance>(id);
    if (row.state() == v1::INSTANCE_STATE_TERMINATED) continue;
    agent::v1::InstanceAssignment assignment;
    assignment.set_instance(id);
    assignment.set_auto_scaling_group(row.auto_scaling_group());
    assignment.set_desired(row.state() == v1::INSTANCE_STATE_STOPPING
                               ? agent::v1::DESIRED_STATE_STOPPED
                               : agent::v1::DESIRED_STATE_RUNNING);
    const auto* launch = state.Find<v1::LaunchTemplateVersion>(LaunchTemplateKey(
        row.launch_template().launch_template(), row.launch_template().resolved_version()));
    if (launch != nullptr) *assignment.mutable_launch_template() = **launch;
    out.emplace(id, std::move(assignment));
  }
  const auto observed = seen.hosts.find(host);
  if (observed == seen.hosts.end()) return out;
  for (const auto& [id, status] : observed->second.instances) {
    if (HasEnded(status) || out.find(id) != out.end()) continue;
    agent::v1::InstanceAssignment assignment;
    assignment.set_instance(id);
    assignment.set_desired(agent::v1::DESIRED_STATE_STOPPED);
    out.emplace(id, std::move(assignment));
  }
  return out;
}

}  // namespace remuda::core
