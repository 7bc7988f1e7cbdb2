// A proxy that offers HTTP/2 on a TLS listener, before one scripted target.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "tests/component/proxy/testing/http2_client.h"
#include "tests/component/proxy/testing/proxy_process.h"
#include "tests/component/proxy/testing/tls_client.h"

namespace remuda::proxy::testing {

class Http2Fixture : public ::testing::Test {
 protected:
  void Start(ScriptedTarget::Script script, const std::string& listener_extra = "",
             const std::string& balancer_extra = "", std::vector<std::string> flags = {}) {
    target_ = std::make_unique<ScriptedTarget>(std::move(script));
    static const TestCertificate certificate = MakeCertificate({.names = {"shop.test"}});
    std::string config = TlsConfigFor({target_->port()}, {{"web", certificate}}, listener_extra);
    config.insert(config.find("    listeners:"), balancer_extra);
    flags.push_back("--workers=1");
    proxy_ = std::make_unique<ServingProxy>(config, flags);
  }
  RawSocket ConnectH2() { return ConnectTls(proxy_->Port(), {.alpn = "\x02h2"}); }
  // A client past the exchange of settings.
  std::unique_ptr<Http2Client> Client() {
    auto client = std::make_unique<Http2Client>(ConnectH2());
    EXPECT_TRUE(client->Start());
    return client;
  }
  // Waits until no request is under way at the target.
  bool WaitNothingInFlight() {
    return WaitUntil(
        [&] { return proxy_->Admin("/targets").find("\"in_flight\":0") != std::string::npos; });
  }

  std::unique_ptr<ScriptedTarget> target_;
  std::unique_ptr<ProxyProcess> proxy_;
};

// Reads the body that `head` frames.
inline std::string ReadBody(const std::string& head, RawSocket& connection) {
  std::string body;
  if (head.find("Transfer-Encoding: chunked") != std::string::npos)
    return connection.ReadChunked().body;
  if (const size_t at = head.find("Content-Length: "); at != std::string::npos)
    body = connection.ReadBytes(std::strtoul(head.c_str() + at + 16, nullptr, 10));
  return body;
}

inline bool Answer(RawSocket& connection, const std::string& body, const std::string& fields = "") {
  return connection.Send("HTTP/1.1 200 OK\r\n" + fields +
                         "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body);
}

// Answers with the head it got, and the body's size and last byte.
inline bool Echo(const std::string& head, RawSocket& connection) {
  const std::string body = ReadBody(head, connection);
  return Answer(connection, head + "body:" + std::to_string(body.size()) +
                                (body.empty() ? "" : body.substr(body.size() - 1)));
}

}  // namespace remuda::proxy::testing
