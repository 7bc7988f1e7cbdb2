// The TlsCompiler of the program: proxy/tls behind the interface that proxy/core knows.
#pragma once

#include "proxy/core/tls_compiler.h"

namespace remuda::proxy::tls {

class Compiler final : public TlsCompiler {
 public:
  // Threads that parse certificates, while a config with many is compiled.
  explicit Compiler(size_t threads) : threads_(threads) {}

  std::vector<Parsed> ParseCertificates(
      const std::vector<const remuda::v1::Certificate*>& configs) override;
  std::shared_ptr<const TicketKeys> MakeTicketKeys(
      const std::vector<std::string>& secrets) override;
  Fault MakeServerContext(Listener listener, std::shared_ptr<const ServerContext>& out) override;
  Fault MakeClientContext(const remuda::v1::TargetTls& config,
                          std::shared_ptr<const ClientContext>& out) override;

 private:
  const size_t threads_;
};

}  // namespace remuda::proxy::tls
