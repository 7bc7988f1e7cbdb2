// TLS on listeners, as clients see it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/stat.h>

#include <atomic>
#include <fstream>
#include <thread>

#include "tests/component/proxy/testing/proxy_process.h"
#include "tests/component/proxy/testing/tls_client.h"

namespace remuda::proxy::testing {
namespace {

using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::Not;

using Certificates = std::vector<std::pair<std::string, TestCertificate>>;

TestCertificate Made(const std::string& common_name, std::vector<std::string> names,
                     TestKey key = TestKey::kP256) {
  return MakeCertificate({.names = std::move(names), .common_name = common_name, .key = key});
}

const Certificates& Web() {
  static const Certificates web = {{"web", Made("web", {"shop.test", "*.shop.test"})}};
  return web;
}

class TlsListenerTest : public ::testing::Test {
 protected:
  void Start(const std::string& config, std::vector<std::string> flags = {}) {
    flags.push_back("--workers=2");
    proxy_ = std::make_unique<ProxyProcess>(config, flags);
    ASSERT_TRUE(proxy_->WaitReady());
  }
  void StartBefore(ScriptedTarget::Script script, const Certificates& certificates = Web(),
                   const std::string& listener_extra = "") {
    target_ = std::make_unique<ScriptedTarget>(std::move(script));
    Start(TlsConfigFor({target_->port()}, certificates, listener_extra));
    ASSERT_TRUE(proxy_->WaitHealthy(1));
  }
  uint16_t port() { return proxy_->Port(); }
  double Failures(const std::string& reason) {
    return proxy_->Metric("client_tls_negotiation_error_count_total{reason=\"" + reason + "\"}");
  }
  bool WaitFailures(const std::string& reason, double count) {
    return WaitUntil([&] { return Failures(reason) == count; });
  }

  std::unique_ptr<ScriptedTarget> target_;
  std::unique_ptr<ProxyProcess> proxy_;
};

TEST_F(TlsListenerTest, ServesRequestsAndSaysThatTheyCameByTls) {
  StartBefore(ScriptedTarget::EchoHead);
  RawSocket client = ConnectTls(port());
  for (int i = 0; i < 20; ++i) {
    const std::string got = Ask(client, "/",
                                "X-Amzn-Mtls-Clientcert: forged\r\n"
                                "x-amzn-mtls-clientcert-subject: CN=root\r\n");
    ASSERT_EQ(StatusOf(got), 200);
    EXPECT_THAT(got, HasSubstr("X-Forwarded-Proto: https\r\n"));
    EXPECT_THAT(got, HasSubstr("X-Forwarded-Port: " + std::to_string(port()) + "\r\n"));
    EXPECT_THAT(got, Not(HasSubstr("forged")));
    EXPECT_THAT(got, Not(HasSubstr("CN=root")));
  }
  EXPECT_LE(target_->connections(), 2);  // they take turns
  EXPECT_EQ(proxy_->Metric("client_tls_handshake_count_total"), 1);
}

TEST_F(TlsListenerTest, RemovesForgedCertificateHeadersOnPlainListenersToo) {
  target_ = std::make_unique<ScriptedTarget>(ScriptedTarget::EchoHead);
  Start(ConfigFor({target_->port()}));
  ASSERT_TRUE(proxy_->WaitHealthy(1));
  RawSocket client = RawSocket::Connect(port());
  EXPECT_THAT(Ask(client, "/", "X-Amzn-Mtls-Clientcert-Leaf: forged\r\n"),
              Not(HasSubstr("forged")));
}

TEST_F(TlsListenerTest, ShowsTheCertificateThatTheNameAsksFor) {
  const Certificates certificates = {
      {"first", Made("first", {"first.test"})},
      {"shop", Made("shop", {"shop.test", "*.shop.test"}, TestKey::kRsa2048)},
      {"shop-ec", Made("shop-ec", {"shop.test"})},
      {"api", Made("api", {"api.shop.test"})}};
  StartBefore(ScriptedTarget::EchoHead, certificates);
  const struct {
    const char* name;
    const char* algorithms;
    const char* want;
  } cases[] = {{"shop.test", "RSA-PSS+SHA256:RSA+SHA256", "shop"},
               {"shop.test", "ECDSA+SHA256", "shop-ec"},
               {"SHOP.test", "ECDSA+SHA256", "shop-ec"},
               {"www.shop.test", nullptr, "shop"},
               {"api.shop.test", nullptr, "api"},
               {"a.api.shop.test", nullptr, "first"},
               {"other.test", nullptr, "first"},
               {"", nullptr, "first"}};
  for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
    for (const auto& c : cases) {
      RawSocket client =
          ConnectTls(port(), {.name = c.name, .max_version = version, .algorithms = c.algorithms});
      EXPECT_EQ(ShownTo(client), c.want) << c.name << " " << version;
      EXPECT_EQ(StatusOf(Ask(client)), 200);
    }
  }
}

TEST_F(TlsListenerTest, OffersWhatItsPolicySays) {
  const struct {
    const char* policy;
    TlsOptions options;
    bool is_through;
  } cases[] = {
      {"TLS_POLICY_TLS12", {}, true},
      {"TLS_POLICY_TLS12", {.max_version = TLS1_2_VERSION}, true},
      {"TLS_POLICY_TLS12", {.max_version = TLS1_1_VERSION}, false},
      {"TLS_POLICY_TLS12", {.max_version = TLS1_2_VERSION, .ciphers = "ECDHE+AES+SHA"}, false},
      {"TLS_POLICY_TLS12", {.max_version = TLS1_2_VERSION, .ciphers = "kRSA"}, false},
      {"TLS_POLICY_TLS12", {.alpn = "\x08http/1.1"}, true},
      {"TLS_POLICY_TLS12", {.alpn = "\x04smtp"}, false},
      {"TLS_POLICY_TLS13", {}, true},
      {"TLS_POLICY_TLS13", {.max_version = TLS1_2_VERSION}, false},
  };
  std::string running;
  double refused = 0;
  for (const auto& c : cases) {
    if (running != c.policy) {
      StartBefore(ScriptedTarget::EchoHead,
                  {{"web", Made("web", {"shop.test"}, TestKey::kRsa2048)}},
                  "        tlsPolicy: " + std::string(c.policy) + "\n");
      running = c.policy;
      refused = 0;
    }
    RawSocket client = ConnectTls(port(), c.options);
    EXPECT_EQ(client.is_open(), c.is_through) << c.policy;
    EXPECT_EQ(StatusOf(Ask(client)), c.is_through ? 200 : 0);
    if (!c.is_through) {
      EXPECT_TRUE(WaitFailures("NothingInCommon", ++refused)) << c.policy;
    }
  }
}

// Who learns a shared secret, or another proxy's memory, learns nothing of what was said here.
TEST_F(TlsListenerTest, ResumesSessionsAtEveryWorkerButNotElsewhere) {
  target_ = std::make_unique<ScriptedTarget>(ScriptedTarget::EchoHead);
  const std::string config = TlsConfigFor({target_->port()}, Web()) + "sharedSecrets: ['" +
                             std::string(42, 'A') + "A=']\n";
  Start(config);
  ProxyProcess twin(config, {"--workers=1"});
  ASSERT_TRUE(twin.WaitReady());
  ASSERT_TRUE(proxy_->WaitHealthy(1));
  for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
    RawSocket first = ConnectTls(port(), {.max_version = version});
    ASSERT_EQ(StatusOf(Ask(first)), 200);
    const std::shared_ptr<SSL_SESSION> session(SSL_get1_session(first.tls()), SSL_SESSION_free);
    for (int i = 0; i < 12; ++i) {
      RawSocket client = ConnectTls(port(), {.session = session.get(), .max_version = version});
      ASSERT_TRUE(client.is_open());
      EXPECT_EQ(SSL_session_reused(client.tls()), 1) << i << " " << version;
      EXPECT_EQ(StatusOf(Ask(client)), 200);
    }
    RawSocket client = ConnectTls(twin.Port(), {.session = session.get(), .max_version = version});
    ASSERT_TRUE(client.is_open());
    EXPECT_EQ(SSL_session_reused(client.tls()), 0) << version;
  }
  EXPECT_EQ(proxy_->Metric("client_tls_resumption_count_total"), 24);
}

TEST_F(TlsListenerTest, TakesClientsThatSpeakHttp10Only) {
  StartBefore(ScriptedTarget::EchoHead);
  RawSocket client = ConnectTls(port(), {.alpn = "\x08http/1.0"});
  ASSERT_TRUE(client.is_open());
  client.Send("GET / HTTP/1.0\r\nHost: shop.test\r\n\r\n");
  EXPECT_EQ(StatusOf(client.ReadToEnd()), 200);
  RawSocket other = ConnectTls(port(), {.alpn = "\x06spdy/3"});
  EXPECT_EQ(StatusOf(Ask(other)), 0);
  EXPECT_TRUE(WaitFailures("NothingInCommon", 1));
}

// More than a turn of the loop brings on: the others get theirs.
TEST_F(TlsListenerTest, ServesAllOfManyHandshakesAtOnce) {
  constexpr int kClients = 80;
  StartBefore(ScriptedTarget::EchoHead);
  std::atomic<int> begun{0}, served{0};
  proxy_->Signal(SIGSTOP);
  std::vector<std::thread> clients;
  for (int i = 0; i < kClients; ++i) {
    clients.emplace_back([&] {
      ++begun;
      RawSocket client = ConnectTls(port());
      served += StatusOf(Ask(client)) == 200 ? 1 : 0;
    });
  }
  EXPECT_TRUE(WaitUntil([&] { return begun == kClients; }));
  proxy_->Signal(SIGCONT);
  for (std::thread& client : clients) client.join();
  EXPECT_EQ(served, kClients);
}

TEST_F(TlsListenerTest, AnswersPlainHttpWithAHint) {
  StartBefore(ScriptedTarget::EchoHead);
  RawSocket client = RawSocket::Connect(port());
  client.Send("GET / HTTP/1.1\r\nHost: shop.test\r\n\r\n");
  const std::string got = client.ReadToEnd();
  EXPECT_EQ(StatusOf(got), 400);
  EXPECT_THAT(got, HasSubstr("X-Remuda-Reason: PlainHttpToTls\r\n"));
  EXPECT_THAT(got, EndsWith("This port speaks TLS: ask for https:// instead.\n"));
  EXPECT_EQ(Failures("PlainHttp"), 1);
}

TEST_F(TlsListenerTest, ClosesWhatIsNoHandshakeAndServesOthers) {
  StartBefore(ScriptedTarget::EchoHead);
  RawSocket good = ConnectTls(port());
  const std::string cases[] = {"SSH-2.0-x\r\n", std::string("\x16\x03\x01\xff\xff\x01", 6),
                               std::string("\x16\x03\x01\x00\x04\x01\x00\x00\x00", 9),
                               std::string(64, '\0'), std::string(64, '\x80')};
  for (const std::string& bytes : cases) {
    RawSocket bad = RawSocket::Connect(port());
    bad.Send(bytes);
    bad.ReadToEnd();  // an alert, or nothing
    EXPECT_EQ(StatusOf(Ask(good)), 200);
  }
  EXPECT_TRUE(WaitFailures("Malformed", 5));
}

// As on a plain listener: who has connected before the signal is served.
TEST_F(TlsListenerTest, ADrainServesWhoHasNotShakenHandsYet) {
  StartBefore(ScriptedTarget::EchoHead, Web());
  RawSocket client = RawSocket::Connect(port());
  ASSERT_TRUE(WaitUntil([&] { return proxy_->Metric("active_connection_count") == 1; }));
  proxy_->Signal(SIGTERM);
  ASSERT_TRUE(WaitUntil([&] { return proxy_->Admin("/readyz") == "draining\n"; }));
  SSL_CTX* const context = SSL_CTX_new(TLS_client_method());
  SSL* const ssl = SSL_new(context);
  SSL_set_connect_state(ssl);
  ASSERT_TRUE(client.StartTls(ssl));
  EXPECT_EQ(StatusOf(Ask(client)), 200);
  EXPECT_EQ(proxy_->WaitExit(), 0);
  SSL_CTX_free(context);
}

TEST_F(TlsListenerTest, CutsASlowHandshake) {
  Start(TlsConfigFor({}, Web()), {"--greeting-timeout=300ms"});
  RawSocket silent = RawSocket::Connect(port());
  RawSocket slow = RawSocket::Connect(port());
  slow.Send("\x16\x03\x01");
  EXPECT_TRUE(silent.WaitClosed());
  EXPECT_TRUE(slow.WaitClosed());
  EXPECT_TRUE(WaitFailures("Timeout", 2));
  RawSocket good = ConnectTls(port());
  EXPECT_EQ(StatusOf(Ask(good)), 503);
}

TEST_F(TlsListenerTest, CarriesLargeBodiesBothWays) {
  StartBefore([](const std::string& head, RawSocket& connection) {
    const size_t size =
        std::strtoul(head.c_str() + head.find("Content-Length: ") + 16, nullptr, 10);
    const std::string body = connection.ReadBytes(size);
    return connection.Send("HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(body.size()) +
                           "\r\n\r\n" + body);
  });
  std::string body(5 << 20, '\0');
  for (size_t i = 0; i < body.size(); ++i) body[i] = static_cast<char>(i * 131 + (i >> 11));
  for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
    RawSocket client = ConnectTls(port(), {.max_version = version});
    for (int i = 0; i < 2; ++i) {
      ASSERT_TRUE(client.Send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: " +
                              std::to_string(body.size()) + "\r\n\r\n" + body));
      const std::string got = client.ReadMessage();
      ASSERT_EQ(StatusOf(got), 200);
      EXPECT_TRUE(BodyOf(got) == body);
    }
  }
}

TEST_F(TlsListenerTest, SaysGoodbyeOnlyWhenAllWasSent) {
  StartBefore([](const std::string& head, RawSocket& connection) {
    connection.Send("HTTP/1.1 200 OK\r\n\r\nuntil the end");
    if (head.rfind("GET /cut", 0) == 0) connection.Reset();
    return false;
  });
  for (const std::string path : {"/whole", "/cut"}) {
    RawSocket client = ConnectTls(port());
    client.Send("GET " + path + " HTTP/1.0\r\nHost: a\r\n\r\n");  // a body until the end
    client.ReadToEnd();
    EXPECT_EQ(client.has_ended_cleanly(), path == "/whole") << path;
  }
  RawSocket idle = ConnectTls(port());
  EXPECT_EQ(StatusOf(Ask(idle)), 200);
  proxy_->Signal(SIGTERM);
  EXPECT_TRUE(idle.WaitClosed());
  EXPECT_TRUE(idle.has_ended_cleanly());
  EXPECT_EQ(proxy_->WaitExit(), 0);
}

TEST_F(TlsListenerTest, RedirectsKeepTheProtocol) {
  Start(
      TlsConfigFor({}, Web(),
                   "        rules:\n"
                   "          - { priority: 1, conditions: [{ pathPattern: { values: [/old] } }], "
                   "action: { redirect: { path: /new } } }\n"));
  RawSocket client = ConnectTls(port());
  EXPECT_THAT(Ask(client, "/old"), HasSubstr("Location: https://shop.test:"));
}

TEST_F(TlsListenerTest, LogsWhatWasAgreedOn) {
  Start(TlsConfigFor({}, Web()));
  RawSocket client = ConnectTls(port(), {.name = "www.shop.test", .max_version = TLS1_2_VERSION});
  EXPECT_EQ(StatusOf(Ask(client)), 503);
  EXPECT_TRUE(WaitUntil([&] {
    const std::string log = proxy_->AccessLog();
    return log.rfind("https ", 0) == 0 &&
           log.find(" ECDHE-ECDSA-AES128-GCM-SHA256 TLSv1.2 ") != std::string::npos &&
           log.find("\"www.shop.test\" \"web\"") != std::string::npos;
  })) << proxy_->AccessLog();
}

TEST_F(TlsListenerTest, HidesKeysAndSecrets) {
  Start(TlsConfigFor({}, Web()) + "sharedSecrets: ['" + std::string(42, 'A') + "A=']\n");
  const std::string shown = proxy_->Admin("/config");
  EXPECT_THAT(shown, HasSubstr("BEGIN CERTIFICATE"));
  EXPECT_THAT(shown, Not(HasSubstr("PRIVATE KEY")));
  EXPECT_THAT(shown, Not(HasSubstr("AAAAAAAA")));
}

TEST_F(TlsListenerTest, ReadsCertificatesFromFilesBesideTheConfig) {
  char folder[] = "/tmp/remuda_tls_XXXXXX";
  ASSERT_NE(mkdtemp(folder), nullptr);
  const std::string base = folder;
  std::ofstream(base + "/web.pem") << Web()[0].second.pem;
  std::ofstream(base + "/web.key") << Web()[0].second.key_pem;
  const std::string listener = "        protocol: PROTOCOL_HTTPS\n        certificates: [web]\n";
  const auto config = [&](const std::string& key_file) {
    return ConfigFor({}, "", "", listener) +
           "certificates:\n  - name: web\n    certificateFile: " + base +
           "/web.pem\n    privateKeyFile: " + key_file + "\n";
  };
  Start(config(base + "/web.key"));
  EXPECT_EQ(ShownTo(ConnectTls(port())), "web");
  ProxyProcess wrong(config(base + "/no.key"), {});
  EXPECT_EQ(wrong.WaitExit(), 1);
}

TEST_F(TlsListenerTest, PassesClientCertificatesThrough) {
  StartBefore(ScriptedTarget::EchoHead, Web(),
              "        mutualAuthentication: { mode: MODE_PASSTHROUGH }\n");
  const TestCertificate mine = Made("mine", {});
  RawSocket known = ConnectTls(port(), {.certificate = &mine});
  EXPECT_THAT(Ask(known, "/", "X-Amzn-Mtls-Clientcert: forged\r\n"),
              HasSubstr("X-Amzn-Mtls-Clientcert: -----BEGIN%20CERTIFICATE-----%0A"));
  RawSocket unknown = ConnectTls(port());
  const std::string got = Ask(unknown, "/", "X-Amzn-Mtls-Clientcert: forged\r\n");
  EXPECT_EQ(StatusOf(got), 200);
  EXPECT_THAT(got, Not(HasSubstr("Clientcert")));
}

TEST_F(TlsListenerTest, VerifiesClientCertificates) {
  const TestCertificate authority =
      MakeCertificate({.common_name = "ca", .key_index = 7, .is_authority = true});
  StartBefore(ScriptedTarget::EchoHead, Web(),
              "        mutualAuthentication:\n          mode: MODE_VERIFY\n          caPem: |\n" +
                  Indented(authority.pem, 12));
  const TestCertificate good = MakeCertificate({.common_name = "good"}, &authority);
  const TestCertificate foreign = Made("foreign", {});
  const TestCertificate expired =
      MakeCertificate({.common_name = "late", .ends = std::chrono::hours(-1)}, &authority);
  RawSocket client = ConnectTls(port(), {.certificate = &good});
  const std::string got = Ask(client);
  EXPECT_THAT(got, HasSubstr("X-Amzn-Mtls-Clientcert-Subject: CN=good\r\n"));
  EXPECT_THAT(got, HasSubstr("X-Amzn-Mtls-Clientcert-Issuer: CN=ca\r\n"));
  const std::shared_ptr<SSL_SESSION> session(SSL_get1_session(client.tls()), SSL_SESSION_free);
  RawSocket again = ConnectTls(port(), {.session = session.get(), .certificate = &good});
  EXPECT_THAT(Ask(again), HasSubstr("Clientcert-Subject: CN=good\r\n"));
  EXPECT_EQ(SSL_session_reused(again.tls()), 1);
  double refused = 0;
  for (const TestCertificate* bad :
       {static_cast<const TestCertificate*>(nullptr), &foreign, &expired}) {
    for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
      RawSocket turned_away = ConnectTls(port(), {.max_version = version, .certificate = bad});
      EXPECT_EQ(StatusOf(Ask(turned_away)), 0);
      EXPECT_TRUE(WaitFailures("ClientCertificate", ++refused));
    }
  }
  EXPECT_EQ(target_->requests(), 2);
}

// A ticket says nothing of the certificate that it was given for: it ends with that.
TEST_F(TlsListenerTest, ResumesNoSessionOfAnExpiredClient) {
  const TestCertificate authority =
      MakeCertificate({.common_name = "ca", .key_index = 7, .is_authority = true});
  StartBefore(ScriptedTarget::EchoHead, Web(),
              "        mutualAuthentication:\n          mode: MODE_VERIFY\n          caPem: |\n" +
                  Indented(authority.pem, 12));
  const TestCertificate brief =
      MakeCertificate({.common_name = "brief", .ends = std::chrono::seconds(3)}, &authority);
  RawSocket client = ConnectTls(port(), {.certificate = &brief});
  ASSERT_EQ(StatusOf(Ask(client)), 200);
  std::shared_ptr<SSL_SESSION> session(SSL_get1_session(client.tls()), SSL_SESSION_free);
  // Each visit brings a new ticket.
  EXPECT_TRUE(WaitUntil([&] {
    RawSocket again = ConnectTls(port(), {.session = session.get(), .certificate = &brief});
    if (StatusOf(Ask(again)) != 200) return true;
    session.reset(SSL_get1_session(again.tls()), SSL_SESSION_free);
    return false;
  }));
  EXPECT_GT(proxy_->Metric("client_tls_resumption_count_total"), 0);
  EXPECT_TRUE(WaitFailures("ClientCertificate", 1));
}

TEST_F(TlsListenerTest, RefusesConfigsThatCannotBeServed) {
  const auto config = [](const std::string& listener, const std::string& rest) {
    return ConfigFor({}, "", "", listener) + rest;
  };
  const std::string https = "        protocol: PROTOCOL_HTTPS\n";
  const Certificates mixed = {
      {"web", {Web()[0].second.pem, Made("x", {}, TestKey::kP384).key_pem}}};
  const std::string cases[] = {
      config(https, CertificatesYaml(Web())),
      config(https + "        certificates: [other]\n", CertificatesYaml(Web())),
      config("        certificates: [web]\n", CertificatesYaml(Web())),
      config(https + "        certificates: [web]\n", CertificatesYaml(mixed)),
      config(https + "        certificates: [web]\n        mutualAuthentication: { mode: "
                     "MODE_VERIFY }\n",
             CertificatesYaml(Web())),
      TlsConfigFor({}, Web()) + "sharedSecrets: ['AAAA']\n",
  };
  for (const std::string& text : cases) {
    ProxyProcess proxy(text, {});
    EXPECT_EQ(proxy.WaitExit(), 1) << text;
  }
}

}  // namespace
}  // namespace remuda::proxy::testing
