// Metrics of groups with the real controller: what a scripted agent and a scripted proxy count is
// shown, watched and scraped; what callers give; what queries of policies answer.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "remuda/v1/metrics.grpc.pb.h"
#include "remuda/v1/scaling_policy.grpc.pb.h"
#include "tests/component/controller/probes/local_server.h"
#include "tests/component/controller/testing/cluster_fixture.h"
#include "tests/local_client.h"

namespace remuda {
namespace {

using testing::HasSubstr;

class MetricsTest : public ClusterTest {
 protected:
  // Group blue has one instance in service that is warm at once.
  void Begin() {
    StartController({"--metric-period", "1s"});
    agent_.Connect(channel_);
    proxy_.Connect(channel_);
    ApplyShop(1);
    ASSERT_TRUE(WaitForInService(1));
    instance_ = agent_.had().running.begin()->first;
    v1::UpdateAutoScalingGroupRequest request;
    request.mutable_auto_scaling_group()->set_name("blue");
    request.mutable_auto_scaling_group()->mutable_instance_warmup();
    request.mutable_update_mask()->add_paths("instance_warmup");
    v1::AutoScalingGroup group;
    ASSERT_TRUE(Call<v1::AutoScalingService>(&v1::AutoScalingService::Stub::UpdateAutoScalingGroup,
                                             request, &group)
                    .ok());
  }
  // One more report of each.
  void Report() {
    ++reports_;
    agent::v1::ConnectRequest usage;
    agent::v1::InstanceUsage& instance = *usage.mutable_usage()->add_instances();
    instance.set_instance(instance_);
    instance.set_cpu_time_micros(reports_ * 1000);
    instance.set_memory_bytes(int64_t{2} << 30);  // of 8
    agent_.Send(usage);
    proxy::v1::ConnectRequest stats;
    proxy::v1::SubsetStats& subset = *stats.mutable_stats()->add_subsets();
    subset.set_target_group("blue");
    subset.set_subset("blue/shop:1");
    subset.set_requests(reports_ * 10);
    subset.set_in_flight(3);
    proxy::v1::TargetStats& target = *stats.mutable_stats()->add_targets();
    target.set_target_group("blue");
    target.set_target(instance_);
    target.set_in_flight(2);
    proxy_.Send(stats);
  }
  grpc::Status Get(const std::string& group, int points, v1::GroupMetrics* metrics) {
    v1::GetMetricsRequest request;
    request.set_auto_scaling_group(group);
    request.set_points(points);
    return Call<v1::MetricsService>(&v1::MetricsService::Stub::GetMetrics, request, metrics);
  }
  grpc::Status Give(const std::string& name, double value) {
    v1::PutMetricDataRequest request;
    request.set_auto_scaling_group("blue");
    request.add_data()->set_name(name);
    request.mutable_data(0)->set_value(value);
    v1::PutMetricDataResponse response;
    return Call<v1::MetricsService>(&v1::MetricsService::Stub::PutMetricData, request, &response);
  }
  // The newest value; NaN: missing.
  static double Last(const v1::GroupMetrics& metrics, const std::string& name) {
    for (const v1::SeriesMetrics& series : metrics.series()) {
      if (series.metric() == name && series.values_size() > 0) {
        return series.values(series.values_size() - 1);
      }
    }
    return std::nan("");
  }

  std::string instance_;
  int64_t reports_ = 0;
};

TEST_F(MetricsTest, WhatReceiversCountIsShownAndScraped) {
  Begin();
  EXPECT_EQ(agent_.had().welcome->usage_interval().seconds(), 1);
  EXPECT_EQ(proxy_.had().welcome->stats_interval().seconds(), 1);
  v1::GroupMetrics metrics;
  ASSERT_TRUE(WaitUntil([&] {
    Report();
    return Get("autoScalingGroups/blue", 0, &metrics).ok() && Last(metrics, "cpu") > 0 &&
           Last(metrics, "requests") > 0 && Last(metrics, "latency_p50") != 0;
  })) << metrics.ShortDebugString();
  EXPECT_EQ(metrics.auto_scaling_group(), "autoScalingGroups/blue");
  EXPECT_EQ(metrics.period().seconds(), 1);
  EXPECT_TRUE(metrics.has_end_time());
  EXPECT_EQ(Last(metrics, "memory"), 25);
  EXPECT_EQ(Last(metrics, "in_flight"), 3);
  EXPECT_EQ(Last(metrics, "in_service"), 1);
  EXPECT_EQ(Last(metrics, "desired"), 1);
  ASSERT_EQ(metrics.instances_size(), 1);
  const v1::InstanceMetrics& instance = metrics.instances(0);
  EXPECT_EQ(instance.instance(), "instances/" + instance_);
  EXPECT_GT(instance.cpu_percent(), 0);
  EXPECT_EQ(instance.memory_bytes(), int64_t{2} << 30);
  EXPECT_EQ(instance.in_flight(), 2);
  EXPECT_TRUE(instance.is_warm());
  EXPECT_EQ(metrics.silent_size(), 0);
  const std::string page =
      LocalClient(controller_.http_address()).Talk("GET /metrics HTTP/1.1\r\n\r\n");
  EXPECT_THAT(page, HasSubstr("remuda_group_in_flight{auto_scaling_group=\"blue\"} 3\n"));
  EXPECT_THAT(page, HasSubstr("remuda_controller_commits_total"));
  // It says nothing any more.
  ASSERT_TRUE(WaitUntil([&] {
    return Get("blue", 1, &metrics).ok() && metrics.silent_size() == 2;
  })) << metrics.ShortDebugString();
  EXPECT_THAT(metrics.silent(), testing::ElementsAre("hosts/h1", "proxies/p1"));
  ASSERT_TRUE(WaitUntil([&] {
    return Get("blue", 1, &metrics).ok() && std::isnan(Last(metrics, "cpu")) &&
           std::isnan(Last(metrics, "requests"));
  })) << metrics.ShortDebugString();
}

TEST_F(MetricsTest, AWatchShowsTheLastValuesThenEachNewOne) {
  Begin();
  v1::GroupMetrics metrics;
  const auto length = [&] {
    return metrics.series_size() == 0 ? 0 : metrics.series(0).values_size();
  };
  ASSERT_TRUE(WaitUntil([&] { return Get("blue", 720, &metrics).ok() && length() >= 2; }));
  const auto stub = v1::MetricsService::NewStub(channel_);
  grpc::ClientContext context;
  v1::WatchMetricsRequest request;
  request.set_auto_scaling_group("blue");
  const auto reader = stub->WatchMetrics(&context, request);
  v1::WatchMetricsResponse response;
  ASSERT_TRUE(reader->Read(&response));
  metrics = response.metrics();
  EXPECT_GE(length(), 2);
  EXPECT_EQ(metrics.auto_scaling_group(), "autoScalingGroups/blue");
  int64_t before = metrics.end_time().seconds();
  ASSERT_TRUE(Give("orders", 12.5).ok());
  for (bool is_there = false; !is_there;) {
    ASSERT_TRUE(reader->Read(&response));
    metrics = response.metrics();
    ASSERT_GE(length(), 1);
    EXPECT_GT(metrics.end_time().seconds(), before);
    before = metrics.end_time().seconds();
    is_there = Last(metrics, "custom/orders") == 12.5;
  }
  context.TryCancel();
}

TEST_F(MetricsTest, WrongInputIsRefusedWithFieldAndRule) {
  Begin();
  v1::GroupMetrics metrics;
  EXPECT_EQ(Get("autoScalingGroups/none", 0, &metrics).error_code(), grpc::NOT_FOUND);
  EXPECT_THAT(Get("blue", 721, &metrics).error_message(),
              HasSubstr("points: 721 is not within 0-720"));
  EXPECT_THAT(Get("blue", -1, &metrics).error_message(), HasSubstr("points: -1"));
  EXPECT_THAT(Give("Orders!", 1).error_message(), HasSubstr("data[0].name: \"Orders!\" must be"));
  EXPECT_THAT(Give("orders", std::nan("")).error_message(), HasSubstr("data[0].value: nan is not"));
  EXPECT_THAT(Give("orders", std::numeric_limits<double>::infinity()).error_message(),
              HasSubstr("data[0].value: inf is not a number from -1e+15 to 1e+15"));
  v1::PutMetricDataRequest request;
  v1::PutMetricDataResponse response;
  const auto put = [&] {
    return Call<v1::MetricsService>(&v1::MetricsService::Stub::PutMetricData, request, &response);
  };
  request.set_auto_scaling_group("blue");
  EXPECT_THAT(put().error_message(), HasSubstr("data: 0 entries are not within 1-20"));
  for (int i = 0; i < 20; ++i) request.add_data()->set_name("m-" + std::to_string(i));
  EXPECT_TRUE(put().ok());
  EXPECT_TRUE(put().ok()) << "the same names";
  EXPECT_THAT(Give("one-more", 1).error_message(), HasSubstr("more than the 20 of a group"));
}

TEST_F(MetricsTest, AQueryThatIsWrongIsSaidAndNothingIsScaled) {
  LocalServer prometheus([](int connection) {
    LocalServer::Write(connection,
                       "HTTP/1.1 400 Bad Request\r\nContent-Length: 54\r\n\r\n"
                       R"({"status":"error","errorType":"x","error":"bad query"})");
  });
  Begin();
  v1::PutScalingPolicyRequest request;
  request.set_auto_scaling_group("blue");
  request.mutable_policy()->set_name("queue");
  auto& tracking = *request.mutable_policy()->mutable_target_tracking();
  tracking.set_target(1);
  tracking.mutable_prometheus()->set_url("http://127.0.0.1:" + std::to_string(prometheus.port()));
  tracking.mutable_prometheus()->set_query("sum(");
  v1::ScalingPolicy policy;
  const grpc::Status put = Call<v1::ScalingPolicyService>(
      &v1::ScalingPolicyService::Stub::PutScalingPolicy, request, &policy);
  ASSERT_TRUE(put.ok()) << put.error_message();
  v1::ListScalingEvaluationsRequest list;
  list.set_parent("autoScalingGroups/blue");
  v1::ListScalingEvaluationsResponse evaluations;
  ASSERT_TRUE(WaitUntil([&] {
    return Call<v1::ScalingPolicyService>(&v1::ScalingPolicyService::Stub::ListScalingEvaluations,
                                          list, &evaluations)
               .ok() &&
           evaluations.ShortDebugString().find("bad query") != std::string::npos;
  })) << evaluations.ShortDebugString();
  EXPECT_EQ(evaluations.evaluations(0).desired_after(), 1);
}

}  // namespace
}  // namespace remuda
