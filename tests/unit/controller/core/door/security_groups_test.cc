// Security groups at the door: what they may say, what may name them, and their end.
#include "controller/core/door/read.h"
#include "tests/unit/controller/core/door/execute_fixture.h"

namespace remuda::core {
namespace {

using absl::StatusCode;

class SecurityGroupsTest : public ExecuteTest {
 protected:
  v1::SecurityGroup Create(const std::string& content) {
    return Do<v1::SecurityGroup>(Request(content));
  }
  absl::Status TryCreate(const std::string& content) { return Try(Request(content)); }
  absl::Status TryDelete(const std::string& id) {
    v1::DeleteSecurityGroupRequest request;
    request.set_name("securityGroups/" + id);
    return Try(request);
  }
  static v1::CreateSecurityGroupRequest Request(const std::string& content) {
    v1::CreateSecurityGroupRequest request;
    *request.mutable_security_group() = Parse<v1::SecurityGroup>(content);
    return request;
  }
  static std::string Balancer(const std::string& more) {
    return R"(load_balancer { name: "lb" listeners { port: 81 default_action { fixed_response { status: 200 } } } )" +
           more + "}";
  }
};

TEST_F(SecurityGroupsTest, IsWrittenWithDefaultsAndInOneSpelling) {
  const v1::SecurityGroup made = Create(
      R"(name: "web" ingress { from_port: 443 cidrs: "2001:DB8::/32" cidrs: "10.0.0.1/32" })");
  EXPECT_EQ(made.name(), "securityGroups/web");
  EXPECT_FALSE(made.etag().empty());
  EXPECT_TRUE(made.has_create_time());
  const v1::IngressRule& rule = made.ingress(0);
  EXPECT_EQ(rule.ip_protocol(), v1::IP_PROTOCOL_TCP);
  EXPECT_EQ(rule.to_port(), 443);
  EXPECT_EQ(rule.cidrs(0), "2001:db8::/32");
  EXPECT_EQ(rule.cidrs(1), "10.0.0.1");
  EXPECT_EQ(LastActivity(), "Created securityGroups/web | a person asked for it");

  v1::GetSecurityGroupRequest get;
  get.set_name("securityGroups/web");
  const auto read = Read({state_, seen_, now_}, get);
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(read->etag(), made.etag());
  v1::ListSecurityGroupsRequest list;
  const auto listed = Read({state_, seen_, now_}, list);
  ASSERT_TRUE(listed.ok()) << listed.status();
  EXPECT_EQ(listed->security_groups_size(), 1);
}

TEST_F(SecurityGroupsTest, NamesFieldValueAndRule) {
  const std::string many = [] {
    std::string out;
    for (int i = 0; i < 61; ++i) out += R"(ingress { cidrs: "10.0.0.1" })";
    return out;
  }();
  struct Case {
    std::string content;
    const char* field;
    const char* fragment;
  };
  const Case cases[] = {
      {R"(ingress { cidrs: "10.0.0.1/8" })", "ingress[0].cidrs[0]",
       "\"10.0.0.1/8\" has bits behind its prefix: 10.0.0.0/8 is meant"},
      {R"(ingress { cidrs: "shop.example" })", "ingress[0].cidrs[0]", "is not an address"},
      {R"(ingress { from_port: 80 to_port: 79 cidrs: "::/0" })", "ingress[0].to_port",
       "79 is below from_port 80"},
      {R"(ingress { to_port: 79 cidrs: "::/0" })", "ingress[0].from_port", "must be given"},
      {R"(ingress { from_port: 65536 cidrs: "::/0" })", "ingress[0].from_port", "65536"},
      {R"(ingress { ip_protocol: 7 cidrs: "::/0" })", "ingress[0].ip_protocol", "7 is not"},
      {R"(ingress { from_port: 80 })", "ingress[0].cidrs", "needs a source"},
      {R"(ingress { security_groups: "none" })", "ingress[0].security_groups[0]",
       "there is no securityGroups/none"},
      {R"(ingress { security_groups: "hosts/a" })", "ingress[0].security_groups[0]",
       "is not a name of securityGroups"},
      {many, "ingress", "61 entries, at most 60"},
      {R"(labels { key: "A" value: "b" })", "labels[A]", "[a-z0-9]"},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.content);
    ExpectError(TryCreate(R"(name: "g" )" + c.content), StatusCode::kInvalidArgument,
                std::string("security_group.") + c.field, c.fragment);
  }
}

TEST_F(SecurityGroupsTest, MayNameItselfAndEachOther) {
  Create(R"(name: "a" ingress { security_groups: "a" })");
  Create(R"(name: "b" ingress { security_groups: "securityGroups/a" })");
  Do<v1::SecurityGroup>(Parse<v1::UpdateSecurityGroupRequest>(
      R"(security_group { name: "a" ingress { security_groups: "b" } })"));
  EXPECT_EQ(Find<v1::SecurityGroup>("a")->ingress(0).security_groups(0), "b");
  EXPECT_EQ(Find<v1::SecurityGroup>("b")->ingress(0).security_groups(0), "a");
}

TEST_F(SecurityGroupsTest, IsNotDeletedWhileItIsNamed) {
  PlayLab();
  for (const char* id : {"of-lb", "of-group", "of-rule", "own"})
    Create(std::string("name: \"") + id + R"(" ingress { cidrs: "10.0.0.0/8" })");
  Do<v1::LoadBalancer>(
      Parse<v1::CreateLoadBalancerRequest>(Balancer(R"(security_groups: "securityGroups/of-lb")")));
  EXPECT_EQ(Find<v1::LoadBalancer>("lb")->security_groups(0), "of-lb");
  Do<v1::AutoScalingGroup>(Parse<v1::UpdateAutoScalingGroupRequest>(
      R"(auto_scaling_group { name: "blue" security_groups: "of-group" } update_mask { paths: "security_groups" })"));
  Create(R"(name: "other" ingress { cidrs: "::/0" } ingress { security_groups: "of-rule" })");
  Do<v1::SecurityGroup>(Parse<v1::UpdateSecurityGroupRequest>(
      R"(security_group { name: "own" ingress { security_groups: "own" } })"));
  ExpectError(TryDelete("of-lb"), StatusCode::kFailedPrecondition, "", "loadBalancers/lb names it");
  ExpectError(TryDelete("of-group"), StatusCode::kFailedPrecondition, "",
              "autoScalingGroups/blue names it");
  ExpectError(TryDelete("of-rule"), StatusCode::kFailedPrecondition, "",
              "ingress[1] of securityGroups/other names it");
  EXPECT_TRUE(TryDelete("own").ok());
  EXPECT_TRUE(TryDelete("other").ok());
  ExpectError(TryDelete("none"), StatusCode::kNotFound, "", "securityGroups/none");
}

TEST_F(SecurityGroupsTest, WhatNamesItIsChecked) {
  PlayLab();
  Create(R"(name: "a" ingress { cidrs: "10.0.0.0/8" })");
  const auto balancer = [&](const std::string& more) {
    return Try(Parse<v1::CreateLoadBalancerRequest>(Balancer(more)));
  };
  ExpectError(balancer(R"(security_groups: "b")"), StatusCode::kInvalidArgument,
              "load_balancer.security_groups[0]", "there is no securityGroups/b");
  ExpectError(balancer(R"(security_groups: "a" security_groups: "securityGroups/a")"),
              StatusCode::kInvalidArgument, "load_balancer.security_groups[1]", "named twice");
  std::string six;
  for (int i = 0; i < 6; ++i) six += R"(security_groups: "a" )";
  ExpectError(balancer(six), StatusCode::kInvalidArgument, "load_balancer.security_groups", "6");
  ExpectError(
      Try(Parse<v1::UpdateAutoScalingGroupRequest>(
          R"(auto_scaling_group { name: "blue" security_groups: "b" } update_mask { paths: "security_groups" })")),
      StatusCode::kInvalidArgument, "auto_scaling_group.security_groups[0]",
      "there is no securityGroups/b");
}

// All that is attached to one thing has an end, whichever of both is written last.
TEST_F(SecurityGroupsTest, CidrsInAllAreBounded) {
  const auto group = [](const std::string& id, int rules) {
    v1::SecurityGroup out;
    out.set_name(id);
    for (int r = 0; r < rules; ++r) {
      auto& rule = *out.add_ingress();
      for (int c = 0; c < 60; ++c)
        rule.add_cidrs("10." + std::to_string(r) + "." + std::to_string(c) + ".0/24");
    }
    return out;
  };
  v1::CreateSecurityGroupRequest request;
  *request.mutable_security_group() = group("a", 40);
  Do<v1::SecurityGroup>(request);
  *request.mutable_security_group() = group("b", 20);
  Do<v1::SecurityGroup>(request);
  ExpectError(Try(Parse<v1::CreateLoadBalancerRequest>(
                  Balancer(R"(security_groups: "a" security_groups: "b")"))),
              StatusCode::kInvalidArgument, "load_balancer.security_groups",
              "3600 CIDRs in all, at most 3000");
  Do<v1::LoadBalancer>(Parse<v1::CreateLoadBalancerRequest>(Balancer(R"(security_groups: "a")")));
  v1::UpdateSecurityGroupRequest update;
  *update.mutable_security_group() = group("a", 51);
  ExpectError(Try(update), StatusCode::kInvalidArgument, "security_group.ingress",
              "loadBalancers/lb would have 3060 CIDRs with all its security groups");
}

TEST_F(SecurityGroupsTest, ComesWithAManifestInAnyOrder) {
  PlayLab();
  constexpr char kManifest[] = R"(
    resources { load_balancer { name: "lb" security_groups: "web"
      listeners { port: 81 default_action { fixed_response { status: 200 } } } } }
    resources { security_group { name: "web" ingress { security_groups: "inner" } } }
    resources { security_group { name: "inner" ingress { security_groups: "web" cidrs: "10.0.0.0/8" } } })";
  const auto first = Do<v1::ApplyResourcesResponse>(Parse<v1::ApplyResourcesRequest>(kManifest));
  for (const auto& result : first.results())
    EXPECT_EQ(result.outcome(), v1::AppliedResource::OUTCOME_CREATED) << result.name();
  const auto again = Do<v1::ApplyResourcesResponse>(Parse<v1::ApplyResourcesRequest>(kManifest));
  for (const auto& result : again.results())
    EXPECT_EQ(result.outcome(), v1::AppliedResource::OUTCOME_UNCHANGED) << result.name();
  ExpectError(
      Try(Parse<v1::ApplyResourcesRequest>(
          R"(resources { security_group { name: "web" ingress { cidrs: "10.0.0.1/8" } } })")),
      StatusCode::kInvalidArgument, "resources[0].security_group.ingress[0].cidrs[0]",
      "10.0.0.0/8 is meant");
}

}  // namespace
}  // namespace remuda::core
