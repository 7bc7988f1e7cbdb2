// What stands in etcd at one revision: the newest commit, what is staged, and the rows.
//
// Owns: reading them, in pages. Does not own: writing (etcd_store.h), changes (etcd_follow.h).
#pragma once

#include <absl/status/statusor.h>

#include <cstdint>
#include <functional>
#include <map>
#include <vector>

#include "controller/store/etcd_client.h"
#include "controller/store/etcd_keys.h"
#include "controller/store/sealer.h"
#include "controller/store/store.h"
#include "remuda/store/v1/etcd.pb.h"

namespace remuda {

using EtcdParts = std::map<int, store::v1::EtcdStagedEdits>;  // by number

struct EtcdHead {
  store::v1::EtcdCommit commit;         // number 0: none yet
  int64_t commit_revision = 0;          // at which it was written; 0: none yet
  int64_t revision = 0;                 // of etcd, when it was read
  std::map<int64_t, EtcdParts> staged;  // by number of commit

  // The staged edits of the newest commit that its rows may not have yet; null: they have all.
  const EtcdParts* pending() const;
};

// The keys in [begin, end) at `revision`, in order; an error of `each` ends it. `revision` 0: at
// that of the first answer, which is put there. Each page has until kPageTimeout, and fewer keys
// after each kPageTryTimeout of it.
inline constexpr EtcdClient::Duration kPageTimeout{10'000};
inline constexpr EtcdClient::Duration kPageTryTimeout{2'000};
absl::Status ReadPages(EtcdClient& client, const std::string& begin, const std::string& end,
                       int64_t& revision,
                       const std::function<absl::Status(const mvccpb::KeyValue&)>& each);

// The newest commit and all that is staged, at one revision.
absl::StatusOr<EtcdHead> ReadHead(EtcdClient& client, const EtcdKeys& keys);

// Calls `row` for every row as of the head's commit, in the order of (kind, key), opened.
absl::Status ReadRows(EtcdClient& client, const EtcdKeys& keys, const EtcdHead& head,
                      Sealer& sealer, const Store::RowFn& row);

// The bytes of a row's message; DATA_LOSS or FAILED_PRECONDITION as Sealer::Open.
absl::StatusOr<std::string> OpenRow(core::Kind kind, const std::string& key,
                                    const std::string& value, Sealer& sealer);

// Of keys that do not hold what they should: DATA_LOSS names the key.
absl::Status Unreadable(const std::string& key);

}  // namespace remuda
