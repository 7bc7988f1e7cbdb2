// Commands on tokens to join with. Their texts are made, and hashed, elsewhere.
#include "common/identity/spiffe_id.h"
#include "controller/core/door/done.h"

namespace remuda::core {
namespace {

constexpr size_t kHashBytes = 32;  // SHA-256

std::string JoinerOf(const v1::JoinToken& token) {
  return absl::StrCat(std::string(identity::RoleText(token.role())), "/", token.subject());
}

// The resource of who joins, under which people look.
std::string ResourceOf(const v1::JoinToken& token) {
  switch (token.role()) {
    case v1::IDENTITY_ROLE_AGENT:
      return FullName(kHosts, token.subject());
    case v1::IDENTITY_ROLE_PROXY:
      return FullName(kProxies, token.subject());
    default:
      return FullName(kUsers, token.subject());
  }
}

v1::JoinToken WithoutHash(const v1::JoinToken& row) {
  v1::JoinToken out = row;
  out.clear_token_hash();
  return out;
}

void ForgetOldTokens(Draft& draft, Time now) {
  std::vector<std::string> old;
  draft.ForEach<v1::JoinToken>([&](const std::string& key, const v1::JoinToken& token) {
    const Time end = FromProto(token.has_use_time() ? token.use_time() : token.expire_time());
    if (end + limits::kJoinTokenKeptFor <= now) old.push_back(key);
  });
  for (const std::string& key : old) draft.Delete<v1::JoinToken>(key);
}

// Takes as long wherever they differ.
bool IsSameHash(std::string_view a, std::string_view b) {
  if (a.size() != kHashBytes || b.size() != kHashBytes) return false;
  unsigned char differs = 0;
  for (size_t i = 0; i < kHashBytes; ++i) {
    differs = static_cast<unsigned char>(differs | static_cast<unsigned char>(a[i] ^ b[i]));
  }
  return differs == 0;
}

absl::Status RefuseToken(const std::string& why) {
  return absl::UnauthenticatedError(absl::StrCat("token refused: ", why));
}

absl::Status CheckJoiner(const Draft& draft, const v1::JoinToken& token) {
  if (token.role() != v1::IDENTITY_ROLE_PERSON || draft.Find<v1::User>(token.subject()) != nullptr)
    return absl::OkStatus();
  return FailedPrecondition(
      "NO_USER", absl::StrCat(FullName(kUsers, token.subject()),
                              " is not there: a person joins as a user; make that first"));
}

}  // namespace

absl::StatusOr<v1::JoinToken> Execute(Draft& draft, const AddJoinToken& command,
                                      const Context& context) {
  const FieldPath at("join_token");
  v1::JoinToken value = command.token;
  Violations violations;
  if (value.role() != v1::IDENTITY_ROLE_AGENT && value.role() != v1::IDENTITY_ROLE_PROXY &&
      value.role() != v1::IDENTITY_ROLE_PERSON) {
    violations.Add(at / "role", "must be agent, proxy or person");
  }
  if (!identity::IsIdentityName(value.subject())) {
    violations.Add(at / "subject", absl::StrCat(Quoted(value.subject()), " ", limits::kIdRule));
  }
  if (!violations.empty()) return violations.ToStatus();
  if (value.token_hash().size() != kHashBytes) return Internal("a join token without its hash");
  if (absl::Status user = CheckJoiner(draft, value); !user.ok()) return user;
  Draft::Savepoint savepoint = draft.Save();
  ForgetOldTokens(draft, context.WallNow());
  if (absl::Status quota = CheckQuota<v1::JoinToken>(draft); !quota.ok()) {
    draft.Restore(std::move(savepoint));
    return quota;
  }
  const std::string id = absl::StrCat("t-", draft.Next("joinToken"));
  value.set_name(NameOf<v1::JoinToken>(id));
  value.set_creator(std::string(context.who.actor));
  value.clear_use_time();
  value.clear_token();
  value.clear_authority_pin();
  value.clear_join_address();
  *value.mutable_create_time() = ToProto(context.WallNow());
  NoteDone(draft, context,
           {.resource = ResourceOf(value),
            .description = absl::StrCat("Made ", value.name(), " for ", JoinerOf(value))});
  draft.Put(id, value);
  return WithoutHash(value);
}

absl::StatusOr<v1::JoinToken> Execute(Draft& draft, const UseJoinToken& command,
                                      const Context& context) {
  std::string id;
  std::shared_ptr<const v1::JoinToken> found;
  draft.ForEachRowFrom<v1::JoinToken>(
      "", [&](const std::string& key, const std::shared_ptr<const v1::JoinToken>& row) {
        if (IsSameHash(row->token_hash(), command.token_hash)) {
          id = key;
          found = row;
        }
        return true;
      });
  if (found == nullptr) return RefuseToken("it is not known");
  if (found->role() != command.role || found->subject() != command.subject) {
    return RefuseToken(absl::StrCat("it is for ", JoinerOf(*found), " and nobody else"));
  }
  if (found->has_use_time()) return RefuseToken("it was used already; ask for another one");
  if (FromProto(found->expire_time()) <= context.WallNow())
    return RefuseToken("its time is over; ask for another one");
  if (absl::Status user = CheckJoiner(draft, *found); !user.ok()) return user;
  v1::JoinToken value = *found;
  *value.mutable_use_time() = ToProto(context.WallNow());
  NoteDone(draft, context,
           {.resource = ResourceOf(value),
            .description = absl::StrCat(JoinerOf(value), " joined with ", value.name()),
            .cause = absl::StrCat(value.creator(), " made the token"),
            .actor = JoinerOf(value)});
  draft.Put(id, value);
  return WithoutHash(value);
}

absl::StatusOr<Empty> Execute(Draft& draft, const v1::DeleteJoinTokenRequest& request,
                              const Context& context) {
  const auto row = FindRow<v1::JoinToken>(draft, "name", request.name());
  if (!row.ok()) return row.status();
  draft.Delete<v1::JoinToken>(row->id);
  NoteDone(draft, context,
           {.resource = ResourceOf(*row->value),
            .description =
                absl::StrCat("Deleted ", row->value->name(), ", for ", JoinerOf(*row->value))});
  return Empty();
}

}  // namespace remuda::core
