// The TlsCompiler of the program: proxy/tls behind the interface that proxy/core knows.
#pragma once

#include "proxy/core/tls_compiler.h"
#include "proxy/tls/ticket_keys.h"

namespace remuda::proxy::tls {

class Compiler final : public TlsCompiler {
 public:
  // Threads that parse certificates, while a config with many is compiled. `tickets`: of all
  // listeners.
  explicit Compiler(size_t threads, std::shared_ptr<const TicketKeys> tickets =
                                        std::make_shared<const TicketKeys>())
      : threads_(threads), tickets_(std::move(tickets)) {}

  std::vector<Parsed> ParseCertificates(
      const std::vector<const remuda::v1::Certificate*>& configs) override;
  Fault MakeServerContext(Listener listener, std::shared_ptr<const ServerContext>& out) override;
  Fault MakeClientContext(const remuda::v1::TargetTls& config,
                          std::shared_ptr<const ClientContext>& out) override;

 private:
  const size_t threads_;
  const std::shared_ptr<const TicketKeys> tickets_;
};

}  // namespace remuda::proxy::tls
