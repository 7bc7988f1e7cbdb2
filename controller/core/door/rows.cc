#include "controller/core/door/rows.h"

#include "controller/core/model/deployment_row.h"

namespace remuda::core {

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

std::optional<Row<v1::Deployment>> FindActiveDeployment(const Draft& draft,
                                                        std::string_view group) {
  std::string id;
  std::shared_ptr<const v1::Deployment> value = ActiveDeployment(draft, group, &id);
  if (value == nullptr) return std::nullopt;
  return Row<v1::Deployment>{std::move(id), std::move(value)};
}

}  // namespace remuda::core
