#include "tests/unit/controller/identity/test_authorities.h"

#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <stdexcept>

#include "common/identity/identity_files.h"
#include "common/identity/key.h"

namespace remuda::identity {

GivenAuthority MakeIntermediate(const Authority& root, absl::Time now) {
  const tls::KeyPtr root_key = *ReadKey(*root.KeyPem());
  tls::ChainPtr above;
  std::string error;
  if (!tls::ReadCertificates(root.bundle_pem(), 1, above, error)) throw std::runtime_error(error);
  X509* const issuer = sk_X509_value(above.get(), 0);
  const tls::KeyPtr key = *MakeKey();
  const tls::X509Ptr made(X509_new());
  X509_set_version(made.get(), 2);
  ASN1_INTEGER_set(X509_get_serialNumber(made.get()), 7);
  ASN1_TIME_set(X509_getm_notBefore(made.get()), absl::ToTimeT(now - absl::Hours(1)));
  ASN1_TIME_set(X509_getm_notAfter(made.get()), absl::ToTimeT(now + absl::Hours(24 * 30)));
  X509_NAME_add_entry_by_txt(X509_get_subject_name(made.get()), "CN", MBSTRING_ASC,
                             reinterpret_cast<const unsigned char*>("intermediate"), -1, -1, 0);
  X509_set_issuer_name(made.get(), X509_get_subject_name(issuer));
  X509_set_pubkey(made.get(), key.get());
  X509V3_CTX context;
  X509V3_set_ctx(&context, issuer, made.get(), nullptr, nullptr, 0);
  for (const auto& [nid, value] : {std::pair{NID_basic_constraints, "critical,CA:TRUE"},
                                   std::pair{NID_key_usage, "critical,keyCertSign"},
                                   std::pair{NID_subject_key_identifier, "hash"}}) {
    X509_EXTENSION* const extension = X509V3_EXT_conf_nid(nullptr, &context, nid, value);
    X509_add_ext(made.get(), extension, -1);
    X509_EXTENSION_free(extension);
  }
  if (X509_sign(made.get(), root_key.get(), EVP_sha256()) == 0)
    throw std::runtime_error(tls::TakeErrors());
  const tls::BioPtr bio(BIO_new(BIO_s_mem()));
  PEM_write_bio_X509(bio.get(), made.get());
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio.get(), &data);
  return {.certificates_pem = std::string(data, static_cast<size_t>(size)) + root.bundle_pem(),
          .key_pem = *KeyPem(key.get())};
}

void WriteFile(const std::string& path, const std::string& bytes) {
  const absl::Status status = WritePrivateFile(path, bytes);
  if (!status.ok()) throw std::runtime_error(std::string(status.message()));
}

}  // namespace remuda::identity
