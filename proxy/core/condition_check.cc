#include "proxy/core/condition_check.h"

#include "proxy/core/config_check.h"
#include "proxy/core/regex.h"
#include "proxy/core/wildcard.h"
#include "proxy/http/chars.h"
#include "proxy/http/target.h"

namespace remuda::proxy {
namespace {

// Of a client's certificate (mutual TLS).
constexpr std::string_view kProxyMadePrefix = "X-Amzn-Mtls-";

using Texts = google::protobuf::RepeatedPtrField<std::string>;

Fault TakePatterns(std::string_view field, const Texts& values, const WildcardOptions& options,
                   std::vector<std::string>& out) {
  for (const std::string& value : values) {
    if (value.empty()) return std::string(field) + ": an empty value";
    if (Fault fault = CheckText(field, value, kMaxPatternBytes)) return fault;
    out.push_back(CompileWildcard(value, options));
  }
  return std::nullopt;
}

// Paths are compared with their escapes made canonical, and so are these.
Fault TakePaths(const Texts& values, std::vector<std::string>& out) {
  Texts paths = values;
  for (std::string& path : paths) {
    if (!http::CanonicalizeEscapes(path)) {
      return "path_pattern.values: " + Quote(path) +
             ": an escape is '%' and two hex digits, not 00";
    }
  }
  return TakePatterns("path_pattern.values", paths, {}, out);
}

Fault TakeRegexes(std::string_view field, const Texts& values, bool ignore_case,
                  std::vector<std::shared_ptr<const Regex>>& out) {
  for (const std::string& value : values) {
    if (Fault fault =
            Regex::Compile(field, value, {.max_bytes = kMaxRegexBytes, .ignore_case = ignore_case},
                           out.emplace_back())) {
      return fault;
    }
  }
  return std::nullopt;
}

Fault CheckCount(std::string_view kind, int count) {
  return CheckRange(std::string(kind) + ".values", count, 1, kMaxConditionValues);
}

// A kind that has patterns or regexes.
template <class Kind>
Fault CheckEither(const std::string& kind, const Kind& config) {
  if (config.values().empty() == config.regex_values().empty())
    return kind + ": either values or regex_values must be set";
  return CheckRange(kind + (config.values().empty() ? ".regex_values" : ".values"),
                    config.values_size() + config.regex_values_size(), 1, kMaxConditionValues);
}

Fault TakeHost(const remuda::v1::HostHeaderCondition& config, Condition& out) {
  if (Fault f = CheckEither("host_header", config)) return f;
  if (Fault f = TakePatterns("host_header.values", config.values(), {.lower = true}, out.values))
    return f;
  return TakeRegexes("host_header.regex_values", config.regex_values(), true, out.regexes);
}

Fault TakePath(const remuda::v1::PathPatternCondition& config, Condition& out) {
  if (Fault f = CheckEither("path_pattern", config)) return f;
  if (Fault f = TakePaths(config.values(), out.values)) return f;
  return TakeRegexes("path_pattern.regex_values", config.regex_values(), false, out.regexes);
}

// AWS's rule: upper-case letters, '-' and '_'; no wildcards.
Fault TakeMethods(const remuda::v1::HttpRequestMethodCondition& config, Condition& out) {
  if (Fault f = CheckCount("http_request_method", config.values_size())) return f;
  for (const std::string& value : config.values()) {
    bool is_method = !value.empty() && value.size() <= kMaxMethodNameBytes;
    for (const char c : value) is_method &= (c >= 'A' && c <= 'Z') || c == '-' || c == '_';
    if (!is_method) {
      return "http_request_method.values: " + Quote(value) +
             " is not a method: A-Z, '-' and '_', at most " + std::to_string(kMaxMethodNameBytes);
    }
    out.values.push_back(value);
  }
  return std::nullopt;
}

Fault TakeHeader(const remuda::v1::HttpHeaderCondition& config, Condition& out) {
  const std::string& name = config.http_header_name();
  out.header_name = name;
  if (name.empty() || name.size() > kMaxPatternBytes || !http::AllOf(name, http::kTokenChar))
    return "http_header.http_header_name: " + Quote(name) + " is not a header name";
  if (http::EqualsIgnoreCase(name.substr(0, kProxyMadePrefix.size()), kProxyMadePrefix)) {
    return "http_header.http_header_name: " + Quote(name) +
           " is made by the proxy, for the target; what a client sends by that name is dropped";
  }
  if (Fault f = CheckEither("http_header", config)) return f;
  if (Fault f = TakePatterns("http_header.values", config.values(), {.lower = true}, out.values))
    return f;
  return TakeRegexes("http_header.regex_values", config.regex_values(), false, out.regexes);
}

Fault TakeQueries(const remuda::v1::QueryStringCondition& config, Condition& out) {
  if (Fault f = CheckCount("query_string", config.values_size())) return f;
  for (const auto& query : config.values()) {
    if (query.key().empty() && query.value().empty())
      return std::string("query_string.values: key or value must be set");
    if (Fault f = CheckText("query_string.values.key", query.key(), kMaxPatternBytes)) return f;
    if (Fault f = CheckText("query_string.values.value", query.value(), kMaxPatternBytes)) return f;
    const WildcardOptions options{.lower = true, .escapes = true};
    out.queries.emplace_back(CompileWildcard(query.key(), options),
                             CompileWildcard(query.value(), options));
  }
  return std::nullopt;
}

Fault TakeSources(const remuda::v1::SourceIpCondition& config, Condition& out) {
  if (Fault f = CheckCount("source_ip", config.values_size())) return f;
  for (const std::string& text : config.values()) {
    if (Fault f = ParseCidr("source_ip.values", text, out.sources.emplace_back())) return f;
  }
  return std::nullopt;
}

}  // namespace

Fault CompileCondition(const remuda::v1::Condition& config, Condition& out) {
  using Config = remuda::v1::Condition;
  using Kind = Condition::Kind;
  switch (config.kind_case()) {
    case Config::kHostHeader:
      out.kind = Kind::kHost;
      return TakeHost(config.host_header(), out);
    case Config::kPathPattern:
      out.kind = Kind::kPath;
      return TakePath(config.path_pattern(), out);
    case Config::kHttpHeader:
      out.kind = Kind::kHeader;
      return TakeHeader(config.http_header(), out);
    case Config::kHttpRequestMethod:
      out.kind = Kind::kMethod;
      return TakeMethods(config.http_request_method(), out);
    case Config::kQueryString:
      out.kind = Kind::kQuery;
      return TakeQueries(config.query_string(), out);
    case Config::kSourceIp:
      out.kind = Kind::kSourceIp;
      return TakeSources(config.source_ip(), out);
    case Config::KIND_NOT_SET:
      break;
  }
  return std::string(
      "one of host_header, path_pattern, http_header, http_request_method, query_string, source_ip "
      "must be set");
}

}  // namespace remuda::proxy
