// The last good config on disk, from which a proxy starts when there is no controller.
//
// One file, replaced by an atomic rename, with a checksum: a torn or changed file is refused, never
// half believed. Thread: Save from any one thread; the writing is done by a thread of its own, the
// newest config wins.
#pragma once

#include <absl/status/statusor.h>

#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

#include "proxy/core/routing_table.h"
#include "remuda/proxy/v1/proxy.pb.h"

namespace remuda::proxy {

struct StoredConfig {
  std::string cluster_id;
  int64_t epoch = 0;        // highest seen
  v1::ConfigUpdate update;  // whole, with its revision
};

// The file's bytes and back; the error says what is wrong.
std::string EncodeStoredConfig(const StoredConfig& config);
absl::StatusOr<StoredConfig> DecodeStoredConfig(std::string_view bytes);

class ConfigStore {
 public:
  // `directory` is made if it is not there. Throws std::filesystem::filesystem_error if it cannot
  // be.
  explicit ConfigStore(const std::string& directory);
  ~ConfigStore();  // writes what is pending

  // NOT_FOUND if there is no file; DATA_LOSS if it is damaged.
  absl::StatusOr<StoredConfig> Load() const;
  // Nothing waits to be written. Any thread.
  bool is_idle();
  void Save(std::shared_ptr<const RoutingTable> table, std::string cluster_id, int64_t epoch);

 private:
  struct Pending {
    std::shared_ptr<const RoutingTable> table;
    std::string cluster_id;
    int64_t epoch = 0;
  };
  void Run();
  absl::Status Write(const Pending& pending) const;

  const std::string path_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::optional<Pending> pending_;  // guarded by mutex_
  bool is_writing_ = false;         // guarded by mutex_
  bool is_stopped_ = false;         // guarded by mutex_
  std::thread thread_;
};

}  // namespace remuda::proxy
