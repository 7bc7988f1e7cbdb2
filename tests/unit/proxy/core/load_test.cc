// What is in flight at targets, counted by many workers: every count ends where it began, limits
// hold whoever picks, and a pick goes by the requests of all workers.
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <barrier>
#include <thread>

#include "tests/unit/proxy/core/picking.h"

namespace remuda::proxy {
namespace {

constexpr char kLeast[] = "algorithm: BALANCING_ALGORITHM_LEAST_OUTSTANDING_REQUESTS";

class LoadTest : public testing::PickingTest {
 protected:
  // `blue` as `workers` workers have it, all healthy.
  void LoadFor(size_t workers, const std::vector<std::string>& targets, const std::string& yaml) {
    Publish(workers, targets, yaml);
    for (size_t i = 0; i < workers; ++i) AdoptGroup(i, group());
  }
  void Publish(size_t workers, const std::vector<std::string>& targets, const std::string& yaml) {
    v1::ConfigUpdate update;
    *update.mutable_upserts() = ConfigWith(targets, "{" + yaml + "}");
    CompileResult result =
        CompileUpdate(table_ == nullptr ? RoutingTable() : *table_, update, {.workers = workers});
    ASSERT_TRUE(std::holds_alternative<std::shared_ptr<const RoutingTable>>(result));
    table_ = std::get<std::shared_ptr<const RoutingTable>>(result);
    tables_.push_back(table_);
    state_ = group().state.get();
    SetAllHealthy();
  }
  // As a worker begins a request: null if all are full.
  TargetState* Begin(size_t worker, uint64_t random) {
    PickRequest request;
    request.worker = worker;
    request.now = now_;
    request.random = random;
    const Picked picked = PickTarget(*state_, request);
    if (picked.target != nullptr) picked.target->Begin(worker, picked.in_load);
    return picked.target;
  }

  std::vector<std::shared_ptr<const RoutingTable>> tables_;  // workers may have an old one
};

struct ThreadsCase {
  const char* name;
  const char* yaml;
  int targets;
  uint32_t limit;  // 0: none
};

class ThreadsTest : public LoadTest, public ::testing::WithParamInterface<ThreadsCase> {};

// Each thread is a worker that begins and ends requests in any order.
TEST_P(ThreadsTest, CountsEndAtZeroAndLimitsHold) {
  constexpr size_t kWorkers = 4;
  constexpr int kSteps = 200'000;
  const ThreadsCase& c = GetParam();
  LoadFor(kWorkers, Many(c.targets), c.yaml);
  std::atomic<uint32_t> most = 0;
  std::atomic<int> begun = 0;
  std::barrier together(kWorkers);
  std::vector<std::thread> threads;
  for (size_t worker = 0; worker < kWorkers; ++worker) {
    threads.emplace_back([&, worker] {
      std::mt19937_64 random(worker);
      std::vector<TargetState*> held;
      uint32_t most_seen = 0;
      int count = 0;
      together.arrive_and_wait();
      for (int i = 0; i < kSteps; ++i) {
        if (!held.empty() && (held.size() > 10 || random() % 2 == 0)) {
          std::swap(held[random() % held.size()], held.back());
          held.back()->End(worker);
          held.pop_back();
        } else if (TargetState* target = Begin(worker, random()); target != nullptr) {
          held.push_back(target);
          most_seen = std::max(most_seen, target->load());
          ++count;
        }
      }
      for (TargetState* target : held) target->End(worker);
      uint32_t known = most;
      while (known < most_seen && !most.compare_exchange_weak(known, most_seen)) {
      }
      begun += count;
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_GT(begun, kSteps / 2);
  if (c.limit > 0) {
    EXPECT_LE(most, c.limit);
  }
  for (const Member& member : group().members) {
    EXPECT_EQ(member.target->load(), 0U) << member.target->id();
    for (const TargetSlot& slot : member.target->slots()) EXPECT_EQ(slot.in_flight.Get(), 0U);
  }
}

INSTANTIATE_TEST_SUITE_P(
    Groups, ThreadsTest,
    ::testing::Values(ThreadsCase{"RoundRobin", "", 3, 0}, ThreadsCase{"Least", kLeast, 3, 0},
                      ThreadsCase{"LeastOfMany", kLeast, 40, 0},
                      ThreadsCase{"Limit", "concurrencyLimit: {maxRequests: 3}", 3, 3},
                      ThreadsCase{"LeastWithALimit",
                                  "algorithm: BALANCING_ALGORITHM_LEAST_OUTSTANDING_REQUESTS, "
                                  "concurrencyLimit: {maxRequests: 2}",
                                  5, 2}),
    [](const auto& param) { return param.param.name; });

// Whoever has begun what: the target that is taken has the least in flight for its weight, over all
// workers.
TEST_F(LoadTest, APickTakesTheLeastLoadedOverAllWorkers) {
  for (const size_t workers : {1, 2, 4, 16, 64}) {
    SCOPED_TRACE(workers);
    table_ = nullptr;
    LoadFor(workers, {"a:1", "b:1", "c:2", "d:3", "e:1"}, kLeast);
    std::vector<std::pair<TargetState*, size_t>> held;
    const auto load_of = [&](const Member& member) {
      const auto count = std::count_if(held.begin(), held.end(), [&](const auto& request) {
        return request.first == member.target.get();
      });
      return static_cast<double>(count) / member.weight;
    };
    for (int i = 0; i < 1000; ++i) {
      if (held.size() > 60 || (!held.empty() && random_() % 3 == 0)) {
        std::swap(held[random_() % held.size()], held.back());
        held.back().first->End(held.back().second);
        held.pop_back();
        continue;
      }
      double least = 1e9;
      for (const Member& member : group().members) least = std::min(least, load_of(member));
      const size_t worker = random_() % workers;
      TargetState* const target = Begin(worker, random_());
      ASSERT_NE(target, nullptr);
      ASSERT_DOUBLE_EQ(load_of(*group().Find(target->id())), least);
      held.emplace_back(target, worker);
    }
    for (const Member& member : group().members)
      EXPECT_EQ(member.target->load(), member.target->InFlight());
  }
}

// What was begun before there was a limit is at the target all the same.
TEST_F(LoadTest, ANewLimitCountsWhatIsInFlightAlready) {
  LoadFor(2, {"a:1"}, "");
  TargetState* const target = Find("a");
  ASSERT_EQ(Begin(0, 1), target);
  ASSERT_EQ(Begin(1, 2), target);
  LoadFor(2, {"a:1"}, "concurrencyLimit: {maxRequests: 2}");
  ASSERT_EQ(Find("a"), target);
  EXPECT_EQ(Begin(0, 3), nullptr);
  target->End(1);
  EXPECT_EQ(Begin(0, 4), target);
  EXPECT_EQ(Begin(1, 5), nullptr);
}

// The policy changes between those that go by load and those that do not, targets come, requests go
// on, and each worker adopts when it does: once all have, the load is what is in flight, or
// nothing.
TEST_F(LoadTest, ChangesOfThePolicyLoseNoRequest) {
  constexpr size_t kWorkers = 3;
  const char* const policies[] = {"", kLeast, "concurrencyLimit: {maxRequests: 50}",
                                  "algorithm: BALANCING_ALGORITHM_WEIGHTED_RANDOM"};
  std::vector<std::string> targets = {"a:1", "b:1"};
  LoadFor(kWorkers, targets, "");
  std::vector<std::pair<TargetState*, size_t>> held;
  const auto use = [&](int steps) {
    for (int i = 0; i < steps; ++i) {
      if (held.size() > 40 || (!held.empty() && random_() % 2 == 0)) {
        std::swap(held[random_() % held.size()], held.back());
        held.back().first->End(held.back().second);
        held.pop_back();
      } else {
        const size_t worker = random_() % kWorkers;
        held.emplace_back(Begin(worker, random_()), worker);
        ASSERT_NE(held.back().first, nullptr);
      }
    }
  };
  for (int round = 0; round < 200; ++round) {
    SCOPED_TRACE(round);
    if (round % 20 == 19) targets.push_back("t" + std::to_string(round) + ":1");
    Publish(kWorkers, targets, policies[random_() % std::size(policies)]);
    for (size_t worker = 0; worker < kWorkers; ++worker) {
      AdoptGroup(worker, group());
      use(static_cast<int>(random_() % 20));
    }
    for (const Member& member : group().members) {
      const uint64_t in_flight = member.target->InFlight();
      ASSERT_EQ(member.target->load(), group().policy.UsesLoad() ? in_flight : 0);
    }
  }
}

class WaiterStub : public Waiter {
 public:
  bool OnPlaceFree() override { return false; }
};

TEST_F(LoadTest, WaitersAreCountedOverAllWorkersAndTheFirstIsKnown) {
  LoadFor(3, {"a:1"}, "");
  std::vector<WaiterStub> waiters(4);
  EXPECT_EQ(state_->CountWaiting(), 0U);
  EXPECT_EQ(state_->LongestWaiting(), GroupState::kNobody);
  const SteadyTime t = now_;
  using std::chrono::seconds;
  state_->Enqueue(2, waiters[0], t);
  state_->Enqueue(0, waiters[1], t + seconds(1));
  state_->Enqueue(2, waiters[2], t + seconds(2));
  state_->Enqueue(1, waiters[3], t + seconds(3));
  EXPECT_EQ(state_->CountWaiting(), 4U);
  EXPECT_EQ(state_->LongestWaiting(), 2U);
  state_->Dequeue(2, waiters[0]);
  EXPECT_EQ(state_->LongestWaiting(), 0U);
  state_->Dequeue(0, waiters[1]);
  EXPECT_EQ(state_->LongestWaiting(), 2U);
  state_->Dequeue(2, waiters[2]);
  state_->Dequeue(1, waiters[3]);
  EXPECT_EQ(state_->CountWaiting(), 0U);
  EXPECT_EQ(state_->LongestWaiting(), GroupState::kNobody);
}

}  // namespace
}  // namespace remuda::proxy
