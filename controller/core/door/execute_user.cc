// Commands on users: what each person may do.
#include "controller/core/door/done.h"
#include "controller/core/door/field_mask.h"
#include "controller/core/door/shut_out.h"

namespace remuda::core {
namespace {

const std::vector<std::string_view>& ReadOnlyUserFields() {
  static const auto* const kFields =
      new std::vector<std::string_view>{"name", "create_time", "etag"};
  return *kFields;
}

void CheckUser(Violations& out, const FieldPath& at, v1::User& value) {
  if (value.role() == v1::USER_ROLE_UNSPECIFIED) {
    out.Add(at / "role", "must be given: viewer, deployer, operator or admin");
  } else {
    CheckKnown(out, at / "role", value.role(), "a role");
  }
  const FieldPath groups = at / "auto_scaling_groups";
  if (value.role() != v1::USER_ROLE_DEPLOYER && !value.auto_scaling_groups().empty()) {
    out.Add(groups, "is for deployers: the other roles do not depend on groups");
  }
  CheckCount(out, groups, value.auto_scaling_groups_size(), 0, limits::kGroupsAUser);
  // They need not be there yet: a group may be made after those who deploy to it.
  std::set<std::string> named;
  for (int i = 0; i < value.auto_scaling_groups_size(); ++i) {
    std::string& group = *value.mutable_auto_scaling_groups(i);
    if (!NormalizeReference(out, groups[i], kAutoScalingGroups, group)) continue;
    if (!named.insert(group).second) out.Add(groups[i], absl::StrCat(group, " is there twice"));
  }
  CheckText(out, at / "description", value.description(), limits::kDescriptionBytes);
  CheckLabels(out, at / "labels", value.labels());
}

// Whether somebody but `id` is an admin.
bool HasAdminBeside(const Draft& draft, std::string_view id) {
  bool has = false;
  draft.ForEach<v1::User>([&](const std::string& key, const v1::User& user) {
    has = has || (key != id && user.role() == v1::USER_ROLE_ADMIN);
  });
  return has;
}

absl::Status CheckAdminLeft(const Draft& draft, const Row<v1::User>& row) {
  if (row.value->role() != v1::USER_ROLE_ADMIN || HasAdminBeside(draft, row.id))
    return absl::OkStatus();
  return FailedPrecondition(
      "LAST_ADMIN",
      absl::StrCat(NameOf<v1::User>(row.id), " is the only admin: make another user admin first"));
}

}  // namespace

absl::StatusOr<v1::User> Execute(Draft& draft, const v1::CreateUserRequest& request,
                                 const Context& context) {
  const FieldPath at("user");
  Violations violations;
  const std::string id = NewId(violations, kUsers, FieldPath("user_id"), request.user_id(),
                               at / "name", request.user().name());
  v1::User value = request.user();
  CheckUser(violations, at, value);
  if (!id.empty() && draft.Find<v1::User>(id) != nullptr) {
    return AlreadyExists(NameOf<v1::User>(id), "exists already; update it, or take another name");
  }
  if (!violations.empty()) return violations.ToStatus();
  if (absl::Status quota = CheckQuota<v1::User>(draft); !quota.ok()) return quota;
  value.set_name(NameOf<v1::User>(id));
  value.clear_etag();
  *value.mutable_create_time() = ToProto(context.now);
  NoteDone(draft, context,
           {.resource = value.name(),
            .description = absl::StrCat("Created ", value.name(), ", ", RoleText(value.role()))});
  draft.Put(id, std::move(value));
  return Answer<v1::User>(draft, context, id);
}

absl::StatusOr<v1::User> Execute(Draft& draft, const v1::UpdateUserRequest& request,
                                 const Context& context) {
  const FieldPath at("user");
  const v1::User& wish = request.user();
  const auto row = FindRow<v1::User>(draft, (at / "name").text(), wish.name());
  if (!row.ok()) return row.status();
  Violations violations;
  CheckMask(violations, FieldPath("update_mask"), request.update_mask(), wish,
            ReadOnlyUserFields());
  if (!violations.empty()) return violations.ToStatus();
  if (absl::Status etag = CheckEtag(*row, wish.etag()); !etag.ok()) return etag;
  v1::User value = wish;
  if (!TakesAll(request.update_mask())) {
    value = *row->value;
    CopyMasked(request.update_mask(), wish, value);
  }
  value.set_name(row->value->name());
  value.clear_etag();
  *value.mutable_create_time() = row->value->create_time();
  CheckUser(violations, at, value);
  if (!violations.empty()) return violations.ToStatus();
  if (value.role() != v1::USER_ROLE_ADMIN) {
    if (absl::Status left = CheckAdminLeft(draft, *row); !left.ok()) return left;
  }
  const std::vector<std::string> changes = Differences(*row->value, value);
  if (!changes.empty()) {
    NoteDone(draft, context,
             {.resource = value.name(),
              .description = absl::StrCat("Updated ", value.name(), ": ", Joined(changes))});
    draft.Put(row->id, std::move(value));
  }
  return Answer<v1::User>(draft, context, row->id);
}

absl::StatusOr<Empty> Execute(Draft& draft, const v1::DeleteUserRequest& request,
                              const Context& context) {
  const auto row = FindRowToWrite<v1::User>(draft, request);
  if (!row.ok()) return row.status();
  if (absl::Status left = CheckAdminLeft(draft, *row); !left.ok()) return left;
  // Its certificates must not come to life again with another user of this name.
  if (absl::Status quota = CheckQuota<v1::Revocation>(draft); !quota.ok()) return quota;
  v1::Revocation revocation;
  revocation.set_identity(absl::StrCat("person/", row->id));
  revocation.set_reason("the user was deleted");
  ShutOut(draft, context, std::move(revocation));
  DeleteRow(draft, context, *row);
  return Empty();
}

std::string RoleText(v1::UserRole role) {
  switch (role) {
    case v1::USER_ROLE_VIEWER:
      return "viewer";
    case v1::USER_ROLE_DEPLOYER:
      return "deployer";
    case v1::USER_ROLE_OPERATOR:
      return "operator";
    case v1::USER_ROLE_ADMIN:
      return "admin";
    default:
      return "";
  }
}

}  // namespace remuda::core
