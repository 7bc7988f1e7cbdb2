#include "cli/table.h"

#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>
#include <absl/strings/str_split.h>
#include <google/protobuf/util/time_util.h>

#include <algorithm>
#include <cstdio>
#include <ctime>

#include "common/duration_text.h"
#include "common/message_yaml.h"

namespace remuda::cli {
namespace {

using google::protobuf::Timestamp;

constexpr size_t kColumnGap = 2;
constexpr size_t kShownDigest = 19;  // "sha256:" and 12 digits
constexpr size_t kPrintedLines = 3;  // of what an instance printed last

using Row = std::vector<std::string>;

// Code points, near enough to columns for names and sentences.
size_t Width(const std::string& text) {
  return static_cast<size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return (c & 0xC0) != 0x80; }));
}

std::string Printable(std::string text) {
  for (char& c : text) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F) c = '?';
  }
  return text;
}

std::string OrDash(const std::string& text) { return text.empty() ? "-" : text; }

std::string TemplateText(const v1::LaunchTemplateRef& ref) {
  return ref.name().empty() ? "-" : absl::StrCat(ref.name(), ":", ref.version());
}

template <typename Enum>
std::string EnumText(Enum value) {
  if (value == Enum(0)) return "-";
  return ShortEnumName(google::protobuf::GetEnumDescriptor<Enum>(), value);
}

std::string RevisionText(const v1::Revision& revision) {
  return revision.epoch() == 0 ? "-" : absl::StrCat(revision.epoch(), ".", revision.sequence());
}

std::string ActionText(const v1::Action& action) {
  if (action.has_fixed_response()) return absl::StrCat("answer ", action.fixed_response().status());
  if (action.has_redirect()) return "redirect";
  std::vector<std::string> groups;
  const bool is_one = action.forward().target_groups_size() == 1;
  for (const auto& group : action.forward().target_groups()) {
    groups.push_back(
        is_one ? group.name()
               : absl::StrCat(group.name(), "*", group.has_weight() ? group.weight() : 1));
  }
  return groups.empty() ? "-" : absl::StrJoin(groups, "+");
}

std::string ListenerText(const v1::Listener& listener) {
  const bool is_http =
      listener.protocol() == v1::PROTOCOL_HTTP || listener.protocol() == v1::PROTOCOL_UNSPECIFIED;
  std::string text = absl::StrCat(is_http ? "" : EnumText(listener.protocol()) + " ",
                                  listener.address(), listener.address().empty() ? "" : ":",
                                  listener.port(), " -> ", ActionText(listener.default_action()));
  if (listener.rules_size() > 0) absl::StrAppend(&text, " (+", listener.rules_size(), " rules)");
  return text;
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

// With the last lines that the instance printed, on one line; -o yaml shows all there are.
std::string CauseOf(const v1::Activity& activity) {
  std::vector<std::string> lines =
      absl::StrSplit(activity.log_tail(), '\n', absl::SkipWhitespace());
  if (lines.empty()) return OrDash(activity.cause());
  if (lines.size() > kPrintedLines)
    lines.erase(lines.begin(), lines.end() - static_cast<std::ptrdiff_t>(kPrintedLines));
  return absl::StrCat(activity.cause(), activity.cause().empty() ? "" : "; ",
                      "it printed last: ", absl::StrJoin(lines, " | "));
}

Row RowOf(const v1::Activity& activity, const Timestamp& /*now*/) {
  return {FormatClock(activity.start_time()), OrDash(activity.resource()),
          EnumText(activity.status()), activity.description(), CauseOf(activity)};
}

Row RowOf(const v1::AutoScalingGroup& group, const Timestamp& now) {
  const auto& status = group.status();
  return {ShortId(group.name()),
          TemplateText(group.launch_template()),
          absl::StrCat(group.min(), "/", group.desired(), "/", group.max()),
          absl::StrCat(status.in_service()),
          absl::StrCat(status.pending()),
          absl::StrCat(status.terminating() + status.unknown()),
          OrDash(absl::StrJoin(group.target_groups(), ",")),
          OrDash(status.deployment()),
          FormatAge(group.create_time(), now),
          group.deleting() ? "being deleted" : OrDash(status.waiting())};
}

Row RowOf(const v1::Deployment& deployment, const Timestamp& now) {
  std::string phase = EnumText(deployment.phase());
  if (deployment.paused()) phase += " (paused)";
  return {ShortId(deployment.name()),
          deployment.auto_scaling_group(),
          TemplateText(deployment.from()),
          TemplateText(deployment.to()),
          StrategyText(deployment.strategy()),
          phase,
          FormatAge(deployment.create_time(), now),
          OrDash(deployment.rollback_reason().empty() ? deployment.waiting()
                                                      : deployment.rollback_reason())};
}

Row RowOf(const v1::Host& host, const Timestamp& now) {
  const bool has_capacity = host.capacity().cpu_millis() > 0;
  return {ShortId(host.name()),
          host.address(),
          OrDash(host.zone()),
          EnumText(host.state()),
          host.schedule() == v1::HOST_SCHEDULE_UNSPECIFIED ? "ACTIVE" : EnumText(host.schedule()),
          absl::StrCat(host.instance_count()),
          has_capacity
              ? absl::StrCat(host.used().cpu_millis(), "m/", host.capacity().cpu_millis(), "m")
              : "-",
          has_capacity ? absl::StrCat(FormatBytes(host.used().memory_bytes()), "/",
                                      FormatBytes(host.capacity().memory_bytes()))
                       : "-",
          FormatAge(host.last_seen_time(), now)};
}

Row RowOf(const v1::Image& image, const Timestamp& now) {
  return {ShortId(image.name()), FormatBytes(image.size_bytes()),
          image.digest().substr(0, kShownDigest), OrDash(image.source_instance()),
          FormatAge(image.create_time(), now)};
}

Row RowOf(const v1::Instance& instance, const Timestamp& now) {
  return {ShortId(instance.name()),
          instance.auto_scaling_group(),
          TemplateText(instance.launch_template()),
          OrDash(instance.host()),
          OrDash(instance.zone()),
          instance.port() == 0 ? OrDash(instance.address())
                               : absl::StrCat(instance.address(), ":", instance.port()),
          EnumText(instance.state()) + (instance.unhealthy() ? " (unhealthy)" : ""),
          FormatAge(instance.create_time(), now),
          OrDash(instance.state_reason())};
}

Row RowOf(const v1::LaunchTemplate& launch_template, const Timestamp& now) {
  return {ShortId(launch_template.name()),
          absl::StrCat(launch_template.version()),
          launch_template.image(),
          launch_template.port() == 0 ? "any" : absl::StrCat(launch_template.port()),
          absl::StrJoin(launch_template.command(), " "),
          FormatAge(launch_template.create_time(), now),
          OrDash(launch_template.description())};
}

Row RowOf(const v1::LoadBalancer& balancer, const Timestamp& now) {
  std::vector<std::string> listeners;
  for (const auto& listener : balancer.listeners()) listeners.push_back(ListenerText(listener));
  return {ShortId(balancer.name()), OrDash(absl::StrJoin(listeners, ", ")),
          FormatAge(balancer.create_time(), now)};
}

Row RowOf(const v1::Certificate& certificate, const Timestamp& now) {
  return {ShortId(certificate.name()), OrDash(absl::StrJoin(certificate.dns_names(), ",")),
          google::protobuf::util::TimeUtil::ToString(certificate.expire_time()),
          FormatAge(certificate.create_time(), now)};
}

Row RowOf(const v1::Proxy& proxy, const Timestamp& now) {
  const auto& config = proxy.config();
  std::vector<std::string> troubles(proxy.listener_errors().begin(), proxy.listener_errors().end());
  if (config.rejected().epoch() != 0) {
    troubles.push_back(
        absl::StrCat("rejected ", RevisionText(config.rejected()), ": ", config.rejected_resource(),
                     config.rejected_resource().empty() ? "" : ": ", config.rejected_reason()));
  }
  return {ShortId(proxy.name()),
          OrDash(proxy.address()),
          OrDash(proxy.zone()),
          proxy.connected() ? "CONNECTED"
          : proxy.live()    ? "SILENT"
                            : "GONE",
          RevisionText(config.sent()),
          RevisionText(config.acknowledged()),
          absl::StrCat(proxy.active_connections()),
          absl::StrCat(proxy.requests()),
          FormatAge(proxy.last_seen_time(), now),
          OrDash(absl::StrJoin(troubles, "; "))};
}

Row RowOf(const v1::Target& target, const Timestamp& /*now*/) {
  // targetGroups/GROUP/targets/TARGET
  const size_t begin = target.name().find('/');
  const size_t end = target.name().find('/', begin + 1);
  const std::string group =
      begin == std::string::npos
          ? "-"
          : target.name().substr(begin + 1, end == std::string::npos ? end : end - begin - 1);
  std::string why = target.reason();
  if (!target.description().empty())
    absl::StrAppend(&why, why.empty() ? "" : ": ", target.description());
  return {group,
          ShortId(target.name()),
          absl::StrCat(target.address(), ":", target.port()),
          target.template_version() == 0 ? "-" : absl::StrCat(target.template_version()),
          EnumText(target.state()),
          OrDash(why)};
}

Row RowOf(const v1::TargetGroup& group, const Timestamp& now) {
  return {ShortId(group.name()),
          EnumText(group.protocol()),
          CheckText(group.health_check()),
          EnumText(group.algorithm()),
          FormatDuration(group.deregistration_delay()),
          FormatAge(group.create_time(), now)};
}

template <typename M>
Table Rows(Row headers, const ResourceList& resources, const Timestamp& now) {
  Table table{std::move(headers), {}};
  for (const auto& resource : resources)
    table.rows.push_back(RowOf(static_cast<const M&>(*resource), now));
  return table;
}

}  // namespace

std::string RenderTable(const Table& table, bool with_headers) {
  std::vector<Row> rows;
  if (with_headers) rows.push_back(table.headers);
  rows.insert(rows.end(), table.rows.begin(), table.rows.end());
  std::vector<size_t> widths(table.headers.size());
  for (size_t i = 0; i < table.headers.size(); ++i) widths[i] = Width(table.headers[i]);
  for (Row& row : rows) {
    for (size_t i = 0; i < row.size(); ++i) {
      row[i] = Printable(std::move(row[i]));
      widths[i] = std::max(widths[i], Width(row[i]));
    }
  }
  std::string out;
  for (const Row& row : rows) {
    for (size_t i = 0; i < row.size(); ++i) {
      out += row[i];
      if (i + 1 < row.size()) out.append(widths[i] - Width(row[i]) + kColumnGap, ' ');
    }
    out += '\n';
  }
  return out;
}

Table TableOf(KindId kind, const ResourceList& resources, const Timestamp& now) {
  switch (kind) {
    case KindId::kActivity:
      return Rows<v1::Activity>({"TIME", "RESOURCE", "STATUS", "WHAT", "WHY"}, resources, now);
    case KindId::kAutoScalingGroup:
      return Rows<v1::AutoScalingGroup>(
          {"NAME", "TEMPLATE", "MIN/DESIRED/MAX", "IN-SERVICE", "PENDING", "ENDING",
           "TARGET-GROUPS", "DEPLOYMENT", "AGE", "WAITING"},
          resources, now);
    case KindId::kDeployment:
      return Rows<v1::Deployment>(
          {"NAME", "GROUP", "FROM", "TO", "STRATEGY", "PHASE", "AGE", "WAITING"}, resources, now);
    case KindId::kHost:
      return Rows<v1::Host>({"NAME", "ADDRESS", "ZONE", "STATE", "SCHEDULE", "INSTANCES", "CPU",
                             "MEMORY", "LAST-SEEN"},
                            resources, now);
    case KindId::kImage:
      return Rows<v1::Image>({"NAME", "SIZE", "DIGEST", "FROM-INSTANCE", "AGE"}, resources, now);
    case KindId::kInstance:
      return Rows<v1::Instance>(
          {"NAME", "GROUP", "TEMPLATE", "HOST", "ZONE", "ADDRESS", "STATE", "AGE", "REASON"},
          resources, now);
    case KindId::kLaunchTemplate:
      return Rows<v1::LaunchTemplate>(
          {"NAME", "VERSION", "IMAGE", "PORT", "COMMAND", "AGE", "DESCRIPTION"}, resources, now);
    case KindId::kLoadBalancer:
      return Rows<v1::LoadBalancer>({"NAME", "LISTENERS", "AGE"}, resources, now);
    case KindId::kCertificate:
      return Rows<v1::Certificate>({"NAME", "NAMES", "EXPIRES", "AGE"}, resources, now);
    case KindId::kProxy:
      return Rows<v1::Proxy>({"NAME", "ADDRESS", "ZONE", "STATE", "SENT", "ACKED", "CONNECTIONS",
                              "REQUESTS", "LAST-SEEN", "TROUBLE"},
                             resources, now);
    case KindId::kTarget:
      return Rows<v1::Target>({"GROUP", "TARGET", "ADDRESS", "VERSION", "STATE", "REASON"},
                              resources, now);
    case KindId::kTargetGroup:
      return Rows<v1::TargetGroup>({"NAME", "PROTOCOL", "CHECK", "ALGORITHM", "DRAIN", "AGE"},
                                   resources, now);
  }
  return {};
}

std::string FormatAge(const Timestamp& then, const Timestamp& now) {
  if (then.seconds() == 0) return "-";
  const int64_t seconds = std::max<int64_t>(0, now.seconds() - then.seconds());
  if (seconds < 120) return absl::StrCat(seconds, "s");
  const int64_t minutes = seconds / 60;
  if (minutes < 60) return absl::StrCat(minutes, "m");
  const int64_t hours = minutes / 60;
  if (hours < 10) return absl::StrCat(hours, "h", minutes % 60, "m");
  if (hours < 48) return absl::StrCat(hours, "h");
  return absl::StrCat(hours / 24, "d");
}

std::string FormatBytes(int64_t bytes) {
  static constexpr const char* kUnits[] = {"B", "KiB", "MiB", "GiB", "TiB"};
  auto value = static_cast<double>(bytes);
  size_t unit = 0;
  while (value >= 1024 && unit + 1 < std::size(kUnits)) {
    value /= 1024;
    ++unit;
  }
  char text[32];
  std::snprintf(text, sizeof text, unit == 0 || value >= 100 ? "%.0f %s" : "%.1f %s", value,
                kUnits[unit]);
  return text;
}

std::string FormatClock(const Timestamp& time) {
  const std::time_t seconds = time.seconds();
  std::tm local{};
  localtime_r(&seconds, &local);
  char text[16];
  std::strftime(text, sizeof text, "%H:%M:%S", &local);
  return text;
}

Timestamp SystemNow() { return google::protobuf::util::TimeUtil::GetCurrentTime(); }

}  // namespace remuda::cli
