// What the controller lets in, proxies take. Each state that commands make is turned into the view
// of a proxy, and the proxy's own compiler must accept it: a view that it refuses would keep it
// from every later change. Prints the seed that fails.
#include <google/protobuf/message.h>

#include <map>
#include <random>

#include "controller/certificate_reader.h"
#include "controller/core/model/limits.h"
#include "controller/core/views/proxy_config.h"
#include "proxy/core/routing_table.h"
#include "proxy/tls/compiler.h"
#include "remuda/proxy/v1/proxy.pb.h"
#include "tests/unit/controller/core/door/execute_fixture.h"
#include "tests/unit/proxy/tls/test_certificates.h"

namespace remuda::core {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using proxy::testing::MakeCertificate;

constexpr unsigned kSeeds = 60;
constexpr int kCommandsASeed = 40;

// What is valid, with all kinds of conditions, actions, transforms and policies: a mutation of it
// is mostly valid too.
constexpr char kWorld[] = R"(
  resources { target_group { name: "web" protocol: PROTOCOL_HTTP
    algorithm: BALANCING_ALGORITHM_CONSISTENT_HASH consistent_hash { header: "X-Key" }
    slow_start { seconds: 30 } stickiness { type: TYPE_APP_COOKIE cookie_name: "sid" }
    passive_ejection { consecutive_failures: 3 } concurrency_limit { max_requests: 5 }
    target_group_health { minimum_healthy_percent: 10 } request_hold { max_requests: 5 } health_check { path: "/health" matcher: "200,301-302" } } }
  resources { target_group { name: "secure" protocol: PROTOCOL_HTTPS algorithm: BALANCING_ALGORITHM_WEIGHTED_RANDOM
    anomaly_mitigation: true target_tls { verify: VERIFY_FULL server_name: "a.example" } } }
  resources { target_group { name: "bytes" protocol: PROTOCOL_TCP proxy_protocol: PROXY_PROTOCOL_VERSION_2 } }
  resources { certificate { name: "shop" } }
  resources { load_balancer { name: "plain" listeners { port: 80 protocol: PROTOCOL_HTTP address: "10.0.0.1"
    rules { priority: 1 conditions { host_header { values: "*.example.com" } } action { redirect { protocol: "HTTPS" port: "443" } } }
    rules { priority: 2 conditions { path_pattern { values: "/a/*" } } action { redirect { host: "www.#{host}" path: "/b/#{path}" query: "q=#{query}" } } }
    rules { priority: 3 conditions { http_header { http_header_name: "X-A" values: "*x*" } } action { fixed_response { status: 200 content_type: "text/html" body: "x" } } }
    rules { priority: 4 conditions { http_request_method { values: "GET" } } conditions { query_string { values { key: "a" value: "b*" } } } action { fixed_response { status: 404 } } }
    rules { priority: 5 conditions { source_ip { values: "10.0.0.0/8" } } action { forward { target_groups { target_group: "web" weight: 1 } target_groups { target_group: "secure" } stickiness_duration { seconds: 60 } } } }
    rules { priority: 6 conditions { host_header { regex_values: "a|b" } } conditions { http_header { http_header_name: "X-B" regex_values: "^x" } } action { forward { target_groups { target_group: "web" } } }
      transforms { host_header_rewrite { regex: "^(.*)$" replace: "$1.b" } } transforms { url_rewrite { regex: "^/a" replace: "/$$" } } }
    rules { priority: 7 conditions { path_pattern { regex_values: "/x.*" } } action { fixed_response { status: 204 } } }
    default_action { forward { target_groups { target_group: "web" } } } proxy_protocol_sources: "10.0.0.0/8" } } }
  resources { load_balancer { name: "tls" idle_timeout { seconds: 30 } proxy_selector { key: "tier" value: "edge" }
    listeners { port: 443 protocol: PROTOCOL_HTTPS certificates: "shop" mutual_authentication { mode: MODE_VERIFY }
      default_action { redirect { host: "b.example" } } }
    listeners { port: 8443 protocol: PROTOCOL_TLS certificates: "shop" default_action { forward { target_groups { target_group: "bytes" } } } }
    listeners { port: 9000 protocol: PROTOCOL_TCP default_action { forward { target_groups { target_group: "bytes" } } } } } }
  resources { load_balancer { name: "other" listeners { port: 80 address: "10.0.0.2" default_action { fixed_response { status: 404 } } } } }
)";

// `count` times 500 instructions of RE2's, some 15,000 of which fit. Without case it takes twice as
// many, since each range becomes two.
std::string LargeRegex(int count) {
  std::string text;
  for (int i = 0; i < count; ++i) text += "[\\xe0-\\xf6]{500}";
  return text;
}

// Values that one side or the other may have an opinion on, by the name of the field.
const std::vector<std::string>& TextsFor(const std::string& field) {
  static const std::string pem = MakeCertificate({.is_authority = true}).pem;
  static const std::vector<std::string> kAny = {"",
                                                "x",
                                                "/",
                                                " ",
                                                "*",
                                                "\xc3\xa9",
                                                "a\tb",
                                                "a\nb",
                                                std::string("\0x", 2),
                                                std::string(129, 'z')};
  static const std::vector<std::string> kAddresses = {
      "",       "10.0.0.1",   "10.0.0.2",        "0.0.0.0",         "::",
      "::1",    "0::0",       "::ffff:10.0.0.1", "1:2:3:4:5:6:7::", "10.0.0.01",
      "10.0.0", "fe80::1%lo", "[::1]",           "localhost",       std::string("10.0.0.1\0", 9)};
  static const std::vector<std::string> kCidrs = {"10.0.0.0/8",
                                                  "10.0.0.1",
                                                  "::/0",
                                                  "0.0.0.0/0",
                                                  "10.0.0.0/33",
                                                  "10.0.0.0/",
                                                  "10.0.0.0/+8",
                                                  "10.0.0.0/08",
                                                  "::1/128",
                                                  "::1/129",
                                                  std::string("10.0.0.0\0/8", 11),
                                                  "::ffff:10.0.0.0/104"};
  static const std::vector<std::string> kRegexes = {"a",
                                                    "(",
                                                    "",
                                                    "[[:alpha:]]+",
                                                    "\\d{3}",
                                                    "(a)(b)",
                                                    "a{1001}",
                                                    "(?i)x",
                                                    "(((((((((((a)))))))))))",
                                                    "^/(.*)$",
                                                    "\xc3\xa9",
                                                    LargeRegex(4),
                                                    LargeRegex(12),
                                                    LargeRegex(20),
                                                    LargeRegex(31),
                                                    std::string(512, 'a'),
                                                    std::string(513, 'a'),
                                                    "((a{100}){10}){10}"};
  static const std::map<std::string, std::vector<std::string>> kByField = {
      {"HostHeaderCondition.values",
       {"*.example.com", "EXAMPLE.com", "a_b", "[::1]", "a.com:80", "*:80", "?", "a..b", "a.", ".a",
        "-", "a/b", "a%41", "*", "**", "a b"}},
      {"PathPatternCondition.values",
       {"/",     "/a/*",    "*",       "?x",   "/a b",  "/a%2fb", "/a%2Fb", "/%41",  "/%zz",
        "/%",    "/a/../b", "/..",     "/./a", "/a//b", "/a?b",   "/a#b",   "*.php", "/%2e%2e/a",
        "/a\\b", "/a/..",   "/*/../b", "a",    "/%3F*", "/;a=b",  "/\""}},
      {"HttpRequestMethodCondition.values",
       {"GET", "get", "G*", "PURGE", "M-SEARCH", "A_B", "GET1", "GE T", "A.B", std::string(32, 'A'),
        std::string(33, 'A'), std::string(41, 'A')}},
      {"target_group", {"web", "secure", "bytes", "targetGroups/web"}},
      {"http_header_name", {"X-A", "x y", "Host", "a:b", std::string(40, 'a')}},
      {"HttpHeaderCondition.values", {"*x*", "\\*", "a\tb"}},
      {"key", {"a", "\\*", "\\", "%41", "a=b"}},
      {"value", {"a", "\\*", "\\", "%41", "edge"}},
      {"SourceIpCondition.values", kCidrs},
      {"proxy_protocol_sources", kCidrs},
      {"address", kAddresses},
      {"regex_values", kRegexes},
      {"regex", kRegexes},
      {"replace",
       {"$1", "$2", "$9", "$0", "$", "$$", "a$", "$$1", "$x", std::string(1024, 'a'),
        std::string(1025, 'a')}},
      {"content_type",
       {"text/html", "html", "/html", "text/", "text/html; charset=utf-8", "a/b/c", "a/\t"}},
      {"body", {"x", std::string(1024, 'b'), std::string(1025, 'b')}},
      {"protocol", {"HTTP", "HTTPS", "#{protocol}", "http", "ftp"}},
      {"host",
       {"#{host}", "www.#{host}", "example.com:8443", "#{path}", "#{protocol}.a", "a_b", "[::1]",
        "a/b", "#{", "#{host", "a#b", "*.a"}},
      {"port",
       {"#{port}", "80", "443", "8443", "0", "080", "65536", "4#{port}", "#{host}", "+80", "80 "}},
      {"path",
       {"/#{path}", "/a b", "/a?b", "/a#b", "/#{query}", "/#{port}/#{host}", "/%zz", "a", "/#{path",
        "/#{protocol}", "/a\"b", "/health", "/a{b}", "//"}},
      {"query", {"#{query}", "?a", "a=b", "a b", "#{path}#{query}", "a#b", "#{user}", "a?b"}},
      {"certificates", {"shop", "certificates/shop", "none"}},
      {"ca_pem",
       {pem, pem + pem, "no PEM", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
        pem + "x", pem.substr(0, pem.size() / 2)}},
      {"server_name",
       {"a.example", "A.example.", "1.2.3.4", "::1", "a b", "*.example", "a..b", "a_b",
        std::string(64, 'a'), "a.1", "-", std::string(250, 'a')}},
      {"matcher",
       {"200", "200,202", "200-299,300-499", "500", "200-199", "2xx", "200, 202", ",200", "200,",
        "0200", "+200"}},
      {"header", {"X-Key", "x y"}},
      {"cookie", {"sid", "a=b", std::string(256, 'c'), std::string(257, 'c')}},
      {"cookie_name", {"sid", "REMUDA", "REMUDAX", "remuda", "a b", std::string(256, 'c')}},
  };
  const auto it = kByField.find(field);
  return it == kByField.end() ? kAny : it->second;
}

// A field's key there: several kinds of conditions have values.
std::string KeyOf(const FieldDescriptor& field) {
  return field.name() == "values" ? field.containing_type()->name() + ".values" : field.name();
}

class Mutator {
 public:
  explicit Mutator(unsigned seed) : random_(seed) {}

  int Below(size_t n) { return static_cast<int>(random_() % n); }
  template <class T>
  const T& OneOf(const std::vector<T>& values) {
    return values[static_cast<size_t>(Below(values.size()))];
  }

  // One field somewhere in `message` gets another value, is left out, or gets one more.
  void Mutate(Message& message) {
    const auto* type = message.GetDescriptor();
    if (type->full_name() == "google.protobuf.Duration") return SetDuration(message);
    const FieldDescriptor* field = type->field(Below(static_cast<size_t>(type->field_count())));
    if (field->is_map()) return;
    const auto* reflection = message.GetReflection();
    if (field->cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE) {
      if (!field->is_repeated()) return Mutate(*reflection->MutableMessage(&message, field));
      const int size = reflection->FieldSize(message, field);
      if (size > 0 && Below(8) > 0)
        return Mutate(
            *reflection->MutableRepeatedMessage(&message, field, Below(static_cast<size_t>(size))));
      return Mutate(*reflection->AddMessage(&message, field));
    }
    if (Below(10) == 0) return reflection->ClearField(&message, field);
    Set(message, field);
  }

 private:
  void SetDuration(Message& message) {
    static const std::vector<std::pair<int64_t, int>> kDurations = {
        {0, 0},           {0, 1},          {0, 9'999'999},    {0, 10'000'000},
        {0, 49'999'999},  {0, 50'000'000}, {0, 99'999'999},   {0, 100'000'000},
        {0, 999'999'999}, {1, 0},          {59, 999'999'999}, {60, 0},
        {60, 1},          {120, 1},        {300, 0},          {300, 1},
        {350, 0},         {900, 1},        {3600, 0},         {3600, 1},
        {4000, 1},        {6000, 1},       {86'400, 1},       {604'800, 0},
        {604'800, 1},     {-1, 0},         {1, -1},           {INT64_MAX, 999'999'999}};
    const auto& [seconds, nanos] = OneOf(kDurations);
    auto& duration = static_cast<google::protobuf::Duration&>(message);
    duration.set_seconds(seconds);
    duration.set_nanos(nanos);
  }

  int NumberFor(const std::string& field) {
    static const std::vector<int> kAny = {-1,  0,   1,    2,    5,      10,     11,    100,
                                          101, 999, 1000, 1001, 10'000, 10'001, 50'001};
    static const std::vector<int> kPorts = {0, 1, 80, 443, 8443, 9000, 65'535, 65'536};
    static const std::vector<int> kStatuses = {200, 204, 205, 299, 300, 301, 302,
                                               304, 307, 400, 404, 599, 600};
    return OneOf(field == "port" ? kPorts : field == "status" ? kStatuses : kAny);
  }

  void Set(Message& message, const FieldDescriptor* field) {
    const auto* reflection = message.GetReflection();
    switch (field->cpp_type()) {
      case FieldDescriptor::CPPTYPE_STRING: {
        const std::string& text = OneOf(TextsFor(Below(10) == 0 ? "" : KeyOf(*field)));
        if (!field->is_repeated()) return reflection->SetString(&message, field, text);
        const int size = reflection->FieldSize(message, field);
        if (size > 0 && Below(2) == 0)
          return reflection->SetRepeatedString(&message, field, Below(static_cast<size_t>(size)),
                                               text);
        return reflection->AddString(&message, field, text);
      }
      case FieldDescriptor::CPPTYPE_INT32:
        return reflection->SetInt32(&message, field, NumberFor(field->name()));
      case FieldDescriptor::CPPTYPE_ENUM:
        if (field->is_repeated()) return;
        return reflection->SetEnumValue(&message, field, Below(7));
      case FieldDescriptor::CPPTYPE_BOOL:
        return reflection->SetBool(&message, field, Below(2) == 0);
      default:
        return;
    }
  }

  std::mt19937 random_;
};

// The resource of whichever kind it is.
Message& Inner(v1::Resource& resource) {
  const auto* kind = resource.GetDescriptor()->FindOneofByName("kind");
  const auto* reflection = resource.GetReflection();
  return *reflection->MutableMessage(&resource,
                                     reflection->GetOneofFieldDescriptor(resource, kind));
}

class ProxyAcceptsTest : public ExecuteTest {
 protected:
  ProxyAcceptsTest() : table_(std::make_shared<const proxy::RoutingTable>()) {
    auto world = Parse<v1::ApplyResourcesRequest>(kWorld);
    static const auto authority = MakeCertificate({.is_authority = true});
    static const auto shop = MakeCertificate({.names = {"shop.example"}}, &authority);
    for (v1::Resource& resource : *world.mutable_resources()) {
      if (resource.has_certificate()) {
        resource.mutable_certificate()->set_certificate_pem(shop.pem);
        resource.mutable_certificate()->set_private_key_pem(shop.key_pem);
      }
      if (resource.target_group().has_target_tls())
        resource.mutable_target_group()->mutable_target_tls()->set_ca_pem(authority.pem);
      if (resource.load_balancer().name() == "tls") {
        resource.mutable_load_balancer()
            ->mutable_listeners(0)
            ->mutable_mutual_authentication()
            ->set_ca_pem(authority.pem);
      }
    }
    base_ = std::move(world);
    Put<v1::Proxy>("p1", "name: 'proxies/p1' labels { key: 'tier' value: 'edge' }");
  }

  // Executes; what is accepted is committed, and the proxy must take the view that follows.
  template <class Request>
  bool Run(const Request& request) {
    Draft draft(state_);
    const auto answer = Execute(draft, request, Reading());
    refusal_ = answer.status();
    if (!answer.ok()) return false;
    Commit(draft);
    Push(request);
    return true;
  }

  Context Reading() const { return {seen_, now_, &ReadCertificate, &FaultOfAuthorities}; }

  void Push(const Message& cause) {
    proxy::v1::ConfigUpdate update;
    update.mutable_revision()->set_sequence(state_.commit());
    *update.mutable_upserts() = ConfigFor(state_, seen_, "p1");
    update.mutable_upserts()->add_shared_secrets(std::string(32, 's'));
    proxy::tls::Compiler compiler(1);
    const auto result = proxy::CompileUpdate(*table_, update, {.tls = &compiler});
    const auto* error = std::get_if<proxy::ConfigError>(&result);
    ASSERT_EQ(error, nullptr) << "the proxy refuses " << error->resource << ": " << error->reason
                              << "\nafter " << cause.Utf8DebugString();
    table_ = std::get<std::shared_ptr<const proxy::RoutingTable>>(result);
  }

  v1::ApplyResourcesRequest base_;
  std::shared_ptr<const proxy::RoutingTable> table_;
  absl::Status refusal_;  // of the last command
};

TEST_F(ProxyAcceptsTest, TheWorldThatIsMutated) { ASSERT_TRUE(Run(base_)) << refusal_; }

// For a text within quotes.
std::string Escaped(const std::string& text) {
  std::string out;
  for (const char c : text) out += c == '\\' ? "\\\\" : std::string(1, c);
  return out;
}

TEST_F(ProxyAcceptsTest, OddRules) {
  const std::string any = "conditions { path_pattern { values: '/odd' } } ";
  const std::string ok = " action { fixed_response { status: 200 } }";
  const std::pair<std::string, bool> cases[] = {
      {"conditions { http_request_method { values: 'get' } }" + ok, false},
      {"conditions { http_request_method { values: 'A.B' } }" + ok, false},
      {"conditions { http_request_method { values: 'M-SEARCH' } }" + ok, true},
      {any + "action { fixed_response { status: 200 content_type: 'html' } }", false},
      {any + "action { fixed_response { status: 204 body: 'x' } }", false},
      {any + "action { fixed_response { status: 204 } }", true},
      {any + "action { redirect { host: 'example.com:8443' } }", false},
      {any + "action { redirect { host: '#{path}' } }", false},
      {any + "action { redirect { path: '/#{query}' } }", false},
      {any + "action { redirect { path: '/a b' } }", false},
      {any + "action { redirect { path: '/a#b' } }", false},
      {any + "action { redirect { path: '/a?b' } }", false},
      {any + "action { redirect { port: '080' } }", false},
      {any + "action { redirect { protocol: 'HTTP' } }", false},
      {any + "action { redirect { port: '80' } }", false},
      {any + "action { redirect { path: '/#{protocol}/#{path}' query: 'h=#{host}' } }", true},
      {"conditions { host_header { regex_values: '" + Escaped(LargeRegex(20)) + "' } }" + ok,
       false},
      {"conditions { path_pattern { regex_values: '" + Escaped(LargeRegex(20)) + "' } }" + ok,
       true},
  };
  for (const auto& [rule, is_taken] : cases) {
    SCOPED_TRACE(rule);
    auto request = base_;
    for (v1::Resource& resource : *request.mutable_resources()) {
      if (resource.load_balancer().name() != "plain") continue;
      auto& added = *resource.mutable_load_balancer()->mutable_listeners(0)->add_rules();
      added = Parse<v1::Rule>(rule);
      added.set_priority(100);
    }
    EXPECT_EQ(Run(request), is_taken) << refusal_;
  }
}

// Subsets are named after groups and versions of templates.
TEST_F(ProxyAcceptsTest, LongestNames) {
  const std::string longest(limits::kIdBytes, 'a');
  const std::string launch = "launch_template { launch_template: '" + longest +
                             "' resolved_version: " + std::to_string(limits::kTemplateVersion) +
                             " }";
  Put<v1::AutoScalingGroup>(
      longest, "name: 'autoScalingGroups/" + longest + "' target_groups: 'web' " + launch);
  Put<v1::Instance>("i-1", "name: 'instances/i-1' auto_scaling_group: '" + longest + "' " + launch +
                               " state: INSTANCE_STATE_IN_SERVICE address: '10.0.0.9' port: 80 "
                               "start_time { seconds: 1 }");
  ASSERT_TRUE(Run(base_)) << refusal_;
  EXPECT_EQ(table_->groups.at("web")->members.size(), 1u);
}

TEST_F(ProxyAcceptsTest, RandomResources) {
  // Each seed begins anew: a load balancer that one has renamed would keep its port from the next.
  const State start = state_;
  int taken = 0;
  int commands = 0;
  for (unsigned seed = 0; seed < kSeeds && !HasFailure(); ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    Mutator mutator(seed);
    for (int i = 0; i < kCommandsASeed && !HasFailure(); ++i, ++commands) {
      if (i == 0) {
        state_ = start;
        table_ = std::make_shared<const proxy::RoutingTable>();
        ASSERT_TRUE(Run(base_)) << refusal_;
        continue;
      }
      if (mutator.Below(8) == 0) {
        v1::RegisterTargetsRequest request;
        request.set_target_group("web");
        request.add_targets()->set_address("10.0.0.1");
        request.mutable_targets(0)->set_port(80);
        mutator.Mutate(request);
        taken += Run(request);
        continue;
      }
      v1::ApplyResourcesRequest request;
      *request.add_resources() =
          base_.resources(mutator.Below(static_cast<size_t>(base_.resources_size())));
      for (int n = mutator.Below(4); n >= 0; --n)
        mutator.Mutate(Inner(*request.mutable_resources(0)));
      taken += Run(request);
    }
  }
  EXPECT_GT(taken, commands / 10) << "nearly all is refused at the door: this tests little";
}

}  // namespace
}  // namespace remuda::core
