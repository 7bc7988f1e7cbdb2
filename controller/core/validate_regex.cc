// Patterns are checked where they come in, by the library and within the bounds that proxies have.
#include <absl/strings/str_cat.h>
#include <re2/re2.h>

#include "controller/core/limits.h"
#include "controller/core/validate.h"

namespace remuda::core {

int CheckRegex(Violations& out, const FieldPath& field, const std::string& pattern,
               size_t max_bytes) {
  if (pattern.empty()) {
    out.Add(field, "must not be empty");
    return -1;
  }
  const size_t wrong = out.size();
  CheckText(out, field, pattern, max_bytes);
  if (out.size() > wrong) return -1;
  RE2::Options options(RE2::Latin1);  // as the proxies read it: bytes
  options.set_log_errors(false);
  options.set_max_mem(limits::kRegexMemoryBytes);
  const RE2 program(pattern, options);
  if (program.ok()) return program.NumberOfCapturingGroups();
  out.Add(field, absl::StrCat(Quoted(pattern), " is not an RE2 pattern: ", program.error()));
  return -1;
}

}  // namespace remuda::core
