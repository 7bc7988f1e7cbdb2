#include "cli/dev_identities.h"

#include <absl/strings/str_cat.h>
#include <absl/time/clock.h>

#include "cli/contexts.h"
#include "cli/controller_client.h"
#include "cli/settings.h"
#include "common/identity/authority.h"
#include "common/identity/identity_files.h"
#include "common/identity/join_client.h"
#include "common/identity/token_file.h"

namespace remuda::cli {
namespace {

constexpr absl::Duration kDevLeastLife = absl::Hours(1);
constexpr size_t kMaxAuthorityBytes = 64 * 1024;
constexpr char kDevAdmin[] = "admin";

std::string ControllerFile(const DevOptions& options, const std::string& name) {
  return options.data_dir + "/controller/" + name;
}

absl::StatusOr<std::string> PinOfController(const DevOptions& options) {
  const std::string path = ControllerFile(options, "identity/authorities.pem");
  const auto pem = identity::ReadSmallFile(path, kMaxAuthorityBytes);
  if (!pem.ok()) return pem.status();
  return identity::PinOf(*pem);
}

v1::IdentityRole RoleOf(DevRole role) {
  return role == DevRole::kAgent ? v1::IDENTITY_ROLE_AGENT : v1::IDENTITY_ROLE_PROXY;
}

std::string IdentityDirectory(const DevOptions& options, const DevProgram& program) {
  return DevProgramDataDir(options, program) + "/identity";
}

// Whether what is there will do: of this cluster, this name, and for a while.
bool IsGood(const std::string& directory, const identity::SpiffeId& id) {
  const auto held = identity::LoadIdentity(identity::FilesIn(directory));
  return held.ok() && held->peer.id == id && held->peer.expire_time > absl::Now() + kDevLeastLife;
}

absl::Status JoinAs(const identity::JoinOptions& options, const std::string& directory) {
  const auto joined = identity::Join(options);
  if (!joined.ok()) {
    return {joined.status().code(),
            absl::StrCat(options.name, " does not join: ", joined.status().message())};
  }
  return identity::SaveJoined(directory, *joined);
}

}  // namespace

std::string DevAdminDirectory(const DevOptions& options) {
  return options.data_dir + "/identities/admin";
}

absl::Status PrepareDevIdentities(const DevOptions& options, const std::string& controller,
                                  const std::string& join,
                                  const std::vector<DevProgram>& programs) {
  const auto pin = PinOfController(options);
  if (!pin.ok()) return pin.status();
  const auto admin_token = identity::ReadTokenFile(ControllerFile(options, "admin-token"));
  if (!admin_token.ok()) return admin_token.status();
  const std::string admin = DevAdminDirectory(options);
  absl::Status status = JoinAs({.address = join,
                                .pin = *pin,
                                .token = *admin_token,
                                .role = v1::IDENTITY_ROLE_PERSON,
                                .name = kDevAdmin},
                               admin);
  if (!status.ok()) return status;
  const auto self = identity::LoadIdentity(identity::FilesIn(admin));
  if (!self.ok()) return self.status();

  Settings settings;
  settings.controller = controller;
  settings.identity_dir = admin;
  const ControllerClient client(settings);
  for (const DevProgram& program : programs) {
    if (program.role == DevRole::kController) continue;
    const identity::SpiffeId id{
        .cluster = self->peer.id.cluster, .role = RoleOf(program.role), .name = program.name};
    const std::string directory = IdentityDirectory(options, program);
    if (IsGood(directory, id)) continue;
    v1::CreateJoinTokenRequest request;
    request.mutable_join_token()->set_role(id.role);
    request.mutable_join_token()->set_subject(id.name);
    const auto token = client.Call<v1::JoinToken>(
        *client.identities, &v1::IdentityService::Stub::CreateJoinToken, request);
    if (!token.ok()) return token.status();
    status = JoinAs(
        {.address = join, .pin = *pin, .token = token->token(), .role = id.role, .name = id.name},
        directory);
    if (!status.ok()) return status;
  }
  return absl::OkStatus();
}

absl::Status PutDevContext(const DevOptions& options, const std::string& controller,
                           const std::string& join, const std::string& name,
                           const std::string& path) {
  const auto pin = PinOfController(options);
  if (!pin.ok()) return pin.status();
  auto contexts = LoadContexts(path);
  if (!contexts.ok()) return contexts.status();
  contexts->Put(name, {.name = name, .controller = controller, .join = join, .pin = *pin},
                {.name = name, .identity_dir = DevAdminDirectory(options)});
  contexts->current = name;
  return SaveContexts(path, *contexts);
}

}  // namespace remuda::cli
