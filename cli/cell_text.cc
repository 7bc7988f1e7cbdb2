#include "cli/cell_text.h"

#include <absl/strings/ascii.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>
#include <absl/strings/str_split.h>

#include <algorithm>
#include <functional>
#include <map>
#include <string_view>

#include "cli/deploy_progress.h"
#include "cli/parts.h"
#include "cli/rule_text.h"
#include "cli/table_layout.h"
#include "common/duration_text.h"
#include "common/message_yaml.h"
#include "common/traffic/address.h"
#include "common/words.h"

namespace remuda::cli {
namespace {

constexpr size_t kPrintedLines = 4;  // of what an instance printed last

// Whether the line says something of its own: not what goes on under another, as a stack's frames
// under their error, and no closing bracket.
bool IsHeadline(std::string_view line) {
  return !absl::ascii_isspace(static_cast<unsigned char>(line.front())) &&
         std::any_of(line.begin(), line.end(),
                     [](unsigned char c) { return absl::ascii_isalnum(c) || c >= 0x80; });
}

// Of what an instance printed last, what fits one line.
std::string PrintedText(const std::string& log_tail) {
  std::vector<std::string> lines = absl::StrSplit(log_tail, '\n', absl::SkipWhitespace());
  if (std::any_of(lines.begin(), lines.end(), IsHeadline))
    std::erase_if(lines, [](const std::string& line) { return !IsHeadline(line); });
  if (lines.size() > kPrintedLines)
    lines.erase(lines.begin(), lines.end() - static_cast<std::ptrdiff_t>(kPrintedLines));
  return absl::StrJoin(lines, " | ");
}

}  // namespace

std::string OrDash(const std::string& text) { return text.empty() ? "-" : text; }

std::string TemplateText(const v1::LaunchTemplateRef& ref) {
  if (ref.launch_template().empty()) return "-";
  return absl::StrCat(ShortId(ref.launch_template()), ":", ref.resolved_version());
}

std::string FollowedText(const v1::LaunchTemplateRef& ref) {
  const bool is_named = ref.version().starts_with('$');
  return absl::StrCat(TemplateText(ref), is_named ? absl::StrCat(" (", ref.version(), ")") : "");
}

std::string IdText(const std::string& name) { return OrDash(ShortId(name)); }

std::string RevisionText(const v1::Revision& revision) {
  return revision.epoch() == 0 ? "-" : absl::StrCat(revision.epoch(), ".", revision.sequence());
}

std::string IdsText(const google::protobuf::RepeatedPtrField<std::string>& names) {
  return OrDash(absl::StrJoin(names, ",", [](std::string* out, const std::string& name) {
    absl::StrAppend(out, ShortId(name));
  }));
}

std::string CheckText(const v1::HealthCheck& check) {
  return absl::StrCat(check.protocol() == v1::PROTOCOL_TCP     ? "TCP"
                      : check.protocol() == v1::PROTOCOL_HTTPS ? "HTTPS " + OrDash(check.path())
                                                               : OrDash(check.path()),
                      " every ", FormatDuration(check.interval()));
}

std::string StrategyText(const v1::DeploymentStrategy& strategy) {
  if (strategy.steps_size() > 0) return "steps";
  switch (strategy.kind_case()) {
    case v1::DeploymentStrategy::kRolling:
      return "rolling";
    case v1::DeploymentStrategy::kInPlace:
      return "in-place";
    case v1::DeploymentStrategy::kCanary:
      return "canary";
    case v1::DeploymentStrategy::kLinear:
      return "linear";
    case v1::DeploymentStrategy::kBlueGreen:
    case v1::DeploymentStrategy::KIND_NOT_SET:
      break;
  }
  return "blue-green";
}

std::string LabelsText(const google::protobuf::Map<std::string, std::string>& labels) {
  const std::map<std::string, std::string> sorted(labels.begin(), labels.end());
  return OrDash(absl::StrJoin(sorted, ",", absl::PairFormatter("=")));
}

std::string RunningText(const v1::AutoScalingGroup& group) {
  return OrDash(absl::StrJoin(group.status().running_versions(), ", ",
                              [](std::string* out, const v1::RunningVersion& running) {
                                absl::StrAppend(out, TemplateText(running.launch_template()), " (",
                                                running.instances(), ")");
                              }));
}

std::string WaitingText(const v1::AutoScalingGroup& group) {
  if (group.deleting()) return "being deleted";
  std::vector<std::string> parts;
  if (!group.status().waiting().empty()) parts.push_back(group.status().waiting());
  parts.insert(parts.end(), group.status().warnings().begin(), group.status().warnings().end());
  return OrDash(absl::StrJoin(parts, "; "));
}

std::string CpuText(const v1::Host& host) {
  if (host.capacity().cpu_millis() <= 0) return "-";
  return absl::StrCat(host.used().cpu_millis(), "m/", host.capacity().cpu_millis(), "m");
}

std::string MemoryText(const v1::Host& host) {
  if (host.capacity().cpu_millis() <= 0) return "-";
  return absl::StrCat(FormatBytes(host.used().memory_bytes()), "/",
                      FormatBytes(host.capacity().memory_bytes()));
}

std::string LacksText(const v1::Host& host) {
  std::vector<std::string> names;
  for (const auto& [name, why] : host.lacks()) names.push_back(name);
  std::sort(names.begin(), names.end());
  return OrDash(absl::StrJoin(names, ","));
}

std::string TroubleText(const v1::Host& host) {
  std::vector<std::string> troubles;
  if (!host.refused_agent().empty()) troubles.push_back(host.refused_agent());
  if (host.launch_failures() > 0) {
    troubles.push_back(
        absl::StrCat(Counted(host.launch_failures(), "launch"),
                     host.launch_failures() == 1 ? " failed" : " failed in a row",
                     host.has_avoided_until() ? ", avoided until " : "",
                     host.has_avoided_until() ? FormatDate(host.avoided_until()) : "",
                     host.last_launch_failure().empty() ? "" : ": ", host.last_launch_failure()));
  }
  return OrDash(absl::StrJoin(troubles, "; "));
}

std::string TroubleText(const v1::Proxy& proxy) {
  const auto& config = proxy.config();
  std::vector<std::string> troubles(proxy.listener_errors().begin(), proxy.listener_errors().end());
  if (!proxy.refused_proxy().empty()) troubles.push_back(proxy.refused_proxy());
  if (config.rejected().epoch() != 0) {
    troubles.push_back(absl::StrCat(
        "rejected ", RevisionText(config.rejected()), ": ", config.rejected_resource(),
        config.rejected_resource().empty() ? "" : ": ",
        config.rejected_reason().empty() ? "no reason given" : config.rejected_reason()));
  }
  return OrDash(absl::StrJoin(troubles, "; "));
}

std::string TroubleText(const v1::LoadBalancer& balancer) {
  return OrDash(absl::StrJoin(balancer.listener_errors(), "; ",
                              [](std::string* out, const v1::ListenerError& error) {
                                absl::StrAppend(out, ShortId(error.proxy()), " does not listen on ",
                                                error.port(), ": ", error.error());
                              }));
}

std::string ListenersText(const v1::LoadBalancer& balancer) {
  return OrDash(
      absl::StrJoin(balancer.listeners(), ", ", [](std::string* out, const v1::Listener& listener) {
        absl::StrAppend(out, ListenerText(listener));
      }));
}

const char* StateText(const v1::Proxy& proxy) {
  if (proxy.connected()) return "CONNECTED";
  return proxy.live() ? "SILENT" : "GONE";
}

std::string GroupOf(const v1::Target& target) {
  const size_t begin = target.name().find('/');
  if (begin == std::string::npos) return "-";
  const size_t end = target.name().find('/', begin + 1);
  return target.name().substr(begin + 1, end == std::string::npos ? end : end - begin - 1);
}

std::string ReasonText(const v1::Target& target) {
  if (target.description().empty()) return OrDash(target.reason());
  return absl::StrCat(target.reason(), target.reason().empty() ? "" : ": ", target.description());
}

std::string SourceText(const v1::TargetGroup& group) {
  if (!group.targets().has_kubernetes()) return "-";
  const v1::KubernetesTargets& of = group.targets().kubernetes();
  const v1::TargetSourceStatus& status = group.targets_status();
  return absl::StrCat(of.namespace_(), "/", of.service(), of.port().empty() ? "" : ":", of.port(),
                      " ", status.endpoints(), status.error().empty() ? "" : ": ", status.error());
}

std::string AddressText(const v1::Instance& instance) {
  return instance.port() == 0 ? OrDash(instance.address())
                              : traffic::EndpointText(instance.address(), instance.port());
}

std::string UsageText(const v1::Instance& instance) {
  if (instance.process().pid() == 0) return "-";
  return absl::StrCat(instance.process().cpu_millis(), "m, ",
                      FormatBytes(instance.process().memory_bytes()));
}

std::string IngressText(const v1::SecurityGroup& group) {
  constexpr int kRules = 4;
  constexpr int kSources = 4;
  std::string out;
  for (int i = 0; i < group.ingress_size() && i < kRules; ++i) {
    const v1::IngressRule& rule = group.ingress(i);
    std::vector<std::string> sources(rule.cidrs().begin(), rule.cidrs().end());
    for (const std::string& source : rule.security_groups())
      sources.push_back("sg/" + ShortId(source));
    const size_t more = sources.size() > kSources ? sources.size() - kSources : 0;
    sources.resize(sources.size() - more);
    absl::StrAppend(&out, out.empty() ? "" : "; ", EnumText(rule.ip_protocol()));
    if (rule.from_port() != 0) absl::StrAppend(&out, " ", rule.from_port());
    if (rule.to_port() > rule.from_port()) absl::StrAppend(&out, "-", rule.to_port());
    absl::StrAppend(&out, " from ", absl::StrJoin(sources, ","),
                    more > 0 ? absl::StrCat(" and ", more, " more") : "");
  }
  if (group.ingress_size() > kRules)
    absl::StrAppend(&out, "; ", group.ingress_size() - kRules, " more");
  return out.empty() ? "nothing" : out;
}

std::string CauseText(const v1::Activity& activity) {
  const std::string printed = PrintedText(activity.log_tail());
  if (printed.empty()) return OrDash(activity.cause());
  return absl::StrCat(activity.cause(), activity.cause().empty() ? "" : "; ",
                      "it printed last: ", printed);
}

}  // namespace remuda::cli
