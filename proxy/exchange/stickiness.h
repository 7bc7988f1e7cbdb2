// Staying with a target, and with a target group: what a request's cookies ask for, and what the
// response sets.
//
// Owns: the texts of the cookies that are set, until the response's head has left. Thread: its
// worker's.
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "proxy/core/group_policy.h"
#include "proxy/core/rule.h"
#include "proxy/exchange/sticky_cookie.h"
#include "proxy/http/head_parser.h"

namespace remuda::proxy {

// One Set-Cookie of ours: the name, the sealed claim, the attributes.
inline constexpr size_t kMaxStickyFieldBytes = 192;

class Stickiness {
 public:
  void Reset() {
    target_ = nullptr;
    group_duration_ = std::chrono::seconds(0);
  }
  // The cookies of this request, at this time.
  struct Cookies {
    StickyCookies& seals;
    int64_t now_s;  // since the epoch
  };

  // Of a forward action that has a stickiness: the group that the client stays with, or the one
  // whose turn it is; null: there is none.
  GroupState* ChooseGroup(Cookies cookies, const ForwardAction& forward,
                          const http::RequestHead& request);
  // The target of `group` that the client stays with, as a wish for the picks; 0: any. `spec` is
  // the group's, and outlives the exchange.
  uint64_t ReadTarget(Cookies cookies, const StickinessSpec& spec, const GroupState& group,
                      const http::RequestHead& request);

  bool is_on() const { return target_ != nullptr || group_duration_.count() > 0; }
  struct Answered {
    const GroupState& group;
    const TargetState& target;
    uint64_t wished_target;  // as ReadTarget said
    bool is_secure;          // the client speaks TLS
  };
  // Adds the cookies to the response's fields. Their texts lie here until the exchange is over.
  void AddCookies(Cookies cookies, const Answered& answered, http::ResponseHead& response);

 private:
  void Set(Cookies cookies, std::string_view name, std::chrono::seconds duration, bool is_secure,
           StickyClaim claim, http::ResponseHead& response);

  const StickinessSpec* target_ = nullptr;  // of the group, if it has any
  std::chrono::seconds group_duration_{0};  // of the action
  size_t text_size_ = 0;
  std::array<char, 2 * kMaxStickyFieldBytes> text_;
};

}  // namespace remuda::proxy
