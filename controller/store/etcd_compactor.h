// EtcdCompactor: has etcd forget history that is older than followers may need, on a thread of its
// own, as long as it is there.
#pragma once

#include <condition_variable>
#include <mutex>
#include <string>
#include <thread>

#include "controller/store/etcd_client.h"

namespace remuda {

class EtcdCompactor {
 public:
  // Looks at the revision four times in `history`, and forgets what was at least so long ago.
  // `client` outlives it; `key` is one that may be read.
  EtcdCompactor(EtcdClient& client, std::string key, EtcdClient::Duration history);
  EtcdCompactor(const EtcdCompactor&) = delete;
  EtcdCompactor& operator=(const EtcdCompactor&) = delete;
  ~EtcdCompactor();

 private:
  void Run();

  EtcdClient& client_;
  const std::string key_;
  const EtcdClient::Duration history_;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool is_stopping_ = false;  // guarded by mutex_
  std::thread thread_;
};

}  // namespace remuda
