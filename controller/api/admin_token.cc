#include "controller/api/admin_token.h"

#include <absl/time/clock.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <filesystem>
#include <future>
#include <vector>

#include "common/identity/identity_files.h"
#include "controller/api/identity_service.h"
#include "controller/core/door/execute.h"
#include "controller/identity/join_desk.h"

namespace remuda {
namespace {

// The user as an admin, whatever it was before.
absl::Status MakeAdmin(core::Draft& draft, const core::Context& context) {
  const auto held = draft.Find<v1::User>(AdminToken::kUser);
  if (held != nullptr && held->role() == v1::USER_ROLE_ADMIN) return absl::OkStatus();
  if (held == nullptr) {
    v1::CreateUserRequest request;
    request.set_user_id(AdminToken::kUser);
    request.mutable_user()->set_role(v1::USER_ROLE_ADMIN);
    request.mutable_user()->set_description("Made at the controller's start");
    return core::Execute(draft, request, context).status();
  }
  v1::UpdateUserRequest request;
  request.mutable_user()->set_name("users/" + std::string(AdminToken::kUser));
  request.mutable_user()->set_role(v1::USER_ROLE_ADMIN);
  request.mutable_update_mask()->add_paths("role");
  if (held->auto_scaling_groups_size() > 0)
    request.mutable_update_mask()->add_paths("auto_scaling_groups");
  return core::Execute(draft, request, context).status();
}

// The token of an earlier start, which nobody used.
absl::Status ForgetEarlier(core::Draft& draft, const core::Context& context) {
  std::vector<std::string> names;
  draft.ForEach<v1::JoinToken>([&names](const std::string&, const v1::JoinToken& token) {
    if (token.role() == v1::IDENTITY_ROLE_PERSON && token.subject() == AdminToken::kUser &&
        token.creator() == "system" && !token.has_use_time())
      names.push_back(token.name());
  });
  for (const std::string& name : names) {
    v1::DeleteJoinTokenRequest request;
    request.set_name(name);
    if (absl::Status status = core::Execute(draft, request, context).status(); !status.ok())
      return status;
  }
  return absl::OkStatus();
}

absl::Status Decide(core::Draft& draft, const core::Context& context, const std::string& hash) {
  if (absl::Status status = MakeAdmin(draft, context); !status.ok()) return status;
  if (hash.empty()) return absl::OkStatus();
  if (absl::Status status = ForgetEarlier(draft, context); !status.ok()) return status;
  core::AddJoinToken add;
  add.token.set_role(v1::IDENTITY_ROLE_PERSON);
  add.token.set_subject(AdminToken::kUser);
  add.token.set_token_hash(hash);
  *add.token.mutable_expire_time() = core::ToProto(context.WallNow() + AdminToken::kLife);
  return core::Execute(draft, add, context).status();
}

// On the loop; blocks until it is durable.
absl::Status CommitAdmin(Controller& controller, const std::string& hash) {
  auto outcome = std::make_shared<std::promise<absl::Status>>();
  controller.loop.Post([&controller, hash, outcome] {
    controller.engine.Add({.decide =
                               [hash](core::Draft& draft, core::Context context) {
                                 context.wall = absl::Now();
                                 core::Draft::Savepoint before = draft.Save();
                                 absl::Status status = Decide(draft, context, hash);
                                 if (!status.ok()) draft.Restore(std::move(before));
                                 return status;
                               },
                           .done = [outcome](const absl::Status& status,
                                             const core::State&) { outcome->set_value(status); }});
  });
  return outcome->get_future().get();
}

// What the state says of the first admin and of the token with this hash.
struct Known {
  bool has_admin = false;
  bool has_token = false;
  bool was_used = false;
};
Known LookUp(Controller& controller, const std::string& hash) {
  auto outcome = std::make_shared<std::promise<Known>>();
  controller.loop.Post([&controller, outcome, hash] {
    const core::State& state = controller.engine.state();
    Known known{.has_admin = state.Find<v1::User>(AdminToken::kUser) != nullptr};
    for (const auto& [key, token] : state.All<v1::JoinToken>()) {
      if (token.value->token_hash() != hash) continue;
      known.has_token = true;
      known.was_used = token.value->has_use_time();
    }
    outcome->set_value(known);
  });
  return outcome->get_future().get();
}

}  // namespace

bool AdminToken::IsAnothersToOffer(Controller& controller) {
  constexpr size_t kMaxTokenFileBytes = 4096;
  std::string token = identity::ReadSmallFile(path_, kMaxTokenFileBytes).value_or("");
  while (token.ends_with('\n')) token.pop_back();
  const Known known = LookUp(controller, token.empty() ? "" : JoinDesk::HashOf(token));
  // By way of another controller.
  if (known.was_used) {
    NoteJoined("person/" + std::string(kUser));
    return true;
  }
  // Made by another controller, and used there or still to be used there.
  if (token.empty() || known.has_token) return token.empty() && known.has_admin;
  if (!known.has_admin) return false;
  // Used so long ago that nobody remembers, or never of this cluster, as where this controller ran
  // alone before. A token for who is an admin already, or is one no more, would be given to nobody.
  spdlog::warn(
      "{}: is not (or no more) a token of this cluster, whose first admin is there: it is removed. "
      "For another one: --new-admin-token",
      path_);
  unlink(path_.c_str());
  return true;
}

absl::Status AdminToken::Offer(Controller& controller, const ClusterIdentity& identity,
                               bool is_wanted) {
  if (!is_wanted && std::filesystem::exists(marker_)) return absl::OkStatus();
  if (!is_wanted && is_shared_ && IsAnothersToOffer(controller)) return absl::OkStatus();
  if (!identity.CanIssue().ok()) {
    // Whoever issues certificates makes one for this user.
    absl::Status status = CommitAdmin(controller, "");
    if (status.ok()) status = identity::WritePrivateFile(marker_, "");
    return status;
  }
  const std::string token = MakeTokenText();
  if (absl::Status status = CommitAdmin(controller, JoinDesk::HashOf(token)); !status.ok())
    return status;
  if (absl::Status status = identity::WritePrivateFile(path_, token + "\n"); !status.ok())
    return status;
  spdlog::warn(
      "an admin joins: within 24 hours, as this user, run: remuda login "
      "--controller {} --pin {} --name {} --token-file {}",
      identity.join_address(), identity.authority_pin(), kUser, path_);
  return absl::OkStatus();
}

void AdminToken::NoteJoined(const std::string& actor) {
  if (actor != "person/" + std::string(kUser)) return;
  const absl::Status status = identity::WritePrivateFile(marker_, "");
  if (!status.ok()) spdlog::warn("{}", std::string(status.message()));
  unlink(path_.c_str());
}

}  // namespace remuda
