// Image bytes from and to the controller: FetchImage for the cache, PushImage for snapshots.
// Blocks; worker threads.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>

#include "agent/image_cache.h"
#include "common/identity/controller_channel.h"

namespace grpc {
class ClientContext;
}

namespace remuda::agent {

class ImageClient : public ImageSource {
 public:
  // Each call is made to the controller that is dialled then. `channel` outlives it.
  explicit ImageClient(const identity::ControllerChannel& channel) : channel_(channel) {}

  absl::Status Fetch(const std::string& digest, uint64_t offset, const Sink& sink) override;

  struct Push {
    std::string archive_path;
    std::string image_id;
    std::string digest;
    int64_t size_bytes = 0;
    std::string source_instance;
    std::map<std::string, std::string> labels;
  };
  absl::Status PushImage(const Push& push);

  // Ends calls under way and lets no new one begin; they return CANCELLED. Any thread.
  void Cancel();

 private:
  class Call;  // registers its context while it is under way

  const identity::ControllerChannel& channel_;
  std::mutex mutex_;
  bool cancelled_ = false;                   // guarded by mutex_
  std::set<grpc::ClientContext*> contexts_;  // guarded by mutex_
};

}  // namespace remuda::agent
