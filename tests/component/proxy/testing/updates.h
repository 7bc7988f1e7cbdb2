// The updates that a test's controller sends: one load balancer `shop`, one group `blue`, targets
// by id.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "tests/component/proxy/testing/fake_controller.h"
#include "tests/component/proxy/testing/scripted_target.h"

namespace remuda::proxy::testing {

inline v1::Target* AddTarget(v1::ConfigUpdate& update, const std::string& id, uint16_t port,
                             const std::string& group = "blue") {
  v1::Target* target = update.mutable_upserts()->add_targets();
  target->set_target_group(group);
  target->set_id(id);
  target->set_address("127.0.0.1");
  target->set_port(port);
  return target;
}

// A free port: listeners of a controller's config need a real one.
inline uint16_t FreePort() {
  ScriptedTarget taken(ScriptedTarget::Answers(""));
  return taken.port();
}

inline v1::ConfigUpdate Update(int64_t sequence, int64_t base = 0, int64_t epoch = 1) {
  v1::ConfigUpdate update;
  update.mutable_revision()->set_epoch(epoch);
  update.mutable_revision()->set_sequence(sequence);
  if (base > 0) {
    update.mutable_base()->set_epoch(epoch);
    update.mutable_base()->set_sequence(base);
  }
  return update;
}

inline v1::ConfigUpdate Whole(int64_t sequence, uint16_t listen_port, int64_t delay_seconds = 300) {
  v1::ConfigUpdate update = Update(sequence);
  auto* balancer = update.mutable_upserts()->add_load_balancers();
  balancer->set_name("loadBalancers/shop");
  auto* listener = balancer->add_listeners();
  listener->set_port(listen_port);
  listener->set_address("127.0.0.1");
  listener->mutable_default_action()->mutable_forward()->add_target_groups()->set_target_group(
      "blue");
  auto* group = update.mutable_upserts()->add_target_groups();
  group->set_name("targetGroups/blue");
  group->mutable_deregistration_delay()->set_seconds(delay_seconds);
  group->mutable_health_check()->set_path("/health");
  group->mutable_health_check()->mutable_interval()->set_nanos(100000000);
  return update;
}

// The first of a session, with these targets.
inline v1::ConfigUpdate First(uint16_t listen_port, const std::map<std::string, uint16_t>& targets,
                              int64_t delay_seconds = 300) {
  v1::ConfigUpdate update = Whole(1, listen_port, delay_seconds);
  for (const auto& [id, port] : targets) AddTarget(update, id, port);
  return update;
}

inline std::vector<std::string> ControllerFlags(const FakeController& controller,
                                                const std::string& data_dir = "") {
  std::vector<std::string> flags = {"--controller=" + controller.address(), "--name=p1",
                                    "--workers=2", "--zone=z1"};
  if (!data_dir.empty()) flags.push_back("--data-dir=" + data_dir);
  return flags;
}

}  // namespace remuda::proxy::testing
