// remuda user, whoami, revoke, revocation: people, what they may do, and who is shut out.
#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>

#include <algorithm>
#include <memory>
#include <ostream>

#include "cli/commands.h"
#include "cli/controller_client.h"
#include "cli/printing.h"
#include "remuda/v1/cluster.grpc.pb.h"
#include "remuda/v1/identity.grpc.pb.h"

namespace remuda::cli {
namespace {

using Cluster = v1::ClusterService::Stub;
using Identity = v1::IdentityService::Stub;

constexpr char kRoles[] = "viewer, deployer, operator or admin";

struct UserOptions {
  std::string name;
  std::string role;
  std::vector<std::string> groups;
  std::string description;
  std::string filter;
};

struct RevokeOptions {
  std::string subject;
  std::string reason;
};

std::string RoleWord(v1::UserRole role) {
  constexpr std::string_view kPrefix = "USER_ROLE_";
  std::string word = v1::UserRole_Name(role).substr(kPrefix.size());
  std::transform(word.begin(), word.end(), word.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return word;
}

// USER_ROLE_UNSPECIFIED: there is no such role.
v1::UserRole RoleFrom(const std::string& word) {
  for (const auto role : {v1::USER_ROLE_VIEWER, v1::USER_ROLE_DEPLOYER, v1::USER_ROLE_OPERATOR,
                          v1::USER_ROLE_ADMIN}) {
    if (RoleWord(role) == word) return role;
  }
  return v1::USER_ROLE_UNSPECIFIED;
}

// "users/alice" and "alice" are the same.
std::string Named(std::string_view collection, const std::string& name) {
  return name.find('/') == std::string::npos ? absl::StrCat(std::string(collection), "/", name)
                                             : name;
}

std::vector<std::string> ShortGroups(const std::vector<std::string>& words) {
  std::vector<std::string> ids;
  ids.reserve(words.size());
  for (const std::string& word : words) ids.push_back(ShortId(word));
  return ids;
}

template <class T>
void PrintRows(Context& context, const std::vector<T>& rows, const Table& table) {
  if (context.output == OutputFormat::kName) {
    for (const T& row : rows) context.out << row.name() << "\n";
  } else if (IsTable(context.output)) {
    context.out << RenderTable(table, StyleOf(context));
  } else {
    std::vector<const google::protobuf::Message*> messages;
    for (const T& row : rows) messages.push_back(&row);
    PrintMessages(context, messages);
  }
  context.out.flush();
}

void PrintUsers(Context& context, const std::vector<v1::User>& users) {
  Table table{{"NAME", "ROLE", "GROUPS", "AGE", "DESCRIPTION"}, {}};
  for (const v1::User& user : users) {
    std::vector<std::string> groups;
    for (const std::string& group : user.auto_scaling_groups()) groups.push_back(ShortId(group));
    table.rows.push_back({ShortId(user.name()), RoleWord(user.role()),
                          groups.empty() ? "-" : absl::StrJoin(groups, ","),
                          FormatAge(user.create_time(), SystemNow()),
                          user.description().empty() ? "-" : user.description()});
  }
  PrintRows(context, users, table);
}

void PrintRevocations(Context& context, const std::vector<v1::Revocation>& revocations) {
  Table table{{"NAME", "SHUT-OUT", "BY", "SINCE", "REASON"}, {}};
  for (const v1::Revocation& row : revocations) {
    table.rows.push_back(
        {ShortId(row.name()),
         row.has_serial() ? absl::StrCat("certificate ", row.serial()) : row.identity(),
         row.creator(), FormatDate(row.create_time()), row.reason().empty() ? "-" : row.reason()});
  }
  PrintRows(context, revocations, table);
}

ExitCode RunCreateUser(Context& context, const UserOptions& options) {
  v1::CreateUserRequest request;
  v1::User& user = *request.mutable_user();
  request.set_user_id(ShortId(options.name));
  user.set_role(RoleFrom(options.role));
  for (std::string& group : ShortGroups(options.groups)) user.add_auto_scaling_groups(group);
  user.set_description(options.description);
  request.set_request_id(NewRequestId());
  const ControllerClient client(context.settings);
  const auto made = client.Call<v1::User>(*client.identities, &Identity::CreateUser, request);
  if (!made.ok()) return Fail(context, made.status());
  PrintUsers(context, {*made});
  return ExitCode::kOk;
}

ExitCode RunListUsers(Context& context, const UserOptions& options) {
  const ControllerClient client(context.settings);
  v1::ListUsersRequest request;
  request.set_page_size(1000);
  request.set_filter(options.filter);
  std::vector<v1::User> users;
  do {
    const auto page =
        client.Call<v1::ListUsersResponse>(*client.identities, &Identity::ListUsers, request);
    if (!page.ok()) return Fail(context, page.status());
    users.insert(users.end(), page->users().begin(), page->users().end());
    request.set_page_token(page->next_page_token());
  } while (!request.page_token().empty());
  PrintUsers(context, users);
  return ExitCode::kOk;
}

ExitCode RunSetRole(Context& context, const UserOptions& options) {
  v1::UpdateUserRequest request;
  v1::User& user = *request.mutable_user();
  user.set_name(Named("users", options.name));
  user.set_role(RoleFrom(options.role));
  for (std::string& group : ShortGroups(options.groups)) user.add_auto_scaling_groups(group);
  request.mutable_update_mask()->add_paths("role");
  request.mutable_update_mask()->add_paths("auto_scaling_groups");
  request.set_request_id(NewRequestId());
  const ControllerClient client(context.settings);
  const auto changed = client.Call<v1::User>(*client.identities, &Identity::UpdateUser, request);
  if (!changed.ok()) return Fail(context, changed.status());
  PrintUsers(context, {*changed});
  return ExitCode::kOk;
}

ExitCode RunDeleteUser(Context& context, const UserOptions& options) {
  v1::DeleteUserRequest request;
  request.set_name(Named("users", options.name));
  request.set_request_id(NewRequestId());
  const ControllerClient client(context.settings);
  const auto gone =
      client.Call<google::protobuf::Empty>(*client.identities, &Identity::DeleteUser, request);
  if (!gone.ok()) return Fail(context, gone.status());
  PrintOutcome(context, request.name(), "DELETED",
               request.name() + " deleted; its certificates prove nothing any more");
  return ExitCode::kOk;
}

ExitCode RunWhoAmI(Context& context) {
  const ControllerClient client(context.settings);
  const auto caller =
      client.Call<v1::Caller>(*client.identities, &Identity::GetCaller, v1::GetCallerRequest());
  if (!caller.ok()) return Fail(context, caller.status());
  if (!IsTable(context.output)) {
    PrintMessage(context, *caller);
    return ExitCode::kOk;
  }
  if (caller->spiffe_id().empty()) {
    context.out << "local: this controller has no identities, and everybody may do everything\n";
    return ExitCode::kOk;
  }
  context.out << caller->spiffe_id();
  if (caller->has_user()) {
    context.out << ", " << RoleWord(caller->user().role());
    for (const std::string& group : caller->user().auto_scaling_groups())
      context.out << " " << ShortId(group);
  }
  context.out << "; certificate " << caller->certificate_serial() << " until "
              << FormatDate(caller->expire_time()) << "\n";
  return ExitCode::kOk;
}

// A name that is misspelt is shut out as well, and who was meant is not.
void WarnIfNotKnown(Context& context, const ControllerClient& client,
                    const v1::Revocation& revocation) {
  const std::string_view identity = revocation.identity();
  const size_t slash = identity.find('/');
  if (slash == std::string_view::npos) return;
  const std::string_view role = identity.substr(0, slash);
  const std::string id(identity.substr(slash + 1));
  absl::Status found;
  if (role == "agent") {
    v1::GetHostRequest request;
    request.set_name(Named("hosts", id));
    found = client.Call<v1::Host>(*client.cluster, &Cluster::GetHost, request).status();
  } else if (role == "proxy") {
    v1::GetProxyRequest request;
    request.set_name(Named("proxies", id));
    found = client.Call<v1::Proxy>(*client.cluster, &Cluster::GetProxy, request).status();
  } else if (role == "person") {
    v1::GetUserRequest request;
    request.set_name(Named("users", id));
    found = client.Call<v1::User>(*client.identities, &Identity::GetUser, request).status();
  }
  if (found.code() != absl::StatusCode::kNotFound) return;
  context.err << "remuda revoke: warning: no " << role << " of the name " << id
              << " is known; if that is not who was meant, `remuda revocation delete "
              << ShortId(revocation.name()) << "` lets it in again\n";
}

ExitCode RunRevoke(Context& context, const RevokeOptions& options) {
  v1::CreateRevocationRequest request;
  v1::Revocation& revocation = *request.mutable_revocation();
  if (options.subject.find('/') == std::string::npos) {
    revocation.set_serial(options.subject);
  } else {
    revocation.set_identity(options.subject);
  }
  if (revocation.has_serial() &&
      revocation.serial().find_first_not_of("0123456789abcdef") != std::string::npos) {
    return FailUsage(
        context, absl::StrCat("revoke: \"", options.subject,
                              "\" is neither ROLE/NAME (agent/h3, proxy/p1, person/alice) nor a "
                              "certificate's serial number, lowercase hexadecimal digits"));
  }
  revocation.set_reason(options.reason);
  request.set_request_id(NewRequestId());
  const ControllerClient client(context.settings);
  const auto made =
      client.Call<v1::Revocation>(*client.identities, &Identity::CreateRevocation, request);
  if (!made.ok()) return Fail(context, made.status());
  PrintRevocations(context, {*made});
  WarnIfNotKnown(context, client, *made);
  return ExitCode::kOk;
}

ExitCode RunListRevocations(Context& context) {
  const ControllerClient client(context.settings);
  v1::ListRevocationsRequest request;
  request.set_page_size(1000);
  std::vector<v1::Revocation> rows;
  do {
    const auto page = client.Call<v1::ListRevocationsResponse>(*client.identities,
                                                               &Identity::ListRevocations, request);
    if (!page.ok()) return Fail(context, page.status());
    rows.insert(rows.end(), page->revocations().begin(), page->revocations().end());
    request.set_page_token(page->next_page_token());
  } while (!request.page_token().empty());
  PrintRevocations(context, rows);
  return ExitCode::kOk;
}

ExitCode RunDeleteRevocation(Context& context, const std::string& name) {
  v1::DeleteRevocationRequest request;
  request.set_name(Named("revocations", name));
  request.set_request_id(NewRequestId());
  const ControllerClient client(context.settings);
  const auto gone = client.Call<google::protobuf::Empty>(*client.identities,
                                                         &Identity::DeleteRevocation, request);
  if (!gone.ok()) return Fail(context, gone.status());
  PrintOutcome(context, request.name(), "DELETED",
               request.name() + " deleted; what it shut out is let in again");
  return ExitCode::kOk;
}

void AddRole(CLI::App* command, UserOptions& options) {
  command->add_option("--role", options.role, kRoles)
      ->required()
      ->check(CLI::IsMember({"viewer", "deployer", "operator", "admin"}));
  command->add_option("--group", options.groups,
                      "Of a deployer: a group that it may deploy to; may be given several times");
}

}  // namespace

void AddUserCommand(CLI::App& app, Context& context) {
  auto* command = app.add_subcommand("user", "Say who may do what");
  command->require_subcommand(1);
  SetExample(command, "remuda user create alice --role deployer --group blue");
  auto options = std::make_shared<UserOptions>();

  auto* create = command->add_subcommand("create", "Make a user; `remuda token create` lets it in");
  create->add_option("name", options->name, "The user's name")->required();
  AddRole(create, *options);
  create->add_option("--description", options->description, "Who that is");
  AddOutputFlag(create, context);
  SetExample(create, "remuda user create alice --role deployer --group blue --group green");
  SetRun(create, context, [&context, options] { return RunCreateUser(context, *options); });

  auto* list = command->add_subcommand("list", "Show all users");
  list->add_option("--filter", options->filter, "Only those that match: role = ADMIN");
  AddOutputFlag(list, context);
  SetExample(list, "remuda user list --filter 'role = ADMIN'");
  SetRun(list, context, [&context, options] { return RunListUsers(context, *options); });

  auto* set_role = command->add_subcommand("set-role", "Change what a user may do, at once");
  set_role->add_option("name", options->name, "The user")->required();
  AddRole(set_role, *options);
  AddOutputFlag(set_role, context);
  SetExample(set_role, "remuda user set-role alice --role operator");
  SetRun(set_role, context, [&context, options] { return RunSetRole(context, *options); });

  auto* remove = command->add_subcommand("delete", "Delete a user and shut it out, at once");
  remove->add_option("name", options->name, "The user")->required();
  AddOutputFlag(remove, context);
  SetExample(remove, "remuda user delete alice");
  SetRun(remove, context, [&context, options] { return RunDeleteUser(context, *options); });
}

void AddWhoAmICommand(CLI::App& app, Context& context) {
  auto* command = app.add_subcommand("whoami", "Show who you are to the controller");
  AddOutputFlag(command, context);
  SetExample(command, "remuda whoami");
  SetRun(command, context, [&context] { return RunWhoAmI(context); });
}

void AddRevokeCommand(CLI::App& app, Context& context) {
  auto* command = app.add_subcommand("revoke", "Shut out an identity or a certificate, at once");
  auto options = std::make_shared<RevokeOptions>();
  command
      ->add_option("subject", options->subject,
                   "ROLE/NAME (agent/h3, proxy/p1, person/alice) with what it has now, or a "
                   "certificate's serial number")
      ->required();
  command->add_option("--reason", options->reason, "Why");
  AddOutputFlag(command, context);
  SetExample(command,
             "remuda revoke agent/h3 --reason 'the machine was stolen'\n  remuda revoke 1f3a");
  SetRun(command, context, [&context, options] { return RunRevoke(context, *options); });
}

void AddRevocationCommand(CLI::App& app, Context& context) {
  auto* command = app.add_subcommand("revocation", "Show who is shut out, and let in again");
  command->require_subcommand(1);
  SetExample(command, "remuda revocation list");
  auto* list = command->add_subcommand("list", "Show all revocations, the newest first");
  AddOutputFlag(list, context);
  SetExample(list, "remuda revocation list");
  SetRun(list, context, [&context] { return RunListRevocations(context); });
  auto name = std::make_shared<std::string>();
  auto* remove = command->add_subcommand("delete", "Let in again what it shut out");
  remove->add_option("name", *name, "The revocation")->required();
  AddOutputFlag(remove, context);
  SetExample(remove, "remuda revocation delete r-1");
  SetRun(remove, context, [&context, name] { return RunDeleteRevocation(context, *name); });
}

}  // namespace remuda::cli
