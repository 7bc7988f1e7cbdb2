#include "cli/kinds.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace remuda::cli {
namespace {

using ::testing::HasSubstr;

TEST(Kinds, HaveManyNames) {
  struct Case {
    const char* word;
    KindId kind;
  };
  for (const Case& c :
       std::initializer_list<Case>{{"asg", KindId::kAutoScalingGroup},
                                   {"ASG", KindId::kAutoScalingGroup},
                                   {"auto-scaling-groups", KindId::kAutoScalingGroup},
                                   {"AutoScalingGroup", KindId::kAutoScalingGroup},
                                   {"tg", KindId::kTargetGroup},
                                   {"targetgroups", KindId::kTargetGroup},
                                   {"lb", KindId::kLoadBalancer},
                                   {"lt", KindId::kLaunchTemplate},
                                   {"versions", KindId::kLaunchTemplateVersion},
                                   {"controllers", KindId::kController},
                                   {"host", KindId::kHost},
                                   {"hosts", KindId::kHost},
                                   {"proxy", KindId::kProxy},
                                   {"proxies", KindId::kProxy},
                                   {"instances", KindId::kInstance},
                                   {"images", KindId::kImage},
                                   {"deployment", KindId::kDeployment},
                                   {"activities", KindId::kActivity},
                                   {"targets", KindId::kTarget}}) {
    const auto kind = ParseKind(c.word);
    ASSERT_TRUE(kind.ok()) << c.word;
    EXPECT_EQ((*kind)->id, c.kind) << c.word;
  }
  EXPECT_THAT(ParseKind("targetgruop").status().message(), HasSubstr("did you mean TargetGroup?"));
  EXPECT_THAT(ParseKind("users").status().message(), HasSubstr("`remuda user list`"));
}

TEST(Kinds, RefsAreKindSlashNameOrTwoWords) {
  EXPECT_EQ(ParseRef("asg/blue")->id, "blue");
  EXPECT_EQ(ParseRef("autoScalingGroups/blue")->id, "blue");
  EXPECT_EQ(ParseRef("asg", "blue")->id, "blue");
  EXPECT_EQ(ParseRef("asg", "autoScalingGroups/blue")->id, "blue");
  EXPECT_EQ(ParseRef("asg")->id, "");
  EXPECT_FALSE(ParseRef("asg/blue", "green").ok());
  EXPECT_FALSE(ParseRef("asg/").ok());
  EXPECT_FALSE(ParseRef("frog/blue").ok());
  EXPECT_FALSE(ParseRef("asg", "tg/blue").ok());
}

TEST(Kinds, TemplateVersions) {
  EXPECT_EQ(ParseTemplateRef("shop:2")->version, "2");
  EXPECT_EQ(ParseTemplateRef("shop:latest")->version, "$Latest");
  EXPECT_EQ(ParseTemplateRef("shop:$Default")->version, "$Default");
  EXPECT_EQ(ParseTemplateRef("launchTemplates/shop/versions/2")->version, "2");
  EXPECT_EQ(ParseTemplateRef("lt/shop:2")->id, "shop");
  EXPECT_EQ(ParseTemplateRef("shop")->version, "");
  EXPECT_EQ(ParseRef("lt/shop")->kind->id, KindId::kLaunchTemplate);
  for (const char* word : {"lt/shop:2", "version/shop:2", "launchTemplates/shop/versions/2"}) {
    EXPECT_EQ(ParseRef(word)->kind->id, KindId::kLaunchTemplateVersion) << word;
    EXPECT_EQ(ParseRef(word)->id, "shop:2") << word;
  }
  EXPECT_EQ(ParseRef("versions", "lt/shop:2")->id, "shop:2");
  EXPECT_EQ(FullName(KindId::kLaunchTemplateVersion, "shop:2"), "launchTemplates/shop/versions/2");
  EXPECT_EQ(ShortId("launchTemplates/shop/versions/2"), "shop:2");
  for (const char* wrong : {"shop:", "shop:0", "shop:-1", "shop:x", ":2", "asg/shop:2", ""}) {
    EXPECT_FALSE(ParseTemplateRef(wrong).ok()) << wrong;
  }
}

TEST(Kinds, ShortIds) {
  EXPECT_EQ(ShortId("targetGroups/blue/targets/i-1"), "i-1");
  EXPECT_EQ(ShortId("blue"), "blue");
  EXPECT_EQ(FullName(KindId::kProxy, "p1"), "proxies/p1");
}

}  // namespace
}  // namespace remuda::cli
