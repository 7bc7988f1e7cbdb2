// The secrets by which apps say which instance they are: one each, made by the agent, kept in the
// instance's directory for as long as that lives.
//
// Loop thread.
#pragma once

#include <map>
#include <optional>
#include <string>

#include "agent/instance_dir.h"

namespace remuda::agent {

class InstanceTokens {
 public:
  static constexpr size_t kTokenDigits = 64;  // hexadecimal: 32 bytes

  // Takes up the token that the directory holds, if it does.
  void Load(const std::string& id, const InstanceDir& dir);
  // The instance's token, which is on disk. nullopt: it cannot be written; errno says why.
  std::optional<std::string> Ensure(const std::string& id, const InstanceDir& dir);
  void Forget(const std::string& id);

  // The instance whose token it is; empty: nobody's. How long it takes says nothing of a token.
  std::string Find(const std::string& token) const;

 private:
  std::map<std::string, std::string> tokens_;  // by id
  std::map<std::string, std::string> ids_;     // by the token's SHA-256
};

}  // namespace remuda::agent
