#include "common/message_yaml.h"

#include <gmock/gmock.h>
#include <google/protobuf/util/message_differencer.h>
#include <gtest/gtest.h>

#include "common/duration_text.h"
#include "remuda/proxy/v1/config.pb.h"
#include "remuda/v1/auto_scaling.pb.h"
#include "remuda/v1/deployment.pb.h"
#include "remuda/v1/image.pb.h"
#include "remuda/v1/launch_template.pb.h"
#include "remuda/v1/load_balancer.pb.h"
#include "remuda/v1/secret.pb.h"
#include "remuda/v1/target_group.pb.h"

namespace remuda {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

template <typename M>
std::string ErrorOf(std::string_view text) {
  M message;
  return std::string(ParseMessageYaml(text, "f.yaml", &message).message());
}

template <typename M>
M Parsed(std::string_view text) {
  M message;
  const absl::Status status = ParseMessageYaml(text, "f.yaml", &message);
  EXPECT_TRUE(status.ok()) << status;
  return message;
}

TEST(MessageYaml, ReadsEveryKindOfField) {
  const auto group = Parsed<v1::TargetGroup>(R"(
name: blue
protocol: HTTP
health_check: {path: /health, interval: 1s, timeout: 500ms, healthyThreshold: 2}
deregistrationDelay: 1m30s
algorithm: BALANCING_ALGORITHM_ROUND_ROBIN
labels: {tier: "1", 2: two}
createTime: 2026-11-22T14:00:00.5Z
)");
  EXPECT_EQ(group.name(), "blue");
  EXPECT_EQ(group.protocol(), v1::PROTOCOL_HTTP);
  EXPECT_EQ(group.health_check().interval().seconds(), 1);
  EXPECT_EQ(group.health_check().timeout().nanos(), 500'000'000);
  EXPECT_EQ(group.health_check().healthy_threshold(), 2);
  EXPECT_EQ(group.deregistration_delay().seconds(), 90);
  EXPECT_EQ(group.algorithm(), v1::BALANCING_ALGORITHM_ROUND_ROBIN);
  EXPECT_EQ(group.labels().at("tier"), "1");
  EXPECT_EQ(group.labels().at("2"), "two");
  EXPECT_EQ(group.create_time().nanos(), 500'000'000);

  const auto scaling = Parsed<v1::AutoScalingGroup>(
      "{\"min\": 0, \"max\": \"7\", \"desired\": 0, \"terminationPolicies\": [DEFAULT, "
      "OLDEST_INSTANCE],"
      " \"policies\": [{\"name\": \"rps\", \"targetTracking\": {\"target\": 1.5e2}}]}");
  EXPECT_EQ(scaling.max(), 7);
  EXPECT_TRUE(scaling.has_desired());
  EXPECT_EQ(scaling.termination_policies_size(), 2);
  EXPECT_EQ(scaling.policies(0).target_tracking().target(), 150.0);
}

TEST(MessageYaml, AnAliasIsTheSameValueAgain) {
  const auto balancer = Parsed<v1::LoadBalancer>(R"(
listeners:
  - port: 1
    defaultAction: &go {forward: {targetGroups: [{targetGroup: blue}]}}
  - {port: 2, defaultAction: *go}
)");
  EXPECT_EQ(balancer.listeners(1).default_action().forward().target_groups(0).target_group(),
            "blue");
}

struct Wrong {
  const char* what;
  const char* text;
  const char* error;  // the beginning of it
  friend void PrintTo(const Wrong& wrong, std::ostream* out) { *out << wrong.what; }
};

class WrongTargetGroup : public testing::TestWithParam<Wrong> {};
TEST_P(WrongTargetGroup, IsRefusedWithPlaceAndRule) {
  EXPECT_THAT(ErrorOf<v1::TargetGroup>(GetParam().text), StartsWith(GetParam().error));
}
INSTANTIATE_TEST_SUITE_P(
    Table, WrongTargetGroup,
    testing::Values(
        Wrong{"unknown field, near one", "name: a\nhealthCheck:\n  intervall: 1s\n",
              "f.yaml:3:3: healthCheck.intervall: unknown field; did you mean interval?"},
        Wrong{"unknown field, near none", "zzzzzzzzzzzz: 1\n",
              "f.yaml:1:1: zzzzzzzzzzzz: unknown field; there are name, "},
        Wrong{"snake and camel of one", "healthCheck: {}\nhealth_check: {}\n",
              "f.yaml:2:1: health_check: is set twice, also as healthCheck"},
        Wrong{"key twice", "name: a\nname: b\n", "f.yaml:2:1: name: this key is here twice"},
        Wrong{"unit missing", "deregistrationDelay: 10\n",
              "f.yaml:1:22: deregistrationDelay: \"10\" has no unit: write for example 10s"},
        Wrong{"unit wrong", "deregistrationDelay: 10 parsecs\n",
              "f.yaml:1:22: deregistrationDelay: \"10 parsecs\": unknown unit \" parsecs\"; units "
              "are h, m, s"},
        Wrong{"not a duration", "slowStart: soon\n",
              "f.yaml:1:12: slowStart: \"soon\" is not a duration"},
        Wrong{"duration is a map", "slowStart: {}\n",
              "f.yaml:1:12: slowStart: expected a duration like 10s, found a map"},
        Wrong{"duration too long", "slowStart: 999999999999h\n",
              "f.yaml:1:12: slowStart: \"999999999999h\" is over"},
        Wrong{"text for a number", "healthCheck: {port: http}\n",
              "f.yaml:1:21: healthCheck.port: expected a whole number, found \"http\""},
        Wrong{"fraction for a whole number", "healthCheck: {port: 1.5}\n",
              "f.yaml:1:21: healthCheck.port: expected a whole number, found \"1.5\""},
        Wrong{"octal", "healthCheck: {port: 010}\n",
              "f.yaml:1:21: healthCheck.port: expected a whole number"},
        Wrong{"over int32", "healthCheck: {port: 2147483648}\n",
              "f.yaml:1:21: healthCheck.port: \"2147483648\" is outside -2147483648 to 2147483647"},
        Wrong{"list for text", "name: [a]\n", "f.yaml:1:7: name: expected text, found a list"},
        Wrong{"text for a message", "healthCheck: /health\n",
              "f.yaml:1:14: healthCheck: expected a map of fields, found \"/health\""},
        Wrong{"list for a map", "labels: [a]\n",
              "f.yaml:1:9: labels: expected a map, found a list"},
        Wrong{"map in a map", "labels: {a: {b: c}}\n",
              "f.yaml:1:13: labels[a]: expected text, found a map"},
        Wrong{"enum", "protocol: http\n",
              "f.yaml:1:11: protocol: \"http\" is not one of HTTP, HTTPS, TCP"},
        Wrong{"enum's zero", "protocol: UNSPECIFIED\n",
              "f.yaml:1:11: protocol: \"UNSPECIFIED\" is not one of"},
        Wrong{"no value", "name:\n", "f.yaml:1:1: name: has no value"},
        Wrong{"a list alone", "[]\n", "f.yaml:1:1: expected a map of fields, found a list"},
        Wrong{"empty", "# nothing\n", "f.yaml:1:1: the file is empty"},
        Wrong{"two documents", "name: a\n---\nname: b\n", "f.yaml:3:1: a second document"},
        Wrong{"not YAML", "name: [a\n", "f.yaml:2:1: not YAML: "},
        Wrong{"merge key", "healthCheck: {<<: {path: /}}\n",
              "f.yaml:1:15: merge keys (<<) are not supported"},
        Wrong{"key is a list", "[a, b]: c\n", "f.yaml:1:1: a key must be plain text"},
        Wrong{"tag", "name: !!binary aaaa\n",
              "f.yaml:1:7: the tag tag:yaml.org,2002:binary is not supported"},
        Wrong{"a plain tag", "name: !!str aaaa\n",
              "f.yaml:1:7: the tag tag:yaml.org,2002:str is not supported"},
        Wrong{"a map's tag", "labels: !!map {a: b}\n",
              "f.yaml:1:9: the tag tag:yaml.org,2002:map is not supported"},
        Wrong{"a quote that is not closed", "name: \"never closed\n",
              "f.yaml:2:2: not YAML: the file ends within quoted text: a quote before is never"},
        Wrong{"the same before empty lines", "name: 'never closed\n\n  ",
              "f.yaml:4:2: not YAML: the file ends within quoted text"},
        Wrong{"bad UTF-8", "name: \"\xff\xfe\"\n", "f.yaml:1:7: text that is not valid UTF-8"},
        Wrong{"NUL", "name: \"a\\0b\"\n",
              "f.yaml:1:7: text that is not valid UTF-8, or holds a NUL"},
        Wrong{"time", "createTime: today\n", "f.yaml:1:13: createTime: \"today\" is not a time"}),
    [](const auto& param_info) {
      std::string name(param_info.param.what);
      std::erase_if(name, [](char c) { return !std::isalnum(static_cast<unsigned char>(c)); });
      return name;
    });

TEST(MessageYaml, RefusesTwoOfAOneof) {
  EXPECT_EQ(ErrorOf<v1::Action>("forward: {}\nredirect: {}\n"),
            "f.yaml:2:1: redirect: only one of forward and redirect may be set");
}

TEST(MessageYaml, ABoolIsTrueOrFalse) {
  EXPECT_THAT(ErrorOf<v1::Deployment>("paused: yes\n"),
              HasSubstr("expected true or false, found \"yes\""));
  EXPECT_THAT(ErrorOf<v1::Deployment>("paused: 'true'\n"), HasSubstr("expected true or false"));
}

TEST(MessageYaml, ReportsEveryMistakeUpToALimit) {
  EXPECT_EQ(ErrorOf<v1::LaunchTemplateVersion>("port: x\nimag: y\n"),
            "f.yaml:1:7: port: expected a whole number, found \"x\"\n"
            "f.yaml:2:1: imag: unknown field; did you mean image?");
  std::string many;
  for (int i = 0; i < 100; ++i) many += "f" + std::to_string(i) + ": 1\n";
  const std::string errors = ErrorOf<v1::LaunchTemplateVersion>(many);
  EXPECT_EQ(std::count(errors.begin(), errors.end(), '\n'), kMaxReportedYamlErrors - 1);
}

// RFC 3629's edges: overlong forms, surrogates, beyond U+10FFFF, cut short.
// What is wrong may be a password in the wrong place, and errors end in logs.
TEST(MessageYaml, WhatMayBeSecretIsNotInErrors) {
  for (const std::string& error :
       {ErrorOf<v1::LaunchTemplateVersion>("env: PASSWORD=hunter2\n"),
        ErrorOf<v1::Secret>("value: hunter2!\n"),
        ErrorOf<remuda::proxy::v1::ProxyConfig>("sharedSecrets: hunter2\n")}) {
    EXPECT_NE(error.find("expected "), std::string::npos) << error;
    EXPECT_NE(error.find("may be secret"), std::string::npos) << error;
    EXPECT_EQ(error.find("hunter2"), std::string::npos) << error;
  }
}

TEST(MessageYaml, TextIsStrictUtf8) {
  for (const char* good :
       {"\xC2\x80", "\xE0\xA0\x80", "\xED\x9F\xBF", "\xF0\x90\x80\x80", "\xF4\x8F\xBF\xBF"}) {
    EXPECT_EQ(Parsed<v1::TargetGroup>("name: 'a" + std::string(good) + "b'").name(),
              "a" + std::string(good) + "b");
  }
  // yaml-cpp itself mends some of these; what matters is that no broken text comes through.
  for (const char* bad : {"\xC1\xBF", "\xE0\x9F\xBF", "\xED\xA0\x80", "\xF0\x8F\xBF\xBF",
                          "\xF4\x90\x80\x80", "\xFF", "\xC2"}) {
    v1::TargetGroup group;
    const absl::Status status =
        ParseMessageYaml("name: 'a" + std::string(bad) + "b'", "f.yaml", &group);
    EXPECT_TRUE(!status.ok() || group.name().find(bad) == std::string::npos) << status;
  }
}

TEST(MessageYaml, ABombOfAliasesIsBounded) {
  // No message of ours holds itself, so a bomb is wide, not deep: 120,000 aliases to six values
  // each.
  std::string items = "*b";
  for (int i = 0; i < 120'000; ++i) items += ", *b";
  EXPECT_THAT(
      ErrorOf<v1::LoadBalancer>("listeners: [&b {rules: [{}, {}, {}, {}, {}]}, " + items + "]\n"),
      HasSubstr("values after aliases are followed"));
}

TEST(MessageYaml, NestingAndSizeAreBounded) {
  EXPECT_THAT(ErrorOf<v1::TargetGroup>(std::string(200, '[') + std::string(200, ']')),
              HasSubstr("nested deeper than 64"));
  EXPECT_THAT(ErrorOf<v1::TargetGroup>(std::string(100'000, '{')), StartsWith("f.yaml:1:"));
  std::string dashes;
  for (int i = 0; i < 100; ++i) dashes += "- ";
  EXPECT_THAT(ErrorOf<v1::TargetGroup>(dashes + "a"), HasSubstr("nested deeper than 64"));
  EXPECT_THAT(ErrorOf<v1::TargetGroup>(std::string(kMaxYamlBytes + 1, ' ')),
              HasSubstr("more than 8388608 bytes"));
}

TEST(MessageYaml, ACycleOfAliasesEnds) {
  EXPECT_FALSE(ErrorOf<v1::LoadBalancer>("listeners: &a [*a]\n").empty());
  EXPECT_FALSE(ErrorOf<v1::LoadBalancer>("listeners: [&a {rules: [*a]}]\n").empty());
}

TEST(SourceMap, FindsAFieldOrWhatIsAroundIt) {
  v1::LoadBalancer balancer;
  SourceMap map;
  auto documents = ParseYaml(
      "kind: LoadBalancer\nlisteners:\n  - port: 80\n    defaultAction:\n      fixedResponse: {}\n"
      "labels: {a.b: c}\n",
      "f.yaml");
  ASSERT_TRUE(documents.ok());
  ASSERT_TRUE(MessageFromYaml(*documents->front().root,
                              {.file_name = "f.yaml",
                               .path_prefix = "resources[2].load_balancer",
                               .ignored_keys = {"kind"}},
                              &balancer, &map)
                  .ok());
  struct Case {
    const char* path;
    int line;
    const char* written;
  };
  for (const Case& c : std::initializer_list<Case>{
           {"resources[2].load_balancer.listeners[0].port", 3, "listeners[0].port"},
           {"resources[2].load_balancer.listeners[0].default_action.fixed_response.status", 5,
            "listeners[0].defaultAction.fixedResponse.status"},
           {"resources[2].load_balancer.listeners[1]", 2, "listeners[1]"},
           {"resources[2].load_balancer.labels[a.b]", 6, "labels[a.b]"},
           {"resources[2].load_balancer.name", 1, "name"},
           {"resources[2].load_balancer", 1, ""},
           {"resources[7].x", 1, "resources[7].x"}}) {
    const SourceMap::Place place = map.Find(c.path);
    EXPECT_EQ(place.position.line, c.line) << c.path;
    EXPECT_EQ(place.path, c.written) << c.path;
  }
}

TEST(MessagePrint, WritesWhatCanBeReadBack) {
  v1::LaunchTemplateVersion message;
  message.set_name("launchTemplates/shop");
  message.add_command("node");
  message.add_command("--x: y # z");
  message.add_command("");
  auto& env = *message.mutable_env();
  env["A"] = "true";
  env["B"] = "8080";
  env["C"] = "null";
  env["D"] = "line\nbreak\t\"quoted\" \xE2\x82\xAC";
  env["E"] = "2026-11-22";
  env["yes"] = "~";
  env["F"] = " led by a space";
  env["G"] = "<<";
  message.mutable_stop_grace()->set_nanos(500'000'000);
  message.mutable_create_time()->set_seconds(1'790'000'000);
  for (const std::string& text : {MessageToYaml(message), MessageToJson(message)}) {
    const auto again = Parsed<v1::LaunchTemplateVersion>(text);
    EXPECT_TRUE(google::protobuf::util::MessageDifferencer::Equals(message, again)) << text;
  }
  EXPECT_THAT(MessageToYaml(message), HasSubstr("B: \"8080\""));
  EXPECT_THAT(MessageToYaml(message), HasSubstr("stopGrace: 500ms"));
}

TEST(MessagePrint, JsonIsWellFormed) {
  v1::TargetGroup message;
  EXPECT_EQ(MessageToJson(message), "{}\n");
  message.set_protocol(v1::PROTOCOL_HTTP);
  message.mutable_health_check()->set_port(1);
  EXPECT_EQ(MessageToJson(message, {{"kind", "TargetGroup"}}),
            "{\n  \"kind\": \"TargetGroup\",\n  \"protocol\": \"HTTP\",\n  \"healthCheck\": {\n    "
            "\"port\": 1\n  }\n}\n");
}

TEST(MessagePrint, BytesAreBase64) {
  v1::PushImageRequest message;
  message.set_chunk(std::string("\0\xff", 2));
  EXPECT_EQ(Parsed<v1::PushImageRequest>(MessageToYaml(message)).chunk(), message.chunk());
}

TEST(DurationText, ParsesAndFormats) {
  struct Case {
    const char* text;
    int64_t seconds;
    int32_t nanos;
    const char* formatted;
  };
  for (const Case& c : std::initializer_list<Case>{{"0s", 0, 0, "0s"},
                                                   {"1s", 1, 0, "1s"},
                                                   {"500ms", 0, 500'000'000, "500ms"},
                                                   {"1m30s", 90, 0, "90s"},
                                                   {"1.5s", 1, 500'000'000, "1.5s"},
                                                   {"2h", 7200, 0, "7200s"},
                                                   {"0.5h", 1800, 0, "1800s"},
                                                   {"1us", 0, 1000, "1us"},
                                                   {"1.0000005s", 1, 500, "1.0000005s"},
                                                   {"-1.5s", -1, -500'000'000, "-1.5s"}}) {
    google::protobuf::Duration duration;
    EXPECT_EQ(ParseDuration(c.text, &duration), std::nullopt) << c.text;
    EXPECT_EQ(duration.seconds(), c.seconds) << c.text;
    EXPECT_EQ(duration.nanos(), c.nanos) << c.text;
    EXPECT_EQ(FormatDuration(duration), c.formatted);
  }
  google::protobuf::Duration duration;
  for (const char* wrong :
       {"", "-", "s", "1", "1.s", ".5s", "1 s", "1d", "inf", "1e3s", "9999999999999s", "1s2"}) {
    EXPECT_NE(ParseDuration(wrong, &duration), std::nullopt) << wrong;
  }
}

TEST(NearestWord, SuggestsOnlyWhatIsNear) {
  EXPECT_EQ(NearestWord("intervall", {"interval", "timeout"}), "interval");
  EXPECT_EQ(NearestWord("health-check", {"healthCheck", "name"}), "healthCheck");
  EXPECT_EQ(NearestWord("xyz", {"interval", "timeout"}), "");
}

}  // namespace
}  // namespace remuda
