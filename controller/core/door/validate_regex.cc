// Patterns are checked where they come in, by the library and within the bounds that proxies have.
#include <absl/strings/str_cat.h>
#include <re2/re2.h>

#include "common/traffic/regex_options.h"
#include "controller/core/door/validate.h"

namespace remuda::core {

int CheckRegex(Violations& out, const FieldPath& field, const std::string& pattern,
               const RegexRule& rule) {
  if (pattern.empty()) {
    out.Add(field, "must not be empty");
    return -1;
  }
  const size_t wrong = out.size();
  CheckText(out, field, pattern, rule.max_bytes);
  if (out.size() > wrong) return -1;
  const RE2 program(pattern, traffic::RegexOptions(rule.ignore_case));
  if (program.ok()) return program.NumberOfCapturingGroups();
  out.Add(field, absl::StrCat(Quoted(pattern), " is not an RE2 pattern: ", program.error()));
  return -1;
}

}  // namespace remuda::core
