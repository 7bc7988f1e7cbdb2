#include "controller/ticket_keys.h"

#include <random>
#include <utility>

#include "remuda/proxy/v1/proxy.pb.h"

namespace remuda {
namespace {

// TicketKeys in proxy.proto.
constexpr size_t kKeyBytes = 80;

// std::random_device is the system's source of keys here (getrandom).
std::string MakeKey() {
  std::random_device random;
  std::string key;
  while (key.size() < kKeyBytes) {
    const unsigned value = random();
    key.append(reinterpret_cast<const char*>(&value), sizeof value);
  }
  return key;
}

}  // namespace

bool TicketKeys::Renew(absl::Time now) {
  if (now < due_) return false;
  before_ = std::exchange(sealing_, next_.empty() ? MakeKey() : std::move(next_));
  next_ = MakeKey();
  due_ = now + kLifetime;
  proxy::v1::ConnectResponse response;
  for (const std::string* key : {&sealing_, &next_, &before_}) {
    if (!key->empty()) response.mutable_ticket_keys()->add_keys(*key);
  }
  frame_ = MakeFrame(response);
  return true;
}

}  // namespace remuda
