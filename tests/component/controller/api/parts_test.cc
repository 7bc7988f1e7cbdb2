// Listeners and rules over the wire: changes of one reach the proxies, a lost answer is answered
// again, and whoever is late is told.
#include <google/protobuf/empty.pb.h>

#include <thread>

#include "remuda/v1/listener.grpc.pb.h"
#include "tests/component/controller/testing/cluster_fixture.h"

namespace remuda {
namespace {

constexpr char kListener[] = "loadBalancers/shop/listeners/8080";
constexpr int kRules = 8;

class PartsTest : public ClusterTest {
 protected:
  void SetUp() override {
    StartController();
    proxy_.Connect(channel_);
    ApplyShop(0);
  }
  grpc::Status Create(const v1::CreateRuleRequest& request, v1::Rule* rule) {
    return Call<v1::ListenerService>(&v1::ListenerService::Stub::CreateRule, request, rule);
  }
  grpc::Status Update(const v1::UpdateRuleRequest& request, v1::Rule* rule) {
    return Call<v1::ListenerService>(&v1::ListenerService::Stub::UpdateRule, request, rule);
  }
  static v1::CreateRuleRequest RuleOf(int priority) {
    v1::CreateRuleRequest request;
    request.set_parent(kListener);
    auto& rule = *request.mutable_rule();
    rule.set_priority(priority);
    rule.add_conditions()->mutable_path_pattern()->add_values("/" + std::to_string(priority));
    rule.mutable_action()->mutable_fixed_response()->set_status(200);
    return request;
  }
  // What the proxy has of the listener's rules: priorities and statuses.
  std::map<int, int> AtProxy() {
    std::map<int, int> out;
    const auto had = proxy_.had();
    const auto shop = had.load_balancers.find("shop");
    if (shop == had.load_balancers.end()) return out;
    for (const auto& rule : shop->second.listeners(0).rules())
      out[rule.priority()] = rule.action().fixed_response().status();
    return out;
  }
};

TEST_F(PartsTest, ManyPeopleChangeARuleEachAtOnce) {
  std::vector<v1::Rule> rules(kRules);
  for (int i = 0; i < kRules; ++i) {
    const grpc::Status status = Create(RuleOf(i + 1), &rules[static_cast<size_t>(i)]);
    ASSERT_TRUE(status.ok()) << status.error_message();
  }
  std::vector<std::thread> people;
  std::vector<grpc::Status> answers(kRules);
  for (size_t i = 0; i < kRules; ++i) {
    people.emplace_back([&, i] {
      v1::UpdateRuleRequest request;
      *request.mutable_rule() = rules[i];  // with its etag
      request.mutable_rule()->mutable_action()->mutable_fixed_response()->set_status(
          static_cast<int>(400 + i));
      v1::Rule answer;
      answers[i] = Update(request, &answer);
    });
  }
  for (std::thread& person : people) person.join();
  std::map<int, int> wanted;
  for (size_t i = 0; i < kRules; ++i) {
    EXPECT_TRUE(answers[i].ok()) << answers[i].error_message();
    wanted[static_cast<int>(i) + 1] = static_cast<int>(400 + i);
  }
  EXPECT_TRUE(WaitUntil([&] { return AtProxy() == wanted; }, kPatience));
  // The same etag again is of what is no more.
  v1::UpdateRuleRequest late;
  *late.mutable_rule() = rules[0];
  v1::Rule answer;
  EXPECT_EQ(Update(late, &answer).error_code(), grpc::ABORTED);
}

TEST_F(PartsTest, ARepeatIsAnsweredOnceAndACheckChangesNothing) {
  v1::CreateRuleRequest request = RuleOf(5);
  request.set_validate_only(true);
  v1::Rule rule;
  ASSERT_TRUE(Create(request, &rule).ok());
  EXPECT_EQ(rule.name(), std::string(kListener) + "/rules/5");
  request.set_validate_only(false);
  request.set_request_id("once");
  v1::Rule made, again;
  ASSERT_TRUE(Create(request, &made).ok());
  ASSERT_TRUE(Create(request, &again).ok());
  EXPECT_EQ(made.SerializeAsString(), again.SerializeAsString());
  v1::SetRulePrioritiesRequest order;
  order.set_listener(kListener);
  auto& wish = *order.add_priorities();
  wish.set_rule("5");
  wish.set_priority(7);
  wish.set_etag(made.etag());
  order.set_request_id("order");
  v1::SetRulePrioritiesResponse first, second;
  const auto set = [&](v1::SetRulePrioritiesResponse* response) {
    return Call<v1::ListenerService>(&v1::ListenerService::Stub::SetRulePriorities, order,
                                     response);
  };
  ASSERT_TRUE(set(&first).ok());
  ASSERT_TRUE(set(&second).ok());  // although the etag is no more
  EXPECT_EQ(first.SerializeAsString(), second.SerializeAsString());
  ASSERT_EQ(first.rules_size(), 1);
  EXPECT_EQ(first.rules(0).priority(), 7);
  v1::ListRulesRequest list;
  list.set_parent("loadBalancers/-/listeners/-");
  v1::ListRulesResponse rules;
  ASSERT_TRUE(Call<v1::ListenerService>(&v1::ListenerService::Stub::ListRules, list, &rules).ok());
  ASSERT_EQ(rules.rules_size(), 1);
  EXPECT_EQ(rules.rules(0).name(), made.name());
  v1::DeleteRuleRequest remove;
  remove.set_name(made.name());
  google::protobuf::Empty empty;
  EXPECT_TRUE(
      Call<v1::ListenerService>(&v1::ListenerService::Stub::DeleteRule, remove, &empty).ok());
  EXPECT_TRUE(WaitUntil([&] { return AtProxy().empty(); }, kPatience));
}

}  // namespace
}  // namespace remuda
