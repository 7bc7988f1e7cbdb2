// Commands on revocations: who is shut out.
#include <algorithm>

#include "common/identity/spiffe_id.h"
#include "controller/core/door/done.h"
#include "controller/core/door/join_tokens.h"
#include "controller/core/door/shut_out.h"

namespace remuda::core {
namespace {

// Those that shut nothing out any more: all certificates that they could are over.
void ForgetOldRevocations(Draft& draft, Time now) {
  std::vector<std::string> old;
  draft.ForEach<v1::Revocation>([&](const std::string& key, const v1::Revocation& row) {
    if (FromProto(row.create_time()) + limits::kCertificateLife <= now) old.push_back(key);
  });
  for (const std::string& key : old) draft.Delete<v1::Revocation>(key);
}

bool IsSerial(std::string_view text) {
  return !text.empty() && text.size() <= limits::kMaxSerialDigits && text.front() != '0' &&
         std::all_of(text.begin(), text.end(),
                     [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

bool IsIdentity(std::string_view text) {
  const size_t slash = text.find('/');
  if (slash == std::string_view::npos) return false;
  return identity::RoleOf(text.substr(0, slash)) != v1::IDENTITY_ROLE_UNSPECIFIED &&
         identity::IsIdentityName(text.substr(slash + 1));
}

void CheckRevocation(Violations& out, const FieldPath& at, const v1::Revocation& value) {
  switch (value.subject_case()) {
    case v1::Revocation::kSerial:
      if (!IsSerial(value.serial())) {
        out.Add(at / "serial",
                absl::StrCat(Quoted(value.serial()), " must be 1-", limits::kMaxSerialDigits,
                             " lowercase hex digits, the first not 0"));
      }
      break;
    case v1::Revocation::kIdentity:
      if (!IsIdentity(value.identity())) {
        out.Add(at / "identity",
                absl::StrCat(Quoted(value.identity()),
                             " must be ROLE/NAME, ROLE one of agent, proxy, person, controller"));
      }
      break;
    case v1::Revocation::SUBJECT_NOT_SET:
      out.Add(at, "serial or identity must be given");
  }
  CheckText(out, at / "reason", value.reason(), limits::kReasonBytes);
}

std::string SubjectText(const v1::Revocation& value) {
  return value.has_serial() ? absl::StrCat("certificate ", value.serial()) : value.identity();
}

void TakeTokensAway(Draft& draft, std::string_view identity) {
  std::vector<std::string> keys;
  draft.ForEach<v1::JoinToken>([&](const std::string& key, const v1::JoinToken& token) {
    if (!IsUsedUp(token) && absl::StrCat(std::string(identity::RoleText(token.role())), "/",
                                         token.subject()) == identity) {
      keys.push_back(key);
    }
  });
  for (const std::string& key : keys) draft.Delete<v1::JoinToken>(key);
}

}  // namespace

std::string ShutOut(Draft& draft, const Context& context, v1::Revocation revocation) {
  std::string id = absl::StrCat("r-", draft.Next("revocation"));
  if (revocation.has_identity()) TakeTokensAway(draft, revocation.identity());
  revocation.set_name(NameOf<v1::Revocation>(id));
  revocation.set_creator(std::string(context.who.actor));
  *revocation.mutable_create_time() = ToProto(context.WallNow());
  NoteDone(draft, context,
           {.resource = revocation.name(),
            .description = absl::StrCat("Shut out ", SubjectText(revocation)),
            .cause = revocation.reason().empty() ? "a person asked for it" : revocation.reason()});
  draft.Put(id, std::move(revocation));
  return id;
}

absl::StatusOr<v1::Revocation> Execute(Draft& draft, const v1::CreateRevocationRequest& request,
                                       const Context& context) {
  const FieldPath at("revocation");
  const v1::Revocation& wish = request.revocation();
  Violations violations;
  CheckRevocation(violations, at, wish);
  if (!violations.empty()) return violations.ToStatus();
  // So that whoever may let people in is never shut out as a whole.
  if (wish.has_serial() ? wish.serial() == context.who.serial
                        : wish.identity() == context.who.actor) {
    return FailedPrecondition(
        "OWN_IDENTITY", absl::StrCat(SubjectText(wish), " is your own; another admin must do it"));
  }
  Draft::Savepoint savepoint = draft.Save();
  ForgetOldRevocations(draft, context.WallNow());
  if (absl::Status quota = CheckQuota<v1::Revocation>(draft); !quota.ok()) {
    draft.Restore(std::move(savepoint));
    return quota;
  }
  v1::Revocation value;
  if (wish.has_serial()) {
    value.set_serial(wish.serial());
  } else {
    value.set_identity(wish.identity());
  }
  value.set_reason(wish.reason());
  return *draft.Find<v1::Revocation>(ShutOut(draft, context, std::move(value)));
}

absl::StatusOr<Empty> Execute(Draft& draft, const v1::DeleteRevocationRequest& request,
                              const Context& context) {
  const auto row = FindRow<v1::Revocation>(draft, "name", request.name());
  if (!row.ok()) return row.status();
  draft.Delete<v1::Revocation>(row->id);
  NoteDone(draft, context,
           {.resource = NameOf<v1::Revocation>(row->id),
            .description = absl::StrCat("No longer shut out: ", SubjectText(*row->value))});
  return Empty();
}

}  // namespace remuda::core
