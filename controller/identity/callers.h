// Callers: which connection is whose. gRPC names a call's connection by a text (its peer); the gate
// gave each connection that text, and says here who is behind it.
//
// Thread: any.
#pragma once

#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>

#include "controller/identity/caller.h"

namespace remuda {

class Callers {
 public:
  // `has_identities` false: every connection is a local caller, and none is noted.
  explicit Callers(bool has_identities) : has_identities_(has_identities) {}

  bool has_identities() const { return has_identities_; }
  // Null: nobody that is known. `peer` as gRPC has it (ServerContext::peer).
  CallerPtr Find(const std::string& peer) const;
  // "ADDRESS:PORT" behind gRPC's name of a connection, for logs and activities; where none is noted
  // the name itself.
  std::string AddressOf(const std::string& peer) const;

  // The gate's.
  void Add(const std::string& peer, CallerPtr caller);
  void Remove(const std::string& peer);

 private:
  const bool has_identities_;
  mutable std::mutex mutex_;
  std::unordered_map<std::string, CallerPtr> callers_;
};

}  // namespace remuda
