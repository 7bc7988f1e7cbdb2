// Authorities and certificates made while a test runs. Keys are made once and used again: a new RSA
// key takes a while.
#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "proxy/tls/openssl.h"

namespace remuda::proxy::testing {

enum class TestKey { kRsa2048, kRsa1024, kP256, kP384, kEd25519 };

struct CertificateRequest {
  std::vector<std::string> names = {};      // subjectAltName DNS
  std::vector<std::string> addresses = {};  // subjectAltName IP
  std::string common_name = "test";
  TestKey key = TestKey::kP256;
  int key_index = 0;                                      // keys of one kind and index are the same
  std::chrono::seconds begins = std::chrono::hours(-24);  // from now
  std::chrono::seconds ends = std::chrono::hours(24 * 30);
  bool is_authority = false;
};

struct TestCertificate {
  std::string pem;
  std::string key_pem;
  std::shared_ptr<X509> certificate = {};
  std::shared_ptr<EVP_PKEY> key = {};
};

// Signed by `issuer`, or by itself.
TestCertificate MakeCertificate(const CertificateRequest& request,
                                const TestCertificate* issuer = nullptr);

// `text` as a block of YAML, each line `indent` deep, for "field: |\n" before it.
std::string Indented(const std::string& text, int indent);

}  // namespace remuda::proxy::testing
