// TLS to targets: which connections a request may ride, and how new ones begin.
#include <spdlog/spdlog.h>

#include "proxy/core/picker_state.h"
#include "proxy/core/routing_table.h"
#include "proxy/target/upstream.h"
#include "proxy/tls/client_context.h"
#include "proxy/tls/tls_stream.h"

namespace remuda::proxy {
namespace {

// Why handshakes with targets fail is said this often at most.
constexpr std::chrono::seconds kTlsWarningInterval{1};

}  // namespace

const std::shared_ptr<const tls::ClientContext>& UpstreamPool::ContextOf(
    const TargetState& target) const {
  static const std::shared_ptr<const tls::ClientContext> none;
  const TargetGroup* const group = target.group().picker(worker_).group;
  return group == nullptr ? none : group->tls;
}

UpstreamPool::Fit UpstreamPool::FitOf(const UpstreamConnection& connection,
                                      std::string_view host) const {
  const auto& context = ContextOf(*connection.target);
  if (connection.tls_context != context) return Fit::kOutdated;
  const bool is_named_right = context == nullptr || context->has_own_name() ||
                              context->NameFor(host) == connection.tls_name;
  return is_named_right ? Fit::kGood : Fit::kForAnotherName;
}

bool UpstreamPool::BeginTls(UpstreamConnection& connection, std::string_view host) {
  const auto& context = ContextOf(*connection.target);
  if (context == nullptr) return true;
  connection.tls_context = context;
  connection.tls_name = context->NameFor(host);
  const auto saved =
      std::static_pointer_cast<tls::SavedSession>(connection.target->slot(worker_).tls_session);
  const bool is_good =
      saved != nullptr && saved->context == context && saved->name == connection.tls_name;
  tls::SslPtr ssl = context->NewConnection(connection.tls_name, connection.target->address(),
                                           is_good ? saved->session.get() : nullptr);
  if (ssl == nullptr) return false;
  connection.transport.SetLayer(std::make_unique<tls::TlsStream>(
      std::move(ssl), connection.transport.fd(), tls::TlsStream::Side::kClient));
  return true;
}

void UpstreamPool::SaveTlsSession(UpstreamConnection& connection) {
  auto* const layer = static_cast<tls::TlsStream*>(connection.transport.layer());
  tls::SslSessionPtr session = layer->TakeSession();
  if (session == nullptr) return;
  auto saved = std::make_shared<tls::SavedSession>();
  saved->context = connection.tls_context;
  saved->name = connection.tls_name;
  saved->session = std::move(session);
  connection.target->slot(worker_).tls_session = std::move(saved);
}

void UpstreamPool::NoteTlsFailure(UpstreamConnection& connection) {
  connection.is_tls_failed = true;
  if (loop_.now() < next_tls_warning_) return;
  next_tls_warning_ = loop_.now() + kTlsWarningInterval;
  auto* const layer = static_cast<tls::TlsStream*>(connection.transport.layer());
  const std::string_view verify = layer->VerifyError();
  spdlog::warn("targetGroups/{}/targets/{}: TLS handshake failed: {}",
               connection.target->group().id(), connection.target->id(),
               verify.empty() ? tls::NameOf(layer->failure()) : verify);
}

}  // namespace remuda::proxy
