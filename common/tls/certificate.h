// One certificate with its chain and key, parsed and checked. No I/O.
//
// Thread: a Certificate is immutable and shared by all; a CertificateParser belongs to one thread.
#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "common/tls/dns_name.h"
#include "common/tls/openssl.h"

namespace remuda::tls {

inline constexpr size_t kMaxCertificatePemBytes = 64 * 1024;
inline constexpr size_t kMaxKeyPemBytes = 16 * 1024;
inline constexpr size_t kMaxChainCertificates = 10;
inline constexpr int kMinRsaBits = 2048;
inline constexpr int kMaxRsaBits = 8192;  // a signature of a larger one holds up a worker
inline constexpr size_t kMaxDnsNames = 1000;

enum class KeyKind : uint8_t { kRsa, kEcdsa };

class Certificate {
 public:
  const std::string& id() const { return id_; }
  KeyKind kind() const { return kind_; }
  // Lower case, of subjectAltName, or the common name where there is no subjectAltName. May be
  // empty.
  const std::vector<std::string>& dns_names() const { return dns_names_; }
  std::chrono::system_clock::time_point not_before() const { return not_before_; }
  std::chrono::system_clock::time_point not_after() const { return not_after_; }

  // Puts it into `ssl` beside what is there. False only for want of memory: the parser has tried.
  bool Use(SSL* ssl) const;
  bool Use(SSL_CTX* context) const;

  // The one whose leaf `leaf` is, or null if it is of no Certificate.
  static const Certificate* Of(const X509* leaf);

 private:
  friend class CertificateParser;
  Certificate() = default;

  std::string id_;
  KeyKind kind_ = KeyKind::kRsa;
  std::vector<std::string> dns_names_;
  std::chrono::system_clock::time_point not_before_, not_after_;
  X509Ptr leaf_;
  ChainPtr chain_;  // without the leaf
  KeyPtr key_;
};

// What a certificate is made from.
struct CertificateSource {
  std::string_view id;
  std::string_view certificate_pem;
  std::string_view private_key_pem;
};

class CertificateParser {
 public:
  CertificateParser();
  ~CertificateParser();

  // The certificate, or the field, what is wrong with it, and the rule.
  std::variant<std::shared_ptr<const Certificate>, std::string> Parse(
      const CertificateSource& source);

 private:
  struct Decoder;

  // The key of `pem`, whose kind is that of `leaf`. False: with what is wrong in `error`.
  bool ReadKey(std::string_view pem, X509* leaf, KeyPtr& out, std::string& error);
  KeyPtr DecodeKey(std::string_view pem, X509* leaf);

  // To find the decoders for a kind of key takes OpenSSL longer than to decode fifty: they are
  // found once.
  std::vector<std::unique_ptr<Decoder>> decoders_;
  const SslContextPtr trial_;  // every certificate is loaded into it once: what OpenSSL refuses
                               // is refused when the config comes, not when a client does
};

}  // namespace remuda::tls
