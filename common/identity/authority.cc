#include "common/identity/authority.h"

#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>

#include <array>

#include "common/identity/key.h"
#include "common/identity/peer.h"
#include "common/identity/verify_chain.h"
#include "common/tls/dns_name.h"

namespace remuda::identity {
namespace {

constexpr size_t kMaxChainCertificates = 10;
constexpr int kSerialBytes = 16;
constexpr long kVersion3 = 2;

using ExtensionPtr = std::unique_ptr<X509_EXTENSION, tls::Freer<X509_EXTENSION_free>>;
using NamesPtr = std::unique_ptr<GENERAL_NAMES, tls::Freer<GENERAL_NAMES_free>>;
using TimePtr = std::unique_ptr<ASN1_TIME, tls::Freer<ASN1_TIME_free>>;
using NumberPtr = std::unique_ptr<BIGNUM, tls::Freer<BN_free>>;

absl::Status Failed(const std::string& what) {
  return absl::InternalError(what + ": " + tls::TakeErrors());
}

std::shared_ptr<X509> Share(X509* certificate) {
  X509_up_ref(certificate);
  return {certificate, &X509_free};
}

absl::StatusOr<std::string> PemOf(X509* certificate) {
  const tls::BioPtr bio(BIO_new(BIO_s_mem()));
  if (bio == nullptr || PEM_write_bio_X509(bio.get(), certificate) != 1)
    return Failed("a certificate cannot be written");
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio.get(), &data);
  return std::string(data, static_cast<size_t>(size));
}

const EVP_MD* DigestFor(EVP_PKEY* key) {
  if (EVP_PKEY_is_a(key, "ED25519") == 1) return nullptr;
  return EVP_PKEY_get_bits(key) > 256 && EVP_PKEY_is_a(key, "EC") == 1 ? EVP_sha384()
                                                                       : EVP_sha256();
}

bool SetSerial(X509* certificate) {
  std::array<unsigned char, kSerialBytes> bytes{};
  if (RAND_bytes(bytes.data(), kSerialBytes) != 1) return false;
  bytes[0] = static_cast<unsigned char>((bytes[0] & 0x7f) | 0x40);  // positive, of full length
  const NumberPtr number(BN_bin2bn(bytes.data(), kSerialBytes, nullptr));
  return number != nullptr &&
         BN_to_ASN1_INTEGER(number.get(), X509_get_serialNumber(certificate)) != nullptr;
}

bool SetTimes(X509* certificate, absl::Time from, absl::Time to) {
  const TimePtr begin(ASN1_TIME_set(nullptr, absl::ToTimeT(from)));
  const TimePtr end(ASN1_TIME_set(nullptr, absl::ToTimeT(to)));
  return begin != nullptr && end != nullptr && X509_set1_notBefore(certificate, begin.get()) == 1 &&
         X509_set1_notAfter(certificate, end.get()) == 1;
}

bool SetCommonName(X509_NAME* name, const std::string& text) {
  // A common name has 64 characters at most (RFC 5280); what counts stands in subjectAltName.
  constexpr size_t kMaxCommonName = 64;
  return X509_NAME_add_entry_by_txt(
             name, "CN", MBSTRING_ASC,
             reinterpret_cast<const unsigned char*>(text.substr(0, kMaxCommonName).c_str()), -1, -1,
             0) == 1;
}

bool AddExtension(X509* certificate, X509* issuer, int nid, const char* value) {
  X509V3_CTX context;
  X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
  const ExtensionPtr extension(X509V3_EXT_conf_nid(nullptr, &context, nid, value));
  return extension != nullptr && X509_add_ext(certificate, extension.get(), -1) == 1;
}

bool AddName(GENERAL_NAMES* names, int type, const std::string& text) {
  // What is a name must not be read as an option of a name ("email:copy"): built, not parsed.
  GENERAL_NAME* const name = GENERAL_NAME_new();
  if (name == nullptr) return false;
  ASN1_STRING* value = nullptr;
  if (type == GEN_IPADD) {
    value = a2i_IPADDRESS(text.c_str());
  } else {
    value = ASN1_IA5STRING_new();
    if (value != nullptr &&
        ASN1_STRING_set(value, text.data(), static_cast<int>(text.size())) != 1) {
      ASN1_STRING_free(value);
      value = nullptr;
    }
  }
  if (value == nullptr || sk_GENERAL_NAME_push(names, name) == 0) {
    ASN1_STRING_free(value);
    GENERAL_NAME_free(name);
    return false;
  }
  GENERAL_NAME_set0_value(name, type, value);
  return true;
}

absl::Status AddNames(X509* certificate, const IssueRequest& request) {
  if (request.dns_names.size() + request.addresses.size() > kMaxNames)
    return absl::InvalidArgumentError("more than " + std::to_string(kMaxNames) +
                                      " names and addresses for one certificate");
  const NamesPtr names(sk_GENERAL_NAME_new_null());
  if (names == nullptr || !AddName(names.get(), GEN_URI, Text(request.id)))
    return Failed("names cannot be put into a certificate");
  for (const std::string& name : request.dns_names) {
    std::string normal;
    if (!tls::NormalizeDnsName(name, false, normal))
      return absl::InvalidArgumentError("'" + name + "' is no DNS name");
    if (!AddName(names.get(), GEN_DNS, normal))
      return Failed("names cannot be put into a certificate");
  }
  for (const std::string& address : request.addresses) {
    if (!AddName(names.get(), GEN_IPADD, address)) {
      tls::TakeErrors();
      return absl::InvalidArgumentError("'" + address + "' is no IPv4 or IPv6 address");
    }
  }
  if (X509_add1_ext_i2d(certificate, NID_subject_alt_name, names.get(), 0, X509V3_ADD_DEFAULT) != 1)
    return Failed("names cannot be put into a certificate");
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<Authority> Authority::Make(std::string_view cluster, absl::Time now) {
  auto key = MakeKey();
  if (!key.ok()) return key.status();
  const tls::X509Ptr certificate(X509_new());
  X509* const x509 = certificate.get();
  const NamesPtr names(sk_GENERAL_NAME_new_null());
  if (x509 == nullptr || names == nullptr || X509_set_version(x509, kVersion3) != 1 ||
      !SetSerial(x509) || !SetTimes(x509, now - kBackdate, now + kAuthorityLifetime) ||
      !SetCommonName(X509_get_subject_name(x509), "Remuda " + std::string(cluster)) ||
      X509_set_issuer_name(x509, X509_get_subject_name(x509)) != 1 ||
      X509_set_pubkey(x509, key->get()) != 1 ||
      !AddName(names.get(), GEN_URI, "spiffe://" + std::string(cluster)) ||
      X509_add1_ext_i2d(x509, NID_subject_alt_name, names.get(), 0, X509V3_ADD_DEFAULT) != 1 ||
      !AddExtension(x509, x509, NID_basic_constraints, "critical,CA:TRUE") ||
      !AddExtension(x509, x509, NID_key_usage, "critical,keyCertSign,cRLSign") ||
      !AddExtension(x509, x509, NID_subject_key_identifier, "hash") ||
      X509_sign(x509, key->get(), DigestFor(key->get())) == 0)
    return Failed("an authority's certificate cannot be made");
  auto pem = PemOf(x509);
  if (!pem.ok()) return pem.status();
  auto key_pem = identity::KeyPem(key->get());
  if (!key_pem.ok()) return key_pem.status();
  return Load(*pem, *key_pem);
}

absl::StatusOr<Authority> Authority::Load(std::string_view certificates_pem,
                                          std::string_view key_pem) {
  tls::ChainPtr chain;
  std::string error;
  if (!tls::ReadCertificates(certificates_pem, kMaxChainCertificates, chain, error))
    return absl::InvalidArgumentError("the authority's certificates: " + error);
  auto key = ReadKey(key_pem);
  if (!key.ok())
    return absl::InvalidArgumentError("the authority's key: " +
                                      std::string(key.status().message()));
  const int count = sk_X509_num(chain.get());
  X509* const first = sk_X509_value(chain.get(), 0);
  X509* const root = sk_X509_value(chain.get(), count - 1);
  if (X509_check_private_key(first, key->get()) != 1) {
    tls::TakeErrors();
    return absl::InvalidArgumentError(
        "the authority's key is not that of the first of its certificates");
  }
  for (int i = 0; i < count; ++i) {
    X509* const one = sk_X509_value(chain.get(), i);
    X509* const above = sk_X509_value(chain.get(), std::min(i + 1, count - 1));
    const std::string which = "certificate " + std::to_string(i + 1) + " of the authority ";
    if (X509_check_ca(one) != 1)
      return absl::InvalidArgumentError(which + "is none of an authority (CA:TRUE)");
    if (X509_check_issued(above, one) != X509_V_OK ||
        X509_verify(one, X509_get0_pubkey(above)) != 1) {
      tls::TakeErrors();
      return absl::InvalidArgumentError(
          which + (one == root
                       ? "is the last and not a root (signed by itself): put the root at the end"
                       : "is not signed by the one after it"));
    }
  }
  Authority authority;
  authority.certificate_ = Share(first);
  authority.key_ = std::shared_ptr<EVP_PKEY>(key->release(), &EVP_PKEY_free);
  authority.expire_time_ = absl::InfiniteFuture();
  for (int i = 0; i < count; ++i) {
    X509* const one = sk_X509_value(chain.get(), i);
    auto pem = PemOf(one);
    if (!pem.ok()) return pem.status();
    authority.certificates_pem_ += *pem;
    (one == root ? authority.bundle_pem_ : authority.chain_pem_) += *pem;
    authority.expire_time_ = std::min(authority.expire_time_, TimeOf(X509_get0_notAfter(one)));
  }
  return authority;
}

absl::StatusOr<std::string> Authority::Issue(EVP_PKEY* key, const IssueRequest& request) const {
  if (auto checked = ParseSpiffeId(Text(request.id)); !checked.ok()) return checked.status();
  if (request.now >= expire_time_) {
    return absl::FailedPreconditionError("the authority's certificate ended at " +
                                         absl::FormatTime(expire_time_, absl::UTCTimeZone()));
  }
  const tls::X509Ptr certificate(X509_new());
  X509* const x509 = certificate.get();
  const bool is_server = request.id.role == v1::IDENTITY_ROLE_CONTROLLER;
  if (x509 == nullptr || X509_set_version(x509, kVersion3) != 1 || !SetSerial(x509) ||
      !SetTimes(x509, request.now - kBackdate,
                std::min(request.now + request.lifetime, expire_time_)) ||
      !SetCommonName(X509_get_subject_name(x509), ActorText(request.id)) ||
      X509_set_issuer_name(x509, X509_get_subject_name(certificate_.get())) != 1 ||
      X509_set_pubkey(x509, key) != 1 ||
      !AddExtension(x509, certificate_.get(), NID_basic_constraints, "critical,CA:FALSE") ||
      !AddExtension(x509, certificate_.get(), NID_key_usage, "critical,digitalSignature") ||
      !AddExtension(x509, certificate_.get(), NID_ext_key_usage,
                    is_server ? "serverAuth,clientAuth" : "clientAuth"))
    return Failed("a certificate cannot be made");
  if (absl::Status status = AddNames(x509, request); !status.ok()) return status;
  // A given authority may have no key identifier: then there is none to point at.
  if (X509_get0_subject_key_id(certificate_.get()) != nullptr &&
      !AddExtension(x509, certificate_.get(), NID_authority_key_identifier, "keyid"))
    return Failed("a certificate cannot be made");
  if (X509_sign(x509, key_.get(), DigestFor(key_.get())) == 0)
    return Failed("a certificate cannot be signed");
  auto pem = PemOf(x509);
  if (!pem.ok()) return pem.status();
  return *pem + chain_pem_;
}

absl::StatusOr<std::string> Authority::KeyPem() const { return identity::KeyPem(key_.get()); }

std::string PinOf(const X509* certificate) {
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned int size = 0;
  X509_digest(certificate, EVP_sha256(), digest.data(), &size);
  static const char kDigits[] = "0123456789abcdef";
  std::string out = "sha256:";
  for (unsigned int i = 0; i < size; ++i) {
    out += kDigits[digest[i] >> 4];
    out += kDigits[digest[i] & 15];
  }
  return out;
}

absl::StatusOr<std::string> PinOf(std::string_view pem) {
  tls::ChainPtr chain;
  std::string error;
  if (!tls::ReadCertificates(pem, kMaxChainLength, chain, error))
    return absl::InvalidArgumentError(error);
  return PinOf(sk_X509_value(chain.get(), 0));
}

}  // namespace remuda::identity
