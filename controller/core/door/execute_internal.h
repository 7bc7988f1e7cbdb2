// What the commands share: names of new resources, etags, activities. For execute_*.cc only.
#pragma once

#include <absl/status/statusor.h>
#include <absl/strings/str_cat.h>

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "controller/core/door/defaults.h"
#include "controller/core/door/execute.h"
#include "controller/core/door/validate_resources.h"
#include "controller/core/model/etag.h"
#include "controller/core/model/limits.h"
#include "controller/core/model/names.h"
#include "controller/core/views/describe.h"

namespace remuda::core {

// What is constant about a kind of resource. `kField` is the field that requests hold it in.
template <class T>
struct Traits;
template <>
struct Traits<v1::Image> {
  static constexpr std::string_view kCollection = kImages;
  static constexpr std::string_view kField = "image";
  static constexpr size_t kQuota = limits::kImages;
};
template <>
struct Traits<v1::LaunchTemplate> {
  static constexpr std::string_view kCollection = kLaunchTemplates;
  static constexpr std::string_view kField = "launch_template";
  static constexpr size_t kQuota = limits::kLaunchTemplateVersions;
};
template <>
struct Traits<v1::TargetGroup> {
  static constexpr std::string_view kCollection = kTargetGroups;
  static constexpr std::string_view kField = "target_group";
  static constexpr size_t kQuota = limits::kTargetGroups;
};
template <>
struct Traits<v1::LoadBalancer> {
  static constexpr std::string_view kCollection = kLoadBalancers;
  static constexpr std::string_view kField = "load_balancer";
  static constexpr size_t kQuota = limits::kLoadBalancers;
};
template <>
struct Traits<v1::Certificate> {
  static constexpr std::string_view kCollection = kCertificates;
  static constexpr std::string_view kField = "certificate";
  static constexpr size_t kQuota = limits::kCertificates;
};
template <>
struct Traits<v1::AutoScalingGroup> {
  static constexpr std::string_view kCollection = kAutoScalingGroups;
  static constexpr std::string_view kField = "auto_scaling_group";
  static constexpr size_t kQuota = limits::kAutoScalingGroups;
};
template <>
struct Traits<v1::Instance> {
  static constexpr std::string_view kCollection = kInstances;
};
template <>
struct Traits<v1::Deployment> {
  static constexpr std::string_view kCollection = kDeployments;
};
template <>
struct Traits<v1::Host> {
  static constexpr std::string_view kCollection = kHosts;
};
template <>
struct Traits<v1::Proxy> {
  static constexpr std::string_view kCollection = kProxies;
};

template <class T>
std::string NameOf(std::string_view id) {
  return FullName(Traits<T>::kCollection, id);
}

// Number of rows of T as the edits leave them.
template <class T>
size_t CountOf(const Draft& draft) {
  size_t count = 0;
  draft.ForEach<T>([&count](const std::string&, const T&) { ++count; });
  return count;
}

template <class T>
absl::Status CheckQuota(const Draft& draft) {
  // Most of the time the committed rows alone say that there is room.
  if (draft.state().All<T>().size() * 2 < Traits<T>::kQuota ||
      CountOf<T>(draft) < Traits<T>::kQuota) {
    return absl::OkStatus();
  }
  return LimitExceeded(
      Traits<T>::kCollection,
      absl::StrCat(std::string(Traits<T>::kCollection), ": there are ", Traits<T>::kQuota,
                   " already, as many as a cluster may have; delete some first"));
}

// The id in a request's name; INVALID_ARGUMENT naming `field` if it is none.
template <class T>
absl::StatusOr<std::string> IdFrom(std::string_view field, const std::string& name) {
  Violations violations;
  std::string id = name;
  if (!NormalizeReference(violations, FieldPath(std::string(field)), Traits<T>::kCollection, id)) {
    return violations.ToStatus();
  }
  return id;
}

// With the output-only fields that are computed when they are read.
template <class T>
T Shown(const Draft&, const Context&, const T& row) {
  return row;
}
// Keys stay here and at the proxies.
inline v1::Certificate Shown(const Draft&, const Context&, const v1::Certificate& row) {
  v1::Certificate out = row;
  out.clear_private_key_pem();
  return out;
}
inline v1::AutoScalingGroup Shown(const Draft& draft, const Context& context,
                                  const v1::AutoScalingGroup& row) {
  return Describe(draft, context.seen, context.now, row);
}
inline v1::LoadBalancer Shown(const Draft& draft, const Context& context,
                              const v1::LoadBalancer& row) {
  return Describe(draft, context.seen, context.now, row);
}
inline v1::Deployment Shown(const Draft& draft, const Context& context, const v1::Deployment& row) {
  return Describe(draft, context.seen, context.now, row);
}

// A row that a request names, with its id.
template <class T>
struct Row {
  std::string id;
  std::shared_ptr<const T> value;
};

template <class T>
absl::StatusOr<Row<T>> FindRow(const Draft& draft, std::string_view field,
                               const std::string& name) {
  absl::StatusOr<std::string> id = IdFrom<T>(field, name);
  if (!id.ok()) return id.status();
  std::shared_ptr<const T> value = draft.Find<T>(*id);
  if (value == nullptr) return NotFound(NameOf<T>(*id));
  return Row<T>{*std::move(id), std::move(value)};
}

// The id of a resource to be made, from `id` or the full name in the resource; violations if
// neither is right, or they differ.
std::string NewId(Violations& out, std::string_view collection, const FieldPath& id_at,
                  const std::string& id, const FieldPath& name_at, const std::string& name);

// ABORTED unless `given` is empty or the row's etag.
template <class T>
absl::Status CheckEtag(const Row<T>& row, const std::string& given) {
  if (given.empty()) return absl::OkStatus();
  const std::string current = EtagOf(*row.value);
  if (given == current) return absl::OkStatus();
  return EtagMismatch(NameOf<T>(row.id), given, current);
}

// The row that a request to delete names; ABORTED if it is not as its etag says.
template <class T, class Request>
absl::StatusOr<Row<T>> FindRowToDelete(const Draft& draft, const Request& request) {
  absl::StatusOr<Row<T>> row = FindRow<T>(draft, "name", request.name());
  if (!row.ok()) return row;
  if (absl::Status etag = CheckEtag(*row, request.etag()); !etag.ok()) return etag;
  return row;
}

// The row as the edits leave it, as Get would answer it.
template <class T>
T Answer(const Draft& draft, const Context& context, std::string_view key) {
  const std::shared_ptr<const T> row = draft.Find<T>(key);
  T value = Shown(draft, context, *row);
  value.set_etag(EtagOf(*row));
  return value;
}

// What a person asked for, and was done at once.
struct Done {
  std::string resource;  // full name
  std::string description;
  std::string cause = "a person asked for it";
  std::string instance = {};
  std::string deployment = {};
};
void NoteDone(Draft& draft, const Context& context, Done done);

// Deletes the row because a person asked for it.
template <class T>
void DeleteRow(Draft& draft, const Context& context, const Row<T>& row) {
  draft.Delete<T>(row.id);
  const std::string& full = row.value->name();
  NoteDone(draft, context, {.resource = full, .description = absl::StrCat("Deleted ", full)});
}

// What a person must know of a resource that was accepted and does not act in full yet; empty for
// most.
std::string CaveatOf(const v1::AutoScalingGroup& value);
template <class T>
std::string CaveatOf(const T&) {
  return {};
}

// "min: 1 -> 2; max: 2 -> 4", cut to a length that a person reads.
std::string Joined(const std::vector<std::string>& changes);

// The deployment of a group that has not ended.
std::optional<Row<v1::Deployment>> FindActiveDeployment(const Draft& draft, std::string_view group);

// Defaults, then rules. `before` is the resource as it is, null for a new one; what only the
// controller writes is taken from there. The value's name is the full one of `id`.
void Prepare(Violations& out, const FieldPath& at, const References& references,
             std::string_view id, const v1::TargetGroup* before, const Context& context,
             v1::TargetGroup& value);
void Prepare(Violations& out, const FieldPath& at, const References& references,
             std::string_view id, const v1::LoadBalancer* before, const Context& context,
             v1::LoadBalancer& value);
void Prepare(Violations& out, const FieldPath& at, const References& references,
             std::string_view id, const v1::Certificate* before, const Context& context,
             v1::Certificate& value);
void Prepare(Violations& out, const FieldPath& at, const References& references,
             std::string_view id, const v1::AutoScalingGroup* before, const Context& context,
             v1::AutoScalingGroup& value);

// What only the controller writes, in a value that a user gave.
template <class T>
void KeepIdentity(std::string_view id, const T* before, const Context& context, T& value) {
  ClearOutputOnly(value);
  value.set_name(NameOf<T>(id));
  *value.mutable_create_time() = before == nullptr ? ToProto(context.now) : before->create_time();
}

// What of a change to a group must wait: it is being deleted, or a deployment is under way and the
// template would change.
absl::Status CheckGroupChange(const Draft& draft, std::string_view id,
                              const v1::AutoScalingGroup& before,
                              const v1::AutoScalingGroup& after);

// Whether one more version may be made: of all templates, and of this one, whose numbers are never
// used again.
absl::Status CheckTemplateQuota(const Draft& draft, std::string_view id);

// The next version of a template, or its newest if that says the same. The draft is changed only
// for a new one.
struct TemplateResult {
  std::string key;
  bool is_new = false;               // a version was made
  std::vector<std::string> changes;  // against the version before
};
// `CheckTemplateQuota` has answered OK.
TemplateResult PutTemplate(Draft& draft, std::string_view id, v1::LaunchTemplate value,
                           const Context& context);

}  // namespace remuda::core
