#include "cli/kinds.h"

#include <absl/strings/numbers.h>
#include <absl/strings/str_cat.h>

#include <algorithm>

#include "cli/parts.h"
#include "common/message_yaml.h"
#include "common/words.h"

namespace remuda::cli {
namespace {

const Kind* Match(std::string_view word) {
  const std::string folded = Folded(word);
  for (const Kind& kind : AllKinds()) {
    if (folded == Folded(kind.name) || folded == Folded(kind.collection) ||
        folded == kind.short_name)
      return &kind;
    if (std::find(kind.aliases.begin(), kind.aliases.end(), folded) != kind.aliases.end())
      return &kind;
  }
  return nullptr;
}

std::string Text(std::string_view text) { return std::string(text); }

// The command that lists what `get` and `describe` do not know; empty: there is none.
std::string_view OwnCommand(std::string_view word) {
  const std::string folded = Folded(word);
  if (folded == "user" || folded == "users") return "user list";
  if (folded == "token" || folded == "tokens" || folded == "jointokens") return "token list";
  if (folded == "revocation" || folded == "revocations") return "revocation list";
  if (folded == "context" || folded == "contexts") return "config get-contexts";
  if (folded == "policy" || folded == "policies") return "policy list";
  return "";
}

constexpr std::string_view kVersions = "/versions/";

// `shop:2` and `shop/versions/2` are a version, `shop` alone is the template.
ResourceRef Narrowed(ResourceRef ref) {
  if (ref.kind->id != KindId::kLaunchTemplate && ref.kind->id != KindId::kLaunchTemplateVersion)
    return ref;
  if (const size_t at = ref.id.find(kVersions); at != std::string::npos)
    ref.id.replace(at, kVersions.size(), ":");
  if (ref.id.find(':') != std::string::npos) ref.kind = &KindOf(KindId::kLaunchTemplateVersion);
  return ref;
}

// The word of a reference for what the user wrote; empty if it is none.
std::string VersionText(const std::string& word) {
  const std::string folded = Folded(word);
  if (folded == "$latest" || folded == "latest") return "$Latest";
  if (folded == "$default" || folded == "default") return "$Default";
  int number = 0;
  return absl::SimpleAtoi(word, &number) && number > 0 ? absl::StrCat(number) : "";
}

}  // namespace

const std::vector<Kind>& AllKinds() {
  static const std::vector<Kind> kKinds = {
      {KindId::kActivity, "Activity", "activities", "activity", {}},
      {KindId::kAutoScalingGroup,
       "AutoScalingGroup",
       "autoScalingGroups",
       "asg",
       {"asgs", "group", "groups"}},
      {KindId::kCertificate, "Certificate", "certificates", "cert", {"certs"}},
      {KindId::kController, "Controller", "controllers", "controller", {}},
      {KindId::kDeployment, "Deployment", "deployments", "deployment", {"deploy"}},
      {KindId::kHost, "Host", "hosts", "host", {}},
      {KindId::kImage, "Image", "images", "image", {"img"}},
      {KindId::kInstance, "Instance", "instances", "instance", {"i"}},
      {KindId::kLaunchTemplate,
       "LaunchTemplate",
       "launchTemplates",
       "lt",
       {"lts", "template", "templates"}},
      {KindId::kLaunchTemplateVersion,
       "LaunchTemplateVersion",
       "versions",
       "version",
       {"ltv", "templateversion", "templateversions", "launchtemplateversions"}},
      {KindId::kListener, "Listener", "listeners", "listener", {}},
      {KindId::kLoadBalancer, "LoadBalancer", "loadBalancers", "lb", {"lbs"}},
      {KindId::kProxy, "Proxy", "proxies", "proxy", {}},
      {KindId::kRule, "Rule", "rules", "rule", {}},
      {KindId::kSecret, "Secret", "secrets", "secret", {}},
      {KindId::kSecurityGroup, "SecurityGroup", "securityGroups", "sg", {"sgs"}},
      {KindId::kTarget, "Target", "targets", "target", {}},
      {KindId::kTargetGroup, "TargetGroup", "targetGroups", "tg", {"tgs"}},
  };
  return kKinds;
}

const Kind& KindOf(KindId id) {
  return *std::find_if(AllKinds().begin(), AllKinds().end(),
                       [id](const Kind& kind) { return kind.id == id; });
}

absl::StatusOr<const Kind*> ParseKind(std::string_view word) {
  if (const Kind* kind = Match(word)) return kind;
  if (const std::string_view command = OwnCommand(word); !command.empty()) {
    return absl::InvalidArgumentError(absl::StrCat(
        "\"", Text(word), "\" has a command of its own: `remuda ", Text(command), "`"));
  }
  std::vector<std::string> names;
  std::string list;
  for (const Kind& kind : AllKinds()) {
    names.push_back(kind.name);
    names.push_back(kind.collection);
    absl::StrAppend(&list, list.empty() ? "" : ", ", kind.short_name);
  }
  const std::string nearest = NearestWord(word, names);
  return absl::InvalidArgumentError(absl::StrCat(
      "\"", Text(word), "\" is not a kind",
      nearest.empty() ? "" : absl::StrCat(" (did you mean ", nearest, "?)"), "; there are ", list));
}

absl::StatusOr<ResourceRef> ParseRef(std::string_view word, std::string_view name) {
  const size_t slash = word.find('/');
  if (slash != std::string_view::npos) {
    if (!name.empty()) {
      return absl::InvalidArgumentError(absl::StrCat(
          "\"", Text(word), "\" names a resource already: \"", Text(name), "\" is too much"));
    }
    auto kind = ParseKind(word.substr(0, slash));
    if (!kind.ok()) return kind.status();
    if (slash + 1 == word.size()) {
      return absl::InvalidArgumentError(
          absl::StrCat("\"", Text(word), "\": a name must follow the slash"));
    }
    // `loadBalancers/shop/listeners/8080` names a listener.
    if ((*kind)->id == KindId::kLoadBalancer &&
        word.find('/', slash + 1) != std::string_view::npos) {
      const KindId part =
          word.find("/rules/") == std::string_view::npos ? KindId::kListener : KindId::kRule;
      auto id = ParsePartId(part, absl::StrCat((*kind)->collection, Text(word.substr(slash))));
      if (!id.ok()) return id.status();
      return ResourceRef{&KindOf(part), *std::move(id)};
    }
    if (IsPart((*kind)->id)) {
      auto id = ParsePartId((*kind)->id, word.substr(slash + 1));
      if (!id.ok()) return id.status();
      return ResourceRef{*kind, *std::move(id)};
    }
    return Narrowed({*kind, Text(word.substr(slash + 1))});
  }
  auto kind = ParseKind(word);
  if (!kind.ok()) return kind.status();
  if (name.empty()) return ResourceRef{*kind, ""};
  auto id = ParseIdOf((*kind)->id, name);
  if (!id.ok()) return id.status();
  return Narrowed({*kind, *std::move(id)});
}

absl::StatusOr<std::string> ParseIdOf(KindId kind, std::string_view word) {
  if (IsPart(kind)) return ParsePartId(kind, word);
  const size_t slash = word.find('/');
  // A target's id within its group may be anything; the rest have no slash of their own.
  if (slash == std::string_view::npos) {
    if (word.empty())
      return absl::InvalidArgumentError(
          absl::StrCat("the name of the ", KindOf(kind).name, " is empty"));
    return Text(word);
  }
  const Kind* found = Match(word.substr(0, slash));
  if (found != nullptr && kind == KindId::kLaunchTemplateVersion &&
      found->id == KindId::kLaunchTemplate) {
    found = &KindOf(kind);
  }
  if (found == nullptr || found->id != kind || slash + 1 == word.size()) {
    return absl::InvalidArgumentError(
        absl::StrCat("\"", Text(word), "\" is not the name of ", WithArticle(KindOf(kind).name),
                     ": write NAME or ", KindOf(kind).short_name, "/NAME"));
  }
  return Text(word.substr(slash + 1));
}

std::string FullName(KindId kind, std::string_view id) {
  if (IsPart(kind)) return PartFullName(id);
  if (kind == KindId::kLaunchTemplateVersion) {
    const size_t colon = id.find(':');
    return absl::StrCat(FullName(KindId::kLaunchTemplate, id.substr(0, colon)), Text(kVersions),
                        colon == std::string_view::npos ? "$Latest" : Text(id.substr(colon + 1)));
  }
  return absl::StrCat(KindOf(kind).collection, "/", Text(id));
}

std::string ShortId(std::string_view name) {
  const size_t slash = name.rfind('/');
  if (const size_t at = name.find(kVersions); at != std::string_view::npos)
    return absl::StrCat(ShortId(name.substr(0, at)), ":", Text(name.substr(at + kVersions.size())));
  return Text(slash == std::string_view::npos ? name : name.substr(slash + 1));
}

absl::StatusOr<TemplateRef> ParseTemplateRef(std::string_view word) {
  auto id = ParseIdOf(KindId::kLaunchTemplate, word);
  if (!id.ok()) return id.status();
  if (const size_t at = id->find(kVersions); at != std::string::npos)
    id->replace(at, kVersions.size(), ":");
  TemplateRef out{*id, ""};
  const size_t colon = id->find(':');
  if (colon == std::string::npos) return out;
  out.id = id->substr(0, colon);
  out.version = VersionText(id->substr(colon + 1));
  if (out.id.empty() || out.version.empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat("\"", Text(word),
                     "\" is not TEMPLATE or TEMPLATE:VERSION, for example shop:2, shop:latest"));
  }
  return out;
}

}  // namespace remuda::cli
