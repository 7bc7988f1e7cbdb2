#include "controller/kubernetes/slice_set.h"

#include <absl/strings/ascii.h>
#include <absl/strings/numbers.h>
#include <absl/strings/str_cat.h>

#include <algorithm>
#include <utility>

#include "common/traffic/address.h"
#include "controller/core/door/validate.h"
#include "controller/core/model/limits.h"
#include "controller/core/model/words.h"
#include "controller/kubernetes/limits.h"

namespace remuda::kubernetes {
namespace {

// Names of what is told in an error.
constexpr size_t kNamed = 3;

bool IsTcp(const v1::EndpointPort& port) {
  return port.protocol().empty() || port.protocol() == "TCP";
}

bool IsPort(int port) { return port >= 1 && port <= core::limits::kMaxPort; }

// The number of the port in the slice; 0, with why not.
int PortIn(const v1::EndpointSlice& slice, const std::string& wanted, std::string& why) {
  int number = 0;
  if (absl::SimpleAtoi(wanted, &number)) return number;
  std::vector<std::string> names;
  int only = 0;
  for (const v1::EndpointPort& port : slice.ports()) {
    const std::string name =
        port.name().empty() ? absl::StrCat(port.port()) : core::Quoted(port.name());
    if (!IsTcp(port)) {
      if (!wanted.empty() && port.name() == wanted)
        why = absl::StrCat("port ", name, " is of ", core::Quoted(port.protocol()), ", not of TCP");
      continue;
    }
    if (!wanted.empty() && port.name() != wanted) {
      names.push_back(name);
      continue;
    }
    names.push_back(name);
    only = port.port();
    if (wanted.empty()) continue;
    if (!IsPort(only)) why = absl::StrCat("port ", name, ": ", only, " is not within 1-65535");
    return IsPort(only) ? only : 0;
  }
  if (!why.empty()) return 0;
  if (wanted.empty() && names.size() == 1 && IsPort(only)) return only;
  const std::string has = names.empty() ? "none of TCP" : core::Listed(std::move(names), kNamed);
  why = wanted.empty()
            ? absl::StrCat("it has not one port of TCP (", has, "): `port` must say which")
            : absl::StrCat("it has no port ", core::Quoted(wanted), " (", has, ")");
  return 0;
}

// As one that is registered by hand may have it.
bool IsZone(const std::string& text) {
  return text.size() <= core::limits::kZoneBytes &&
         std::none_of(text.begin(), text.end(), absl::ascii_iscntrl);
}

bool TakesRequests(const v1::Endpoint& endpoint) {
  const v1::EndpointConditions& is = endpoint.conditions();
  return (!is.has_ready() || is.ready()) && !is.terminating();
}

// Why the slice gives nothing; empty: it gives its endpoints, at `port`.
std::string FaultOf(const v1::EndpointSlice& slice, const std::string& wanted, int& port) {
  if (slice.address_type() == "FQDN")
    return "addressType FQDN: names are not followed, only IPv4 and IPv6 addresses";
  if (slice.address_type() != "IPv4" && slice.address_type() != "IPv6")
    return absl::StrCat("addressType ", core::Quoted(slice.address_type()),
                        " is neither IPv4 nor IPv6");
  if (slice.endpoints().empty()) return "";
  std::string why;
  port = PortIn(slice, wanted, why);
  return why;
}

}  // namespace

void SliceSet::Put(v1::EndpointSlice slice) {
  const std::string name = slice.metadata().name();
  if (slices_.size() >= limits::kMaxSlices && !slices_.contains(name)) {
    is_full_ = true;
    return;
  }
  slices_[name] = std::move(slice);
}

Endpoints SliceSet::EndpointsOf(const std::string& port) const {
  std::map<std::string, core::FollowedEndpoint> ready;  // by target id
  std::string trouble;
  const auto tell = [&trouble](const std::string& slice, const std::string& why) {
    if (trouble.empty()) trouble = absl::StrCat("EndpointSlice ", core::Quoted(slice), ": ", why);
  };
  for (const auto& [name, slice] : slices_) {
    int number = 0;
    if (const std::string why = FaultOf(slice, port, number); !why.empty()) {
      tell(name, why);
      continue;
    }
    for (const v1::Endpoint& endpoint : slice.endpoints()) {
      if (!TakesRequests(endpoint) || endpoint.addresses().empty()) continue;
      const std::string& address = endpoint.addresses(0);
      if (!core::IsAddress(address)) {
        tell(name, absl::StrCat(core::Quoted(address), " is not an IPv4 or IPv6 address"));
        continue;
      }
      ready.try_emplace(
          traffic::TargetIdOf(address, number),
          core::FollowedEndpoint{.address = traffic::CanonicalAddress(address),
                                 .port = number,
                                 .zone = IsZone(endpoint.zone()) ? endpoint.zone() : ""});
    }
  }
  if (is_full_ && trouble.empty())
    trouble = absl::StrCat("more than ", limits::kMaxSlices,
                           " EndpointSlices (kMaxSlices): the others are not followed");
  Endpoints out{.ready = {}, .trouble = std::move(trouble)};
  for (auto& [id, endpoint] : ready) out.ready.push_back(std::move(endpoint));
  return out;
}

}  // namespace remuda::kubernetes
