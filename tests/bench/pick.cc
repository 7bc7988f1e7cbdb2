// What choosing a target costs by the number of workers: a pick, and counting its request in flight
// and out again.
//
//   build/release/bin/bench_pick
//
// A row is algorithm/targets/workers. Without `threads` one thread does it for the first of so many
// workers: what the table of more workers costs by itself. With threads each is a worker, and all
// pick from the same targets without a pause, as no proxy does: the most that they can be in each
// other's way. Time is the wall's and CPU all threads', both a pick.
#include <benchmark/benchmark.h>

#include <array>
#include <memory>
#include <string>
#include <utility>

#include "proxy/core/mix.h"
#include "proxy/core/picker.h"
#include "remuda/proxy/v1/proxy.pb.h"

namespace remuda::proxy {
namespace {

enum Kind : int64_t { kRoundRobin, kLeast, kLeastLimited, kTwoSubsets };
constexpr const char* kKindNames[] = {"round robin", "least outstanding",
                                      "least outstanding, limit of 1000",
                                      "round robin, two subsets of weights 19 and 1"};
// Requests that a worker has under way, so that no target is idle.
constexpr size_t kHeld = 32;

std::shared_ptr<const RoutingTable> TableOf(int64_t kind, int64_t targets, size_t workers) {
  v1::ConfigUpdate update;
  auto& config = *update.mutable_upserts();
  auto& group = *config.add_target_groups();
  group.set_name("shop");
  if (kind == kLeast || kind == kLeastLimited)
    group.set_algorithm(remuda::v1::BALANCING_ALGORITHM_LEAST_OUTSTANDING_REQUESTS);
  if (kind == kLeastLimited) group.mutable_concurrency_limit()->set_max_requests(1000);
  for (int i = 0; i < targets; ++i) {
    auto& target = *config.add_targets();
    target.set_target_group("shop");
    target.set_address("127.0.0.1");
    target.set_port(1000 + i);
    if (kind == kTwoSubsets) target.set_subset(i % 2 == 0 ? "v1" : "v2");
  }
  if (kind == kTwoSubsets) {
    auto& split = *config.add_traffic_splits();
    split.set_target_group("shop");
    for (const auto& [name, weight] : {std::pair("v1", 19), std::pair("v2", 1)}) {
      split.add_subsets()->set_subset(name);
      split.mutable_subsets()->rbegin()->set_weight(weight);
    }
  }
  auto table = std::get<std::shared_ptr<const RoutingTable>>(
      CompileUpdate(RoutingTable(), update, {.workers = workers}));
  const TargetGroup& made = *table->groups.at("shop");
  for (const Member& member : made.members) member.target->SetHealth(Health::kHealthy);
  for (size_t i = 0; i < workers; ++i) AdoptGroup(i, made);
  return table;
}

class alignas(64) Worker {
 public:
  Worker(GroupState& group, size_t index) : group_(group) {
    request_.worker = index;
    for (TargetState*& target : held_) target = Begin();
  }
  ~Worker() {
    for (TargetState* target : held_) target->End(request_.worker);
  }
  // The request that is longest under way ends, another begins.
  void Turn() {
    TargetState*& oldest = held_[++turns_ % kHeld];
    oldest->End(request_.worker);
    oldest = Begin();
  }

 private:
  TargetState* Begin() {
    request_.random = NthRandom(request_.worker, turns_);
    const Picked picked = PickTarget(group_, request_);
    picked.target->Begin(request_.worker, picked.in_load);
    return picked.target;
  }

  GroupState& group_;
  PickRequest request_;
  size_t turns_ = 0;
  std::array<TargetState*, kHeld> held_{};
};

void Pick(benchmark::State& state) {
  static std::shared_ptr<const RoutingTable> table;
  static std::vector<std::unique_ptr<Worker>> workers;
  const auto index = static_cast<size_t>(state.thread_index());
  if (index == 0) {
    const auto count = static_cast<size_t>(state.range(2));
    table = TableOf(state.range(0), state.range(1), count);
    for (size_t i = 0; i < count; ++i)
      workers.push_back(std::make_unique<Worker>(*table->groups.at("shop")->state, i));
  }
  // The first turn waits until all threads are here, the end until all are done.
  for (auto _ : state) workers[index]->Turn();
  if (index != 0) return;
  workers.clear();
  table.reset();
  state.SetLabel(kKindNames[state.range(0)]);
}

BENCHMARK(Pick)->ArgsProduct({{kRoundRobin, kLeast, kLeastLimited, kTwoSubsets},
                              {2, 16},
                              {1, 2, 4, 16}});
BENCHMARK(Pick)
    ->ArgsProduct({{kRoundRobin, kLeast, kLeastLimited, kTwoSubsets}, {2, 16}, {2}})
    ->Threads(2)
    ->UseRealTime();
BENCHMARK(Pick)->ArgsProduct({{kLeast}, {2, 16}, {4}})->Threads(4)->UseRealTime();
BENCHMARK(Pick)->ArgsProduct({{kLeast}, {2, 16}, {16}})->Threads(16)->UseRealTime();

}  // namespace
}  // namespace remuda::proxy

BENCHMARK_MAIN();
