// What a source's word makes of a group's targets, beside those that somebody registered.
#include "controller/core/door/follow_targets.h"

#include "controller/core/door/read.h"
#include "controller/core/model/limits.h"
#include "controller/core/views/target_group_view.h"
#include "tests/unit/controller/core/door/execute_fixture.h"

namespace remuda::core {
namespace {

using absl::StatusCode;

constexpr char kWeb[] = "kubernetes/shop/web/http";

class FollowTargetsTest : public ExecuteTest {
 protected:
  void SetUp() override { Create("namespace: 'shop' service: 'web' port: 'http'"); }

  void Create(const std::string& kubernetes) {
    Do<v1::TargetGroup>(Parse<v1::CreateTargetGroupRequest>(
        "target_group_id: 'web' target_group { targets { kubernetes { " + kubernetes + " } } }"));
  }
  FollowedTargets Follow(const std::vector<std::string>& addresses,
                         const std::string& source = kWeb) {
    FollowTargets wish{.target_group = "web", .source = source, .endpoints = {}};
    for (const std::string& address : addresses)
      wish.endpoints.push_back({.address = address, .port = 80, .zone = "a"});
    return Told(wish);
  }
  FollowedTargets Told(const FollowTargets& wish) {
    Draft draft(state_);
    const auto became = Execute(draft, wish, Now());
    EXPECT_TRUE(became.ok()) << became.status();
    Commit(draft);
    return became.ok() ? *became : FollowedTargets();
  }
  // "10.0.0.1 10.0.0.2(draining) 10.0.0.3(by hand)"
  std::string Targets() const {
    std::string out;
    for (const auto& [key, row] : state_.All<v1::Target>()) {
      out += (out.empty() ? "" : " ") + row->address() +
             (row->has_drain_start_time() ? "(draining)" : "") +
             (IsFollowed(*row) ? "" : "(by hand)");
    }
    return out;
  }
  void ByHand(const std::string& verb, const std::string& address) {
    const std::string text = "target_group: 'web' targets { address: '" + address + "' port: 80 }";
    if (verb == "register")
      Do<v1::RegisterTargetsResponse>(Parse<v1::RegisterTargetsRequest>(text));
    else
      Do<v1::DeregisterTargetsResponse>(Parse<v1::DeregisterTargetsRequest>(text));
  }
};

TEST_F(FollowTargetsTest, ComeDrainAndComeBack) {
  Follow({"10.0.0.1", "10.0.0.2"});
  EXPECT_EQ(Targets(), "10.0.0.1 10.0.0.2");
  EXPECT_EQ(LastActivity(),
            "Registered 2 targets, the first: targetGroups/web/targets/10.0.0.1:80 | so its source "
            "says: " +
                std::string(kWeb));
  EXPECT_EQ(Find<v1::Target>("web/targets/10.0.0.1:80")->zone(), "a");
  Follow({"10.0.0.2", "10.0.0.3"});
  EXPECT_EQ(Targets(), "10.0.0.1(draining) 10.0.0.2 10.0.0.3");
  Follow({"10.0.0.1"});
  EXPECT_EQ(Targets(), "10.0.0.1 10.0.0.2(draining) 10.0.0.3(draining)");
  Follow({});
  EXPECT_EQ(Targets(), "10.0.0.1(draining) 10.0.0.2(draining) 10.0.0.3(draining)");
}

TEST_F(FollowTargetsTest, WhatIsThereAlreadyIsNoEdit) {
  Follow({"10.0.0.1"});
  const int64_t commit = state_.commit();
  EXPECT_TRUE(Follow({"10.0.0.1"}).is_complete);
  EXPECT_EQ(state_.commit(), commit);
}

TEST_F(FollowTargetsTest, SomebodysTargetsAreLeftAlone) {
  ByHand("register", "10.0.0.1");
  ByHand("register", "10.0.0.9");
  Follow({"10.0.0.1", "10.0.0.2"});
  EXPECT_EQ(Targets(), "10.0.0.1(by hand) 10.0.0.2 10.0.0.9(by hand)");
  Follow({});
  EXPECT_EQ(Targets(), "10.0.0.1(by hand) 10.0.0.2(draining) 10.0.0.9(by hand)");
  // Deregistered, but the source says that it takes requests.
  ByHand("deregister", "10.0.0.1");
  Follow({"10.0.0.1"});
  EXPECT_EQ(Targets(), "10.0.0.1 10.0.0.2(draining) 10.0.0.9(by hand)");
  // Somebody makes it his own.
  ByHand("register", "10.0.0.1");
  EXPECT_EQ(Targets(), "10.0.0.1(by hand) 10.0.0.2(draining) 10.0.0.9(by hand)");
}

TEST_F(FollowTargetsTest, AnEndpointIsNotDeregisteredByHand) {
  Follow({"10.0.0.1"});
  ExpectError(Try(Parse<v1::DeregisterTargetsRequest>(
                  "target_group: 'web' targets { address: '10.0.0.1' port: 80 }")),
              StatusCode::kInvalidArgument, "targets[0]",
              "10.0.0.1:80 is not registered by hand in targetGroups/web: it comes from "
              "kubernetes/shop/web/http");
}

TEST_F(FollowTargetsTest, WithoutItsSourceTheTargetsDrain) {
  Follow({"10.0.0.1"});
  ByHand("register", "10.0.0.9");
  Do<v1::TargetGroup>(Parse<v1::UpdateTargetGroupRequest>(
      "target_group { name: 'targetGroups/web' } update_mask { paths: 'targets' }"));
  EXPECT_EQ(Targets(), "10.0.0.1(draining) 10.0.0.9(by hand)");
  EXPECT_EQ(LastActivity(),
            "Draining 1 target: targetGroups/web/targets/10.0.0.1:80 | the group follows no source "
            "any more");
  // What was said meanwhile comes too late.
  Follow({"10.0.0.2"});
  EXPECT_EQ(Targets(), "10.0.0.1(draining) 10.0.0.9(by hand)");
}

TEST_F(FollowTargetsTest, AManifestWithoutASourceTakesItAway) {
  Follow({"10.0.0.1"});
  Do<v1::ApplyResourcesResponse>(
      Parse<v1::ApplyResourcesRequest>("resources { target_group { name: 'web' } }"));
  EXPECT_EQ(Targets(), "10.0.0.1(draining)");
}

TEST_F(FollowTargetsTest, AnotherSourceTakesOverWhenItSpeaks) {
  Follow({"10.0.0.1", "10.0.0.2"});
  Do<v1::TargetGroup>(Parse<v1::UpdateTargetGroupRequest>(
      "target_group { name: 'targetGroups/web' targets { kubernetes { namespace: 'shop' service: "
      "'web2' } } } update_mask { paths: 'targets' }"));
  EXPECT_EQ(Targets(), "10.0.0.1 10.0.0.2");
  Follow({"10.0.0.2", "10.0.0.3"}, "kubernetes/shop/web2");
  EXPECT_EQ(Targets(), "10.0.0.1(draining) 10.0.0.2 10.0.0.3");
  EXPECT_EQ(Find<v1::Target>("web/targets/10.0.0.2:80")->source(), "kubernetes/shop/web2");
}

TEST_F(FollowTargetsTest, SoManyAtATimeAndSoManyInAll) {
  FollowTargets wish{.target_group = "web", .source = kWeb, .endpoints = {}};
  const auto address = [](int i) {
    return "10." + std::to_string(i / 65536) + "." + std::to_string(i / 256 % 256) + "." +
           std::to_string(i % 256);
  };
  for (int i = 0; i < limits::kTargetsAGroup + 3; ++i)
    wish.endpoints.push_back({.address = address(i), .port = 80, .zone = ""});
  FollowedTargets became = Told(wish);
  EXPECT_FALSE(became.is_complete);
  EXPECT_EQ(state_.All<v1::Target>().size(), static_cast<size_t>(limits::kTargetsARequest));
  int turns = 1;
  while (!became.is_complete && turns < 100) {
    became = Told(wish);
    ++turns;
  }
  EXPECT_EQ(turns, limits::kTargetsAGroup / limits::kTargetsARequest);
  EXPECT_EQ(became.left_out, 3U);
  EXPECT_EQ(state_.All<v1::Target>().size(), static_cast<size_t>(limits::kTargetsAGroup));
}

TEST_F(FollowTargetsTest, ListSaysWhereTheyComeFromAndProxiesAreNotTold) {
  Follow({"10.0.0.1"});
  v1::ListTargetsRequest request;
  request.set_parent("targetGroups/web");
  const auto list = Read(Snapshot{state_, seen_, now_}, request);
  ASSERT_TRUE(list.ok()) << list.status();
  EXPECT_EQ(list->targets(0).source(), kWeb);
  EXPECT_EQ(list->targets(0).description(), "no load balancer forwards to its group");
  const TargetGroupView view = TargetGroupViewOf(state_, seen_, "web");
  EXPECT_FALSE(view.target_group->has_targets());
  EXPECT_EQ(view.targets.size(), 1U);
}

TEST_F(FollowTargetsTest, WhatASourceMaySay) {
  struct Case {
    const char* kubernetes;
    const char* field;
    const char* fragment;
  };
  const std::string long_name(64, 'a');
  const std::string too_long = "namespace: 'shop' service: '" + long_name + "'";
  const Case cases[] = {
      {"service: 'web'", "namespace", "\"\" must be [a-z0-9]"},
      {"namespace: 'shop'", "service", "\"\" must be [a-z0-9]"},
      {"namespace: 'Shop' service: 'web'", "namespace", "\"Shop\" must be"},
      {"namespace: 'a.b' service: 'web'", "namespace", "\"a.b\" must be"},
      {"namespace: 'shop' service: '../web'", "service", "\"../web\" must be"},
      {too_long.c_str(), "service", "must be [a-z0-9]"},
      {"namespace: 'shop' service: 'web' port: '0'", "port",
       "\"0\" must be a number within 1-65535 or a port's name"},
      {"namespace: 'shop' service: 'web' port: '65536'", "port", "\"65536\" must be a number"},
      {"namespace: 'shop' service: 'web' port: 'HTTP'", "port", "\"HTTP\" must be a number"},
  };
  for (const Case& c : cases) {
    for (const char* protocol : {"HTTP", "HTTPS", "TCP", "TLS"}) {
      ExpectError(Try(Parse<v1::CreateTargetGroupRequest>(
                      std::string("target_group_id: 'x' target_group { protocol: PROTOCOL_") +
                      protocol + " targets { kubernetes { " + c.kubernetes + " } } }")),
                  StatusCode::kInvalidArgument,
                  std::string("target_group.targets.kubernetes.") + c.field, c.fragment);
    }
  }
  const auto made = Do<v1::TargetGroup>(Parse<v1::CreateTargetGroupRequest>(
      "target_group_id: 'none' target_group { targets {} targets_status { endpoints: 3 } }"));
  EXPECT_FALSE(made.has_targets());
  EXPECT_FALSE(made.has_targets_status());
}

}  // namespace
}  // namespace remuda::core
