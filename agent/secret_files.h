// SecretFiles: files of instances that hold secrets, in a file system in memory that this mounts.
//
// Owns DIRECTORY and what is below it: a tmpfs once an instance has had such a file, with a
// directory for each instance. It stays mounted while one is there, so that apps keep their files
// when the agent is exchanged, and is given back with the last. What is in memory may be swapped.
// Thread: the event loop's; nothing here waits for a disk.
#pragma once

#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <sys/types.h>

#include <map>
#include <optional>
#include <set>
#include <string>

namespace remuda::agent {

class SecretFiles {
 public:
  // Of all instances of a host.
  static constexpr long long kMaxBytes = 512LL << 20;

  struct Owner {
    uid_t uid = 0;
    gid_t gid = 0;
  };

  explicit SecretFiles(std::string directory) : directory_(std::move(directory)) {}

  // Whether files can be had here: FAILED_PRECONDITION says why not (the agent is not root, or may
  // not mount).
  absl::Status Ready();

  // Makes DIRECTORY/INSTANCE anew with the files, each 0400 and the owner's (unset: the agent's
  // own), and answers its path. An error leaves nothing there.
  absl::StatusOr<std::string> Put(const std::string& instance,
                                  const std::map<std::string, std::string>& files,
                                  std::optional<Owner> owner);
  // Removing what is not there is no error.
  void Remove(const std::string& instance);
  // At the start: of instances that have no process nothing is kept.
  void RemoveAllBut(const std::set<std::string>& instances);

 private:
  bool IsMounted() const;
  absl::Status Mount();
  // If nothing is in it.
  void Unmount();
  absl::Status Write(const std::string& path, const std::map<std::string, std::string>& files,
                     std::optional<Owner> owner);

  const std::string directory_;
  std::optional<absl::Status> ready_;  // once it was tried
};

}  // namespace remuda::agent
