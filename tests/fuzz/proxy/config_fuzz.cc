// The config compiler: any update, compiled over a good table, is refused with a resource and a
// reason or compiles to a table whose config comes back.
#include <cstdint>
#include <cstdlib>
#include <memory>

#include "proxy/core/routing_table.h"

namespace proxy = remuda::proxy;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const auto base = [] {
    proxy::v1::ConfigUpdate update;
    auto* group = update.mutable_upserts()->add_target_groups();
    group->set_name("blue");
    auto* target = update.mutable_upserts()->add_targets();
    target->set_target_group("blue");
    target->set_address("127.0.0.1");
    target->set_port(80);
    return std::get<std::shared_ptr<const proxy::RoutingTable>>(
        proxy::CompileUpdate(proxy::RoutingTable(), update, {.workers = 1}));
  }();
  proxy::v1::ConfigUpdate update;
  if (!update.ParseFromArray(data, static_cast<int>(size))) return 0;
  const auto result = proxy::CompileUpdate(*base, update, {.workers = 1});
  if (const auto* error = std::get_if<proxy::ConfigError>(&result)) {
    if (error->reason.empty()) std::abort();
    return 0;
  }
  const auto& table = std::get<std::shared_ptr<const proxy::RoutingTable>>(result);
  proxy::v1::ConfigUpdate whole;
  *whole.mutable_upserts() = proxy::ConfigOf(*table);
  const auto again = proxy::CompileUpdate(proxy::RoutingTable(), whole, {.workers = 1});
  if (std::get_if<proxy::ConfigError>(&again) != nullptr) std::abort();
  return 0;
}
