#include "proxy/tls/client_fields.h"

#include <openssl/bn.h>
#include <openssl/err.h>
#include <openssl/pem.h>

#include <ctime>
#include <string_view>

namespace remuda::proxy::tls {
namespace {

std::string_view TextOf(BIO* bio) {
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio, &data);
  return {data, static_cast<size_t>(size)};
}

// As AWS: `+`, `=` and `/` stay, what is not safe in a URL becomes %XX.
std::string UrlEncode(std::string_view text) {
  constexpr std::string_view kHex = "0123456789ABCDEF";
  constexpr std::string_view kSafe = "-_.~+=/";
  std::string out;
  out.reserve(text.size() + text.size() / 8);
  for (const char c : text) {
    const bool is_alnum =
        (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
    if (is_alnum || kSafe.find(c) != std::string_view::npos) {
      out += c;
    } else {
      const auto byte = static_cast<unsigned char>(c);
      out += '%';
      out += kHex[byte >> 4];
      out += kHex[byte & 15];
    }
  }
  return out;
}

std::string Pem(const X509* certificate) {
  const BioPtr bio(BIO_new(BIO_s_mem()));
  PEM_write_bio_X509(bio.get(), certificate);
  return UrlEncode(TextOf(bio.get()));
}

// RFC 2253 with everything beyond printable ASCII escaped by OpenSSL: safe in a header.
std::string Name(const X509_NAME* name) {
  const BioPtr bio(BIO_new(BIO_s_mem()));
  X509_NAME_print_ex(bio.get(), name, 0, XN_FLAG_RFC2253);
  return std::string(TextOf(bio.get()));
}

std::string Serial(const X509* certificate) {
  BIGNUM* const number = ASN1_INTEGER_to_BN(X509_get0_serialNumber(certificate), nullptr);
  char* const hex = BN_bn2hex(number);
  std::string out = hex == nullptr ? "" : hex;
  OPENSSL_free(hex);
  BN_free(number);
  return out;
}

std::string Time(const ASN1_TIME* time) {
  std::tm fields{};
  char text[32];
  if (ASN1_TIME_to_tm(time, &fields) != 1) return {};
  return {text, std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &fields)};
}

}  // namespace

bool HasClientExpired(const SSL* ssl) {
  const X509* const leaf = SSL_get0_peer_certificate(ssl);
  return leaf != nullptr && X509_cmp_current_time(X509_get0_notAfter(leaf)) <= 0;
}

std::string ClientFields(SSL* ssl, ClientCertificates mode) {
  const X509* const leaf = SSL_get0_peer_certificate(ssl);
  if (leaf == nullptr || mode == ClientCertificates::kOff) return {};
  constexpr std::string_view kPrefix = "X-Amzn-Mtls-Clientcert";
  std::string out;
  const auto add = [&](std::string_view suffix, const std::string& value) {
    out.append(kPrefix).append(suffix).append(": ").append(value).append("\r\n");
  };
  if (mode == ClientCertificates::kPassthrough) {
    // The leaf, whose key the client has, before what it sent along, which may be anybody's: a
    // server's chain of its peer is without the leaf, and a resumed session knows only that.
    std::string chain = Pem(leaf);
    const STACK_OF(X509)* const others = SSL_get_peer_cert_chain(ssl);
    for (int i = 0; i < sk_X509_num(others); ++i) chain += Pem(sk_X509_value(others, i));
    add("", chain);
  } else {
    add("-Serial-Number", Serial(leaf));
    add("-Issuer", Name(X509_get_issuer_name(leaf)));
    add("-Subject", Name(X509_get_subject_name(leaf)));
    add("-Validity", "NotBefore=" + Time(X509_get0_notBefore(leaf)) +
                         ";NotAfter=" + Time(X509_get0_notAfter(leaf)));
    add("-Leaf", Pem(leaf));
  }
  ERR_clear_error();
  return out.size() <= kMaxClientFieldsBytes ? out : std::string();
}

}  // namespace remuda::proxy::tls
