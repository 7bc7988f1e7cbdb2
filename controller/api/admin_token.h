// AdminToken: how the first person gets in. As long as none has, the controller keeps a token for
// the user `admin` in a file that only its own user can read, made anew at each start.
//
// Owns: DATA_DIR/admin-token, and DATA_DIR/identity/admin-joined, which says that it was used.
// Thread: Offer the main one, with the loop running; NoteJoined any.
#pragma once

#include <absl/status/status.h>
#include <absl/time/time.h>

#include <string>

#include "controller/api/controller.h"
#include "controller/identity/cluster_identity.h"

namespace remuda {

class AdminToken {
 public:
  static constexpr absl::Duration kLife = absl::Hours(24);
  static constexpr char kUser[] = "admin";

  // Where the token is.
  static std::string PathIn(const std::string& data_directory) {
    return data_directory + "/admin-token";
  }

  // `is_shared`: the store has several controllers, of which the first to lead makes the token.
  AdminToken(const std::string& data_directory, bool is_shared)
      : path_(PathIn(data_directory)),
        marker_(data_directory + "/identity/admin-joined"),
        is_shared_(is_shared) {}

  // Makes the token where it is needed, or `is_wanted` (--new-admin-token) says so, and its user if
  // that is not there; says in the log how to use it. Errors name the file, or are the store's.
  absl::Status Offer(Controller& controller, const ClusterIdentity& identity, bool is_wanted);

  // Who joined: "person/alice".
  void NoteJoined(const std::string& actor);

 private:
  // Of a store that is shared: whether the first admin is in already, or is let in by another one.
  bool IsAnothersToOffer(Controller& controller);

  const std::string path_;
  const std::string marker_;
  const bool is_shared_;
};

}  // namespace remuda
