#include "proxy/core/rewrite.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "proxy/core/regex.h"
#include "proxy/http/target.h"
#include "remuda/v1/load_balancer.pb.h"

namespace remuda::proxy {
namespace {

// "a$1$$" to its parts.
Fault ParseReplace(const std::string& text, Rewrite& out) {
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '$' && i + 1 < text.size() && text[i + 1] >= '1' && text[i + 1] <= '9') {
      const int group = text[++i] - '0';
      out.replace.push_back({.group = group});
      out.groups = std::max(out.groups, group);
      continue;
    }
    if (text[i] == '$') {
      if (i + 1 == text.size() || text[i + 1] != '$')
        return "replace: " + Quote(text) + ": '$' stands before 1-9 or another '$'";
      ++i;
    }
    if (out.replace.empty() || out.replace.back().group >= 0) out.replace.push_back({});
    out.replace.back().text += text[i];
  }
  return std::nullopt;
}

Fault CompileRewrite(std::string_view field, const remuda::v1::Rewrite& config, bool ignore_case,
                     std::unique_ptr<const Rewrite>& out) {
  const std::string where = "transforms." + std::string(field) + ".";
  if (out != nullptr) return "transforms: " + std::string(field) + " is there twice";
  auto rewrite = std::make_unique<Rewrite>();
  if (Fault f = Regex::Compile(where + "regex", config.regex(),
                               {.max_bytes = kMaxRewriteBytes, .ignore_case = ignore_case},
                               rewrite->regex)) {
    return f;
  }
  if (Fault f = CheckText(where + "replace", config.replace(), kMaxRewriteBytes)) return f;
  if (Fault f = ParseReplace(config.replace(), *rewrite))
    return "transforms." + std::string(field) + "." + *f;
  if (rewrite->groups > rewrite->regex->groups()) {
    return where + "replace: " + Quote(config.replace()) + " names group " +
           std::to_string(rewrite->groups) + ", the regex has " +
           std::to_string(rewrite->regex->groups());
  }
  out = std::move(rewrite);
  return std::nullopt;
}

// A buffer that is filled from its front.
class Room {
 public:
  explicit Room(std::span<char> bytes) : bytes_(bytes) {}
  bool Add(std::string_view text) {
    if (text.size() > bytes_.size() - used_) return false;
    if (!text.empty()) std::memcpy(bytes_.data() + used_, text.data(), text.size());
    used_ += text.size();
    return true;
  }
  size_t used() const { return used_; }
  std::string_view From(size_t begin) const { return {bytes_.data() + begin, used_ - begin}; }

 private:
  const std::span<char> bytes_;
  size_t used_ = 0;
};

enum class Outcome : uint8_t { kNotFound, kDone, kFull };

// `text` with the first match of the regex replaced, added to `room`.
Outcome Replace(const Rewrite& rewrite, std::string_view text, Room& room) {
  std::array<std::string_view, kMaxRegexGroups + 1> parts;
  const std::span<std::string_view> wanted(parts.data(), static_cast<size_t>(rewrite.groups) + 1);
  if (!rewrite.regex->Find(text, wanted)) return Outcome::kNotFound;
  const size_t begin = static_cast<size_t>(parts[0].data() - text.data());
  bool fits = room.Add(text.substr(0, begin));
  for (const Rewrite::Part& part : rewrite.replace)
    fits = fits && room.Add(part.group < 0 ? std::string_view(part.text)
                                           : parts[static_cast<size_t>(part.group)]);
  fits = fits && room.Add(text.substr(begin + parts[0].size()));
  return fits ? Outcome::kDone : Outcome::kFull;
}

}  // namespace

Fault CompileRewrites(const remuda::v1::Rule& config, std::shared_ptr<const Rewrites>& out) {
  if (config.transforms().empty()) return std::nullopt;
  if (!config.action().has_forward())
    return std::string("transforms: only a request that is forwarded can be rewritten");
  auto rewrites = std::make_shared<Rewrites>();
  for (const auto& transform : config.transforms()) {
    Fault fault;
    switch (transform.kind_case()) {
      case remuda::v1::Transform::kHostHeaderRewrite:
        fault = CompileRewrite("host_header_rewrite", transform.host_header_rewrite(), true,
                               rewrites->host);
        break;
      case remuda::v1::Transform::kUrlRewrite:
        fault = CompileRewrite("url_rewrite", transform.url_rewrite(), false, rewrites->url);
        break;
      default:
        fault = "transforms: one of host_header_rewrite and url_rewrite must be set";
    }
    if (fault) return fault;
  }
  out = std::move(rewrites);
  return std::nullopt;
}

bool ApplyRewrites(const Rewrites& rewrites, const http::RequestHead& head, std::span<char> scratch,
                   std::span<char> out, Rewritten& result, const http::PathRules& paths) {
  result = {};
  Room room(out);
  if (rewrites.host != nullptr) {
    switch (Replace(*rewrites.host, head.host, room)) {
      case Outcome::kFull:
        return false;
      case Outcome::kDone:
        if (!http::IsHost(room.From(0))) return false;
        result.host = room.From(0);
        break;
      case Outcome::kNotFound:
        break;
    }
  }
  // "*" of OPTIONS is no URL.
  if (rewrites.url == nullptr || head.path.empty() || head.path.front() != '/') return true;
  Room url(scratch);
  const bool fits =
      url.Add(head.path) && (!head.has_query || (url.Add("?") && url.Add(head.query)));
  if (!fits) return false;
  const size_t begin = room.used();
  switch (Replace(*rewrites.url, url.From(0), room)) {
    case Outcome::kFull:
      return false;
    case Outcome::kDone:
      result.target = room.From(begin);
      return http::CanonicalizeOrigin(result.target, paths);
    case Outcome::kNotFound:
      break;
  }
  return true;
}

}  // namespace remuda::proxy
