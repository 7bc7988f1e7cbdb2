// remuda token: tokens with which hosts, proxies and people join.
#include <absl/time/clock.h>
#include <google/protobuf/empty.pb.h>

#include <algorithm>
#include <memory>
#include <ostream>

#include "cli/commands.h"
#include "cli/controller_client.h"
#include "cli/printing.h"
#include "cli/resources.h"
#include "cli/table_layout.h"
#include "common/duration_text.h"
#include "common/identity/spiffe_id.h"
#include "remuda/v1/identity.grpc.pb.h"

namespace remuda::cli {
namespace {

constexpr int kPage = 1000;  // ListJoinTokensRequest.page_size

struct TokenOptions {
  std::string role;
  std::string name;
  std::string ttl;
  int uses = 1;
};

// As ParseDuration, and whole days as `30d`: tokens are what lives so long.
std::optional<std::string> ParseLife(const std::string& text, google::protobuf::Duration* out) {
  constexpr int64_t kSecondsADay = 86'400;
  constexpr size_t kMaxDigits = 6;
  const bool is_days = text.size() > 1 && text.size() <= kMaxDigits && text.back() == 'd' &&
                       text.find_first_not_of("0123456789") == text.size() - 1;
  if (!is_days) return ParseDuration(text, out);
  out->set_seconds(std::stoll(text.substr(0, text.size() - 1)) * kSecondsADay);
  return std::nullopt;
}

bool IsForSeveralNames(const v1::JoinToken& token) {
  return !token.subject().empty() && token.subject().back() == '*';
}

std::string ProgramOf(v1::IdentityRole role) {
  switch (role) {
    case v1::IDENTITY_ROLE_AGENT:
      return "remuda-agent join";
    case v1::IDENTITY_ROLE_PROXY:
      return "remuda-proxy join";
    default:
      return "remuda login";
  }
}

// For any POSIX shell. The token goes by a pipe, so it is in no program's arguments; the blank in
// front keeps it out of the history of a bash that Debian has set up.
std::string JoinCommandOf(const v1::JoinToken& token, const std::string& join_addresses) {
  return " echo " + token.token() + " | " + ProgramOf(token.role()) + " --controller " +
         join_addresses + " --pin " + token.authority_pin() +
         (IsForSeveralNames(token) ? "" : " --name " + token.subject()) + " --token-file -";
}

// Where one joins: at any of several controllers, the leader's first.
std::string JoinAddresses(const ControllerClient& client, const v1::JoinToken& token) {
  std::string all = token.join_address();
  const auto controllers = ListResources(client, KindId::kController, {});
  if (!controllers.ok()) return all;  // an older one, which is alone
  for (const auto& one : *controllers) {
    const std::string& address = static_cast<const v1::Controller&>(*one).join_address();
    if (!address.empty() && address != token.join_address()) all += "," + address;
  }
  return all;
}

ExitCode RunTokenCreate(Context& context, const TokenOptions& options) {
  v1::CreateJoinTokenRequest request;
  request.mutable_join_token()->set_role(identity::RoleOf(options.role));
  request.mutable_join_token()->set_subject(options.name);
  request.mutable_join_token()->set_max_uses(options.uses);
  if (!options.ttl.empty()) {
    if (const auto wrong = ParseLife(options.ttl, request.mutable_time_to_live()))
      return FailUsage(context, "token create: --ttl: " + *wrong);
  }
  const ControllerClient client(context.settings);
  const auto token = client.Call<v1::JoinToken>(
      *client.identities, &v1::IdentityService::Stub::CreateJoinToken, request);
  if (!token.ok()) return Fail(context, token.status());
  if (!IsTable(context.output)) {
    PrintMessage(context, *token);
    return ExitCode::kOk;
  }
  context.err << token->name() << ": run this where " << options.role << " " << options.name
              << " is, "
              << (token->max_uses() > 1 ? std::to_string(token->max_uses()) + " times at most"
                                        : "once")
              << ", before "
              << absl::FormatTime("%Y-%m-%d %H:%M:%SZ",
                                  absl::FromUnixSeconds(token->expire_time().seconds()),
                                  absl::UTCTimeZone())
              << ":" << std::endl;
  context.out << JoinCommandOf(*token, JoinAddresses(client, *token)) << std::endl;
  return ExitCode::kOk;
}

std::string StateOf(const v1::JoinToken& token) {
  if (token.max_uses() <= 1 ? token.has_use_time() : token.uses() >= token.max_uses())
    return "used";
  // To the nanosecond: what is open still is not told of as over.
  const absl::Time end = absl::FromUnixSeconds(token.expire_time().seconds()) +
                         absl::Nanoseconds(token.expire_time().nanos());
  return end <= absl::Now() ? "over" : "open";
}

// How often of how often: `3/100`. Rows of before there were counts have none.
std::string UsesOf(const v1::JoinToken& token) {
  const int most = std::max(token.max_uses(), 1);
  const int uses = most == 1 && token.has_use_time() ? 1 : token.uses();
  return std::to_string(uses) + "/" + std::to_string(most);
}

std::string TokenTime(const google::protobuf::Timestamp& time) {
  return absl::FormatTime("%Y-%m-%d %H:%M:%SZ", absl::FromUnixSeconds(time.seconds()),
                          absl::UTCTimeZone());
}

ExitCode RunTokenList(Context& context) {
  const ControllerClient client(context.settings);
  v1::ListJoinTokensRequest request;
  request.set_page_size(kPage);
  const auto answer = client.Call<v1::ListJoinTokensResponse>(
      *client.identities, &v1::IdentityService::Stub::ListJoinTokens, request);
  if (!answer.ok()) return Fail(context, answer.status());
  if (context.output == OutputFormat::kName) {
    for (const v1::JoinToken& token : answer->join_tokens()) context.out << token.name() << "\n";
    context.out.flush();
    return ExitCode::kOk;
  }
  if (!IsTable(context.output)) {
    std::vector<const google::protobuf::Message*> tokens;
    for (const v1::JoinToken& token : answer->join_tokens()) tokens.push_back(&token);
    PrintMessages(context, tokens);
    return ExitCode::kOk;
  }
  if (answer->join_tokens().empty()) {
    context.err << "No tokens." << std::endl;
    return ExitCode::kOk;
  }
  Table table;
  table.headers = {"NAME", "FOR", "STATE", "USES", "UNTIL", "BY"};
  for (const v1::JoinToken& token : answer->join_tokens()) {
    table.rows.push_back(
        {token.name(), std::string(identity::RoleText(token.role())) + "/" + token.subject(),
         StateOf(token), UsesOf(token), TokenTime(token.expire_time()), token.creator()});
  }
  context.out << RenderTable(table, StyleOf(context)) << std::flush;
  return ExitCode::kOk;
}

ExitCode RunTokenDelete(Context& context, const std::string& name) {
  v1::DeleteJoinTokenRequest request;
  request.set_name(name.starts_with("joinTokens/") ? name : "joinTokens/" + name);
  request.set_request_id(NewRequestId());
  const ControllerClient client(context.settings);
  const auto answer = client.Call<google::protobuf::Empty>(
      *client.identities, &v1::IdentityService::Stub::DeleteJoinToken, request);
  if (!answer.ok()) return Fail(context, answer.status());
  context.out << "Deleted " << request.name() << std::endl;
  return ExitCode::kOk;
}

}  // namespace

void AddTokenCommand(CLI::App& app, Context& context) {
  CLI::App* command =
      app.add_subcommand("token", "Tokens with which hosts, proxies and people join");
  command->require_subcommand(1);
  auto options = std::make_shared<TokenOptions>();

  CLI::App* create = command->add_subcommand("create", "Make one, and print the command to join");
  create->add_option("--role", options->role, "agent, proxy or person")
      ->required()
      ->check(CLI::IsMember({"agent", "proxy", "person"}));
  create
      ->add_option(
          "--name", options->name,
          "Of the host, the proxy or the user; with --uses also PREFIX*: all that begin so")
      ->required();
  create->add_option("--uses", options->uses,
                     "How often it may be used, 1-10000 (default 1); above 1 for agents and "
                     "proxies alone");
  create->add_option("--ttl", options->ttl,
                     "How long it may be used, 10s-24h (default 15m); with --uses above 1 up to "
                     "365d");
  AddOutputFlag(create, context);
  SetExample(create, "remuda token create --role agent --name host-3 --ttl 15m");
  SetRun(create, context, [&context, options] { return RunTokenCreate(context, *options); });

  CLI::App* list = command->add_subcommand("list", "List those that are open or were used lately");
  AddOutputFlag(list, context);
  SetExample(list, "remuda token list");
  SetRun(list, context, [&context] { return RunTokenList(context); });

  CLI::App* remove = command->add_subcommand("delete", "Make one useless");
  remove->add_option("name", options->name, "The token, as `token list` has it")->required();
  SetExample(remove, "remuda token delete t-3");
  SetRun(remove, context, [&context, options] { return RunTokenDelete(context, options->name); });
}

}  // namespace remuda::cli
