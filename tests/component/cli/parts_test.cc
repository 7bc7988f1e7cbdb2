// Listeners and rules on the command line: how they are named, read, made and changed.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "tests/component/cli/command_fixture.h"

namespace remuda::testing_cli {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::SizeIs;

constexpr char kListener[] = "loadBalancers/shop/listeners/8080";
constexpr char kRule[] = "loadBalancers/shop/listeners/8080/rules/admin";

class PartsTest : public CommandTest {
 protected:
  void SetUp() override {
    state().load_balancers.emplace_back().set_name("loadBalancers/shop");
    auto& listener = state().listeners.emplace_back();
    listener.set_name(kListener);
    listener.set_port(8080);
    listener.set_protocol(v1::PROTOCOL_HTTP);
    auto& group = *listener.mutable_default_action()->mutable_forward()->add_target_groups();
    group.set_target_group("targetGroups/blue");
    auto& rule = state().rules.emplace_back();
    rule.set_name(kRule);
    rule.set_priority(10);
    rule.set_etag("e1");
    rule.add_conditions()->mutable_path_pattern()->add_values("/admin/*");
    rule.mutable_action()->mutable_fixed_response()->set_status(403);
  }
  std::string File(const std::string& text) const { return CommandTest::File("part.yaml", text); }
  std::string Last(const std::string& method) {
    const auto requests = controller_.Requests(method);
    return requests.empty() ? "none" : requests.back();
  }
  std::string Completed(std::vector<std::string> words) const {
    words.insert(words.begin(), "__complete");
    return Run(words).out;
  }
};

TEST_F(PartsTest, AreListedOfAllOrOfWhatHoldsThem) {
  Finished finished = Run({"get", "listeners"});
  EXPECT_EQ(finished.out,
            "NAME       PROTOCOL  ADDRESS  PORT  RULES  DEFAULT\n"
            "shop/8080  HTTP      *        8080  0      blue\n")
      << finished.err;
  EXPECT_THAT(Last("ListListeners"), HasSubstr("parent: \"loadBalancers/-\""));
  finished = Run({"get", "rules", "shop/8080"});
  EXPECT_EQ(finished.out,
            "NAME             PRIORITY  CONDITIONS     ACTION\n"
            "shop/8080/admin  10        path /admin/*  answer 403\n")
      << finished.err;
  EXPECT_THAT(Last("ListRules"), HasSubstr(kListener));
  for (const char* word : {"shop", "loadBalancers/shop"}) {
    EXPECT_EQ(Run({"get", "listeners", word}).exit_code, 0);
    EXPECT_THAT(Last("ListListeners"), HasSubstr("parent: \"loadBalancers/shop\""));
    EXPECT_EQ(Run({"rule", "list", word}).exit_code, 0);
    EXPECT_THAT(Last("ListRules"), HasSubstr("parent: \"loadBalancers/shop/listeners/-\""));
  }
  EXPECT_EQ(Run({"get", "listeners", "a/b/c"}).exit_code, 2);
}

TEST_F(PartsTest, OneIsShownByShortOrFullName) {
  for (const std::vector<std::string>& words :
       {std::vector<std::string>{"get", "rule", "shop/8080/admin"},
        {"get", kRule},
        {"get", "rule", kRule},
        {"get", "rule/shop/8080/admin"}}) {
    std::vector<std::string> all = words;
    all.insert(all.end(), {"-o", "name"});
    EXPECT_EQ(Run(all).out, std::string(kRule) + "\n") << words.back();
  }
  const Finished described = Run({"describe", "listener", "shop/8080"});
  EXPECT_THAT(described.out, HasSubstr("kind: Listener\n"));
  EXPECT_THAT(described.out, HasSubstr("Rules:\nNAME "));
  EXPECT_EQ(Run({"describe", "rule", "shop/8080"}).exit_code, 2);
  EXPECT_EQ(Run({"get", "rule", "shop/8080/none"}).exit_code, 1);
}

TEST_F(PartsTest, ActivitiesOfAPartAreThoseThatNameIt) {
  for (const char* what :
       {"Updated loadBalancers/shop/listeners/8080/rules/admin: priority: 1 -> 2",
        "Updated loadBalancers/shop/listeners/8080/rules/admin2: priority: 1 -> 3",
        "Created loadBalancers/shop"}) {
    state().activities.emplace_back().set_description(what);
  }
  const Finished described = Run({"describe", "rule", "shop/8080/admin"});
  EXPECT_THAT(described.out, HasSubstr("priority: 1 -> 2"));
  EXPECT_THAT(described.out, Not(HasSubstr("priority: 1 -> 3")));
  EXPECT_THAT(described.out, Not(HasSubstr("Created")));
  EXPECT_THAT(Last("ListActivities"), HasSubstr("resource: \"loadBalancers/shop\""));
}

TEST_F(PartsTest, AreMadeFromAFile) {
  const std::string rule = File(
      "kind: Rule\npriority: 10\nconditions: [{pathPattern: {values: [/a]}}]\n"
      "action: {fixedResponse: {status: 403}}\n");
  Finished finished = Run({"rule", "create", "shop/8080", "--id", "a", "-f", rule, "-o", "name"});
  EXPECT_EQ(finished.out, "loadBalancers/shop/listeners/8080/rules/a\n") << finished.err;
  EXPECT_THAT(Last("CreateRule"), HasSubstr("parent: \"loadBalancers/shop/listeners/8080\" "
                                            "rule_id: \"a\" rule { priority: 10 conditions"));
  EXPECT_THAT(Last("CreateRule"), HasSubstr("request_id: \"cli-"));
  EXPECT_THAT(Last("CreateRule"), Not(HasSubstr("validate_only")));
  const std::string listener = File("port: 81\ndefaultAction: {fixedResponse: {status: 403}}\n");
  finished = Run({"listener", "create", "lb/shop", "-f", listener, "--dry-run"});
  EXPECT_EQ(finished.exit_code, 2);  // lb/shop would be a listener of `lb`
  finished = Run({"listener", "create", "shop", "-f", listener, "--dry-run"});
  EXPECT_EQ(finished.exit_code, 0) << finished.err;
  EXPECT_THAT(Last("CreateListener"),
              HasSubstr("parent: \"loadBalancers/shop\" listener { port: 81"));
  EXPECT_THAT(Last("CreateListener"), HasSubstr("validate_only: true"));
}

TEST_F(PartsTest, AnUpdateTakesTheFieldsOfTheFile) {
  const Finished read = Run({"get", "rule", "shop/8080/admin", "-o", "yaml"});
  Finished finished = Run({"rule", "update", "shop/8080/admin", "-f", File(read.out)});
  EXPECT_EQ(finished.exit_code, 0) << finished.err;
  EXPECT_THAT(Last("UpdateRule"), HasSubstr("etag: \"e1\""));
  EXPECT_THAT(Last("UpdateRule"), HasSubstr("update_mask { paths: \"priority\" paths: "
                                            "\"conditions\" paths: \"action\" }"));
  finished = Run({"listener", "update", "shop/8080", "-f",
                  File("tlsPolicy: TLS13\nrules: [{priority: 1}]\n")});
  EXPECT_EQ(finished.exit_code, 0) << finished.err;
  EXPECT_THAT(finished.err, HasSubstr("rules are changed by `remuda rule`; they stay as they are"));
  EXPECT_THAT(Last("UpdateListener"), HasSubstr("update_mask { paths: \"tls_policy\" }"));
  EXPECT_THAT(Last("UpdateListener"), HasSubstr("name: \"loadBalancers/shop/listeners/8080\""));
  EXPECT_EQ(Run({"rule", "update", "shop/8080", "-f", File("priority: 1\n")}).exit_code, 2);
  EXPECT_EQ(Run({"rule", "update", "shop/8080/admin", "-f", File("kind: Rule\n")}).exit_code, 2);
}

TEST_F(PartsTest, ObjectionsNameFileAndLine) {
  const std::string file = File("priority: 10\nconditions:\n- pathPattern: {values: [x]}\n");
  state().failure =
      InvalidField("rule.conditions[0].path_pattern.values[0]", "\"x\" never matches");
  Finished finished = Run({"rule", "create", "shop/8080", "-f", file});
  EXPECT_EQ(finished.exit_code, 1);
  EXPECT_EQ(finished.err,
            file + ":3:26: conditions[0].pathPattern.values[0]: \"x\" never matches\n");
  finished = Run({"rule", "create", "shop/8080", "-f", File("priorty: 10\n")});
  EXPECT_EQ(finished.exit_code, 1);
  EXPECT_THAT(finished.err, HasSubstr(":1:1: priorty: unknown field; did you mean priority?"));
  EXPECT_THAT(controller_.Requests("CreateRule"), SizeIs(1));
}

TEST_F(PartsTest, AreDeletedAndReordered) {
  EXPECT_EQ(Run({"delete", "rule", "shop/8080/admin"}).out, std::string(kRule) + " deleted\n");
  EXPECT_THAT(Last("DeleteRule"), HasSubstr(kRule));
  EXPECT_EQ(Run({"delete", kListener}).exit_code, 0);
  EXPECT_THAT(Last("DeleteListener"), HasSubstr(kListener));
  EXPECT_EQ(Run({"delete", "rule", "shop/8080"}).exit_code, 2);
  const Finished finished =
      Run({"rule", "set-priorities", "shop/8080", "admin=20", "api=10", "-o", "name"});
  EXPECT_EQ(finished.exit_code, 0) << finished.err;
  EXPECT_THAT(Last("SetRulePriorities"),
              HasSubstr("priorities { rule: \"admin\" priority: 20 } priorities { rule: \"api\" "
                        "priority: 10 }"));
  EXPECT_EQ(Run({"rule", "set-priorities", "shop/8080", "admin"}).exit_code, 2);
}

TEST_F(PartsTest, ListsAreFilteredByLabelAndByAnyField) {
  EXPECT_EQ(Run({"get", "lb", "-l", "env=prod,tier!=web,team"}).exit_code, 0);
  EXPECT_THAT(Last("ListLoadBalancers"),
              HasSubstr(R"(filter: "labels.env = \"prod\" AND labels.tier != \"web\" AND )"
                        R"(labels:team")"));
  EXPECT_EQ(
      Run({"get", "targets", "--filter", "state = HEALTHY OR zone = a", "-l", "x=\"y"}).exit_code,
      0);
  EXPECT_THAT(Last("ListTargets"),
              HasSubstr(R"(filter: "state = HEALTHY OR zone = a AND labels.x = \"\\\"y\"")"));
  EXPECT_EQ(Run({"get", "lb", "-l", "=prod"}).exit_code, 2);
  EXPECT_EQ(Run({"get", "lb/shop", "-l", "env=prod"}).exit_code, 2);
  EXPECT_EQ(Run({"get", "listeners", "-l", "env=prod"}).exit_code, 1);
}

TEST_F(PartsTest, HealthAtEachProxyIsAskedForWhereItIsShown) {
  for (const auto& [output, view] : {std::pair<std::string, std::string>{"table", "BASIC"},
                                     {"name", "BASIC"},
                                     {"wide", "FULL"},
                                     {"yaml", "FULL"}}) {
    EXPECT_EQ(Run({"get", "targets", "-o", output}).exit_code, 0);
    EXPECT_THAT(Last("ListTargets"), HasSubstr("view: TARGET_VIEW_" + view)) << output;
    EXPECT_EQ(Run({"target", "list", "-o", output}).exit_code, 0);
    EXPECT_THAT(Last("ListTargets"), HasSubstr("view: TARGET_VIEW_" + view)) << output;
  }
}

TEST_F(PartsTest, WeightAndZoneOfTargets) {
  EXPECT_EQ(
      Run({"target", "register", "blue", "10.0.0.1:80", "--weight", "0", "--zone", "a"}).exit_code,
      0);
  EXPECT_THAT(Last("RegisterTargets"), HasSubstr("port: 80 weight: 0 zone: \"a\""));
  EXPECT_EQ(Run({"target", "register", "blue", "10.0.0.1:80"}).exit_code, 0);
  EXPECT_THAT(Last("RegisterTargets"), Not(HasSubstr("weight")));
  auto& target = state().targets.emplace_back();
  target.set_name("targetGroups/blue/targets/10.0.0.1:80");
  target.set_address("10.0.0.1");
  target.set_port(80);
  target.set_weight(5);
  target.set_zone("north");
  EXPECT_THAT(Run({"get", "targets"}).out, HasSubstr("north  5 "));
}

TEST_F(PartsTest, NamesAreCompleted) {
  EXPECT_EQ(Completed({"get", "listener", ""}), "shop\nshop/8080\n");
  EXPECT_EQ(Completed({"delete", "rule", "shop/"}), "shop/8080\nshop/8080/admin\n");
  EXPECT_EQ(Completed({"rule", "update", "shop/8080/"}), "shop/8080/admin\n");
  EXPECT_THAT(Completed({"rule", ""}), HasSubstr("set-priorities\n"));
  EXPECT_THAT(Completed({"get", "l"}), HasSubstr("listener\n"));
}

}  // namespace
}  // namespace remuda::testing_cli
