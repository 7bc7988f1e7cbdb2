#include "cli/rule_text.h"

#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>

#include <vector>

#include "cli/kinds.h"
#include "common/message_yaml.h"
#include "common/traffic/address.h"
#include "common/words.h"

namespace remuda::cli {

std::string ActionText(const v1::Action& action) {
  if (action.has_fixed_response()) return absl::StrCat("answer ", action.fixed_response().status());
  if (action.has_redirect()) return "redirect";
  std::vector<std::string> groups;
  const bool is_one = action.forward().target_groups_size() == 1;
  for (const auto& group : action.forward().target_groups()) {
    groups.push_back(is_one ? ShortId(group.target_group())
                            : absl::StrCat(ShortId(group.target_group()), "*",
                                           group.has_weight() ? group.weight() : 1));
  }
  return groups.empty() ? "-" : absl::StrJoin(groups, "+");
}

std::string ConditionText(const v1::Condition& condition) {
  const auto either = [](const char* what, const auto& kind) {
    const bool is_regex = kind.regex_values_size() > 0;
    return absl::StrCat(what, is_regex ? " ~ " : " ",
                        absl::StrJoin(is_regex ? kind.regex_values() : kind.values(), "|"));
  };
  switch (condition.kind_case()) {
    case v1::Condition::kHostHeader:
      return either("host", condition.host_header());
    case v1::Condition::kPathPattern:
      return either("path", condition.path_pattern());
    case v1::Condition::kHttpHeader:
      return either(condition.http_header().http_header_name().c_str(), condition.http_header());
    case v1::Condition::kHttpRequestMethod:
      return absl::StrCat("method ", absl::StrJoin(condition.http_request_method().values(), "|"));
    case v1::Condition::kQueryString:
      return absl::StrCat("query ", absl::StrJoin(condition.query_string().values(), "|",
                                                  [](std::string* out, const auto& pair) {
                                                    absl::StrAppend(out, pair.key(),
                                                                    pair.key().empty() ? "" : "=",
                                                                    pair.value());
                                                  }));
    case v1::Condition::kSourceIp:
      return absl::StrCat("from ", absl::StrJoin(condition.source_ip().values(), "|"));
    case v1::Condition::KIND_NOT_SET:
      break;
  }
  return "-";
}

std::string ConditionsText(const v1::Rule& rule) {
  if (rule.conditions().empty()) return "-";
  return absl::StrJoin(rule.conditions(), " AND ",
                       [](std::string* out, const v1::Condition& condition) {
                         absl::StrAppend(out, ConditionText(condition));
                       });
}

std::string ListenerText(const v1::Listener& listener) {
  const bool is_http =
      listener.protocol() == v1::PROTOCOL_HTTP || listener.protocol() == v1::PROTOCOL_UNSPECIFIED;
  std::string text = absl::StrCat(
      is_http ? "" : ShortEnumName(v1::Protocol_descriptor(), listener.protocol()) + " ",
      listener.address().empty() ? absl::StrCat(listener.port())
                                 : traffic::EndpointText(listener.address(), listener.port()),
      " -> ", ActionText(listener.default_action()));
  if (listener.rules_size() > 0)
    absl::StrAppend(&text, " (+", Counted(listener.rules_size(), "rule"), ")");
  return text;
}

}  // namespace remuda::cli
