// usage: store_writer ENDPOINT SEALING_KEY_FILE STEP COUNT EDITS
//
// Leads the store in etcd and commits for ever, EDITS rows "w/0"... a commit, all with the commit's
// number as value; prints each number that is acknowledged. Ends itself with SIGKILL when it is at
// STEP for the COUNT-th time.
#include <signal.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <string>

#include "controller/store/etcd_store.h"
#include "tests/component/controller/store/testing/rows.h"

int main(int argc, char** argv) {
  if (argc != 6) return 2;
  const int step = std::atoi(argv[3]);
  int count = std::atoi(argv[4]);
  const int edits = std::atoi(argv[5]);
  remuda::EtcdStore::Options options;
  options.address.endpoints = {argv[1]};
  options.sealing_key_file = argv[2];
  options.time_to_live = std::chrono::seconds(5);
  options.at_step = [&](remuda::EtcdStore::Step at) {
    if (static_cast<int>(at) == step && --count == 0) kill(getpid(), SIGKILL);
  };
  auto store = remuda::EtcdStore::Open(options);
  if (!store.ok()) {
    std::fprintf(stderr, "%s\n", store.status().ToString().c_str());
    return 1;
  }
  const auto won = (*store)->Campaign();
  if (!won.ok()) {
    std::fprintf(stderr, "%s\n", won.status().ToString().c_str());
    return 1;
  }
  for (int64_t number = won->commit + 1;; ++number) {
    remuda::core::Changes changes;
    for (int i = 0; i < edits; ++i)
      changes.edits.push_back(remuda::PutCounter("w/" + std::to_string(i), number));
    const auto commit = (*store)->Commit(changes, won->epoch);
    if (!commit.ok()) {
      std::fprintf(stderr, "%s\n", commit.status().ToString().c_str());
      return 1;
    }
    std::printf("%lld\n", static_cast<long long>(*commit));
    std::fflush(stdout);
  }
}
