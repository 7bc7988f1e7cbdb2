// Nanoseconds a match: the index of rules against judging them one by one.
//
//   build/release/bin/bench_match
#include "proxy/core/match.h"

#include <benchmark/benchmark.h>

#include <memory>
#include <string>

#include "proxy/core/routing_table.h"
#include "remuda/proxy/v1/proxy.pb.h"
#include "tests/unit/proxy/core/requests.h"

namespace remuda::proxy {
namespace {

enum Kind : int64_t { kHosts, kPaths, kHeaders, kRegexes };
constexpr const char* kKindNames[] = {"hosts", "paths", "headers", "path regexes"};

remuda::v1::Rule RuleOf(int64_t kind, int number) {
  const std::string text = std::to_string(number);
  remuda::v1::Rule rule;
  rule.set_priority(number + 1);
  rule.mutable_action()->mutable_fixed_response()->set_status(200);
  auto& condition = *rule.add_conditions();
  switch (kind) {
    case kHosts:
      condition.mutable_host_header()->add_values("*.service" + text + ".shop.test");
      break;
    case kPaths:
      condition.mutable_path_pattern()->add_values("/api/v1/service" + text + "/*");
      break;
    case kHeaders:
      condition.mutable_http_header()->set_http_header_name("x-tenant");
      condition.mutable_http_header()->add_values("tenant" + text);
      break;
    default:
      condition.mutable_path_pattern()->add_regex_values("/api/v[0-9]+/service" + text + "/.*");
      break;
  }
  return rule;
}

std::shared_ptr<const RoutingTable> TableOf(int64_t kind, int64_t rules) {
  v1::ConfigUpdate update;
  auto* balancer = update.mutable_upserts()->add_load_balancers();
  balancer->set_name("shop");
  auto& listener = *balancer->add_listeners();
  listener.set_port(80);
  listener.mutable_default_action()->mutable_fixed_response()->set_status(404);
  for (int i = 0; i < rules; ++i) *listener.add_rules() = RuleOf(kind, i);
  return std::get<std::shared_ptr<const RoutingTable>>(
      CompileUpdate(RoutingTable(), update, {.workers = 1}));
}

// A request that meets the rule in the middle.
std::unique_ptr<testing::Request> RequestFor(int64_t rules) {
  const std::string middle = std::to_string(rules / 2);
  return testing::ParseRequest("GET /api/v1/service" + middle +
                               "/orders/1234?page=2 HTTP/1.1\r\nHost: www.service" + middle +
                               ".shop.test\r\nUser-Agent: curl/8.0\r\nAccept: */*\r\n"
                               "Accept-Encoding: gzip\r\nX-Tenant: tenant" +
                               middle + "\r\nCookie: session=0123456789abcdef");
}

template <typename Match>
void Measure(benchmark::State& state, Match match) {
  const auto table = TableOf(state.range(0), state.range(1));
  const ListenerSpec& listener = table->load_balancers.at("shop")->listeners[0];
  const auto request = RequestFor(state.range(1));
  if (match(listener, request->head)->priority != state.range(1) / 2 + 1)
    state.SkipWithError("met another rule");
  for (auto _ : state) benchmark::DoNotOptimize(match(listener, request->head));
  state.SetLabel(kKindNames[state.range(0)]);
}

void Index(benchmark::State& state) {
  Measure(state, [](const ListenerSpec& listener, const http::RequestHead& head) {
    return MatchRule(listener, head, {});
  });
}

void OneByOne(benchmark::State& state) {
  Measure(state, [](const ListenerSpec& listener, const http::RequestHead& head) {
    return MatchRuleOneByOne(listener.rules, head, {});
  });
}

BENCHMARK(Index)->ArgsProduct({{kHosts, kPaths, kHeaders, kRegexes}, {1, 10, 100}});
BENCHMARK(OneByOne)->ArgsProduct({{kHosts, kPaths, kHeaders, kRegexes}, {1, 10, 100}});

}  // namespace
}  // namespace remuda::proxy

BENCHMARK_MAIN();
