// Metrics, scaling policies and lifecycle verbs of a fake controller: each is noted, and answered
// with what the test has set.
#pragma once

#include <mutex>

#include "tests/component/cli/fake_answers.h"

namespace remuda::testing_cli {

class FakeMetrics final : public v1::MetricsService::Service {
 public:
  explicit FakeMetrics(FakeState& state) : state_(state) {}
  grpc::Status GetMetrics(grpc::ServerContext*, const v1::GetMetricsRequest* request,
                          v1::GroupMetrics* response) override {
    const grpc::Status status = Note(state_, "GetMetrics", *request);
    const std::lock_guard lock(state_.mutex);
    if (!state_.metrics.empty()) *response = state_.metrics.front();
    return status;
  }
  // All that the test has set, each once, also those that come while it is open.
  grpc::Status WatchMetrics(grpc::ServerContext* context, const v1::WatchMetricsRequest* request,
                            grpc::ServerWriter<v1::WatchMetricsResponse>* writer) override {
    if (auto status = Note(state_, "WatchMetrics", *request); !status.ok()) return status;
    std::unique_lock lock(state_.mutex);
    for (size_t sent = 0; !context->IsCancelled() && !state_.ends;) {
      for (; sent < state_.metrics.size(); ++sent) {
        v1::WatchMetricsResponse response;
        *response.mutable_metrics() = state_.metrics[sent];
        writer->Write(response);
      }
      if (!state_.hold_watch_open) break;
      state_.changed.wait_for(lock, std::chrono::milliseconds(20));
    }
    return grpc::Status::OK;
  }
  grpc::Status PutMetricData(grpc::ServerContext*, const v1::PutMetricDataRequest* request,
                             v1::PutMetricDataResponse*) override {
    return Note(state_, "PutMetricData", *request);
  }

 private:
  FakeState& state_;
};

class FakePolicies final : public v1::ScalingPolicyService::Service {
 public:
  explicit FakePolicies(FakeState& state) : state_(state) {}
  grpc::Status PutScalingPolicy(grpc::ServerContext*, const v1::PutScalingPolicyRequest* request,
                                v1::ScalingPolicy* response) override {
    *response = request->policy();
    if (auto status = Note(state_, "PutScalingPolicy", *request); !status.ok()) return status;
    const std::lock_guard lock(state_.mutex);
    if (request->policy().name() != state_.refused_policy) return grpc::Status::OK;
    return ToGrpcStatus(InvalidField("policy.scheduled.recurrence", "is no cron expression"));
  }
  grpc::Status ListScalingPolicies(grpc::ServerContext*,
                                   const v1::ListScalingPoliciesRequest* request,
                                   v1::ListScalingPoliciesResponse* response) override {
    const grpc::Status status = Note(state_, "ListScalingPolicies", *request);
    const std::lock_guard lock(state_.mutex);
    if (!state_.groups.empty()) *response->mutable_policies() = state_.groups[0].policies();
    return status;
  }
  grpc::Status DeleteScalingPolicy(grpc::ServerContext*,
                                   const v1::DeleteScalingPolicyRequest* request,
                                   google::protobuf::Empty*) override {
    return Note(state_, "DeleteScalingPolicy", *request);
  }
  grpc::Status ListScalingEvaluations(grpc::ServerContext*,
                                      const v1::ListScalingEvaluationsRequest* request,
                                      v1::ListScalingEvaluationsResponse* response) override {
    const grpc::Status status = Note(state_, "ListScalingEvaluations", *request);
    const std::lock_guard lock(state_.mutex);
    for (const auto& evaluation : state_.evaluations) *response->add_evaluations() = evaluation;
    return status;
  }
  grpc::Status GetPredictiveForecast(grpc::ServerContext*,
                                     const v1::GetPredictiveForecastRequest* request,
                                     v1::PredictiveForecast* response) override {
    const grpc::Status status = Note(state_, "GetPredictiveForecast", *request);
    const std::lock_guard lock(state_.mutex);
    *response = state_.forecast;
    return status;
  }

 private:
  FakeState& state_;
};

class FakeLifecycle final : public v1::LifecycleService::Service {
 public:
  explicit FakeLifecycle(FakeState& state) : state_(state) {}
  grpc::Status SetInstanceProtection(grpc::ServerContext*,
                                     const v1::SetInstanceProtectionRequest* request,
                                     v1::Instance* response) override {
    return Answer("SetInstanceProtection", *request, response);
  }
  grpc::Status EnterStandby(grpc::ServerContext*, const v1::EnterStandbyRequest* request,
                            v1::Instance* response) override {
    return Answer("EnterStandby", *request, response);
  }
  grpc::Status ExitStandby(grpc::ServerContext*, const v1::ExitStandbyRequest* request,
                           v1::Instance* response) override {
    return Answer("ExitStandby", *request, response);
  }
  grpc::Status AttachInstance(grpc::ServerContext*, const v1::AttachInstanceRequest* request,
                              v1::Instance* response) override {
    return Answer("AttachInstance", *request, response);
  }
  grpc::Status DetachInstance(grpc::ServerContext*, const v1::DetachInstanceRequest* request,
                              v1::Instance* response) override {
    return Answer("DetachInstance", *request, response);
  }
  grpc::Status CompleteLifecycleAction(grpc::ServerContext*,
                                       const v1::CompleteLifecycleActionRequest* request,
                                       v1::Instance* response) override {
    return Answer("CompleteLifecycleAction", *request, response);
  }
  grpc::Status RecordLifecycleActionHeartbeat(
      grpc::ServerContext*, const v1::RecordLifecycleActionHeartbeatRequest* request,
      v1::Instance* response) override {
    return Answer("RecordLifecycleActionHeartbeat", *request, response);
  }
  grpc::Status SuspendProcesses(grpc::ServerContext*, const v1::SuspendProcessesRequest* request,
                                v1::AutoScalingGroup* response) override {
    return Answer("SuspendProcesses", *request, response);
  }
  grpc::Status ResumeProcesses(grpc::ServerContext*, const v1::ResumeProcessesRequest* request,
                               v1::AutoScalingGroup* response) override {
    return Answer("ResumeProcesses", *request, response);
  }
  grpc::Status AttachTargetGroups(grpc::ServerContext*,
                                  const v1::AttachTargetGroupsRequest* request,
                                  v1::AutoScalingGroup* response) override {
    return Answer("AttachTargetGroups", *request, response);
  }
  grpc::Status DetachTargetGroups(grpc::ServerContext*,
                                  const v1::DetachTargetGroupsRequest* request,
                                  v1::AutoScalingGroup* response) override {
    return Answer("DetachTargetGroups", *request, response);
  }
  grpc::Status StartInstanceRefresh(grpc::ServerContext*,
                                    const v1::StartInstanceRefreshRequest* request,
                                    v1::Deployment* response) override {
    const grpc::Status status = Note(state_, "StartInstanceRefresh", *request);
    const std::lock_guard lock(state_.mutex);
    *response = state_.deployment;
    return status;
  }

 private:
  template <typename Request>
  grpc::Status Answer(const char* verb, const Request& request, v1::Instance* response) {
    if (auto status = Note(state_, verb, request); !status.ok()) return status;
    return AnswerWith(state_.instances, request.name(), response);
  }
  template <typename Request>
  grpc::Status Answer(const char* verb, const Request& request, v1::AutoScalingGroup* response) {
    if (auto status = Note(state_, verb, request); !status.ok()) return status;
    return AnswerWith(state_.groups, request.name(), response);
  }
  template <typename Item>
  grpc::Status AnswerWith(const std::vector<Item>& all, const std::string& name, Item* response) {
    const std::lock_guard lock(state_.mutex);
    for (const Item& item : all) {
      if (item.name() != name) continue;
      *response = item;
      return grpc::Status::OK;
    }
    return ToGrpcStatus(NotFound(name));
  }

  FakeState& state_;
};

}  // namespace remuda::testing_cli
