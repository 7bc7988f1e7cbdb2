// The keys of the store in etcd (docs/adr/0016-etcd.md). Pure.
#pragma once

#include <absl/strings/numbers.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_format.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "controller/core/model/state.h"

namespace remuda {

// The end of the range of all keys that begin so; `prefix` does not end with 0xff.
inline std::string EndOfPrefix(std::string prefix) {
  prefix.back() = static_cast<char>(prefix.back() + 1);
  return prefix;
}

class EtcdKeys {
 public:
  // `prefix` ends with /.
  explicit EtcdKeys(std::string prefix) : prefix_(std::move(prefix)) {}

  const std::string& prefix() const { return prefix_; }
  std::string Cluster() const { return prefix_ + "meta/cluster"; }
  std::string Secret() const { return prefix_ + "meta/secret"; }
  std::string Schema() const { return prefix_ + "meta/schema"; }
  std::string SealingCheck() const { return prefix_ + "meta/sealing-check"; }
  // Added to revisions of campaigns, where an earlier store has had epochs: decimal.
  std::string EpochBase() const { return prefix_ + "meta/epoch-base"; }
  // Why the store is half filled, while it is.
  std::string Filling() const { return prefix_ + "meta/filling"; }
  std::string Meta() const { return prefix_ + "meta/"; }
  std::string Controllers() const { return prefix_ + "controllers/"; }
  std::string Controller(std::string_view name) const {
    return absl::StrCat(Controllers(), std::string(name));
  }
  std::string Shared() const { return prefix_ + "shared/"; }
  std::string SharedOf(std::string_view key) const {
    return absl::StrCat(Shared(), std::string(key));
  }
  std::string Leader() const { return prefix_ + "leader"; }
  std::string Commit() const { return prefix_ + "commit"; }
  std::string Rows() const { return prefix_ + "rows/"; }
  std::string Staged() const { return prefix_ + "staged/"; }

  // Sorted as (kind, key) is.
  std::string Row(core::Kind kind, std::string_view key) const {
    return absl::StrCat(Rows(), absl::StrFormat("%03d/", static_cast<int>(kind)), std::string(key));
  }
  std::string StagedOf(int64_t commit) const {
    return absl::StrCat(Staged(), absl::StrFormat("%020d/", commit));
  }
  std::string StagedPart(int64_t commit, int part) const {
    return absl::StrCat(StagedOf(commit), absl::StrFormat("%06d", part));
  }

  // What a key below Rows() or Staged() names; not set: nothing of ours.
  std::optional<std::pair<core::Kind, std::string>> ParseRow(std::string_view key) const {
    const std::string rows = Rows();
    if (!key.starts_with(rows) || key.size() < rows.size() + 4) return std::nullopt;
    key.remove_prefix(rows.size());
    int kind = 0;
    if (!absl::SimpleAtoi(std::string(key.substr(0, 3)), &kind) || key[3] != '/')
      return std::nullopt;
    return std::pair(static_cast<core::Kind>(kind), std::string(key.substr(4)));
  }
  std::optional<std::pair<int64_t, int>> ParseStaged(std::string_view key) const {
    const std::string staged = Staged();
    if (!key.starts_with(staged) || key.size() != staged.size() + 27) return std::nullopt;
    key.remove_prefix(staged.size());
    int64_t commit = 0;
    int part = 0;
    if (!absl::SimpleAtoi(std::string(key.substr(0, 20)), &commit) ||
        !absl::SimpleAtoi(std::string(key.substr(21)), &part)) {
      return std::nullopt;
    }
    return std::pair(commit, part);
  }

 private:
  std::string prefix_;
};

}  // namespace remuda
