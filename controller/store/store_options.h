// StoreOptions: which store a controller has, of the flags --store and --store-*.
//
// Owns: their form and rules. Does not own: the stores. Pure; any thread.
#pragma once

#include <absl/status/statusor.h>

#include <chrono>
#include <optional>
#include <string>
#include <vector>

namespace remuda {

// How etcd is reached.
struct EtcdAddress {
  std::string flag = "--store";        // which it was given by, for errors
  std::vector<std::string> endpoints;  // HOST:PORT, at least one
  std::string prefix = "/remuda/";     // of every key; begins and ends with /
  // Files: of the authorities that sign etcd's certificate, and the controller's own certificate
  // and key. No authorities: no TLS.
  std::string ca;
  std::string certificate;
  std::string key;
  std::string user;           // empty: none
  std::string password_file;  // its first line
};

struct StoreOptions {
  enum class Kind { kSqlite, kEtcd };
  Kind kind = Kind::kSqlite;
  std::string sqlite_path;  // of kSqlite; else empty
  EtcdAddress etcd;         // of kEtcd
  // Of kEtcd: without a word from etcd for so long leadership is lost, and another controller may
  // have it.
  std::chrono::seconds lease{2};
};

// The flags as they were given; empty: not.
struct StoreFlags {
  // That of `store`; the others' names begin with it.
  std::string flag = "--store";
  std::string store;  // sqlite:PATH or etcd://HOST:PORT[,HOST:PORT...][/PREFIX]
  std::string ca;
  std::string certificate;
  std::string key;
  std::string user;
  std::string password_file;
  bool insecure = false;  // no TLS beyond this machine
  std::optional<int> lease_seconds;
};

// No --store is sqlite:DATA_DIR/state.db. INVALID_ARGUMENT names the flag, the value and the rule.
// At most kMaxEtcdEndpoints endpoints, a prefix of at most kMaxEtcdPrefixBytes, a lease of
// kMinStoreLeaseSeconds (etcd has no shorter ones) to kMaxStoreLeaseSeconds.
inline constexpr int kMinStoreLeaseSeconds = 2;
inline constexpr int kMaxStoreLeaseSeconds = 60;
inline constexpr size_t kMaxEtcdEndpoints = 16;
inline constexpr size_t kMaxEtcdPrefixBytes = 128;
absl::StatusOr<StoreOptions> ParseStoreOptions(const StoreFlags& flags,
                                               const std::string& data_dir);

}  // namespace remuda
