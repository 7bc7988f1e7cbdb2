#include "controller/sessions/ticket_keys.h"

#include <utility>

#include "common/random_bytes.h"
#include "remuda/proxy/v1/proxy.pb.h"

namespace remuda {
namespace {

// TicketKeys in proxy.proto.
constexpr size_t kKeyBytes = 80;

}  // namespace

bool TicketKeys::Renew(absl::Time now) {
  if (now < due_) return false;
  before_ = std::exchange(sealing_, next_.empty() ? RandomBytes(kKeyBytes) : std::move(next_));
  next_ = RandomBytes(kKeyBytes);
  due_ = now + kLifetime;
  proxy::v1::ConnectResponse response;
  for (const std::string* key : {&sealing_, &next_, &before_}) {
    if (!key->empty()) response.mutable_ticket_keys()->add_keys(*key);
  }
  frame_ = MakeFrame(response);
  return true;
}

}  // namespace remuda
