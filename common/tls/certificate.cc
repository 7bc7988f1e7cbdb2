#include "common/tls/certificate.h"

#include <openssl/crypto.h>
#include <openssl/decoder.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <ctime>

namespace remuda::tls {
namespace {

int LeafIndex() {
  static const int index = X509_get_ex_new_index(0, nullptr, nullptr, nullptr, nullptr);
  return index;
}

std::chrono::system_clock::time_point ToTime(const ASN1_TIME* time) {
  std::tm fields{};
  if (ASN1_TIME_to_tm(time, &fields) != 1) return {};
  return std::chrono::system_clock::from_time_t(timegm(&fields));
}

std::string_view TextOf(const ASN1_STRING* text) {
  return {reinterpret_cast<const char*>(ASN1_STRING_get0_data(text)),
          static_cast<size_t>(ASN1_STRING_length(text))};
}

// Names that are no DNS names (an address, a NUL inside) are left out: nobody can ask for them.
void TakeName(const ASN1_STRING* text, std::vector<std::string>& out) {
  std::string name;
  if (NormalizeDnsName(TextOf(text), true, name) &&
      std::find(out.begin(), out.end(), name) == out.end()) {
    out.push_back(std::move(name));
  }
}

std::vector<std::string> NamesOf(X509* leaf) {
  std::vector<std::string> names;
  auto* const alternatives =
      static_cast<GENERAL_NAMES*>(X509_get_ext_d2i(leaf, NID_subject_alt_name, nullptr, nullptr));
  if (alternatives != nullptr) {
    for (int i = 0; i < sk_GENERAL_NAME_num(alternatives) && names.size() < kMaxDnsNames; ++i) {
      const GENERAL_NAME* name = sk_GENERAL_NAME_value(alternatives, i);
      if (name->type == GEN_DNS) TakeName(name->d.dNSName, names);
    }
    GENERAL_NAMES_free(alternatives);
    return names;
  }
  const X509_NAME* subject = X509_get_subject_name(leaf);
  const int at = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);
  if (at >= 0) TakeName(X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at)), names);
  return names;
}

int NoPassword(char* /*out*/, int /*size*/, int /*writing*/, void* was_asked) {
  *static_cast<bool*>(was_asked) = true;
  return -1;
}

// Empty: fine.
std::string CheckKey(const EVP_PKEY* key, KeyKind& kind) {
  const int bits = EVP_PKEY_get_bits(key);
  switch (EVP_PKEY_get_base_id(key)) {
    case EVP_PKEY_RSA:
      kind = KeyKind::kRsa;
      if (bits >= kMinRsaBits && bits <= kMaxRsaBits) return {};
      return "private_key_pem: RSA of " + std::to_string(bits) + " bits is not within " +
             std::to_string(kMinRsaBits) + "-" + std::to_string(kMaxRsaBits);
    case EVP_PKEY_EC:
      kind = KeyKind::kEcdsa;
      if (bits == 256 || bits == 384 || bits == 521) return {};
      return "private_key_pem: the curve is none of P-256, P-384, P-521";
    default:
      return "private_key_pem: the key is neither RSA nor ECDSA";
  }
}

}  // namespace

bool Certificate::Use(SSL* ssl) const {
  if (SSL_use_cert_and_key(ssl, leaf_.get(), key_.get(), chain_.get(), 1) == 1) return true;
  ERR_clear_error();
  return false;
}

bool Certificate::Use(SSL_CTX* context) const {
  if (SSL_CTX_use_cert_and_key(context, leaf_.get(), key_.get(), chain_.get(), 1) == 1) return true;
  ERR_clear_error();
  return false;
}

const Certificate* Certificate::Of(const X509* leaf) {
  return leaf == nullptr ? nullptr
                         : static_cast<const Certificate*>(X509_get_ex_data(leaf, LeafIndex()));
}

// Decodes keys of one kind in one wrapping, one after the other.
struct CertificateParser::Decoder {
  Decoder(std::string kind_name, const char* structure_name)
      : kind(std::move(kind_name)),
        structure(structure_name),
        context(OSSL_DECODER_CTX_new_for_pkey(&key, "DER", structure, kind.c_str(),
                                              EVP_PKEY_KEYPAIR, nullptr, nullptr)) {}

  KeyPtr Decode(const unsigned char* data, size_t size) {
    key = nullptr;
    if (context == nullptr || OSSL_DECODER_from_data(context.get(), &data, &size) != 1)
      return nullptr;
    return KeyPtr(key);
  }

  const std::string kind;
  const char* const structure;
  EVP_PKEY* key = nullptr;  // where the context puts what it decoded
  const std::unique_ptr<OSSL_DECODER_CTX, Freer<OSSL_DECODER_CTX_free>> context;
};

CertificateParser::CertificateParser() : trial_(SSL_CTX_new(TLS_server_method())) {}
CertificateParser::~CertificateParser() = default;

// The fast way, for plain keys in the common forms. Null: ask the slow one, or for what is wrong.
KeyPtr CertificateParser::DecodeKey(std::string_view pem, X509* leaf) {
  const EVP_PKEY* const shown = X509_get0_pubkey(leaf);
  const char* const kind = shown == nullptr ? nullptr : EVP_PKEY_get0_type_name(shown);
  char* name = nullptr;
  char* header = nullptr;
  unsigned char* data = nullptr;
  long size = 0;
  if (kind == nullptr || PEM_read_bio(ReadOnly(pem).get(), &name, &header, &data, &size) != 1)
    return nullptr;
  const std::string_view label = name;
  const bool is_encrypted = header[0] != '\0';
  const char* structure = nullptr;
  if (label == "PRIVATE KEY") structure = "PrivateKeyInfo";
  if (label == "RSA PRIVATE KEY" || label == "EC PRIVATE KEY") structure = "type-specific";
  KeyPtr key;
  if (structure != nullptr && !is_encrypted) {
    auto it = std::find_if(decoders_.begin(), decoders_.end(), [&](const auto& decoder) {
      return decoder->kind == kind && decoder->structure == std::string_view(structure);
    });
    if (it == decoders_.end())
      it = decoders_.insert(it, std::make_unique<Decoder>(kind, structure));
    key = (*it)->Decode(data, static_cast<size_t>(size));
  }
  OPENSSL_free(name);
  OPENSSL_free(header);
  OPENSSL_clear_free(data, static_cast<size_t>(size));
  return key;
}

bool CertificateParser::ReadKey(std::string_view pem, X509* leaf, KeyPtr& out, std::string& error) {
  out = DecodeKey(pem, leaf);
  ERR_clear_error();
  if (out != nullptr) return true;
  bool is_encrypted = false;
  out.reset(PEM_read_bio_PrivateKey(ReadOnly(pem).get(), nullptr, NoPassword, &is_encrypted));
  const std::string reason = TakeErrors();  // also of decoders that were tried in vain
  if (out != nullptr) return true;
  error = is_encrypted ? "the key is encrypted; only a plain one is taken"
                       : "cannot be read: " + reason;
  return false;
}

std::variant<std::shared_ptr<const Certificate>, std::string> CertificateParser::Parse(
    const CertificateSource& source) {
  if (source.certificate_pem.size() > kMaxCertificatePemBytes) {
    return "certificate_pem: " + std::to_string(source.certificate_pem.size()) +
           " bytes, at most " + std::to_string(kMaxCertificatePemBytes);
  }
  if (source.private_key_pem.size() > kMaxKeyPemBytes) {
    return "private_key_pem: " + std::to_string(source.private_key_pem.size()) +
           " bytes, at most " + std::to_string(kMaxKeyPemBytes);
  }
  const std::shared_ptr<Certificate> out(new Certificate());
  out->id_ = source.id;
  std::string error;
  if (!ReadCertificates(source.certificate_pem, kMaxChainCertificates, out->chain_, error))
    return "certificate_pem: " + error;
  out->leaf_.reset(sk_X509_shift(out->chain_.get()));

  std::string key_pem = WithoutByteOrderMarks(source.private_key_pem);
  const bool has_key = ReadKey(key_pem, out->leaf_.get(), out->key_, error);
  OPENSSL_cleanse(key_pem.data(), key_pem.size());
  if (!has_key) return "private_key_pem: " + error;
  if (error = CheckKey(out->key_.get(), out->kind_); !error.empty()) return error;
  if (X509_check_private_key(out->leaf_.get(), out->key_.get()) != 1) {
    ERR_clear_error();
    return std::string("private_key_pem: is not the key of the first certificate");
  }
  if (SSL_CTX_use_cert_and_key(trial_.get(), out->leaf_.get(), out->key_.get(), out->chain_.get(),
                               1) != 1) {
    return "certificate_pem: refused by OpenSSL: " + TakeErrors();
  }
  out->not_before_ = ToTime(X509_get0_notBefore(out->leaf_.get()));
  out->not_after_ = ToTime(X509_get0_notAfter(out->leaf_.get()));
  out->dns_names_ = NamesOf(out->leaf_.get());
  ERR_clear_error();
  X509_set_ex_data(out->leaf_.get(), LeafIndex(), out.get());
  return std::shared_ptr<const Certificate>(out);
}

}  // namespace remuda::tls
