// What a TLS listener offers: versions, ciphers, protocols, certificates by name, tickets, and
// whether clients show certificates. Immutable; made when a config is compiled, shared by all
// workers. Connections keep what they began with, so a changed config touches none of them.
#pragma once

#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "proxy/tls/certificate_store.h"
#include "proxy/tls/connection_info.h"
#include "proxy/tls/ticket_keys.h"

namespace remuda::proxy::tls {

enum class MinimumVersion : uint8_t { kTls12, kTls13 };

// Certificates between a client's own and an authority of ca_pem, as AWS has it.
inline constexpr int kMaxClientChain = 4;

struct ServerOptions {
  MinimumVersion minimum = MinimumVersion::kTls12;
  ClientCertificates client_certificates = ClientCertificates::kOff;
  std::string ca_pem = {};  // for kVerify
  bool speaks_http = true;  // ALPN is answered; false: bytes, whatever they are
  bool offers_http2 = false;
  // Sessions are resumed only where this is the same: the name of the load balancer.
  std::string scope = {};
  std::vector<std::shared_ptr<const Certificate>> certificates = {};  // at least one
  std::shared_ptr<const TicketKeys> tickets = {};
};

class ServerContext {
 public:
  // The context, or what is wrong (field, value, rule).
  static std::variant<std::shared_ptr<const ServerContext>, std::string> Make(
      ServerOptions options);

  // A new connection's state, for the server's side. Null only for want of memory. It outlives the
  // context if it must.
  SslPtr NewConnection() const { return SslPtr(SSL_new(context_.get())); }
  ClientCertificates client_certificates() const { return client_certificates_; }

 private:
  ServerContext() = default;

  SslContextPtr context_;
  ClientCertificates client_certificates_ = ClientCertificates::kOff;
};

}  // namespace remuda::proxy::tls
