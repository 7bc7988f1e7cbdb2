#include "controller/certificate_reader.h"

#include "common/tls/authorities.h"
#include "common/tls/certificate.h"

namespace remuda {

core::CertificateFacts ReadCertificate(std::string_view certificate_pem,
                                       std::string_view private_key_pem) {
  core::CertificateFacts facts;
  tls::CertificateParser parser;
  const auto result = parser.Parse(
      {.id = {}, .certificate_pem = certificate_pem, .private_key_pem = private_key_pem});
  if (const auto* error = std::get_if<std::string>(&result)) {
    // "FIELD: what is wrong".
    const size_t colon = error->find(": ");
    facts.fault_field = colon == std::string::npos ? "certificate_pem" : error->substr(0, colon);
    facts.fault = colon == std::string::npos ? *error : error->substr(colon + 2);
    return facts;
  }
  const auto& certificate = *std::get<std::shared_ptr<const tls::Certificate>>(result);
  facts.dns_names = certificate.dns_names();
  facts.expires = absl::FromChrono(certificate.not_after());
  return facts;
}

std::string FaultOfAuthorities(std::string_view ca_pem) {
  tls::ChainPtr authorities;
  std::string error;
  return tls::ReadAuthorities(ca_pem, authorities, error) ? std::string() : error;
}

}  // namespace remuda
