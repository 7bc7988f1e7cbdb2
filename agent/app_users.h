// The users that apps run as: one of the host's, by name, or one of a range of ids, which is then
// the instance's alone for as long as a file of it is here.
//
// The id is in the instance's directory (`user`). Ids go round, so that one which was given back is
// not soon another app's. Loop thread.
#pragma once

#include <absl/status/statusor.h>

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "agent/instance_dir.h"

namespace remuda::agent {

struct UserIds {
  uint32_t uid = 0;
  uint32_t gid = 0;
  std::vector<uint32_t> groups = {};
  std::string name = {};  // empty: it has none
  bool is_own = false;    // of one instance alone
};

// FIRST-LAST, both among them.
struct UserRange {
  uint32_t first = 700'000;
  uint32_t last = 765'535;

  bool Has(uint32_t id) const { return id >= first && id <= last; }
};

// "FIRST-LAST". Empty, or what is wrong with the text. None of the host's own users may be in it:
// ids below 1000 are refused.
std::string ParseUserRange(const std::string& text, UserRange& range);

// The ids of a user of this host; nullopt: those that this process has. FailedPrecondition: no such
// user here, or this process is not root and so cannot become it, or it is root and `allow_root` is
// not set.
absl::StatusOr<std::optional<UserIds>> FindUser(const std::string& name, bool allow_root);

class AppUsers {
 public:
  struct Options {
    UserRange range;
    bool allow_root = false;  // for templates that name a user with id 0
    std::string counter;      // file with the id given last
  };
  explicit AppUsers(Options options);

  // Reads which id an instance's directory has.
  void Load(const std::string& id, const InstanceDir& dir);
  // Whether there could be a user for the name. Errors as FindUser.
  absl::Status Check(const std::string& name) const;
  // Who an instance runs as: the user of that name, or its own of the range. nullopt: as this
  // process, which is not root. FailedPrecondition: as FindUser. Unavailable: no id is free, or it
  // could not be written down.
  absl::StatusOr<std::optional<UserIds>> Ensure(const std::string& id, const InstanceDir& dir,
                                                const std::string& name);
  // How FilesKey calls the user of an instance: the files of one that has no id yet are nobody's.
  std::string KeyOf(const std::string& id, const std::string& name) const;
  void Forget(const std::string& id) { ids_.erase(id); }

 private:
  absl::StatusOr<uint32_t> Pick();

  const Options options_;
  const bool is_root_;
  std::map<std::string, uint32_t> ids_;  // instance → its own uid
  uint32_t last_ = 0;                    // given last; 0: none yet
};

}  // namespace remuda::agent
