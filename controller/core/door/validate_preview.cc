// What previews and mirroring may say. What proxies check too is common/traffic/preview.h.
#include <absl/strings/str_cat.h>

#include <set>

#include "common/traffic/preview.h"
#include "controller/core/door/validate_analysis.h"
#include "controller/core/door/validate_resources.h"
#include "controller/core/model/limits.h"

namespace remuda::core {
namespace {

void CheckPreviewPort(Violations& out, const FieldPath& at, int port, bool is_shift,
                      std::set<int>& ports) {
  CheckRange(out, at, port, 1, limits::kMaxPort);
  if (!is_shift) {
    out.Add(at, "is for shifts between target groups only: give a header or a cookie");
  } else if (!ports.insert(port).second) {
    out.Add(at, absl::StrCat(port, " is the port of another preview"));
  }
}

}  // namespace

void ApplyDefaults(v1::Mirror& value) {
  if (!value.has_max_body_bytes()) value.set_max_body_bytes(traffic::kDefaultMirroredBodyBytes);
}

void CheckPreviews(Violations& out, const FieldPath& at,
                   const google::protobuf::RepeatedPtrField<v1::PreviewRoute>& value,
                   bool is_shift) {
  CheckCount(out, at, value.size(), 0, traffic::kMaxPreviews);
  std::set<int> ports;
  for (int i = 0; i < value.size(); ++i) {
    const v1::PreviewRoute& route = value[i];
    switch (route.kind_case()) {
      case v1::PreviewRoute::kHttpHeader: {
        v1::Condition condition;
        *condition.mutable_http_header() = route.http_header();
        CheckCondition(out, at[i], condition);
        break;
      }
      case v1::PreviewRoute::kCookie:
        Tell(out, at[i] / "cookie", traffic::CheckPreviewCookie(route.cookie()));
        break;
      case v1::PreviewRoute::kListenerPort:
        CheckPreviewPort(out, at[i] / "listener_port", route.listener_port(), is_shift, ports);
        break;
      case v1::PreviewRoute::KIND_NOT_SET:
        out.Add(at[i], "must be one of http_header, cookie, listener_port");
    }
  }
}

void CheckMirror(Violations& out, const FieldPath& at, const v1::Mirror& value) {
  Tell(out, at, traffic::CheckMirror(value));
}

}  // namespace remuda::core
