// Rewrites of what a forwarded request asks for: host and URL, by the rule that it met. The request
// itself stays as the client sent it, for the log. No I/O.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "proxy/core/fault.h"
#include "proxy/core/rewritten.h"
#include "proxy/core/rule.h"
#include "proxy/http/head_parser.h"
#include "proxy/http/target.h"
#include "remuda/v1/load_balancer.pb.h"

namespace remuda::proxy {

inline constexpr size_t kMaxRewriteBytes = 1024;  // of a regex, and of what it is replaced by

struct Rewrite {
  struct Part {
    int group = -1;  // of the match; -1: text
    std::string text = {};
  };
  std::shared_ptr<const Regex> regex;
  std::vector<Part> replace;
  int groups = 0;  // the highest group that `replace` names
};

// What a rule rewrites; either may be missing.
struct Rewrites {
  std::unique_ptr<const Rewrite> host;
  std::unique_ptr<const Rewrite> url;
};

// The transforms of a rule: each kind at most once, only where the action forwards. Null if there
// is none.
Fault CompileRewrites(const remuda::v1::Rule& config, std::shared_ptr<const Rewrites>& out);

// Applies `rewrites` to a canonical request. The results are made canonical and must be what a
// client may send: a host, a path that begins with '/'. False if one is not, or does not fit `out`,
// or path and query do not fit `scratch`, where they are put together. Allocates nothing but what
// RE2 needs for the groups of patterns that are not one-pass.
bool ApplyRewrites(const Rewrites& rewrites, const http::RequestHead& head, std::span<char> scratch,
                   std::span<char> out, Rewritten& result, const http::PathRules& paths = {});

}  // namespace remuda::proxy
