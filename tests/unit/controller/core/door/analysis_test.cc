// What an analysis may say: a table of what is refused, and where.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <limits>
#include <string>
#include <vector>

#include "controller/core/door/validate_analysis.h"
#include "controller/core/model/limits.h"

namespace remuda::core {
namespace {

const AnalysisCommands kCommands = {"/usr/local/bin/smoke"};

// One right check of each kind, as a person writes them: with next to nothing.
v1::Analysis Written() {
  v1::Analysis analysis;
  analysis.add_checks()->mutable_error_rate();
  *analysis.add_checks()->mutable_latency()->mutable_max() = ToProto(absl::Milliseconds(500));
  analysis.add_checks()->mutable_webhook()->set_url("http://check/");
  v1::PrometheusCheck& query = *analysis.add_checks()->mutable_prometheus();
  query.set_url("http://prometheus:9090");
  query.set_query("up");
  query.set_min(1);
  analysis.add_checks()->mutable_command()->add_argv("/usr/local/bin/smoke");
  ApplyDefaults(analysis);
  return analysis;
}

std::string Fault(const v1::Analysis& analysis, const AnalysisCommands* commands = &kCommands) {
  Violations out;
  CheckAnalysis(out, FieldPath("analysis"), analysis, commands);
  return std::string(out.ToStatus().message());
}

TEST(AnalysisDoorTest, WhatIsLeftOutGetsItsValue) {
  const v1::Analysis analysis = Written();
  EXPECT_EQ(Fault(analysis), "");
  EXPECT_EQ(FromProto(analysis.duration()), absl::Seconds(60));
  EXPECT_EQ(FromProto(analysis.interval()), absl::Seconds(10));
  std::vector<std::string> names;
  for (const v1::AnalysisCheck& check : analysis.checks()) names.push_back(check.name());
  EXPECT_THAT(names,
              ::testing::ElementsAre("error-rate", "latency", "webhook", "prometheus", "command"));
  EXPECT_EQ(analysis.checks(0).error_rate().max_percent(), 1);
  EXPECT_EQ(analysis.checks(0).error_rate().min_requests(), 100);
  EXPECT_EQ(analysis.checks(1).latency().percentile(), 99);
  EXPECT_EQ(analysis.checks(1).latency().min_requests(), 100);
  EXPECT_EQ(FromProto(analysis.checks(2).webhook().timeout()), absl::Seconds(10));
  v1::Analysis again = analysis;
  ApplyDefaults(again);
  EXPECT_EQ(again.SerializeAsString(), analysis.SerializeAsString());
}

TEST(AnalysisDoorTest, ALimitOfIncreaseAloneStaysAlone) {
  v1::Analysis analysis;
  analysis.add_checks()->mutable_error_rate()->set_max_increase_percent(2);
  ApplyDefaults(analysis);
  EXPECT_FALSE(analysis.checks(0).error_rate().has_max_percent());
  EXPECT_EQ(Fault(analysis), "");
}

TEST(AnalysisDoorTest, WhatIsWrongIsNamed) {
  struct Case {
    std::function<void(v1::Analysis&)> edit;
    std::string fault;  // its beginning
  };
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const auto rate = [](v1::Analysis& a) { return a.mutable_checks(0)->mutable_error_rate(); };
  const auto latency = [](v1::Analysis& a) { return a.mutable_checks(1)->mutable_latency(); };
  const auto hook = [](v1::Analysis& a) { return a.mutable_checks(2)->mutable_webhook(); };
  const auto query = [](v1::Analysis& a) { return a.mutable_checks(3)->mutable_prometheus(); };
  const auto command = [](v1::Analysis& a) { return a.mutable_checks(4)->mutable_command(); };
  const std::vector<Case> cases = {
      {[](auto& a) { a.clear_checks(); }, "analysis.checks: must have at least 1 entry"},
      {[](auto& a) {
         for (int i = 0; i < 6; ++i) {
           *a.add_checks() = a.checks(0);
           a.mutable_checks(5 + i)->set_name("more-" + std::to_string(i));
         }
       },
       "analysis.checks: 11 entries; at most 10"},
      {[](auto& a) { a.mutable_duration()->set_seconds(86'401); }, "analysis.duration: "},
      {[](auto& a) { a.mutable_interval()->set_seconds(0); }, "analysis.interval: "},
      {[](auto& a) { a.set_failure_limit(11); }, "analysis.failure_limit: 11 is not within 0-10"},
      {[](auto& a) { a.mutable_checks(1)->set_name("error-rate"); },
       "analysis.checks[1].name: \"error-rate\" is the name of another check"},
      {[](auto& a) { a.mutable_checks(1)->set_name("No Name"); },
       "analysis.checks[1].name: \"No Name\" must be"},
      {[](auto& a) { a.mutable_checks(0)->Clear(); },
       "analysis.checks[0]: must be one of error_rate"},
      {[&](auto& a) { rate(a)->set_max_percent(100.1); },
       "analysis.checks[0].error_rate.max_percent: 100.1 is not within 0-100"},
      {[&](auto& a) { rate(a)->set_max_percent(nan); },
       "analysis.checks[0].error_rate.max_percent: nan is not within 0-100"},
      {[&](auto& a) { rate(a)->set_max_increase_percent(-1); },
       "analysis.checks[0].error_rate.max_increase_percent: -1 is not"},
      {[&](auto& a) { rate(a)->set_min_requests(1'000'001); },
       "analysis.checks[0].error_rate.min_requests: "},
      {[&](auto& a) { rate(a)->set_min_requests(-1); },
       "analysis.checks[0].error_rate.min_requests: "},
      {[&](auto& a) { latency(a)->set_percentile(99.95); },
       "analysis.checks[1].latency.percentile: 99.95 is not within 1-99.9"},
      {[&](auto& a) { latency(a)->clear_max(); },
       "analysis.checks[1].latency: must have max or max_ratio"},
      {[&](auto& a) { latency(a)->mutable_max()->set_seconds(3601); },
       "analysis.checks[1].latency.max: "},
      {[&](auto& a) { latency(a)->set_max_ratio(0.5); },
       "analysis.checks[1].latency.max_ratio: 0.5 is not within 1-1000"},
      {[&](auto& a) { hook(a)->set_url("https://check/"); },
       "analysis.checks[2].webhook.url: \"https://check/\" must be http://"},
      {[&](auto& a) { hook(a)->set_url("http://me:secret@check/"); },
       "analysis.checks[2].webhook.url: must not hold a user or a password"},
      {[&](auto& a) { hook(a)->mutable_timeout()->set_seconds(61); },
       "analysis.checks[2].webhook.timeout: "},
      {[&](auto& a) { hook(a)->set_authorization("a\r\nb"); },
       "analysis.checks[2].webhook.authorization: must be printable ASCII"},
      {[&](auto& a) { (*hook(a)->mutable_metadata())["big"] = std::string(1025, 'x'); },
       "analysis.checks[2].webhook.metadata[big]: 1025 bytes; at most 1024"},
      {[&](auto& a) {
         for (int i = 0; i < 33; ++i) (*hook(a)->mutable_metadata())[std::to_string(i)] = "";
       },
       "analysis.checks[2].webhook.metadata: 33 entries; at most 32"},
      {[&](auto& a) { query(a)->set_url("http://prometheus/?x=1"); },
       "analysis.checks[3].prometheus.url: must not have a query"},
      {[&](auto& a) { query(a)->clear_query(); },
       "analysis.checks[3].prometheus.query: must not be empty"},
      {[&](auto& a) { query(a)->set_query(std::string(4097, 'x')); },
       "analysis.checks[3].prometheus.query: 4097 bytes; at most 4096"},
      {[&](auto& a) { query(a)->clear_min(); },
       "analysis.checks[3].prometheus: must have max or min"},
      {[&](auto& a) { query(a)->set_min(nan); },
       "analysis.checks[3].prometheus.min: must be a number"},
      {[&](auto& a) { query(a)->set_max(0.5); },
       "analysis.checks[3].prometheus.min: 1 is above max 0.5"},
      {[&](auto& a) { command(a)->clear_argv(); },
       "analysis.checks[4].command.argv: must have at least 1 entry"},
      {[&](auto& a) { command(a)->set_argv(0, "smoke"); },
       "analysis.checks[4].command.argv[0]: \"smoke\" must be an absolute path"},
      {[&](auto& a) { command(a)->set_argv(0, "/bin/sh"); },
       "analysis.checks[4].command.argv[0]: \"/bin/sh\" may not be run: the controller has no "
       "--analysis-command=\"/bin/sh\""},
      {[&](auto& a) { command(a)->add_argv(std::string(4096, 'x')); },
       "analysis.checks[4].command.argv: 4116 bytes together; at most 4096"},
      {[&](auto& a) { command(a)->add_argv(std::string("a\0b", 3)); },
       "analysis.checks[4].command.argv[1]: must not have a zero byte"},
  };
  for (const Case& one : cases) {
    v1::Analysis analysis = Written();
    one.edit(analysis);
    EXPECT_THAT(Fault(analysis), ::testing::StartsWith(one.fault));
  }
}

TEST(PreviewDoorTest, WhatIsWrongIsNamed) {
  using Routes = google::protobuf::RepeatedPtrField<v1::PreviewRoute>;
  const auto fault = [](const Routes& routes, bool is_shift) {
    Violations out;
    CheckPreviews(out, FieldPath("previews"), routes, is_shift);
    return std::string(out.ToStatus().message());
  };
  Routes right;
  right.Add()->mutable_http_header()->set_http_header_name("X-Preview");
  right[0].mutable_http_header()->add_values("yes");
  right.Add()->mutable_cookie()->set_name("preview");
  right[1].mutable_cookie()->set_value("a");
  EXPECT_EQ(fault(right, false), "");
  right.Add()->set_listener_port(8081);
  EXPECT_EQ(fault(right, true), "");
  EXPECT_THAT(fault(right, false),
              ::testing::StartsWith("previews[2].listener_port: is for shifts"));
  Routes wrong = right;
  wrong.Add();
  EXPECT_THAT(fault(wrong, true), ::testing::StartsWith("previews[3]: must be one of"));
  wrong[3].set_listener_port(8081);
  EXPECT_EQ(fault(wrong, true), "previews[3].listener_port: 8081 is the port of another preview");
  wrong[3].set_listener_port(70'000);
  EXPECT_THAT(fault(wrong, true), ::testing::StartsWith("previews[3].listener_port: 70000"));
  wrong[3].mutable_cookie()->set_value("a;b");
  EXPECT_THAT(fault(wrong, true), ::testing::StartsWith("previews[3].cookie.name: "));
  wrong[3].mutable_http_header()->set_http_header_name("no name");
  EXPECT_THAT(fault(wrong, true),
              ::testing::StartsWith("previews[3].http_header.http_header_name: "));
  for (int i = 0; i < 3; ++i) *right.Add() = right[0];
  EXPECT_THAT(fault(right, true), ::testing::StartsWith("previews: 6 entries; at most 5"));
}

TEST(MirrorDoorTest, WhatIsWrongIsNamed) {
  const auto fault = [](v1::Mirror mirror) {
    ApplyDefaults(mirror);
    Violations out;
    CheckMirror(out, FieldPath("mirror"), mirror);
    return std::string(out.ToStatus().message());
  };
  v1::Mirror mirror;
  EXPECT_THAT(fault(mirror), ::testing::StartsWith("mirror.percent: 0 is not within 1-100"));
  mirror.set_percent(100);
  EXPECT_EQ(fault(mirror), "");
  mirror.set_max_body_bytes(1'048'577);
  EXPECT_THAT(fault(mirror), ::testing::StartsWith("mirror.max_body_bytes: 1048577"));
  mirror.set_max_body_bytes(0);
  EXPECT_EQ(fault(mirror), "");
}

TEST(AnalysisDoorTest, WithoutTheFlagNoCommandIsRun) {
  EXPECT_THAT(Fault(Written(), nullptr), ::testing::HasSubstr("--analysis-command"));
}

}  // namespace
}  // namespace remuda::core
