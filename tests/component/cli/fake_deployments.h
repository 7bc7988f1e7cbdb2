// Deployments of a fake controller: each verb is noted, and answered with what the test has set.
#pragma once

#include <chrono>
#include <mutex>

#include "tests/component/cli/fake_answers.h"

namespace remuda::testing_cli {

class FakeDeployments final : public v1::DeploymentService::Service {
 public:
  explicit FakeDeployments(FakeState& state) : state_(state) {}
  grpc::Status CreateDeployment(grpc::ServerContext*, const v1::CreateDeploymentRequest* request,
                                v1::Deployment* response) override {
    return Answer("CreateDeployment", *request, response);
  }
  grpc::Status GetDeployment(grpc::ServerContext*, const v1::GetDeploymentRequest* request,
                             v1::Deployment* response) override {
    if (state_.deployments.empty()) return Answer("GetDeployment", *request, response);
    if (auto status = Note(state_, "GetDeployment", *request); !status.ok()) return status;
    const std::lock_guard lock(state_.mutex);
    for (const auto& deployment : state_.deployments) {
      if (deployment.name() != request->name()) continue;
      *response = deployment;
      return grpc::Status::OK;
    }
    return ToGrpcStatus(NotFound(request->name()));
  }
  grpc::Status PauseDeployment(grpc::ServerContext*, const v1::PauseDeploymentRequest* request,
                               v1::Deployment* response) override {
    return Answer("PauseDeployment", *request, response);
  }
  grpc::Status ResumeDeployment(grpc::ServerContext*, const v1::ResumeDeploymentRequest* request,
                                v1::Deployment* response) override {
    return Answer("ResumeDeployment", *request, response);
  }
  grpc::Status PromoteDeployment(grpc::ServerContext*, const v1::PromoteDeploymentRequest* request,
                                 v1::Deployment* response) override {
    return Answer("PromoteDeployment", *request, response);
  }
  grpc::Status ApproveDeployment(grpc::ServerContext*, const v1::ApproveDeploymentRequest* request,
                                 v1::Deployment* response) override {
    return Answer("ApproveDeployment", *request, response);
  }
  grpc::Status AbortDeployment(grpc::ServerContext*, const v1::AbortDeploymentRequest* request,
                               v1::Deployment* response) override {
    return Answer("AbortDeployment", *request, response);
  }
  grpc::Status RollbackDeployment(grpc::ServerContext*,
                                  const v1::RollbackDeploymentRequest* request,
                                  v1::Deployment* response) override {
    return Answer("RollbackDeployment", *request, response);
  }
  grpc::Status ListDeployments(grpc::ServerContext*, const v1::ListDeploymentsRequest* request,
                               v1::ListDeploymentsResponse* response) override {
    if (state_.deployments.empty())
      return Answer("ListDeployments", *request, response->add_deployments());
    const grpc::Status status = Note(state_, "ListDeployments", *request);
    const std::lock_guard lock(state_.mutex);
    Page(state_.deployments, state_.page_size, *request, response,
         [&] { return response->add_deployments(); });
    return status;
  }
  grpc::Status WatchDeployment(grpc::ServerContext* context,
                               const v1::WatchDeploymentRequest* request,
                               grpc::ServerWriter<v1::WatchDeploymentResponse>* writer) override {
    if (auto status = Note(state_, "WatchDeployment", *request); !status.ok()) return status;
    std::unique_lock lock(state_.mutex);
    for (const auto& deployment : state_.progress) {
      v1::WatchDeploymentResponse response;
      *response.mutable_deployment() = deployment;
      writer->Write(response);
    }
    while (state_.hold_watch_open && !context->IsCancelled()) {
      state_.changed.wait_for(lock, std::chrono::milliseconds(20));
    }
    return grpc::Status::OK;
  }

 private:
  template <typename Request>
  grpc::Status Answer(const char* method, const Request& request, v1::Deployment* response) {
    const grpc::Status status = Note(state_, method, request);
    const std::lock_guard lock(state_.mutex);
    *response = state_.deployment;
    return status;
  }

  FakeState& state_;
};

}  // namespace remuda::testing_cli
