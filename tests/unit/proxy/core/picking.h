// A target group `blue` as a worker sees it, for tests of picking: config in, picks out, time by
// hand.
#pragma once

#include <gtest/gtest.h>

#include <initializer_list>
#include <map>
#include <memory>
#include <random>
#include <span>
#include <string>
#include <utility>

#include "proxy/core/picker.h"
#include "tests/unit/proxy/core/tables.h"

namespace remuda::proxy::testing {

using Counts = std::map<std::string, int>;

class PickingTest : public ::testing::Test {
 protected:
  void Load(const v1::ProxyConfig& config) {
    // The table before lives until the new one is adopted.
    const auto before = std::exchange(table_, Compile(config, table_));
    ASSERT_NE(table_, nullptr);
    Publish(*table_);
    for (const auto& group : table_->changed_groups) AdoptGroup(0, *group);
    state_ = table_->groups.at("blue")->state.get();
  }
  // `blue` with fields of its message (YAML) set.
  static v1::ProxyConfig ConfigWith(const std::vector<std::string>& targets,
                                    const std::string& group_yaml) {
    v1::ProxyConfig config = Config(targets);
    remuda::v1::TargetGroup more;
    const absl::Status status = ParseMessageYaml(group_yaml, "test", &more);
    EXPECT_TRUE(status.ok()) << status;
    config.mutable_target_groups(0)->MergeFrom(more);
    return config;
  }
  // "t0:1" to "t<count-1>:1".
  static std::vector<std::string> Many(int count, int weight = 1) {
    std::vector<std::string> targets;
    for (int i = 0; i < count; ++i)
      targets.push_back("t" + std::to_string(i) + ":" + std::to_string(weight));
    return targets;
  }
  const TargetGroup& group() const { return *table_->groups.at("blue"); }
  TargetState* Find(const std::string& id) { return group().Find(id)->target.get(); }
  void SetHealthy(std::initializer_list<const char*> ids) {
    for (const char* id : ids) Find(id)->SetHealth(Health::kHealthy);
    state_->Changed();
  }
  void SetAllHealthy() {
    for (const Member& member : group().members) member.target->SetHealth(Health::kHealthy);
    state_->Changed();
  }
  void SetUnhealthy(const std::string& id) {
    Find(id)->SetHealth(Health::kUnhealthy);
    state_->Changed();
  }
  TargetState* Take(std::span<TargetState* const> tried = {}, bool allow_tried = false) {
    PickRequest request = request_;
    request.now = now_;
    request.random = random_();
    request.tried = tried;
    request.allow_tried = allow_tried;
    return PickTarget(*state_, request).target;
  }
  Counts Pick(int count) {
    Counts picked;
    for (int i = 0; i < count; ++i) {
      TargetState* target = Take();
      ++picked[target == nullptr ? "none" : target->id()];
    }
    return picked;
  }

  std::mt19937_64 random_{1};
  SteadyTime now_{std::chrono::hours(1)};
  PickRequest request_;  // what a test sets of it
  std::shared_ptr<const RoutingTable> table_;
  GroupState* state_ = nullptr;
};

}  // namespace remuda::proxy::testing
