#include "proxy/tls/client_context.h"

#include <openssl/err.h>
#include <openssl/x509v3.h>

#include <stdexcept>

#include "proxy/tls/openssl.h"
#include "proxy/tls/server_context.h"
#include "proxy/tls/tls_stream.h"

namespace remuda::proxy::tls {
namespace {

constexpr char kClientCiphers12[] =
    "ECDHE+AESGCM:ECDHE+CHACHA20:AES128-GCM-SHA256:AES256-GCM-SHA384";
constexpr char kClientCiphers13[] =
    "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256";

std::string TrustAuthorities(const std::string& ca_pem, SSL_CTX* context) {
  if (ca_pem.empty()) {
    if (SSL_CTX_set_default_verify_paths(context) == 1) return {};
    return "target_tls.verify: the system's authorities cannot be read: " + TakeErrors();
  }
  ChainPtr authorities;
  std::string error;
  if (!ReadAuthorities(ca_pem, authorities, error)) return "target_tls.ca_pem: " + error;
  for (int i = 0; i < sk_X509_num(authorities.get()); ++i)
    X509_STORE_add_cert(SSL_CTX_get_cert_store(context), sk_X509_value(authorities.get(), i));
  ERR_clear_error();  // the same authority twice
  return {};
}

}  // namespace

std::variant<std::shared_ptr<const ClientContext>, std::string> ClientContext::Make(
    const ClientOptions& options) {
  const std::shared_ptr<ClientContext> out(new ClientContext());
  out->verifies_ = options.verifies;
  if (!options.server_name.empty() &&
      !NormalizeDnsName(options.server_name, false, out->server_name_)) {
    return "target_tls.server_name: '" + options.server_name.substr(0, 128) + "' is not a DNS name";
  }
  if (!options.verifies && !options.ca_pem.empty()) {
    return std::string("target_tls.ca_pem: is not looked at unless verify is VERIFY_FULL");
  }
  out->context_.reset(SSL_CTX_new(TLS_client_method()));
  SSL_CTX* const context = out->context_.get();
  if (context == nullptr || SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION) != 1 ||
      SSL_CTX_set_cipher_list(context, kClientCiphers12) != 1 ||
      SSL_CTX_set_ciphersuites(context, kClientCiphers13) != 1) {
    return "OpenSSL refuses the policy: " + TakeErrors();
  }
  SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
  SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                                SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  SSL_CTX_set_read_ahead(context, 1);
  SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
  SSL_CTX_sess_set_new_cb(context, TlsStream::OnNewSession);
  // Targets speak HTTP/1.1 with us.
  static constexpr unsigned char kHttp11[] = "\x08http/1.1";
  SSL_CTX_set_alpn_protos(context, kHttp11, sizeof kHttp11 - 1);
  if (options.verifies) {
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER, nullptr);
    if (std::string error = TrustAuthorities(options.ca_pem, context); !error.empty()) return error;
  }
  return std::shared_ptr<const ClientContext>(out);
}

const ClientContext& ClientContext::ForChecks() {
  static const std::shared_ptr<const ClientContext> context = [] {
    auto made = Make({});
    if (auto* error = std::get_if<std::string>(&made)) throw std::runtime_error(*error);
    return std::get<0>(std::move(made));
  }();
  return *context;
}

std::string_view ClientContext::NameFor(std::string_view host) const {
  if (!server_name_.empty()) return server_name_;
  const size_t colon = host.rfind(':');
  if (!host.empty() && host.front() == '[') return {};  // an IPv6 address
  if (colon != std::string_view::npos) host = host.substr(0, colon);
  if (host.size() > 1 && host.back() == '.') host.remove_suffix(1);
  std::string normal;
  return NormalizeDnsName(host, false, normal) ? host : std::string_view();
}

SslPtr ClientContext::NewConnection(std::string_view name, const std::string& address,
                                    SSL_SESSION* session) const {
  SslPtr ssl(SSL_new(context_.get()));
  if (ssl == nullptr) return ssl;
  const std::string text(name);
  if (!text.empty()) SSL_set_tlsext_host_name(ssl.get(), text.c_str());
  if (verifies_) {
    X509_VERIFY_PARAM* const rules = SSL_get0_param(ssl.get());
    X509_VERIFY_PARAM_set_hostflags(rules, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    const int is_set = text.empty() ? X509_VERIFY_PARAM_set1_ip_asc(rules, address.c_str())
                                    : X509_VERIFY_PARAM_set1_host(rules, text.data(), text.size());
    if (is_set != 1) {
      ERR_clear_error();
      return nullptr;
    }
  }
  if (session != nullptr) SSL_set_session(ssl.get(), session);
  ERR_clear_error();
  return ssl;
}

}  // namespace remuda::proxy::tls
