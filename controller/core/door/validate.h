// Validation: every rule that a field breaks is collected, with the path from the request's root,
// so that one answer tells all of them.
//
// Owns: paths, the list of what is wrong, checks that several resources share. Does not own: rules
// of one resource (validate_*.cc) or the values that fields get when they are left out
// (defaults.h). Thread: pure.
#pragma once

#include <absl/status/status.h>
#include <google/protobuf/duration.pb.h>
#include <google/protobuf/map.h>
#include <google/protobuf/message.h>

#include <cstdint>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "common/status.h"
#include "common/traffic/field_fault.h"
#include "controller/core/model/draft.h"

namespace remuda::core {

// Where a field is: `resources[2].target_group.health_check.interval`, `labels[app]`. Empty: the
// request itself.
class FieldPath {
 public:
  FieldPath() = default;
  explicit FieldPath(std::string text) : text_(std::move(text)) {}
  FieldPath operator/(std::string_view field) const;
  FieldPath operator[](int index) const;
  FieldPath Key(std::string_view key) const;
  const std::string& text() const { return text_; }

 private:
  std::string text_;
};

// What is wrong with a request so far.
class Violations {
 public:
  void Add(const FieldPath& field, std::string description);
  // What another resource holds already: ALREADY_EXISTS, unless something is wrong as well.
  void AddTaken(const FieldPath& field, std::string description);
  // A wish that is valid and that this version cannot fulfil: UNIMPLEMENTED, unless something is
  // wrong as well.
  void AddUnimplemented(const FieldPath& field, std::string description);

  // What was said of `from` and of what is in it, so far, is said of `to`: of a part of a resource
  // that was checked as a whole, where the request holds the part alone.
  void Rename(const FieldPath& from, const FieldPath& to);

  bool empty() const { return wrong_.empty() && taken_.empty() && unimplemented_.empty(); }
  size_t size() const { return wrong_.size() + taken_.size() + unimplemented_.size(); }
  // Ok if empty. Tells at most limits::kViolationsTold.
  absl::Status ToStatus() const;

 private:
  std::vector<FieldViolation> wrong_;
  std::vector<FieldViolation> taken_;
  std::vector<FieldViolation> unimplemented_;
};

// `text` within quotes, cut to a length that an error can show; what is not printable as \xNN.
std::string Quoted(std::string_view text);

// What is wrong with the PEM texts of authorities, empty if nothing is. A pure function of the
// shell's, where the library for it is.
using AuthoritiesCheck = std::string (*)(std::string_view ca_pem);

// Programs that analyses may have run at the controller, by path (--analysis-command).
using AnalysisCommands = std::set<std::string, std::less<>>;

// What references may name: rows of the draft, and resources that the same call declares but that
// could not be taken (their own violations are told; a second one for each reference to them would
// only hide those).
struct References {
  const Draft& draft;
  std::set<std::string, std::less<>> declared;          // full names
  AuthoritiesCheck check_authorities = nullptr;         // null: no ca_pem can be written
  const AnalysisCommands* analysis_commands = nullptr;  // null: no command can be written

  template <class T>
  bool Exists(std::string_view full_name, std::string_view key) const {
    return draft.Find<T>(key) != nullptr || declared.count(full_name) > 0;
  }
};

void CheckRange(Violations& out, const FieldPath& field, int64_t value, int64_t min, int64_t max);
// Also that it is well formed. Bounds are inclusive. Whether it was right.
bool CheckDuration(Violations& out, const FieldPath& field, const google::protobuf::Duration& value,
                   Duration min, Duration max);
// At most `max_bytes`, no control characters (tab and line break only if `multiline`).
void CheckText(Violations& out, const FieldPath& field, std::string_view value, size_t max_bytes,
               bool multiline = false);
// Keys as names, values up to 255 bytes of text, at most 32.
void CheckLabels(Violations& out, const FieldPath& field,
                 const google::protobuf::Map<std::string, std::string>& labels);
// Faults of the rules that the proxies share, of a message at `at`.
void Tell(Violations& out, const FieldPath& at, const traffic::FieldFaults& faults);
// At most `max` entries; says the number if there are more.
void CheckCount(Violations& out, const FieldPath& field, int count, int min, int max);
struct RegexRule {
  size_t max_bytes;
  bool ignore_case = false;  // as the proxies match it: its program is larger then
};
// An RE2 pattern of 1-`max_bytes` bytes. Its number of groups, or -1 if it is wrong.
int CheckRegex(Violations& out, const FieldPath& field, const std::string& pattern,
               const RegexRule& rule);
// An IPv4 or IPv6 address in its usual text form.
bool IsAddress(const std::string& text);
// `ADDRESS` or `ADDRESS/BITS`.
bool IsCidr(const std::string& text);
// A token of RFC 9110 section 5.6.2: a header's name, a method.
bool IsToken(std::string_view text);

// An enum's number that its type has a name for.
template <class Enum>
bool IsKnown(Enum value) {
  return google::protobuf::GetEnumDescriptor<Enum>()->FindValueByNumber(value) != nullptr;
}
// Whether it is one; a violation "N is not `what`" if not.
template <class Enum>
bool CheckKnown(Violations& out, const FieldPath& field, Enum value,
                const char* what = "one of its values") {
  if (IsKnown(value)) return true;
  out.Add(field, std::to_string(static_cast<int>(value)) + " is not " + what);
  return false;
}

// A `ca_pem`: 1-kCertificateBytes of PEM certificates. Empty is right.
void CheckAuthorities(Violations& out, const FieldPath& field, const References& references,
                      std::string_view ca_pem);

// Replaces a reference (id or full name) by the id. False, with a violation, if it is neither.
bool NormalizeReference(Violations& out, const FieldPath& field, std::string_view collection,
                        std::string& reference);

}  // namespace remuda::core
