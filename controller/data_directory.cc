#include "controller/data_directory.h"

#include <absl/strings/str_cat.h>
#include <spdlog/spdlog.h>

#include <utility>

#include "common/private_directory.h"
#include "common/status.h"

namespace remuda {

absl::Status MakeDataDirectory(const std::string& path) {
  const absl::StatusOr<bool> was_open = MakePrivateDirectory(path, "state.db", "--data-dir");
  if (!was_open.ok()) return was_open.status();
  if (*was_open) {
    spdlog::warn("--data-dir {} was open to others: now it is not, as private keys are kept there",
                 path);
  }
  return absl::OkStatus();
}

absl::StatusOr<std::optional<StateLock>> LockDataDirectory(const std::string& path,
                                                           StoreOptions::Kind store) {
  if (store == StoreOptions::Kind::kSqlite) return std::optional<StateLock>();
  auto lock = StateLock::Take(absl::StrCat(path, "/", StateLock::kName));
  if (lock.ok()) return std::optional<StateLock>(*std::move(lock));
  if (!absl::IsAlreadyExists(lock.status())) return lock.status();
  return FailedPrecondition(
      "STORE_IN_USE", absl::StrCat("--data-dir ", path, ": another controller (process ",
                                   std::string(lock.status().message()),
                                   "), or a restore, uses it; each controller has one of its own"));
}

}  // namespace remuda
