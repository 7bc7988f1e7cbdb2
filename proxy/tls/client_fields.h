// What targets are told of a client's certificate, with the names and forms that AWS's load
// balancers use.
#pragma once

#include <string>

#include "proxy/tls/server_context.h"

namespace remuda::proxy::tls {

// Longer is not told: a head must have room for it.
inline constexpr size_t kMaxClientFieldsBytes = 32 * 1024;

// Whether the client's certificate is over by now. After the handshake.
bool HasClientExpired(const SSL* ssl);

// Header lines ("X-Amzn-Mtls-Clientcert: ...\r\n"), or nothing if the client showed none, or they
// would be too long. Every byte that the client chose is escaped. After the handshake.
std::string ClientFields(SSL* ssl, ClientCertificates mode);

}  // namespace remuda::proxy::tls
