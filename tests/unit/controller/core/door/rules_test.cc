// The rules of each field: one request that breaks one rule, and the path and the rule that the
// error must name.
#include "tests/unit/controller/core/door/execute_fixture.h"

namespace remuda::core {
namespace {

using absl::StatusCode;
using RulesTest = ExecuteTest;

struct Case {
  const char* content;
  const char* field;
  const char* fragment;
  StatusCode code = StatusCode::kInvalidArgument;
};

TEST_F(RulesTest, LaunchTemplate) {
  PushImage("v1");
  const std::string ok = R"(name: "t" image: "v1" command: "x")";
  const std::string long_text(300, 'x');
  const std::string long_description = ok + "description: \"" + long_text + "\"";
  const Case cases[] = {
      {R"(name: "t" command: "x")", "image", "must name an image"},
      {R"(name: "t" image: "v2" command: "x")", "image", "there is no images/v2"},
      {R"(name: "t" image: "hosts/v1" command: "x")", "image",
       "\"hosts/v1\" is not a name of images"},
      {R"(name: "t" image: "v1")", "command", "at least 1"},
      {R"(name: "t" image: "v1" command: "")", "command[0]", "must not be empty"},
      {R"(name: "t" image: "v1" command: "a\000b")", "command[0]", "NUL"},
      {R"(name: "t" image: "v1" command: "x" env { key: "1A" })", "env[1A]", "[A-Za-z_]"},
      {R"(name: "t" image: "v1" command: "x" env { key: "PORT" value: "1" })", "env[PORT]",
       "set by the agent"},
      {R"(name: "t" image: "v1" command: "x" env { key: "REMUDA_X" })", "env[REMUDA_X]",
       "set by the agent"},
      {R"(name: "t" image: "v1" command: "x" port: 65536)", "port", "65536 is not within 0-65535"},
      {R"(name: "t" image: "v1" command: "x" port: -1)", "port", "-1 is not within"},
      {R"(name: "t" image: "v1" command: "x" user: "a b")", "user", "not a user name"},
      {R"(name: "t" image: "v1" command: "x" limits { memory: "256MB" })", "limits.memory",
       "256MB"},
      {R"(name: "t" image: "v1" command: "x" limits { cpu: "half" })", "limits.cpu", "half"},
      {R"(name: "t" image: "v1" command: "x" limits { disk: "5k" })", "limits.disk",
       "is below 1Mi"},
      {R"(name: "t" image: "v1" command: "x" limits { open_files: 3 })", "limits.open_files",
       "3 is not within 16 and"},
      {R"(name: "t" image: "v1" command: "x" writable_paths: "data")", "writable_paths[0]",
       "must be the absolute path"},
      {R"(name: "t" image: "v1" command: "x" writable_paths: ["/a", "/b/../c"])",
       "writable_paths[1]", "no . and no .. in it"},
      {R"(name: "t" image: "v1" command: "x" static_site {})", "command",
       "must be empty with static_site"},
      {R"(name: "t" image: "v1" static_site { root: "/www" })", "static_site.root",
       "no empty part"},
      {R"(name: "t" image: "v1" static_site { index: "a/b" })", "static_site.index",
       "without a directory"},
      {R"(name: "t" image: "v1" static_site { not_found: "../404" })", "static_site.not_found",
       "no .."},
      {R"(name: "t" image: "v1" static_site { cache_control: "a\r\nb" })",
       "static_site.cache_control", "printable"},
      {R"(name: "t" image: "v1" command: "x" limits { pids: -5 })", "limits.pids",
       "-5 is not within"},
      {R"(name: "t" image: "v1" command: "x" stop_signal: "SIGKILL")", "stop_signal",
       "\"SIGKILL\" must be SIGTERM"},
      {R"(name: "t" image: "v1" command: "x" stop_grace { seconds: 3601 })", "stop_grace",
       "is not within 0-1h"},
      {R"(name: "t" image: "v1" command: "x" stop_grace { seconds: -1 })", "stop_grace",
       "-1s is not within"},
      {R"(name: "t" image: "v1" command: "x" stop_grace { nanos: 2000000000 })", "stop_grace",
       "is not a duration"},
      {R"(name: "t" image: "v1" command: "x" labels { key: "A" value: "b" })", "labels[A]",
       "[a-z0-9]"},
      {R"(name: "t" image: "v1" command: "x" labels { key: "a" value: "b\n" })", "labels[a]",
       "control character"},
      {long_description.c_str(), "description", "300 bytes; at most 255"},
      {R"(image: "v1" command: "x")", "_id", "must be given"},
      {R"(name: "T" image: "v1" command: "x")", "name", "\"T\" is not a name"},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.content);
    v1::CreateLaunchTemplateVersionRequest request;
    *request.mutable_launch_template_version() = Parse<v1::LaunchTemplateVersion>(c.content);
    const std::string field =
        c.field[0] == '_' ? "parent" : std::string("launch_template_version.") + c.field;
    ExpectError(Try(request), c.code, field, c.fragment);
  }
}

TEST_F(RulesTest, TargetGroup) {
  const Case cases[] = {
      {"protocol: 77", "protocol", "77 is not a protocol"},
      {"algorithm: 9", "algorithm", "9 is not one of its values"},
      {R"(health_check { path: "health" })", "health_check.path", "must start with /"},
      {R"(health_check { path: "/a b" })", "health_check.path", "must start with /"},
      {"health_check { port: 70000 }", "health_check.port", "70000 is not within 0-65535"},
      {"health_check { interval { nanos: 99000000 } }", "health_check.interval",
       "99ms is not within 100ms-5m"},
      {"health_check { interval { seconds: 301 } }", "health_check.interval", "is not within"},
      {"health_check { timeout { nanos: 49000000 } }", "health_check.timeout",
       "49ms is not within 50ms-2m"},
      {"health_check { healthy_threshold: 11 }", "health_check.healthy_threshold",
       "11 is not within 1-10"},
      {"health_check { unhealthy_threshold: -1 }", "health_check.unhealthy_threshold",
       "-1 is not within 1-10"},
      {R"(health_check { matcher: "200-199" })", "health_check.matcher", "within 200-499"},
      {R"(health_check { matcher: "500" })", "health_check.matcher", "within 200-499"},
      {R"(health_check { matcher: "200," })", "health_check.matcher", "within 200-499"},
      {R"(health_check { matcher: "200, 201" })", "health_check.matcher", "within 200-499"},
      {"health_check { protocol: PROTOCOL_TLS }", "health_check.protocol", "HTTP, HTTPS or TCP"},
      {R"(health_check { host: "app.example.com/" })", "health_check.host",
       "\"app.example.com/\" must be a name or an address with an optional port"},
      {R"(health_check { host: "a b" })", "health_check.host", "\"a b\" must be a name"},
      {R"(health_check { host: "app:" })", "health_check.host", "\"app:\" must be a name"},
      {R"(health_check { host: "app:0" })", "health_check.host", "\"app:0\" must be a name"},
      {R"(health_check { host: "app:65536" })", "health_check.host", "\"app:65536\" must be"},
      {R"(health_check { host: ":80" })", "health_check.host", "\":80\" must be a name"},
      {R"(health_check { host: "::1" })", "health_check.host", "\"::1\" must be a name"},
      {R"(health_check { host: "[::1" })", "health_check.host", "\"[::1\" must be a name"},
      {R"(health_check { host: "[::1]x" })", "health_check.host", "must be a name"},
      {R"(health_check { host: "app.example" protocol: PROTOCOL_TCP })", "health_check.host",
       "\"app.example\" is for HTTP and HTTPS checks only"},
      {"web_socket_close: 9", "web_socket_close", "9 is not one of its values"},
      {"protocol: PROTOCOL_TCP web_socket_close: WEB_SOCKET_CLOSE_SPREAD", "web_socket_close",
       "WEB_SOCKET_CLOSE_SPREAD is for HTTP and HTTPS only"},
      {"deregistration_delay { seconds: 3601 }", "deregistration_delay", "is not within 0-1h"},
      {"slow_start { nanos: 5 }", "slow_start", "5ns is not within 1s-15m"},
  };
  v1::CreateTargetGroupRequest long_host;
  long_host.set_target_group_id("blue");
  long_host.mutable_target_group()->mutable_health_check()->set_host(std::string(256, 'a'));
  ExpectError(Try(long_host), StatusCode::kInvalidArgument, "target_group.health_check.host",
              "at most 255 bytes");
  for (const Case& c : cases) {
    SCOPED_TRACE(c.content);
    v1::CreateTargetGroupRequest request;
    *request.mutable_target_group() = Parse<v1::TargetGroup>(c.content);
    request.set_target_group_id("blue");
    ExpectError(Try(request), c.code, std::string("target_group.") + c.field, c.fragment);
  }
  for (const char* good :
       {R"(health_check { matcher: "200,202,300-399" })", "health_check { protocol: PROTOCOL_TCP }",
        "slow_start { }", "slow_start { seconds: 30 }", "protocol: PROTOCOL_TCP",
        R"(health_check { host: "app.example.com:8080" })", R"(health_check { host: "[::1]:80" })",
        R"(health_check { host: "10.0.0.1" })", "web_socket_close: WEB_SOCKET_CLOSE_AT_ONCE",
        "algorithm: BALANCING_ALGORITHM_LEAST_OUTSTANDING_REQUESTS"}) {
    v1::CreateTargetGroupRequest request;
    *request.mutable_target_group() = Parse<v1::TargetGroup>(good);
    request.set_target_group_id("blue");
    EXPECT_TRUE(Try(request).ok()) << good << ": " << Try(request);
  }
}

TEST_F(RulesTest, AutoScalingGroup) {
  PlayLab();
  const Case cases[] = {
      {"min: -1 max: 1", "min", "-1 is not within 0-1000"},
      {"max: 1001", "max", "1001 is not within 0-1000"},
      {"min: 3 max: 2", "max", "2 is below min 3"},
      {"min: 1 max: 2 desired: 3", "desired", "3 is not within min 1 and max 2"},
      {R"(target_groups: "blue" target_groups: "targetGroups/blue")", "target_groups[1]",
       "named twice"},
      {R"(target_groups: "green")", "target_groups[0]", "there is no targetGroups/green"},
      {R"(zones: "a" zones: "a")", "zones[1]", "named twice"},
      {R"(zones: "")", "zones[0]", "must not be empty"},
      {"health_check_grace_period { seconds: 7201 }", "health_check_grace_period",
       "is not within 0-2h"},
      {"termination_policies: 17", "termination_policies[0]", "17 is not a termination policy"},
      {R"(lifecycle_hooks { name: "X" transition: TRANSITION_LAUNCHING })",
       "lifecycle_hooks[0].name", "\"X\""},
      {R"(lifecycle_hooks { name: "x" })", "lifecycle_hooks[0].transition", "must be LAUNCHING"},
      {R"(lifecycle_hooks { name: "x" transition: TRANSITION_LAUNCHING heartbeat_timeout { seconds: 7201 } })",
       "lifecycle_hooks[0].heartbeat_timeout", "is not within 1s-2h"},
      {R"(lifecycle_hooks { name: "x" transition: TRANSITION_LAUNCHING default_result: 7 })",
       "lifecycle_hooks[0].default_result", "7 is not CONTINUE or ABANDON"},
      {R"(lifecycle_hooks { name: "x" transition: TRANSITION_LAUNCHING } lifecycle_hooks { name: "x" transition: TRANSITION_TERMINATING })",
       "lifecycle_hooks[1].name", "\"x\" is given twice"},
      {"warm_pool { min_size: -1 }", "warm_pool.min_size", "-1 is not within 0-1000"},
      {"warm_pool { max_prepared: 1001 }", "warm_pool.max_prepared", "is not within 0-1000"},
      {"warm_pool { state: 9 }", "warm_pool.state", "9 is not STOPPED or RUNNING"},
      {"max_instance_lifetime { seconds: 59 }", "max_instance_lifetime", "at least 1m"},
      {R"(host_selector { key: "X" value: "y" })", "host_selector[X]", "[a-z0-9]"},
      {R"(policies { name: "P" target_tracking { metric: SCALING_METRIC_AVERAGE_CPU_UTILIZATION target: 1 } })",
       "policies[0].name", "\"P\""},
      {R"(policies { name: "p" })", "policies[0]", "must be one of target_tracking"},
      {R"(policies { name: "p" target_tracking { metric: 99 target: 5 } })",
       "policies[0].target_tracking.metric", "99 is not a scaling metric"},
      {R"(policies { name: "p" target_tracking { metric: SCALING_METRIC_AVERAGE_CPU_UTILIZATION custom_metric: "x" target: 5 } })",
       "policies[0].target_tracking.metric", "only one of"},
      {R"(policies { name: "p" target_tracking { metric: SCALING_METRIC_AVERAGE_CPU_UTILIZATION is_total: true target: 5 } })",
       "policies[0].target_tracking.is_total", "is for custom_metric"},
      {R"(policies { name: "p" target_tracking { prometheus { url: "ftp://x" query: "up" } target: 5 } })",
       "policies[0].target_tracking.prometheus.url", "\"ftp://x\""},
      {R"(policies { name: "p" step_scaling { alarm { custom_metric: "x" threshold: 5 } } })",
       "policies[0].step_scaling.steps", "must have at least 1"},
      {R"(policies { name: "p" step_scaling { alarm { custom_metric: "x" threshold: 5 } steps { adjustment: 1 } steps { lower_bound: 3 adjustment: 2 } } })",
       "policies[0].step_scaling.steps[1]", "overlaps"},
      {R"(policies { name: "p" simple_scaling { alarm { custom_metric: "x" threshold: -5 } adjustment: 1 } })",
       "policies[0].simple_scaling.alarm.threshold", "-5 is not within"},
      {R"(policies { name: "p" simple_scaling { alarm { custom_metric: "x" } adjustment: 2000 } })",
       "policies[0].simple_scaling.adjustment", "2000 is not within"},
      {R"(policies { name: "p" scheduled { recurrence: "61 * * * *" desired: 1 } })",
       "policies[0].scheduled.recurrence", "61"},
      {R"(policies { name: "p" scheduled { recurrence: "0 * * * *" time_zone: "Mars/Base" desired: 1 } })",
       "policies[0].scheduled.time_zone", "\"Mars/Base\" is no time zone"},
      {R"(policies { name: "p" scheduled { recurrence: "0 * * * *" } })", "policies[0].scheduled",
       "must have min, max or desired"},
      {R"(policies { name: "p" scheduled { desired: 1 } })", "policies[0].scheduled.recurrence",
       "must be set, or start_time"},
      {R"(policies { name: "p" scheduled { start_time { seconds: 1 } desired: 1 } })",
       "policies[0].scheduled.start_time", "is past"},
      {R"(policies { name: "p" predictive { metric: SCALING_METRIC_AVERAGE_CPU_UTILIZATION target: 5 } })",
       "policies[0].predictive.mode", "must be FORECAST_ONLY"},
      {R"(min: 1 max: 2 target_groups: "blue" from_zero {})", "from_zero", "needs min 0"},
      {"instance_warmup { seconds: 3601 }", "instance_warmup", "is not within 0-1h"},
      {R"(policies { name: "p" target_tracking { target: 5 } })",
       "policies[0].target_tracking.metric", "must be set"},
      {R"(policies { name: "p" target_tracking { metric: SCALING_METRIC_AVERAGE_CPU_UTILIZATION target: nan } })",
       "policies[0].target_tracking.target", "must be above 0"},
      {R"(launch_template { launch_template: "" })", "launch_template.launch_template",
       "must name a launch template"},
      {R"(launch_template { launch_template: "shop" version: "2" })", "launch_template.version",
       "no version 2; the newest is 1"},
      {R"(launch_template { launch_template: "shop" version: "-2" })", "launch_template.version",
       "must be a version's number, $Latest or $Default"},
      {R"(launch_template { launch_template: "shop" version: "latest" })",
       "launch_template.version", "must be a version's number, $Latest or $Default"},
      {R"(launch_template { launch_template: "shop" version: "01" })", "launch_template.version",
       "must be a version's number, $Latest or $Default"},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.content);
    v1::CreateAutoScalingGroupRequest request;
    auto& group = *request.mutable_auto_scaling_group();
    group = Parse<v1::AutoScalingGroup>(c.content);
    if (!group.has_launch_template()) group.mutable_launch_template()->set_launch_template("shop");
    request.set_auto_scaling_group_id("new");
    ExpectError(Try(request), c.code, std::string("auto_scaling_group.") + c.field, c.fragment);
  }
}

TEST_F(RulesTest, ZonesHaveHosts) {
  PlayLab();
  const auto named = [](const std::string& zones) {
    return Parse<v1::UpdateAutoScalingGroupRequest>(R"(auto_scaling_group { name: "blue" )" +
                                                    zones + R"( } update_mask { paths: "zones" })");
  };
  // Before the first host has joined nothing can be told.
  Do<v1::AutoScalingGroup>(named(R"(zones: "old")"));
  Put<v1::Host>("h1", R"(name: "hosts/h1" zone: "a")");
  Put<v1::Host>("h2", R"(name: "hosts/h2" zone: "b")");
  ExpectError(Try(named(R"(zones: "a" zones: "c")")), StatusCode::kInvalidArgument,
              "auto_scaling_group.zones[1]", "no host is in zone \"c\"; zones of hosts: a, b");
  // What it names stays, though the last host of the zone has gone.
  Do<v1::AutoScalingGroup>(named(R"(zones: "a" zones: "old")"));
}

TEST_F(RulesTest, LoadBalancer) {
  PlayLab();
  const std::string many = [] {
    std::string text;
    for (int i = 0; i < 51; ++i)
      text += "listeners { port: " + std::to_string(9000 + i) +
              " default_action { fixed_response { status: 200 } } }";
    return text;
  }();
  const Case cases[] = {
      {"", "listeners", "at least 1"},
      {many.c_str(), "listeners", "51 entries; at most 50"},
      {"proxy_selector { key: 'A' }", "proxy_selector[A]", "[a-z0-9]"},
      {"idle_timeout { seconds: 4001 }", "idle_timeout", "is not within 1s-1h6m40s"},
      {"client_keep_alive { }", "client_keep_alive", "0 is not within 1s-24h"},
      {"x_forwarded_for_mode: 8", "x_forwarded_for_mode", "8 is not a mode"},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.content);
    v1::CreateLoadBalancerRequest request;
    *request.mutable_load_balancer() = Parse<v1::LoadBalancer>(c.content);
    request.set_load_balancer_id("lb");
    ExpectError(Try(request), c.code, std::string("load_balancer.") + c.field, c.fragment);
  }
}

TEST_F(RulesTest, Listener) {
  PlayLab();
  const std::string ok = "default_action { fixed_response { status: 200 } } ";
  const Case cases[] = {
      {"port: 0", "port", "0 is not within 1-65535"},
      {"port: 8080", "port", "8080 is a listener's port of loadBalancers/shop already",
       StatusCode::kAlreadyExists},
      {"port: 1 protocol: 9", "protocol", "9 is not a protocol"},
      {"port: 1 address: '1.2.3'", "address", "\"1.2.3\" is not an IPv4 or IPv6 address"},
      {"port: 1 address: '1.2.3.04'", "address", "is not an IPv4"},
      {"port: 1 address: '1::2::3'", "address", "is not an IPv4"},
      {"port: 1 rules { priority: 0 conditions { path_pattern { values: '/a' } } action { "
       "fixed_response { "
       "status: 200 } } }",
       "rules[0].priority", "0 is not within 1-50000"},
      {"port: 1 rules { priority: 1 conditions { path_pattern { values: '/a' } } action { "
       "fixed_response { "
       "status: 200 } } }"
       "rules { priority: 1 conditions { path_pattern { values: '/b' } } action { fixed_response { "
       "status: "
       "200 } } }",
       "rules[1].priority", "1 is the priority of rules[0] already"},
      {"port: 1 rules { priority: 1 action { fixed_response { status: 200 } } }",
       "rules[0].conditions", "at least 1"},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.content);
    v1::CreateLoadBalancerRequest request;
    *request.mutable_load_balancer()->add_listeners() = Parse<v1::Listener>(ok + c.content);
    request.set_load_balancer_id("lb");
    ExpectError(Try(request), c.code, std::string("load_balancer.listeners[0].") + c.field,
                c.fragment);
  }
}

TEST_F(RulesTest, APortIsTakenOnlyWhereProxiesAndAddressesOverlap) {
  PlayLab();
  Do<v1::LoadBalancer>(
      Parse<v1::CreateLoadBalancerRequest>(R"(load_balancer_id: "edge" load_balancer {
    proxy_selector { key: "tier" value: "edge" } listeners { port: 9000 address: "10.0.0.1" default_action { fixed_response { status: 200 } } } })"));
  struct Overlap {
    const char* content;
    bool is_taken;
  };
  const Overlap cases[] = {
      {R"(listeners { port: 9000 })", true},
      {R"(listeners { port: 9000 address: "10.0.0.1" })", true},
      {R"(listeners { port: 9000 address: "0.0.0.0" })", true},
      {R"(listeners { port: 9000 address: "::ffff:10.0.0.1" })", true},
      {R"(listeners { port: 9000 address: "0::0" })", true},
      {R"(listeners { port: 9000 address: "10.0.0.2" })", false},
      {R"(listeners { port: 9000 address: "::1" })", false},
      {R"(listeners { port: 9001 })", false},
      {R"(proxy_selector { key: "tier" value: "inner" } listeners { port: 9000 })", false},
      {R"(proxy_selector { key: "zone" value: "a" } listeners { port: 9000 })", true},
      {R"(proxy_selector { key: "tier" value: "inner" } listeners { port: 8080 })",
       true},  // "shop" is on every proxy
  };
  for (const Overlap& c : cases) {
    SCOPED_TRACE(c.content);
    v1::CreateLoadBalancerRequest request;
    auto& balancer = *request.mutable_load_balancer();
    balancer = Parse<v1::LoadBalancer>(c.content);
    balancer.mutable_listeners(0)->mutable_default_action()->mutable_fixed_response()->set_status(
        200);
    request.set_load_balancer_id("lb");
    EXPECT_EQ(Try(request).code(), c.is_taken ? StatusCode::kAlreadyExists : StatusCode::kOk)
        << Try(request);
  }
}

TEST_F(RulesTest, Condition) {
  PlayLab();
  const Case cases[] = {
      {"", "", "must be one of host_header, path_pattern"},
      {"path_pattern { values: 'admin/*' }", ".path_pattern.values[0]", "never matches"},
      {"path_pattern { values: '' }", ".path_pattern.values[0]", "must not be empty"},
      {"host_header { values: 'a b' }", ".host_header.values[0]", "no host name has"},
      {"host_header { values: ['a','b','c','d','e','f'] }", ".host_header.values",
       "6 entries; at most 5"},
      {"http_header { http_header_name: 'X Y' values: 'a' }", ".http_header.http_header_name",
       "not a header's name"},
      {"http_header { http_header_name: 'X' }", ".http_header.values", "at least 1"},
      {"http_request_method { values: 'GE T' }", ".http_request_method.values[0]", "not a method"},
      {"http_request_method { values: 'get' }", ".http_request_method.values[0]",
       "\"get\" is not a method"},
      {"http_request_method { values: 'GET1' }", ".http_request_method.values[0]", "A-Z, - and _"},
      {"query_string { values { key: 'a' } }", ".query_string.values[0].value",
       "must not be empty"},
      {"source_ip { values: '10.0.0.0/33' }", ".source_ip.values[0]", "is not a CIDR block"},
      {"source_ip { values: '10.0.0/8' }", ".source_ip.values[0]", "is not a CIDR block"},
      {"source_ip { values: '::1/129' }", ".source_ip.values[0]", "is not a CIDR block"},
  };
  const auto request_of = [](const std::string& content) {
    v1::CreateLoadBalancerRequest request;
    request.set_load_balancer_id("lb");
    auto& listener = *request.mutable_load_balancer()->add_listeners();
    listener = Parse<v1::Listener>(
        "port: 1 default_action { fixed_response { status: 200 } } "
        "rules { priority: 1 action { fixed_response { status: 200 } } }");
    *listener.mutable_rules(0)->add_conditions() = Parse<v1::Condition>(content);
    return request;
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.content);
    ExpectError(Try(request_of(c.content)), c.code,
                std::string("load_balancer.listeners[0].rules[0].conditions[0]") + c.field,
                c.fragment);
  }
  for (const char* good :
       {"source_ip { values: '::1/128' }", "source_ip { values: '10.0.0.1' }",
        "source_ip { values: '2001:db8::/32' }", "host_header { values: '*.example.com' }",
        "http_header { http_header_name: 'X-A' values: '*Chrome*' }",
        "query_string { values { value: 'x' } }", "path_pattern { values: '*.php' }"}) {
    EXPECT_TRUE(Try(request_of(good)).ok()) << good << ": " << Try(request_of(good));
  }
}

TEST_F(RulesTest, Action) {
  PlayLab();
  const Case cases[] = {
      {"", "", "must be one of forward"},
      {"forward { }", ".forward.target_groups", "at least 1"},
      {"forward { target_groups { target_group: 'x' } }", ".forward.target_groups[0].target_group",
       "there is no targetGroups/x"},
      {"forward { target_groups { target_group: 'blue' weight: 1000 } }",
       ".forward.target_groups[0].weight", "1000 is not within 0-999"},
      {"forward { target_groups { target_group: 'blue' weight: 0 } }", ".forward.target_groups",
       "at least one weight must be above 0"},
      {"forward { target_groups { target_group: 'blue' } target_groups { target_group: 'blue' } }",
       ".forward.target_groups[1].target_group", "named twice"},
      {"fixed_response { status: 302 }", ".fixed_response.status",
       "302 is not within 200-299 or 400-599"},
      {"fixed_response { status: 204 body: 'x' }", ".fixed_response.body", "a 204 has no body"},
      {"fixed_response { status: 200 content_type: 'html' }", ".fixed_response.content_type",
       "\"html\" is not a media type"},
      {"fixed_response { status: 200 content_type: 'a\\r\\nb: c' }", ".fixed_response.content_type",
       "control character"},
      {"redirect { status: 307 path: '/x' }", ".redirect.status", "307 is neither 301 nor 302"},
      {"redirect { protocol: 'http' }", ".redirect.protocol",
       "\"http\" is not HTTP, HTTPS or #{protocol}"},
      {"redirect { port: '0' }", ".redirect.port", "\"0\" is neither a number within 1-65535"},
      {"redirect { path: 'x' }", ".redirect.path", "\"x\" does not start with '/'"},
      {"redirect { host: '#{hosst}' }", ".redirect.host",
       "\"#{hosst}\" is not a placeholder that may stand here; these may: #{host}"},
      {"redirect { path: '/#{path' }", ".redirect.path", "\"#{path\" is not a placeholder"},
      {"redirect { path: '/x' query: '?a' }", ".redirect.query", "starts with '?'"},
      {"redirect { port: '080' }", ".redirect.port", "\"080\" is neither"},
      {"redirect { host: 'example.com:8443' }", ".redirect.host",
       "\"example.com:8443\" holds a character that may not stand here"},
      {"redirect { host: '#{path}' }", ".redirect.host", "\"#{path}\" is not a placeholder"},
      {"redirect { path: '/#{query}' }", ".redirect.path", "\"#{query}\" is not a placeholder"},
      {"redirect { path: '/a b' }", ".redirect.path", "\"/a b\" holds a character"},
      {"redirect { path: '/a?b' }", ".redirect.path", "\"/a?b\" holds a character"},
      {"redirect { path: '/a#b' }", ".redirect.path", "\"/a#b\" holds a character"},
      {"redirect { query: 'a=b' }", ".redirect", "would loop"},
      {"redirect { protocol: 'HTTP' }", ".redirect", "would loop"},
      {"redirect { protocol: 'HTTP' port: '1' }", ".redirect", "would loop"},
      {"redirect { protocol: '#{protocol}' host: '#{host}' path: '/#{path}' }", ".redirect",
       "would loop"},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.content);
    v1::CreateLoadBalancerRequest request;
    request.set_load_balancer_id("lb");
    auto& listener = *request.mutable_load_balancer()->add_listeners();
    listener.set_port(1);
    *listener.mutable_default_action() = Parse<v1::Action>(c.content);
    ExpectError(Try(request), c.code,
                std::string("load_balancer.listeners[0].default_action") + c.field, c.fragment);
  }
}

TEST_F(RulesTest, ARedirectNeverGoesFromHttpsToHttp) {
  const auto request =
      Parse<v1::CreateLoadBalancerRequest>(R"(load_balancer_id: "lb" load_balancer {
    listeners { port: 443 protocol: PROTOCOL_HTTPS default_action { redirect { protocol: "HTTP" } } } })");
  ExpectError(Try(request), StatusCode::kInvalidArgument,
              "load_balancer.listeners[0].default_action.redirect.protocol",
              "never redirects to HTTP");
  auto to_itself = request;
  to_itself.mutable_load_balancer()
      ->mutable_listeners(0)
      ->mutable_default_action()
      ->mutable_redirect()
      ->set_protocol("HTTPS");
  ExpectError(Try(to_itself), StatusCode::kInvalidArgument,
              "load_balancer.listeners[0].default_action.redirect", "would loop");
}

TEST_F(RulesTest, EveryMistakeOfARequestIsTold) {
  v1::CreateTargetGroupRequest request;
  *request.mutable_target_group() = Parse<v1::TargetGroup>(
      R"(health_check { path: "x" port: -1 matcher: "no" } deregistration_delay { seconds: -1 })");
  const absl::Status status = Try(request);
  EXPECT_EQ(ViolationsOf(status).size(), 5U) << status;
}

TEST_F(RulesTest, Image) {
  RegisterImage image;
  image.image.set_name("images/x");
  image.image.set_digest("sha256:" + std::string(64, 'A'));
  image.image.set_size_bytes(1);
  ExpectError(Try(image), StatusCode::kInvalidArgument, "digest", "64 lowercase hex digits");
  image.image.set_digest("sha256:" + std::string(64, 'a'));
  image.image.set_size_bytes(0);
  ExpectError(Try(image), StatusCode::kInvalidArgument, "size_bytes", "0 is not within");
  image.image.set_size_bytes(1);
  auto* signature = image.image.add_signatures();
  signature->set_signature(std::string(64, 's'));
  ExpectError(Try(image), StatusCode::kInvalidArgument, "signatures[0].key_id", "must have 1 to");
  signature->set_key_id("ed25519:1");
  signature->set_signature("short");
  ExpectError(Try(image), StatusCode::kInvalidArgument, "signatures[0].signature", "5 bytes");
}

}  // namespace
}  // namespace remuda::core
