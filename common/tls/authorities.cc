#include "common/tls/authorities.h"

namespace remuda::tls {

bool ReadAuthorities(std::string_view pem, ChainPtr& out, std::string& error) {
  if (pem.size() > kMaxCaPemBytes) {
    error = std::to_string(pem.size()) + " bytes, at most " + std::to_string(kMaxCaPemBytes);
    return false;
  }
  return ReadCertificates(pem, kMaxCaCertificates, out, error);
}

}  // namespace remuda::tls
