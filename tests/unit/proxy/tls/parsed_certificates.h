// Certificates as the proxy holds them, made for a test.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "proxy/tls/certificate_store.h"
#include "tests/unit/proxy/tls/test_certificates.h"

namespace remuda::proxy::testing {

inline std::shared_ptr<const tls::Certificate> Parse(const std::string& id,
                                                     const TestCertificate& made) {
  auto result = tls::CertificateParser().Parse({id, made.pem, made.key_pem});
  if (auto* error = std::get_if<std::string>(&result)) ADD_FAILURE() << *error;
  return std::get<0>(std::move(result));
}

inline std::shared_ptr<const tls::Certificate> Named(const std::string& id,
                                                     std::vector<std::string> names,
                                                     TestKey key = TestKey::kP256) {
  return Parse(id, MakeCertificate({.names = std::move(names), .key = key}));
}

}  // namespace remuda::proxy::testing
