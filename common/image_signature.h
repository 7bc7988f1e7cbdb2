// Signatures of images: Ed25519 over the text `remuda-image-v1`, a newline and the image's digest.
//
// Keys are PEM files as `openssl genpkey -algorithm ed25519` and `openssl pkey -pubout` make them.
// Any thread. A private key is never in an error.
#pragma once

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <map>
#include <string>
#include <utility>
#include <vector>

namespace remuda {

struct SignedDigest {
  std::string key_id;     // `ed25519:` and 16 hex digits, as ImageSignature.key_id
  std::string signature;  // 64 bytes
};

// The public keys that are trusted.
class ImageKeys {
 public:
  static constexpr size_t kMaxKeys = 100;
  static constexpr size_t kMaxFileBytes = size_t{256} * 1024;

  // One or more public keys, one after another. InvalidArgument: the file cannot be read, or holds
  // something else.
  static absl::StatusOr<ImageKeys> Load(const std::string& path);

  bool empty() const { return keys_.empty(); }
  // OK if one of the signatures is a trusted key's and right. FailedPrecondition: none is, and why.
  absl::Status Check(const std::string& digest, const std::vector<SignedDigest>& signatures) const;

 private:
  std::map<std::string, std::string> keys_;  // key id → raw public key
};

// Signs with the private key in the file. InvalidArgument: it holds none.
absl::StatusOr<SignedDigest> SignDigest(const std::string& key_path, const std::string& digest);

// Makes a key pair: the private one into the new file `path` (mode 0600), the public one into
// `path`.pub. Answers the key's id. AlreadyExists: there is such a file.
absl::StatusOr<std::string> MakeImageKey(const std::string& path);

}  // namespace remuda
