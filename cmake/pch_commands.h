// Services, the API's own, and the command line's library: what the commands of `remuda` are made
// of.
#include <CLI/CLI.hpp>

#include "cmake/pch_services.h"
#include "remuda/v1/activity.grpc.pb.h"
#include "remuda/v1/apply.grpc.pb.h"
#include "remuda/v1/auto_scaling.grpc.pb.h"
#include "remuda/v1/certificate.grpc.pb.h"
#include "remuda/v1/cluster.grpc.pb.h"
#include "remuda/v1/deployment.grpc.pb.h"
#include "remuda/v1/image.grpc.pb.h"
#include "remuda/v1/launch_template.grpc.pb.h"
#include "remuda/v1/listener.grpc.pb.h"
#include "remuda/v1/load_balancer.grpc.pb.h"
#include "remuda/v1/target_group.grpc.pb.h"
