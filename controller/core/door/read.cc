#include "controller/core/door/read.h"

#include <absl/strings/str_cat.h>

#include <algorithm>
#include <limits>
#include <type_traits>

#include "controller/core/door/read_list.h"
#include "controller/core/door/templates.h"
#include "controller/core/model/limits.h"
#include "controller/core/model/shift_row.h"

namespace remuda::core {

namespace {

// Ids of the groups (of instances or of targets) that a parent names: one, or with `-` or nothing
// all.
template <class T>
absl::StatusOr<std::vector<std::string>> GroupsIn(const Snapshot& from, const std::string& parent) {
  std::vector<std::string> ids;
  if (parent.empty() || parent == FullName(Traits<T>::kCollection, "-")) {
    if constexpr (std::is_same_v<T, v1::AutoScalingGroup>) {
      ids.emplace_back();  // of those that were detached from theirs
    }
    for (const auto& [id, row] : from.state.All<T>()) ids.push_back(id);
    return ids;
  }
  auto row = FindRow<T>(Draft(from.state), "parent", parent);
  if (!row.ok()) return row.status();
  ids.push_back(std::move(row->id));
  return ids;
}

absl::Status CheckView(v1::TargetView view) {
  Violations violations;
  CheckKnown(violations, FieldPath("view"), view, "a view");
  return violations.ToStatus();
}

// Sorts by group, then id: a group's id may be the beginning of another's, and no id has a byte
// below this one.
std::string RowKey(const std::string& group, const std::string& id) { return group + '\0' + id; }

// "2026-11-22T…" as 20 digits that sort as time does, the newest last.
std::string TimeKey(const google::protobuf::Timestamp& time) {
  const std::string seconds = std::to_string(std::max<int64_t>(time.seconds(), 0));
  const std::string nanos = std::to_string(time.nanos());
  return std::string(12 - std::min<size_t>(seconds.size(), 12), '0') + seconds + "." +
         std::string(9 - std::min<size_t>(nanos.size(), 9), '0') + nanos;
}

}  // namespace

absl::StatusOr<v1::Image> Read(const Snapshot& from, const v1::GetImageRequest& request) {
  return Get<v1::Image>(from, request.name());
}
absl::StatusOr<v1::ListImagesResponse> Read(const Snapshot& from,
                                            const v1::ListImagesRequest& request) {
  return List(from, request, &v1::ListImagesResponse::mutable_images);
}

absl::StatusOr<v1::LaunchTemplate> Read(const Snapshot& from,
                                        const v1::GetLaunchTemplateRequest& request) {
  return Get<v1::LaunchTemplate>(from, request.name());
}
absl::StatusOr<v1::ListLaunchTemplatesResponse> Read(
    const Snapshot& from, const v1::ListLaunchTemplatesRequest& request) {
  return List(from, request, &v1::ListLaunchTemplatesResponse::mutable_launch_templates);
}

absl::StatusOr<v1::LaunchTemplateVersion> Read(const Snapshot& from,
                                               const v1::GetLaunchTemplateVersionRequest& request) {
  const auto row = FindVersion(Draft(from.state), "name", request.name());
  if (!row.ok()) return row.status();
  return ShowRow(from, row->id, *row->value);
}

absl::StatusOr<v1::ListLaunchTemplateVersionsResponse> Read(
    const Snapshot& from, const v1::ListLaunchTemplateVersionsRequest& request) {
  std::string prefix;
  if (!request.parent().empty() && request.parent() != FullName(kLaunchTemplates, "-")) {
    const auto id = IdFrom<v1::LaunchTemplate>("parent", request.parent());
    if (!id.ok()) return id.status();
    prefix = *id + "/versions/";
  }
  auto page =
      ListPage<v1::LaunchTemplateVersion>::From(absl::StrCat("versions of ", prefix), request);
  if (!page.ok()) return page.status();
  v1::ListLaunchTemplateVersionsResponse response;
  const auto& table = from.state.All<v1::LaunchTemplateVersion>();
  auto it = page->after().empty() ? table.lower_bound(prefix) : table.upper_bound(page->after());
  for (; it != table.end() && it->first.starts_with(prefix); ++it) {
    if (!page->Add(it->first, response.mutable_launch_template_versions(),
                   [&] { return ShowRow(from, it->first, *it->second); })) {
      break;
    }
  }
  response.set_next_page_token(page->NextToken());
  return response;
}

absl::StatusOr<v1::TargetGroup> Read(const Snapshot& from,
                                     const v1::GetTargetGroupRequest& request) {
  return Get<v1::TargetGroup>(from, request.name());
}
absl::StatusOr<v1::ListTargetGroupsResponse> Read(const Snapshot& from,
                                                  const v1::ListTargetGroupsRequest& request) {
  return List(from, request, &v1::ListTargetGroupsResponse::mutable_target_groups);
}

absl::StatusOr<v1::ListTargetsResponse> Read(const Snapshot& from,
                                             const v1::ListTargetsRequest& request) {
  const auto groups = GroupsIn<v1::TargetGroup>(from, request.parent());
  if (!groups.ok()) return groups.status();
  if (absl::Status view = CheckView(request.view()); !view.ok()) return view;
  auto page = ListPage<v1::Target>::From(absl::StrCat("targets of ", request.parent()), request);
  if (!page.ok()) return page.status();
  const Draft draft(from.state);
  const Gates gates(draft, from.seen, from.now);
  v1::ListTargetsResponse response;
  for (const std::string& group : *groups) {
    // Groups whose targets have all been told need not be made again.
    if (group + '\1' <= page->after()) continue;
    // Without a filter those of one page will do, and the next to tell that there are more.
    const int size = request.page_size() == 0 ? limits::kDefaultPageSize : request.page_size();
    int room = request.filter().empty() ? size + 1 : std::numeric_limits<int>::max();
    const auto wanted = [&](const std::string& id) {
      return RowKey(group, id) > page->after() && room-- > 0;
    };
    for (auto& [id, target] : ShowTargets(from, gates, group, wanted)) {
      if (request.view() != v1::TARGET_VIEW_FULL) target.clear_proxies();
      if (!page->Add(RowKey(group, id), response.mutable_targets(),
                     [&] { return std::move(target); })) {
        break;
      }
    }
    if (!page->NextToken().empty()) break;
  }
  response.set_next_page_token(page->NextToken());
  return response;
}

absl::StatusOr<v1::LoadBalancer> Read(const Snapshot& from,
                                      const v1::GetLoadBalancerRequest& request) {
  return Get<v1::LoadBalancer>(from, request.name());
}
absl::StatusOr<v1::ListLoadBalancersResponse> Read(const Snapshot& from,
                                                   const v1::ListLoadBalancersRequest& request) {
  return List(from, request, &v1::ListLoadBalancersResponse::mutable_load_balancers);
}

absl::StatusOr<v1::Certificate> Read(const Snapshot& from,
                                     const v1::GetCertificateRequest& request) {
  return Get<v1::Certificate>(from, request.name());
}
absl::StatusOr<v1::ListCertificatesResponse> Read(const Snapshot& from,
                                                  const v1::ListCertificatesRequest& request) {
  return List(from, request, &v1::ListCertificatesResponse::mutable_certificates);
}

absl::StatusOr<v1::SecurityGroup> Read(const Snapshot& from,
                                       const v1::GetSecurityGroupRequest& request) {
  return Get<v1::SecurityGroup>(from, request.name());
}
absl::StatusOr<v1::ListSecurityGroupsResponse> Read(const Snapshot& from,
                                                    const v1::ListSecurityGroupsRequest& request) {
  return List(from, request, &v1::ListSecurityGroupsResponse::mutable_security_groups);
}

absl::StatusOr<v1::AutoScalingGroup> Read(const Snapshot& from,
                                          const v1::GetAutoScalingGroupRequest& request) {
  return Get<v1::AutoScalingGroup>(from, request.name());
}
absl::StatusOr<v1::ListAutoScalingGroupsResponse> Read(
    const Snapshot& from, const v1::ListAutoScalingGroupsRequest& request) {
  return List(from, request, &v1::ListAutoScalingGroupsResponse::mutable_auto_scaling_groups);
}

absl::StatusOr<v1::Instance> Read(const Snapshot& from, const v1::GetInstanceRequest& request) {
  return Get<v1::Instance>(from, request.name());
}

absl::StatusOr<v1::ListInstancesResponse> Read(const Snapshot& from,
                                               const v1::ListInstancesRequest& request) {
  const auto groups = GroupsIn<v1::AutoScalingGroup>(from, request.parent());
  if (!groups.ok()) return groups.status();
  auto page = ListPage<v1::Instance>::From(
      absl::StrCat("instances of ", request.parent(), request.show_terminated() ? " all" : ""),
      request);
  if (!page.ok()) return page.status();
  v1::ListInstancesResponse response;
  for (const std::string& group : *groups) {
    for (const std::string& id : from.state.InstancesOfGroup(group)) {
      const v1::Instance& row = **from.state.Find<v1::Instance>(id);
      if (row.state() == v1::INSTANCE_STATE_TERMINATED && !request.show_terminated()) continue;
      const std::string key = RowKey(group, id);
      if (key <= page->after()) continue;
      if (!page->Add(key, response.mutable_instances(),
                     [&] { return ShowInstance(from, id, row); })) {
        break;
      }
    }
    if (!page->NextToken().empty()) break;
  }
  response.set_next_page_token(page->NextToken());
  return response;
}

absl::StatusOr<v1::Deployment> Read(const Snapshot& from, const v1::GetDeploymentRequest& request) {
  return Get<v1::Deployment>(from, request.name());
}

absl::StatusOr<v1::ListDeploymentsResponse> Read(const Snapshot& from,
                                                 const v1::ListDeploymentsRequest& request) {
  std::string group;
  if (!request.auto_scaling_group().empty()) {
    const auto id =
        IdFrom<v1::AutoScalingGroup>("auto_scaling_group", request.auto_scaling_group());
    if (!id.ok()) return id.status();
    group = *id;
  }
  std::string balancer;
  if (!request.load_balancer().empty()) {
    const auto id = IdFrom<v1::LoadBalancer>("load_balancer", request.load_balancer());
    if (!id.ok()) return id.status();
    balancer = *id;
  }
  auto page = ListPage<v1::Deployment>::From(
      absl::StrCat("deployments of ", group, " and of ", balancer), request);
  if (!page.ok()) return page.status();
  std::map<std::string, const std::string*> by_time;  // to the row's id
  for (const auto& [id, row] : from.state.All<v1::Deployment>()) {
    if (!group.empty() && row->auto_scaling_group() != group) continue;
    if (!balancer.empty() && (!row->has_shift() || BalancerOf(row->shift()) != balancer)) continue;
    by_time.emplace(TimeKey(row->create_time()) + "/" + id, &id);
  }
  v1::ListDeploymentsResponse response;
  for (auto it = by_time.rbegin(); it != by_time.rend(); ++it) {
    if (!page->after().empty() && it->first >= page->after()) continue;
    const bool has_room = page->Add(it->first, response.mutable_deployments(), [&] {
      return ShowRow(from, *it->second, **from.state.Find<v1::Deployment>(*it->second));
    });
    if (!has_room) break;
  }
  response.set_next_page_token(page->NextToken());
  return response;
}

absl::StatusOr<v1::Host> Read(const Snapshot& from, const v1::GetHostRequest& request) {
  return Get<v1::Host>(from, request.name());
}
absl::StatusOr<v1::ListHostsResponse> Read(const Snapshot& from,
                                           const v1::ListHostsRequest& request) {
  return List(from, request, &v1::ListHostsResponse::mutable_hosts);
}

absl::StatusOr<v1::Proxy> Read(const Snapshot& from, const v1::GetProxyRequest& request) {
  return Get<v1::Proxy>(from, request.name());
}
absl::StatusOr<v1::ListProxiesResponse> Read(const Snapshot& from,
                                             const v1::ListProxiesRequest& request) {
  return List(from, request, &v1::ListProxiesResponse::mutable_proxies);
}

absl::StatusOr<v1::ListActivitiesResponse> Read(const Snapshot& from,
                                                const v1::ListActivitiesRequest& request) {
  auto page =
      ListPage<v1::Activity>::From(absl::StrCat("activities of ", request.resource()), request);
  if (!page.ok()) return page.status();
  v1::ListActivitiesResponse response;
  const auto& table = from.state.All<v1::Activity>();
  // Keys sort by time: backwards from before the last one told.
  auto it = page->after().empty() ? table.end() : table.lower_bound(page->after());
  while (it != table.begin()) {
    --it;
    const v1::Activity& row = *it->second;
    if (!request.resource().empty() && row.resource() != request.resource()) continue;
    if (!page->Add(it->first, response.mutable_activities(), [&] { return row; })) break;
  }
  response.set_next_page_token(page->NextToken());
  return response;
}

absl::StatusOr<std::map<std::string, v1::Target>> TargetsIn(const Snapshot& from,
                                                            const v1::WatchTargetsRequest& request,
                                                            const std::set<TargetId>* only) {
  const auto groups = GroupsIn<v1::TargetGroup>(from, request.parent());
  if (!groups.ok()) return groups.status();
  if (absl::Status view = CheckView(request.view()); !view.ok()) return view;
  const auto filter = Filter::For<v1::Target>(FilterFieldsOf<v1::Target>(), request.filter());
  if (!filter.ok()) return filter.status();
  const Draft draft(from.state);
  const Gates gates(draft, from.seen, from.now);
  std::map<std::string, v1::Target> out;
  for (const std::string& group : *groups) {
    const auto first = only == nullptr ? std::set<TargetId>::const_iterator()
                                       : only->lower_bound(TargetId(group, ""));
    if (only != nullptr && (first == only->end() || first->first != group)) continue;
    const auto wanted = [&](const std::string& id) {
      return only == nullptr || only->contains(TargetId(group, id));
    };
    for (auto& [id, target] : ShowTargets(from, gates, group, wanted)) {
      if (!filter->Matches(target)) continue;
      if (request.view() != v1::TARGET_VIEW_FULL) target.clear_proxies();
      std::string name = target.name();
      out.emplace(std::move(name), std::move(target));
    }
  }
  return out;
}

absl::StatusOr<std::map<std::string, v1::Instance>> InstancesIn(const Snapshot& from,
                                                                const std::string& parent,
                                                                const std::set<std::string>* only) {
  const auto groups = GroupsIn<v1::AutoScalingGroup>(from, parent);
  if (!groups.ok()) return groups.status();
  const std::set<std::string_view> in(groups->begin(), groups->end());
  std::map<std::string, v1::Instance> out;
  const auto add = [&](const std::string& id) {
    const auto* row = from.state.Find<v1::Instance>(id);
    if (row == nullptr || !in.contains((*row)->auto_scaling_group())) return;
    out.emplace((*row)->name(), ShowInstance(from, id, **row));
  };
  if (only != nullptr) {
    for (const std::string& id : *only) add(id);
    return out;
  }
  for (const std::string& group : *groups) {
    for (const std::string& id : from.state.InstancesOfGroup(group)) add(id);
  }
  return out;
}

}  // namespace remuda::core
