// Reads of listeners and rules.
#include <absl/strings/str_cat.h>

#include <algorithm>
#include <vector>

#include "controller/core/door/paging.h"
#include "controller/core/door/parts.h"
#include "controller/core/door/read.h"

namespace remuda::core {
namespace {

constexpr int kKeyDigits = 5;  // of ports and priorities

// A port or priority as digits that sort as numbers do.
std::string Digits(int number) {
  const std::string text = std::to_string(number);
  return std::string(kKeyDigits - std::min<size_t>(text.size(), kKeyDigits), '0') + text;
}

// Sorts by load balancer, then port. No id has a byte below the one between.
std::string KeyOf(const std::string& balancer, const v1::Listener& listener) {
  return balancer + '\0' + Digits(listener.port());
}

// Listeners of load balancers, each with its load balancer's id, in the order of KeyOf.
using Listeners = std::vector<std::pair<std::string, const v1::Listener*>>;
void Add(const std::string& id, const v1::LoadBalancer& balancer, Listeners& out) {
  const auto begin = static_cast<std::ptrdiff_t>(out.size());
  for (const v1::Listener& listener : balancer.listeners()) out.emplace_back(id, &listener);
  std::sort(out.begin() + begin, out.end(),
            [](const auto& a, const auto& b) { return a.second->port() < b.second->port(); });
}

// Of one, or with `-` of all.
absl::StatusOr<Listeners> ReadListeners(const Snapshot& from, const std::string& id) {
  Listeners out;
  if (id == "-") {
    for (const auto& [key, row] : from.state.All<v1::LoadBalancer>()) Add(key, *row, out);
    return out;
  }
  const auto* row = from.state.Find<v1::LoadBalancer>(id);
  if (row == nullptr) return NotFound(NameOf<v1::LoadBalancer>(id));
  Add(id, **row, out);
  return out;
}

}  // namespace

absl::StatusOr<v1::Listener> Read(const Snapshot& from, const v1::GetListenerRequest& request) {
  const auto part = FindListener(Draft(from.state), "name", request.name());
  if (!part.ok()) return part.status();
  v1::Listener out = part->listener();
  ShowPartEtags(out);
  return out;
}

absl::StatusOr<v1::ListListenersResponse> Read(const Snapshot& from,
                                               const v1::ListListenersRequest& request) {
  std::string id = "-";
  if (request.parent() != FullName(kLoadBalancers, "-")) {
    const auto named = IdFrom<v1::LoadBalancer>("parent", request.parent());
    if (!named.ok()) return named.status();
    id = *named;
  }
  const absl::StatusOr<Listeners> listeners = ReadListeners(from, id);
  if (!listeners.ok()) return listeners.status();
  auto page = Page::From(absl::StrCat("listeners of ", request.parent()), request.page_size(),
                         request.page_token());
  if (!page.ok()) return page.status();
  v1::ListListenersResponse response;
  for (const auto& [balancer, listener] : *listeners) {
    const std::string key = KeyOf(balancer, *listener);
    if (key <= page->after()) continue;
    if (!page->Take(key)) break;
    *response.add_listeners() = *listener;
    ShowPartEtags(*response.mutable_listeners(response.listeners_size() - 1));
  }
  response.set_next_page_token(page->NextToken());
  return response;
}

absl::StatusOr<v1::Rule> Read(const Snapshot& from, const v1::GetRuleRequest& request) {
  const auto part = FindRule(Draft(from.state), "name", request.name());
  if (!part.ok()) return part.status();
  v1::Rule out = part->rule();
  out.set_etag(EtagOf(out));
  return out;
}

absl::StatusOr<v1::ListRulesResponse> Read(const Snapshot& from,
                                           const v1::ListRulesRequest& request) {
  const auto ids = ParsePartName("parent", request.parent(), /*is_rule=*/false, /*takes_any=*/true);
  if (!ids.ok()) return ids.status();
  const absl::StatusOr<Listeners> listeners = ReadListeners(from, ids->balancer);
  if (!listeners.ok()) return listeners.status();
  auto page = Page::From(absl::StrCat("rules of ", request.parent()), request.page_size(),
                         request.page_token());
  if (!page.ok()) return page.status();
  v1::ListRulesResponse response;
  bool is_found = ids->listener == "-";
  for (const auto& [balancer, listener] : *listeners) {
    if (ids->listener != "-" && IdOf(listener->name()) != ids->listener) continue;
    is_found = true;
    std::vector<const v1::Rule*> rules;
    for (const v1::Rule& rule : listener->rules()) rules.push_back(&rule);
    std::sort(rules.begin(), rules.end(),
              [](const auto* a, const auto* b) { return a->priority() < b->priority(); });
    for (const v1::Rule* rule : rules) {
      const std::string key = KeyOf(balancer, *listener) + '\0' + Digits(rule->priority());
      if (key <= page->after()) continue;
      if (!page->Take(key)) break;
      *response.add_rules() = *rule;
      response.mutable_rules(response.rules_size() - 1)->set_etag(EtagOf(*rule));
    }
    if (!page->NextToken().empty()) break;
  }
  if (!is_found && ids->balancer != "-") return NotFound(request.parent());
  response.set_next_page_token(page->NextToken());
  return response;
}

}  // namespace remuda::core
