// Clients that speak TLS, and configs with certificates in them.
#pragma once

#include <string>
#include <vector>

#include "tests/component/proxy/testing/configs.h"
#include "tests/component/proxy/testing/raw_socket.h"
#include "tests/unit/proxy/tls/test_certificates.h"

namespace remuda::proxy::testing {

struct TlsOptions {
  std::string name = "shop.test";  // empty: none is asked for
  SSL_SESSION* session = nullptr;
  int max_version = TLS1_3_VERSION;
  const char* ciphers = nullptr;     // of TLS 1.2
  const char* algorithms = nullptr;  // of signatures
  std::string alpn = {};             // as in the protocol: "\x02h2"
  const TestCertificate* certificate = nullptr;
};

// A connection whose handshake is over; not open if it failed. `before` is sent in front of it.
inline RawSocket ConnectTls(uint16_t port, const TlsOptions& options = {},
                            const std::string& before = "") {
  static SSL_CTX* const context = [] {
    SSL_CTX* made = SSL_CTX_new(TLS_client_method());
    SSL_CTX_set_security_level(made, 0);  // for what the proxy must refuse
    SSL_CTX_set_min_proto_version(made, TLS1_VERSION);
    return made;
  }();
  SSL* const ssl = SSL_new(context);
  SSL_set_connect_state(ssl);
  if (!options.name.empty()) SSL_set_tlsext_host_name(ssl, options.name.c_str());
  if (options.session != nullptr) SSL_set_session(ssl, options.session);
  SSL_set_max_proto_version(ssl, options.max_version);
  if (options.ciphers != nullptr) SSL_set_cipher_list(ssl, options.ciphers);
  if (options.algorithms != nullptr) SSL_set1_sigalgs_list(ssl, options.algorithms);
  if (!options.alpn.empty()) {
    SSL_set_alpn_protos(ssl, reinterpret_cast<const unsigned char*>(options.alpn.data()),
                        static_cast<unsigned>(options.alpn.size()));
  }
  if (options.certificate != nullptr) {
    SSL_use_certificate(ssl, options.certificate->certificate.get());
    SSL_use_PrivateKey(ssl, options.certificate->key.get());
  }
  RawSocket socket = RawSocket::Connect(port);
  if (!before.empty()) socket.Send(before);
  if (!socket.StartTls(ssl)) socket.Close();
  return socket;
}

// One request on it.
inline std::string Ask(RawSocket& socket, const std::string& path = "/",
                       const std::string& fields = "") {
  if (!socket.is_open()) return "";
  socket.Send("GET " + path + " HTTP/1.1\r\nHost: shop.test\r\n" + fields + "\r\n");
  return socket.ReadMessage();
}

// The common name of the certificate that the proxy showed.
inline std::string ShownTo(const RawSocket& socket) {
  if (!socket.is_open()) return "";
  char name[256] = {};
  X509_NAME_get_text_by_NID(X509_get_subject_name(SSL_get0_peer_certificate(socket.tls())),
                            NID_commonName, name, sizeof name);
  return name;
}

// `certificates:` of a config, each with an id.
inline std::string CertificatesYaml(
    const std::vector<std::pair<std::string, TestCertificate>>& certificates) {
  std::string text = "certificates:\n";
  for (const auto& [id, made] : certificates) {
    text += "  - name: " + id + "\n    certificatePem: |\n" + Indented(made.pem, 6) +
            "    privateKeyPem: |\n" + Indented(made.key_pem, 6);
  }
  return text;
}

// Load balancer `shop` with one HTTPS listener on any port that forwards to group `blue`.
inline std::string TlsConfigFor(
    const std::vector<uint16_t>& targets,
    const std::vector<std::pair<std::string, TestCertificate>>& certificates,
    const std::string& listener_extra = "") {
  std::string listener = "        protocol: PROTOCOL_HTTPS\n        certificates: [";
  for (const auto& [id, made] : certificates) listener += id + ", ";
  return ConfigFor(targets, "", "", listener + "]\n" + listener_extra) +
         CertificatesYaml(certificates);
}

}  // namespace remuda::proxy::testing
