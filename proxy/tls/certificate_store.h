// The certificates of one listener, found by the name that a client asks for. Immutable, shared by
// all threads; no I/O.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "proxy/tls/openssl.h"

namespace remuda::proxy::tls {

class CertificateStore {
 public:
  // What is shown for one name: at most one of each kind, so that the client's signature
  // algorithms can decide.
  struct Entry {
    const Certificate* rsa = nullptr;
    const Certificate* ecdsa = nullptr;
    bool operator==(const Entry&) const = default;
  };

  // In the listener's order, at least one. Of two of a kind for one name the first counts.
  explicit CertificateStore(std::vector<std::shared_ptr<const Certificate>> certificates);

  // For a name as it came (any case, maybe with a dot at the end): the exact name, else `*.` for
  // its first label, else the default. Allocates nothing.
  const Entry& Find(std::string_view server_name) const;
  // The listener's first certificate, with one of the other kind for the same name if there is one.
  const Entry& fallback() const { return fallback_; }
  size_t size() const { return certificates_.size(); }

 private:
  const std::vector<std::shared_ptr<const Certificate>> certificates_;
  // Keys are views into the certificates' names; wildcards are kept without their `*`.
  std::unordered_map<std::string_view, Entry> exact_;
  std::unordered_map<std::string_view, Entry> wildcard_;
  Entry fallback_;
};

}  // namespace remuda::proxy::tls
