#include "controller/identity/gate.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <spdlog/spdlog.h>

#include <future>

#include "common/identity/key.h"
#include "common/identity/verify_chain.h"
#include "common/tls/openssl.h"
#include "controller/identity/cluster_identity.h"
#include "controller/identity/gate_thread.h"
#include "controller/limits.h"

namespace remuda {
namespace {

constexpr size_t kThreads = 2;
constexpr size_t kMaxCertificates = 10;

// HTTP/2 is all that gRPC speaks. `takes_relayed` is null where nothing is passed on to.
int ChooseProtocol(SSL*, const unsigned char** out, unsigned char* out_size,
                   const unsigned char* offered, unsigned int size, void* takes_relayed) {
  for (unsigned int at = 0; at < size; at += 1U + offered[at]) {
    if (at + 1U + offered[at] > size) break;
    const std::string_view name(reinterpret_cast<const char*>(offered + at + 1), offered[at]);
    if (name != "h2" && (takes_relayed == nullptr || name != kRelayProtocol)) continue;
    *out = offered + at + 1;
    *out_size = offered[at];
    return SSL_TLSEXT_ERR_OK;
  }
  return SSL_TLSEXT_ERR_ALERT_FATAL;
}

absl::Status Wrong(const std::string& what) {
  return absl::InvalidArgumentError(what + ": " + tls::TakeErrors());
}

absl::Status Trust(SSL_CTX* context, const std::string& authorities_pem) {
  tls::ChainPtr authorities;
  std::string error;
  if (!tls::ReadCertificates(authorities_pem, identity::kMaxChainLength, authorities, error))
    return absl::InvalidArgumentError("the authorities: " + error);
  X509_STORE* const store = SSL_CTX_get_cert_store(context);
  for (int i = 0; i < sk_X509_num(authorities.get()); ++i) {
    X509* const one = sk_X509_value(authorities.get(), i);
    if (X509_STORE_add_cert(store, one) != 1 || SSL_CTX_add_client_CA(context, one) != 1)
      return Wrong("an authority cannot be trusted");
  }
  return absl::OkStatus();
}

absl::Status Show(SSL_CTX* context, const std::string& certificate_pem,
                  const std::string& key_pem) {
  auto key = identity::ReadKey(key_pem);
  if (!key.ok()) return key.status();
  tls::ChainPtr chain;
  std::string error;
  if (!tls::ReadCertificates(certificate_pem, kMaxCertificates, chain, error))
    return absl::InvalidArgumentError("the certificate: " + error);
  X509* const leaf = sk_X509_shift(chain.get());
  const tls::X509Ptr owned(leaf);
  if (SSL_CTX_use_cert_and_key(context, leaf, key->get(), chain.get(), 1) != 1)
    return Wrong("the certificate and its key cannot be used");
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::shared_ptr<SSL_CTX>> MakeGateContext(const std::string& certificate_pem,
                                                         const std::string& key_pem,
                                                         const std::string& authorities_pem,
                                                         bool takes_relayed) {
  const std::shared_ptr<SSL_CTX> context(SSL_CTX_new(TLS_server_method()), &SSL_CTX_free);
  if (context == nullptr || SSL_CTX_set_min_proto_version(context.get(), TLS1_3_VERSION) != 1)
    return Wrong("TLS cannot be set up");
  // A resumed session shows no certificate anew.
  SSL_CTX_set_num_tickets(context.get(), 0);
  SSL_CTX_set_session_cache_mode(context.get(), SSL_SESS_CACHE_OFF);
  SSL_CTX_set_options(context.get(), SSL_OP_NO_TICKET | SSL_OP_NO_RENEGOTIATION);
  SSL_CTX_set_mode(context.get(), SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                                      SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  SSL_CTX_set_verify(context.get(), SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
  SSL_CTX_set_verify_depth(context.get(), static_cast<int>(kMaxCertificates));
  SSL_CTX_set_purpose(context.get(), X509_PURPOSE_SSL_CLIENT);
  static char yes = 0;
  SSL_CTX_set_alpn_select_cb(context.get(), &ChooseProtocol, takes_relayed ? &yes : nullptr);
  if (absl::Status status = Trust(context.get(), authorities_pem); !status.ok()) return status;
  if (absl::Status status = Show(context.get(), certificate_pem, key_pem); !status.ok())
    return status;
  return context;
}

Gate::Gate(Options options, Callers& callers) : options_(std::move(options)), callers_(callers) {
  for (size_t i = 0; i < kThreads; ++i) threads_.push_back(std::make_unique<GateThread>(*this));
}

Gate::~Gate() { Stop(); }

absl::Status Gate::SetIdentity(const std::string& certificate_pem, const std::string& key_pem,
                               const std::string& authorities_pem) {
  auto made = MakeGateContext(certificate_pem, key_pem, authorities_pem, options_.takes_relayed);
  if (!made.ok()) return made.status();
  const std::lock_guard lock(mutex_);
  context_ = *std::move(made);
  return absl::OkStatus();
}

absl::Status Gate::Show(ClusterIdentity& cluster) {
  const auto show = [this](const ShownIdentity& now) {
    return SetIdentity(now.certificate_pem, now.key_pem, now.authorities_pem);
  };
  if (absl::Status status = show(*cluster.current()); !status.ok()) return status;
  cluster.Start([show](const ShownIdentity& now) {
    const absl::Status status = show(now);
    if (!status.ok()) spdlog::error("the new certificate: {}", std::string(status.message()));
  });
  return absl::OkStatus();
}

std::shared_ptr<SSL_CTX> Gate::context() const {
  const std::lock_guard lock(mutex_);
  return context_;
}

bool Gate::TakePlace(const std::string& actor) {
  const std::lock_guard lock(mutex_);
  size_t& open = open_[actor];
  if (open >= limits::kMaxConnectionsPerIdentity) return false;
  ++open;
  return true;
}

void Gate::GiveBackPlace(const std::string& actor) {
  const std::lock_guard lock(mutex_);
  const auto it = open_.find(actor);
  if (--it->second == 0) open_.erase(it);
}

void Gate::Add(int fd) { threads_[next_++ % threads_.size()]->Add(fd); }

void Gate::CloseIf(std::function<bool(const Caller&)> is_to_end) {
  for (const auto& thread : threads_)
    thread->Post([&thread = *thread, is_to_end] { thread.CloseIf(is_to_end); });
}

void Gate::Extend(const identity::SpiffeId& id, absl::Time expire_time) {
  for (const auto& thread : threads_)
    thread->Post([&thread = *thread, id, expire_time] { thread.Extend(id, expire_time); });
}

void Gate::Drain() {
  for (const auto& thread : threads_) {
    std::promise<void> done;
    if (thread->Post([&thread = *thread, &done] {
          thread.Drain();
          done.set_value();
        }))
      done.get_future().wait();
  }
}

void Gate::Stop() {
  for (const auto& thread : threads_) thread->Stop();
}

}  // namespace remuda
