// Security groups at listeners: who is turned away when the connection is accepted, before any byte
// of any protocol, and what an update does to those who are in.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstdio>
#include <fstream>

#include "tests/component/proxy/testing/configs.h"
#include "tests/component/proxy/testing/proxy_process.h"
#include "tests/component/proxy/testing/raw_target.h"
#include "tests/component/proxy/testing/tls_client.h"

namespace remuda::proxy::testing {
namespace {

constexpr char kInside[] = "127.0.0.2";
constexpr char kOutside[] = "127.0.0.3";
constexpr char kAttached[] = "    securityGroups: [web]\n";

std::string Web(const std::string& cidrs) {
  return "securityGroups:\n  - { name: web, ingress: [{ cidrs: [" + cidrs + "] }] }\n";
}

// The load balancer of a config with the group `web`.
std::string Attach(std::string config) {
  const std::string name = "  - name: shop\n";
  return config.insert(config.find(name) + name.size(), kAttached) + Web(kInside);
}

// Nothing of it was taken in: not even a byte that waits to be read is answered.
bool IsReset(RawSocket& socket) {
  char byte;
  const ssize_t got = recv(socket.fd(), &byte, 1, 0);
  return got < 0 && errno == ECONNRESET;
}

double Refused(ProxyProcess& proxy) {
  return proxy.Metric("security_group_refused_connection_count_total{load_balancer=\"shop\"}");
}

TEST(SecurityGroupTest, HttpIsAnsweredToThoseInsideAlone) {
  ScriptedTarget target(ScriptedTarget::EchoHead);
  ServingProxy proxy(Attach(ConfigFor({target.port()})));
  RawSocket inside = RawSocket::Connect(proxy.Port(), kInside);
  inside.Send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  EXPECT_EQ(StatusOf(inside.ReadMessage()), 200);
  RawSocket outside = RawSocket::Connect(proxy.Port(), kOutside);
  EXPECT_TRUE(IsReset(outside));
  EXPECT_EQ(Refused(proxy), 1);
  // They are no connections of the load balancer's, and none that were too many.
  EXPECT_EQ(proxy.Metric("new_connection_count_total"), 1);
  EXPECT_EQ(proxy.Metric("rejected_connection_count_total"), 0);
}

TEST(SecurityGroupTest, HttpsAndTlsComeToNoHandshake) {
  const std::vector<std::pair<std::string, TestCertificate>> certificates = {
      {"web", MakeCertificate({.names = {"shop.test"}, .common_name = "web"})}};
  ScriptedTarget messages(ScriptedTarget::EchoHead);
  RawTarget bytes([](RawSocket& connection) { EchoAll(connection); });
  const std::string configs[] = {
      TlsConfigFor({messages.port()}, certificates),
      BytesConfigFor(
          {.targets = {bytes.port()}, .listener = "protocol: TLS, certificates: [web]"}) +
          CertificatesYaml(certificates),
  };
  for (const std::string& config : configs) {
    ServingProxy proxy(Attach(config));
    RawSocket outside = RawSocket::Connect(proxy.Port(), kOutside);
    EXPECT_TRUE(IsReset(outside));
    EXPECT_EQ(Refused(proxy), 1);
    // No handshake failed: none began.
    EXPECT_EQ(proxy.Metric("client_tls_negotiation_error_count_total"), 0);
    SSL_CTX* const context = SSL_CTX_new(TLS_client_method());
    SSL* const ssl = SSL_new(context);
    SSL_set_connect_state(ssl);
    SSL_set_tlsext_host_name(ssl, "shop.test");
    RawSocket inside = RawSocket::Connect(proxy.Port(), kInside);
    EXPECT_TRUE(inside.StartTls(ssl));
    SSL_CTX_free(context);
  }
}

TEST(SecurityGroupTest, TcpReachesNoTarget) {
  RawTarget target([](RawSocket& connection) {
    connection.Send("hello");
    EchoAll(connection);
  });
  ServingProxy proxy(Attach(BytesConfigFor({.targets = {target.port()}})));
  RawSocket inside = RawSocket::Connect(proxy.Port(), kInside);
  EXPECT_EQ(inside.ReadBytes(5), "hello");
  RawSocket outside = RawSocket::Connect(proxy.Port(), kOutside);
  EXPECT_TRUE(IsReset(outside));
  EXPECT_EQ(Refused(proxy), 1);
}

// The header is what a peer says of others, and is read only from whom the group lets in.
TEST(SecurityGroupTest, WithAProxyHeaderTheSocketsOwnPeerCounts) {
  ScriptedTarget target(ScriptedTarget::EchoHead);
  ServingProxy proxy(
      Attach(ConfigFor({target.port()}, "", "", "        proxyProtocolSources: [127.0.0.0/8]\n")));
  const std::string request = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
  RawSocket inside = RawSocket::Connect(proxy.Port(), kInside);
  inside.Send("PROXY TCP4 192.0.2.7 198.51.100.2 4321 443\r\n" + request);
  EXPECT_EQ(StatusOf(inside.ReadMessage()), 200);
  RawSocket outside = RawSocket::Connect(proxy.Port(), kOutside);
  EXPECT_TRUE(IsReset(outside));
}

TEST(SecurityGroupTest, AnUpdateActsAtOnceAndOpenConnectionsGoOn) {
  ScriptedTarget target(ScriptedTarget::EchoHead);
  const std::string config = Attach(ConfigFor({target.port()}));
  ServingProxy proxy(config);
  RawSocket inside = RawSocket::Connect(proxy.Port(), kInside);
  const std::string request = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
  inside.Send(request);
  EXPECT_EQ(StatusOf(inside.ReadMessage()), 200);
  std::string other = config;
  other.replace(other.find(Web(kInside)), Web(kInside).size(), Web(kOutside));
  const std::string path = proxy.directory() + "/proxy.yaml";
  std::ofstream(path + ".new") << other;
  ASSERT_EQ(std::rename((path + ".new").c_str(), path.c_str()), 0);
  proxy.Signal(SIGHUP);
  ASSERT_TRUE(WaitUntil([&] {
    RawSocket outside = RawSocket::Connect(proxy.Port(), kOutside);
    outside.Send(request);
    return StatusOf(outside.ReadMessage()) == 200;
  })) << proxy.Log();
  RawSocket late = RawSocket::Connect(proxy.Port(), kInside);
  EXPECT_TRUE(IsReset(late));
  // Whoever is in stays in.
  inside.Send(request);
  EXPECT_EQ(StatusOf(inside.ReadMessage()), 200);
}

TEST(SecurityGroupTest, AGroupThatIsNotThereIsRefusedByName) {
  ScriptedTarget target(ScriptedTarget::EchoHead);
  std::string config = ConfigFor({target.port()}, "", kAttached);
  ProxyProcess proxy(config, {"--workers=1"});
  EXPECT_EQ(proxy.WaitExit(), 1);
  EXPECT_NE(proxy.Log().find("there is no security group 'web'"), std::string::npos) << proxy.Log();
}

}  // namespace
}  // namespace remuda::proxy::testing
