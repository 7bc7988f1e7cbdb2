#include "controller/api/watches.h"

#include <map>
#include <set>
#include <string>
#include <utility>

#include "common/status.h"
#include "controller/api/response_stream.h"
#include "controller/core/door/read.h"
#include "controller/core/model/deployment_row.h"

namespace remuda::watches {
namespace {

constexpr int kDefaultTailLines = 100;
constexpr int kMaxTailLines = 10'000;

// The reader of one log stream; it lives as long as the call's callbacks do.
struct LogWatch {
  std::shared_ptr<ResponseStream<v1::WatchInstanceLogsResponse>> stream;
  AgentSessions::LogReader reader;
};

void OnLogChunk(Controller& controller, LogWatch& watch, const agent::v1::LogChunk& chunk) {
  if (!chunk.data().empty() || chunk.lost_bytes() != 0) {
    v1::WatchInstanceLogsResponse response;
    response.set_data(chunk.data());
    response.set_lost_bytes(chunk.lost_bytes());
    watch.stream->Send(std::move(response));
  }
  if (chunk.end()) {
    return watch.stream->CloseAfterSent(chunk.error().empty() ? absl::OkStatus()
                                                              : Unavailable(chunk.error()));
  }
  if (watch.stream->queued_bytes() <= limits::kMaxLogBacklogBytes) return;
  watch.stream->Close(
      LimitExceeded("kMaxLogBacklogBytes", "this reader is more than " +
                                               std::to_string(limits::kMaxLogBacklogBytes) +
                                               " bytes behind; ask again"));
  controller.agents.CancelLog(watch.reader);
}

absl::Status BeginLog(
    Controller& controller, const v1::WatchInstanceLogsRequest& request,
    const std::shared_ptr<ResponseStream<v1::WatchInstanceLogsResponse>>& stream) {
  const int lines = request.has_tail_lines() ? request.tail_lines() : kDefaultTailLines;
  if (lines < 0 || lines > kMaxTailLines) {
    return InvalidField(
        "tail_lines", std::to_string(lines) + " is not within 0-" + std::to_string(kMaxTailLines));
  }
  v1::GetInstanceRequest get;
  get.set_name(request.name());
  const auto instance = core::Read(controller.engine.snapshot(), get);
  if (!instance.ok()) return instance.status();
  agent::v1::LogRequest log;
  log.set_instance(std::string(core::IdOf(instance->name())));
  log.set_tail_lines(lines);
  log.set_follow(request.follow());
  auto watch = std::make_shared<LogWatch>();
  watch->stream = stream;
  const auto reader = controller.agents.ReadLog(
      instance->host(), std::move(log), [&controller, watch](const agent::v1::LogChunk& chunk) {
        OnLogChunk(controller, *watch, chunk);
      });
  if (!reader.ok()) return reader.status();
  watch->reader = *reader;
  stream->set_on_closed([&controller, reader = *reader] { controller.agents.CancelLog(reader); });
  return absl::OkStatus();
}

}  // namespace

grpc::ServerWriteReactor<v1::WatchTargetsResponse>* Targets(
    Controller& controller, Admit admit, const v1::WatchTargetsRequest& request) {
  using Watcher = SetWatcher<v1::Target, v1::WatchTargetsResponse, core::TargetId>;
  return ResponseStream<v1::WatchTargetsResponse>::Open(
      controller.loop, std::move(admit), [&controller, request](const Watcher::Stream& stream) {
        Watcher::Begin(
            controller.watchers, stream,
            {.read =
                 [&controller, request](const std::set<core::TargetId>* only) {
                   return core::TargetsIn(controller.engine.snapshot(), request, only);
                 },
             .touched =
                 [](const Touched& touched, std::set<core::TargetId>& some) {
                   some.insert(touched.targets.begin(), touched.targets.end());
                   return touched.all_targets;
                 },
             .name_of =
                 [](const core::TargetId& id) {
                   return "targetGroups/" + core::TargetKey(id.first, id.second);
                 },
             .add = [](auto& response,
                       v1::Target target) { *response.add_targets() = std::move(target); },
             .is_last = nullptr,
             .remove = [](auto& response,
                          const std::string& name) { response.add_removed(name); }});
      });
}

grpc::ServerWriteReactor<v1::WatchInstancesResponse>* Instances(
    Controller& controller, Admit admit, const v1::WatchInstancesRequest& request) {
  using Watcher = SetWatcher<v1::Instance, v1::WatchInstancesResponse, std::string>;
  return ResponseStream<v1::WatchInstancesResponse>::Open(
      controller.loop, std::move(admit), [&controller, request](const Watcher::Stream& stream) {
        Watcher::Begin(
            controller.watchers, stream,
            {.read =
                 [&controller, parent = request.parent()](const std::set<std::string>* only) {
                   return core::InstancesIn(controller.engine.snapshot(), parent, only);
                 },
             .touched =
                 [](const Touched& touched, std::set<std::string>& some) {
                   some.insert(touched.instances.begin(), touched.instances.end());
                   return touched.all_instances;
                 },
             .name_of = [](const std::string& id) { return "instances/" + id; },
             .add = [](auto& response,
                       v1::Instance instance) { *response.add_instances() = std::move(instance); },
             .is_last = nullptr,
             .remove = [](auto& response,
                          const std::string& name) { response.add_removed(name); }});
      });
}

grpc::ServerWriteReactor<v1::WatchDeploymentResponse>* Deployment(
    Controller& controller, Admit admit, const v1::WatchDeploymentRequest& request) {
  using Watcher = SetWatcher<v1::Deployment, v1::WatchDeploymentResponse, std::string>;
  return ResponseStream<v1::WatchDeploymentResponse>::Open(
      controller.loop, std::move(admit), [&controller, request](const Watcher::Stream& stream) {
        v1::GetDeploymentRequest get;
        get.set_name(request.name());
        const auto read = [&controller, get](const std::set<std::string>*)
            -> absl::StatusOr<std::map<std::string, v1::Deployment>> {
          auto deployment = core::Read(controller.engine.snapshot(), get);
          if (!deployment.ok()) return deployment.status();
          return std::map<std::string, v1::Deployment>{{deployment->name(), *deployment}};
        };
        const auto is_last = [](const std::map<std::string, v1::Deployment>& now) {
          return core::HasEnded(core::StageOf(now.begin()->second));
        };
        Watcher::Begin(
            controller.watchers, stream,
            {.read = read,
             .touched =
                 [](const Touched& touched, std::set<std::string>&) {
                   return touched.deployments || touched.any_targets();
                 },
             .name_of = [](const std::string& name) { return name; },
             .add = [](auto& response,
                       v1::Deployment now) { *response.mutable_deployment() = std::move(now); },
             .is_last = is_last,
             .remove = [](auto&, const std::string&) {}});
      });
}

grpc::ServerWriteReactor<v1::WatchMetricsResponse>* GroupMetrics(
    Controller& controller, Admit admit, const v1::WatchMetricsRequest& request) {
  return ResponseStream<v1::WatchMetricsResponse>::Open(
      controller.loop, std::move(admit),
      [&controller, request](const MetricsWatcher::Stream& stream) {
        const auto wanted = core::WantedMetrics(controller.engine.snapshot(),
                                                request.auto_scaling_group(), request.points());
        if (!wanted.ok()) return stream->Close(wanted.status());
        MetricsWatcher::Begin(controller.watchers, stream, *wanted);
      });
}

grpc::ServerWriteReactor<v1::WatchActivitiesResponse>* Activities(
    Controller& controller, Admit admit, const v1::WatchActivitiesRequest& request) {
  return ResponseStream<v1::WatchActivitiesResponse>::Open(
      controller.loop, std::move(admit),
      [&controller, request](const ActivityWatcher::Stream& stream) {
        // The list method checks `resource`.
        v1::ListActivitiesRequest list;
        list.set_resource(request.resource());
        list.set_page_size(1);
        const auto page = core::Read(controller.engine.snapshot(), list);
        if (!page.ok()) return stream->Close(page.status());
        ActivityWatcher::Begin(controller.watchers, stream, request.resource());
      });
}

grpc::ServerWriteReactor<v1::WatchInstanceLogsResponse>* InstanceLogs(
    Controller& controller, Admit admit, const v1::WatchInstanceLogsRequest& request) {
  using Stream = ResponseStream<v1::WatchInstanceLogsResponse>;
  return Stream::Open(controller.loop, std::move(admit),
                      [&controller, request](const std::shared_ptr<Stream>& stream) {
                        const absl::Status status = BeginLog(controller, request, stream);
                        if (!status.ok()) stream->Close(status);
                      });
}

}  // namespace remuda::watches
