#include "controller/core/door/defaults.h"

#include <algorithm>

#include "common/traffic/cidr.h"
#include "controller/core/door/lifecycle_settings.h"
#include "controller/core/door/validate_analysis.h"
#include "controller/core/door/validate_policies.h"
#include "controller/core/model/capacity.h"
#include "controller/core/model/names.h"
#include "controller/core/model/request_hold.h"
#include "controller/core/model/time.h"

namespace remuda::core {
namespace {

constexpr Duration kHealthInterval = absl::Seconds(30);
constexpr Duration kHealthTimeout = absl::Seconds(5);
constexpr int kHealthyThreshold = 5;
constexpr int kUnhealthyThreshold = 2;
constexpr Duration kDeregistrationDelay = absl::Seconds(300);
constexpr Duration kStopGrace = absl::Seconds(30);
constexpr Duration kIdleTimeout = absl::Seconds(60);
constexpr Duration kClientKeepAlive = absl::Seconds(3600);
constexpr Duration kInstanceWarmup = absl::Seconds(30);
constexpr Duration kIdleAfter = absl::Seconds(300);
constexpr Duration kGracePeriod = absl::Seconds(30);
constexpr Duration kHealthDeadline = absl::Seconds(600);
constexpr int kForwardWeight = 1;
constexpr Duration kStickiness = absl::Seconds(86'400);
constexpr Duration kEjectionBase = absl::Seconds(10);
constexpr Duration kEjectionMax = absl::Seconds(300);
constexpr int kEjectionPercent = 20;
constexpr int kQueue = 100;
constexpr Duration kQueueTimeout = absl::Seconds(1);
constexpr Duration kTcpIdleTimeout = absl::Seconds(350);
constexpr int kRedirectStatus = 302;

v1::Protocol CheckProtocolFor(v1::Protocol group) {
  if (group == v1::PROTOCOL_HTTPS) return v1::PROTOCOL_HTTPS;
  return group == v1::PROTOCOL_HTTP ? v1::PROTOCOL_HTTP : v1::PROTOCOL_TCP;
}

void ApplyCheckDefaults(v1::HealthCheck& check, v1::Protocol group) {
  if (check.path().empty()) check.set_path("/");
  if (!check.has_interval()) *check.mutable_interval() = ToProto(kHealthInterval);
  // A check that may take longer than the time to the next one would overlap itself.
  if (!check.has_timeout()) {
    const Duration interval = FromProto(check.interval());
    *check.mutable_timeout() = ToProto(
        interval > absl::ZeroDuration() ? std::min(kHealthTimeout, interval) : kHealthTimeout);
  }
  if (check.healthy_threshold() == 0) check.set_healthy_threshold(kHealthyThreshold);
  if (check.unhealthy_threshold() == 0) check.set_unhealthy_threshold(kUnhealthyThreshold);
  if (check.matcher().empty()) check.set_matcher("200");
  if (check.protocol() == v1::PROTOCOL_UNSPECIFIED) check.set_protocol(CheckProtocolFor(group));
}

void ApplyBalancingDefaults(v1::TargetGroup& value) {
  if (value.algorithm() == v1::BALANCING_ALGORITHM_UNSPECIFIED)
    value.set_algorithm(v1::BALANCING_ALGORITHM_ROUND_ROBIN);
  if (value.slow_start().seconds() == 0 && value.slow_start().nanos() == 0)
    value.clear_slow_start();
  if (value.has_stickiness() && !value.stickiness().has_duration())
    *value.mutable_stickiness()->mutable_duration() = ToProto(kStickiness);
  if (value.has_passive_ejection()) {
    v1::PassiveEjection& ejection = *value.mutable_passive_ejection();
    if (!ejection.has_base_time()) *ejection.mutable_base_time() = ToProto(kEjectionBase);
    if (!ejection.has_max_time())
      *ejection.mutable_max_time() =
          ToProto(std::max(kEjectionMax, FromProto(ejection.base_time())));
    if (!ejection.has_max_percent()) ejection.set_max_percent(kEjectionPercent);
  }
  if (value.has_concurrency_limit()) {
    v1::ConcurrencyLimit& limit = *value.mutable_concurrency_limit();
    if (!limit.has_max_queue()) limit.set_max_queue(kQueue);
    if (!limit.has_queue_timeout()) *limit.mutable_queue_timeout() = ToProto(kQueueTimeout);
  }
  if (value.has_request_hold()) FillRequestHold(*value.mutable_request_hold());
  if (value.has_target_group_health() && value.target_group_health().minimum_healthy_count() == 0)
    value.mutable_target_group_health()->set_minimum_healthy_count(1);
}

void ApplyActionDefaults(v1::Action& action) {
  switch (action.kind_case()) {
    case v1::Action::kForward:
      for (auto& group : *action.mutable_forward()->mutable_target_groups()) {
        if (!group.has_weight()) group.set_weight(kForwardWeight);
      }
      if (action.forward().stickiness_duration().seconds() == 0 &&
          action.forward().stickiness_duration().nanos() == 0)
        action.mutable_forward()->clear_stickiness_duration();
      break;
    case v1::Action::kFixedResponse:
      if (action.fixed_response().content_type().empty()) {
        action.mutable_fixed_response()->set_content_type("text/plain");
      }
      break;
    case v1::Action::kRedirect:
      if (action.redirect().status() == 0) action.mutable_redirect()->set_status(kRedirectStatus);
      break;
    case v1::Action::KIND_NOT_SET:
      break;
  }
}

}  // namespace

void ApplyDefaults(v1::LaunchTemplateVersion& value) {
  if (value.stop_signal().empty()) value.set_stop_signal("SIGTERM");
  if (!value.has_stop_grace()) *value.mutable_stop_grace() = ToProto(kStopGrace);
}

void ApplyDefaults(v1::TargetGroup& value) {
  if (value.protocol() == v1::PROTOCOL_UNSPECIFIED) value.set_protocol(v1::PROTOCOL_HTTP);
  ApplyCheckDefaults(*value.mutable_health_check(), value.protocol());
  if (!value.has_deregistration_delay()) {
    *value.mutable_deregistration_delay() = ToProto(kDeregistrationDelay);
  }
  ApplyBalancingDefaults(value);
  if (value.targets().source_case() == v1::TargetSource::SOURCE_NOT_SET) value.clear_targets();
}

void ApplyDefaults(v1::LoadBalancer& value) {
  if (!value.has_idle_timeout()) *value.mutable_idle_timeout() = ToProto(kIdleTimeout);
  if (!value.has_client_keep_alive())
    *value.mutable_client_keep_alive() = ToProto(kClientKeepAlive);
  if (value.x_forwarded_for_mode() == v1::X_FORWARDED_FOR_MODE_UNSPECIFIED) {
    value.set_x_forwarded_for_mode(v1::X_FORWARDED_FOR_MODE_APPEND);
  }
  for (auto& listener : *value.mutable_listeners()) {
    if (listener.protocol() == v1::PROTOCOL_UNSPECIFIED) listener.set_protocol(v1::PROTOCOL_HTTP);
    const bool is_bytes =
        listener.protocol() == v1::PROTOCOL_TCP || listener.protocol() == v1::PROTOCOL_TLS;
    if (is_bytes && !listener.has_tcp_idle_timeout())
      *listener.mutable_tcp_idle_timeout() = ToProto(kTcpIdleTimeout);
    if (listener.has_default_action()) ApplyActionDefaults(*listener.mutable_default_action());
    for (auto& rule : *listener.mutable_rules()) {
      if (rule.has_action()) ApplyActionDefaults(*rule.mutable_action());
    }
  }
}

void ApplyDefaults(v1::AutoScalingGroup& value, const v1::AutoScalingGroup* before) {
  if (!value.has_desired()) {
    // Nobody asked for more than the least, and the least is nothing now.
    const bool is_emptied = before != nullptr && value.min() == 0 && MinOf(*before) > 0 &&
                            DesiredOf(*before) == MinOf(*before);
    value.set_desired(before == nullptr || is_emptied
                          ? value.min()
                          : std::max(value.min(), std::min(value.max(), before->desired())));
  }
  auto& launch = *value.mutable_launch_template();
  if (before != nullptr && launch.version().empty()) {
    const v1::LaunchTemplateRef& is = before->launch_template();
    const std::string& name = is.launch_template();
    if (launch.launch_template() == name ||
        launch.launch_template() == FullName(kLaunchTemplates, name)) {
      launch = is;
    }
  }
  if (!value.has_health_check_grace_period()) {
    *value.mutable_health_check_grace_period() = ToProto(kGracePeriod);
  }
  if (value.has_deployment()) ApplyDefaults(*value.mutable_deployment());
  if (!value.has_instance_warmup()) *value.mutable_instance_warmup() = ToProto(kInstanceWarmup);
  for (v1::ScalingPolicy& policy : *value.mutable_policies()) ApplyDefaults(policy);
  if (value.has_from_zero()) {
    v1::FromZero& from_zero = *value.mutable_from_zero();
    if (!from_zero.has_idle_after()) *from_zero.mutable_idle_after() = ToProto(kIdleAfter);
    if (from_zero.wake_to() == 0) from_zero.set_wake_to(1);
  }
  ApplyLifecycleDefaults(value);
  if (value.termination_policies().empty()) {
    value.add_termination_policies(v1::TERMINATION_POLICY_DEFAULT);
  }
}

namespace {

template <class T>
void ApplySettingsDefaults(T& value) {
  auto& strategy = *value.mutable_strategy();
  if (strategy.kind_case() == v1::DeploymentStrategy::KIND_NOT_SET && strategy.steps().empty()) {
    strategy.mutable_blue_green();
  }
  if (strategy.has_blue_green() && !strategy.blue_green().has_bake()) {
    *strategy.mutable_blue_green()->mutable_bake() = ToProto(absl::ZeroDuration());
  }
  if (!value.has_health_deadline()) *value.mutable_health_deadline() = ToProto(kHealthDeadline);
  if (!value.has_automatic_rollback()) value.set_automatic_rollback(true);
  if (value.has_analysis()) ApplyDefaults(*value.mutable_analysis());
  for (v1::DeploymentStep& step : *strategy.mutable_steps()) {
    if (step.has_analysis()) ApplyDefaults(*step.mutable_analysis());
  }
  if (value.has_mirror()) ApplyDefaults(*value.mutable_mirror());
}

}  // namespace

void ApplyDefaults(v1::Deployment& value) { ApplySettingsDefaults(value); }
void ApplyDefaults(v1::DeploymentSettings& value) { ApplySettingsDefaults(value); }

void ClearOutputOnly(v1::LaunchTemplateVersion& value) {
  value.clear_version();
  value.clear_image_digest();
  value.clear_create_time();
  value.clear_etag();
}

void ClearOutputOnly(v1::TargetGroup& value) {
  value.clear_create_time();
  value.clear_targets_status();
  value.clear_etag();
}

void ClearOutputOnly(v1::LoadBalancer& value) {
  value.clear_create_time();
  value.clear_listener_errors();
  value.clear_etag();
  for (v1::Listener& listener : *value.mutable_listeners()) {
    listener.clear_etag();
    for (v1::Rule& rule : *listener.mutable_rules()) rule.clear_etag();
  }
}

void ClearOutputOnly(v1::Certificate& value) {
  value.clear_dns_names();
  value.clear_expire_time();
  value.clear_create_time();
  value.clear_etag();
}

void ApplyDefaults(v1::SecurityGroup& value) {
  for (v1::IngressRule& rule : *value.mutable_ingress()) {
    if (rule.ip_protocol() == v1::IP_PROTOCOL_UNSPECIFIED)
      rule.set_ip_protocol(v1::IP_PROTOCOL_TCP);
    if (rule.to_port() == 0) rule.set_to_port(rule.from_port());
    for (std::string& text : *rule.mutable_cidrs()) {
      traffic::Cidr block;
      if (traffic::ParseBlock(text, block).empty()) text = traffic::CidrText(block);
    }
  }
}

void ClearOutputOnly(v1::SecurityGroup& value) {
  value.clear_create_time();
  value.clear_etag();
}

void ClearOutputOnly(v1::AutoScalingGroup& value) {
  value.mutable_launch_template()->clear_resolved_version();
  value.clear_create_time();
  value.clear_etag();
  value.clear_deleting();
  value.clear_status();
  value.clear_launch_template_set_by();
  value.clear_suspended_processes();
}

}  // namespace remuda::core
