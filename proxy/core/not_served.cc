#include "proxy/core/not_served.h"

namespace remuda::proxy {
namespace {

Fault Check(bool is_set, std::string_view field) {
  if (!is_set) return std::nullopt;
  return std::string(field) + " is not served yet; leave it out";
}

Fault NotServedYet(const remuda::v1::Rule& rule) {
  if (Fault f = Check(rule.transforms_size() > 0, "transforms")) return f;
  return std::nullopt;
}

Fault NotServedYet(const remuda::v1::Listener& listener) {
  for (const auto& rule : listener.rules()) {
    if (Fault f = NotServedYet(rule)) return f;
  }
  return std::nullopt;
}

}  // namespace

Fault NotServedYet(const remuda::v1::LoadBalancer& config) {
  for (const auto& listener : config.listeners()) {
    if (Fault f = NotServedYet(listener)) return f;
  }
  return std::nullopt;
}

}  // namespace remuda::proxy
