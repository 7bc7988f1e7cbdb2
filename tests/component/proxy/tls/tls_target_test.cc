// TLS from the proxy to targets.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/component/proxy/testing/proxy_process.h"
#include "tests/component/proxy/testing/tls_client.h"

namespace remuda::proxy::testing {
namespace {

using ::testing::HasSubstr;

// A server's side with one certificate.
class ServerSide {
 public:
  explicit ServerSide(const TestCertificate& shown) : context_(SSL_CTX_new(TLS_server_method())) {
    SSL_CTX_use_certificate(context_, shown.certificate.get());
    SSL_CTX_use_PrivateKey(context_, shown.key.get());
    SSL_CTX_set_tlsext_servername_callback(context_, OnName);
    SSL_CTX_set_tlsext_servername_arg(context_, this);
  }
  ~ServerSide() { SSL_CTX_free(context_); }
  SSL_CTX* get() { return context_; }
  // Names that were asked for, by other connections than health checks' too.
  bool WasAskedFor(const std::string& name) {
    std::lock_guard lock(mutex_);
    return std::find(names_.begin(), names_.end(), name) != names_.end();
  }

 private:
  static int OnName(SSL* ssl, int*, void* self) {
    const char* name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
    auto* side = static_cast<ServerSide*>(self);
    std::lock_guard lock(side->mutex_);
    side->names_.push_back(name == nullptr ? "" : name);
    return SSL_TLSEXT_ERR_OK;
  }
  SSL_CTX* const context_;
  std::mutex mutex_;
  std::vector<std::string> names_;
};

class TlsTargetTest : public ::testing::Test {
 protected:
  static const TestCertificate& Authority() {
    static const TestCertificate made =
        MakeCertificate({.common_name = "ca", .key_index = 7, .is_authority = true});
    return made;
  }
  void Start(const std::vector<uint16_t>& targets, const std::string& target_tls,
             std::vector<std::string> flags = {}) {
    flags.push_back("--workers=1");
    proxy_ = std::make_unique<ProxyProcess>(
        ConfigFor(targets, "    protocol: PROTOCOL_HTTPS\n" + target_tls), flags);
    ASSERT_TRUE(proxy_->WaitReady());
  }
  static std::string Verify(const std::string& name) {
    return "    targetTls:\n      verify: VERIFY_FULL\n      serverName: '" + name +
           "'\n      caPem: |\n" + Indented(Authority().pem, 8);
  }
  std::unique_ptr<ProxyProcess> proxy_;
};

TEST_F(TlsTargetTest, CopiesOfRequestsGoUnderTlsToo) {
  ServerSide side(MakeCertificate({.common_name = "whoever"}));
  ScriptedTarget target(ScriptedTarget::Answers("hello"), side.get());
  ScriptedTarget mirror(ScriptedTarget::Answers("copied"), side.get());
  proxy_ = std::make_unique<ProxyProcess>(
      ConfigFor({target.port()}, "    protocol: PROTOCOL_HTTPS\n") +
          "  - { targetGroup: blue, address: 127.0.0.1, port: " + std::to_string(mirror.port()) +
          ", subset: v2 }\ntrafficSplits:\n  - { targetGroup: blue, subsets: [{ subset: \"\", "
          "weight: 1 }], mirror: { mirror: { percent: 100 }, subset: v2 } }\n",
      std::vector<std::string>{"--workers=1"});
  ASSERT_TRUE(proxy_->WaitReady()) << proxy_->Log();
  ASSERT_TRUE(proxy_->WaitHealthy(2));
  for (int i = 0; i < 5; ++i) EXPECT_EQ(BodyOf(Get(proxy_->Port())), "hello");
  EXPECT_TRUE(WaitUntil([&] { return proxy_->Metric("mirrored_request_count_total") == 5; }));
  EXPECT_EQ(proxy_->Metric("mirrored_error_count_total"), 0);
  EXPECT_EQ(mirror.requests(), 5);
}

TEST_F(TlsTargetTest, ForwardsOnPooledConnectionsWithoutJudging) {
  ServerSide side(MakeCertificate({.common_name = "whoever"}));
  ScriptedTarget target(ScriptedTarget::Answers("hello"), side.get());
  Start({target.port()}, "");
  ASSERT_TRUE(proxy_->WaitHealthy(1)) << "by an HTTPS check";
  RawSocket client = RawSocket::Connect(proxy_->Port());
  for (int i = 0; i < 20; ++i) {
    client.Send("GET / HTTP/1.1\r\nHost: shop.test:8080\r\n\r\n");
    EXPECT_EQ(BodyOf(client.ReadMessage()), "hello");
  }
  EXPECT_LE(target.connections(), 2);  // they take turns
  EXPECT_TRUE(side.WasAskedFor("shop.test")) << "the request's host without its port";
}

TEST_F(TlsTargetTest, ResumesSessions) {
  ServerSide side(MakeCertificate({}));
  ScriptedTarget target(
      [](const std::string&, RawSocket& connection) {
        connection.Send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok");
        return false;
      },
      side.get());
  Start({target.port()}, "    targetTls: { serverName: target.test }\n");
  ASSERT_TRUE(proxy_->WaitHealthy(1));
  for (int i = 0; i < 5; ++i) EXPECT_EQ(BodyOf(Get(proxy_->Port())), "ok");
  EXPECT_EQ(target.connections(), 5);
  EXPECT_EQ(target.resumptions(), 4);
  EXPECT_TRUE(side.WasAskedFor("target.test"));
}

TEST_F(TlsTargetTest, VerifiesTheChainAndTheName) {
  const TestCertificate good = MakeCertificate({.names = {"target.test"}}, &Authority());
  const TestCertificate foreign = MakeCertificate({.names = {"target.test"}});
  const TestCertificate expired =
      MakeCertificate({.names = {"target.test"}, .ends = std::chrono::hours(-1)}, &Authority());
  const struct {
    const TestCertificate& shown;
    const char* name;
    int want;
  } cases[] = {{good, "target.test", 200},
               {good, "other.test", 502},
               {foreign, "target.test", 502},
               {expired, "target.test", 502}};
  for (const auto& c : cases) {
    ServerSide side(c.shown);
    ScriptedTarget target(ScriptedTarget::Answers("hello"), side.get());
    Start({target.port()}, Verify(c.name));
    ASSERT_TRUE(proxy_->WaitHealthy(1)) << "checks judge no certificate";
    const std::string got = Get(proxy_->Port());
    EXPECT_EQ(StatusOf(got), c.want) << c.name;
    if (c.want == 502) {
      EXPECT_THAT(got, HasSubstr("X-Remuda-Reason: TargetTlsFailed\r\n"));
      EXPECT_EQ(target.requests(), 0) << "nothing may be sent to it";
      EXPECT_GE(proxy_->Metric("target_tls_negotiation_error_count_total"), 1);
    }
  }
}

// Without a name of its own the group takes the one that the target is told, rewritten or not.
TEST_F(TlsTargetTest, VerifiesTheHostThatTheTargetGets) {
  ServerSide side(MakeCertificate({.names = {"inside.test"}}, &Authority()));
  ScriptedTarget target(ScriptedTarget::Answers("hello"), side.get());
  ScriptedTarget second(ScriptedTarget::Answers("hello"), side.get());
  std::string config =
      ConfigFor({target.port(), second.port()},
                "    protocol: PROTOCOL_HTTPS\n    passiveEjection: { consecutiveFailures: 3 }\n   "
                " targetTls:\n      verify: VERIFY_FULL\n"
                "      caPem: |\n" +
                    Indented(Authority().pem, 8));
  const std::string rules =
      "        rules:\n          - priority: 1\n            conditions: [{ hostHeader: { values: "
      "[public.test] } }]\n"
      "            transforms: [{ hostHeaderRewrite: { regex: '.*', replace: inside.test } }]\n"
      "            action: { forward: { targetGroups: [{ targetGroup: blue }] } }\n";
  config.insert(config.find("        defaultAction:"), rules);
  proxy_ = std::make_unique<ProxyProcess>(config, std::vector<std::string>{"--workers=1"});
  ASSERT_TRUE(proxy_->WaitReady());
  ASSERT_TRUE(proxy_->WaitHealthy(2));
  const auto ask = [&](const std::string& host) {
    RawSocket client = RawSocket::Connect(proxy_->Port());
    client.Send("GET / HTTP/1.1\r\nHost: " + host + "\r\n\r\n");
    return StatusOf(client.ReadMessage());
  };
  EXPECT_EQ(ask("public.test"), 200);
  EXPECT_EQ(ask("inside.test."), 200);
  // A name that a client made up says nothing of the target.
  for (int i = 0; i < 5; ++i) EXPECT_EQ(ask("other.test"), 502);
  EXPECT_EQ(ask("public.test"), 200);
  EXPECT_EQ(proxy_->Metric("passive_ejection_count_total"), 0);
  EXPECT_TRUE(side.WasAskedFor("inside.test"));
}

TEST_F(TlsTargetTest, TriesAnotherTargetWhenTlsFails) {
  ServerSide good(MakeCertificate({.names = {"target.test"}}, &Authority()));
  ServerSide bad(MakeCertificate({.names = {"target.test"}}));
  ScriptedTarget one(ScriptedTarget::Answers("good"), good.get());
  ScriptedTarget two(ScriptedTarget::Answers("bad"), bad.get());
  Start({one.port(), two.port()}, Verify("target.test"));
  ASSERT_TRUE(proxy_->WaitHealthy(2));
  for (int i = 0; i < 6; ++i) EXPECT_EQ(BodyOf(Get(proxy_->Port())), "good");
}

TEST_F(TlsTargetTest, BoundsTheHandshakeByTheConnectTimeout) {
  ScriptedTarget mute([](const std::string&, RawSocket&) { return true; });  // never speaks TLS
  Start({mute.port()}, "", {"--connect-timeout=300ms"});
  const std::string got = Get(proxy_->Port());  // no target is healthy: all get requests
  EXPECT_EQ(StatusOf(got), 504);
  EXPECT_THAT(got, HasSubstr("X-Remuda-Reason: TargetConnectTimeout\r\n"));
}

TEST_F(TlsTargetTest, TakesNoCutBodyForAWholeOne) {
  ServerSide side(MakeCertificate({}));
  ScriptedTarget target(
      [](const std::string& head, RawSocket& connection) {
        connection.Send("HTTP/1.1 200 OK\r\n\r\nuntil the end");
        if (head.rfind("GET /whole", 0) == 0) SSL_shutdown(connection.tls());
        return false;
      },
      side.get());
  Start({target.port()}, "");
  ASSERT_TRUE(proxy_->WaitHealthy(1));
  EXPECT_THAT(Get(proxy_->Port(), "/whole"), HasSubstr("\r\n0\r\n\r\n")) << "the last chunk";
  EXPECT_THAT(Get(proxy_->Port(), "/cut"), ::testing::Not(HasSubstr("\r\n0\r\n\r\n")));
}

TEST_F(TlsTargetTest, CarriesLargeBodiesBothWays) {
  ServerSide side(MakeCertificate({}));
  ScriptedTarget target(
      [](const std::string& head, RawSocket& connection) {
        const size_t at = head.find("Content-Length: ");
        const std::string body =
            connection.ReadBytes(std::strtoul(head.c_str() + at + 16, nullptr, 10));
        return connection.Send("HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(body.size()) +
                               "\r\n\r\n" + body);
      },
      side.get());
  Start({target.port()}, "");
  ASSERT_TRUE(proxy_->WaitHealthy(1));
  std::string body(5 << 20, '\0');
  for (size_t i = 0; i < body.size(); ++i) body[i] = static_cast<char>(i * 131 + (i >> 11));
  RawSocket client = RawSocket::Connect(proxy_->Port());
  ASSERT_TRUE(client.Send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: " +
                          std::to_string(body.size()) + "\r\n\r\n" + body));
  EXPECT_TRUE(BodyOf(client.ReadMessage()) == body);
}

}  // namespace
}  // namespace remuda::proxy::testing
