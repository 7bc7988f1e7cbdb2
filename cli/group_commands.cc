// remuda scale, target, host: one small step each.
#include <absl/strings/str_cat.h>

#include <memory>
#include <optional>
#include <ostream>

#include "cli/commands.h"
#include "cli/deploy_trouble.h"
#include "cli/group_size.h"
#include "cli/printing.h"
#include "cli/wait.h"
#include "common/traffic/address.h"

namespace remuda::cli {
namespace {

struct ScaleOptions {
  std::string group;
  std::optional<int> min;
  std::optional<int> max;
  std::optional<int> desired;
  WaitTime wait{0};
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
  if (options.wait > WaitTime(0)) {
    const ExitCode code = Await(context, options.wait, GroupSettled(client, *id));
    if (code == ExitCode::kTimedOut) PrintGroupTrouble(context, client, {*id});
    if (code != ExitCode::kOk) return code;
  }
  if (context.output == OutputFormat::kTable) {
    const GroupSize size = SizeOf(*group);
    context.out << group->name() << " min " << size.min << ", desired " << size.desired << ", max "
                << size.max << std::endl;
    return ExitCode::kOk;
  }
  PrintAsRead(context, client, KindId::kAutoScalingGroup, *id, *group);
  return ExitCode::kOk;
}

struct TargetOptions {
  std::string group;
  std::vector<std::string> addresses;
  std::optional<int> weight;        // register
  std::optional<std::string> zone;  // register
};

absl::StatusOr<v1::TargetAddress> ParseTarget(const std::string& text) {
  std::string address;
  uint16_t port = 0;
  if (!traffic::ParseEndpoint(text, address, port) || port == 0) {
    return absl::InvalidArgumentError("\"" + text +
                                      "\" is not ADDRESS:PORT, for example 10.0.0.1:8000 or "
                                      "[2001:db8::1]:8000");
  }
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
    if (options.weight.has_value()) target->set_weight(*options.weight);
    if (options.zone.has_value()) target->set_zone(*options.zone);
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

struct HostOptions {
  std::string name;
  WaitTime wait{0};  // drain
};

template <typename Request, typename Method>
ExitCode ChangeHost(Context& context, const HostOptions& options, Method method) {
  const auto id = ParseIdOf(KindId::kHost, options.name);
  if (!id.ok()) return FailUsage(context, std::string(id.status().message()));
  Request request;
  request.set_name(FullName(KindId::kHost, *id));
  request.set_request_id(NewRequestId());
  const ControllerClient client(context.settings);
  const auto host = client.Call<v1::Host>(*client.cluster, method, request);
  if (!host.ok()) return Fail(context, host.status());
  if (options.wait > WaitTime(0)) {
    const ExitCode code = Await(context, options.wait, HostEmpty(client, *id));
    if (code != ExitCode::kOk) return code;
  }
  PrintAsRead(context, client, KindId::kHost, *id, *host);
  return ExitCode::kOk;
}

}  // namespace

void AddScaleCommand(CLI::App& app, Context& context) {
  auto* command = app.add_subcommand("scale", "Set how many instances a group has");
  auto options = std::make_shared<ScaleOptions>();
  command->add_option("group", options->group, "The group: asg/NAME")->required();
  command->add_option("--desired", options->desired, "Instances to keep, within min and max");
  command->add_option("--min", options->min,
                      "Never fewer; --min 0 lowers desired too, where it stands at min");
  command->add_option("--max", options->max, "Never more");
  AddWaitFlag(command, options->wait, "so many are in service and none comes or goes");
  AddOutputFlag(command, context);
  SetExample(command, "remuda scale asg/blue --desired 2 --wait=5m");
  SetRun(command, context, [&context, options] { return RunScale(context, *options); });
}

void AddTargetCommand(CLI::App& app, Context& context) {
  auto* command =
      app.add_subcommand("target", "List targets, register them by hand, or take them out");
  command->require_subcommand(1);
  auto options = std::make_shared<TargetOptions>();
  const auto add = [&](const char* name, const char* help, auto run) {
    auto* sub = command->add_subcommand(name, help);
    sub->add_option("group", options->group, "The target group")->required();
    sub->add_option("targets", options->addresses, "ADDRESS:PORT, one or more")->required();
    AddOutputFlag(sub, context);
    SetExample(sub, absl::StrCat("remuda target ", name, " blue 10.0.0.1:8000"));
    SetRun(sub, context, run);
    return sub;
  };
  auto* enlist =
      add("register", "Add targets to a target group, or change their weight and zone",
          [&context, options] {
            return ChangeTargets<v1::RegisterTargetsResponse, v1::RegisterTargetsRequest>(
                context, *options, &v1::TargetGroupService::Stub::RegisterTargets);
          });
  enlist->add_option("--weight", options->weight,
                     "Their share against other targets, 0-999; 0: no request (default: as it is, "
                     "of new ones 1)");
  enlist->add_option("--zone", options->zone, "Their zone (default: as it is, of new ones none)");
  SetExample(enlist, "remuda target register blue 10.0.0.1:8000 --weight 5 --zone a");
  add("deregister", "Drain targets and take them out", [&context, options] {
    return ChangeTargets<v1::DeregisterTargetsResponse, v1::DeregisterTargetsRequest>(
        context, *options, &v1::TargetGroupService::Stub::DeregisterTargets);
  });
  auto* list = command->add_subcommand("list", "Show targets with their health, and why");
  list->add_option("group", options->group, "The target group; none: all");
  AddOutputFlag(list, context);
  SetExample(list, "remuda target list blue");
  SetRun(list, context, [&context, options] {
    return ShowListOf(context, KindId::kTarget, KindId::kTargetGroup, options->group);
  });
  SetExample(command, "remuda target register blue 10.0.0.1:8000\n  remuda target list tg/blue");
}

void AddHostCommand(CLI::App& app, Context& context) {
  auto* command = app.add_subcommand("host", "Show hosts, and take them out of use");
  command->require_subcommand(1);
  auto* list = command->add_subcommand("list", "Show all hosts");
  AddOutputFlag(list, context);
  SetExample(list, "remuda host list");
  SetRun(list, context, [&context] { return ShowList(context, KindId::kHost, {}); });
  auto options = std::make_shared<HostOptions>();
  const auto add = [&](const char* verb, const char* help, auto run) {
    auto* sub = command->add_subcommand(verb, help);
    sub->add_option("name", options->name, "The host")->required();
    AddOutputFlag(sub, context);
    SetExample(sub, absl::StrCat("remuda host ", verb, " h1"));
    SetRun(sub, context, run);
    return sub;
  };
  add("cordon", "Place no new instance on a host", [&context, options] {
    return ChangeHost<v1::CordonHostRequest>(context, *options,
                                             &v1::ClusterService::Stub::CordonHost);
  });
  add("uncordon", "Take a host back into use", [&context, options] {
    return ChangeHost<v1::UncordonHostRequest>(context, *options,
                                               &v1::ClusterService::Stub::UncordonHost);
  });
  auto* drain =
      add("drain", "Move a host's instances elsewhere, and place no new one", [&context, options] {
        return ChangeHost<v1::DrainHostRequest>(context, *options,
                                                &v1::ClusterService::Stub::DrainHost);
      });
  AddWaitFlag(drain, options->wait, "no instance is left on it");
  SetExample(drain, "remuda host drain h1 --wait");
  SetExample(command, "remuda host drain h1");
}

}  // namespace remuda::cli
