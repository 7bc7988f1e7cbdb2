// DenyList: whose certificates prove nothing any more, as the state's revocations and users say it;
// kept by commits, asked by those who have no state at hand.
//
// Thread: Check and RoleOf any; the rest the loop thread.
#pragma once

#include <absl/status/status.h>

#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>

#include "common/identity/peer.h"
#include "controller/core/model/state.h"

namespace remuda {

class DenyList {
 public:
  explicit DenyList(const core::State& state);

  // PERMISSION_DENIED: the certificate is revoked, or its identity was when it had been issued
  // already; a person has no user; the certificate lives longer than revocations are kept.
  absl::Status Check(const identity::Peer& peer) const;

  // Of a person's user; unspecified: there is none.
  v1::UserRole RoleOf(std::string_view user) const;

  // After a commit was applied. Answers whether somebody may be shut out now who was not before.
  bool OnCommit(const core::State& state, const core::Changes& changes);

 private:
  // Immutable once made.
  struct Lists {
    std::set<std::string, std::less<>> serials;
    std::map<std::string, absl::Time, std::less<>> identities;  // to the newest revocation's time
    std::map<std::string, v1::UserRole, std::less<>> users;
  };
  static std::shared_ptr<const Lists> Read(const core::State& state);
  std::shared_ptr<const Lists> lists() const;

  mutable std::mutex mutex_;  // guards lists_
  std::shared_ptr<const Lists> lists_;
};

}  // namespace remuda
