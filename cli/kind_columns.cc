#include "cli/kind_columns.h"

#include <absl/strings/ascii.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>
#include <absl/strings/str_split.h>

#include <algorithm>
#include <functional>
#include <map>
#include <string_view>

#include "cli/cell_text.h"
#include "cli/deploy_progress.h"
#include "cli/deploy_words.h"
#include "cli/group_size.h"
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
       {"MIN/DESIRED/MAX", SizeText},
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
       {"SIZED-BY", [](const Group& g) { return OrDash(g.capacity().set_by()); }, true},
       {"STANDBY", [](const Group& g) { return absl::StrCat(g.status().standby()); }, true},
       {"WARM", [](const Group& g) { return absl::StrCat(g.status().warm()); }, true},
       {"SUSPENDED", [](const Group& g) { return OrDash(SuspendedText(g)); }, true},
       {"WAITING", WaitingText}});
}

using Deployment = v1::Deployment;
// The new side's share of the traffic; while all targets have the same, that of its targets.
std::string NewShareText(const Deployment& deployment) {
  if (deployment.has_traffic_percent()) return absl::StrCat(deployment.traffic_percent(), "%");
  if (HasEnded(deployment)) return "-";
  return absl::StrCat(deployment.new_side().traffic_percent(), "%");
}

Table Deployments(const ResourceList& list, const Timestamp& now, bool is_wide) {
  return Fill<Deployment>(
      list, is_wide,
      {Name<Deployment>(),
       {"SUBJECT", SubjectText},
       {"FROM", [](const Deployment& d) { return SideName(d, v1::DEPLOYMENT_ROLE_OLD); }},
       {"TO", [](const Deployment& d) { return SideName(d, v1::DEPLOYMENT_ROLE_NEW); }},
       {"STRATEGY", [](const Deployment& d) { return StrategyText(d.strategy()); }},
       {"STEP", [](const Deployment& d) { return OrDash(StepText(d)); }},
       {"STATE",
        [](const Deployment& d) { return EnumText(d.state()) + (d.paused() ? " (paused)" : ""); }},
       {"SHARE", NewShareText},
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
       {"LACKS", LacksText},
       {"TROUBLE", [](const Host& h) { return TroubleText(h); }}});
}

using Image = v1::Image;
Table Images(const ResourceList& list, const Timestamp& now, bool is_wide) {
  return Fill<Image>(
      list, is_wide,
      {Name<Image>(),
       {"SIZE", [](const Image& i) { return FormatBytes(i.size_bytes()); }},
       {"DIGEST",
        [is_wide](const Image& i) {
          return is_wide ? i.digest() : i.digest().substr(0, kShownDigest);
        }},
       {"SIGNED-BY",
        [](const Image& i) {
          return OrDash(absl::StrJoin(i.signatures(), ",",
                                      [](std::string* out, const v1::ImageSignature& one) {
                                        absl::StrAppend(out, one.key_id());
                                      }));
        },
        true},
       {"FROM-INSTANCE", [](const Image& i) { return IdText(i.source_instance()); }},
       Labels<Image>(),
       Age<Image>(now)});
}

using Instance = v1::Instance;
Table Instances(const ResourceList& list, const Timestamp& now, bool is_wide) {
  return Fill<Instance>(
      list, is_wide,
      {Name<Instance>(),
       {"GROUP", [](const Instance& i) { return IdText(i.auto_scaling_group()); }},
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
       {"PROTECTED", ProtectedText, true},
       {"HOOKS", HooksText, true},
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
       {"COMMAND",
        [](const Version& v) {
          return v.has_static_site() ? absl::StrCat("(serves ", OrDash(v.static_site().root()), ")")
                                     : absl::StrJoin(v.command(), " ");
        }},
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

using Controller = v1::Controller;
Table Controllers(const ResourceList& list, const Timestamp& now, bool is_wide) {
  const auto leads = [](const Controller& c) { return c.epoch() != 0; };
  return Fill<Controller>(
      list, is_wide,
      {Name<Controller>(),
       {"STATE", [](const Controller& c) { return EnumText(c.state()); }},
       {"ADDRESS", [](const Controller& c) { return OrDash(c.address()); }},
       {"JOIN-ADDRESS", [](const Controller& c) { return OrDash(c.join_address()); }, true},
       {"EPOCH", [=](const Controller& c) { return leads(c) ? absl::StrCat(c.epoch()) : "-"; }},
       {"LEADS-SINCE", [](const Controller& c) { return FormatDate(c.lead_time()); }},
       {"COMMIT", [](const Controller& c) { return absl::StrCat(c.commit()); }},
       {"LAG", [](const Controller& c) { return absl::StrCat(c.lag_commits()); }},
       {"VERSION", [](const Controller& c) { return OrDash(c.version()); }},
       {"AGE", [&now](const Controller& c) { return FormatAge(c.start_time(), now); }, true},
       {"ERROR", [](const Controller& c) { return OrDash(c.error()); }}});
}

using Proxy = v1::Proxy;
// Each once.
std::string AddressText(const Proxy& proxy) {
  std::vector<std::string> all = absl::StrSplit(proxy.address(), ',', absl::SkipEmpty());
  for (const std::string& address : proxy.addresses()) {
    if (std::find(all.begin(), all.end(), address) == all.end()) all.push_back(address);
  }
  return OrDash(absl::StrJoin(all, ","));
}

Table Proxies(const ResourceList& list, const Timestamp& now, bool is_wide) {
  return Fill<Proxy>(
      list, is_wide,
      {Name<Proxy>(),
       {"ADDRESS", AddressText},
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

using Secret = v1::Secret;
Table Secrets(const ResourceList& list, const Timestamp& now, bool is_wide) {
  return Fill<Secret>(list, is_wide,
                      {Name<Secret>(),
                       {"VERSION", [](const Secret& s) { return absl::StrCat(s.version()); }},
                       {"SET", [&now](const Secret& s) { return FormatAge(s.update_time(), now); }},
                       {"DESCRIPTION", [](const Secret& s) { return OrDash(s.description()); }},
                       Labels<Secret>(),
                       Age<Secret>(now)});
}

using SecurityGroup = v1::SecurityGroup;
Table SecurityGroups(const ResourceList& list, const Timestamp& now, bool is_wide) {
  return Fill<SecurityGroup>(
      list, is_wide,
      {Name<SecurityGroup>(),
       {"INGRESS", [](const SecurityGroup& g) { return IngressText(g); }},
       {"DESCRIPTION", [](const SecurityGroup& g) { return OrDash(g.description()); }, true},
       Labels<SecurityGroup>(),
       Age<SecurityGroup>(now)});
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
       {"SOURCE", [](const Target& t) { return OrDash(t.source()); }, true},
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
       {"FOLLOWS", SourceText},
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
    case KindId::kController:
      return Controllers(resources, now, is_wide);
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
    case KindId::kSecret:
      return Secrets(resources, now, is_wide);
    case KindId::kSecurityGroup:
      return SecurityGroups(resources, now, is_wide);
    case KindId::kTarget:
      return Targets(resources, now, is_wide);
    case KindId::kTargetGroup:
      return TargetGroups(resources, now, is_wide);
  }
  return {};
}

}  // namespace remuda::cli
