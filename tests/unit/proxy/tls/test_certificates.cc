#include "tests/unit/proxy/tls/test_certificates.h"

#include <openssl/ec.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>

#include <atomic>
#include <map>
#include <mutex>
#include <sstream>

namespace remuda::proxy::testing {
namespace {

std::shared_ptr<EVP_PKEY> KeyOf(TestKey kind, int index) {
  static std::mutex mutex;
  static std::map<std::pair<TestKey, int>, std::shared_ptr<EVP_PKEY>> keys;
  std::lock_guard lock(mutex);
  auto& key = keys[{kind, index}];
  if (key != nullptr) return key;
  EVP_PKEY* made = nullptr;
  switch (kind) {
    case TestKey::kRsa2048:
      made = EVP_RSA_gen(2048);
      break;
    case TestKey::kRsa1024:
      made = EVP_RSA_gen(1024);
      break;
    case TestKey::kP256:
      made = EVP_EC_gen("P-256");
      break;
    case TestKey::kP384:
      made = EVP_EC_gen("P-384");
      break;
    case TestKey::kEd25519:
      made = EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519");
      break;
  }
  key.reset(made, EVP_PKEY_free);
  return key;
}

std::string TextOf(BIO* bio) {
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio, &data);
  return {data, static_cast<size_t>(size)};
}

void AddExtension(X509* certificate, int nid, const std::string& value) {
  X509V3_CTX context;
  X509V3_set_ctx_nodb(&context);
  X509V3_set_ctx(&context, certificate, certificate, nullptr, nullptr, 0);
  X509_EXTENSION* const extension = X509V3_EXT_conf_nid(nullptr, &context, nid, value.c_str());
  X509_add_ext(certificate, extension, -1);
  X509_EXTENSION_free(extension);
}

}  // namespace

TestCertificate MakeCertificate(const CertificateRequest& request, const TestCertificate* issuer) {
  static std::atomic<long> serial{1000};
  TestCertificate out;
  out.key = KeyOf(request.key, request.key_index);
  out.certificate.reset(X509_new(), X509_free);
  X509* const x = out.certificate.get();
  X509_set_version(x, 2);
  ASN1_INTEGER_set(X509_get_serialNumber(x), ++serial);
  X509_gmtime_adj(X509_getm_notBefore(x), std::chrono::seconds(request.begins).count());
  X509_gmtime_adj(X509_getm_notAfter(x), std::chrono::seconds(request.ends).count());
  X509_set_pubkey(x, out.key.get());
  X509_NAME* const name = X509_get_subject_name(x);
  X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8,
                             reinterpret_cast<const unsigned char*>(request.common_name.c_str()),
                             -1, -1, 0);
  X509_set_issuer_name(x,
                       issuer == nullptr ? name : X509_get_subject_name(issuer->certificate.get()));
  std::string alternatives;
  for (const std::string& dns : request.names)
    alternatives += (alternatives.empty() ? "DNS:" : ",DNS:") + dns;
  for (const std::string& address : request.addresses)
    alternatives += (alternatives.empty() ? "IP:" : ",IP:") + address;
  if (!alternatives.empty()) AddExtension(x, NID_subject_alt_name, alternatives);
  if (request.is_authority) AddExtension(x, NID_basic_constraints, "critical,CA:TRUE");
  EVP_PKEY* const signer = issuer == nullptr ? out.key.get() : issuer->key.get();
  X509_sign(x, signer, EVP_PKEY_get_base_id(signer) == EVP_PKEY_ED25519 ? nullptr : EVP_sha256());

  const tls::BioPtr certificate(BIO_new(BIO_s_mem()));
  PEM_write_bio_X509(certificate.get(), x);
  out.pem = TextOf(certificate.get());
  const tls::BioPtr key(BIO_new(BIO_s_mem()));
  PEM_write_bio_PrivateKey(key.get(), out.key.get(), nullptr, nullptr, 0, nullptr, nullptr);
  out.key_pem = TextOf(key.get());
  return out;
}

std::string Indented(const std::string& text, int indent) {
  std::string out;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);)
    out += std::string(static_cast<size_t>(indent), ' ') + line + "\n";
  return out;
}

}  // namespace remuda::proxy::testing
