#include "agent/instance_tokens.h"

#include <cerrno>

#include "agent/record_file.h"
#include "common/random_bytes.h"
#include "common/sha256.h"

namespace remuda::agent {
namespace {

bool IsSame(const std::string& a, const std::string& b) {
  if (a.size() != b.size()) return false;
  unsigned char different = 0;
  for (size_t i = 0; i < a.size(); ++i)
    different = static_cast<unsigned char>(different | (a[i] ^ b[i]));
  return different == 0;
}

}  // namespace

void InstanceTokens::Load(const std::string& id, const InstanceDir& dir) {
  const auto token = ReadWholeFile(dir.Token());
  if (!token || token->size() != kTokenDigits) return;
  tokens_[id] = *token;
  ids_[Sha256Hex(*token)] = id;
}

std::optional<std::string> InstanceTokens::Ensure(const std::string& id, const InstanceDir& dir) {
  if (tokens_.count(id) == 0) Load(id, dir);
  if (const auto it = tokens_.find(id); it != tokens_.end()) return it->second;
  const std::string token = RandomHex(kTokenDigits);
  if (const int error = WriteFileAtomically(dir.Token(), token, /*sync=*/false, 0600); error != 0) {
    errno = error;
    return std::nullopt;
  }
  Load(id, dir);
  return token;
}

void InstanceTokens::Forget(const std::string& id) {
  const auto it = tokens_.find(id);
  if (it == tokens_.end()) return;
  ids_.erase(Sha256Hex(it->second));
  tokens_.erase(it);
}

std::string InstanceTokens::Find(const std::string& token) const {
  // By its hash: what a guess has in common with a token cannot be told from the search's time.
  const auto it = ids_.find(Sha256Hex(token));
  if (it == ids_.end() || !IsSame(tokens_.at(it->second), token)) return {};
  return it->second;
}

}  // namespace remuda::agent
