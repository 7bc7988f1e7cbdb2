// PROXY headers in front of TLS, and upgrades over TLS.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/socket.h>

#include <mutex>

#include "tests/component/proxy/testing/proxy_process.h"
#include "tests/component/proxy/testing/raw_target.h"
#include "tests/component/proxy/testing/tls_client.h"
#include "tests/component/proxy/testing/websocket_bytes.h"

namespace remuda::proxy::testing {
namespace {

using Certificates = std::vector<std::pair<std::string, TestCertificate>>;

const Certificates& Web() {
  static const Certificates web = {
      {"web", MakeCertificate({.names = {"shop.test"}, .common_name = "web"})}};
  return web;
}

TEST(TlsTunnelTest, AProxyHeaderComesBeforeTheHandshake) {
  RawTarget target(EchoAll);
  const BytesConfig config = {
      .targets = {target.port()},
      .listener = "protocol: TLS, certificates: [web], proxyProtocolSources: [127.0.0.1]"};
  ServingProxy proxy(BytesConfigFor(config) + CertificatesYaml(Web()));
  RawSocket client = ConnectTls(proxy.Port(), {}, "PROXY TCP4 192.0.2.7 198.51.100.2 4321 443\r\n");
  ASSERT_TRUE(client.is_open());
  client.Send("hello");
  EXPECT_EQ(client.ReadBytes(5), "hello");
  client.Close();
  EXPECT_TRUE(
      WaitUntil([&] { return proxy.AccessLog().find(" 192.0.2.7:4321 ") != std::string::npos; }));
}

// The header is plain, TLS begins behind it.
TEST(TlsTunnelTest, TlsTargetsGetTheirProxyHeaderBeforeTheHandshake) {
  SSL_CTX* const context = SSL_CTX_new(TLS_server_method());
  const TestCertificate shown = MakeCertificate({.common_name = "target"});
  SSL_CTX_use_certificate(context, shown.certificate.get());
  SSL_CTX_use_PrivateKey(context, shown.key.get());
  std::mutex mutex;
  std::string header;
  RawTarget target([&](RawSocket& connection) {
    std::string line;
    for (char byte = 0; byte != '\n' && recv(connection.fd(), &byte, 1, 0) == 1;) line += byte;
    if (line == "PROXY UNKNOWN\r\n") return;  // a check
    SSL* const ssl = SSL_new(context);
    SSL_set_accept_state(ssl);
    if (!connection.StartTls(ssl)) return;
    {
      std::lock_guard lock(mutex);
      header = line;
    }
    EchoAll(connection);
  });
  const BytesConfig config = {.targets = {target.port()},
                              .group = "protocol: TLS, proxyProtocol: 1"};
  {
    ServingProxy proxy(BytesConfigFor(config));
    RawSocket client = RawSocket::Connect(proxy.Port());
    client.Send("hello");
    EXPECT_EQ(client.ReadBytes(5), "hello");
    std::lock_guard lock(mutex);
    EXPECT_EQ(header.rfind("PROXY TCP4 127.0.0.1 127.0.0.1 ", 0), 0u) << header;
  }
  target.StopListening();
  SSL_CTX_free(context);
}

TEST(TlsTunnelTest, WebSocketsOverTls) {
  ScriptedTarget target(UpgradeAndEcho);
  ServingProxy proxy(TlsConfigFor({target.port()}, Web()));
  RawSocket client = ConnectTls(proxy.Port());
  client.Send(UpgradeRequest() + Frame(1, "early", true));
  EXPECT_EQ(StatusOf(client.ReadMessage(true)), 101);
  EXPECT_EQ(client.ReadBytes(11), Frame(1, "early", true));
  const std::string large = Frame(2, std::string(60000, 'x'), true);
  for (int i = 0; i < 20; ++i) {
    client.Send(large);
    ASSERT_TRUE(client.ReadBytes(large.size()) == large);
  }
  proxy.Signal(SIGTERM);
  EXPECT_EQ(client.ReadBytes(4), kGoingAway);
  client.Send(Frame(8, "\x03\xe9", true));
  client.Close();
  EXPECT_TRUE(WaitUntil([&] { return proxy.AccessLog().rfind("wss ", 0) == 0; }));
}

}  // namespace
}  // namespace remuda::proxy::testing
