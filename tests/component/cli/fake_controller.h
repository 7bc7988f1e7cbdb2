// A controller that answers what the test put into it and remembers what it was asked, on a port of
// its own. Thread: its services run on gRPC's threads; everything is guarded by one mutex.
#pragma once

#include <grpcpp/grpcpp.h>

#include <atomic>
#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "common/grpc_status.h"
#include "remuda/v1/activity.grpc.pb.h"
#include "remuda/v1/apply.grpc.pb.h"
#include "remuda/v1/auto_scaling.grpc.pb.h"
#include "remuda/v1/cluster.grpc.pb.h"
#include "remuda/v1/deployment.grpc.pb.h"
#include "remuda/v1/image.grpc.pb.h"
#include "remuda/v1/launch_template.grpc.pb.h"
#include "remuda/v1/lifecycle.grpc.pb.h"
#include "remuda/v1/listener.grpc.pb.h"
#include "remuda/v1/load_balancer.grpc.pb.h"
#include "remuda/v1/metrics.grpc.pb.h"
#include "remuda/v1/scaling_policy.grpc.pb.h"
#include "remuda/v1/target_group.grpc.pb.h"

namespace remuda::testing_cli {

// What all services share.
struct FakeState {
  // From now on; OK: answers as it should.
  void Fail(absl::Status status) {
    const std::lock_guard lock(mutex);
    failure = std::move(status);
  }

  std::mutex mutex;
  std::condition_variable changed;
  // Answer to every call from now on, if not OK.
  absl::Status failure;
  // Requests as they came, by method, as short debug strings.
  std::map<std::string, std::vector<std::string>> requests;
  std::vector<v1::AutoScalingGroup> groups;
  std::vector<v1::Instance> instances;
  std::vector<v1::LaunchTemplateVersion> versions;  // and their templates
  std::vector<v1::Activity> activities;
  std::vector<v1::Controller> controllers;
  std::vector<v1::Host> hosts;
  std::vector<v1::Proxy> proxies;
  std::vector<v1::Target> targets;
  std::vector<v1::LoadBalancer> load_balancers;
  std::vector<v1::Listener> listeners;
  std::vector<v1::Rule> rules;
  v1::ApplyResourcesResponse applied;
  v1::Deployment deployment;  // what CreateDeployment and the other verbs answer
  // What lists answer, and what is read by name; empty: `deployment`, by any name. Set before the
  // calls.
  std::vector<v1::Deployment> deployments;
  std::vector<v1::Deployment> progress;   // what WatchDeployment sends, in order
  bool hold_watch_open = false;           // instead of ending after `progress`, or `log_text`
  bool ends = false;                      // what is watched breaks off
  std::string image_bytes;                // of the last push
  std::string log_text;                   // of every instance; may grow while it is followed
  int most_log_lines = 10'000;            // of one read; more fall behind
  std::vector<v1::GroupMetrics> metrics;  // what a watch sends, in order; the first is read
  std::vector<v1::ScalingEvaluation> evaluations;  // the newest first
  v1::PredictiveForecast forecast;
  std::string refused_policy;  // PutScalingPolicy of it finds a mistake
  size_t page_size = 100;
};

class FakeController {
 public:
  // `port` 0: any.
  explicit FakeController(int port = 0);
  ~FakeController();

  std::string address() const { return "127.0.0.1:" + std::to_string(port_); }
  int port() const { return port_; }
  FakeState& state() { return *state_; }
  // Requests of a method so far.
  std::vector<std::string> Requests(const std::string& method);

 private:
  std::unique_ptr<FakeState> state_ = std::make_unique<FakeState>();
  std::vector<std::unique_ptr<grpc::Service>> services_;
  int port_ = 0;
  std::unique_ptr<grpc::Server> server_;
};

}  // namespace remuda::testing_cli
