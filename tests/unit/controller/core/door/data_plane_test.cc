// What the API takes and refuses of the data plane's settings, and certificates.
#include "controller/core/views/proxy_config.h"
#include "tests/unit/controller/core/door/execute_fixture.h"

namespace remuda::core {
namespace {

using absl::StatusCode;

struct Case {
  const char* content;
  const char* field;
  const char* fragment;
};

// Stands for the library: a text "PEM name,name" with the key "KEY".
CertificateFacts ReadFake(std::string_view certificate, std::string_view key) {
  if (certificate.substr(0, 4) != "PEM ")
    return {.dns_names = {},
            .expires = {},
            .fault_field = "certificate_pem",
            .fault = "is no certificate"};
  if (key != "KEY")
    return {.dns_names = {}, .expires = {}, .fault_field = "private_key_pem", .fault = "is no key"};
  return {.dns_names = {std::string(certificate.substr(4))},
          .expires = absl::FromUnixSeconds(1'900'000'000),
          .fault_field = "",
          .fault = ""};
}

std::string CheckFake(std::string_view ca_pem) {
  return ca_pem.substr(0, 4) == "PEM " ? "" : "holds no certificate";
}

class DataPlaneTest : public ExecuteTest {
 protected:
  Context Now() const override { return WithReader(); }
  Context WithReader() const { return {seen_, now_, &ReadFake, &CheckFake}; }

  template <class Answer, class Request>
  absl::StatusOr<Answer> Run(const std::string& text) {
    Draft draft(state_);
    absl::StatusOr<Answer> answer = Execute(draft, Parse<Request>(text), WithReader());
    if (answer.ok()) Commit(draft);
    return answer;
  }

  void Import(const std::string& id) {
    const auto made = Run<v1::Certificate, v1::CreateCertificateRequest>(
        "certificate_id: '" + id +
        "' certificate { certificate_pem: 'PEM a.example' private_key_pem: 'KEY' }");
    ASSERT_TRUE(made.ok()) << made.status();
  }

  absl::Status TryListener(const std::string& listener) {
    v1::CreateLoadBalancerRequest request;
    request.set_load_balancer_id("lb");
    *request.mutable_load_balancer()->add_listeners() = Parse<v1::Listener>(listener);
    return Try(request);
  }
};

TEST_F(DataPlaneTest, BalancingRules) {
  const Case cases[] = {
      {"slow_start { seconds: 901 }", "slow_start", "is not within 1s-15m"},
      {"consistent_hash { header: 'X' }", "consistent_hash", "for the algorithm CONSISTENT_HASH"},
      {"algorithm: BALANCING_ALGORITHM_CONSISTENT_HASH consistent_hash { header: 'a b' }",
       "consistent_hash.header", "\"a b\" is not a header's name"},
      {"algorithm: BALANCING_ALGORITHM_CONSISTENT_HASH consistent_hash { cookie: '' }",
       "consistent_hash.cookie", "is not a cookie's name"},
      {"anomaly_mitigation: true", "anomaly_mitigation", "WEIGHTED_RANDOM only"},
      {"stickiness { type: TYPE_DURATION_COOKIE duration { seconds: 604801 } }",
       "stickiness.duration", "is not within 1s-168h"},
      {"stickiness { type: TYPE_APP_COOKIE }", "stickiness.cookie_name", "must be a cookie's name"},
      {"stickiness { type: TYPE_APP_COOKIE cookie_name: 'REMUDAX' }", "stickiness.cookie_name",
       "does not begin with REMUDA"},
      {"stickiness { type: TYPE_DURATION_COOKIE cookie_name: 'x' }", "stickiness.cookie_name",
       "for TYPE_APP_COOKIE only"},
      {"passive_ejection { consecutive_failures: 1001 }", "passive_ejection.consecutive_failures",
       "1001 is not within 0-1000"},
      {"passive_ejection { base_time { seconds: 100 } max_time { seconds: 50 } }",
       "passive_ejection.max_time", "50s is not within 1m40s-1h"},
      {"passive_ejection { max_percent: 101 }", "passive_ejection.max_percent", "within 0-100"},
      {"concurrency_limit { max_requests: 1001 }", "concurrency_limit.max_requests",
       "1001 is not within 0-1000"},
      {"concurrency_limit { queue_timeout { seconds: 61 } }", "concurrency_limit.queue_timeout",
       "is not within 10ms-1m"},
      {"target_group_health { minimum_healthy_count: -1 }",
       "target_group_health.minimum_healthy_count", "-1 is not within 1-10000"},
      {"target_group_health { minimum_healthy_percent: 101 }",
       "target_group_health.minimum_healthy_percent", "within 0-100"},
      {"cross_zone: 7", "cross_zone", "7 is not one of its values"},
      {"target_tls { verify: VERIFY_FULL }", "target_tls", "for HTTPS and TLS groups only"},
      {"protocol: PROTOCOL_HTTPS target_tls { ca_pem: 'x' }", "target_tls.ca_pem",
       "for VERIFY_FULL only"},
      {"protocol: PROTOCOL_HTTPS target_tls { verify: VERIFY_FULL ca_pem: 'x' }",
       "target_tls.ca_pem", "holds no certificate"},
      {"protocol: PROTOCOL_HTTPS target_tls { server_name: '1.2.3.4' }", "target_tls.server_name",
       "\"1.2.3.4\" is not a DNS name"},
      {"protocol: PROTOCOL_HTTPS target_tls { server_name: '*.example' }", "target_tls.server_name",
       "is not a DNS name"},
      {"protocol: PROTOCOL_TCP stickiness { type: TYPE_DURATION_COOKIE }", "stickiness",
       "HTTP and HTTPS groups only"},
      {"protocol: PROTOCOL_TCP response_tolerance { bare_line_feeds: true }", "response_tolerance",
       "HTTP and HTTPS groups only"},
      {"request_hold { max_requests: 10001 }", "request_hold.max_requests",
       "10001 is not within 1-10000"},
      {"request_hold { max_requests: -1 }", "request_hold.max_requests",
       "-1 is not within 1-10000"},
      {"request_hold { max_bytes: 1073741825 }", "request_hold.max_bytes",
       "1073741825 is not within 0-1073741824"},
      {"request_hold { timeout { seconds: 601 } }", "request_hold.timeout", "is not within 1s-10m"},
      {"protocol: PROTOCOL_TCP request_hold {}", "request_hold", "HTTP and HTTPS groups only"},
      {"proxy_protocol: 3", "proxy_protocol", "3 is not one of its values"},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.content);
    v1::CreateTargetGroupRequest request;
    *request.mutable_target_group() = Parse<v1::TargetGroup>(c.content);
    request.set_target_group_id("blue");
    ExpectError(Try(request), StatusCode::kInvalidArgument, std::string("target_group.") + c.field,
                c.fragment);
  }
}

TEST_F(DataPlaneTest, DefaultsFollowWhatIsSet) {
  const auto made = Do<v1::TargetGroup>(Parse<v1::CreateTargetGroupRequest>(
      "target_group_id: 'blue' target_group { protocol: PROTOCOL_TCP passive_ejection { "
      "consecutive_failures: 3 } concurrency_limit { max_requests: 5 } }"));
  EXPECT_EQ(made.health_check().protocol(), v1::PROTOCOL_TCP);
  EXPECT_EQ(made.passive_ejection().base_time().seconds(), 10);
  EXPECT_EQ(made.passive_ejection().max_percent(), 20);
  EXPECT_EQ(made.concurrency_limit().max_queue(), 100);
  EXPECT_FALSE(made.has_request_hold());
  const auto holds = Do<v1::TargetGroup>(Parse<v1::CreateTargetGroupRequest>(
      "target_group_id: 'green' target_group { request_hold { max_bytes: 0 } }"));
  EXPECT_EQ(holds.request_hold().max_requests(), 100);
  EXPECT_EQ(holds.request_hold().max_bytes(), 0);
  EXPECT_EQ(holds.request_hold().timeout().seconds(), 30);
}

TEST_F(DataPlaneTest, AGroupsProtocolStays) {
  PlayLab();
  ExpectError(Try(Parse<v1::UpdateTargetGroupRequest>(
                  "target_group { name: 'blue' protocol: PROTOCOL_HTTPS } update_mask { paths: "
                  "'protocol' }")),
              StatusCode::kInvalidArgument, "target_group.protocol", "cannot change");
}

TEST_F(DataPlaneTest, ListenerRules) {
  PlayLab();
  Import("shop");
  Do<v1::TargetGroup>(Parse<v1::CreateTargetGroupRequest>(
      "target_group_id: 'bytes' target_group { protocol: PROTOCOL_TCP }"));
  const std::string http = "default_action { forward { target_groups { target_group: 'blue' } } } ";
  const std::string tcp = "default_action { forward { target_groups { target_group: 'bytes' } } } ";
  struct ListenerCase {
    std::string content;
    const char* field;  // empty: it is fine
    const char* fragment;
  };
  const ListenerCase cases[] = {
      {http + "port: 1 protocol: PROTOCOL_HTTPS", "certificates", "at least 1"},
      {http + "port: 1 protocol: PROTOCOL_HTTPS certificates: 'shop'", "", ""},
      {http + "port: 1 protocol: PROTOCOL_HTTPS certificates: 'none'", "certificates[0]",
       "there is no certificates/none"},
      {http + "port: 1 protocol: PROTOCOL_HTTPS certificates: 'shop' certificates: "
              "'certificates/shop'",
       "certificates[1]", "named twice"},
      {http + "port: 1 protocol: PROTOCOL_HTTPS certificates: 'shop' tls_policy: 9", "tls_policy",
       "9 is not a policy"},
      {http + "port: 1 protocol: PROTOCOL_HTTPS certificates: 'shop' mutual_authentication { "
              "mode: MODE_VERIFY ca_pem: 'x' }",
       "mutual_authentication.ca_pem", "holds no certificate"},
      {http + "port: 1 protocol: PROTOCOL_HTTPS certificates: 'shop' mutual_authentication { "
              "mode: MODE_VERIFY ca_pem: 'PEM a' }",
       "", ""},
      {http + "port: 1 protocol: PROTOCOL_HTTPS certificates: 'shop' mutual_authentication { "
              "mode: MODE_VERIFY }",
       "mutual_authentication.ca_pem", "is needed"},
      {http + "port: 1 certificates: 'shop'", "certificates", "HTTPS and TLS listeners only"},
      {http + "port: 1 http2: true", "http2", "HTTPS listeners only"},
      {http + "port: 1 proxy_protocol_sources: '10.0.0.0/33'", "proxy_protocol_sources[0]",
       "is not a CIDR block"},
      {http + "port: 1 tcp_idle_timeout { seconds: 60 }", "tcp_idle_timeout",
       "TCP and TLS listeners only"},
      {http + "port: 1 protocol: PROTOCOL_TCP",
       "default_action.forward.target_groups[0].target_group",
       "targetGroups/blue speaks HTTP; a TCP listener needs TCP or TLS"},
      {tcp + "port: 1", "default_action.forward.target_groups[0].target_group", "speaks TCP"},
      {tcp + "port: 1 protocol: PROTOCOL_TCP", "", ""},
      {tcp + "port: 1 protocol: PROTOCOL_TLS certificates: 'shop'", "", ""},
      {tcp + "port: 1 protocol: PROTOCOL_TCP tcp_idle_timeout { seconds: 59 }", "tcp_idle_timeout",
       "is not within 1m-1h40m"},
      {"port: 1 protocol: PROTOCOL_TCP default_action { fixed_response { status: 200 } }",
       "default_action", "TCP can only be forwarded"},
      {tcp + "port: 1 protocol: PROTOCOL_TCP rules { priority: 1 conditions { path_pattern { "
             "values: '/a' } } "
             "action { forward { target_groups { target_group: 'bytes' } } } }",
       "rules", "TCP listeners have no rules"},
      {"port: 1 default_action { forward { target_groups { target_group: 'blue' } "
       "stickiness_duration { "
       "seconds: 604801 } } }",
       "default_action.forward.stickiness_duration", "is not within 1s-168h"},
  };
  for (const ListenerCase& c : cases) {
    SCOPED_TRACE(c.content);
    const absl::Status status = TryListener(c.content);
    if (c.field[0] == '\0') {
      EXPECT_TRUE(status.ok()) << status;
      continue;
    }
    ExpectError(status, StatusCode::kInvalidArgument,
                std::string("load_balancer.listeners[0].") + c.field, c.fragment);
  }
}

TEST_F(DataPlaneTest, RewritesAndRegexes) {
  PlayLab();
  const std::string rest = " action { forward { target_groups { target_group: 'blue' } } } } ";
  const std::string base =
      "port: 1 default_action { fixed_response { status: 200 } } rules { priority: 1 ";
  std::string large;
  for (int i = 0; i < 20; ++i) large += "[\\\\xe0-\\\\xf6]{500}";
  const std::string large_without_case =
      "conditions { host_header { regex_values: '" + large + "' } }";
  const Case cases[] = {
      {"conditions { path_pattern { regex_values: '' } }",
       "conditions[0].path_pattern.regex_values[0]", "must not be empty"},
      // Without case its program is larger than a proxy allows, with case it is not.
      {large_without_case.c_str(), "conditions[0].host_header.regex_values[0]",
       "pattern too large"},
      {"conditions { path_pattern { values: '/%zz' } }", "conditions[0].path_pattern.values[0]",
       "two hex digits"},
      {"conditions { path_pattern { values: '/%0' } }", "conditions[0].path_pattern.values[0]",
       "two hex digits"},
      {"conditions { path_pattern { values: '/%00' } }", "conditions[0].path_pattern.values[0]",
       "other than 00"},
      {"conditions { http_header { http_header_name: 'x-amzn-mtls-leaf' values: 'a' } }",
       "conditions[0].http_header.http_header_name", "is made by proxies"},
      {"conditions { path_pattern { regex_values: '(' } }",
       "conditions[0].path_pattern.regex_values[0]", "missing )"},
      {"conditions { http_header { http_header_name: 'X' values: 'a' regex_values: 'b' } }",
       "conditions[0].http_header.regex_values", "cannot be set with values"},
      {"conditions { path_pattern { regex_values: '/a.*' } } transforms { }", "transforms[0]",
       "must be one of"},
      {"conditions { path_pattern { regex_values: '/a.*' } } transforms { url_rewrite { replace: "
       "'/' } }",
       "transforms[0].url_rewrite.regex", "must not be empty"},
      {"conditions { path_pattern { regex_values: '/a.*' } } transforms { url_rewrite { regex: "
       "'^/a' replace: '$2' } "
       "}",
       "transforms[0].url_rewrite.replace", "$2"},
      {"conditions { path_pattern { regex_values: '/a.*' } } transforms { url_rewrite { regex: 'a' "
       "} } transforms { "
       "url_rewrite { regex: 'b' } }",
       "transforms[1]", "one of this kind already"},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.content);
    ExpectError(TryListener(base + c.content + rest), StatusCode::kInvalidArgument,
                std::string("load_balancer.listeners[0].rules[0].") + c.field, c.fragment);
  }
  EXPECT_TRUE(TryListener(base +
                          "conditions { host_header { regex_values: 'a|b' } } conditions { "
                          "path_pattern { values: '/%41%20%7E' } } "
                          "conditions { path_pattern { regex_values: '" +
                          large +
                          "' } } transforms { url_rewrite { "
                          "regex: '^/a(.*)' replace: '/b$1' } }" +
                          rest)
                  .ok());
}

// A pattern for paths that no path can match, as paths are made canonical.
TEST_F(DataPlaneTest, PathsAndTheirPatterns) {
  PlayLab();
  const auto attempt = [&](const std::string& paths, const std::string& pattern) {
    return Try(Parse<v1::CreateLoadBalancerRequest>(
        "load_balancer { name: 'other' path_normalization { " + paths +
        " } listeners { port: 1 default_action { fixed_response { status: 200 } } rules { "
        "priority: 1 conditions { path_pattern { values: '" +
        pattern + "' } } action { fixed_response { status: 403 } } } } }"));
  };
  const std::string at = "load_balancer.listeners[0].rules[0].conditions[0].path_pattern.values[0]";
  const auto refused = [&](const std::string& paths, const std::string& pattern,
                           const std::string& why) {
    SCOPED_TRACE(paths + pattern);
    ExpectError(attempt(paths, pattern), StatusCode::kInvalidArgument, at, why);
  };
  refused("", "/a//b", "merge_slashes");
  refused("", "/a%2fb", "escaped_slashes");
  refused("escaped_slashes: ESCAPED_SLASHES_DECODE", "/a%5Cb", "escaped_slashes");
  refused("path_parameters: PATH_PARAMETERS_STRIP", "/a;b", "path_parameters");
  ExpectError(attempt("escaped_slashes: 9", "/a"), StatusCode::kInvalidArgument,
              "load_balancer.path_normalization.escaped_slashes", "9 is not one of its values");
  ExpectError(attempt("path_parameters: 9", "/a"), StatusCode::kInvalidArgument,
              "load_balancer.path_normalization.path_parameters", "9 is not one of its values");
  EXPECT_TRUE(
      attempt("merge_slashes: false escaped_slashes: ESCAPED_SLASHES_KEEP", "/a//b%2fc;d").ok());
}

TEST_F(DataPlaneTest, ACertificatesKeyStaysInside) {
  Import("shop");
  const auto shown = Run<v1::Certificate, v1::UpdateCertificateRequest>(
      "certificate { name: 'shop' "
      "certificate_pem: 'PEM b.example' }");
  ASSERT_TRUE(shown.ok()) << shown.status();
  EXPECT_EQ(shown->private_key_pem(), "");
  EXPECT_EQ(shown->dns_names(0), "b.example");
  EXPECT_EQ(shown->expire_time().seconds(), 1'900'000'000);
  EXPECT_EQ(Find<v1::Certificate>("shop")->private_key_pem(), "KEY") << "left out: as it was";
  EXPECT_EQ(LastActivity().find("KEY"), std::string::npos);
}

TEST_F(DataPlaneTest, CertificatesAreReadWhenTheyCome) {
  const Case cases[] = {
      {"certificate_pem: 'x' private_key_pem: 'KEY'", "certificate_pem", "is no certificate"},
      {"certificate_pem: 'PEM a' private_key_pem: 'x'", "private_key_pem", "is no key"},
      {"certificate_pem: 'PEM a'", "private_key_pem", "must be given"},
      {"private_key_pem: 'KEY'", "certificate_pem", "must be given"},
      {"certificate_pem: 'PEM a' private_key_pem: 'SECRET\\x1a'", "private_key_pem",
       "has a control character at byte 6"},
      {"certificate_file: '/etc/passwd'", "certificate_file", "config file of a proxy"},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.content);
    const auto made = Run<v1::Certificate, v1::CreateCertificateRequest>(
        std::string("certificate_id: 'c' certificate { ") + c.content + " }");
    ExpectError(made.status(), StatusCode::kInvalidArgument, std::string("certificate.") + c.field,
                c.fragment);
  }
}

TEST_F(DataPlaneTest, ACertificateInUseStaysAndReachesTheProxies) {
  PlayLab();
  Import("shop");
  Import("other");
  const std::string listener =
      "load_balancer_id: 'tls' load_balancer { listeners { port: 1 protocol: PROTOCOL_HTTPS "
      "certificates: 'shop' default_action { forward { target_groups { target_group: 'blue' } } } "
      "} }";
  ASSERT_TRUE((Run<v1::LoadBalancer, v1::CreateLoadBalancerRequest>(listener)).ok());
  const auto in_use =
      Run<Empty, v1::DeleteCertificateRequest>("name: 'certificates/shop'").status();
  EXPECT_EQ(in_use.code(), StatusCode::kFailedPrecondition) << in_use;
  EXPECT_TRUE((Run<Empty, v1::DeleteCertificateRequest>("name: 'certificates/other'")).ok());
  Put<v1::Proxy>("p1", "name: 'proxies/p1'");
  const auto config = ConfigFor(state_, seen_, "p1");
  ASSERT_EQ(config.certificates_size(), 1);
  EXPECT_EQ(config.certificates(0).private_key_pem(), "KEY");
}

}  // namespace
}  // namespace remuda::core
