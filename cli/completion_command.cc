// remuda completion: shell scripts that ask `remuda __complete WORD…` for what may stand where the
// last word is.
#include <memory>
#include <ostream>
#include <set>

#include "cli/commands.h"
#include "cli/completion.h"
#include "cli/contexts.h"
#include "cli/controller_client.h"
#include "cli/parts.h"
#include "cli/resources.h"
#include "cli/scaling_processes.h"
#include "cli/settings.h"

namespace remuda::cli {
namespace {

constexpr std::chrono::milliseconds kCompletionTimeout{1'000};
constexpr size_t kMaxCandidates = 200;

// Words are split by us, not by bash: it would split at `:` (shop:2).
constexpr char kBash[] =
    R"(# bash completion for remuda: source this, or put it into /etc/bash_completion.d
_remuda() {
  local line="${COMP_LINE:0:COMP_POINT}" IFS=$' \t\n' reply prefix
  local -a words
  read -ra words <<<"$line"
  [[ "$line" == *[[:space:]] ]] && words+=("")
  local current="${words[-1]}"
  COMPREPLY=()
  while IFS= read -r reply; do
    # Readline replaces only what follows the last `:` or `=`.
    prefix="${current%"${current##*[:=]}"}"
    COMPREPLY+=("${reply#"$prefix"}")
  done < <("${words[0]}" __complete "${words[@]:1}" 2>/dev/null)
  [[ ${#COMPREPLY[@]} -eq 1 && "${COMPREPLY[0]}" == */ ]] && compopt -o nospace
}
complete -o default -F _remuda remuda
)";

constexpr char kZsh[] = R"(#compdef remuda
# zsh completion for remuda: source this, or put it as _remuda into a directory of $fpath
_remuda() {
  local -a replies
  replies=("${(@f)$("${words[1]}" __complete "${(@)words[2,CURRENT]}" 2>/dev/null)}")
  replies=("${(@)replies:#}")
  if (( ${#replies} )); then
    compadd -- "${(@)replies}"
  else
    _files
  fi
}
compdef _remuda remuda
)";

const CLI::Option* FindOption(const CLI::App& command, const std::string& name) {
  for (const CLI::App* app = &command; app != nullptr; app = app->get_parent()) {
    for (const CLI::Option* option : app->get_options()) {
      if (option->check_name(name)) return option;
    }
  }
  return nullptr;
}

const CLI::App* Subcommand(const CLI::App& command, const std::string& name) {
  for (const CLI::App* sub : command.get_subcommands([](const CLI::App*) { return true; })) {
    if (sub->get_name() == name) return sub;
  }
  return nullptr;
}

bool TakesValue(const CLI::Option& option) { return option.get_items_expected_max() > 0; }

std::string PathOf(const CLI::App& command) {
  return command.get_parent() == nullptr ? ""
                                         : PathOf(*command.get_parent()) + "/" + command.get_name();
}

// Where the last word stands: behind which command, as which argument or flag's value.
struct Place {
  const CLI::App* command = nullptr;
  std::vector<std::string> arguments;  // before the last word
  std::string flag;                    // whose value it is, if it is one
};

Place FindPlace(const CLI::App& root, const std::vector<std::string>& words) {
  Place place;
  place.command = &root;
  for (size_t i = 0; i + 1 < words.size(); ++i) {
    const std::string& word = words[i];
    if (word.starts_with("-")) {
      const CLI::Option* option = FindOption(*place.command, word);
      if (option == nullptr || !TakesValue(*option)) continue;
      if (i + 2 == words.size()) {
        place.flag = word;
        return place;
      }
      ++i;  // Its value.
      continue;
    }
    const CLI::App* sub = place.arguments.empty() ? Subcommand(*place.command, word) : nullptr;
    if (sub != nullptr) {
      place.command = sub;
    } else {
      place.arguments.push_back(word);
    }
  }
  return place;
}

class Completer {
 public:
  Completer(const Settings& settings, std::string prefix)
      : settings_(settings), prefix_(std::move(prefix)) {}

  void Offer(const std::string& word) {
    if (word.starts_with(prefix_) && candidates_.size() < kMaxCandidates) candidates_.insert(word);
  }

  void OfferNames(KindId kind, const std::string& before = "") {
    // What holds a part is named on the way to it.
    if (kind == KindId::kRule) OfferNames(KindId::kListener, before);
    if (kind == KindId::kListener) OfferNames(KindId::kLoadBalancer, before);
    Settings settings = settings_;
    settings.timeout = std::min(settings.timeout, kCompletionTimeout);
    const ControllerClient client(settings);
    const auto resources = ListResources(client, kind, {});
    if (!resources.ok()) return;  // A shell's prompt is no place for errors.
    for (const auto& resource : *resources) {
      const auto* field = resource->GetDescriptor()->FindFieldByName("name");
      const std::string full = resource->GetReflection()->GetString(*resource, field);
      Offer(before + (IsPart(kind) ? PartId(full) : ShortId(full)));
    }
  }

  // `asg/NAME`: first the kind, then the names.
  void OfferRefs(const std::vector<KindId>& kinds) {
    for (const KindId kind : kinds) {
      const std::string before = KindOf(kind).short_name + "/";
      if (prefix_.starts_with(before)) {
        OfferNames(kind, before);
      } else {
        Offer(before);
      }
    }
  }

  // `lb/shop/8080/10`: on the way to it what holds it.
  void OfferActions() {
    const std::string before = KindOf(KindId::kLoadBalancer).short_name + "/";
    if (!prefix_.starts_with(before)) return Offer(before);
    OfferNames(KindId::kRule, before);
  }

  void Flags(const CLI::App& command) {
    for (const CLI::App* app = &command; app != nullptr; app = app->get_parent()) {
      for (const CLI::Option* option : app->get_options()) {
        for (const std::string& name : option->get_lnames()) Offer("--" + name);
      }
    }
  }

  void FlagValue(const std::string& flag) {
    if (flag == "-o" || flag == "--output") {
      for (const char* word : {"table", "wide", "name", "json", "yaml"}) Offer(word);
    } else if (flag == "--strategy") {
      for (const char* word : {"rolling", "blue-green", "canary", "linear", "in-place"})
        Offer(word);
    } else if (flag == "--to" || flag == "--from") {
      OfferNames(KindId::kTargetGroup);
    } else if (flag == "--template") {
      if (prefix_.find(':') != std::string::npos) return OfferNames(KindId::kLaunchTemplateVersion);
      OfferNames(KindId::kLaunchTemplate);
      if (candidates_.size() == 1) {  // The template is known: its versions.
        prefix_ = *candidates_.begin() + ":";
        candidates_.clear();
        OfferNames(KindId::kLaunchTemplateVersion);
      }
    } else if (flag == "--group") {
      OfferNames(KindId::kAutoScalingGroup);
    } else if (flag == "--from-instance") {
      OfferNames(KindId::kInstance);
    } else if (flag == "--role") {
      for (const char* word : {"viewer", "deployer", "operator", "admin"}) Offer(word);
    } else if (flag == "--result") {
      for (const char* word : {"continue", "abandon"}) Offer(word);
    } else if (flag == "--log-level") {
      for (const char* word : {"trace", "debug", "info", "warn", "error"}) Offer(word);
    }
  }

  void Kinds() {
    for (const Kind& kind : AllKinds()) Offer(kind.short_name);
  }

  static bool TakesGroupFirst(const std::string& command) {
    for (const char* one : {"/scale", "/deploy", "/refresh", "/metrics", "/metrics/put",
                            "/evaluations", "/suspend", "/resume"}) {
      if (command == one) return true;
    }
    return command.starts_with("/policy/") || command.starts_with("/asg/");
  }

  void OfferContexts() {
    const auto contexts = LoadContexts(settings_.path);
    if (!contexts.ok()) return;
    for (const NamedContext& one : contexts->contexts) Offer(one.name);
  }

  // `agent/h3`, `proxy/p1`: who can be shut out.
  void OfferIdentities() {
    OfferBehind("agent/", KindId::kHost);
    OfferBehind("proxy/", KindId::kProxy);
    if (!prefix_.starts_with("person/")) return Offer("person/");
    OfferUsers("person/");
  }
  void OfferBehind(const std::string& before, KindId kind) {
    if (!prefix_.starts_with(before)) return Offer(before);
    OfferNames(kind, before);
  }
  void OfferUsers(const std::string& before) {
    Settings settings = settings_;
    settings.timeout = std::min(settings.timeout, kCompletionTimeout);
    const ControllerClient client(settings);
    v1::ListUsersRequest request;
    request.set_page_size(static_cast<int>(kMaxCandidates));
    const auto page = client.Call<v1::ListUsersResponse>(
        *client.identities, &v1::IdentityService::Stub::ListUsers, request);
    if (!page.ok()) return;
    for (const v1::User& user : page->users()) Offer(before + ShortId(user.name()));
  }

  void OfferPolicies(const std::string& word) {
    const auto id = ParseIdOf(KindId::kAutoScalingGroup, word);
    if (!id.ok()) return;
    Settings settings = settings_;
    settings.timeout = std::min(settings.timeout, kCompletionTimeout);
    const auto group = GetResource(ControllerClient(settings), KindId::kAutoScalingGroup, *id);
    if (!group.ok()) return;
    for (const auto& policy : static_cast<const v1::AutoScalingGroup&>(**group).policies())
      Offer(policy.name());
  }

  void Argument(const std::string& command, const std::vector<std::string>& before) {
    const size_t index = before.size();
    if (command == "/get" || command == "/describe" || command == "/delete") {
      if (index == 0) return Kinds();
      const auto kind = ParseKind(before[0]);
      if (index == 1 && kind.ok())
        OfferNames(ListsByName((*kind)->id) ? KindId::kTargetGroup : (*kind)->id);
    } else if (TakesGroupFirst(command) && index == 0) {
      OfferRefs({KindId::kAutoScalingGroup});
    } else if (command == "/suspend" || command == "/resume") {
      for (const std::string& word : ProcessWords()) Offer(word);
    } else if (command.starts_with("/asg/")) {
      OfferNames(KindId::kTargetGroup);
    } else if (index == 1 && (command == "/policy/delete" || command == "/policy/forecast")) {
      OfferPolicies(before[0]);
    } else if (index == 1 && command == "/instance/attach") {
      OfferRefs({KindId::kAutoScalingGroup});
    } else if (index == 0 && command == "/shift") {
      OfferActions();
    } else if (index == 0 && command == "/instance/list") {
      OfferNames(KindId::kAutoScalingGroup);
    } else if (index == 0 && command == "/deployment/list") {
      OfferNames(KindId::kAutoScalingGroup);
      OfferRefs({KindId::kAutoScalingGroup, KindId::kLoadBalancer});
    } else if (index == 0 && command == "/template/set-default") {
      OfferNames(KindId::kLaunchTemplateVersion);
    } else if (index == 0 && command.starts_with("/template/")) {
      OfferNames(KindId::kLaunchTemplate);
    } else if (index == 0 && command == "/activities") {
      OfferRefs(
          {KindId::kAutoScalingGroup, KindId::kLoadBalancer, KindId::kTargetGroup, KindId::kHost});
    } else if (index == 0 && command.starts_with("/deployment/")) {
      OfferNames(KindId::kDeployment);
      if (command == "/deployment/history") OfferNames(KindId::kAutoScalingGroup);
      OfferRefs({KindId::kAutoScalingGroup});
      OfferActions();
    } else if (index == 0 && (command == "/listener/create" || command == "/listener/list")) {
      OfferNames(KindId::kLoadBalancer);
    } else if (index == 0 && (command.starts_with("/listener/") || command == "/rule/create" ||
                              command == "/rule/list" || command == "/rule/set-priorities")) {
      OfferNames(KindId::kListener);
    } else if (index == 0 && command.starts_with("/rule/")) {
      OfferNames(KindId::kRule);
    } else if (index == 0 && command.starts_with("/target/")) {
      OfferNames(KindId::kTargetGroup);
    } else if (index == 0 && command.starts_with("/host/")) {
      OfferNames(KindId::kHost);
    } else if (index == 0 && (command == "/logs" || command.starts_with("/instance/") ||
                              command.starts_with("/hook/"))) {
      OfferNames(KindId::kInstance);
      if (command == "/logs") OfferRefs({KindId::kAutoScalingGroup});
    } else if (index == 0 && command.starts_with("/config/")) {
      OfferContexts();
    } else if (index == 0 && (command == "/user/set-role" || command == "/user/delete")) {
      OfferUsers("");
    } else if (index == 0 && command == "/revoke") {
      OfferIdentities();
    } else if (index == 0 && command == "/completion") {
      for (const char* word : {"bash", "zsh"}) Offer(word);
    }
  }

  const std::set<std::string>& candidates() const { return candidates_; }

 private:
  const Settings& settings_;
  std::string prefix_;
  std::set<std::string> candidates_;
};

}  // namespace

void Complete(Context& context, const CLI::App& root, std::vector<std::string> words) {
  if (words.empty()) words.emplace_back();
  const Place place = FindPlace(root, words);
  // --controller on the line says where the names are.
  SettingFlags flags;
  for (size_t i = 0; i + 2 < words.size(); ++i) {
    if (words[i] == "--controller") flags.controller = words[i + 1];
    if (words[i] == "--context") flags.context = words[i + 1];
  }
  if (auto settings = ResolveSettings(flags, ProcessEnvironment); settings.ok())
    context.settings = *settings;

  Completer completer(context.settings, words.back());
  if (!place.flag.empty()) {
    completer.FlagValue(place.flag);
  } else if (words.back().starts_with("-")) {
    completer.Flags(*place.command);
  } else {
    // `help` takes the commands themselves as arguments.
    const CLI::App* parent = place.command;
    if (PathOf(*parent) == "/help") {
      parent = &root;
      for (const std::string& word : place.arguments) {
        if (const CLI::App* sub = Subcommand(*parent, word)) parent = sub;
      }
    }
    for (const CLI::App* sub : parent->get_subcommands([](const CLI::App*) { return true; })) {
      if (!sub->get_group().empty() && (place.arguments.empty() || parent != place.command))
        completer.Offer(sub->get_name());
    }
    completer.Argument(PathOf(*place.command), place.arguments);
  }
  for (const std::string& candidate : completer.candidates()) context.out << candidate << "\n";
  context.out.flush();
}

void AddCompletionCommand(CLI::App& app, Context& context) {
  auto* command =
      app.add_subcommand("completion", "Print a script that completes commands, flags and names");
  auto shell = std::make_shared<std::string>();
  command->add_option("shell", *shell, "bash or zsh")
      ->required()
      ->check(CLI::IsMember({"bash", "zsh"}));
  SetExample(command, "source <(remuda completion bash)");
  SetOfflineRun(command, context, [&context, shell] {
    context.out << (*shell == "bash" ? kBash : kZsh) << std::flush;
    return ExitCode::kOk;
  });
}

}  // namespace remuda::cli
