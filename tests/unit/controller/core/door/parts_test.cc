// Listeners and rules as resources of their own: ids, etags, and writes of one that leave the rest
// as it is.
#include "controller/core/door/read.h"
#include "controller/core/model/names.h"
#include "tests/unit/controller/core/door/execute_fixture.h"

namespace remuda::core {
namespace {

using absl::StatusCode;

class PartsTest : public ExecuteTest {
 protected:
  static constexpr char kShop[] = R"(load_balancer { name: "shop"
    listeners { port: 8080
      rules { priority: 10 conditions { path_pattern { values: "/admin/*" } } action { fixed_response { status: 403 } } }
      rules { priority: 20 conditions { path_pattern { values: "/old" } } action { redirect { path: "/new" } } }
      default_action { forward { target_groups { target_group: "blue" } } } }
    listeners { port: 9000 name: "raw" default_action { fixed_response { status: 404 } } } })";
  static constexpr char kListener[] = "loadBalancers/shop/listeners/8080";

  void SetUp() override {
    Do<v1::TargetGroup>(Parse<v1::CreateTargetGroupRequest>(R"(target_group_id: "blue")"));
    Do<v1::LoadBalancer>(Parse<v1::CreateLoadBalancerRequest>(kShop));
  }

  Snapshot Here() const { return {state_, seen_, now_}; }
  static std::string Rule(const std::string& id) { return std::string(kListener) + "/rules/" + id; }
  v1::Rule GetRule(const std::string& name) const {
    v1::GetRuleRequest request;
    request.set_name(name);
    const auto rule = Read(Here(), request);
    EXPECT_TRUE(rule.ok()) << rule.status();
    return rule.ok() ? *rule : v1::Rule();
  }
  v1::Listener GetListener(const std::string& name) const {
    v1::GetListenerRequest request;
    request.set_name(name);
    const auto listener = Read(Here(), request);
    EXPECT_TRUE(listener.ok()) << listener.status();
    return listener.ok() ? *listener : v1::Listener();
  }
  // Ids of listeners with their rules', as they stand in the row: "8080[10 20] raw[]".
  std::string Ids() const {
    std::string out;
    for (const auto& listener : Find<v1::LoadBalancer>("shop")->listeners()) {
      EXPECT_TRUE(listener.etag().empty());
      out += (out.empty() ? "" : " ") + std::string(IdOf(listener.name())) + "[";
      for (const auto& rule : listener.rules()) {
        EXPECT_EQ(rule.name().rfind(listener.name() + "/rules/", 0), 0u) << rule.name();
        out += (out.back() == '[' ? "" : " ") + std::string(IdOf(rule.name()));
      }
      out += "]";
    }
    return out;
  }
  void Update(const std::string& text) {
    Do<v1::LoadBalancer>(Parse<v1::UpdateLoadBalancerRequest>(text));
  }
};

constexpr char kOk[] =
    " conditions { path_pattern { values: '/x' } } action { fixed_response { status: 200 } } ";
constexpr char kGone[] = " default_action { fixed_response { status: 410 } } ";

TEST_F(PartsTest, PartsGetIdsLikeTheirPortAndPriority) { EXPECT_EQ(Ids(), "8080[10 20] raw[]"); }

TEST_F(PartsTest, AWholeWithoutIdsKeepsThem) {
  const std::string before = Find<v1::LoadBalancer>("shop")->SerializeAsString();
  auto request = Parse<v1::UpdateLoadBalancerRequest>(kShop);
  request.mutable_load_balancer()->mutable_listeners(1)->clear_name();
  Do<v1::LoadBalancer>(request);
  EXPECT_EQ(Ids(), "8080[10 20] raw[]");
  EXPECT_EQ(Find<v1::LoadBalancer>("shop")->SerializeAsString(), before);
}

TEST_F(PartsTest, ANewPartTakesNoIdOfAnother) {
  // The listener `8080` moves to another port; a new one comes to its old one.
  Update(std::string("load_balancer { name: 'shop' listeners { port: 81 name: '8080'") + kGone +
         "} listeners { port: 8080" + kGone + "} listeners { port: 9000" + kGone + "} }");
  EXPECT_EQ(Ids(), "8080[] 8080-2[] raw[]");
  // And the other way about: who comes first in the list makes no difference.
  Update(std::string("load_balancer { name: 'shop' listeners { port: 9001") + kGone +
         "} listeners { port: 9000" + kGone + "} listeners { port: 81" + kGone + "} }");
  EXPECT_EQ(Ids(), "9001[] raw[] 8080[]");
}

TEST_F(PartsTest, NamesOfPartsAreChecked) {
  const struct {
    std::string listeners;
    std::string field;
    std::string fragment;
  } cases[] = {
      {"name: 'A b' port: 1", "listeners[0].name", "\"A b\" is not a name here"},
      {"name: 'loadBalancers/other/listeners/a' port: 1", "listeners[0].name",
       "loadBalancers/shop/listeners/ID or ID"},
      {std::string("name: 'a' port: 1") + kGone + "} listeners { name: 'a' port: 2",
       "listeners[1].name", "loadBalancers/shop/listeners/a is given twice"},
      {std::string("name: 'a' port: 1 rules { name: 'x/y' priority: 1") + kOk + "}",
       "listeners[0].rules[0].name", "loadBalancers/shop/listeners/a/rules/ID"},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(c.listeners);
    ExpectError(Try(Parse<v1::UpdateLoadBalancerRequest>(
                    "load_balancer { name: 'shop' listeners { " + c.listeners + kGone + "} }")),
                StatusCode::kInvalidArgument, "load_balancer." + c.field, c.fragment);
  }
}

TEST_F(PartsTest, TwoPeopleChangeTwoRulesAtOnce) {
  const v1::Rule first = GetRule(Rule("10"));
  const v1::Rule second = GetRule(Rule("20"));
  const v1::Listener listener = GetListener(kListener);
  ASSERT_FALSE(first.etag().empty());
  v1::UpdateRuleRequest request;
  *request.mutable_rule() = first;
  request.mutable_rule()->mutable_action()->mutable_fixed_response()->set_status(404);
  const v1::Rule changed = Do<v1::Rule>(request);
  EXPECT_NE(changed.etag(), first.etag());
  EXPECT_EQ(changed.etag(), GetRule(Rule("10")).etag());
  // The other's etag, and the listener's, are what they were.
  *request.mutable_rule() = second;
  request.mutable_rule()->mutable_action()->mutable_redirect()->set_path("/newer");
  Do<v1::Rule>(request);
  v1::UpdateListenerRequest third;
  *third.mutable_listener() = listener;
  third.mutable_listener()->mutable_default_action()->mutable_fixed_response()->set_status(503);
  Do<v1::Listener>(third);
  const auto& row = *Find<v1::LoadBalancer>("shop");
  EXPECT_EQ(row.listeners(0).rules(0).action().fixed_response().status(), 404);
  EXPECT_EQ(row.listeners(0).rules(1).action().redirect().path(), "/newer");
  EXPECT_EQ(row.listeners(0).default_action().fixed_response().status(), 503);
  EXPECT_EQ(row.listeners(0).rules_size(), 2);
  // Whoever read the first rule before it changed is told.
  *request.mutable_rule() = first;
  ExpectError(Try(request), StatusCode::kAborted, "", Rule("10"));
}

TEST_F(PartsTest, AnUpdateTakesWhatItsMaskNames) {
  const auto rule = Do<v1::Rule>(Parse<v1::UpdateRuleRequest>(
      "rule { name: '" + Rule("20") + "' priority: 5 } update_mask { paths: 'priority' }"));
  EXPECT_EQ(rule.priority(), 5);
  EXPECT_EQ(rule.action().redirect().path(), "/new");
  EXPECT_EQ(rule.name(), Rule("20"));
  EXPECT_NE(LastActivity().find("Updated " + Rule("20") + ": priority: 20 -> 5"), std::string::npos)
      << LastActivity();
  const auto listener = Do<v1::Listener>(
      Parse<v1::UpdateListenerRequest>("listener { name: 'loadBalancers/shop/listeners/8080' port: "
                                       "8081 } update_mask { paths: 'port' }"));
  EXPECT_EQ(listener.port(), 8081);
  EXPECT_EQ(listener.rules_size(), 2);
  EXPECT_EQ(Ids(), "8080[10 20] raw[]");
  // The same once more changes nothing and is no activity.
  const size_t activities = state_.All<v1::Activity>().size();
  Do<v1::Rule>(Parse<v1::UpdateRuleRequest>("rule { name: '" + Rule("20") +
                                            "' priority: 5 } update_mask { paths: 'priority' }"));
  EXPECT_EQ(state_.All<v1::Activity>().size(), activities);
}

TEST_F(PartsTest, RulesAreMadeAndDeleted) {
  auto rule = Do<v1::Rule>(Parse<v1::CreateRuleRequest>(
      std::string("parent: 'loadBalancers/shop/listeners/8080' rule { priority: 30") + kOk + "}"));
  EXPECT_EQ(rule.name(), Rule("30"));
  EXPECT_FALSE(rule.etag().empty());
  rule = Do<v1::Rule>(Parse<v1::CreateRuleRequest>(
      std::string("parent: 'loadBalancers/shop/listeners/8080' rule_id: 'api' rule { priority: 1") +
      kOk + "}"));
  EXPECT_EQ(rule.name(), Rule("api"));
  EXPECT_EQ(Ids(), "8080[10 20 30 api] raw[]");
  v1::DeleteRuleRequest request;
  request.set_name(Rule("10"));
  request.set_etag(rule.etag());
  ExpectError(Try(request), StatusCode::kAborted, "", Rule("10"));
  request.set_etag(GetRule(Rule("10")).etag());
  Do<Empty>(request);
  EXPECT_EQ(Ids(), "8080[20 30 api] raw[]");
  ExpectError(Try(request), StatusCode::kNotFound, "", Rule("10"));
}

TEST_F(PartsTest, ListenersAreMadeAndDeleted) {
  auto listener = Do<v1::Listener>(Parse<v1::CreateListenerRequest>(
      std::string("parent: 'shop' listener { port: 81 rules { priority: 7") + kOk + "}" + kGone +
      "}"));
  EXPECT_EQ(listener.name(), "loadBalancers/shop/listeners/81");
  EXPECT_EQ(listener.protocol(), v1::PROTOCOL_HTTP);
  EXPECT_EQ(Ids(), "8080[10 20] raw[] 81[7]");
  v1::DeleteListenerRequest request;
  request.set_name(listener.name());
  request.set_etag(listener.etag());
  Do<Empty>(request);
  request.clear_etag();
  request.set_name("loadBalancers/shop/listeners/raw");
  Do<Empty>(request);
  request.set_name(kListener);
  ExpectError(Try(request), StatusCode::kFailedPrecondition, "", "it is the only listener");
  EXPECT_EQ(Ids(), "8080[10 20]");
}

// Paths of errors begin in the request, not in the load balancer's row.
TEST_F(PartsTest, ErrorsNameTheFieldsOfTheRequest) {
  const std::string parent = "parent: 'loadBalancers/shop/listeners/8080' ";
  ExpectError(Try(Parse<v1::CreateRuleRequest>(
                  parent + "rule { priority: 70000 conditions { path_pattern { values: 'x' } } "
                           "action { forward { target_groups { target_group: 'no' } } } }")),
              StatusCode::kInvalidArgument, "rule.priority", "70000 is not within 1-50000");
  ExpectError(
      Try(Parse<v1::CreateRuleRequest>(
          parent + "rule { priority: 1 conditions { path_pattern { values: 'x' } } action { "
                   "fixed_response { status: 200 } } }")),
      StatusCode::kInvalidArgument, "rule.conditions[0].path_pattern.values[0]", "never matches");
  ExpectError(Try(Parse<v1::CreateRuleRequest>(parent + "rule { priority: 10" + kOk + "}")),
              StatusCode::kAlreadyExists, "rule.priority",
              "10 is the priority of " + Rule("10") + " already");
  ExpectError(
      Try(Parse<v1::CreateRuleRequest>(parent + "rule_id: '10' rule { priority: 11" + kOk + "}")),
      StatusCode::kAlreadyExists, "", Rule("10"));
  ExpectError(
      Try(Parse<v1::CreateRuleRequest>(parent + "rule_id: 'N' rule { priority: 11" + kOk + "}")),
      StatusCode::kInvalidArgument, "rule_id", "\"N\"");
  ExpectError(Try(Parse<v1::CreateRuleRequest>(
                  parent + "rule_id: 'a' rule { name: 'b' priority: 11" + kOk + "}")),
              StatusCode::kInvalidArgument, "rule.name", "is not the name of rule_id \"a\"");
  ExpectError(Try(Parse<v1::UpdateListenerRequest>(
                  "listener { name: 'loadBalancers/shop/listeners/8080' port: 9000 } update_mask { "
                  "paths: 'port' }")),
              StatusCode::kAlreadyExists, "listener.port",
              "9000 is the port of loadBalancers/shop/listeners/raw already");
  ExpectError(Try(Parse<v1::UpdateListenerRequest>(
                  "listener { name: 'loadBalancers/shop/listeners/8080' } update_mask { "
                  "paths: 'rules' }")),
              StatusCode::kInvalidArgument, "update_mask", "\"rules\" cannot be written");
  ExpectError(Try(Parse<v1::UpdateListenerRequest>(
                  "listener { name: 'loadBalancers/shop/listeners/8080' protocol: PROTOCOL_TCP } "
                  "update_mask { paths: 'protocol' }")),
              StatusCode::kInvalidArgument, "listener.rules", "TCP listeners have no rules");
  for (const char* name : {"shop/8080", "loadBalancers/shop", "loadBalancers/shop/listeners/",
                           "loadBalancers/shop/rules/8080", ""}) {
    v1::DeleteListenerRequest request;
    request.set_name(name);
    ExpectError(Try(request), StatusCode::kInvalidArgument, "name", "is not a listener's name");
  }
}

TEST_F(PartsTest, ATcpListenerTakesNoRule) {
  Do<v1::TargetGroup>(Parse<v1::CreateTargetGroupRequest>(
      "target_group_id: 'bytes' target_group { protocol: PROTOCOL_TCP }"));
  Do<v1::Listener>(Parse<v1::CreateListenerRequest>(
      "parent: 'loadBalancers/shop' listener_id: 'tcp' listener { port: 1 protocol: PROTOCOL_TCP "
      "default_action { forward { target_groups { target_group: 'bytes' } } } }"));
  ExpectError(Try(Parse<v1::CreateRuleRequest>(
                  std::string("parent: 'loadBalancers/shop/listeners/tcp' rule { priority: 1") +
                  kOk + "}")),
              StatusCode::kInvalidArgument, "parent", "TCP listeners have no rules");
}

TEST_F(PartsTest, PortsOfOtherLoadBalancersAreTaken) {
  Do<v1::LoadBalancer>(Parse<v1::CreateLoadBalancerRequest>(
      std::string("load_balancer { name: 'other' listeners { port: 443") + kGone + "} }"));
  ExpectError(Try(Parse<v1::CreateListenerRequest>(
                  std::string("parent: 'shop' listener { port: 443") + kGone + "}")),
              StatusCode::kAlreadyExists, "listener.port", "loadBalancers/other");
}

TEST_F(PartsTest, PrioritiesChangePlacesAtOnce) {
  const auto swap = Parse<v1::SetRulePrioritiesRequest>(
      "listener: 'loadBalancers/shop/listeners/8080' priorities { rule: '10' priority: 20 } "
      "priorities { rule: 'loadBalancers/shop/listeners/8080/rules/20' priority: 10 }");
  const auto answer = Do<v1::SetRulePrioritiesResponse>(swap);
  ASSERT_EQ(answer.rules_size(), 2);
  EXPECT_EQ(answer.rules(0).name(), Rule("20"));
  EXPECT_EQ(answer.rules(0).priority(), 10);
  EXPECT_EQ(answer.rules(1).name(), Rule("10"));
  EXPECT_EQ(answer.rules(1).etag(), GetRule(Rule("10")).etag());
  EXPECT_NE(LastActivity().find("rules/10 10 -> 20; rules/20 20 -> 10"), std::string::npos)
      << LastActivity();
}

TEST_F(PartsTest, PrioritiesAreTakenAllOrNone) {
  const std::string listener = "listener: 'loadBalancers/shop/listeners/8080' ";
  const struct {
    std::string priorities;
    StatusCode code;
    std::string field;
    std::string fragment;
  } cases[] = {
      {"priorities { rule: '10' priority: 5 } priorities { rule: '20' priority: 5 }",
       StatusCode::kInvalidArgument, "priorities[1].priority",
       "5 would be the priority of " + Rule("10") + " too"},
      {"priorities { rule: '10' priority: 20 }", StatusCode::kInvalidArgument,
       "priorities[0].priority", "20 would be the priority of " + Rule("20") + " too"},
      {"priorities { rule: 'no' priority: 5 }", StatusCode::kInvalidArgument, "priorities[0].rule",
       "there is no " + Rule("no")},
      {"priorities { rule: '10' priority: 5 } priorities { rule: '10' priority: 6 }",
       StatusCode::kInvalidArgument, "priorities[1].rule", "named twice"},
      {"priorities { rule: '10' priority: 0 }", StatusCode::kInvalidArgument,
       "priorities[0].priority", "0 is not within 1-50000"},
      {"priorities { rule: '10' priority: 5 } priorities { rule: '20' priority: 6 etag: 'old' }",
       StatusCode::kAborted, "", Rule("20")},
      {"", StatusCode::kInvalidArgument, "priorities", "at least 1 entry"},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(c.priorities);
    ExpectError(Try(Parse<v1::SetRulePrioritiesRequest>(listener + c.priorities)), c.code, c.field,
                c.fragment);
  }
}

TEST_F(PartsTest, ListsAreByPortAndPriority) {
  Do<v1::LoadBalancer>(Parse<v1::CreateLoadBalancerRequest>(
      std::string("load_balancer { name: 'a' listeners { port: 99 rules { priority: 2") + kOk +
      "} rules { priority: 1" + kOk + "}" + kGone + "} listeners { port: 98" + kGone + "} }"));
  const auto listeners = [&](const std::string& parent) {
    v1::ListListenersRequest request;
    request.set_parent(parent);
    request.set_page_size(1);
    std::string out;
    do {
      const auto page = Read(Here(), request);
      if (!page.ok()) return std::string(page.status().message());
      for (const auto& listener : page->listeners()) {
        EXPECT_FALSE(listener.etag().empty());
        out += listener.name().substr(14) + " ";
      }
      request.set_page_token(page->next_page_token());
    } while (!request.page_token().empty());
    return out;
  };
  EXPECT_EQ(listeners("loadBalancers/-"),
            "a/listeners/98 a/listeners/99 shop/listeners/8080 shop/listeners/raw ");
  EXPECT_EQ(listeners("shop"), "shop/listeners/8080 shop/listeners/raw ");
  EXPECT_EQ(listeners("loadBalancers/no"), "loadBalancers/no: no such resource");
  const auto rules = [&](const std::string& parent) {
    v1::ListRulesRequest request;
    request.set_parent(parent);
    request.set_page_size(2);
    std::string out;
    do {
      const auto page = Read(Here(), request);
      if (!page.ok()) return std::string(page.status().message());
      for (const auto& rule : page->rules()) {
        EXPECT_FALSE(rule.etag().empty());
        out += std::to_string(rule.priority()) + " ";
      }
      request.set_page_token(page->next_page_token());
    } while (!request.page_token().empty());
    return out;
  };
  EXPECT_EQ(rules("loadBalancers/-/listeners/-"), "1 2 10 20 ");
  EXPECT_EQ(rules("loadBalancers/a/listeners/-"), "1 2 ");
  EXPECT_EQ(rules(kListener), "10 20 ");
  EXPECT_EQ(rules("loadBalancers/shop/listeners/raw"), "");
  EXPECT_EQ(rules("loadBalancers/shop/listeners/no"),
            "loadBalancers/shop/listeners/no: no such resource");
  EXPECT_NE(rules("loadBalancers/shop").find("is not a listener's name"), std::string::npos);
}

TEST_F(PartsTest, TheWholeIsReadWithEtagsOfItsParts) {
  v1::GetLoadBalancerRequest request;
  request.set_name("loadBalancers/shop");
  const auto shop = Read(Here(), request);
  ASSERT_TRUE(shop.ok());
  EXPECT_EQ(shop->listeners(0).etag(), GetListener(kListener).etag());
  EXPECT_EQ(shop->listeners(0).rules(0).etag(), GetRule(Rule("10")).etag());
  // What was read may be written back, etags and all.
  v1::UpdateLoadBalancerRequest update;
  *update.mutable_load_balancer() = *shop;
  EXPECT_EQ(Do<v1::LoadBalancer>(update).etag(), shop->etag());
}

TEST_F(PartsTest, AProtectedLoadBalancerIsNotDeleted) {
  Update(
      "load_balancer { name: 'shop' deletion_protection: true } update_mask { paths: "
      "'deletion_protection' }");
  v1::DeleteLoadBalancerRequest request;
  request.set_name("loadBalancers/shop");
  ExpectError(Try(request), StatusCode::kFailedPrecondition, "", "deletion_protection is true");
  Update("load_balancer { name: 'shop' } update_mask { paths: 'deletion_protection' }");
  Do<Empty>(request);
}

}  // namespace
}  // namespace remuda::core
