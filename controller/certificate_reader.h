// Reads certificates for the core, which links no library for it.
#pragma once

#include "controller/core/execute.h"

namespace remuda {

// What the certificate says, and whether the key is its own. Pure. Any thread.
core::CertificateFacts ReadCertificate(std::string_view certificate_pem,
                                       std::string_view private_key_pem);

}  // namespace remuda
