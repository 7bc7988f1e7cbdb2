// Contexts: which clusters a person knows, who they are there, and where they are now; as kubectl
// keeps them, in the settings file:
//
//   current-context: ann@10.0.0.1
//   contexts:  [{name, cluster, user}]
//   clusters:  [{name, controller, join, pin}]
//   users:     [{name, identity-dir}]
//
// Pure, but for the two that name a file. Any thread.
#pragma once

#include <absl/status/statusor.h>

#include <string>
#include <vector>

#include "common/yaml_tree.h"

namespace remuda::cli {

inline constexpr size_t kMaxContexts = 1000;

struct ContextCluster {
  std::string name;
  std::string controller;  // HOST:PORT of the API; of several with commas between
  std::string join = {};   // HOST:PORT where one logs in
  std::string pin = {};
};
struct ContextUser {
  std::string name;
  std::string identity_dir;
};
struct NamedContext {
  std::string name;
  std::string cluster;  // a ContextCluster's name
  std::string user;     // a ContextUser's name
};

struct Contexts {
  std::string current;  // empty: none
  std::vector<NamedContext> contexts;
  std::vector<ContextCluster> clusters;
  std::vector<ContextUser> users;
  // What the file holds besides, in its order: controller, timeout and so on.
  std::vector<std::pair<std::string, std::string>> settings;

  // Null: there is none of that name.
  const NamedContext* Find(const std::string& name) const;
  const ContextCluster* FindCluster(const std::string& name) const;
  const ContextUser* FindUser(const std::string& name) const;

  // Puts a context with a cluster and a user of its own name in the place of what has that name.
  void Put(const std::string& name, const ContextCluster& cluster, const ContextUser& user);
  // Takes it away, with its cluster and its user if no other context has them. False: there is
  // none.
  bool Remove(const std::string& name);
  // False: there is none, or `to` is taken.
  bool Rename(const std::string& name, const std::string& to);
};

// Of a settings file's text. INVALID_ARGUMENT: "FILE:LINE:COLUMN: what is wrong".
absl::StatusOr<Contexts> ParseContexts(const std::string& text, const std::string& path);
// The file's text: what was not known when it was read is not in it, and no comments are.
std::string PrintContexts(const Contexts& contexts);

// Those of a file; none if it is not there.
absl::StatusOr<Contexts> LoadContexts(const std::string& path);
// Writes the file as a whole, 0600, and makes its directory (0700).
absl::Status SaveContexts(const std::string& path, const Contexts& contexts);

// Letters, digits and `.-_@`, at most 128.
bool IsContextName(const std::string& name);

}  // namespace remuda::cli
