// What tests of the store in etcd share: a store of a cluster, or of a relay before it.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "controller/store/etcd_store.h"
#include "tests/component/controller/store/testing/etcd_cluster.h"
#include "tests/component/controller/store/testing/relay.h"
#include "tests/component/controller/store/testing/rows.h"
#include "tests/wait.h"

namespace remuda {

// Of a test that loses no lease, on a machine however loaded.
inline constexpr std::chrono::seconds kLongLease{60};
inline constexpr std::chrono::seconds kShortLease{2};

inline EtcdStore::Options EtcdOptions(const TemporaryDirectory& dir,
                                      std::vector<std::string> endpoints,
                                      std::chrono::seconds time_to_live = kLongLease) {
  EtcdStore::Options options;
  options.address.endpoints = std::move(endpoints);
  options.sealing_key_file = dir / "sealing.key";
  options.time_to_live = time_to_live;
  return options;
}

inline std::unique_ptr<EtcdStore> OpenEtcd(EtcdStore::Options options) {
  auto store = EtcdStore::Open(std::move(options));
  EXPECT_TRUE(store.ok()) << store.status();
  return store.ok() ? *std::move(store) : nullptr;
}

inline bool IsStale(const absl::Status& status) {
  return status.code() == absl::StatusCode::kFailedPrecondition &&
         status.GetPayload("type.googleapis.com/google.rpc.ErrorInfo").has_value();
}

}  // namespace remuda
