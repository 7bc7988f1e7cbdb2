#include "common/identity/peer.h"

#include <openssl/bn.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <cctype>

#include "common/identity/authority.h"

namespace remuda::identity {
namespace {

using NamesPtr = std::unique_ptr<GENERAL_NAMES, tls::Freer<GENERAL_NAMES_free>>;
using NumberPtr = std::unique_ptr<BIGNUM, tls::Freer<BN_free>>;

std::string SerialOf(const X509* certificate) {
  const NumberPtr number(ASN1_INTEGER_to_BN(X509_get0_serialNumber(certificate), nullptr));
  if (number == nullptr) return "";
  char* const text = BN_bn2hex(number.get());
  if (text == nullptr) return "";
  std::string out(text);
  OPENSSL_free(text);
  out.erase(0, std::min(out.find_first_not_of('0'), out.size() - 1));
  std::transform(out.begin(), out.end(), out.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return out;
}

}  // namespace

absl::Time TimeOf(const ASN1_TIME* time) {
  tm parts{};
  if (ASN1_TIME_to_tm(time, &parts) != 1) return absl::InfinitePast();
  return absl::FromTM(parts, absl::UTCTimeZone());
}

absl::StatusOr<Peer> ReadPeer(const X509* certificate) {
  // OpenSSL fills what it knows of a certificate in at the first look; the object is not shared
  // yet.
  auto* const x509 = const_cast<X509*>(certificate);
  if (X509_check_ca(x509) != 0)
    return absl::InvalidArgumentError("the certificate is an authority's, not a program's");
  const NamesPtr names(static_cast<GENERAL_NAMES*>(
      X509_get_ext_d2i(certificate, NID_subject_alt_name, nullptr, nullptr)));
  std::string uri;
  int uris = 0;
  for (int i = 0; names != nullptr && i < sk_GENERAL_NAME_num(names.get()); ++i) {
    const GENERAL_NAME* const name = sk_GENERAL_NAME_value(names.get(), i);
    if (name->type != GEN_URI) continue;
    ++uris;
    const ASN1_IA5STRING* const text = name->d.uniformResourceIdentifier;
    uri.assign(reinterpret_cast<const char*>(ASN1_STRING_get0_data(text)),
               static_cast<size_t>(ASN1_STRING_length(text)));
  }
  if (uris != 1) {
    return absl::InvalidArgumentError("the certificate has " + std::to_string(uris) +
                                      " URIs in its subjectAltName, and must have one");
  }
  auto id = ParseSpiffeId(uri);
  if (!id.ok()) return id.status();
  return Peer{.id = *std::move(id),
              .serial = SerialOf(certificate),
              .issue_time = TimeOf(X509_get0_notBefore(certificate)) + kBackdate,
              .expire_time = TimeOf(X509_get0_notAfter(certificate))};
}

absl::StatusOr<Peer> ReadPeer(std::string_view pem) {
  tls::ChainPtr chain;
  std::string error;
  constexpr size_t kMaxCertificates = 10;
  if (!tls::ReadCertificates(pem, kMaxCertificates, chain, error))
    return absl::InvalidArgumentError(error);
  return ReadPeer(sk_X509_value(chain.get(), 0));
}

absl::Time RenewalTime(const Peer& peer, double jitter) {
  const absl::Duration life = peer.expire_time - peer.issue_time;
  return peer.issue_time + life * 2 / 3 - life / 20 * jitter;
}

}  // namespace remuda::identity
