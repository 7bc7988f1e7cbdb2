#include "controller/core/door/execute_internal.h"

#include "controller/core/model/deployment_row.h"

namespace remuda::core {
namespace {

constexpr size_t kJoinedBytes = 1000;

}  // namespace

std::string NewId(Violations& out, std::string_view collection, const FieldPath& id_at,
                  const std::string& id, const FieldPath& name_at, const std::string& name) {
  if (id.empty() && name.empty()) {
    out.Add(id_at, "must be given, or the resource's name");
    return {};
  }
  if (!id.empty() && !IsValidId(id)) {
    out.Add(id_at, absl::StrCat(Quoted(id), " ", limits::kIdRule));
    return {};
  }
  if (name.empty()) return id;
  std::string from_name = name;
  if (!NormalizeReference(out, name_at, collection, from_name)) return {};
  if (!id.empty() && id != from_name) {
    out.Add(name_at,
            absl::StrCat(Quoted(name), " is not the name of ", id_at.text(), " ", Quoted(id)));
    return {};
  }
  return from_name;
}

void NoteDone(Draft& draft, const Context& context, Done done) {
  v1::Activity activity;
  activity.set_resource(std::move(done.resource));
  activity.set_instance(std::move(done.instance));
  activity.set_deployment(std::move(done.deployment));
  activity.set_description(std::move(done.description));
  activity.set_cause(std::move(done.cause));
  activity.set_status(v1::ACTIVITY_STATUS_SUCCESSFUL);
  *activity.mutable_start_time() = ToProto(context.now);
  *activity.mutable_end_time() = ToProto(context.now);
  draft.Note(std::move(activity));
}

std::string CaveatOf(const v1::AutoScalingGroup& value) {
  if (value.policies().empty()) return {};
  return " (its scaling policies are kept; this version does not act on them yet)";
}

std::string Joined(const std::vector<std::string>& changes) {
  std::string out;
  for (const std::string& change : changes) {
    if (out.size() + change.size() > kJoinedBytes) return out + "; and more";
    if (!out.empty()) out += "; ";
    out += change;
  }
  return out;
}

std::optional<Row<v1::Deployment>> FindActiveDeployment(const Draft& draft,
                                                        std::string_view group) {
  std::string id;
  std::shared_ptr<const v1::Deployment> value = ActiveDeployment(draft, group, &id);
  if (value == nullptr) return std::nullopt;
  return Row<v1::Deployment>{std::move(id), std::move(value)};
}

}  // namespace remuda::core
