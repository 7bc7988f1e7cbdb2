// Certificates that change while the proxy runs.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>

#include "tests/component/proxy/testing/fake_controller.h"
#include "tests/component/proxy/testing/proxy_process.h"
#include "tests/component/proxy/testing/tls_client.h"
#include "tests/component/proxy/testing/updates.h"

namespace remuda::proxy::testing {
namespace {

void AddCertificate(v1::ConfigUpdate& update, const std::string& common_name) {
  const TestCertificate made =
      MakeCertificate({.names = {"shop.test"}, .common_name = common_name});
  auto* certificate = update.mutable_upserts()->add_certificates();
  certificate->set_name("certificates/web");
  certificate->set_certificate_pem(made.pem);
  certificate->set_private_key_pem(made.key_pem);
}

// One HTTPS listener that shows certificate `v1`.
v1::ConfigUpdate Secured(uint16_t port) {
  v1::ConfigUpdate update = Whole(1, port);
  auto* listener = update.mutable_upserts()->mutable_load_balancers(0)->mutable_listeners(0);
  listener->set_protocol(remuda::v1::PROTOCOL_HTTPS);
  listener->add_certificates("web");
  AddCertificate(update, "v1");
  return update;
}

class TlsSwapTest : public ::testing::Test {
 protected:
  void Start() {
    port_ = FreePort();
    proxy_ = std::make_unique<ProxyProcess>("", ControllerFlags(controller_));
    v1::ConfigUpdate update = Secured(port_);
    AddTarget(update, "i-1", target_.port());
    controller_.Begin(update);
    controller_.ExpectAck(1);
    ASSERT_TRUE(controller_.ExpectHealthy("i-1"));
  }

  FakeController controller_{1};
  ScriptedTarget target_{ScriptedTarget::Answers("hello")};
  std::unique_ptr<ProxyProcess> proxy_;
  uint16_t port_ = 0;
};

TEST_F(TlsSwapTest, NewHandshakesGetTheNewCertificateAndOpenConnectionsGoOn) {
  Start();
  std::atomic<bool> is_over{false};
  std::atomic<int> good{0}, bad{0};
  std::vector<std::thread> clients;
  for (int i = 0; i < 4; ++i) {
    clients.emplace_back([&, i] {
      RawSocket kept = ConnectTls(port_);
      while (!is_over) {
        if (i % 2 == 1) kept = ConnectTls(port_);  // half of them make a new one each time
        (StatusOf(Ask(kept)) == 200 ? good : bad) += 1;
      }
    });
  }
  RawSocket open = ConnectTls(port_);
  EXPECT_EQ(ShownTo(open), "v1");
  const pid_t pid = proxy_->pid();
  for (int version = 2; version <= 8; ++version) {
    v1::ConfigUpdate update = Update(version, version - 1);
    AddCertificate(update, "v" + std::to_string(version));
    controller_.Send(update);
    controller_.ExpectAck(version);
    EXPECT_EQ(ShownTo(ConnectTls(port_)), "v" + std::to_string(version));
    EXPECT_EQ(StatusOf(Ask(open)), 200);
    const int wanted = good + 20;
    EXPECT_TRUE(WaitUntil([&] { return good >= wanted || bad > 0; }));
  }
  is_over = true;
  for (std::thread& client : clients) client.join();
  EXPECT_EQ(bad, 0);
  EXPECT_TRUE(proxy_->is_running());
  EXPECT_EQ(proxy_->pid(), pid);
}

TEST_F(TlsSwapTest, ARefusedCertificateChangesNothing) {
  Start();
  v1::ConfigUpdate update = Update(2, 1);
  AddCertificate(update, "v2");
  update.mutable_upserts()->mutable_certificates(0)->set_private_key_pem("garbage");
  controller_.Send(update);
  const v1::Nack nack = controller_.ExpectNack();
  EXPECT_THAT(nack.resource(), ::testing::HasSubstr("certificates/web"));
  EXPECT_THAT(nack.reason(), ::testing::HasSubstr("private_key_pem: cannot be read"));
  EXPECT_THAT(nack.reason(), ::testing::Not(::testing::HasSubstr("garbage")));
  EXPECT_EQ(ShownTo(ConnectTls(port_)), "v1");

  v1::ConfigUpdate file = Update(2, 1);
  AddCertificate(file, "v2");
  file.mutable_upserts()->mutable_certificates(0)->set_private_key_file("/etc/key.pem");
  controller_.Send(file);
  EXPECT_THAT(controller_.ExpectNack().reason(),
              ::testing::HasSubstr("private_key_file: is only for a proxy's config file"));

  v1::ConfigUpdate removal = Update(2, 1);
  removal.add_removed_certificates("web");
  controller_.Send(removal);
  EXPECT_THAT(controller_.ExpectNack().reason(),
              ::testing::HasSubstr("there is no certificate 'web'"));
  EXPECT_EQ(ShownTo(ConnectTls(port_)), "v1");
}

// Of two proxies with the same keys: what one has begun the other resumes, and neither keeps a key
// on its disk.
TEST_F(TlsSwapTest, ResumesSessionsOfOtherProxiesWithTheControllersKeys) {
  Start();
  FakeController twin_controller(1);
  std::vector<std::string> flags = ControllerFlags(twin_controller);
  ProxyProcess twin("", flags);
  const uint16_t twin_port = FreePort();
  twin_controller.Begin(Secured(twin_port));
  twin_controller.ExpectAck(1);
  // Whether a session of this proxy is resumed by the twin.
  const auto is_shared = [&] {
    RawSocket first = ConnectTls(port_);
    EXPECT_EQ(StatusOf(Ask(first)), 200);
    const std::shared_ptr<SSL_SESSION> session(SSL_get1_session(first.tls()), SSL_SESSION_free);
    RawSocket second = ConnectTls(twin_port, {.session = session.get()});
    return second.is_open() && SSL_session_reused(second.tls()) == 1;
  };
  EXPECT_FALSE(is_shared()) << "each has keys of its own";
  const std::string a(80, 'a'), b(80, 'b'), c(80, 'c');
  controller_.SendTicketKeys({a, b});
  twin_controller.SendTicketKeys({a, b});
  EXPECT_TRUE(WaitUntil(is_shared));
  // One hears of the change before the other.
  controller_.SendTicketKeys({b, c, a});
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(is_shared());
  controller_.SendTicketKeys({"short"});
  EXPECT_TRUE(WaitUntil([&] {
    return proxy_->Log().find("ticket keys are refused: keys: one of 5 bytes is not of 80") !=
           std::string::npos;
  })) << proxy_->Log();
  EXPECT_TRUE(is_shared());
}

}  // namespace
}  // namespace remuda::proxy::testing
