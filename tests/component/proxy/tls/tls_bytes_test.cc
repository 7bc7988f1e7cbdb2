// TLS that ends at the proxy in front of targets that speak bytes, and TLS to such targets.
#include <gtest/gtest.h>

#include "tests/component/proxy/testing/proxy_process.h"
#include "tests/component/proxy/testing/raw_target.h"
#include "tests/component/proxy/testing/tls_client.h"

namespace remuda::proxy::testing {
namespace {

const TestCertificate& Web() {
  static const TestCertificate web =
      MakeCertificate({.names = {"shop.test"}, .common_name = "web"});
  return web;
}

// A TLS listener in front of a target.
std::string ConfigOf(uint16_t target, const std::string& group) {
  return BytesConfigFor({.targets = {target},
                         .listener = "protocol: TLS, certificates: [web]",
                         .group = group}) +
         CertificatesYaml({{"web", Web()}});
}

// Greets, then gives back what it got when the client has ended.
void Serve(RawSocket& connection) {
  connection.Send("hello ");
  const std::string all = connection.ReadToEnd();
  connection.Send(std::to_string(all.size()) + " " + all);
  if (connection.tls() != nullptr) SSL_shutdown(connection.tls());
}

std::string Pattern() {
  std::string text(3 << 20, '\0');
  for (size_t i = 0; i < text.size(); ++i) text[i] = static_cast<char>(i * 131 + (i >> 11));
  return text;
}

TEST(TlsBytesTest, EndsTlsInFrontOfATcpTarget) {
  RawTarget target(Serve);
  ServingProxy proxy(ConfigOf(target.port(), "protocol: TCP"));
  RawSocket client = ConnectTls(proxy.Port());
  EXPECT_EQ(ShownTo(client), "web");
  EXPECT_EQ(client.ReadBytes(6), "hello ") << "the target may speak first";
  const std::string text = Pattern();
  ASSERT_TRUE(client.Send(text));
  SSL_shutdown(client.tls());  // its end; it reads on
  EXPECT_TRUE(client.ReadToEnd() == std::to_string(text.size()) + " " + text);
  EXPECT_TRUE(client.has_ended_cleanly());
  ASSERT_TRUE(WaitUntil([&] { return !proxy.AccessLog().empty(); }));
  EXPECT_EQ(proxy.AccessLog().rfind("tls ", 0), 0u) << proxy.AccessLog();
  EXPECT_NE(proxy.AccessLog().find(" TLS_AES_128_GCM_SHA256 TLSv1.3 "), std::string::npos)
      << proxy.AccessLog();
}

TEST(TlsBytesTest, SpeaksTlsToATargetOfBytes) {
  SSL_CTX* const context = SSL_CTX_new(TLS_server_method());
  SSL_CTX_use_certificate(context, Web().certificate.get());
  SSL_CTX_use_PrivateKey(context, Web().key.get());
  RawTarget target([&](RawSocket& connection) {
    SSL* const ssl = SSL_new(context);
    SSL_set_accept_state(ssl);
    if (connection.StartTls(ssl)) Serve(connection);
  });
  ServingProxy proxy(ConfigOf(target.port(), "protocol: TLS"));
  RawSocket client = ConnectTls(proxy.Port());
  EXPECT_EQ(client.ReadBytes(6), "hello ");
  const std::string text = Pattern();
  ASSERT_TRUE(client.Send(text));
  SSL_shutdown(client.tls());
  EXPECT_TRUE(client.ReadToEnd() == std::to_string(text.size()) + " " + text);
  SSL_CTX_free(context);
}

}  // namespace
}  // namespace remuda::proxy::testing
