#include "proxy/tls/compiler.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <atomic>
#include <thread>

#include "proxy/tls/client_context.h"
#include "proxy/tls/openssl.h"
#include "proxy/tls/server_context.h"
#include "proxy/tls/ticket_keys.h"
#include "remuda/v1/certificate.pb.h"
#include "remuda/v1/load_balancer.pb.h"

namespace remuda::proxy::tls {
namespace {

// Fewer are not worth a thread.
constexpr size_t kCertificatesAThread = 32;

// So many are named; that there are more is all that anybody needs to know.
constexpr size_t kMaxExpiryWarnings = 10;

// A certificate that is out of its time is served all the same: clients decide, and one of many
// must not hold up a config.
void WarnOfExpiry(const std::vector<TlsCompiler::Parsed>& parsed) {
  const auto now = std::chrono::system_clock::now();
  size_t warnings = 0;
  for (const TlsCompiler::Parsed& one : parsed) {
    if (one.certificate == nullptr) continue;
    const bool is_over = one.certificate->not_after() < now;
    if (!is_over && one.certificate->not_before() <= now) continue;
    if (++warnings > kMaxExpiryWarnings) continue;
    spdlog::warn("certificates/{}: {}", one.certificate->id(),
                 is_over ? "has expired" : "is not valid yet");
  }
  if (warnings > kMaxExpiryWarnings)
    spdlog::warn("{} more certificates are out of their time", warnings - kMaxExpiryWarnings);
}

// Moves what was made into `out`, or answers the fault.
template <typename T>
Fault Take(std::variant<std::shared_ptr<const T>, std::string> made,
           std::shared_ptr<const T>& out) {
  if (auto* error = std::get_if<std::string>(&made)) return std::move(*error);
  out = std::get<0>(std::move(made));
  return std::nullopt;
}

}  // namespace

std::vector<TlsCompiler::Parsed> Compiler::ParseCertificates(
    const std::vector<const remuda::v1::Certificate*>& configs) {
  std::vector<Parsed> parsed(configs.size());
  std::atomic<size_t> next{0};
  const auto work = [&] {
    CertificateParser parser;
    for (size_t i; (i = next.fetch_add(1)) < configs.size();) {
      const remuda::v1::Certificate& config = *configs[i];
      parsed[i].fault = Take(parser.Parse({.id = config.name(),
                                           .certificate_pem = config.certificate_pem(),
                                           .private_key_pem = config.private_key_pem()}),
                             parsed[i].certificate);
    }
  };
  const size_t threads = std::min(threads_, configs.size() / kCertificatesAThread);
  std::vector<std::thread> helpers;
  for (size_t i = 1; i < threads; ++i) helpers.emplace_back(work);
  work();
  for (std::thread& helper : helpers) helper.join();
  WarnOfExpiry(parsed);
  return parsed;
}

Fault Compiler::MakeServerContext(Listener listener, std::shared_ptr<const ServerContext>& out) {
  ServerOptions options;
  const remuda::v1::Listener& config = listener.config;
  options.minimum = config.tls_policy() == remuda::v1::TLS_POLICY_TLS13 ? MinimumVersion::kTls13
                                                                        : MinimumVersion::kTls12;
  switch (config.mutual_authentication().mode()) {
    case remuda::v1::MutualAuthentication::MODE_PASSTHROUGH:
      options.client_certificates = ClientCertificates::kPassthrough;
      break;
    case remuda::v1::MutualAuthentication::MODE_VERIFY:
      options.client_certificates = ClientCertificates::kVerify;
      break;
    default:
      break;
  }
  if (options.client_certificates != ClientCertificates::kVerify &&
      !config.mutual_authentication().ca_pem().empty()) {
    return "mutual_authentication.ca_pem: is not looked at unless mode is MODE_VERIFY";
  }
  options.ca_pem = config.mutual_authentication().ca_pem();
  options.speaks_http = config.protocol() == remuda::v1::PROTOCOL_HTTPS;
  options.offers_http2 = options.speaks_http && (!config.has_http2() || config.http2());
  options.scope = listener.load_balancer;
  options.certificates = std::move(listener.certificates);
  options.tickets = tickets_;
  return Take(ServerContext::Make(std::move(options)), out);
}

Fault Compiler::MakeClientContext(const remuda::v1::TargetTls& config,
                                  std::shared_ptr<const ClientContext>& out) {
  return Take(
      ClientContext::Make({.verifies = config.verify() == remuda::v1::TargetTls::VERIFY_FULL,
                           .ca_pem = config.ca_pem(),
                           .server_name = config.server_name()}),
      out);
}

}  // namespace remuda::proxy::tls
