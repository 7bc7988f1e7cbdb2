// Listeners and rules as resources of their own: parts of a load balancer's row, with names, ids
// and etags.
//
// Owns: how parts are named, and which id one gets that was given none. Does not own: what a part
// may say (validate_*.cc) or the methods (execute_listener.cc, execute_rule.cc, read_part.cc).
// Pure.
#pragma once

#include <absl/status/statusor.h>

#include <optional>
#include <string>
#include <string_view>

#include "controller/core/door/rows.h"
#include "controller/core/door/validate.h"

namespace remuda::core {

// "loadBalancers/BALANCER/listeners/LISTENER", and its rule.
std::string ListenerName(std::string_view balancer, std::string_view listener);
std::string RuleName(std::string_view balancer, std::string_view listener, std::string_view rule);

// The ids in such a name.
struct PartIds {
  std::string balancer;
  std::string listener;
  std::string rule;  // empty: the listener itself
};
// Of "loadBalancers/ID/listeners/ID" (`is_rule`: with "/rules/ID"). Ids are valid ones, or `-` if
// `takes_any`. INVALID_ARGUMENT names `field`.
absl::StatusOr<PartIds> ParsePartName(std::string_view field, const std::string& name, bool is_rule,
                                      bool takes_any = false);

// Gives each listener and rule of the load balancer its full name. One that has none, nor an id,
// keeps that of the one in `before` (null: none) with the same port or priority; else it gets one
// like its port or priority. A violation for one that is no name of a part of `balancer`, or one
// given twice.
void NameParts(Violations& out, const FieldPath& at, std::string_view balancer,
               const v1::LoadBalancer* before, v1::LoadBalancer& value);

// The etag of each listener and rule of a row, in what is answered of it.
void ShowPartEtags(v1::LoadBalancer& shown);
void ShowPartEtags(v1::Listener& shown);

// ABORTED unless `given` is empty or the etag of the part, which is called `name`.
absl::Status CheckPartEtag(const std::string& name, const std::string& current,
                           const std::string& given);

// A listener or rule that a request names, and where it is in the row.
struct Part {
  Row<v1::LoadBalancer> row;
  int listener_index = -1;
  int rule_index = -1;  // of a rule

  const v1::Listener& listener() const { return row.value->listeners(listener_index); }
  const v1::Rule& rule() const { return listener().rules(rule_index); }
};
absl::StatusOr<Part> FindListener(const Draft& draft, std::string_view field,
                                  const std::string& name);
absl::StatusOr<Part> FindRule(const Draft& draft, std::string_view field, const std::string& name);

// The id of a part to be made under `parent`: from `id` or the name in the part (its id alone will
// do there), as a full name; empty if none is given. Violations as NewId.
std::string NewPartName(Violations& out, const std::string& prefix, const FieldPath& id_at,
                        const std::string& id, const FieldPath& name_at, const std::string& name);

// A full name from an id or a full name that begins with `prefix`; a violation, and nullopt, if it
// is neither.
std::optional<std::string> PartNameFrom(Violations& out, const FieldPath& at,
                                        const std::string& prefix, const std::string& name);

}  // namespace remuda::core
