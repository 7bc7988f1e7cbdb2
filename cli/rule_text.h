// Listeners, rules and what they do, each in a few words for a table's cell. Pure.
#pragma once

#include <string>

#include "remuda/v1/listener.pb.h"

namespace remuda::cli {

// "blue", "blue*9+green*1", "answer 404", "redirect".
std::string ActionText(const v1::Action& action);
// "path /a/*|/b", "host ~ REGEX": what is looked at, and the values of which one must fit.
std::string ConditionText(const v1::Condition& condition);
// All conditions of a rule.
std::string ConditionsText(const v1::Rule& rule);
// "HTTPS 10.0.0.1:443 -> blue (+2 rules)".
std::string ListenerText(const v1::Listener& listener);

}  // namespace remuda::cli
