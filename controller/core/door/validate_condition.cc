// What a condition of a rule may say.
#include <absl/strings/match.h>
#include <absl/strings/str_cat.h>

#include <algorithm>

#include "controller/core/door/validate_resources.h"
#include "controller/core/model/limits.h"

namespace remuda::core {
namespace {

using Texts = google::protobuf::RepeatedPtrField<std::string>;

// A method as ELB's HttpRequestMethodConditionConfig has it: "A-Z, hyphen (-), and underscore (_)".
bool IsMethod(std::string_view text) {
  return !text.empty() && text.size() <= limits::kMethodBytes &&
         std::all_of(text.begin(), text.end(),
                     [](char c) { return (c >= 'A' && c <= 'Z') || c == '-' || c == '_'; });
}

bool IsHexDigit(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

// Each % stands before two hex digits that are not 00, as proxies ask of paths.
bool HasRightEscapes(std::string_view path) {
  for (size_t at = path.find('%'); at != std::string_view::npos; at = path.find('%', at + 3)) {
    const std::string_view digits = path.substr(at + 1, 2);
    if (digits.size() < 2 || !IsHexDigit(digits[0]) || !IsHexDigit(digits[1]) || digits == "00")
      return false;
  }
  return true;
}

// Of a client's certificate: proxies make these headers for targets, and drop what clients send by
// such a name.
bool IsMadeByProxies(const std::string& header) {
  return absl::StartsWithIgnoreCase(header, "X-Amzn-Mtls-");
}

void CheckPattern(Violations& out, const FieldPath& at, std::string_view value) {
  if (value.empty()) out.Add(at, "must not be empty");
  CheckText(out, at, value, limits::kPatternBytes);
}

bool IsHostPattern(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           std::string_view("-._*?:[]").find(c) != std::string_view::npos;
  });
}

void CheckRegexes(Violations& out, const FieldPath& at, const Texts& values, bool ignore_case) {
  CheckCount(out, at, values.size(), 0, limits::kValuesACondition);
  for (int i = 0; i < values.size(); ++i)
    CheckRegex(out, at[i], values[i],
               {.max_bytes = limits::kConditionRegexBytes, .ignore_case = ignore_case});
}

// A kind that has patterns or regexes.
template <class Kind>
void CheckEither(Violations& out, const FieldPath& at, const Kind& value, bool ignore_case) {
  const bool has_regex = value.regex_values_size() > 0;
  if (has_regex && value.values_size() > 0)
    out.Add(at / "regex_values", "cannot be set with values");
  CheckCount(out, at / "values", value.values_size(), has_regex ? 0 : 1, limits::kValuesACondition);
  for (int i = 0; i < value.values_size(); ++i)
    CheckPattern(out, (at / "values")[i], value.values(i));
  CheckRegexes(out, at / "regex_values", value.regex_values(), ignore_case);
}

void CheckHost(Violations& out, const FieldPath& at, const v1::HostHeaderCondition& value) {
  CheckEither(out, at, value, /*ignore_case=*/true);
  for (int i = 0; i < value.values_size(); ++i) {
    if (IsHostPattern(value.values(i))) continue;
    out.Add((at / "values")[i],
            absl::StrCat(Quoted(value.values(i)), " has a character that no host name has"));
  }
}

void CheckPath(Violations& out, const FieldPath& at, const v1::PathPatternCondition& value) {
  CheckEither(out, at, value, /*ignore_case=*/false);
  for (int i = 0; i < value.values_size(); ++i) {
    const std::string& pattern = value.values(i);
    const FieldPath here = (at / "values")[i];
    if (!pattern.empty() &&
        std::string_view("/*?").find(pattern.front()) == std::string_view::npos) {
      out.Add(here, absl::StrCat(Quoted(pattern), " never matches: a path begins with /"));
    }
    if (!HasRightEscapes(pattern)) {
      out.Add(here, absl::StrCat(Quoted(pattern), " has a % that is not before two hex digits ",
                                 "other than 00"));
    }
  }
}

void CheckHttpHeader(Violations& out, const FieldPath& at, const v1::HttpHeaderCondition& value) {
  const FieldPath here = at / "http_header_name";
  const std::string& name = value.http_header_name();
  if (!IsToken(name) || name.size() > limits::kHeaderNameBytes) {
    out.Add(here, absl::StrCat(Quoted(name), " is not a header's name of at most ",
                               limits::kHeaderNameBytes, " bytes"));
  }
  if (IsMadeByProxies(name)) {
    out.Add(here, absl::StrCat(Quoted(name), " is made by proxies for targets; ",
                               "what a client sends by that name is dropped"));
  }
  CheckEither(out, at, value, /*ignore_case=*/false);
}

void CheckMethods(Violations& out, const FieldPath& at, const Texts& values) {
  CheckCount(out, at, values.size(), 1, limits::kValuesACondition);
  for (int i = 0; i < values.size(); ++i) {
    if (IsMethod(values[i])) continue;
    out.Add(at[i], absl::StrCat(Quoted(values[i]), " is not a method: A-Z, - and _, at most ",
                                limits::kMethodBytes, " bytes"));
  }
}

void CheckQueries(Violations& out, const FieldPath& at, const v1::QueryStringCondition& value) {
  CheckCount(out, at, value.values_size(), 1, limits::kValuesACondition);
  for (int i = 0; i < value.values_size(); ++i) {
    CheckText(out, at[i] / "key", value.values(i).key(), limits::kPatternBytes);
    CheckPattern(out, at[i] / "value", value.values(i).value());
  }
}

void CheckSources(Violations& out, const FieldPath& at, const Texts& values) {
  CheckCount(out, at, values.size(), 1, limits::kValuesACondition);
  for (int i = 0; i < values.size(); ++i) {
    if (IsCidr(values[i])) continue;
    out.Add(at[i], absl::StrCat(Quoted(values[i]), " is not a CIDR block such as 10.0.0.0/8"));
  }
}

}  // namespace

void CheckCondition(Violations& out, const FieldPath& at, const v1::Condition& value) {
  switch (value.kind_case()) {
    case v1::Condition::kHostHeader:
      return CheckHost(out, at / "host_header", value.host_header());
    case v1::Condition::kPathPattern:
      return CheckPath(out, at / "path_pattern", value.path_pattern());
    case v1::Condition::kHttpHeader:
      return CheckHttpHeader(out, at / "http_header", value.http_header());
    case v1::Condition::kHttpRequestMethod:
      return CheckMethods(out, at / "http_request_method" / "values",
                          value.http_request_method().values());
    case v1::Condition::kQueryString:
      return CheckQueries(out, at / "query_string" / "values", value.query_string());
    case v1::Condition::kSourceIp:
      return CheckSources(out, at / "source_ip" / "values", value.source_ip().values());
    case v1::Condition::KIND_NOT_SET:
      out.Add(at,
              "must be one of host_header, path_pattern, http_header, http_request_method, "
              "query_string, source_ip");
  }
}

}  // namespace remuda::core
