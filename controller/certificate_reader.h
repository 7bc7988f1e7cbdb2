// Reads certificates for the core, which links no library for it.
#pragma once

#include "controller/core/door/execute.h"

namespace remuda {

// What the certificate says, and whether the key is its own. Pure. Any thread.
core::CertificateFacts ReadCertificate(std::string_view certificate_pem,
                                       std::string_view private_key_pem);

// What is wrong with the authorities in `ca_pem`, or empty; as the proxies read them. Pure. Any
// thread.
std::string FaultOfAuthorities(std::string_view ca_pem);

}  // namespace remuda
