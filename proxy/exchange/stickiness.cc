#include "proxy/exchange/stickiness.h"

#include <algorithm>
#include <charconv>

#include "proxy/core/forward.h"
#include "proxy/core/target_state.h"
#include "proxy/http/cookie.h"

namespace remuda::proxy {
namespace {

constexpr std::string_view kTargetCookie = "REMUDA";
constexpr std::string_view kAppCookie = "REMUDAAPP-0";
constexpr std::string_view kGroupCookie = "REMUDATG";
// Cookies of one name that are tried: a client may hold them for several paths or domains.
constexpr int kMaxOpened = 4;

bool OpenCookie(Stickiness::Cookies cookies, const http::RequestHead& request,
                std::string_view name, StickyClaim::Kind kind, StickyClaim& claim) {
  http::CookieReader reader(request.fields);
  http::Cookie cookie;
  for (int opened = 0; opened < kMaxOpened && reader.Next(cookie);) {
    if (cookie.name != name) continue;
    ++opened;
    if (cookies.seals.Open(cookie.value, kind, cookies.now_s, claim)) return true;
  }
  return false;
}

}  // namespace

GroupState* Stickiness::ChooseGroup(Cookies cookies, const ForwardAction& forward,
                                    const http::RequestHead& request) {
  group_duration_ = forward.stickiness;
  StickyClaim claim;
  if (OpenCookie(cookies, request, kGroupCookie, StickyClaim::Kind::kGroup, claim)) {
    for (const auto& choice : forward.groups) {
      if (choice.weight > 0 && choice.group->id_hash() == claim.group) return choice.group.get();
    }
  }
  return PickGroup(forward);
}

uint64_t Stickiness::ReadTarget(Cookies cookies, const StickinessSpec& spec,
                                const GroupState& group, const http::RequestHead& request) {
  target_ = &spec;
  const bool is_app = spec.kind == StickinessSpec::Kind::kApp;
  // Without the app's cookie there is no session, whatever ours says.
  if (is_app && !http::FindCookie(request.fields, spec.cookie_name)) return 0;
  StickyClaim claim;
  const bool is_open =
      is_app ? OpenCookie(cookies, request, kAppCookie, StickyClaim::Kind::kApp, claim)
             : OpenCookie(cookies, request, kTargetCookie, StickyClaim::Kind::kTarget, claim);
  return is_open && claim.group == group.id_hash() ? claim.target : 0;
}

void Stickiness::AddCookies(Cookies cookies, const Answered& answered,
                            http::ResponseHead& response) {
  text_size_ = 0;
  const uint64_t group = answered.group.id_hash();
  const uint64_t target = answered.target.id_hash();
  if (group_duration_.count() > 0) {
    Set(cookies, kGroupCookie, group_duration_, answered.is_secure,
        {StickyClaim::Kind::kGroup, group, 0, 0}, response);
  }
  if (target_ == nullptr) return;
  if (target_->kind == StickinessSpec::Kind::kDuration) {
    Set(cookies, kTargetCookie, target_->duration, answered.is_secure,
        {StickyClaim::Kind::kTarget, group, target, 0}, response);
    return;
  }
  // A session begins when the app says so, and moves when its target could not be had.
  const bool has_moved = answered.wished_target != 0 && answered.wished_target != target;
  if (has_moved || http::SetsCookie(response.fields, target_->cookie_name)) {
    Set(cookies, kAppCookie, target_->duration, answered.is_secure,
        {StickyClaim::Kind::kApp, group, target, 0}, response);
  }
}

void Stickiness::Set(Cookies cookies, std::string_view name, std::chrono::seconds duration,
                     bool is_secure, StickyClaim claim, http::ResponseHead& response) {
  claim.expires_s = cookies.now_s + duration.count();
  StickyCookies::Text sealed;
  if (!cookies.seals.Seal(claim, sealed)) return;
  char* const begin = text_.data() + text_size_;
  char* out = begin;
  const auto add = [&](std::string_view text) { out = std::copy(text.begin(), text.end(), out); };
  add(name);
  add("=");
  add({sealed.data(), sealed.size()});
  add("; Max-Age=");
  out = std::to_chars(out, out + 10, duration.count()).ptr;
  add("; Path=/; HttpOnly; SameSite=Lax");
  if (is_secure) add("; Secure");
  const auto size = static_cast<size_t>(out - begin);
  text_size_ += size;
  // With as many fields as there may be, the client is not sticky.
  response.fields.Add({"Set-Cookie", {begin, size}, http::FieldId::kOther, false});
}

}  // namespace remuda::proxy
