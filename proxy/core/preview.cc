#include "proxy/core/preview.h"

#include <algorithm>

#include "common/traffic/preview.h"
#include "proxy/core/condition.h"
#include "proxy/core/condition_check.h"
#include "proxy/core/traffic_fault.h"
#include "proxy/http/cookie.h"
#include "remuda/proxy/v1/config.pb.h"

namespace remuda::proxy {
namespace {

using remuda::v1::PreviewRoute;

Fault CompileRoute(const PreviewRoute& config, Preview& out) {
  switch (config.kind_case()) {
    case PreviewRoute::kHttpHeader: {
      remuda::v1::Condition condition;
      *condition.mutable_http_header() = config.http_header();
      return CompileCondition(condition, out.header.emplace());
    }
    case PreviewRoute::kCookie:
      out.cookie_name = config.cookie().name();
      out.cookie_value = config.cookie().value();
      return FirstOf(traffic::CheckPreviewCookie(config.cookie()), "cookie");
    case PreviewRoute::kListenerPort:
      return std::string("listener_port: a subset has no port of its own");
    case PreviewRoute::KIND_NOT_SET:
      break;
  }
  return std::string("one of http_header, cookie must be set");
}

}  // namespace

uint64_t FindPreview(const std::vector<Preview>& previews, const http::RequestHead& head) {
  const auto it = std::find_if(previews.begin(), previews.end(), [&](const Preview& preview) {
    if (preview.header.has_value()) return Holds(*preview.header, head, {});
    return http::FindCookie(head.fields, preview.cookie_name) == preview.cookie_value;
  });
  return it == previews.end() ? 0 : it->subset_key;
}

Fault CompilePreviews(const v1::TrafficSplit& config, std::vector<Preview>& previews,
                      MirrorSpec& mirror) {
  previews.clear();
  mirror = {};
  if (Fault f = CheckRange("previews", config.previews_size(), 0, traffic::kMaxPreviews)) return f;
  for (const auto& preview : config.previews()) {
    Preview& added = previews.emplace_back();
    added.subset_key = SubsetKey(preview.subset());
    if (Fault f = Prefix("previews.route.", CompileRoute(preview.route(), added))) return f;
  }
  if (!config.has_mirror()) return std::nullopt;
  const remuda::v1::Mirror& rule = config.mirror().mirror();
  if (Fault f = FirstOf(traffic::CheckMirror(rule), "mirror.mirror")) return f;
  mirror.percent = static_cast<uint32_t>(rule.percent());
  mirror.max_body_bytes = static_cast<uint64_t>(
      rule.has_max_body_bytes() ? rule.max_body_bytes() : traffic::kDefaultMirroredBodyBytes);
  mirror.subset_key = SubsetKey(config.mirror().subset());
  return std::nullopt;
}

}  // namespace remuda::proxy
