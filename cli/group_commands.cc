// remuda scale, target, host, instance, logs: one small step each.
#include <absl/strings/numbers.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>

#include <memory>
#include <optional>
#include <ostream>

#include "cli/commands.h"
#include "cli/printing.h"
#include "cli/table.h"

namespace remuda::cli {
namespace {

struct ScaleOptions {
  std::string group;
  std::optional<int> min;
  std::optional<int> max;
  std::optional<int> desired;
};

absl::StatusOr<v1::AutoScalingGroup> Scale(const ControllerClient& client, const std::string& id,
                                           const ScaleOptions& options) {
  if (!options.min.has_value() && !options.max.has_value()) {
    v1::SetDesiredCapacityRequest request;
    request.set_name(FullName(KindId::kAutoScalingGroup, id));
    request.set_desired(*options.desired);
    request.set_request_id(NewRequestId());
    return client.Call<v1::AutoScalingGroup>(
        *client.auto_scaling, &v1::AutoScalingService::Stub::SetDesiredCapacity, request);
  }
  v1::UpdateAutoScalingGroupRequest request;
  auto& group = *request.mutable_auto_scaling_group();
  group.set_name(FullName(KindId::kAutoScalingGroup, id));
  auto& mask = *request.mutable_update_mask();
  if (options.min.has_value()) {
    group.set_min(*options.min);
    mask.add_paths("min");
  }
  if (options.max.has_value()) {
    group.set_max(*options.max);
    mask.add_paths("max");
  }
  if (options.desired.has_value()) {
    group.set_desired(*options.desired);
    mask.add_paths("desired");
  }
  request.set_request_id(NewRequestId());
  return client.Call<v1::AutoScalingGroup>(
      *client.auto_scaling, &v1::AutoScalingService::Stub::UpdateAutoScalingGroup, request);
}

ExitCode RunScale(Context& context, const ScaleOptions& options) {
  const auto id = ParseIdOf(KindId::kAutoScalingGroup, options.group);
  if (!id.ok()) return FailUsage(context, std::string(id.status().message()));
  if (!options.min.has_value() && !options.max.has_value() && !options.desired.has_value()) {
    return FailUsage(context, "scale: to what? Give --desired, --min or --max");
  }
  const ControllerClient client(context.settings);
  const auto group = Scale(client, *id, options);
  if (!group.ok()) return Fail(context, group.status());
  context.out << group->name() << " min " << group->min() << ", desired " << group->desired()
              << ", max " << group->max() << std::endl;
  return ExitCode::kOk;
}

struct TargetOptions {
  std::string group;
  std::vector<std::string> addresses;
};

// `10.0.0.1:80`, `[::1]:80`.
absl::StatusOr<v1::TargetAddress> ParseTarget(const std::string& text) {
  const size_t colon = text.rfind(':');
  int port = 0;
  if (colon == std::string::npos || colon == 0 ||
      !absl::SimpleAtoi(text.substr(colon + 1), &port) || port < 1 || port > 65535) {
    return absl::InvalidArgumentError("\"" + text +
                                      "\" is not ADDRESS:PORT, for example 10.0.0.1:8000");
  }
  std::string address = text.substr(0, colon);
  if (address.front() == '[' && address.back() == ']')
    address = address.substr(1, address.size() - 2);
  v1::TargetAddress out;
  out.set_address(address);
  out.set_port(port);
  return out;
}

template <typename Response, typename Request, typename Method>
ExitCode ChangeTargets(Context& context, const TargetOptions& options, Method method) {
  const auto id = ParseIdOf(KindId::kTargetGroup, options.group);
  if (!id.ok()) return FailUsage(context, std::string(id.status().message()));
  Request request;
  request.set_target_group(FullName(KindId::kTargetGroup, *id));
  request.set_request_id(NewRequestId());
  for (const std::string& text : options.addresses) {
    auto target = ParseTarget(text);
    if (!target.ok()) return FailUsage(context, std::string(target.status().message()));
    *request.add_targets() = *std::move(target);
  }
  const ControllerClient client(context.settings);
  const auto response = client.Call<Response>(*client.target_groups, method, request);
  if (!response.ok()) return Fail(context, response.status());
  ResourceList targets;
  for (const auto& target : response->targets())
    targets.push_back(std::make_shared<v1::Target>(target));
  PrintResources(context, KindId::kTarget, targets);
  return ExitCode::kOk;
}

template <typename Request, typename Method>
ExitCode ChangeHost(Context& context, const std::string& name, Method method) {
  const auto id = ParseIdOf(KindId::kHost, name);
  if (!id.ok()) return FailUsage(context, std::string(id.status().message()));
  Request request;
  request.set_name(FullName(KindId::kHost, *id));
  request.set_request_id(NewRequestId());
  const ControllerClient client(context.settings);
  const auto host = client.Call<v1::Host>(*client.cluster, method, request);
  if (!host.ok()) return Fail(context, host.status());
  // The answer to a write has no observations in it: without them a person reads "no instances".
  const auto seen = GetResource(client, KindId::kHost, *id);
  if (seen.ok()) {
    PrintResource(context, KindId::kHost, **seen);
  } else {
    PrintResource(context, KindId::kHost, *host);
  }
  return ExitCode::kOk;
}

ExitCode ListHosts(Context& context) {
  const ControllerClient client(context.settings);
  const auto hosts = ListResources(client, KindId::kHost, {});
  if (!hosts.ok()) return Fail(context, hosts.status());
  PrintResources(context, KindId::kHost, *hosts);
  return ExitCode::kOk;
}

struct InstanceOptions {
  std::string instance;
  bool decrement = false;
  bool follow = false;
  int tail = 100;
};

ExitCode RunTerminate(Context& context, const InstanceOptions& options) {
  const auto id = ParseIdOf(KindId::kInstance, options.instance);
  if (!id.ok()) return FailUsage(context, std::string(id.status().message()));
  v1::TerminateInstanceRequest request;
  request.set_name(FullName(KindId::kInstance, *id));
  request.set_decrement_desired(options.decrement);
  request.set_request_id(NewRequestId());
  const ControllerClient client(context.settings);
  const auto instance = client.Call<v1::Instance>(
      *client.auto_scaling, &v1::AutoScalingService::Stub::TerminateInstance, request);
  if (!instance.ok()) return Fail(context, instance.status());
  PrintResource(context, KindId::kInstance, *instance);
  return ExitCode::kOk;
}

ExitCode RunLogs(Context& context, const InstanceOptions& options) {
  const auto id = ParseIdOf(KindId::kInstance, options.instance);
  if (!id.ok()) return FailUsage(context, std::string(id.status().message()));
  v1::WatchInstanceLogsRequest request;
  request.set_name(FullName(KindId::kInstance, *id));
  request.set_tail_lines(options.tail);
  request.set_follow(options.follow);
  const ControllerClient client(context.settings);
  grpc::ClientContext call;
  call.set_deadline(std::chrono::system_clock::now() +
                    (options.follow ? std::chrono::hours(24 * 365)
                                    : std::chrono::milliseconds(context.settings.timeout)));
  const auto stream = client.auto_scaling->WatchInstanceLogs(&call, request);
  v1::WatchInstanceLogsResponse response;
  while (stream->Read(&response)) {
    if (response.lost_bytes() > 0) {
      context.err << "remuda: " << response.lost_bytes() << " bytes were lost to rotation here"
                  << std::endl;
    }
    context.out << response.data() << std::flush;
  }
  const absl::Status status = FromGrpcStatus(stream->Finish());
  return status.ok() ? ExitCode::kOk : Fail(context, status);
}

}  // namespace

void AddScaleCommand(CLI::App& app, Context& context) {
  auto* command = app.add_subcommand("scale", "Set how many instances a group has");
  auto options = std::make_shared<ScaleOptions>();
  command->add_option("group", options->group, "The group: asg/NAME")->required();
  command->add_option("--desired", options->desired, "Instances to keep, within min and max");
  command->add_option("--min", options->min, "Never fewer");
  command->add_option("--max", options->max, "Never more");
  SetExample(command, "remuda scale asg/blue --desired 2");
  SetRun(command, context, [&context, options] { return RunScale(context, *options); });
}

void AddTargetCommand(CLI::App& app, Context& context) {
  auto* command = app.add_subcommand("target", "Register targets by hand, or take them out");
  command->require_subcommand(1);
  auto options = std::make_shared<TargetOptions>();
  const auto add = [&](const char* name, const char* help, auto run) {
    auto* sub = command->add_subcommand(name, help);
    sub->add_option("group", options->group, "The target group")->required();
    sub->add_option("targets", options->addresses, "ADDRESS:PORT, one or more")->required();
    AddOutputFlag(sub, context);
    SetExample(sub, absl::StrCat("remuda target ", name, " blue 10.0.0.1:8000"));
    SetRun(sub, context, run);
  };
  add("register", "Add targets to a target group", [&context, options] {
    return ChangeTargets<v1::RegisterTargetsResponse, v1::RegisterTargetsRequest>(
        context, *options, &v1::TargetGroupService::Stub::RegisterTargets);
  });
  add("deregister", "Drain targets and take them out", [&context, options] {
    return ChangeTargets<v1::DeregisterTargetsResponse, v1::DeregisterTargetsRequest>(
        context, *options, &v1::TargetGroupService::Stub::DeregisterTargets);
  });
  SetExample(command, "remuda target register blue 10.0.0.1:8000");
}

void AddHostCommand(CLI::App& app, Context& context) {
  auto* command = app.add_subcommand("host", "Show hosts, and take them out of use");
  command->require_subcommand(1);
  auto* list = command->add_subcommand("list", "Show all hosts");
  AddOutputFlag(list, context);
  SetExample(list, "remuda host list");
  SetRun(list, context, [&context] { return ListHosts(context); });
  auto name = std::make_shared<std::string>();
  const auto add = [&](const char* verb, const char* help, auto run) {
    auto* sub = command->add_subcommand(verb, help);
    sub->add_option("name", *name, "The host")->required();
    AddOutputFlag(sub, context);
    SetExample(sub, absl::StrCat("remuda host ", verb, " h1"));
    SetRun(sub, context, run);
  };
  add("cordon", "Place no new instance on a host", [&context, name] {
    return ChangeHost<v1::CordonHostRequest>(context, *name, &v1::ClusterService::Stub::CordonHost);
  });
  add("uncordon", "Take a host back into use", [&context, name] {
    return ChangeHost<v1::UncordonHostRequest>(context, *name,
                                               &v1::ClusterService::Stub::UncordonHost);
  });
  add("drain", "Move a host's instances elsewhere, and place no new one", [&context, name] {
    return ChangeHost<v1::DrainHostRequest>(context, *name, &v1::ClusterService::Stub::DrainHost);
  });
  SetExample(command, "remuda host drain h1");
}

void AddInstanceCommand(CLI::App& app, Context& context) {
  auto* command = app.add_subcommand("instance", "End instances");
  command->require_subcommand(1);
  auto* terminate =
      command->add_subcommand("terminate", "Drain an instance and end it; it is replaced");
  auto options = std::make_shared<InstanceOptions>();
  terminate->add_option("id", options->instance, "The instance")->required();
  terminate->add_flag("--decrement", options->decrement,
                      "Lower the group's desired by one instead of replacing it");
  AddOutputFlag(terminate, context);
  SetExample(terminate, "remuda instance terminate i-12 --decrement");
  SetExample(command, "remuda instance terminate i-12");
  SetRun(terminate, context, [&context, options] { return RunTerminate(context, *options); });
}

void AddLogsCommand(CLI::App& app, Context& context) {
  auto* command = app.add_subcommand("logs", "Show what an instance printed");
  auto options = std::make_shared<InstanceOptions>();
  command->add_option("instance", options->instance, "The instance")->required();
  command->add_flag("-f,--follow", options->follow, "Go on as more is printed");
  command->add_option("--tail", options->tail, "Lines from the end to begin with")
      ->check(CLI::Range(0, 10'000))
      ->capture_default_str();
  SetExample(command, "remuda logs i-12 -f");
  SetRun(command, context, [&context, options] { return RunLogs(context, *options); });
}

}  // namespace remuda::cli
