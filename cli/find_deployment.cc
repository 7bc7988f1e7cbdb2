#include "cli/find_deployment.h"

#include <absl/strings/ascii.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>
#include <absl/strings/str_split.h>

#include <algorithm>

#include "cli/deploy_progress.h"
#include "cli/deploy_words.h"
#include "cli/parts.h"
#include "common/message_yaml.h"

namespace remuda::cli {
namespace {

// Of a load balancer, looked through for those under way.
constexpr size_t kSearchedShifts = 1000;

bool IsAction(KindId kind) { return kind == KindId::kListener || kind == KindId::kRule; }

size_t WordsIn(std::string_view id) {
  return id.empty() ? 0 : static_cast<size_t>(std::count(id.begin(), id.end(), '/')) + 1;
}

// The kind that stands before the first slash, if it is a load balancer or a part of one.
const Kind* BalancerKind(std::string_view word) {
  const size_t slash = word.find('/');
  if (slash == std::string_view::npos) return nullptr;
  const auto kind = ParseKind(word.substr(0, slash));
  if (!kind.ok()) return nullptr;
  return (*kind)->id == KindId::kLoadBalancer || IsAction((*kind)->id) ? *kind : nullptr;
}

std::string StateOf(const v1::Deployment& deployment) {
  return ShortEnumName(v1::DeploymentState_descriptor(), deployment.state());
}

absl::StatusOr<std::string> OneOf(const ResourceList& deployments, const std::string& scope,
                                  Which which) {
  if (deployments.empty()) return absl::NotFoundError(scope + " has had no deployment");
  std::vector<const v1::Deployment*> under_way;
  for (const auto& resource : deployments) {
    const auto& deployment = static_cast<const v1::Deployment&>(*resource);
    if (!HasEnded(deployment)) under_way.push_back(&deployment);
  }
  if (under_way.size() > 1) {
    return absl::InvalidArgumentError(absl::StrCat(
        scope, " has several deployments under way; name one: ",
        absl::StrJoin(under_way, ", ", [](std::string* out, const v1::Deployment* deployment) {
          absl::StrAppend(out, ShortId(deployment->name()), " (", SubjectText(*deployment), ")");
        })));
  }
  if (!under_way.empty()) return under_way.front()->name();
  const auto& newest = static_cast<const v1::Deployment&>(*deployments.front());
  if (which == Which::kNewest) return newest.name();
  return absl::FailedPreconditionError(
      absl::StrCat(scope, " has no deployment under way; the last, ", ShortId(newest.name()),
                   ", is ", StateOf(newest)));
}

absl::StatusOr<std::string> FindIn(const ControllerClient& client, const ResourceRef& scope,
                                   Which which) {
  // A group has one at a time, and that is its newest.
  const size_t limit = scope.kind->id == KindId::kAutoScalingGroup ? 1 : kSearchedShifts;
  const auto deployments = ListDeploymentsOf(client, scope, limit);
  if (!deployments.ok()) return deployments.status();
  return OneOf(*deployments, FullName(scope.kind->id, scope.id), which);
}

}  // namespace

absl::StatusOr<ResourceRef> ParseAction(std::string_view word) {
  const std::string id = PartId(word);
  std::string named = id;
  if (id == word && BalancerKind(word) != nullptr) named = id.substr(id.find('/') + 1);
  const KindId kind = WordsIn(named) == 3 ? KindId::kRule : KindId::kListener;
  const auto part = ParsePartId(kind, named);
  if (WordsIn(named) < 2 || !part.ok()) {
    return absl::InvalidArgumentError(
        absl::StrCat("\"", std::string(word),
                     "\" is not the name of a listener or rule: write lb/LOAD-BALANCER/LISTENER or "
                     "lb/LOAD-BALANCER/LISTENER/RULE, for example lb/shop/8080"));
  }
  return ResourceRef{&KindOf(kind), *part};
}

bool MayNameDeployment(std::string_view word) {
  const size_t dash = word.rfind('-');
  return dash != std::string_view::npos && dash + 1 < word.size() &&
         std::all_of(word.begin() + static_cast<std::ptrdiff_t>(dash) + 1, word.end(),
                     [](unsigned char c) { return absl::ascii_isdigit(c); });
}

absl::StatusOr<ResourceRef> ParseDeploymentScope(std::string_view word) {
  if (word.find('/') == std::string_view::npos) return ParseRef("deployment", word);
  if (const Kind* kind = BalancerKind(word)) {
    const bool is_whole = kind->id == KindId::kLoadBalancer && WordsIn(word) == 2;
    return is_whole ? ParseRef(word) : ParseAction(word);
  }
  const auto ref = ParseRef(word);
  if (!ref.ok()) return ref.status();
  if (ref->kind->id == KindId::kDeployment || ref->kind->id == KindId::kAutoScalingGroup)
    return ref;
  return absl::InvalidArgumentError(
      absl::StrCat("\"", std::string(word),
                   "\" has no deployments: write NAME, asg/GROUP, lb/LOAD-BALANCER or "
                   "lb/LOAD-BALANCER/LISTENER"));
}

absl::StatusOr<ResourceList> ListDeploymentsOf(const ControllerClient& client,
                                               const ResourceRef& scope, size_t limit) {
  ListFilter filter;
  const bool is_action = IsAction(scope.kind->id);
  filter.of = is_action ? FullName(KindId::kLoadBalancer, scope.id.substr(0, scope.id.find('/')))
                        : FullName(scope.kind->id, scope.id);
  filter.limit = is_action ? kMaxListed : limit;
  auto deployments = ListResources(client, KindId::kDeployment, filter);
  if (!deployments.ok() || !is_action) return deployments;
  std::erase_if(*deployments, [&](const auto& resource) {
    const auto& shift = static_cast<const v1::Deployment&>(*resource).shift();
    return PartId(shift.has_rule() ? shift.rule() : shift.listener()) != scope.id;
  });
  if (deployments->size() > limit) deployments->resize(limit);
  return deployments;
}

absl::StatusOr<std::string> FindDeployment(const ControllerClient& client, const std::string& word,
                                           Which which) {
  const auto scope = ParseDeploymentScope(word);
  if (!scope.ok()) return scope.status();
  if (scope->kind->id != KindId::kDeployment) return FindIn(client, *scope, which);
  if (word.find('/') == std::string::npos) {
    // A group's name may look like a deployment's: the deployment goes first.
    const auto found = GetResource(client, KindId::kDeployment, scope->id);
    if (found.status().code() == absl::StatusCode::kNotFound &&
        GetResource(client, KindId::kAutoScalingGroup, word).ok()) {
      return FindIn(client, {&KindOf(KindId::kAutoScalingGroup), word}, which);
    }
  }
  return FullName(KindId::kDeployment, scope->id);
}

}  // namespace remuda::cli
