// Watches: the streaming methods of the API, each from its request to a watcher or a log reader.
// Thread: gRPC's; what they post runs on the loop. The request is copied: gRPC keeps it only until
// the method returns the reactor's end.
#pragma once

#include <absl/status/status.h>
#include <grpcpp/impl/codegen/server_callback.h>

#include <functional>

#include "controller/api/controller.h"
#include "remuda/v1/activity.pb.h"
#include "remuda/v1/auto_scaling.pb.h"
#include "remuda/v1/deployment.pb.h"
#include "remuda/v1/metrics.pb.h"
#include "remuda/v1/target_group.pb.h"

namespace remuda::watches {

// Whether the caller may watch; asked on the loop before anything is told.
using Admit = std::function<absl::Status()>;

grpc::ServerWriteReactor<v1::WatchTargetsResponse>* Targets(Controller& controller, Admit admit,
                                                            const v1::WatchTargetsRequest& request);
grpc::ServerWriteReactor<v1::WatchInstancesResponse>* Instances(
    Controller& controller, Admit admit, const v1::WatchInstancesRequest& request);
grpc::ServerWriteReactor<v1::WatchDeploymentResponse>* Deployment(
    Controller& controller, Admit admit, const v1::WatchDeploymentRequest& request);
grpc::ServerWriteReactor<v1::WatchMetricsResponse>* GroupMetrics(
    Controller& controller, Admit admit, const v1::WatchMetricsRequest& request);
grpc::ServerWriteReactor<v1::WatchActivitiesResponse>* Activities(
    Controller& controller, Admit admit, const v1::WatchActivitiesRequest& request);
grpc::ServerWriteReactor<v1::WatchInstanceLogsResponse>* InstanceLogs(
    Controller& controller, Admit admit, const v1::WatchInstanceLogsRequest& request);

}  // namespace remuda::watches
