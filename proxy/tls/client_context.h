// How TLS to targets of one group is spoken: whom to trust, which name to ask for. Immutable; made
// when a config is compiled, shared by all workers.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <variant>

#include "proxy/tls/openssl.h"

namespace remuda::proxy::tls {

struct ClientOptions {
  bool verifies = false;         // the chain and the name
  std::string ca_pem = {};       // empty: the system's authorities
  std::string server_name = {};  // empty: the request's host
};

class ClientContext {
 public:
  // The context, or what is wrong (field, value, rule).
  static std::variant<std::shared_ptr<const ClientContext>, std::string> Make(
      const ClientOptions& options);
  // For health checks: judges nothing.
  static const ClientContext& ForChecks();

  // The name to ask the target for: server_name, else `host` without its port, else nothing.
  // Valid as long as both.
  std::string_view NameFor(std::string_view host) const;
  // Connections for one name must not carry requests for another.
  bool has_own_name() const { return !server_name_.empty(); }
  const std::string& server_name() const { return server_name_; }

  // A new connection's state, for the client's side. `name` is of NameFor; if it is empty,
  // `address` is what a certificate must be for. `session`, of a connection with the same name and
  // target before, may be null. Null only for want of memory.
  SslPtr NewConnection(std::string_view name, const std::string& address,
                       SSL_SESSION* session) const;

 private:
  ClientContext() = default;

  SslContextPtr context_;
  bool verifies_ = false;
  std::string server_name_;
};

// A session to resume and what it is good for. Kept with the target, by each worker for itself.
struct SavedSession {
  std::shared_ptr<const ClientContext> context;
  std::string name;
  SslSessionPtr session;
};

}  // namespace remuda::proxy::tls
