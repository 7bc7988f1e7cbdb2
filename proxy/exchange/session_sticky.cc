// Stickiness: what a request's cookies ask for, and what the response sets.
#include <algorithm>
#include <charconv>

#include "proxy/client/client_worker.h"
#include "proxy/core/forward.h"
#include "proxy/exchange/session.h"
#include "proxy/http/cookie.h"

namespace remuda::proxy {
namespace {

constexpr std::string_view kTargetCookie = "REMUDA";
constexpr std::string_view kAppCookie = "REMUDAAPP-0";
constexpr std::string_view kGroupCookie = "REMUDATG";
// Cookies of one name that are tried: a client may hold them for several paths or domains.
constexpr int kMaxOpened = 4;

int64_t NowSeconds(const WorkerContext& worker, SteadyTime now) {
  return worker.WallUs(now) / 1000000;
}

}  // namespace

bool Session::OpenCookie(std::string_view name, StickyClaim::Kind kind, StickyClaim& claim) {
  http::CookieReader reader(exchange_->request.fields);
  http::Cookie cookie;
  const int64_t now_s = NowSeconds(worker_, worker_.loop().now());
  for (int opened = 0; opened < kMaxOpened && reader.Next(cookie);) {
    if (cookie.name != name) continue;
    ++opened;
    if (worker_.sticky_cookies().Open(cookie.value, kind, now_s, claim)) return true;
  }
  return false;
}

// The group that the client stays with, or the one whose turn it is.
GroupState* Session::ChooseGroup(const ForwardAction& forward) {
  Exchange& x = *exchange_;
  if (forward.stickiness.count() == 0) return PickGroup(forward);
  x.group_stickiness = forward.stickiness;
  StickyClaim claim;
  if (OpenCookie(kGroupCookie, StickyClaim::Kind::kGroup, claim)) {
    for (const auto& choice : forward.groups) {
      if (choice.weight > 0 && choice.group->id_hash() == claim.group) return choice.group.get();
    }
  }
  return PickGroup(forward);
}

// The target that the client stays with, as a wish for the picks.
void Session::ReadTargetCookie(const StickinessSpec& spec) {
  Exchange& x = *exchange_;
  x.stickiness = &spec;
  const bool is_app = spec.kind == StickinessSpec::Kind::kApp;
  // Without the app's cookie there is no session, whatever ours says.
  if (is_app && !http::FindCookie(x.request.fields, spec.cookie_name)) return;
  StickyClaim claim;
  const bool is_open = is_app ? OpenCookie(kAppCookie, StickyClaim::Kind::kApp, claim)
                              : OpenCookie(kTargetCookie, StickyClaim::Kind::kTarget, claim);
  if (is_open && claim.group == x.group->id_hash()) x.pick.sticky_target = claim.target;
}

// Adds the cookies to the response's fields. The texts lie in the exchange until it is over.
void Session::AddStickyCookies() {
  Exchange& x = *exchange_;
  x.sticky_text_size = 0;
  if (x.group_stickiness.count() > 0) {
    SetStickyCookie(kGroupCookie, x.group_stickiness,
                    {StickyClaim::Kind::kGroup, x.group->id_hash(), 0, 0});
  }
  if (x.stickiness == nullptr) return;
  const uint64_t target = x.in_flight.target()->id_hash();
  if (x.stickiness->kind == StickinessSpec::Kind::kDuration) {
    SetStickyCookie(kTargetCookie, x.stickiness->duration,
                    {StickyClaim::Kind::kTarget, x.group->id_hash(), target, 0});
    return;
  }
  // A session begins when the app says so, and moves when its target could not be had.
  const bool has_moved = x.pick.sticky_target != 0 && x.pick.sticky_target != target;
  if (has_moved || http::SetsCookie(x.response.fields, x.stickiness->cookie_name)) {
    SetStickyCookie(kAppCookie, x.stickiness->duration,
                    {StickyClaim::Kind::kApp, x.group->id_hash(), target, 0});
  }
}

void Session::SetStickyCookie(std::string_view name, std::chrono::seconds duration,
                              StickyClaim claim) {
  Exchange& x = *exchange_;
  claim.expires_s = NowSeconds(worker_, worker_.loop().now()) + duration.count();
  StickyCookies::Text sealed;
  if (!worker_.sticky_cookies().Seal(claim, sealed)) return;
  char* const begin = x.sticky_text.data() + x.sticky_text_size;
  char* out = begin;
  const auto add = [&](std::string_view text) { out = std::copy(text.begin(), text.end(), out); };
  add(name);
  add("=");
  add({sealed.data(), sealed.size()});
  add("; Max-Age=");
  out = std::to_chars(out, out + 10, duration.count()).ptr;
  add("; Path=/; HttpOnly; SameSite=Lax");
  const Transport& transport = stream_ != nullptr ? stream_->transport() : transport_;
  if (!transport.is_plain()) add("; Secure");
  const auto size = static_cast<size_t>(out - begin);
  x.sticky_text_size += size;
  // With as many fields as there may be, the client is not sticky.
  x.response.fields.Add({"Set-Cookie", {begin, size}, http::FieldId::kOther, false});
}

}  // namespace remuda::proxy
