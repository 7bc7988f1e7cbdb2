#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cli/kind_columns.h"
#include "cli/table_layout.h"

namespace remuda::cli {
namespace {

using ::testing::HasSubstr;

google::protobuf::Timestamp At(int64_t seconds) {
  google::protobuf::Timestamp out;
  out.set_seconds(seconds);
  return out;
}

TEST(Table, AlignsColumnsByCodePointsAndDefusesControlCharacters) {
  EXPECT_EQ(RenderTable({{"A", "BB"}, {{"long", "x"}, {"\xC3\xA9", "\x1b[2J"}}}),
            "A     BB\nlong  x\n\xC3\xA9     ?[2J\n");
  EXPECT_EQ(RenderTable({{"A"}, {}}), "A\n");
}

TEST(Table, ColoursSayWhatIsGoodAndWhatIsNot) {
  const Table table = {{"NAME", "STATE"},
                       {{"a", "IN_SERVICE"},
                        {"b", "LOST"},
                        {"c", "PENDING"},
                        {"d", "IN_SERVICE (unhealthy)"},
                        {"e", "-"}}};
  EXPECT_EQ(RenderTable(table, {.with_headers = false, .with_colours = true}),
            "a     \x1b[32mIN_SERVICE\x1b[0m\nb     \x1b[31mLOST\x1b[0m\n"
            "c     \x1b[33mPENDING\x1b[0m\nd     \x1b[31mIN_SERVICE (unhealthy)\x1b[0m\ne     -\n");
  EXPECT_THAT(RenderTable(table, {.with_colours = true}),
              ::testing::StartsWith("\x1b[1mNAME\x1b[0m  \x1b[1mSTATE\x1b[0m\n"));
}

TEST(Table, EveryKindFillsEveryColumn) {
  const auto check = [](KindId kind, auto message) {
    const ResourceList list = {std::make_shared<decltype(message)>(message)};
    for (const bool is_wide : {false, true}) {
      const Table table = TableOf(kind, list, At(100), is_wide);
      ASSERT_EQ(table.rows.size(), 1u);
      EXPECT_EQ(table.rows[0].size(), table.headers.size()) << KindOf(kind).name;
      for (const auto& cell : table.rows[0]) {
        EXPECT_THAT(cell, ::testing::Not(HasSubstr("UNSPECIFIED"))) << KindOf(kind).name;
      }
    }
  };
  check(KindId::kActivity, v1::Activity());
  check(KindId::kAutoScalingGroup, v1::AutoScalingGroup());
  check(KindId::kController, v1::Controller());
  check(KindId::kDeployment, v1::Deployment());
  check(KindId::kHost, v1::Host());
  check(KindId::kImage, v1::Image());
  check(KindId::kInstance, v1::Instance());
  check(KindId::kLaunchTemplate, v1::LaunchTemplate());
  check(KindId::kLaunchTemplateVersion, v1::LaunchTemplateVersion());
  check(KindId::kLoadBalancer, v1::LoadBalancer());
  check(KindId::kProxy, v1::Proxy());
  check(KindId::kTarget, v1::Target());
  check(KindId::kTargetGroup, v1::TargetGroup());
}

TEST(Table, ControllersSayWhoLeadsAndHowFarTheOthersAre) {
  v1::Controller leader;
  leader.set_name("controllers/c1");
  leader.set_state(v1::CONTROLLER_STATE_LEADER);
  leader.set_address("10.0.0.1:7400");
  leader.set_epoch(41);
  leader.mutable_lead_time()->set_seconds(60);
  leader.set_commit(1000);
  leader.set_version("1.2");
  v1::Controller standby;
  standby.set_name("controllers/c2");
  standby.set_state(v1::CONTROLLER_STATE_STANDBY);
  standby.set_address("10.0.0.2:7400");
  standby.set_commit(998);
  standby.set_lag_commits(2);
  standby.set_version("1.2");
  standby.set_error("etcd does not answer");
  const Table table =
      TableOf(KindId::kController,
              {std::make_shared<v1::Controller>(leader), std::make_shared<v1::Controller>(standby)},
              At(100));
  EXPECT_THAT(table.headers,
              ::testing::ElementsAre("NAME", "STATE", "ADDRESS", "EPOCH", "LEADS-SINCE", "COMMIT",
                                     "LAG", "VERSION", "ERROR"));
  EXPECT_THAT(table.rows[0],
              ::testing::ElementsAre("c1", "LEADER", "10.0.0.1:7400", "41",
                                     FormatDate(leader.lead_time()), "1000", "0", "1.2", "-"));
  EXPECT_THAT(table.rows[1], ::testing::ElementsAre("c2", "STANDBY", "10.0.0.2:7400", "-",
                                                    FormatDate(standby.lead_time()), "998", "2",
                                                    "1.2", "etcd does not answer"));
}

TEST(Table, AnActivitySaysTheErrorAndNotItsStack) {
  const struct {
    const char *log_tail, *why;
  } cases[] = {
      {"", "it died"},
      {"starting\nFATAL: no database\n", "it died; it printed last: starting | FATAL: no database"},
      {"1\n2\n3\n4\n5\n", "it died; it printed last: 2 | 3 | 4 | 5"},
      {"Error: listen EADDRINUSE: :::8080\n    at a\n    at b {\n  code: 'X'\n}\nNode.js v18\n",
       "it died; it printed last: Error: listen EADDRINUSE: :::8080 | Node.js v18"},
      {"  only\n  indented\n", "it died; it printed last:   only |   indented"},
  };
  for (const auto& c : cases) {
    v1::Activity activity;
    activity.set_cause("it died");
    activity.set_log_tail(c.log_tail);
    const Table table =
        TableOf(KindId::kActivity, {std::make_shared<v1::Activity>(activity)}, At(0));
    EXPECT_EQ(table.rows[0].back(), c.why);
  }
}

TEST(Table, AProxysRejectionIsShown) {
  v1::Proxy proxy;
  proxy.set_name("proxies/p1");
  proxy.mutable_config()->mutable_rejected()->set_epoch(1);
  proxy.mutable_config()->mutable_rejected()->set_sequence(7);
  proxy.mutable_config()->set_rejected_resource("loadBalancers/shop");
  proxy.mutable_config()->set_rejected_reason("port 80 is taken");
  const Table table = TableOf(KindId::kProxy, {std::make_shared<v1::Proxy>(proxy)}, At(0));
  EXPECT_EQ(table.rows[0].back(), "rejected 1.7: loadBalancers/shop: port 80 is taken");
}

TEST(Table, ListenersSayWhereTheyLead) {
  v1::LoadBalancer balancer;
  auto* listener = balancer.add_listeners();
  listener->set_port(80);
  auto* forward = listener->mutable_default_action()->mutable_forward();
  forward->add_target_groups()->set_target_group("blue");
  auto* green = forward->add_target_groups();
  green->set_target_group("green");
  green->set_weight(0);
  listener->add_rules();
  const Table table =
      TableOf(KindId::kLoadBalancer, {std::make_shared<v1::LoadBalancer>(balancer)}, At(0));
  EXPECT_EQ(table.rows[0][1], "80 -> blue*1+green*0 (+1 rule)");
  listener->set_address("::1");
  EXPECT_THAT(TableOf(KindId::kLoadBalancer, {std::make_shared<v1::LoadBalancer>(balancer)}, At(0))
                  .rows[0][1],
              ::testing::StartsWith("[::1]:80 -> "));
}

TEST(Table, WhatAGroupRunsIsShownBesideWhatItIsToRun) {
  v1::AutoScalingGroup group;
  group.mutable_launch_template()->set_launch_template("launchTemplates/shop");
  group.mutable_launch_template()->set_version("$Latest");
  group.mutable_launch_template()->set_resolved_version(2);
  for (const int version : {1, 2}) {
    auto* running = group.mutable_status()->add_running_versions();
    running->mutable_launch_template()->set_launch_template("shop");
    running->mutable_launch_template()->set_resolved_version(version);
    running->set_instances(3 - version);
  }
  group.mutable_status()->set_waiting("for a host");
  group.mutable_status()->add_warnings("two versions run");
  const Table table =
      TableOf(KindId::kAutoScalingGroup, {std::make_shared<v1::AutoScalingGroup>(group)}, At(0));
  EXPECT_EQ(table.rows[0][1], "shop:2 ($Latest)");
  EXPECT_EQ(table.rows[0][2], "shop:1 (2), shop:2 (1)");
  EXPECT_EQ(table.rows[0].back(), "for a host; two versions run");
}

TEST(Table, AListenerThatDoesNotListenIsShown) {
  v1::LoadBalancer balancer;
  auto* error = balancer.add_listener_errors();
  error->set_proxy("p1");
  error->set_port(80);
  error->set_error("Address already in use");
  const Table table =
      TableOf(KindId::kLoadBalancer, {std::make_shared<v1::LoadBalancer>(balancer)}, At(0));
  EXPECT_EQ(table.rows[0].back(), "p1 does not listen on 80: Address already in use");
}

TEST(Table, AHostsTroublesAreShown) {
  v1::Host host;
  host.set_launch_failures(1);
  host.mutable_avoided_until()->set_seconds(9);
  host.set_last_launch_failure("i-1: no space left on device");
  host.set_refused_agent("another machine asks to join");
  const Table table = TableOf(KindId::kHost, {std::make_shared<v1::Host>(host)}, At(0));
  EXPECT_EQ(table.rows[0].back(), "another machine asks to join; 1 launch failed, avoided until " +
                                      FormatDate(host.avoided_until()) +
                                      ": i-1: no space left on device");
}

TEST(Table, AProxysTroublesAreShown) {
  v1::Proxy proxy;
  proxy.set_refused_proxy("a second proxy asks to join");
  const Table table = TableOf(KindId::kProxy, {std::make_shared<v1::Proxy>(proxy)}, At(0));
  EXPECT_EQ(table.rows[0].back(), "a second proxy asks to join");
}

TEST(Table, AgesAndSizes) {
  EXPECT_EQ(FormatAge(At(0), At(100)), "-");
  EXPECT_EQ(FormatAge(At(100), At(100)), "0s");
  EXPECT_EQ(FormatAge(At(200), At(100)), "0s");
  EXPECT_EQ(FormatAge(At(1), At(120)), "119s");
  EXPECT_EQ(FormatAge(At(1), At(121)), "2m");
  EXPECT_EQ(FormatAge(At(1), At(1 + 3 * 3600 + 61)), "3h1m");
  EXPECT_EQ(FormatAge(At(1), At(1 + 47 * 3600)), "47h");
  EXPECT_EQ(FormatAge(At(1), At(1 + 48 * 3600)), "2d");
  EXPECT_THAT(FormatDate(At(1'764'000'000)), ::testing::MatchesRegex("2025-11-2. ..:..:.."));
  EXPECT_EQ(FormatDate(At(0)), "-");
  EXPECT_EQ(FormatBytes(1023), "1023 B");
  EXPECT_EQ(FormatBytes(1536), "1.5 KiB");
  EXPECT_EQ(FormatBytes(int64_t{200} << 20), "200 MiB");
}

}  // namespace
}  // namespace remuda::cli
