// What a handshake says of a connection, for headers, the log and the metrics. Nothing of OpenSSL.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace remuda::proxy::tls {

// What is done with certificates of clients: not asked for, told to targets, or judged and told.
enum class ClientCertificates : uint8_t { kOff, kPassthrough, kVerify };

enum class HandshakeFailure : uint8_t {
  kNone,
  kClosed,             // the peer left, or never came so far
  kTimeout,            // it was too slow; set by who keeps the time
  kPlainHttp,          // not TLS: an HTTP request
  kMalformed,          // not TLS, or against its rules
  kNothingInCommon,    // no version, cipher, group or protocol
  kClientCertificate,  // none, where one is needed, or not a good one
  kPeerAlert,          // the peer refuses us: mostly our certificate
  kCount
};
// As the label of a metric: "PlainHttp".
std::string_view NameOf(HandshakeFailure failure);

struct ConnectionInfo {
  std::string_view protocol;     // "TLSv1.3"
  std::string_view cipher;       // OpenSSL's name, as AWS logs it: "ECDHE-RSA-AES128-GCM-SHA256"
  std::string_view alpn;         // "h2", "http/1.1", "http/1.0", or empty: the client named none
  std::string_view server_name;  // SNI as it came, or empty
  std::string_view certificate;  // id of the one that was chosen, or empty
  bool is_resumed = false;
  // Lines that tell targets of the client's certificate ("X-Amzn-Mtls-...: ...\r\n"), or empty.
  std::string client_fields;
};

}  // namespace remuda::proxy::tls
