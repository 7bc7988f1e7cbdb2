// Secrets: a value comes in and is never answered.
#include "common/sensitive.h"
#include "controller/core/door/done.h"
#include "controller/core/door/secret_calls.h"
#include "controller/core/door/secret_kind.h"
#include "controller/core/door/validate_secrets.h"

namespace remuda::core {
namespace {

bool NamesSecret(const v1::LaunchTemplateVersion& version, std::string_view secret) {
  for (const v1::SecretReference& reference : version.secrets()) {
    if (reference.secret() == secret) return true;
  }
  return false;
}

// A version that names the secret; empty if none does.
std::string UserOfSecret(const Draft& draft, std::string_view id) {
  std::string user;
  draft.ForEach<v1::LaunchTemplateVersion>(
      [&](const std::string&, const v1::LaunchTemplateVersion& version) {
        if (user.empty() && NamesSecret(version, id)) user = version.name();
      });
  return user;
}

// Whoever names it still gets no more than an assignment may hold.
void CheckUsers(Violations& out, const FieldPath& at, const Draft& draft, std::string_view id,
                const std::string& value) {
  draft.ForEach<v1::LaunchTemplateVersion>(
      [&](const std::string&, const v1::LaunchTemplateVersion& version) {
        if (!NamesSecret(version, id)) return;
        const size_t bytes = SecretBytesOf(draft, version, id, value.size());
        if (bytes <= limits::kSecretBytesAVersion) return;
        out.Add(at, absl::StrCat("with it the secrets of ", version.name(), " have ", bytes,
                                 " bytes together; at most ", limits::kSecretBytesAVersion));
      });
}

void CheckValue(Violations& out, const FieldPath& at, const Draft& draft, std::string_view id,
                const std::string& value) {
  if (value.empty()) {
    out.Add(at, "must be given: it is not kept from before");
  } else if (value.size() > limits::kSecretBytes) {
    out.Add(at, absl::StrCat("has ", value.size(), " bytes; at most ", limits::kSecretBytes));
  } else if (value == kRedacted) {
    out.Add(at, absl::StrCat(kRedacted, " stands for a secret where one is shown; give the value"));
  } else {
    CheckUsers(out, at, draft, id, value);
  }
}

}  // namespace

absl::StatusOr<v1::Secret> Execute(Draft& draft, const v1::SetSecretRequest& request,
                                   const Context& context) {
  const FieldPath at("secret");
  const v1::Secret& wish = request.secret();
  Violations violations;
  const std::string id = NewId(violations, kSecrets, FieldPath("secret_id"), request.secret_id(),
                               at / "name", wish.name());
  if (!violations.empty()) return violations.ToStatus();
  const auto before = draft.Find<v1::Secret>(id);
  if (before == nullptr && !wish.etag().empty()) return NotFound(NameOf<v1::Secret>(id));
  if (before != nullptr) {
    if (absl::Status etag = CheckEtag(NameOf<v1::Secret>(id), *before, wish.etag()); !etag.ok())
      return etag;
  }
  v1::Secret value = before == nullptr ? v1::Secret() : *before;
  value.set_name(NameOf<v1::Secret>(id));
  value.set_value(wish.value());
  value.set_version(value.version() + 1);
  if (wish.labels_size() > 0) *value.mutable_labels() = wish.labels();
  if (!wish.description().empty()) value.set_description(wish.description());
  *value.mutable_update_time() = ToProto(context.now);
  if (before == nullptr) *value.mutable_create_time() = ToProto(context.now);
  CheckValue(violations, at / "value", draft, id, value.value());
  CheckLabels(violations, at / "labels", value.labels());
  CheckText(violations, at / "description", value.description(), limits::kDescriptionBytes);
  if (!violations.empty()) return violations.ToStatus();
  if (before == nullptr) {
    if (absl::Status quota = CheckQuota<v1::Secret>(draft); !quota.ok()) return quota;
  }
  NoteDone(draft, context,
           {.resource = value.name(),
            .description = before == nullptr
                               ? absl::StrCat("Created ", value.name())
                               : absl::StrCat("Gave ", value.name(), " another value, version ",
                                              value.version())});
  draft.Put(id, std::move(value));
  return Answer<v1::Secret>(draft, context, id);
}

absl::StatusOr<Empty> Execute(Draft& draft, const v1::DeleteSecretRequest& request,
                              const Context& context) {
  const auto row = FindRowToWrite<v1::Secret>(draft, request);
  if (!row.ok()) return row.status();
  if (const std::string user = UserOfSecret(draft, row->id); !user.empty()) {
    return FailedPrecondition("SECRET_IN_USE",
                              absl::StrCat(row->value->name(), ": ", user, " names it"));
  }
  DeleteRow(draft, context, *row);
  return Empty();
}

}  // namespace remuda::core
