// Weighted groups: shares that are exact over short windows, over workers, and over config changes.
#include <gtest/gtest.h>

#include <map>
#include <thread>

#include "proxy/core/forward.h"
#include "tests/unit/proxy/core/tables.h"

namespace remuda::proxy {
namespace {

using Counts = std::map<std::string, int>;

ForwardAction Action(const std::vector<int>& weights) {
  ForwardAction action;
  for (const int weight : weights) {
    action.groups.push_back({std::make_shared<GroupState>(std::to_string(weight), 1), weight});
  }
  PlanTurns(action);
  return action;
}

Counts Pick(const ForwardAction& action, int count) {
  Counts picked;
  for (int i = 0; i < count; ++i) {
    const GroupState* group = PickGroup(action);
    ++picked[group == nullptr ? "none" : group->id()];
  }
  return picked;
}

TEST(ForwardAction, SharesAreExactOverEachCycle) {
  const ForwardAction action = Action({70, 20, 10, 0});
  for (int cycle = 0; cycle < 7; ++cycle)
    EXPECT_EQ(Pick(action, 10), (Counts{{"70", 7}, {"20", 2}, {"10", 1}}));
  EXPECT_EQ(action.turns.size(), 10U);  // what divides all weights is divided out
}

TEST(ForwardAction, SharesAreNearlyExactOverAnyWindow) {
  const ForwardAction action = Action({3, 2});
  int first = 0;
  for (int i = 1; i <= 100; ++i) {
    first += PickGroup(action)->id() == "3" ? 1 : 0;
    EXPECT_NEAR(first, i * 0.6, 1.0) << i;
  }
}

TEST(ForwardAction, OneGroupOrNone) {
  EXPECT_EQ(Pick(Action({5}), 3), (Counts{{"5", 3}}));
  EXPECT_EQ(Pick(Action({5, 0}), 3), (Counts{{"5", 3}}));
  EXPECT_EQ(Pick(Action({0, 0}), 3), (Counts{{"none", 3}}));
}

TEST(ForwardAction, SharesAreExactOverAllThreadsTogether) {
  const ForwardAction action = Action({9, 1});
  std::atomic<int> rare{0};
  std::vector<std::thread> workers;
  for (int i = 0; i < 4; ++i) {
    workers.emplace_back([&] {
      for (int n = 0; n < 2500; ++n) rare += PickGroup(action)->id() == "1" ? 1 : 0;
    });
  }
  for (std::thread& worker : workers) worker.join();
  EXPECT_EQ(rare, 1000);
}

v1::ProxyConfig TwoListeners(const std::string& weight, const std::string& other_status) {
  v1::ProxyConfig config;
  const std::string text =
      "load_balancers: [{name: shop, listeners: ["
      "{port: 80, rules: [{priority: 7, conditions: [{path_pattern: {values: [/a]}}], action: "
      "{forward: "
      "{target_groups: [{target_group: blue, weight: 3}, {target_group: green, weight: 1}]}}}], "
      "default_action: "
      "{forward: {target_groups: [{target_group: blue, weight: " +
      weight +
      "}, {target_group: green, weight: 1}]}}},"
      "{port: 81, default_action: {fixed_response: {status: " +
      other_status +
      "}}}]}]\n"
      "target_groups: [{name: blue}, {name: green}]\n";
  const absl::Status status = ParseMessageYaml(text, "test", &config);
  EXPECT_TRUE(status.ok()) << status;
  return config;
}

const ForwardAction& ActionOf(const RoutingTable& table, size_t rule) {
  return std::get<ForwardAction>(
      table.load_balancers.at("shop")->listeners[0].rules.at(rule).action);
}

TEST(ForwardAction, ChangeOfSomethingElseDoesNotDisturbTheShares) {
  const auto first = testing::Compile(TwoListeners("4", "200"));
  // Over a cycle of four turns, whichever of them is the first.
  Counts picked = Pick(ActionOf(*first, 0), 2);
  const auto second = testing::Compile(TwoListeners("4", "404"), first);
  for (const auto& [group, count] : Pick(ActionOf(*second, 0), 2)) picked[group] += count;
  EXPECT_EQ(picked, (Counts{{"blue", 3}, {"green", 1}}));
  // A changed weight begins anew, alone.
  const auto third = testing::Compile(TwoListeners("5", "404"), second);
  EXPECT_EQ(ActionOf(*third, 0).taken, ActionOf(*first, 0).taken);
  EXPECT_NE(ActionOf(*third, 1).taken, ActionOf(*first, 1).taken);
}

// Several proxies together are right over short windows only if each begins elsewhere.
TEST(ForwardAction, EachProxyBeginsWithATurnOfItsOwn) {
  v1::ConfigUpdate update;
  *update.mutable_upserts() = TwoListeners("4", "200");
  int first_picks = 0;
  for (uint64_t seed = 0; seed < 400; ++seed) {
    const auto table = std::get<std::shared_ptr<const RoutingTable>>(
        CompileUpdate(RoutingTable(), update, {.seed = seed}));
    first_picks += PickGroup(ActionOf(*table, 1))->id() == "green" ? 1 : 0;
  }
  EXPECT_NEAR(first_picks, 80, 30);  // one in five
}

}  // namespace
}  // namespace remuda::proxy
