// Reads: pages, filters, and the health of targets with its reasons.
#include "controller/core/door/read.h"

#include "tests/unit/controller/core/door/execute_fixture.h"

namespace remuda::core {
namespace {

using absl::StatusCode;

class ReadTest : public ExecuteTest {
 protected:
  Snapshot Here() const { return {state_, seen_, now_}; }

  void MakeGroups(std::initializer_list<const char*> ids) {
    for (const char* id : ids) {
      Do<v1::TargetGroup>(
          Parse<v1::CreateTargetGroupRequest>(std::string("target_group_id: \"") + id + "\""));
    }
  }
};

TEST_F(ReadTest, PagesHoldEachRowOnceInOrder) {
  MakeGroups({"c", "a", "b", "e", "d"});
  std::string names;
  v1::ListTargetGroupsRequest request;
  request.set_page_size(2);
  int pages = 0;
  do {
    const auto page = Read(Here(), request);
    ASSERT_TRUE(page.ok()) << page.status();
    for (const auto& group : page->target_groups())
      names += std::string(group.name().substr(13)) + (group.etag().empty() ? "!" : " ");
    request.set_page_token(page->next_page_token());
    ++pages;
  } while (!request.page_token().empty() && pages < 10);
  EXPECT_EQ(names, "a b c d e ");
  EXPECT_EQ(pages, 3);
}

TEST_F(ReadTest, ATokenIsOnlyForItsList) {
  MakeGroups({"a", "b"});
  v1::ListTargetGroupsRequest request;
  request.set_page_size(1);
  const std::string token = Read(Here(), request)->next_page_token();
  ASSERT_FALSE(token.empty());
  v1::ListLoadBalancersRequest other;
  other.set_page_token(token);
  ExpectError(Read(Here(), other).status(), StatusCode::kInvalidArgument, "page_token",
              "is not a next_page_token");
  for (const std::string& bad :
       {std::string("x"), std::string(600, 'a'), token + "x", "0" + token.substr(1) + "?"}) {
    request.set_page_token(bad);
    ExpectError(Read(Here(), request).status(), StatusCode::kInvalidArgument, "page_token",
                "is not a next_page_token");
  }
  request.clear_page_token();
  request.set_page_size(1001);
  ExpectError(Read(Here(), request).status(), StatusCode::kInvalidArgument, "page_size",
              "1001 is not within 0-1000");
  request.set_page_size(-1);
  ExpectError(Read(Here(), request).status(), StatusCode::kInvalidArgument, "page_size",
              "-1 is not within");
}

TEST_F(ReadTest, TargetsOfGroupsWhoseIdsBeginAlike) {
  MakeGroups({"blue", "blue-2", "blue2"});
  for (const char* group : {"blue", "blue-2", "blue2"}) {
    Do<v1::RegisterTargetsResponse>(Parse<v1::RegisterTargetsRequest>(
        std::string("target_group: \"") + group +
        R"(" targets { address: "10.0.0.1" port: 1 } targets { address: "10.0.0.2" port: 1 })"));
  }
  v1::ListTargetsRequest request;
  request.set_parent("targetGroups/-");
  request.set_page_size(1);
  std::set<std::string> names;
  int pages = 0;
  do {
    const auto page = Read(Here(), request);
    ASSERT_TRUE(page.ok()) << page.status();
    for (const auto& target : page->targets())
      EXPECT_TRUE(names.insert(target.name()).second) << target.name();
    request.set_page_token(page->next_page_token());
  } while (!request.page_token().empty() && ++pages < 20);
  EXPECT_EQ(names.size(), 6U);
  request.Clear();
  request.set_parent("targetGroups/blue");
  EXPECT_EQ(Read(Here(), request)->targets_size(), 2);
  request.set_parent("targetGroups/none");
  EXPECT_EQ(Read(Here(), request).status().code(), StatusCode::kNotFound);
}

TEST_F(ReadTest, HealthOfATarget) {
  PlayLab();
  Do<v1::RegisterTargetsResponse>(Parse<v1::RegisterTargetsRequest>(
      R"(target_group: "blue" targets { address: "10.0.0.1" port: 80 })"));
  const auto target = [this] {
    v1::ListTargetsRequest request;
    request.set_parent("targetGroups/blue");
    request.set_view(v1::TARGET_VIEW_FULL);
    const auto list = Read(Here(), request);
    EXPECT_TRUE(list.ok()) << list.status();
    return list->targets(0);
  };
  seen_.start = now_ - absl::Hours(1);
  EXPECT_EQ(target().reason(), "Target.NotInUse");  // no proxy
  for (const char* id : {"p1", "p2", "p3"}) {
    Put<v1::Proxy>(id, std::string("name: \"proxies/") + id + "\"");
    seen_.proxies[id].connected = true;
    seen_.proxies[id].reported = true;
    seen_.proxies[id].last_seen = now_;
  }
  EXPECT_EQ(target().state(), v1::TARGET_STATE_INITIAL);
  EXPECT_EQ(target().reason(), "Elb.RegistrationInProgress");
  EXPECT_EQ(target().proxies_size(), 3);
  const TargetId id{"blue", "10.0.0.1:80"};
  const auto say = [&](const char* proxy, v1::TargetState state, const char* reason) {
    auto& health = seen_.proxies[proxy].health[id];
    health.set_state(state);
    health.set_reason(reason);
  };
  say("p1", v1::TARGET_STATE_HEALTHY, "");
  say("p2", v1::TARGET_STATE_HEALTHY, "");
  EXPECT_EQ(target().state(), v1::TARGET_STATE_HEALTHY);
  say("p2", v1::TARGET_STATE_UNHEALTHY, "Target.ResponseCodeMismatch");
  say("p3", v1::TARGET_STATE_UNHEALTHY, "Target.Timeout");
  EXPECT_EQ(target().state(), v1::TARGET_STATE_UNHEALTHY);
  EXPECT_EQ(target().reason(), "Target.ResponseCodeMismatch");
  EXPECT_EQ(target().proxies(2).reason(), "Target.Timeout");
  Do<v1::DeregisterTargetsResponse>(Parse<v1::DeregisterTargetsRequest>(
      R"(target_group: "blue" targets { address: "10.0.0.1" port: 80 })"));
  EXPECT_EQ(target().state(), v1::TARGET_STATE_DRAINING);
  EXPECT_EQ(target().reason(), "Target.DeregistrationInProgress");
}

TEST_F(ReadTest, HealthAtEachProxyIsInTheFullView) {
  PlayLab();
  Put<v1::Proxy>("p1", "name: 'proxies/p1'");
  seen_.start = now_ - absl::Hours(1);
  seen_.proxies["p1"].connected = true;
  seen_.proxies["p1"].last_seen = now_;
  Do<v1::RegisterTargetsResponse>(Parse<v1::RegisterTargetsRequest>(
      "target_group: 'blue' targets { address: '10.0.0.1' port: 80 weight: 3 zone: 'a' }"));
  for (const auto& [view, proxies] : {std::pair<std::string, int>{"", 0},
                                      {"view: TARGET_VIEW_BASIC", 0},
                                      {"view: TARGET_VIEW_FULL", 1}}) {
    const auto list =
        Read(Here(), Parse<v1::ListTargetsRequest>("parent: 'targetGroups/blue' " + view));
    ASSERT_TRUE(list.ok()) << list.status();
    EXPECT_EQ(list->targets(0).proxies_size(), proxies) << view;
    EXPECT_EQ(list->targets(0).state(), v1::TARGET_STATE_INITIAL) << view;
    EXPECT_EQ(list->targets(0).weight(), 3);
    EXPECT_EQ(list->targets(0).zone(), "a");
    const auto watched =
        TargetsIn(Here(), Parse<v1::WatchTargetsRequest>("parent: 'targetGroups/blue' " + view));
    ASSERT_TRUE(watched.ok()) << watched.status();
    EXPECT_EQ(watched->begin()->second.proxies_size(), proxies) << view;
  }
  v1::ListTargetsRequest request;
  request.set_parent("targetGroups/blue");
  request.set_view(static_cast<v1::TargetView>(7));
  ExpectError(Read(Here(), request).status(), StatusCode::kInvalidArgument, "view",
              "7 is not a view");
}

TEST_F(ReadTest, ListsAreFiltered) {
  PlayLab();
  for (const char* id : {"a", "b", "c"}) {
    Do<v1::TargetGroup>(Parse<v1::CreateTargetGroupRequest>(
        std::string("target_group_id: '") + id + "' target_group { labels { key: 'env' value: '" +
        (id == std::string("b") ? "test" : "prod") + "' } }"));
  }
  v1::ListTargetGroupsRequest request;
  request.set_filter("labels.env = prod");
  request.set_page_size(1);
  auto page = Read(Here(), request);
  ASSERT_TRUE(page.ok()) << page.status();
  ASSERT_EQ(page->target_groups_size(), 1);
  EXPECT_EQ(page->target_groups(0).name(), "targetGroups/a");
  request.set_page_token(page->next_page_token());
  page = Read(Here(), request);
  ASSERT_EQ(page->target_groups_size(), 1);
  EXPECT_EQ(page->target_groups(0).name(), "targetGroups/c");
  EXPECT_EQ(page->next_page_token(), "");
  // A token is of its filter.
  request.set_filter("labels.env = test");
  ExpectError(Read(Here(), request).status(), StatusCode::kInvalidArgument, "page_token",
              "with the same filter");
  Do<v1::RegisterTargetsResponse>(Parse<v1::RegisterTargetsRequest>(
      "target_group: 'blue' targets { address: '10.0.0.1' port: 80 } targets { address: "
      "'10.0.0.2' port: 80 zone: 'a' }"));
  Do<v1::DeregisterTargetsResponse>(Parse<v1::DeregisterTargetsRequest>(
      "target_group: 'blue' targets { address: '10.0.0.1' port: 80 }"));
  const auto targets = [this](const std::string& filter) {
    v1::ListTargetsRequest list;
    list.set_filter(filter);
    std::string out;
    const auto answer = Read(Here(), list);
    if (!answer.ok()) return std::string(answer.status().message());
    for (const auto& target : answer->targets()) out += target.address() + " ";
    v1::WatchTargetsRequest watch;
    watch.set_filter(filter);
    EXPECT_EQ(TargetsIn(Here(), watch)->size(), static_cast<size_t>(answer->targets_size()));
    return out;
  };
  EXPECT_EQ(targets("state = DRAINING"), "10.0.0.1 ");
  EXPECT_EQ(targets("state != DRAINING"), "10.0.0.2 ");
  EXPECT_EQ(targets("zone = a AND weight = 1"), "10.0.0.2 ");
  EXPECT_EQ(targets("state = GONE"),
            "filter: \"state = GONE\": there is no \"GONE\"; there are INITIAL, HEALTHY, "
            "UNHEALTHY, UNUSED, DRAINING, UNAVAILABLE");
  Do<v1::LoadBalancer>(Parse<v1::UpdateLoadBalancerRequest>(
      "load_balancer { name: 'shop' deletion_protection: true labels { key: 'env' value: 'prod' } }"
      " update_mask { paths: 'deletion_protection' paths: 'labels' }"));
  for (const auto& [filter, count] :
       {std::pair<std::string, int>{"labels.env = prod AND deletion_protection = true", 1},
        {"labels.env = test", 0}}) {
    v1::ListLoadBalancersRequest list;
    list.set_filter(filter);
    EXPECT_EQ(Read(Here(), list)->load_balancers_size(), count) << filter;
  }
}

TEST_F(ReadTest, DeploymentsAndActivitiesNewestFirst) {
  PlayLab();
  Put<v1::Deployment>(
      "blue-9",
      R"(name: "deployments/blue-9" auto_scaling_group: "blue" create_time { seconds: 100 } state: DEPLOYMENT_STATE_SUCCEEDED)");
  Put<v1::Deployment>(
      "blue-10",
      R"(name: "deployments/blue-10" auto_scaling_group: "blue" create_time { seconds: 200 } state: DEPLOYMENT_STATE_SUCCEEDED)");
  Put<v1::Deployment>(
      "red-1",
      R"(name: "deployments/red-1" auto_scaling_group: "red" create_time { seconds: 150 } state: DEPLOYMENT_STATE_SUCCEEDED)");
  v1::ListDeploymentsRequest request;
  request.set_auto_scaling_group("autoScalingGroups/blue");
  const auto list = Read(Here(), request);
  ASSERT_TRUE(list.ok()) << list.status();
  ASSERT_EQ(list->deployments_size(), 2);
  EXPECT_EQ(list->deployments(0).name(), "deployments/blue-10");
  v1::ListActivitiesRequest activities;
  activities.set_resource("autoScalingGroups/blue");
  activities.set_page_size(1);
  Do<v1::AutoScalingGroup>(Parse<v1::SetDesiredCapacityRequest>(R"(name: "blue" desired: 2)"));
  const auto first = Read(Here(), activities);
  ASSERT_EQ(first->activities_size(), 1);
  EXPECT_EQ(first->activities(0).description(),
            "Set desired of autoScalingGroups/blue from 1 to 2");
  activities.set_page_token(first->next_page_token());
  EXPECT_EQ(Read(Here(), activities)->activities(0).description(),
            "Created autoScalingGroups/blue");
}

TEST_F(ReadTest, InstancesWithWhatTheirAgentSays) {
  PlayLab();
  Put<v1::Host>("h1", R"(name: "hosts/h1")");
  Put<v1::Instance>(
      "i-1",
      R"(name: "instances/i-1" auto_scaling_group: "blue" host: "h1" state: INSTANCE_STATE_IN_SERVICE)");
  Put<v1::Instance>(
      "i-2",
      R"(name: "instances/i-2" auto_scaling_group: "blue" host: "h1" state: INSTANCE_STATE_TERMINATED)");
  auto& host = seen_.hosts["h1"];
  host.connected = true;
  host.instances["i-1"].set_state(agent::v1::PROCESS_STATE_EXITED);
  host.instances["i-1"].mutable_exit()->set_signal(9);
  host.usage.instances["i-1"].said.set_memory_bytes(42);
  v1::ListInstancesRequest request;
  const auto list = Read(Here(), request);
  ASSERT_EQ(list->instances_size(), 1);
  EXPECT_EQ(list->instances(0).process().status(), "ended by signal 9");
  EXPECT_EQ(list->instances(0).process().memory_bytes(), 42);
  request.set_show_terminated(true);
  EXPECT_EQ(Read(Here(), request)->instances_size(), 2);
  v1::GetHostRequest get;
  get.set_name("hosts/h1");
  EXPECT_EQ(Read(Here(), get)->state(), v1::HOST_STATE_CONNECTED);
  EXPECT_EQ(Read(Here(), get)->instance_count(), 1);
}

TEST_F(ReadTest, TemplatesAndTheirVersions) {
  PlayLab();
  MakeVersion2();
  const auto version = [this](const std::string& which) {
    v1::GetLaunchTemplateVersionRequest request;
    request.set_name("launchTemplates/shop/versions/" + which);
    return Read(Here(), request);
  };
  EXPECT_EQ(version("$Latest")->name(), "launchTemplates/shop/versions/2");
  EXPECT_EQ(version("$Default")->name(), "launchTemplates/shop/versions/1");
  EXPECT_EQ(version("2")->image(), "shop-v2");
  EXPECT_EQ(version("3").status().code(), StatusCode::kNotFound);
  EXPECT_EQ(version("02").status().code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(version("").status().code(), StatusCode::kInvalidArgument);
  const auto shop =
      Read(Here(), Parse<v1::GetLaunchTemplateRequest>(R"(name: "launchTemplates/shop")"));
  EXPECT_EQ(shop->default_version(), 1);
  EXPECT_EQ(shop->latest_version(), 2);
  EXPECT_EQ(Read(Here(), Parse<v1::GetLaunchTemplateRequest>(R"(name: "other")")).status().code(),
            StatusCode::kNotFound);
  const auto count = [this](const std::string& parent, const std::string& filter) {
    v1::ListLaunchTemplateVersionsRequest request;
    request.set_parent(parent);
    request.set_filter(filter);
    return Read(Here(), request)->launch_template_versions_size();
  };
  EXPECT_EQ(count("launchTemplates/shop", ""), 2);
  EXPECT_EQ(count("launchTemplates/-", "image = shop-v2"), 1);
  EXPECT_EQ(count("sho", ""), 0) << "the beginning of another's name";
  EXPECT_EQ(Read(Here(), v1::ListLaunchTemplatesRequest())->launch_templates_size(), 1);
}

}  // namespace
}  // namespace remuda::core
