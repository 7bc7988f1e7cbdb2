// Commands on tokens to join with. Their texts are made, and hashed, elsewhere.
#include <absl/strings/match.h>

#include <algorithm>

#include "common/identity/spiffe_id.h"
#include "controller/core/door/done.h"
#include "controller/core/door/join_tokens.h"

namespace remuda::core {
namespace {

constexpr size_t kHashBytes = 32;  // SHA-256

std::string JoinerOf(const v1::JoinToken& token) {
  return absl::StrCat(std::string(identity::RoleText(token.role())), "/", token.subject());
}

// The resource of who joins, under which people look.
std::string ResourceOf(v1::IdentityRole role, const std::string& name) {
  switch (role) {
    case v1::IDENTITY_ROLE_AGENT:
      return FullName(kHosts, name);
    case v1::IDENTITY_ROLE_PROXY:
      return FullName(kProxies, name);
    default:
      return FullName(kUsers, name);
  }
}

// One for several names is of none of them: it is its own.
std::string ResourceOf(const v1::JoinToken& token) {
  return IsForSeveralNames(token) ? token.name() : ResourceOf(token.role(), token.subject());
}

v1::JoinToken WithoutHash(const v1::JoinToken& row) {
  v1::JoinToken out = row;
  out.clear_token_hash();
  return out;
}

void ForgetOldTokens(Draft& draft, Time now) {
  std::vector<std::string> old;
  draft.ForEach<v1::JoinToken>([&](const std::string& key, const v1::JoinToken& token) {
    const Time end = FromProto(IsUsedUp(token) ? token.use_time() : token.expire_time());
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

// The names that it is for: one, or all that begin with a prefix.
void CheckSubject(Violations& out, const FieldPath& at, const v1::JoinToken& token) {
  const std::string& subject = token.subject();
  if (!IsForSeveralNames(token)) {
    if (!identity::IsIdentityName(subject))
      out.Add(at, absl::StrCat(Quoted(subject), " ", limits::kIdRule));
    return;
  }
  const std::string prefix = subject.substr(0, subject.size() - 1);
  // What begins so must be able to be a name.
  if (!prefix.empty() && !identity::IsIdentityName(prefix + "0")) {
    out.Add(at, absl::StrCat(Quoted(subject), ": what is before * must begin a name, which ",
                             limits::kIdRule));
  }
  if (token.max_uses() <= 1) {
    out.Add(at, absl::StrCat(Quoted(subject),
                             " is for several names: max_uses must be 2 or more for that"));
  }
}

void CheckUses(Violations& out, const FieldPath& at, const v1::JoinToken& token) {
  if (token.max_uses() < 0 || token.max_uses() > limits::kMaxJoinTokenUses) {
    out.Add(at, absl::StrCat(token.max_uses(), " is not within 1-", limits::kMaxJoinTokenUses));
  } else if (token.max_uses() > 1 && token.role() == v1::IDENTITY_ROLE_PERSON) {
    out.Add(at, absl::StrCat(token.max_uses(),
                             ": a person's token is used once; more is for agents and proxies"));
  }
}

// Who was shut out still has what others of its kind join with, and must not come back by it; one
// that was made afterwards lets it in, as somebody has decided so with the knowledge.
absl::Status CheckNotShutOut(const Draft& draft, const v1::JoinToken& token,
                             const UseJoinToken& command) {
  if (token.max_uses() <= 1) return absl::OkStatus();
  const std::string who =
      absl::StrCat(std::string(identity::RoleText(command.role)), "/", command.subject);
  std::string by;
  draft.ForEach<v1::Revocation>([&](const std::string&, const v1::Revocation& row) {
    if (row.identity() == who && FromProto(token.create_time()) <= FromProto(row.create_time()))
      by = row.name();
  });
  if (by.empty()) return absl::OkStatus();
  return RefuseToken(
      absl::StrCat(who, " is revoked (", by, ") and the token is older: ask for another one"));
}

absl::Status CheckUsable(const Draft& draft, const v1::JoinToken& token,
                         const UseJoinToken& command, Time now) {
  if (token.role() != command.role || !IsForName(token, command.subject))
    return RefuseToken(absl::StrCat("it is for ", JoinerOf(token), " and nobody else"));
  if (IsUsedUp(token)) {
    return RefuseToken(token.max_uses() <= 1
                           ? "it was used already; ask for another one"
                           : absl::StrCat("it was used ", token.uses(),
                                          " times, which is all; ask for another one"));
  }
  if (FromProto(token.expire_time()) <= now)
    return RefuseToken("its time is over; ask for another one");
  if (absl::Status shut = CheckNotShutOut(draft, token, command); !shut.ok()) return shut;
  return CheckJoiner(draft, token);
}

}  // namespace

bool IsUsedUp(const v1::JoinToken& token) {
  return token.max_uses() <= 1 ? token.has_use_time() : token.uses() >= token.max_uses();
}

bool IsForSeveralNames(const v1::JoinToken& token) { return absl::EndsWith(token.subject(), "*"); }

bool IsForName(const v1::JoinToken& token, std::string_view name) {
  if (!IsForSeveralNames(token)) return token.subject() == name;
  const std::string_view prefix =
      std::string_view(token.subject()).substr(0, token.subject().size() - 1);
  return name.size() > prefix.size() && name.substr(0, prefix.size()) == prefix &&
         identity::IsIdentityName(name);
}

absl::StatusOr<v1::JoinToken> Execute(Draft& draft, const AddJoinToken& command,
                                      const Context& context) {
  const FieldPath at("join_token");
  v1::JoinToken value = command.token;
  Violations violations;
  if (value.role() != v1::IDENTITY_ROLE_AGENT && value.role() != v1::IDENTITY_ROLE_PROXY &&
      value.role() != v1::IDENTITY_ROLE_PERSON) {
    violations.Add(at / "role", "must be agent, proxy or person");
  }
  CheckSubject(violations, at / "subject", value);
  CheckUses(violations, at / "max_uses", value);
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
  value.set_max_uses(std::max(value.max_uses(), 1));
  value.clear_uses();
  value.clear_use_time();
  value.clear_token();
  value.clear_authority_pin();
  value.clear_join_address();
  *value.mutable_create_time() = ToProto(context.WallNow());
  NoteDone(draft, context,
           {.resource = ResourceOf(value),
            .description = absl::StrCat(
                "Made ", value.name(), " for ", JoinerOf(value),
                value.max_uses() > 1 ? absl::StrCat(", ", value.max_uses(), " uses") : "")});
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
  const Time now = context.WallNow();
  if (absl::Status usable = CheckUsable(draft, *found, command, now); !usable.ok()) return usable;
  v1::JoinToken value = *found;
  value.set_uses(value.uses() + 1);
  *value.mutable_use_time() = ToProto(now);
  const std::string who =
      absl::StrCat(std::string(identity::RoleText(command.role)), "/", command.subject);
  const std::string count =
      value.max_uses() > 1 ? absl::StrCat(" (use ", value.uses(), " of ", value.max_uses(), ")")
                           : "";
  NoteDone(draft, context,
           {.resource = ResourceOf(command.role, command.subject),
            .description = absl::StrCat(who, " joined with ", value.name(), count),
            .cause = absl::StrCat(value.creator(), " made the token"),
            .actor = who});
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
