// bench_store: commits a second, their latency, and the load of many rows: SQLite and etcd beside
// each other, in turns, on this machine.
//
//   bench_store ENDPOINT [ROUNDS] [ROWS]
//
// ENDPOINT: an etcd for it (HOST:PORT); what it leaves there lies under /remuda-bench/.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "controller/store/etcd_store.h"
#include "controller/store/sqlite_store.h"

namespace remuda {
namespace {

using Clock = std::chrono::steady_clock;

constexpr int kCommits = 200;
constexpr int kLoadCommitRows = 10'000;

[[noreturn]] void Die(const absl::Status& status) {
  std::fprintf(stderr, "bench_store: %s\n", status.ToString().c_str());
  std::exit(1);
}

core::Edit Row(int number) {
  auto instance = std::make_shared<v1::Instance>();
  const std::string id = "i-" + std::to_string(100'000'000 + number);
  instance->set_name("instances/" + id);
  instance->set_auto_scaling_group("autoScalingGroups/web-" + std::to_string(number % 100));
  instance->set_host("hosts/host-" + std::to_string(number % 1000));
  return {core::Kind::kInstance, id, std::move(instance)};
}

core::Changes Rows(int begin, int count) {
  core::Changes changes;
  for (int i = 0; i < count; ++i) changes.edits.push_back(Row(begin + i));
  return changes;
}

double Seconds(Clock::duration time) { return std::chrono::duration<double>(time).count(); }

struct Led {
  const char* name;
  std::unique_ptr<Store> store;
  int64_t epoch = 0;
};

void Commit(Led& led, const core::Changes& changes) {
  if (const auto commit = led.store->Commit(changes, led.epoch); !commit.ok()) Die(commit.status());
}

void BenchCommits(Led& led, int rows) {
  std::vector<double> latency;
  const auto begin = Clock::now();
  for (int i = 0; i < kCommits; ++i) {
    const core::Changes changes = Rows(i * rows, rows);
    const auto start = Clock::now();
    Commit(led, changes);
    latency.push_back(Seconds(Clock::now() - start) * 1e3);
  }
  const double seconds = Seconds(Clock::now() - begin);
  std::sort(latency.begin(), latency.end());
  std::printf("%-7s %5d rows a commit: %7.0f commits/s %9.0f rows/s  p50 %6.2f ms  p99 %6.2f ms\n",
              led.name, rows, kCommits / seconds, kCommits * rows / seconds,
              latency[latency.size() / 2], latency[latency.size() * 99 / 100]);
}

void BenchLoad(Led& led, int rows) {
  const auto begin = Clock::now();
  for (int i = 0; i < rows; i += kLoadCommitRows)
    Commit(led, Rows(i, std::min(kLoadCommitRows, rows - i)));
  const auto written = Clock::now();
  core::State state;
  const absl::Status status =
      led.store->Load([&](core::Kind kind, std::string_view key, std::string_view value,
                          int64_t commit) { return state.Load(kind, key, value, commit); });
  if (!status.ok()) Die(status);
  std::printf("%-7s %zu rows: written in %.2f s (%d a commit), loaded in %.2f s\n", led.name,
              state.All<v1::Instance>().size(), Seconds(written - begin), kLoadCommitRows,
              Seconds(Clock::now() - written));
}

template <class T>
Led LeadOrDie(const char* name, absl::StatusOr<std::unique_ptr<T>> opened) {
  if (!opened.ok()) Die(opened.status());
  Led led{.name = name, .store = *std::move(opened)};
  const auto won = led.store->Campaign();
  if (!won.ok()) Die(won.status());
  led.epoch = won->epoch;
  return led;
}

int Main(int argc, char** argv) {
  std::setvbuf(stdout, nullptr, _IOLBF, 0);
  if (argc < 2) {
    std::fprintf(stderr, "usage: bench_store ENDPOINT [ROUNDS] [ROWS]\n");
    return 2;
  }
  const int rounds = argc > 2 ? std::atoi(argv[2]) : 3;
  const int rows = argc > 3 ? std::atoi(argv[3]) : 100'000;
  char path[] = "/var/tmp/remuda-bench-XXXXXX";
  if (mkdtemp(path) == nullptr) return 1;
  const std::string dir = path;
  EtcdStore::Options options;
  options.address.endpoints = {argv[1]};
  options.address.prefix = "/remuda-bench/" + dir.substr(dir.rfind('/') + 1) + "/";
  options.sealing_key_file = dir + "/sealing.key";
  options.time_to_live = std::chrono::seconds(30);
  {
    Led etcd = LeadOrDie("etcd", EtcdStore::Open(options));
    Led sqlite = LeadOrDie("SQLite", SqliteStore::Open({.path = dir + "/state.db",
                                                        .sealing_key_file = dir + "/sealing.key"}));
    for (int round = 0; round < rounds; ++round) {
      for (const int size : {1, 20, 100, 512}) {
        BenchCommits(sqlite, size);
        BenchCommits(etcd, size);
      }
    }
    BenchLoad(sqlite, rows);
    BenchLoad(etcd, rows);
  }
  std::filesystem::remove_all(dir);
  return 0;
}

}  // namespace
}  // namespace remuda

int main(int argc, char** argv) { return remuda::Main(argc, argv); }
