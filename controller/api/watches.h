// Watches: the streaming methods of the API, each from its request to a watcher or a log reader.
// Thread: gRPC's; what they post runs on the loop. The request is copied: gRPC keeps it only until
// the method returns the reactor's end.
#pragma once

#include <grpcpp/impl/codegen/server_callback.h>

#include "controller/api/controller.h"
#include "remuda/v1/activity.pb.h"
#include "remuda/v1/auto_scaling.pb.h"
#include "remuda/v1/deployment.pb.h"
#include "remuda/v1/metrics.pb.h"
#include "remuda/v1/target_group.pb.h"

namespace remuda::watches {

grpc::ServerWriteReactor<v1::WatchTargetsResponse>* Targets(Controller& controller,
                                                            const v1::WatchTargetsRequest& request);
grpc::ServerWriteReactor<v1::WatchInstancesResponse>* Instances(
    Controller& controller, const v1::WatchInstancesRequest& request);
grpc::ServerWriteReactor<v1::WatchDeploymentResponse>* Deployment(
    Controller& controller, const v1::WatchDeploymentRequest& request);
grpc::ServerWriteReactor<v1::WatchMetricsResponse>* GroupMetrics(
    Controller& controller, const v1::WatchMetricsRequest& request);
grpc::ServerWriteReactor<v1::WatchActivitiesResponse>* Activities(
    Controller& controller, const v1::WatchActivitiesRequest& request);
grpc::ServerWriteReactor<v1::WatchInstanceLogsResponse>* InstanceLogs(
    Controller& controller, const v1::WatchInstanceLogsRequest& request);

}  // namespace remuda::watches
