#include "cli/parts.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cli/rule_text.h"
#include "common/message_yaml.h"

namespace remuda::cli {
namespace {

using ::testing::HasSubstr;

TEST(Parts, AreNamedByIdsOrInFull) {
  EXPECT_EQ(*ParsePartId(KindId::kListener, "shop/8080"), "shop/8080");
  EXPECT_EQ(*ParsePartId(KindId::kListener, "loadBalancers/shop/listeners/8080"), "shop/8080");
  EXPECT_EQ(*ParsePartId(KindId::kListener, "loadBalancers/shop"), "shop");
  EXPECT_EQ(*ParsePartId(KindId::kRule, "shop"), "shop");
  EXPECT_EQ(*ParsePartId(KindId::kRule, "shop/8080/10"), "shop/8080/10");
  EXPECT_EQ(*ParsePartId(KindId::kRule, "loadBalancers/shop/listeners/8080/rules/10"),
            "shop/8080/10");
  for (const char* wrong : {"", "/", "shop/", "shop/8080/10", "loadBalancers/shop/rules/8080"})
    EXPECT_FALSE(ParsePartId(KindId::kListener, wrong).ok()) << wrong;
  EXPECT_THAT(
      std::string(ParsePartId(KindId::kRule, "a/b/c/d").status().message()),
      HasSubstr("\"a/b/c/d\" is not the name of a Rule: write LOAD-BALANCER/LISTENER/RULE"));
}

TEST(Parts, FullNamesAndParents) {
  EXPECT_EQ(FullName(KindId::kRule, "shop/8080/10"), "loadBalancers/shop/listeners/8080/rules/10");
  EXPECT_EQ(PartId("loadBalancers/shop/listeners/8080/rules/10"), "shop/8080/10");
  EXPECT_EQ(PartParent(KindId::kListener, ""), "loadBalancers/-");
  EXPECT_EQ(PartParent(KindId::kListener, "shop"), "loadBalancers/shop");
  EXPECT_EQ(PartParent(KindId::kRule, ""), "loadBalancers/-/listeners/-");
  EXPECT_EQ(PartParent(KindId::kRule, "shop"), "loadBalancers/shop/listeners/-");
  EXPECT_EQ(PartParent(KindId::kRule, "shop/8080"), "loadBalancers/shop/listeners/8080");
}

TEST(Parts, AFullNameSaysItsKind) {
  EXPECT_EQ(ParseRef("loadBalancers/shop")->kind->id, KindId::kLoadBalancer);
  EXPECT_EQ(ParseRef("loadBalancers/shop/listeners/8080")->kind->id, KindId::kListener);
  const auto rule = ParseRef("loadBalancers/shop/listeners/8080/rules/10");
  ASSERT_TRUE(rule.ok());
  EXPECT_EQ(rule->kind->id, KindId::kRule);
  EXPECT_EQ(rule->id, "shop/8080/10");
  EXPECT_EQ(ParseRef("rule/shop/8080/10")->id, "shop/8080/10");
  EXPECT_EQ(ParseRef("rules", "loadBalancers/shop/listeners/8080")->id, "shop/8080");
  EXPECT_FALSE(ParseRef("loadBalancers/shop/8080").ok());
}

TEST(RuleText, SaysWhatARuleLooksAt) {
  const std::pair<const char*, const char*> cases[] = {
      {"{conditions: [{hostHeader: {values: [a.b, c.d]}}]}", "host a.b|c.d"},
      {"{conditions: [{pathPattern: {regexValues: ['/v[0-9]']}}]}", "path ~ /v[0-9]"},
      {"{conditions: [{httpHeader: {httpHeaderName: X-A, values: [b]}}]}", "X-A b"},
      {"{conditions: [{httpRequestMethod: {values: [GET]}}, {sourceIp: {values: [10.0.0.0/8]}}]}",
       "method GET AND from 10.0.0.0/8"},
      {"{conditions: [{queryString: {values: [{key: v, value: '2'}, {value: x}]}}]}",
       "query v=2|x"},
      {"{}", "-"},
  };
  for (const auto& [yaml, text] : cases) {
    v1::Rule rule;
    ASSERT_TRUE(ParseMessageYaml(yaml, "test", &rule).ok()) << yaml;
    EXPECT_EQ(ConditionsText(rule), text);
  }
}

}  // namespace
}  // namespace remuda::cli
