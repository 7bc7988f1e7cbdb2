#include "proxy/tls/server_context.h"

#include <openssl/err.h>
#include <openssl/sha.h>

#include <cstring>

namespace remuda::proxy::tls {
namespace {

// Forward secrecy and AEAD, the cheapest first; AES-128 is as strong as the RSA and P-256 keys.
constexpr char kServerCiphers12[] =
    "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:"
    "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:"
    "ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305";
constexpr char kServerCiphers13[] =
    "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256";
constexpr char kGroups[] = "X25519:P-256:P-384";

// Lives as long as the SSL_CTX, which connections keep alive.
struct Shared {
  CertificateStore certificates;
  std::shared_ptr<const TicketKeys> tickets;
  bool offers_http2;
};

void FreeShared(void* /*parent*/, void* shared, CRYPTO_EX_DATA* /*data*/, int /*index*/,
                long /*argl*/, void* /*argp*/) {
  delete static_cast<Shared*>(shared);
}

int SharedIndex() {
  static const int index = SSL_CTX_get_ex_new_index(0, nullptr, nullptr, nullptr, FreeShared);
  return index;
}

// At the ClientHello. What the context has loaded is the default entry.
int ChooseCertificate(SSL* ssl, void* argument) {
  const char* const name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
  if (name == nullptr) return 1;
  const CertificateStore& store = static_cast<const Shared*>(argument)->certificates;
  const CertificateStore::Entry& entry = store.Find(name);
  if (entry == store.fallback()) return 1;
  SSL_certs_clear(ssl);
  const bool is_used = (entry.rsa == nullptr || entry.rsa->Use(ssl)) &&
                       (entry.ecdsa == nullptr || entry.ecdsa->Use(ssl));
  return is_used ? 1 : 0;
}

// The client's list is length-prefixed names (RFC 7301). Ours are preferred in our order.
int ChooseProtocol(SSL* /*ssl*/, const unsigned char** out, unsigned char* out_size,
                   const unsigned char* offered, unsigned int offered_size, void* argument) {
  static constexpr unsigned char kAll[] = "\x02h2\x08http/1.1\x08http/1.0";
  const bool all = static_cast<const Shared*>(argument)->offers_http2;
  const unsigned char* const ours = all ? kAll : kAll + 3;
  const unsigned ours_size = static_cast<unsigned>(sizeof kAll - 1) - (all ? 0 : 3);
  unsigned char* chosen = nullptr;
  // Nothing in common: the client would speak what we do not (RFC 7301 section 3.2).
  if (SSL_select_next_proto(&chosen, out_size, ours, ours_size, offered, offered_size) !=
      OPENSSL_NPN_NEGOTIATED) {
    return SSL_TLSEXT_ERR_ALERT_FATAL;
  }
  *out = chosen;
  return SSL_TLSEXT_ERR_OK;
}

int AcceptAnyCertificate(X509_STORE_CTX* /*store*/, void* /*argument*/) { return 1; }

std::string SetClientCertificates(const ServerOptions& options, SSL_CTX* context) {
  if (options.client_certificates == ClientCertificates::kOff) return {};
  SSL_CTX_set_verify_depth(context, kMaxClientChain);
  if (options.client_certificates == ClientCertificates::kPassthrough) {
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER, nullptr);
    SSL_CTX_set_cert_verify_callback(context, AcceptAnyCertificate, nullptr);
    return {};
  }
  SSL_CTX_set_verify(context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
  ChainPtr authorities;
  std::string error;
  if (!ReadAuthorities(options.ca_pem, authorities, error))
    return "mutual_authentication.ca_pem: " + error;
  for (int i = 0; i < sk_X509_num(authorities.get()); ++i) {
    X509* const authority = sk_X509_value(authorities.get(), i);
    X509_STORE_add_cert(SSL_CTX_get_cert_store(context), authority);
    SSL_CTX_add_client_CA(context, authority);
  }
  ERR_clear_error();  // the same authority twice
  return {};
}

// A session of a listener that asks for no certificate must not be resumed where one is needed.
void SetSessions(const ServerOptions& options, SSL_CTX* context) {
  const std::string text = options.scope + '\0' +
                           std::to_string(static_cast<int>(options.client_certificates)) + '\0' +
                           options.ca_pem;
  unsigned char digest[SHA256_DIGEST_LENGTH];
  SHA256(reinterpret_cast<const unsigned char*>(text.data()), text.size(), digest);
  static_assert(sizeof digest <= SSL_MAX_SID_CTX_LENGTH);
  SSL_CTX_set_session_id_context(context, digest, sizeof digest);
  SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);  // tickets only
  SSL_CTX_set_timeout(context, std::chrono::seconds(TicketKeys::kGeneration).count());
}

bool SetPolicy(MinimumVersion minimum, SSL_CTX* context) {
  SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
                                   SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA);
  SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                                SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  SSL_CTX_set_read_ahead(context, 1);  // a record's head and body in one system call
  SSL_CTX_set_max_early_data(context, 0);
  return SSL_CTX_set_min_proto_version(
             context, minimum == MinimumVersion::kTls13 ? TLS1_3_VERSION : TLS1_2_VERSION) == 1 &&
         SSL_CTX_set_cipher_list(context, kServerCiphers12) == 1 &&
         SSL_CTX_set_ciphersuites(context, kServerCiphers13) == 1 &&
         SSL_CTX_set1_groups_list(context, kGroups) == 1;
}

}  // namespace

std::variant<std::shared_ptr<const ServerContext>, std::string> ServerContext::Make(
    ServerOptions options) {
  const std::shared_ptr<ServerContext> out(new ServerContext());
  out->context_.reset(SSL_CTX_new(TLS_server_method()));
  SSL_CTX* const context = out->context_.get();
  if (context == nullptr || !SetPolicy(options.minimum, context))
    return "OpenSSL refuses the policy: " + TakeErrors();
  if (std::string error = SetClientCertificates(options, context); !error.empty()) return error;
  SetSessions(options, context);
  out->client_certificates_ = options.client_certificates;

  auto* const shared = new Shared{CertificateStore(std::move(options.certificates)),
                                  std::move(options.tickets), options.offers_http2};
  SSL_CTX_set_ex_data(context, SharedIndex(), shared);
  shared->tickets->Attach(context);
  const CertificateStore::Entry& fallback = shared->certificates.fallback();
  const bool is_used = (fallback.rsa == nullptr || fallback.rsa->Use(context)) &&
                       (fallback.ecdsa == nullptr || fallback.ecdsa->Use(context));
  if (!is_used) return std::string("certificates: the first cannot be used");
  // A listener with one certificate has nothing to choose.
  if (shared->certificates.size() > 1) SSL_CTX_set_cert_cb(context, ChooseCertificate, shared);
  if (options.speaks_http) SSL_CTX_set_alpn_select_cb(context, ChooseProtocol, shared);
  return std::shared_ptr<const ServerContext>(out);
}

}  // namespace remuda::proxy::tls
