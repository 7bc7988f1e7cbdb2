// What balancing asks of a request: the key of its hash.
#include "proxy/core/mix.h"
#include "proxy/http/chars.h"
#include "proxy/http/cookie.h"
#include "proxy/session.h"
#include "proxy/worker.h"

namespace remuda::proxy {
namespace {

// False if the request has no key: then it is spread in turn.
bool HashKey(const HashKeySpec& spec, const http::RequestHead& head, const IpBytes& source,
             uint64_t& hash) {
  switch (spec.kind) {
    case HashKeySpec::Kind::kHeader:
      for (const http::Field& field : head.fields) {
        if (!http::EqualsIgnoreCase(field.name, spec.name)) continue;
        hash = HashOf(field.value);
        return true;
      }
      return false;
    case HashKeySpec::Kind::kCookie: {
      const auto value = http::FindCookie(head.fields, spec.name);
      if (value) hash = HashOf(*value);
      return value.has_value();
    }
    case HashKeySpec::Kind::kSourceIp:
      hash = HashOf({reinterpret_cast<const char*>(source.data()), source.size()});
      return true;
  }
  return false;
}

}  // namespace

// Between the choice of a group and the first attempt.
void Session::PreparePick() {
  Exchange& x = *exchange_;
  const TargetGroup* const group = x.group->picker(worker_.index()).group;
  if (group == nullptr) return;
  if (group->policy.algorithm == Algorithm::kConsistentHash)
    x.pick.has_hash = HashKey(group->policy.hash_key, x.request, peer_.bytes, x.pick.hash);
}

}  // namespace remuda::proxy
