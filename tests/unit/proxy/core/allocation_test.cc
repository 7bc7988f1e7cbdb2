// Decisions on the request path allocate nothing in the steady state.
#include <gtest/gtest.h>

#include <array>
#include <cstdlib>
#include <new>
#include <random>

#include "proxy/core/forward.h"
#include "proxy/core/match.h"
#include "proxy/core/redirect.h"
#include "tests/unit/proxy/core/random_rules.h"
#include "tests/unit/proxy/core/requests.h"
#include "tests/unit/proxy/core/tables.h"

namespace {
thread_local uint64_t allocations = 0;
}  // namespace

[[gnu::noinline]] void* operator new(size_t size, const std::nothrow_t&) noexcept {
  ++allocations;
  return std::malloc(size == 0 ? 1 : size);
}
[[gnu::noinline]] void* operator new(size_t size) {
  if (void* memory = operator new(size, std::nothrow)) return memory;
  throw std::bad_alloc();
}
void* operator new[](size_t size) { return operator new(size); }
[[gnu::noinline]] void operator delete(void* memory) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete[](void* memory) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete(void* memory, size_t) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete[](void* memory, size_t) noexcept { std::free(memory); }

namespace remuda::proxy {
namespace {

template <typename Call>
uint64_t AllocationsOf(Call call) {
  const uint64_t before = allocations;
  call();
  return allocations - before;
}

TEST(Allocations, TheCounterCounts) {
  EXPECT_GT(AllocationsOf([] { std::string(1000, 'x').clear(); }), 0U);
}

TEST(Allocations, MatchingARuleTakesNone) {
  std::mt19937_64 random(1);
  auto choose = [&](size_t below) { return static_cast<size_t>(random() % below); };
  for (int round = 0; round < 200; ++round) {
    v1::ProxyConfig config;
    config.add_load_balancers()->set_name("shop");
    *config.mutable_load_balancers(0)->add_listeners() = testing::RandomListener(choose, 50);
    const auto table = testing::Compile(config);
    const ListenerSpec& listener = table->load_balancers.at("shop")->listeners[0];
    for (int i = 0; i < 20; ++i) {
      const auto request = testing::ParseRequest(testing::RandomRequest(choose));
      if (request == nullptr) continue;
      MatchRule(listener, request->head, {});  // RE2 makes its states when they are first met
      EXPECT_EQ(AllocationsOf([&] { MatchRule(listener, request->head, {}); }), 0U);
    }
  }
}

TEST(Allocations, RedirectsAndTurnsTakeNone) {
  const auto table = testing::Compile(testing::Config(
      {"1:1"},
      "[{priority: 1, conditions: [{path_pattern: {values: [/x]}}], action: {redirect: "
      "{path: \"/a/#{path}\", query: \"h=#{host}&#{query}\"}}}]"));
  const auto& rules = table->load_balancers.at("shop")->listeners[0].rules;
  const auto request = testing::ParseRequest("GET /x?y HTTP/1.1\r\nHost: shop.test");
  std::array<char, kMaxLocationBytes> out;
  std::string_view location;
  EXPECT_EQ(AllocationsOf([&] {
              ExpandRedirect(std::get<Redirect>(rules[0].action), request->head, 80, out, location);
            }),
            0U);
  EXPECT_EQ(AllocationsOf([&] { PickGroup(std::get<ForwardAction>(rules[1].action)); }), 0U);
}

}  // namespace
}  // namespace remuda::proxy
