#include "cli/columns.h"

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
#include "common/duration_text.h"
#include "common/message_yaml.h"
#include "common/traffic/address.h"
#include "common/words.h"

namespace remuda::cli {
namespace {

using google::protobuf::Timestamp;

constexpr size_t kShownDigest = 19;  // "sha256:" and 12 digits
constexpr size_t kPrintedLines = 4;  // of what an instance printed last

std::string OrDash(const std::string& text) { return text.empty() ? "-" : text; }

std::string TemplateText(const v1::LaunchTemplateRef& ref) {
  if (ref.launch_template().empty()) return "-";
  return absl::StrCat(ShortId(ref.launch_template()), ":", ref.resolved_version());
}

// With what was written, where that is not the number.
std::string FollowedText(const v1::LaunchTemplateRef& ref) {
  const bool is_named = ref.version().starts_with('$');
  return absl::StrCat(TemplateText(ref), is_named ? absl::StrCat(" (", ref.version(), ")") : "");
}

// Of a reference: tables show ids.
std::string IdText(const std::string& name) { return OrDash(ShortId(name)); }

template <typename Enum>
std::string EnumText(Enum value) {
  if (value == Enum(0)) return "-";
  return ShortEnumName(google::protobuf::GetEnumDescriptor<Enum>(), value);
}

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

// What runs is not always what new instances get: "shop:1 (2), shop:2 (1)".
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

// targetGroups/GROUP/targets/TARGET
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

std::string AddressText(const v1::Instance& instance) {
  return instance.port() == 0 ? OrDash(instance.address())
                              : traffic::EndpointText(instance.address(), instance.port());
}

std::string UsageText(const v1::Instance& instance) {
  if (instance.process().pid() == 0) return "-";
  return absl::StrCat(instance.process().cpu_millis(), "m, ",
                      FormatBytes(instance.process().memory_bytes()));
}

template <typename M>
struct Column {
  const char* header;
  std::function<std::string(const M&)> cell;
  bool is_wide = false;  // only shown if asked for
};

template <typename M>
Table Fill(const ResourceList& resources, bool is_wide, const std::vector<Column<M>>& columns) {
  Table table;
  for (const Column<M>& column : columns) {
    if (!column.is_wide || is_wide) table.headers.emplace_back(column.header);
  }
  for (const auto& resource : resources) {
    auto& row = table.rows.emplace_back();
    for (const Column<M>& column : columns) {
      if (!column.is_wide || is_wide) row.push_back(column.cell(static_cast<const M&>(*resource)));
    }
  }
  return table;
}

template <typename M>
Column<M> Name() {
  return {"NAME", [](const M& m) { return ShortId(m.name()); }};
}
template <typename M>
Column<M> Age(const Timestamp& now) {
  return {"AGE", [&now](const M& m) { return FormatAge(m.create_time(), now); }};
}
template <typename M>
Column<M> Labels() {
  return {"LABELS", [](const M& m) { return LabelsText(m.labels()); }, true};
}

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

// With what the instance printed last; -o yaml shows all there is.
std::string CauseText(const v1::Activity& activity) {
  const std::string printed = PrintedText(activity.log_tail());
  if (printed.empty()) return OrDash(activity.cause());
  return absl::StrCat(activity.cause(), activity.cause().empty() ? "" : "; ",
                      "it printed last: ", printed);
}

using Activity = v1::Activity;
Table Activities(const ResourceList& list, const Timestamp& /*now*/, bool is_wide) {
  return Fill<Activity>(
      list, is_wide,
      {{"TIME", [](const Activity& a) { return FormatDate(a.start_time()); }},
       {"ENDED", [](const Activity& a) { return FormatDate(a.end_time()); }, true},
       {"RESOURCE", [](const Activity& a) { return OrDash(a.resource()); }},
       {"INSTANCE", [](const Activity& a) { return IdText(a.instance()); }, true},
       {"DEPLOYMENT", [](const Activity& a) { return IdText(a.deployment()); }, true},
       {"STATUS", [](const Activity& a) { return EnumText(a.status()); }},
       {"WHO", [](const Activity& a) { return OrDash(a.actor()); }},
       {"WHAT", [](const Activity& a) { return a.description(); }},
       {"WHY", CauseText}});
}

using Group = v1::AutoScalingGroup;
Table Groups(const ResourceList& list, const Timestamp& now, bool is_wide) {
  return Fill<Group>(
      list, is_wide,
      {Name<Group>(),
       {"TEMPLATE", [](const Group& g) { return FollowedText(g.launch_template()); }},
       {"RUNS", RunningText},
       {"MIN/DESIRED/MAX",
        [](const Group& g) { return absl::StrCat(g.min(), "/", g.desired(), "/", g.max()); }},
       {"IN-SERVICE", [](const Group& g) { return absl::StrCat(g.status().in_service()); }},
       {"PENDING", [](const Group& g) { return absl::StrCat(g.status().pending()); }},
       {"ENDING",
        [](const Group& g) {
          return absl::StrCat(g.status().terminating() + g.status().unknown());
        }},
       {"TARGET-GROUPS",
        [](const Group& g) {
          return OrDash(
              absl::StrJoin(g.target_groups(), ",", [](std::string* out, const std::string& name) {
                absl::StrAppend(out, ShortId(name));
              }));
        }},
       {"DEPLOYMENT", [](const Group& g) { return IdText(g.status().deployment()); }},
       Age<Group>(now),
       {"ZONES", [](const Group& g) { return OrDash(absl::StrJoin(g.zones(), ",")); }, true},
       Labels<Group>(),
       {"SET-BY", [](const Group& g) { return IdText(g.launch_template_set_by()); }, true},
       {"WAITING", WaitingText}});
}

using Deployment = v1::Deployment;
Table Deployments(const ResourceList& list, const Timestamp& now, bool is_wide) {
  return Fill<Deployment>(
      list, is_wide,
      {Name<Deployment>(),
       {"GROUP", [](const Deployment& d) { return ShortId(d.auto_scaling_group()); }},
       {"FROM", [](const Deployment& d) { return TemplateText(d.from()); }},
       {"TO", [](const Deployment& d) { return TemplateText(d.to()); }},
       {"STRATEGY", [](const Deployment& d) { return StrategyText(d.strategy()); }},
       {"STATE",
        [](const Deployment& d) { return EnumText(d.state()) + (d.paused() ? " (paused)" : ""); }},
       {"STEP", [](const Deployment& d) { return OrDash(StepText(d)); }},
       Age<Deployment>(now),
       {"BEGAN", [](const Deployment& d) { return FormatDate(d.create_time()); }, true},
       {"ENDED", [](const Deployment& d) { return FormatDate(d.end_time()); }, true},
       {"UNDOES", [](const Deployment& d) { return IdText(d.rollback_of()); }, true},
       {"WAITING", [](const Deployment& d) {
          return OrDash(d.rollback_reason().empty() ? d.waiting() : d.rollback_reason());
        }}});
}

using Host = v1::Host;
Table Hosts(const ResourceList& list, const Timestamp& now, bool is_wide) {
  return Fill<Host>(
      list, is_wide,
      {Name<Host>(),
       {"ADDRESS", [](const Host& h) { return h.address(); }},
       {"ZONE", [](const Host& h) { return OrDash(h.zone()); }},
       {"STATE", [](const Host& h) { return EnumText(h.state()); }},
       {"SCHEDULE",
        [](const Host& h) {
          return h.schedule() == v1::HOST_SCHEDULE_UNSPECIFIED ? "ACTIVE" : EnumText(h.schedule());
        }},
       {"INSTANCES", [](const Host& h) { return absl::StrCat(h.instance_count()); }},
       {"CPU", CpuText},
       {"MEMORY", MemoryText},
       {"DISK-FREE",
        [](const Host& h) {
          return h.capacity().disk_free_bytes() == 0 ? "-"
                                                     : FormatBytes(h.capacity().disk_free_bytes());
        },
        true},
       {"VERSION", [](const Host& h) { return OrDash(h.agent_version()); }, true},
       Labels<Host>(),
       {"LAST-SEEN", [&now](const Host& h) { return FormatAge(h.last_seen_time(), now); }},
       {"TROUBLE", [](const Host& h) { return TroubleText(h); }}});
}

using Image = v1::Image;
Table Images(const ResourceList& list, const Timestamp& now, bool is_wide) {
  return Fill<Image>(list, is_wide,
                     {Name<Image>(),
                      {"SIZE", [](const Image& i) { return FormatBytes(i.size_bytes()); }},
                      {"DIGEST",
                       [is_wide](const Image& i) {
                         return is_wide ? i.digest() : i.digest().substr(0, kShownDigest);
                       }},
                      {"FROM-INSTANCE", [](const Image& i) { return IdText(i.source_instance()); }},
                      Labels<Image>(),
                      Age<Image>(now)});
}

using Instance = v1::Instance;
Table Instances(const ResourceList& list, const Timestamp& now, bool is_wide) {
  return Fill<Instance>(
      list, is_wide,
      {Name<Instance>(),
       {"GROUP", [](const Instance& i) { return ShortId(i.auto_scaling_group()); }},
       {"TEMPLATE", [](const Instance& i) { return TemplateText(i.launch_template()); }},
       {"HOST", [](const Instance& i) { return IdText(i.host()); }},
       {"ZONE", [](const Instance& i) { return OrDash(i.zone()); }},
       {"ADDRESS", AddressText},
       {"STATE",
        [](const Instance& i) {
          return EnumText(i.state()) + (i.unhealthy() ? " (unhealthy)" : "");
        }},
       Age<Instance>(now),
       {"PID",
        [](const Instance& i) {
          return i.process().pid() == 0 ? "-" : absl::StrCat(i.process().pid());
        },
        true},
       {"RESTARTS", [](const Instance& i) { return absl::StrCat(i.process().restarts()); }, true},
       {"USES", UsageText, true},
       {"REPLACES",
        [](const Instance& i) {
          return IdText(i.replaces().empty() ? i.launched_for() : i.replaces());
        },
        true},
       {"WITHHELD-BY", [](const Instance& i) { return IdText(i.withheld_by()); }, true},
       {"REASON", [](const Instance& i) { return OrDash(i.state_reason()); }}});
}

using Template = v1::LaunchTemplate;
Table Templates(const ResourceList& list, const Timestamp& now, bool is_wide) {
  return Fill<Template>(
      list, is_wide,
      {Name<Template>(),
       {"DEFAULT", [](const Template& t) { return absl::StrCat(t.default_version()); }},
       {"LATEST", [](const Template& t) { return absl::StrCat(t.latest_version()); }},
       Age<Template>(now),
       Labels<Template>(),
       {"DESCRIPTION", [](const Template& t) { return OrDash(t.description()); }}});
}

using Version = v1::LaunchTemplateVersion;
Table Versions(const ResourceList& list, const Timestamp& now, bool is_wide) {
  return Fill<Version>(
      list, is_wide,
      {Name<Version>(),
       {"IMAGE", [](const Version& v) { return ShortId(v.image()); }},
       {"PORT", [](const Version& v) { return v.port() == 0 ? "any" : absl::StrCat(v.port()); }},
       {"COMMAND", [](const Version& v) { return absl::StrJoin(v.command(), " "); }},
       Age<Version>(now),
       {"USER", [](const Version& v) { return OrDash(v.user()); }, true},
       {"DIGEST", [](const Version& v) { return OrDash(v.image_digest().substr(0, kShownDigest)); },
        true},
       Labels<Version>(),
       {"DESCRIPTION", [](const Version& v) { return OrDash(v.description()); }}});
}

using Balancer = v1::LoadBalancer;
Table Balancers(const ResourceList& list, const Timestamp& now, bool is_wide) {
  return Fill<Balancer>(list, is_wide,
                        {Name<Balancer>(),
                         {"LISTENERS", ListenersText},
                         Age<Balancer>(now),
                         Labels<Balancer>(),
                         {"TROUBLE", [](const Balancer& b) { return TroubleText(b); }}});
}

using Listener = v1::Listener;
Table Listeners(const ResourceList& list, bool is_wide) {
  return Fill<Listener>(
      list, is_wide,
      {{"NAME", [](const Listener& l) { return PartId(l.name()); }},
       {"PROTOCOL", [](const Listener& l) { return EnumText(l.protocol()); }},
       {"ADDRESS", [](const Listener& l) { return l.address().empty() ? "*" : l.address(); }},
       {"PORT", [](const Listener& l) { return absl::StrCat(l.port()); }},
       {"RULES", [](const Listener& l) { return absl::StrCat(l.rules_size()); }},
       {"DEFAULT", [](const Listener& l) { return ActionText(l.default_action()); }},
       {"CERTIFICATES", [](const Listener& l) { return IdsText(l.certificates()); }, true}});
}

using Rule = v1::Rule;
Table Rules(const ResourceList& list, bool is_wide) {
  return Fill<Rule>(
      list, is_wide,
      {{"NAME", [](const Rule& r) { return PartId(r.name()); }},
       {"PRIORITY", [](const Rule& r) { return absl::StrCat(r.priority()); }},
       {"CONDITIONS", [](const Rule& r) { return ConditionsText(r); }},
       {"ACTION", [](const Rule& r) { return ActionText(r.action()); }},
       {"REWRITES", [](const Rule& r) { return absl::StrCat(r.transforms_size()); }, true}});
}

using Certificate = v1::Certificate;
Table Certificates(const ResourceList& list, const Timestamp& now, bool is_wide) {
  return Fill<Certificate>(
      list, is_wide,
      {Name<Certificate>(),
       {"NAMES", [](const Certificate& c) { return OrDash(absl::StrJoin(c.dns_names(), ",")); }},
       {"EXPIRES", [](const Certificate& c) { return FormatDate(c.expire_time()); }},
       Labels<Certificate>(),
       Age<Certificate>(now)});
}

using Proxy = v1::Proxy;
Table Proxies(const ResourceList& list, const Timestamp& now, bool is_wide) {
  return Fill<Proxy>(
      list, is_wide,
      {Name<Proxy>(),
       {"ADDRESS", [](const Proxy& p) { return OrDash(p.address()); }},
       {"ZONE", [](const Proxy& p) { return OrDash(p.zone()); }},
       {"STATE", [](const Proxy& p) { return std::string(StateText(p)); }},
       {"SENT", [](const Proxy& p) { return RevisionText(p.config().sent()); }},
       {"ACKED", [](const Proxy& p) { return RevisionText(p.config().acknowledged()); }},
       {"CONNECTIONS", [](const Proxy& p) { return absl::StrCat(p.active_connections()); }},
       {"REQUESTS", [](const Proxy& p) { return absl::StrCat(p.requests()); }},
       {"LAST-SEEN", [&now](const Proxy& p) { return FormatAge(p.last_seen_time(), now); }},
       {"VERSION", [](const Proxy& p) { return OrDash(p.proxy_version()); }, true},
       Labels<Proxy>(),
       {"TROUBLE", [](const Proxy& p) { return TroubleText(p); }}});
}

using Target = v1::Target;
Table Targets(const ResourceList& list, const Timestamp& now, bool is_wide) {
  return Fill<Target>(
      list, is_wide,
      {{"GROUP", GroupOf},
       {"TARGET", [](const Target& t) { return ShortId(t.name()); }},
       {"ADDRESS", [](const Target& t) { return traffic::EndpointText(t.address(), t.port()); }},
       {"VERSION",
        [](const Target& t) {
          return t.template_version() == 0 ? "-" : absl::StrCat(t.template_version());
        }},
       {"ZONE", [](const Target& t) { return OrDash(t.zone()); }},
       {"WEIGHT", [](const Target& t) { return absl::StrCat(t.has_weight() ? t.weight() : 1); }},
       {"STATE", [](const Target& t) { return EnumText(t.state()); }},
       {"DRAINING", [&now](const Target& t) { return FormatAge(t.drain_start_time(), now); }, true},
       {"PROXIES",
        [](const Target& t) {
          return OrDash(absl::StrJoin(
              t.proxies(), ",", [](std::string* out, const v1::ProxyTargetHealth& health) {
                absl::StrAppend(out, ShortId(health.proxy()), "=", EnumText(health.state()));
              }));
        },
        true},
       {"REASON", ReasonText}});
}

using TargetGroup = v1::TargetGroup;
Table TargetGroups(const ResourceList& list, const Timestamp& now, bool is_wide) {
  return Fill<TargetGroup>(
      list, is_wide,
      {Name<TargetGroup>(),
       {"PROTOCOL", [](const TargetGroup& g) { return EnumText(g.protocol()); }},
       {"CHECK", [](const TargetGroup& g) { return CheckText(g.health_check()); }},
       {"ALGORITHM", [](const TargetGroup& g) { return EnumText(g.algorithm()); }},
       {"DRAIN", [](const TargetGroup& g) { return FormatDuration(g.deregistration_delay()); }},
       Labels<TargetGroup>(),
       Age<TargetGroup>(now)});
}

}  // namespace

Table TableOf(KindId kind, const ResourceList& resources, const Timestamp& now, bool is_wide) {
  switch (kind) {
    case KindId::kActivity:
      return Activities(resources, now, is_wide);
    case KindId::kAutoScalingGroup:
      return Groups(resources, now, is_wide);
    case KindId::kDeployment:
      return Deployments(resources, now, is_wide);
    case KindId::kHost:
      return Hosts(resources, now, is_wide);
    case KindId::kImage:
      return Images(resources, now, is_wide);
    case KindId::kInstance:
      return Instances(resources, now, is_wide);
    case KindId::kLaunchTemplate:
      return Templates(resources, now, is_wide);
    case KindId::kLaunchTemplateVersion:
      return Versions(resources, now, is_wide);
    case KindId::kListener:
      return Listeners(resources, is_wide);
    case KindId::kRule:
      return Rules(resources, is_wide);
    case KindId::kLoadBalancer:
      return Balancers(resources, now, is_wide);
    case KindId::kCertificate:
      return Certificates(resources, now, is_wide);
    case KindId::kProxy:
      return Proxies(resources, now, is_wide);
    case KindId::kTarget:
      return Targets(resources, now, is_wide);
    case KindId::kTargetGroup:
      return TargetGroups(resources, now, is_wide);
  }
  return {};
}

}  // namespace remuda::cli
