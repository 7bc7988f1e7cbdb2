#include "cli/find_deployment.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace remuda::cli {
namespace {

std::string Text(const absl::StatusOr<ResourceRef>& ref) {
  return ref.ok() ? FullName(ref->kind->id, ref->id) : std::string(ref.status().message());
}

TEST(FindDeployment, AnActionIsNamedInManyWays) {
  const struct {
    const char* word;
    const char* name;  // of the rest: none
  } cases[] = {
      {"lb/shop/8080", "loadBalancers/shop/listeners/8080"},
      {"shop/8080", "loadBalancers/shop/listeners/8080"},
      {"listener/shop/8080", "loadBalancers/shop/listeners/8080"},
      {"loadBalancers/shop/listeners/8080", "loadBalancers/shop/listeners/8080"},
      {"lb/shop/8080/10", "loadBalancers/shop/listeners/8080/rules/10"},
      {"shop/8080/10", "loadBalancers/shop/listeners/8080/rules/10"},
      {"rule/shop/8080/10", "loadBalancers/shop/listeners/8080/rules/10"},
      {"loadBalancers/shop/listeners/8080/rules/10", "loadBalancers/shop/listeners/8080/rules/10"},
      {"lb/lb/8080", "loadBalancers/lb/listeners/8080"},
      {"lb/shop", ""},
      {"shop", ""},
      {"", ""},
      {"lb/shop/8080/10/1", ""},
      {"lb//8080", ""},
      {"loadBalancers/shop", ""},
  };
  for (const auto& c : cases) {
    const auto ref = ParseAction(c.word);
    EXPECT_EQ(ref.ok(), *c.name != '\0') << c.word << ": " << Text(ref);
    if (ref.ok()) {
      EXPECT_EQ(Text(ref), c.name);
    }
  }
}

TEST(FindDeployment, WhatDeploymentsAreAskedForBy) {
  EXPECT_EQ(Text(ParseDeploymentScope("blue-3")), "deployments/blue-3");
  EXPECT_EQ(Text(ParseDeploymentScope("deployments/blue-3")), "deployments/blue-3");
  EXPECT_EQ(Text(ParseDeploymentScope("asg/blue")), "autoScalingGroups/blue");
  EXPECT_EQ(Text(ParseDeploymentScope("lb/shop")), "loadBalancers/shop");
  EXPECT_EQ(Text(ParseDeploymentScope("loadBalancers/shop")), "loadBalancers/shop");
  EXPECT_EQ(Text(ParseDeploymentScope("lb/shop/8080")), "loadBalancers/shop/listeners/8080");
  EXPECT_EQ(Text(ParseDeploymentScope("rule/shop/8080/10")),
            "loadBalancers/shop/listeners/8080/rules/10");
  for (const char* word : {"tg/green", "agg/blue", "lb/", "listener/shop"})
    EXPECT_FALSE(ParseDeploymentScope(word).ok()) << word;
}

TEST(FindDeployment, ADeploymentsNameEndsInANumber) {
  for (const char* word : {"blue-3", "a-b-12"}) EXPECT_TRUE(MayNameDeployment(word)) << word;
  for (const char* word : {"blue", "blue-", "blue-x", "3", ""})
    EXPECT_FALSE(MayNameDeployment(word)) << word;
}

}  // namespace
}  // namespace remuda::cli
