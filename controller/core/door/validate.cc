#include "controller/core/door/validate.h"

#include <absl/strings/str_cat.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdio>

#include "controller/core/model/limits.h"
#include "controller/core/model/names.h"

namespace remuda::core {
namespace {

constexpr size_t kQuotedBytes = 128;
// google.protobuf.Duration: about 10,000 years.
constexpr int64_t kMaxDurationSeconds = 315'576'000'000;
constexpr int32_t kNanosASecond = 1'000'000'000;

bool IsControl(char c) {
  const auto byte = static_cast<unsigned char>(c);
  return byte < 0x20 || byte == 0x7f;
}

// The beginning of `text` that an error can show: not cut within a character of several bytes
// (UTF-8).
std::string_view Shown(std::string_view text) {
  if (text.size() <= kQuotedBytes) return text;
  size_t end = kQuotedBytes;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xc0) == 0x80) --end;
  return text.substr(0, end);
}

// All of `digits` as a number up to `max`.
bool ParseUpTo(std::string_view digits, int max, int* out = nullptr) {
  int value = -1;
  if (digits.empty() || digits.size() > 9 || digits.front() < '0' || digits.front() > '9') {
    return false;
  }
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  if (error != std::errc() || end != digits.data() + digits.size() || value > max) return false;
  if (out != nullptr) *out = value;
  return true;
}

// Four decimal numbers without leading zeros (RFC 6943 section 3.1.1: others read "010" in other
// ways).
bool IsIpv4(std::string_view text) {
  for (int part = 0; part < 4; ++part) {
    const size_t dot = text.find('.');
    if ((part < 3) != (dot != std::string_view::npos)) return false;
    const std::string_view digits = text.substr(0, dot);
    if (!ParseUpTo(digits, 255) || digits.size() > 3 || (digits.size() > 1 && digits[0] == '0')) {
      return false;
    }
    if (part < 3) text.remove_prefix(dot + 1);
  }
  return true;
}

bool IsHexGroup(std::string_view text) {
  return !text.empty() && text.size() <= 4 && std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
  });
}

// Number of 16-bit groups in "a:b:c" (the last may be an IPv4 address); -1 if it is not of that
// form. Empty: 0.
int CountGroups(std::string_view text) {
  if (text.empty()) return 0;
  int count = 0;
  while (true) {
    const size_t colon = text.find(':');
    const std::string_view part = text.substr(0, colon);
    if (colon == std::string_view::npos && part.find('.') != std::string_view::npos) {
      return IsIpv4(part) ? count + 2 : -1;
    }
    if (!IsHexGroup(part)) return -1;
    ++count;
    if (colon == std::string_view::npos) return count;
    text.remove_prefix(colon + 1);
  }
}

// RFC 4291 section 2.2.
bool IsIpv6(std::string_view text) {
  const size_t gap = text.find("::");
  if (gap == std::string_view::npos) return CountGroups(text) == 8;
  const std::string_view head = text.substr(0, gap);
  if (head.find('.') != std::string_view::npos) return false;
  const int before = CountGroups(head);
  const int after = CountGroups(text.substr(gap + 2));
  return before >= 0 && after >= 0 && before + after <= 7;
}

std::string Number(int64_t value) { return std::to_string(value); }

std::string DurationText(Duration value) { return absl::FormatDuration(value); }

}  // namespace

FieldPath FieldPath::operator/(std::string_view field) const {
  if (text_.empty()) return FieldPath(std::string(field));
  std::string text = text_;
  text += '.';
  text += field;
  return FieldPath(std::move(text));
}

FieldPath FieldPath::operator[](int index) const {
  return FieldPath(text_ + "[" + std::to_string(index) + "]");
}

FieldPath FieldPath::Key(std::string_view key) const {
  return FieldPath(text_ + "[" + std::string(Shown(key)) + "]");
}

void Violations::Add(const FieldPath& field, std::string description) {
  wrong_.push_back({field.text(), std::move(description)});
}

void Violations::AddTaken(const FieldPath& field, std::string description) {
  taken_.push_back({field.text(), std::move(description)});
}

void Violations::AddUnimplemented(const FieldPath& field, std::string description) {
  unimplemented_.push_back({field.text(), std::move(description)});
}

void Violations::Rename(const FieldPath& from, const FieldPath& to) {
  for (std::vector<FieldViolation>* list : {&wrong_, &taken_, &unimplemented_}) {
    for (FieldViolation& violation : *list) {
      const std::string_view field = violation.field;
      const size_t size = from.text().size();
      if (field.substr(0, size) != from.text()) continue;
      const std::string rest(field.substr(size));
      if (rest.empty() || rest[0] == '.' || rest[0] == '[') violation.field = to.text() + rest;
    }
  }
}

absl::Status Violations::ToStatus() const {
  if (empty()) return absl::OkStatus();
  std::vector<FieldViolation> told =
      !wrong_.empty() ? wrong_ : (!taken_.empty() ? taken_ : unimplemented_);
  if (told.size() > limits::kViolationsTold) {
    const size_t more = told.size() - limits::kViolationsTold;
    told.resize(limits::kViolationsTold);
    told.back().description += " (and " + std::to_string(more) + " more)";
  }
  absl::Status invalid = InvalidFields(told);
  if (!wrong_.empty()) return invalid;
  // The same details under the other code, so that a manifest's line is still found.
  absl::Status status(
      taken_.empty() ? absl::StatusCode::kUnimplemented : absl::StatusCode::kAlreadyExists,
      invalid.message());
  invalid.ForEachPayload([&status](absl::string_view type_url, const absl::Cord& payload) {
    status.SetPayload(type_url, payload);
  });
  return status;
}

std::string Quoted(std::string_view text) {
  std::string out = "\"";
  for (const char c : Shown(text)) {
    if (IsControl(c)) {
      char escaped[8];
      std::snprintf(escaped, sizeof escaped, "\\x%02x", static_cast<unsigned char>(c));
      out += escaped;
    } else {
      out += c;
    }
  }
  if (text.size() > kQuotedBytes) out += "…";
  return out + "\"";
}

void CheckRange(Violations& out, const FieldPath& field, int64_t value, int64_t min, int64_t max) {
  if (value >= min && value <= max) return;
  out.Add(field, absl::StrCat(Number(value), " is not within ", Number(min), "-", Number(max)));
}

void CheckCount(Violations& out, const FieldPath& field, int count, int min, int max) {
  if (count > max) {
    out.Add(field, absl::StrCat(Number(count), " entries; at most ", Number(max)));
  } else if (count < min) {
    out.Add(field,
            absl::StrCat("must have at least ", Number(min), min == 1 ? " entry" : " entries"));
  }
}

bool CheckDuration(Violations& out, const FieldPath& field, const google::protobuf::Duration& value,
                   Duration min, Duration max) {
  const int64_t seconds = value.seconds();
  const int32_t nanos = value.nanos();
  if (seconds > kMaxDurationSeconds || seconds < -kMaxDurationSeconds || nanos >= kNanosASecond ||
      nanos <= -kNanosASecond || (seconds > 0 && nanos < 0) || (seconds < 0 && nanos > 0)) {
    out.Add(field,
            absl::StrCat(Number(seconds), " s and ", Number(nanos), " ns is not a duration"));
    return false;
  }
  const Duration duration = FromProto(value);
  if (duration >= min && duration <= max) return true;
  out.Add(field, absl::StrCat(DurationText(duration), " is not within ", DurationText(min), "-",
                              DurationText(max)));
  return false;
}

void CheckText(Violations& out, const FieldPath& field, std::string_view value, size_t max_bytes,
               bool multiline) {
  if (value.size() > max_bytes) {
    out.Add(field, absl::StrCat(value.size(), " bytes; at most ", max_bytes));
  }
  const auto bad = std::find_if(value.begin(), value.end(), [multiline](char c) {
    return IsControl(c) && !(multiline && (c == '\n' || c == '\t' || c == '\r'));
  });
  if (bad != value.end()) {
    // What has lines is not said again: it is long, or a secret (a key).
    out.Add(field, absl::StrCat(multiline ? "" : Quoted(value) + " ",
                                "has a control character at byte ", bad - value.begin()));
  }
}

void Tell(Violations& out, const FieldPath& at, const traffic::FieldFaults& faults) {
  for (const traffic::FieldFault& fault : faults) {
    out.Add(
        fault.field.empty() ? at : at / fault.field,
        fault.value.has_value() ? absl::StrCat(Quoted(*fault.value), " ", fault.rule) : fault.rule);
  }
}

void CheckAuthorities(Violations& out, const FieldPath& field, const References& references,
                      std::string_view ca_pem) {
  if (ca_pem.empty()) return;
  const size_t wrong = out.size();
  CheckText(out, field, ca_pem, limits::kCertificateBytes, /*multiline=*/true);
  if (out.size() > wrong) return;
  if (references.check_authorities == nullptr)
    return out.AddUnimplemented(field, "this controller cannot read certificates");
  if (std::string fault = (*references.check_authorities)(ca_pem); !fault.empty())
    out.Add(field, std::move(fault));
}

void CheckLabels(Violations& out, const FieldPath& field,
                 const google::protobuf::Map<std::string, std::string>& labels) {
  CheckCount(out, field, static_cast<int>(labels.size()), 0, limits::kLabels);
  // Sorted, so that the same request is always told the same.
  const std::map<std::string, std::string> sorted(labels.begin(), labels.end());
  for (const auto& [key, value] : sorted) {
    if (!IsValidId(key))
      out.Add(field.Key(key), absl::StrCat("key ", Quoted(key), " ", limits::kIdRule));
    CheckText(out, field.Key(key), value, limits::kLabelValueBytes);
  }
}

bool IsAddress(const std::string& text) { return IsIpv4(text) || IsIpv6(text); }

bool IsCidr(const std::string& text) {
  const size_t slash = text.find('/');
  const std::string address = text.substr(0, slash);
  if (!IsAddress(address)) return false;
  if (slash == std::string::npos) return true;
  return ParseUpTo(std::string_view(text).substr(slash + 1), IsIpv4(address) ? 32 : 128);
}

bool IsToken(std::string_view text) {
  constexpr std::string_view kMarks = "!#$%&'*+-.^_`|~";
  return !text.empty() && std::all_of(text.begin(), text.end(), [&](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           kMarks.find(c) != std::string_view::npos;
  });
}

bool NormalizeReference(Violations& out, const FieldPath& field, std::string_view collection,
                        std::string& reference) {
  std::optional<std::string> id = IdIn(collection, reference);
  if (!id.has_value()) {
    out.Add(field,
            absl::StrCat(Quoted(reference), " is not a name of ", std::string(collection), ": ",
                         std::string(collection), "/ID or ID, where ID ", limits::kIdRule));
    return false;
  }
  reference = *std::move(id);
  return true;
}

}  // namespace remuda::core
