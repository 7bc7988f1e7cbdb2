// How Changes become requests that etcd takes: their edits in parts, each small enough for one
// transaction. Pure.
#pragma once

#include <absl/status/statusor.h>

#include <cstddef>
#include <vector>

#include "controller/core/model/state.h"
#include "controller/store/sealer.h"
#include "remuda/store/v1/etcd.pb.h"

namespace remuda {

namespace etcd_limits {
// etcd's defaults are 128 operations (--max-txn-ops) and 1.5 MiB (--max-request-bytes) a request;
// below them, for what goes with the edits.
inline constexpr int kMaxEditsPerPart = 120;
inline constexpr size_t kMaxBytesPerPart = size_t{1} << 20;
// One row, as it is stored: a part may hold one alone that is larger than a part.
inline constexpr size_t kMaxRowBytes = (size_t{3} << 20) / 2 - 16 * 1024;
// A commit in all.
inline constexpr size_t kMaxCommitBytes = size_t{64} << 20;
inline constexpr size_t kMaxCommitEdits = 200'000;
}  // namespace etcd_limits

// The parts of `changes`, at least one: each row once (its last edit), in the order of kind and
// key, sealed where its kind is. RESOURCE_EXHAUSTED names the limit that is met.
absl::StatusOr<std::vector<store::v1::EtcdStagedEdits>> PlanParts(const core::Changes& changes,
                                                                  Sealer& sealer);

}  // namespace remuda
