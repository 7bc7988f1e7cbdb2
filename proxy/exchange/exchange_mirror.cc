// A copy of the request for the target group's mirror.
#include <algorithm>

#include "proxy/exchange/exchange.h"
#include "proxy/exchange/mirrors.h"
#include "proxy/exchange/worker_context.h"
#include "proxy/http/chars.h"
#include "proxy/target/target_greeting.h"

namespace remuda::proxy {
namespace {

// By a proxy before this one.
bool IsCopy(const http::RequestHead& request) {
  return std::any_of(request.fields.begin(), request.fields.end(), [](const http::Field& field) {
    return http::EqualsIgnoreCase(field.name, http::kMirroredField);
  });
}

}  // namespace

// `taken_by`: the subset of the target that it goes to.
void Exchange::BeginMirror(const SubsetState* taken_by) {
  const TargetGroup* const group = record_.group->picker(worker_.index()).group;
  if (group == nullptr || group->mirror.percent == 0) return;
  const bool is_short =
      framing_.kind == http::BodyKind::kNone ||
      (framing_.kind == http::BodyKind::kLength && framing_.length <= group->mirror.max_body_bytes);
  if (!is_short || !framing_.upgrade.empty() || framing_.expects_continue || IsCopy(request_))
    return;
  const Picked picked = worker_.PickMirror(*record_.group, taken_by);
  if (picked.target == nullptr) return;
  std::string greeting;
  if (group->proxy_protocol != http::ProxyVersion::kNone) {
    greeting =
        MakeTargetGreeting(group->proxy_protocol, *origin_.peer, origin_.client->transport().fd());
  }
  if (!worker_.mirrors().Begin(
          {.picked = picked,
           .bytes = ForwardedHeadBytes() + static_cast<size_t>(framing_.length),
           .host = rewritten_.host.empty() ? request_.host : rewritten_.host,
           .greeting = std::move(greeting),
           .may_pool = !must_not_pool_,
           .method = request_.method,
           .tolerance = tolerance_,
           .takes_bare_lf = group->policy.tolerance.bare_lf},
          copy_)) {
    return;
  }
  http::ForwardedInfo info = ForwardedTo(*picked.target);
  info.is_mirrored = true;
  if (!copy_->AddBy([&](char* room, size_t) {  // what is behind it is the body's
        return http::WriteRequestHead(request_, framing_, info, room, ForwardedHeadBytes());
      })) {
    return worker_.mirrors().Drop(*copy_);
  }
  FeedCopy({input_.block.get() + head_size_, body_end_ - head_size_});
}

// More of the body has come.
void Exchange::FeedCopy(std::string_view body) {
  copy_->Add(body);
  if (upload_.is_source_done()) worker_.mirrors().Send(*copy_);
}

}  // namespace remuda::proxy
