#include "controller/core/views/assignment.h"

#include <algorithm>

#include "controller/core/model/names.h"
#include "controller/core/model/warm_pool_size.h"

namespace remuda::core {
namespace {

bool HasEnded(const agent::v1::InstanceStatus& status) {
  return status.state() == agent::v1::PROCESS_STATE_EXITED ||
         status.state() == agent::v1::PROCESS_STATE_FAILED;
}

// Those that the version names, each once; none for one that shall end.
std::vector<std::shared_ptr<const v1::Secret>> SecretsOf(const State& state, const Wish& wish) {
  std::vector<std::shared_ptr<const v1::Secret>> out;
  if (wish.launch == nullptr || wish.desired == agent::v1::DESIRED_STATE_STOPPED) return out;
  for (const v1::SecretReference& reference : wish.launch->secrets()) {
    const auto* secret = state.Find<v1::Secret>(reference.secret());
    if (secret == nullptr || std::find(out.begin(), out.end(), secret->value) != out.end())
      continue;
    out.push_back(secret->value);
  }
  return out;
}

}  // namespace

Wishes WishesFor(const State& state, const Observations& seen, const Ingress& ingress,
                 std::string_view host) {
  Wishes out;
  for (const std::string& id : state.InstancesOnHost(host)) {
    const v1::Instance& row = **state.Find<v1::Instance>(id);
    if (row.state() == v1::INSTANCE_STATE_TERMINATED) continue;
    Wish wish{.group = row.auto_scaling_group(),
              .desired = row.state() == v1::INSTANCE_STATE_STOPPING
                             ? agent::v1::DESIRED_STATE_STOPPED
                             : agent::v1::DESIRED_STATE_RUNNING,
              .launch = nullptr,
              .image = nullptr};
    wish.generation = row.generation();
    if (row.in_warm_pool() && wish.desired == agent::v1::DESIRED_STATE_RUNNING &&
        row.state() != v1::INSTANCE_STATE_DRAINING) {
      const auto* group = state.Find<v1::AutoScalingGroup>(row.auto_scaling_group());
      if (group != nullptr && HasStoppedPool(**group)) {
        wish.desired = agent::v1::DESIRED_STATE_PREPARED;
      }
    }
    const auto* launch = state.Find<v1::LaunchTemplateVersion>(LaunchTemplateKey(
        row.launch_template().launch_template(), row.launch_template().resolved_version()));
    if (launch != nullptr) {
      wish.launch = launch->value;
      const auto* image = state.Find<v1::Image>(wish.launch->image());
      if (image != nullptr && (*image)->digest() == wish.launch->image_digest())
        wish.image = image->value;
    }
    wish.ingress = ingress.FilterOf(row.auto_scaling_group());
    wish.secrets = SecretsOf(state, wish);
    out.emplace(id, std::move(wish));
  }
  const auto observed = seen.hosts.find(host);
  if (observed == seen.hosts.end()) return out;
  for (const auto& [id, status] : observed->second.instances) {
    if (!HasEnded(status)) out.try_emplace(id);
  }
  return out;
}

agent::v1::InstanceAssignment AssignmentOf(const std::string& id, const Wish& wish) {
  agent::v1::InstanceAssignment out;
  out.set_instance(id);
  out.set_auto_scaling_group(wish.group);
  out.set_desired(wish.desired);
  out.set_generation(wish.generation);
  if (wish.launch != nullptr) *out.mutable_launch_template() = *wish.launch;
  if (wish.image != nullptr) *out.mutable_image_signatures() = wish.image->signatures();
  if (wish.ingress != nullptr) *out.mutable_ingress_filter() = *wish.ingress;
  for (const auto& secret : wish.secrets) {
    agent::v1::SecretValue& value = *out.add_secrets();
    value.set_secret(std::string(IdOf(secret->name())));
    value.set_version(secret->version());
    value.set_value(secret->value());
  }
  return out;
}

Assignment AssignmentFor(const State& state, const Observations& seen, std::string_view host) {
  Assignment out;
  Ingress ingress;
  ingress.Refresh(state, {});
  for (const auto& [id, wish] : WishesFor(state, seen, ingress, host)) {
    out.emplace(id, AssignmentOf(id, wish));
  }
  return out;
}

}  // namespace remuda::core
