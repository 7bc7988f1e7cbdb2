// The config compiler: two updates, one behind the other (the first two bytes say where the second
// begins), over a good table. Each is refused with a resource and a reason or compiles to a table
// whose config comes back, and which answers every request.
#include <google/protobuf/stubs/logging.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <string>

#include "proxy/core/match.h"
#include "proxy/core/redirect.h"
#include "proxy/core/routing_table.h"
#include "remuda/proxy/v1/proxy.pb.h"

namespace proxy = remuda::proxy;

namespace {

using Table = std::shared_ptr<const proxy::RoutingTable>;

void Require(bool holds) {
  if (!holds) std::abort();
}

Table Base() {
  proxy::v1::ConfigUpdate update;
  for (const char* name : {"blue", "green"}) {
    update.mutable_upserts()->add_target_groups()->set_name(name);
    auto* target = update.mutable_upserts()->add_targets();
    target->set_target_group(name);
    target->set_address("127.0.0.1");
    target->set_port(80);
  }
  auto* balancer = update.mutable_upserts()->add_load_balancers();
  balancer->set_name("shop");
  auto* listener = balancer->add_listeners();
  listener->set_port(80);
  listener->mutable_default_action()->mutable_forward()->add_target_groups()->set_name("blue");
  return std::get<Table>(proxy::CompileUpdate(proxy::RoutingTable(), update, {.workers = 1}));
}

// Every listener has a rule for any request, and a redirect says where.
void AskAll(const proxy::RoutingTable& table) {
  std::string text = "GET /a/b?c=d HTTP/1.1\r\nHost: a.example:80\r\nX: 1\r\nCookie: a=b\r\n\r\n";
  proxy::http::RequestParser parser;
  proxy::http::RequestHead head;
  Require(parser.Parse(text.data(), text.size(), head) == proxy::http::ParseStatus::kDone);
  head.host = "a.example:80";
  head.path = "/a/b";
  head.query = "c=d";
  head.has_query = true;
  for (const auto& [id, balancer] : table.load_balancers) {
    for (const proxy::ListenerSpec& listener : balancer->listeners) {
      const proxy::Rule* rule = proxy::MatchRule(listener, head, {});
      Require(rule != nullptr);
      // Both ways to match are one.
      Require(rule == proxy::MatchRuleOneByOne(listener.rules, head, {}));
      if (const auto* redirect = std::get_if<proxy::Redirect>(&rule->action)) {
        std::array<char, 8192> room;
        std::string_view location;
        if (proxy::ExpandRedirect(*redirect, head, 80, room, location) ==
            proxy::ExpandResult::kOk) {
          Require(location.find_first_of("\r\n") == std::string_view::npos);
        }
      }
    }
  }
}

// Null if it is refused.
Table Compile(const proxy::RoutingTable& previous, const uint8_t* data, size_t size) {
  proxy::v1::ConfigUpdate update;
  if (!update.ParseFromArray(data, static_cast<int>(size))) return nullptr;
  const auto result = proxy::CompileUpdate(previous, update, {.workers = 1});
  if (const auto* error = std::get_if<proxy::ConfigError>(&result)) {
    Require(!error->reason.empty());
    return nullptr;
  }
  const Table table = std::get<Table>(result);
  proxy::Publish(*table);
  AskAll(*table);
  proxy::v1::ConfigUpdate whole;
  *whole.mutable_upserts() = proxy::ConfigOf(*table);
  const auto again = proxy::CompileUpdate(proxy::RoutingTable(), whole, {.workers = 1});
  Require(std::get_if<proxy::ConfigError>(&again) == nullptr);
  const auto config = proxy::ConfigOf(*std::get<Table>(again));
  Require(config.SerializeAsString() == whole.upserts().SerializeAsString());
  return table;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const auto silent = google::protobuf::SetLogHandler(nullptr);
  (void)silent;
  static const Table base = Base();
  if (size < 2) return 0;
  const size_t first = std::min<size_t>(data[0] * 256U + data[1], size - 2);
  const Table table = Compile(*base, data + 2, first);
  Compile(table != nullptr ? *table : *base, data + 2 + first, size - 2 - first);
  return 0;
}
