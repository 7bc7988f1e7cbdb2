// The index of rules says what judging them one by one says, for any rules and any request.
#include "proxy/core/rule_index.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <random>

#include "proxy/core/match.h"
#include "tests/unit/proxy/core/random_rules.h"
#include "tests/unit/proxy/core/requests.h"
#include "tests/unit/proxy/core/tables.h"

namespace remuda::proxy {
namespace {

std::shared_ptr<const RoutingTable> TableOf(const remuda::v1::Listener& listener) {
  v1::ProxyConfig config;
  auto* balancer = config.add_load_balancers();
  balancer->set_name("shop");
  *balancer->add_listeners() = listener;
  return testing::Compile(config);
}

int PriorityOf(const Rule* rule) { return rule == nullptr ? -1 : rule->priority; }

// REMUDA_TEST_SEED repeats a run.
uint64_t Seed() {
  const char* text = std::getenv("REMUDA_TEST_SEED");
  return text != nullptr ? std::strtoull(text, nullptr, 10) : std::random_device()();
}

TEST(RuleIndex, AgreesWithJudgingOneByOne) {
  const uint64_t seed = Seed();
  SCOPED_TRACE("REMUDA_TEST_SEED=" + std::to_string(seed));
  std::mt19937_64 random(seed);
  auto choose = [&](size_t below) { return static_cast<size_t>(random() % below); };
  int compared = 0;
  int met = 0;
  for (int round = 0; round < 3000; ++round) {
    const remuda::v1::Listener config = testing::RandomListener(choose, round % 20 == 0 ? 100 : 8);
    const auto table = TableOf(config);
    ASSERT_NE(table, nullptr) << config.ShortDebugString();
    const ListenerSpec& listener = table->load_balancers.at("shop")->listeners[0];
    for (int i = 0; i < 20; ++i) {
      const std::string lines = testing::RandomRequest(choose);
      const auto request = testing::ParseRequest(lines);
      if (request == nullptr) continue;
      const IpBytes source = *ParseIp(testing::OneOf(choose, testing::kClients));
      const Rule* want = MatchRuleOneByOne(listener.rules, request->head, source);
      const Rule* got = MatchRule(listener, request->head, source);
      ASSERT_EQ(PriorityOf(got), PriorityOf(want)) << config.ShortDebugString() << "\n" << lines;
      ++compared;
      met += PriorityOf(want) > 0;
    }
  }
  // The comparison is worth something: a good part met a rule, a good part did not.
  EXPECT_GT(compared, 30'000);
  EXPECT_GT(met, compared / 10);
  EXPECT_LT(met, compared * 9 / 10);
}

TEST(RuleIndex, FirstPriorityWins) {
  remuda::v1::Listener config;
  config.set_port(80);
  config.mutable_default_action()->mutable_fixed_response()->set_status(404);
  for (int i = 100; i > 0; --i) {
    auto* rule = config.add_rules();
    rule->set_priority(i);
    rule->mutable_action()->mutable_fixed_response()->set_status(200);
    rule->add_conditions()->mutable_path_pattern()->add_values(
        "/" + std::string(static_cast<size_t>(i), 'x') + "*");
  }
  const auto table = TableOf(config);
  const ListenerSpec& listener = table->load_balancers.at("shop")->listeners[0];
  for (const auto& [path, priority] :
       {std::pair<std::string, int>{"/", 0}, {"/x", 1}, {"/xxxx", 1}, {"/y", 0}}) {
    const auto request = testing::ParseRequest("GET " + path + " HTTP/1.1\r\nHost: a");
    EXPECT_EQ(PriorityOf(MatchRule(listener, request->head, {})), priority) << path;
  }
}

// Programs that are too large together for a pass over several of them.
TEST(RuleIndex, FindsAmongLargeRegexes) {
  remuda::v1::Listener config;
  config.set_port(80);
  config.mutable_default_action()->mutable_fixed_response()->set_status(404);
  constexpr int kLargeRules = 40;
  for (int i = 1; i <= kLargeRules; ++i) {
    auto* rule = config.add_rules();
    rule->set_priority(i);
    rule->mutable_action()->mutable_fixed_response()->set_status(200);
    rule->add_conditions()->mutable_path_pattern()->add_regex_values("/" + std::to_string(i) +
                                                                     "/([a-z]{0,30}){30}");
  }
  const auto table = TableOf(config);
  ASSERT_NE(table, nullptr);
  const ListenerSpec& listener = table->load_balancers.at("shop")->listeners[0];
  for (const auto& [path, priority] :
       {std::pair<std::string, int>{"/1/a", 1}, {"/23/abc", 23}, {"/40/", 40}, {"/41/a", 0}}) {
    const auto request = testing::ParseRequest("GET " + path + " HTTP/1.1\r\nHost: a");
    EXPECT_EQ(PriorityOf(MatchRule(listener, request->head, {})), priority) << path;
  }
}

}  // namespace
}  // namespace remuda::proxy
