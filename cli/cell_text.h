// Texts of cells and lines: what of a resource people read in one short text. Pure.
#pragma once

#include <google/protobuf/map.h>
#include <google/protobuf/repeated_field.h>

#include <string>
#include <string_view>

#include "cli/resources.h"
#include "common/message_yaml.h"

namespace remuda::cli {

template <typename Enum>
std::string EnumText(Enum value) {
  if (value == Enum(0)) return "-";
  return ShortEnumName(google::protobuf::GetEnumDescriptor<Enum>(), value);
}

std::string OrDash(const std::string& text);
std::string TemplateText(const v1::LaunchTemplateRef& ref);
// With what was written, where that is not the number.
std::string FollowedText(const v1::LaunchTemplateRef& ref);
// Of a reference: tables show ids.
std::string IdText(const std::string& name);
std::string RevisionText(const v1::Revision& revision);
std::string IdsText(const google::protobuf::RepeatedPtrField<std::string>& names);
std::string CheckText(const v1::HealthCheck& check);
std::string StrategyText(const v1::DeploymentStrategy& strategy);
std::string LabelsText(const google::protobuf::Map<std::string, std::string>& labels);
// What runs is not always what new instances get: "shop:1 (2), shop:2 (1)".
std::string RunningText(const v1::AutoScalingGroup& group);
std::string WaitingText(const v1::AutoScalingGroup& group);
std::string CpuText(const v1::Host& host);
std::string MemoryText(const v1::Host& host);
// Names of what it cannot enforce.
std::string LacksText(const v1::Host& host);
std::string TroubleText(const v1::Host& host);
std::string TroubleText(const v1::Proxy& proxy);
std::string TroubleText(const v1::LoadBalancer& balancer);
std::string ListenersText(const v1::LoadBalancer& balancer);
const char* StateText(const v1::Proxy& proxy);
// targetGroups/GROUP/targets/TARGET
std::string GroupOf(const v1::Target& target);
std::string ReasonText(const v1::Target& target);
// "shop/web:http 3", with why it is not followed just now.
std::string SourceText(const v1::TargetGroup& group);
std::string AddressText(const v1::Instance& instance);
std::string UsageText(const v1::Instance& instance);
// "TCP 443 from 10.0.0.0/8,sg/web; UDP from 10.0.0.1"; of long lists the first.
std::string IngressText(const v1::SecurityGroup& group);
// With what the instance printed last; -o yaml shows all there is.
std::string CauseText(const v1::Activity& activity);

}  // namespace remuda::cli
