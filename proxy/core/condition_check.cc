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
    if (!http::CanonicalizeEscapes(path))
      return "path_pattern: " + Quote(path) + ": an escape is '%' and two hex digits, not 00";
  }
  return TakePatterns("path_pattern", paths, {}, out);
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

// AWS's rule: upper-case letters, '-' and '_'; no wildcards.
Fault TakeMethods(const Texts& values, std::vector<std::string>& out) {
  for (const std::string& value : values) {
    bool is_method = !value.empty() && value.size() <= kMaxMethodNameBytes;
    for (const char c : value) is_method &= (c >= 'A' && c <= 'Z') || c == '-' || c == '_';
    if (!is_method) {
      return "http_request_method: " + Quote(value) +
             " is not a method: A-Z, '-' and '_', at most " + std::to_string(kMaxMethodNameBytes);
    }
    out.push_back(value);
  }
  return std::nullopt;
}

Fault TakeHeader(const remuda::v1::HttpHeaderCondition& config, Condition& out) {
  out.header_name = config.name();
  if (config.name().empty() || config.name().size() > kMaxPatternBytes ||
      !http::AllOf(config.name(), http::kTokenChar)) {
    return "http_header.name: " + Quote(config.name()) + " is not a header name";
  }
  if (http::EqualsIgnoreCase(config.name().substr(0, kProxyMadePrefix.size()), kProxyMadePrefix)) {
    return "http_header.name: " + Quote(config.name()) +
           " is made by the proxy, for the target; what a client sends by that name is dropped";
  }
  if (config.values().empty() == config.regex_values().empty())
    return std::string("http_header: either values or regex_values must be set");
  if (Fault f = TakePatterns("http_header.values", config.values(), {.lower = true}, out.values))
    return f;
  return TakeRegexes("http_header.regex_values", config.regex_values(), false, out.regexes);
}

Fault TakeQueries(const remuda::v1::Condition& config, Condition& out) {
  for (const auto& query : config.query_string()) {
    if (query.key().empty() && query.value().empty())
      return std::string("query_string: key or value must be set");
    if (Fault f = CheckText("query_string.key", query.key(), kMaxPatternBytes)) return f;
    if (Fault f = CheckText("query_string.value", query.value(), kMaxPatternBytes)) return f;
    const WildcardOptions options{.lower = true, .escapes = true};
    out.queries.emplace_back(CompileWildcard(query.key(), options),
                             CompileWildcard(query.value(), options));
  }
  return std::nullopt;
}

Fault TakeSources(const remuda::v1::Condition& config, Condition& out) {
  for (const std::string& text : config.source_ip()) {
    if (Fault f = ParseCidr("source_ip", text, out.sources.emplace_back())) return f;
  }
  return std::nullopt;
}

}  // namespace

Fault CompileCondition(const remuda::v1::Condition& config, Condition& out) {
  using Kind = Condition::Kind;
  const auto range = [](std::string_view field, int count) {
    return CheckRange(field, count, 1, kMaxConditionValues);
  };
  int set = 0;
  Fault fault;
  // Takes the kind if it is set.
  const auto take = [&](std::string_view field, int count, Kind kind, auto compile) {
    if (count == 0) return;
    ++set;
    if (fault) return;
    out.kind = kind;
    fault = range(field, count);
    if (!fault) fault = compile();
  };
  take("host_header", config.host_header_size(), Kind::kHost, [&] {
    return TakePatterns("host_header", config.host_header(), {.lower = true}, out.values);
  });
  take("host_header_regex", config.host_header_regex_size(), Kind::kHost, [&] {
    return TakeRegexes("host_header_regex", config.host_header_regex(), true, out.regexes);
  });
  take("path_pattern", config.path_pattern_size(), Kind::kPath,
       [&] { return TakePaths(config.path_pattern(), out.values); });
  take("path_regex", config.path_regex_size(), Kind::kPath,
       [&] { return TakeRegexes("path_regex", config.path_regex(), false, out.regexes); });
  if (config.has_http_header()) {
    const auto& header = config.http_header();
    take("http_header.values", std::max(1, header.values_size() + header.regex_values_size()),
         Kind::kHeader, [&] { return TakeHeader(header, out); });
  }
  take("http_request_method", config.http_request_method_size(), Kind::kMethod,
       [&] { return TakeMethods(config.http_request_method(), out.values); });
  take("query_string", config.query_string_size(), Kind::kQuery,
       [&] { return TakeQueries(config, out); });
  take("source_ip", config.source_ip_size(), Kind::kSourceIp,
       [&] { return TakeSources(config, out); });
  if (set != 1) return "exactly one kind of condition must be set, not " + std::to_string(set);
  return fault;
}

}  // namespace remuda::proxy
