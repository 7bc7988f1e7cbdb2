#include "controller/core/door/parts.h"

#include <absl/strings/str_cat.h>
#include <absl/strings/str_split.h>

#include <set>
#include <vector>

namespace remuda::core {
namespace {

// Of one list of parts: what names begin with, and what a part is known by.
template <class Item>
struct Naming {
  std::string prefix;  // "loadBalancers/shop/listeners/"
  int (*key_of)(const Item&);
};

int PortOf(const v1::Listener& listener) { return listener.port(); }
int PriorityOf(const v1::Rule& rule) { return rule.priority(); }

template <class Items, class Matches>
int IndexOf(const Items& items, Matches matches) {
  for (int i = 0; i < items.size(); ++i) {
    if (matches(items.Get(i))) return i;
  }
  return -1;
}

std::string ListenersOf(std::string_view balancer) { return ListenerName(balancer, ""); }
std::string RulesOf(const v1::Listener& listener) {
  return absl::StrCat(listener.name(), "/", std::string(kRules), "/");
}

// "8080", or "8080-2" where that is taken.
std::string FreeName(const std::string& prefix, int key, const std::set<std::string>& taken) {
  std::string name = absl::StrCat(prefix, key);
  for (int i = 2; taken.count(name) > 0; ++i) name = absl::StrCat(prefix, key, "-", i);
  return name;
}

template <class Item>
void NameEach(Violations& out, const FieldPath& at, const Naming<Item>& naming,
              const google::protobuf::RepeatedPtrField<Item>* before,
              google::protobuf::RepeatedPtrField<Item>& items) {
  std::set<std::string> taken;
  for (int i = 0; i < items.size(); ++i) {
    Item& item = *items.Mutable(i);
    if (item.name().empty()) continue;
    const FieldPath here = at[i] / "name";
    std::optional<std::string> name = PartNameFrom(out, here, naming.prefix, item.name());
    if (!name.has_value()) continue;
    if (!taken.insert(*name).second) out.Add(here, absl::StrCat(*name, " is given twice"));
    item.set_name(*std::move(name));
  }
  // Those that were there first: a new one gets none of their names.
  std::vector<Item*> fresh;
  for (Item& item : items) {
    if (!item.name().empty()) continue;
    const int same = before == nullptr ? -1 : IndexOf(*before, [&](const Item& other) {
      return naming.key_of(other) == naming.key_of(item) && taken.count(other.name()) == 0;
    });
    if (same < 0 || before->Get(same).name().empty()) {
      fresh.push_back(&item);
      continue;
    }
    item.set_name(before->Get(same).name());
    taken.insert(item.name());
  }
  for (Item* item : fresh) {
    item->set_name(FreeName(naming.prefix, naming.key_of(*item), taken));
    taken.insert(item->name());
  }
}

}  // namespace

std::string ListenerName(std::string_view balancer, std::string_view listener) {
  return absl::StrCat(FullName(kLoadBalancers, balancer), "/", std::string(kListeners), "/",
                      std::string(listener));
}

std::string RuleName(std::string_view balancer, std::string_view listener, std::string_view rule) {
  return absl::StrCat(ListenerName(balancer, listener), "/", std::string(kRules), "/",
                      std::string(rule));
}

absl::StatusOr<PartIds> ParsePartName(std::string_view field, const std::string& name, bool is_rule,
                                      bool takes_any) {
  const std::vector<std::string> parts = absl::StrSplit(name, '/');
  const std::string_view collections[] = {kLoadBalancers, kListeners, kRules};
  const size_t depth = is_rule ? 3 : 2;
  bool is_right = parts.size() == 2 * depth;
  for (size_t i = 0; is_right && i < depth; ++i) {
    const std::string& id = parts[2 * i + 1];
    is_right = parts[2 * i] == collections[i] && ((takes_any && id == "-") || IsValidId(id));
  }
  if (!is_right) {
    return InvalidField(
        field,
        absl::StrCat(Quoted(name), " is not a ", is_rule ? "rule" : "listener", "'s name: ",
                     is_rule ? RuleName("ID", "LISTENER", "RULE") : ListenerName("ID", "LISTENER"),
                     ", where each id ", limits::kIdRule));
  }
  return PartIds{parts[1], parts[3], is_rule ? parts[5] : ""};
}

std::optional<std::string> PartNameFrom(Violations& out, const FieldPath& at,
                                        const std::string& prefix, const std::string& name) {
  const bool is_full = name.compare(0, prefix.size(), prefix) == 0;
  const std::string id = is_full ? name.substr(prefix.size()) : name;
  if (IsValidId(id)) return prefix + id;
  out.Add(at, absl::StrCat(Quoted(name), " is not a name here: ", prefix, "ID or ID, where ID ",
                           limits::kIdRule));
  return std::nullopt;
}

std::string NewPartName(Violations& out, const std::string& prefix, const FieldPath& id_at,
                        const std::string& id, const FieldPath& name_at, const std::string& name) {
  if (!id.empty() && !IsValidId(id)) {
    out.Add(id_at, absl::StrCat(Quoted(id), " ", limits::kIdRule));
    return {};
  }
  if (name.empty()) return id.empty() ? id : prefix + id;
  const std::optional<std::string> full = PartNameFrom(out, name_at, prefix, name);
  if (!full.has_value()) return {};
  if (!id.empty() && *full != prefix + id) {
    out.Add(name_at,
            absl::StrCat(Quoted(name), " is not the name of ", id_at.text(), " ", Quoted(id)));
    return {};
  }
  return *full;
}

void NameParts(Violations& out, const FieldPath& at, std::string_view balancer,
               const v1::LoadBalancer* before, v1::LoadBalancer& value) {
  const FieldPath listeners = at / "listeners";
  NameEach<v1::Listener>(out, listeners, {ListenersOf(balancer), &PortOf},
                         before == nullptr ? nullptr : &before->listeners(),
                         *value.mutable_listeners());
  for (int i = 0; i < value.listeners_size(); ++i) {
    v1::Listener& listener = *value.mutable_listeners(i);
    const int same = before == nullptr ? -1 : IndexOf(before->listeners(), [&](const auto& other) {
      return other.name() == listener.name();
    });
    NameEach<v1::Rule>(out, listeners[i] / "rules", {RulesOf(listener), &PriorityOf},
                       same < 0 ? nullptr : &before->listeners(same).rules(),
                       *listener.mutable_rules());
  }
}

void ShowPartEtags(v1::Listener& shown) {
  shown.set_etag(EtagOf(shown));
  for (v1::Rule& rule : *shown.mutable_rules()) rule.set_etag(EtagOf(rule));
}

void ShowPartEtags(v1::LoadBalancer& shown) {
  for (v1::Listener& listener : *shown.mutable_listeners()) ShowPartEtags(listener);
}

absl::Status CheckPartEtag(const std::string& name, const std::string& current,
                           const std::string& given) {
  if (given.empty() || given == current) return absl::OkStatus();
  return EtagMismatch(name, given, current);
}

absl::StatusOr<Part> FindListener(const Draft& draft, std::string_view field,
                                  const std::string& name) {
  absl::StatusOr<PartIds> ids = ParsePartName(field, name, /*is_rule=*/false);
  if (!ids.ok()) return ids.status();
  Part part{{ids->balancer, draft.Find<v1::LoadBalancer>(ids->balancer)}};
  if (part.row.value == nullptr) return NotFound(NameOf<v1::LoadBalancer>(ids->balancer));
  part.listener_index = IndexOf(part.row.value->listeners(), [&](const v1::Listener& listener) {
    return listener.name() == name;
  });
  if (part.listener_index < 0) return NotFound(name);
  return part;
}

absl::StatusOr<Part> FindRule(const Draft& draft, std::string_view field, const std::string& name) {
  const absl::StatusOr<PartIds> ids = ParsePartName(field, name, /*is_rule=*/true);
  if (!ids.ok()) return ids.status();
  absl::StatusOr<Part> part =
      FindListener(draft, field, ListenerName(ids->balancer, ids->listener));
  if (!part.ok()) return part;
  part->rule_index =
      IndexOf(part->listener().rules(), [&](const v1::Rule& rule) { return rule.name() == name; });
  if (part->rule_index < 0) return NotFound(name);
  return part;
}

}  // namespace remuda::core
