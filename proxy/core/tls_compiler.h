// What the compiler of configs needs done with certificates and keys. Decisions know nothing of
// OpenSSL: the shell gives them this.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "proxy/core/config_fwd.h"
#include "proxy/core/fault.h"

namespace remuda::tls {
class Certificate;
}  // namespace remuda::tls

namespace remuda::proxy {

namespace tls {
class ClientContext;
class ServerContext;
}  // namespace tls

class TlsCompiler {
 public:
  virtual ~TlsCompiler() = default;

  struct Parsed {
    std::shared_ptr<const remuda::tls::Certificate> certificate;
    Fault fault;  // if there is no certificate
  };
  // Each of `configs` (not null), in order.
  virtual std::vector<Parsed> ParseCertificates(
      const std::vector<const remuda::v1::Certificate*>& configs) = 0;

  struct Listener {
    const remuda::v1::Listener& config;
    const std::string& load_balancer;                                           // id
    std::vector<std::shared_ptr<const remuda::tls::Certificate>> certificates;  // at least one
  };
  virtual Fault MakeServerContext(Listener listener,
                                  std::shared_ptr<const tls::ServerContext>& out) = 0;
  virtual Fault MakeClientContext(const remuda::v1::TargetTls& config,
                                  std::shared_ptr<const tls::ClientContext>& out) = 0;
};

}  // namespace remuda::proxy
