// Compiling updates: what is shared, what changed, what is refused and with which words.
#include "proxy/core/routing_table.h"

#include <gtest/gtest.h>

#include "remuda/proxy/v1/proxy.pb.h"
#include "tests/unit/proxy/core/tables.h"

namespace remuda::proxy {
namespace {

using testing::Compile;
using testing::Config;
using testing::TryCompile;

v1::ConfigUpdate Delta() {
  v1::ConfigUpdate update;
  update.mutable_base()->set_epoch(1);
  return update;
}

std::shared_ptr<const RoutingTable> Apply(const v1::ConfigUpdate& update,
                                          std::shared_ptr<const RoutingTable> previous) {
  CompileResult result = TryCompile(update, std::move(previous));
  const auto* error = std::get_if<ConfigError>(&result);
  EXPECT_EQ(error, nullptr) << error->resource << ": " << error->reason;
  return std::get<std::shared_ptr<const RoutingTable>>(result);
}

TEST(RoutingTable, ChangeOfOneTargetSharesTheRest) {
  v1::ProxyConfig config = Config({"a:1", "b:1"});
  config.add_target_groups()->set_name("targetGroups/green");
  const auto first = Compile(config);
  v1::ConfigUpdate update = Delta();
  *update.mutable_upserts()->add_targets() = config.targets(1);
  update.mutable_upserts()->mutable_targets(0)->set_state(v1::Target::STATE_DRAINING);
  const auto second = Apply(update, first);
  EXPECT_EQ(second->groups.at("green"), first->groups.at("green"));
  EXPECT_EQ(second->load_balancers.at("shop"), first->load_balancers.at("shop"));
  ASSERT_EQ(second->changed_groups.size(), 1U);
  const TargetGroup& blue = *second->changed_groups[0];
  EXPECT_EQ(blue.state, first->groups.at("blue")->state);
  EXPECT_EQ(blue.Find("a")->target, first->groups.at("blue")->Find("a")->target);
  EXPECT_EQ(blue.Find("b")->target, first->groups.at("blue")->Find("b")->target);
  ASSERT_EQ(second->leaving.size(), 1U);
  EXPECT_EQ(second->leaving[0].target->id(), "b");
  // Nothing is in force before Publish.
  EXPECT_EQ(second->leaving[0].target->admin(), AdminState::kActive);
  Publish(*second);
  EXPECT_EQ(second->leaving[0].target->admin(), AdminState::kDraining);
}

// An address may be spelled in several ways; there is one target behind it.
TEST(RoutingTable, TwoSpellingsOfAnAddressAreOneTarget) {
  v1::ProxyConfig config = Config({});
  for (const char* address :
       {"2001:db8::1", "2001:0DB8:0::1", "2001:db8::1", "::ffff:10.0.0.1", "10.0.0.1"}) {
    auto* target = config.add_targets();
    target->set_target_group("blue");
    target->set_address(address);
    target->set_port(80);
  }
  const auto table = Compile(config);
  const TargetGroup& blue = *table->groups.at("blue");
  ASSERT_EQ(blue.members.size(), 2U);
  EXPECT_NE(blue.Find("10.0.0.1:80"), nullptr);
  ASSERT_NE(blue.Find("[2001:db8::1]:80"), nullptr);
  EXPECT_EQ(blue.Find("[2001:db8::1]:80")->target->address(), "2001:db8::1");
  // But not with two weights.
  config.mutable_targets(1)->set_weight(7);
  v1::ConfigUpdate update;
  *update.mutable_upserts() = config;
  const CompileResult result = TryCompile(update, nullptr);
  const auto* error = std::get_if<ConfigError>(&result);
  ASSERT_NE(error, nullptr);
  EXPECT_EQ(error->resource, "targetGroups/blue/targets/[2001:db8::1]:80");
  EXPECT_EQ(error->reason, "id: there are two of it");
}

TEST(RoutingTable, RemovedAndMovedTargetsLeave) {
  const auto first = Compile(Config({"a:1", "b:1", "c:1"}));
  v1::ConfigUpdate update = Delta();
  update.add_removed_targets("blue/a");
  auto* moved = update.mutable_upserts()->add_targets();
  moved->set_target_group("targetGroups/blue");
  moved->set_id("b");
  moved->set_address("127.0.0.9");
  moved->set_port(80);
  const auto second = Apply(update, first);
  EXPECT_EQ(second->groups.at("blue")->Find("a"), nullptr);
  EXPECT_NE(second->groups.at("blue")->Find("b")->target,
            first->groups.at("blue")->Find("b")->target);
  EXPECT_EQ(second->leaving.size(), 2U);
  Publish(*second);
  EXPECT_EQ(first->groups.at("blue")->Find("a")->target->admin(), AdminState::kRemoved);
  EXPECT_EQ(first->groups.at("blue")->Find("b")->target->admin(), AdminState::kRemoved);
  EXPECT_EQ(second->groups.at("blue")->Find("b")->target->admin(), AdminState::kActive);
}

TEST(RoutingTable, WholeUpdateKeepsTheStateOfWhatStays) {
  const auto first = Compile(Config({"a:1", "b:1"}));
  const auto second = Compile(Config({"a:1"}), first);
  EXPECT_EQ(second->groups.at("blue")->Find("a")->target,
            first->groups.at("blue")->Find("a")->target);
  ASSERT_EQ(second->leaving.size(), 1U);
  EXPECT_EQ(second->leaving[0].target->id(), "b");
}

TEST(RoutingTable, KeepsTheNameOfItsContentIfItKeepsTheContent) {
  const auto compile = [](const v1::ConfigUpdate& update, const auto& previous) {
    return Apply(update, previous)->digest;
  };
  const auto empty = std::make_shared<const RoutingTable>();
  v1::ConfigUpdate whole;
  *whole.mutable_upserts() = Config({"a:1"});
  whole.set_digest("one");
  const auto first = Apply(whole, empty);
  EXPECT_EQ(first->digest, "one");
  v1::ConfigUpdate delta = Delta();
  delta.set_digest("two");
  EXPECT_EQ(compile(delta, first), "two");
  EXPECT_EQ(compile(delta, empty), "") << "it builds on what has no name";
  // A kind of resources of a later version.
  v1::ProxyConfig& config = *whole.mutable_upserts();
  config.GetReflection()->MutableUnknownFields(&config)->AddLengthDelimited(4711, "new");
  EXPECT_EQ(compile(whole, empty), "");
  v1::ConfigUpdate removes = delta;
  removes.GetReflection()->MutableUnknownFields(&removes)->AddLengthDelimited(4711, "new");
  EXPECT_EQ(compile(removes, first), "");
}

TEST(RoutingTable, ChecksTakeNoLongerThanTheirIntervalUnlessTold) {
  for (const auto& [interval, timeout, want] :
       {std::tuple{200, 0, 200}, std::tuple{200, 1000, 1000}, std::tuple{30'000, 0, 5000}}) {
    v1::ProxyConfig config = Config({"a:1"});
    auto& check = *config.mutable_target_groups(0)->mutable_health_check();
    check.mutable_interval()->set_seconds(interval / 1000);
    check.mutable_interval()->set_nanos(interval % 1000 * 1'000'000);
    if (timeout > 0) check.mutable_timeout()->set_seconds(timeout / 1000);
    EXPECT_EQ(Compile(config)->groups.at("blue")->health_check.timeout.count(), want);
  }
}

TEST(RoutingTable, AddressesEndWhereTheyEnd) {
  EXPECT_TRUE(ParseIp("10.0.0.1"));
  EXPECT_FALSE(ParseIp(std::string("10.0.0.1\0\r\nX: 1", 15)));
}

TEST(RoutingTable, RemovedGroupTakesItsTargetsWithIt) {
  const auto first = Compile(Config({"a:1"}));
  v1::ConfigUpdate update = Delta();
  update.add_removed_load_balancers("loadBalancers/shop");
  update.add_removed_target_groups("blue");
  update.add_removed_targets("blue/a");
  const auto second = Apply(update, first);
  EXPECT_TRUE(second->groups.empty());
  ASSERT_EQ(second->removed_groups.size(), 1U);
  EXPECT_EQ(second->leaving.size(), 1U);
}

TEST(RoutingTable, SplitGivesSubsetsTheirWeights) {
  v1::ProxyConfig config = Config({"a:1", "b:1", "c:1"});
  config.mutable_targets(0)->set_subset("v1");
  config.mutable_targets(1)->set_subset("v2");
  const auto weight = [](const RoutingTable& table, const std::string& id) {
    const TargetGroup& group = *table.groups.at("blue");
    return group.subsets[group.Find(id)->subset].weight;
  };
  const auto without = Compile(config);
  for (const char* id : {"a", "b", "c"}) EXPECT_EQ(weight(*without, id), 1);
  testing::AddSplit(config, {{"v1", 90}, {"v2", 10}});
  const auto with = Compile(config);
  EXPECT_EQ(weight(*with, "a"), 90);
  EXPECT_EQ(weight(*with, "b"), 10);
  EXPECT_EQ(weight(*with, "c"), 0);  // not named: no traffic
  v1::ConfigUpdate update = Delta();
  update.add_removed_traffic_splits("blue");
  EXPECT_EQ(weight(*Apply(update, with), "c"), 1);
}

TEST(RoutingTable, ListenersOfOnePortOnAddressesOfTheirOwn) {
  struct Pair {
    const char* first;
    const char* second;
    bool is_refused;
  };
  for (const Pair& pair : {Pair{"10.0.0.1", "10.0.0.2", false}, Pair{"10.0.0.1", "::1", false},
                           Pair{"10.0.0.1", "10.0.0.1", true}, Pair{"10.0.0.1", "0.0.0.0", true},
                           Pair{"", "10.0.0.1", true}}) {
    SCOPED_TRACE(std::string(pair.first) + " and " + pair.second);
    v1::ConfigUpdate update;
    for (const char* address : {pair.first, pair.second}) {
      auto* balancer = update.mutable_upserts()->add_load_balancers();
      balancer->set_name(address == pair.first ? "one" : "two");
      auto* listener = balancer->add_listeners();
      listener->set_port(80);
      listener->set_address(address);
      listener->mutable_default_action()->mutable_fixed_response()->set_status(200);
    }
    const CompileResult result = testing::TryCompile(update);
    const auto* error = std::get_if<ConfigError>(&result);
    EXPECT_EQ(error != nullptr, pair.is_refused) << (error == nullptr ? "" : error->reason);
  }
}

TEST(RoutingTable, ConfigComesBack) {
  v1::ProxyConfig config =
      Config({"a:1", "b:0"},
             "[{priority: 1, conditions: [{path_pattern: {values: [\"/x\"]}}], "
             "action: {redirect: {path: /y}}}]");
  testing::AddSplit(config, {{"", 5}});
  EXPECT_EQ(MessageToJson(ConfigOf(*Compile(config))), MessageToJson(config));
}

struct Refusal {
  const char* name;
  const char* yaml;  // of a ConfigUpdate whose base is Config({"a:1"})
  const char* resource;
  const char* reason;
};

class RefusalTest : public ::testing::TestWithParam<Refusal> {};

TEST_P(RefusalTest, NamesResourceValueAndRule) {
  const auto first = Compile(Config({"a:1"}));
  v1::ConfigUpdate update;
  const absl::Status status = ParseMessageYaml(GetParam().yaml, "test", &update);
  ASSERT_TRUE(status.ok()) << status;
  update.mutable_base()->set_epoch(1);
  const CompileResult result = TryCompile(update, first);
  const auto* error = std::get_if<ConfigError>(&result);
  ASSERT_NE(error, nullptr);
  EXPECT_EQ(error->resource, GetParam().resource);
  EXPECT_NE(error->reason.find(GetParam().reason), std::string::npos) << error->reason;
  EXPECT_EQ(first->groups.at("blue")->state->version(), 1U);  // untouched
}

INSTANTIATE_TEST_SUITE_P(
    Updates, RefusalTest,
    ::testing::Values(
        Refusal{"GroupName", "upserts: {target_groups: [{name: Blue}]}", "Blue",
                "name: 'Blue' is not an id"},
        Refusal{"GroupTwice", "upserts: {target_groups: [{name: x}, {name: targetGroups/x}]}",
                "targetGroups/x", "two of it"},
        Refusal{"GroupInUse", "removed_target_groups: [blue]", "loadBalancers/shop",
                "there is no target group 'blue'"},
        Refusal{"Protocol", "upserts: {target_groups: [{name: x, protocol: TLS}]}",
                "targetGroups/x", "protocol: TLS is not served here"},
        Refusal{"TlsOfPlainGroup",
                "upserts: {target_groups: [{name: x, target_tls: {server_name: a}}]}",
                "targetGroups/x", "target_tls: is only for HTTPS and TLS groups"},
        Refusal{"CertificateName", "upserts: {certificates: [{name: Web}]}", "Web",
                "name: 'Web' is not an id"},
        Refusal{"CertificateTwice", "upserts: {certificates: [{name: x}, {name: certificates/x}]}",
                "certificates/x", "two of it"},
        Refusal{"CertificateFile",
                "upserts: {certificates: [{name: x, certificate_file: /etc/x.pem}]}",
                "certificates/x", "certificate_file: is only for a proxy's config file"},
        Refusal{"Interval", "upserts: {target_groups: [{name: x, health_check: {interval: 50ms}}]}",
                "targetGroups/x",
                "health_check.interval: 0.50000000s is not within 100ms-300000ms"},
        Refusal{"CheckPath", "upserts: {target_groups: [{name: x, health_check: {path: health}}]}",
                "targetGroups/x", "health_check.path: 'health'"},
        Refusal{"Matcher",
                "upserts: {target_groups: [{name: x, health_check: {matcher: 200-600}}]}",
                "targetGroups/x", "health_check.matcher: '200-600'"},
        Refusal{"Threshold",
                "upserts: {target_groups: [{name: x, health_check: {healthy_threshold: 11}}]}",
                "targetGroups/x", "11 is not within 1-10"},
        Refusal{"TargetsGroup",
                "upserts: {targets: [{target_group: no, address: 1.2.3.4, port: 1}]}",
                "targetGroups/no/targets/1.2.3.4:1", "there is no target group 'no'"},
        Refusal{"Address",
                "upserts: {targets: [{target_group: blue, id: i, address: localhost, port: 1}]}",
                "targetGroups/blue/targets/i", "address: 'localhost'"},
        Refusal{"Port", "upserts: {targets: [{target_group: blue, id: i, address: 1.2.3.4}]}",
                "targetGroups/blue/targets/i", "port: 0 is not within 1-65535"},
        Refusal{"Weight",
                "upserts: {targets: [{target_group: blue, id: i, address: 1.2.3.4, port: 1, "
                "weight: 1000}]}",
                "targetGroups/blue/targets/i", "weight: 1000 is not within 0-999"},
        Refusal{"SplitsGroup", "upserts: {traffic_splits: [{target_group: no}]}",
                "trafficSplits/no", "there is no target group"},
        Refusal{"SplitWeight",
                "upserts: {traffic_splits: [{target_group: blue, subsets: [{subset: a, weight: "
                "10001}]}]}",
                "trafficSplits/blue", "10001 is not within 0-10000"},
        Refusal{"NoListener", "upserts: {load_balancers: [{name: x}]}", "loadBalancers/x",
                "listeners: 0 is not within 1-50"},
        Refusal{"NoAction", "upserts: {load_balancers: [{name: x, listeners: [{port: 81}]}]}",
                "loadBalancers/x", "listener 81: default_action: one of"},
        Refusal{"PortZero", "upserts: {load_balancers: [{name: x, listeners: [{port: 0}]}]}",
                "loadBalancers/x", "0 is not within 1-65535"},
        Refusal{"PortTaken",
                "upserts: {load_balancers: [{name: x, listeners: [{port: 8080, default_action: "
                "{fixed_response: {status: "
                "200}}}]}]}",
                "loadBalancers/x", "listener 8080: port: it belongs to loadBalancers/shop"},
        Refusal{"AddressTaken",
                "upserts: {load_balancers: [{name: x, listeners: [{port: 8080, address: "
                "\"10.0.0.1\", default_action: {fixed_response: {status: 200}}}]}]}",
                "loadBalancers/x", "listener 8080: port: it belongs to loadBalancers/shop"},
        Refusal{"NoSuchGroup",
                "upserts: {load_balancers: [{name: x, listeners: [{port: 81, default_action: "
                "{forward: {target_groups: "
                "[{target_group: no}]}}}]}]}",
                "loadBalancers/x", "there is no target group 'no'"},
        Refusal{"FixedStatus",
                "upserts: {load_balancers: [{name: x, listeners: [{port: 81, default_action: "
                "{fixed_response: {status: "
                "302}}}]}]}",
                "loadBalancers/x", "302 is not within 200-299 or 400-599"},
        Refusal{"PriorityTwice",
                "upserts: {load_balancers: [{name: x, listeners: [{port: 81, rules: [{priority: 1, "
                "conditions: "
                "[{path_pattern: {values: [/a]}}], action: {fixed_response: {status: 200}}}, "
                "{priority: 1}], "
                "default_action: "
                "{fixed_response: {status: 200}}}]}]}",
                "loadBalancers/x", "rule 1: the priority is used twice"},
        Refusal{"NoKind",
                "upserts: {load_balancers: [{name: x, listeners: [{port: 81, rules: [{priority: 1, "
                "conditions: [{}]}]}]}]}",
                "loadBalancers/x", "one of host_header, path_pattern"},
        Refusal{"Cidr",
                "upserts: {load_balancers: [{name: x, listeners: [{port: 81, rules: [{priority: 1, "
                "conditions: "
                "[{source_ip: {values: [10.0.0.0/33]}}]}]}]}]}",
                "loadBalancers/x", "source_ip.values: '10.0.0.0/33'"}),
    [](const auto& param) { return param.param.name; });

}  // namespace
}  // namespace remuda::proxy
