// What is wrong with a field of a load balancer or target group. The controller's door and the
// proxy's compiler hold the same rules, in this folder: what the one lets in, the other takes. Each
// says a fault in its own form.
//
// All of the folder is pure. Any thread.
#pragma once

#include <optional>
#include <string>
#include <vector>

namespace remuda::traffic {

struct FieldFault {
  std::string field;                 // within the message: "host"; empty: the message as a whole
  std::optional<std::string> value;  // what the rule is about, not yet quoted or cut
  std::string rule;                  // follows the value: "is not a media type"
};
using FieldFaults = std::vector<FieldFault>;  // in the order of the fields; empty: all is right

}  // namespace remuda::traffic
