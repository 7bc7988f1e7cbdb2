// Sealer: bytes that only who has the key can read or change: AES-256-GCM.
//
// Owns: the form of sealed bytes and the keys for it. Does not own: which rows are sealed
// (sealed_kinds.h), the key file (sealing_keys.h). Each Sealer seals under a key of its own, made
// of the file's and 16 random bytes that stand with what is sealed, so that counted nonces never
// meet. What is sealed is bound to its place: put elsewhere in the store it does not open. An older
// value of the same place does: that is not defended. Thread: any one at a time.
#pragma once

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "controller/store/sealing_keys.h"

namespace remuda {

// Names a key without telling it: 16 hexadecimal digits.
std::string SealingKeyId(std::string_view key);

class Sealer {
 public:
  explicit Sealer(const SealingKeys& keys);

  // Whether these are sealed bytes; no serialized message is taken for them, as those never begin
  // with a NUL byte.
  static bool IsSealed(std::string_view bytes);
  // Id of the key under which they are. Only of sealed bytes.
  static std::string KeyIdOf(std::string_view sealed);

  // `place` names where the bytes are kept.
  std::string Seal(std::string_view place, std::string_view plain);
  // FAILED_PRECONDITION: another key is needed (named, with the file that lacks it). DATA_LOSS:
  // they were changed, or sealed for another place.
  absl::StatusOr<std::string> Open(std::string_view place, std::string_view sealed);

  // Whether they are sealed under the first key.
  bool IsCurrent(std::string_view sealed) const;
  // Id of the first key.
  std::string current_id() const { return SealingKeyId(keys_.front()); }
  const std::string& file() const { return file_; }

 private:
  const std::string file_;
  std::vector<std::string> keys_;  // as in the file
  std::vector<std::string> ids_;   // of each, as 8 bytes
  std::string salt_;
  std::string key_;  // of the first and salt_
  uint64_t sealed_ = 0;
  std::map<std::string, std::string, std::less<>> opening_;  // by id and salt; bounded
};

}  // namespace remuda
