// What whoever holds a host's or a proxy's identity may say: no more, and nothing else, than one of
// ours does.
#include "controller/sessions/report_bounds.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <vector>

#include "controller/sessions/report_limits.h"

namespace remuda {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using Agent = agent::v1::ConnectRequest;
using Proxy = proxy::v1::ConnectRequest;

agent::v1::InstanceStatus Running() {
  agent::v1::InstanceStatus status;
  status.set_instance("i-0000000001");
  status.set_state(agent::v1::PROCESS_STATE_RUNNING);
  status.set_port(20'000);
  status.mutable_start_time()->set_seconds(1'700'000'000);
  status.mutable_exit()->mutable_time()->set_seconds(1'700'000'000);
  return status;
}

struct Wrong {
  std::string field;
  std::function<void(agent::v1::InstanceStatus&)> make;
};

TEST(ReportBoundsTest, WhatNoAgentOfOursSaysOfAnInstanceIsRefusedWithItsField) {
  for (const Wrong& wrong : std::initializer_list<Wrong>{
           {"port", [](auto& status) { status.set_port(65'536); }},
           {"port", [](auto& status) { status.set_port(-1); }},
           {"start_time",
            [](auto& status) { status.mutable_start_time()->set_seconds(253'402'300'800); }},
           {"start_time", [](auto& status) { status.mutable_start_time()->set_nanos(-1); }},
           {"exit.time",
            [](auto& status) { status.mutable_exit()->mutable_time()->set_seconds(INT64_MIN); }},
       }) {
    Agent report, hello;
    for (auto* statuses : {report.mutable_report()->mutable_instances(),
                           hello.mutable_hello()->mutable_instances()}) {
      *statuses->Add() = Running();
      *statuses->Add() = Running();
      wrong.make(*statuses->Mutable(1));
    }
    const absl::Status reported = BoundReport(report);
    EXPECT_EQ(reported.code(), absl::StatusCode::kInvalidArgument) << wrong.field;
    EXPECT_THAT(std::string(reported.message()), HasSubstr("report.instances[1]." + wrong.field));
    EXPECT_THAT(std::string(BoundReport(hello).message()),
                HasSubstr("hello.instances[1]." + wrong.field));
  }
}

TEST(ReportBoundsTest, WhatOursSaysPassesAsItIs) {
  Agent report;
  *report.mutable_report()->add_instances() = Running();
  report.mutable_report()->add_instances()->set_instance("i-0000000002");  // no port, no times
  const std::string before = report.SerializeAsString();
  EXPECT_TRUE(BoundReport(report).ok());
  EXPECT_EQ(report.SerializeAsString(), before);
}

TEST(ReportBoundsTest, WhatIsNoInstanceIsLeftOut) {
  Agent hello, report, usage;
  for (const std::string& id :
       {std::string("lost+found"), std::string("i-0000000001"), std::string(), std::string("../h2"),
        std::string(64, 'i'), std::string("i-0000000002")}) {
    hello.mutable_hello()->add_instances()->set_instance(id);
    report.mutable_report()->add_instances()->set_instance(id);
    usage.mutable_usage()->add_instances()->set_instance(id);
  }
  for (Agent* request : {&hello, &report, &usage}) EXPECT_TRUE(BoundReport(*request).ok());
  const auto ids = [](const auto& said) {
    std::vector<std::string> out;
    for (const auto& one : said) out.push_back(one.instance());
    return out;
  };
  const auto left = ElementsAre("i-0000000001", "i-0000000002");
  EXPECT_THAT(ids(hello.hello().instances()), left);
  EXPECT_THAT(ids(report.report().instances()), left);
  EXPECT_THAT(ids(usage.usage().instances()), left);
}

TEST(ReportBoundsTest, AHostHasSoManyInstances) {
  const int most = static_cast<int>(limits::kMaxReportedInstances);
  Agent report, usage;
  for (int i = 0; i < most; ++i) {
    *report.mutable_report()->add_instances() = Running();
    usage.mutable_usage()->add_instances()->set_instance("i-0000000001");
  }
  EXPECT_TRUE(BoundReport(report).ok());
  EXPECT_TRUE(BoundReport(usage).ok());
  *report.mutable_report()->add_instances() = Running();
  usage.mutable_usage()->add_instances()->set_instance("i-0000000001");
  for (Agent* request : {&report, &usage}) {
    const absl::Status status = BoundReport(*request);
    EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted);
    EXPECT_THAT(std::string(status.message()), HasSubstr("at most 16384 instances"));
  }
}

TEST(ReportBoundsTest, AHostLacksOnlySoMuch) {
  Agent hello;
  for (size_t i = 0; i <= limits::kMaxHostLacks; ++i)
    (*hello.mutable_hello()->mutable_lacks())["means-" + std::to_string(i)] = "because";
  EXPECT_EQ(BoundReport(hello).code(), absl::StatusCode::kResourceExhausted);
  hello.mutable_hello()->clear_lacks();
  (*hello.mutable_hello()->mutable_lacks())[std::string(64, 'x')] = "because";
  EXPECT_EQ(BoundReport(hello).code(), absl::StatusCode::kInvalidArgument);
}

TEST(ReportBoundsTest, TextsForPeopleAreCut) {
  const std::string text(limits::kMaxReportTextBytes + 1, 'x');
  Agent hello, report, nack;
  (*hello.mutable_hello()->mutable_lacks())["memory"] = text;
  hello.mutable_hello()->set_version(text);
  auto& status = *report.mutable_report()->add_instances() = Running();
  status.set_message(text);
  status.set_log_tail(text);
  nack.mutable_nack()->set_reason(text);
  Proxy health, listeners, refused;
  health.mutable_health()->add_targets()->set_description(text);
  listeners.mutable_listeners()->add_listeners()->set_error(text);
  refused.mutable_nack()->set_resource(text);
  for (Agent* request : {&hello, &report, &nack}) EXPECT_TRUE(BoundReport(*request).ok());
  for (Proxy* request : {&health, &listeners, &refused}) EXPECT_TRUE(BoundReport(*request).ok());
  for (const std::string& cut :
       {hello.hello().lacks().at("memory"), hello.hello().version(), status.message(),
        status.log_tail(), nack.nack().reason(), health.health().targets(0).description(),
        listeners.listeners().listeners(0).error(), refused.nack().resource()}) {
    EXPECT_LE(cut.size(), limits::kMaxReportTextBytes);
    EXPECT_THAT(cut, HasSubstr("(cut)"));
  }
}

TEST(ReportBoundsTest, AProxysTimesAreTimes) {
  Proxy health;
  health.mutable_health()->add_targets()->mutable_since()->set_seconds(INT64_MAX);
  EXPECT_THAT(std::string(BoundReport(health).message()), HasSubstr("health.targets[0].since"));
}

}  // namespace
}  // namespace remuda
