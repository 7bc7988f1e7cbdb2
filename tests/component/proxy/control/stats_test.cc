// What a proxy reports of load: what is under way and the bytes of each subset, and the numbers of
// targets where they have changed.
#include <gtest/gtest.h>

#include <chrono>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "tests/component/proxy/testing/configs.h"
#include "tests/component/proxy/testing/fake_controller.h"
#include "tests/component/proxy/testing/http2_client.h"
#include "tests/component/proxy/testing/proxy_process.h"
#include "tests/component/proxy/testing/tls_client.h"
#include "tests/component/proxy/testing/updates.h"

namespace remuda::proxy::testing {
namespace {

// Counts what it gets and what it answers; `/hang` is never answered, an upgrade is echoed.
class Meter {
 public:
  ScriptedTarget::Script Script() {
    return [this](const std::string& head, RawSocket& connection) {
      got_ += static_cast<int64_t>(head.size());
      if (head.find(" /hang ") != std::string::npos)
        return ScriptedTarget::NeverAnswers()(head, connection);
      if (head.find("Upgrade: echo") != std::string::npos) {
        Say(connection, "HTTP/1.1 101 x\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n");
        return Echo(connection);
      }
      if (const size_t at = head.find("Content-Length: "); at != std::string::npos)
        got_ += static_cast<int64_t>(connection.ReadBytes(std::stoul(head.substr(at + 16))).size());
      return Say(connection,
                 "HTTP/1.1 200 OK\r\nContent-Length: 200000\r\n\r\n" + std::string(200'000, 'a'));
    };
  }
  bool Echo(RawSocket& connection) {
    for (std::string some; !(some = connection.ReadSome()).empty();) {
      got_ += static_cast<int64_t>(some.size());
      Say(connection, some);
    }
    return false;
  }
  int64_t got() const { return got_; }
  int64_t said() const { return said_; }

 private:
  bool Say(RawSocket& connection, const std::string& text) {
    said_ += static_cast<int64_t>(text.size());
    return connection.Send(text);
  }
  std::atomic<int64_t> got_{0};
  std::atomic<int64_t> said_{0};
};

class StatsTest : public ::testing::Test {
 protected:
  v1::StatsReport Expect(const std::function<bool(const v1::StatsReport&)>& wanted) {
    return controller_.Expect([&](const auto& m) { return m.has_stats() && wanted(m.stats()); })
        .stats();
  }
  // Waits until the first subset's are these.
  void ExpectBytes(int64_t in, int64_t out) {
    v1::SubsetStats last;
    Expect([&](const auto& stats) {
      if (stats.subsets_size() > 0) last = stats.subsets(0);
      return last.bytes_in() == in && last.bytes_out() == out;
    });
    EXPECT_EQ(last.bytes_in(), in);
    EXPECT_EQ(last.bytes_out(), out);
  }
  static int64_t CountUnderWay(const v1::StatsReport& stats) {
    return stats.subsets_size() == 0 ? 0 : stats.subsets(0).in_flight();
  }
  void ExpectInFlight(int64_t count) {
    EXPECT_EQ(Expect([&](const auto& stats) {
                return stats.subsets_size() > 0 && CountUnderWay(stats) == count;
              }).subsets_size(),
              1);
  }

  FakeController controller_{1};
};

TEST_F(StatsTest, BytesAndWhatIsUnderWayOfHttp) {
  static const TestCertificate certificate = MakeCertificate({.names = {"shop.test"}});
  Meter meter;
  ScriptedTarget target(meter.Script());
  const uint16_t port = FreePort(), tls_port = FreePort();
  ProxyProcess proxy("", ControllerFlags(controller_));
  v1::ConfigUpdate update = First(port, {{"i-1", target.port()}});
  auto* const balancer = update.mutable_upserts()->mutable_load_balancers(0);
  auto* const tls = balancer->add_listeners();
  *tls = balancer->listeners(0);
  tls->set_port(tls_port);
  tls->set_protocol(remuda::v1::PROTOCOL_HTTPS);
  tls->add_certificates("web");
  auto* const made = update.mutable_upserts()->add_certificates();
  made->set_name("web");
  made->set_certificate_pem(certificate.pem);
  made->set_private_key_pem(certificate.key_pem);
  controller_.Begin(update);
  controller_.ExpectAck(1);
  ASSERT_TRUE(controller_.ExpectHealthy("i-1"));

  EXPECT_EQ(StatusOf(Get(port)), 200);  // its body goes through a pipe
  RawSocket post = RawSocket::Connect(port);
  const std::string body(300'000, 'b');
  post.Send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 300000\r\n\r\n" + body);
  EXPECT_EQ(StatusOf(post.ReadMessage()), 200);
  Http2Client client(ConnectTls(tls_port, {.alpn = "\x02h2"}));
  ASSERT_TRUE(client.Start());
  const uint32_t stream = client.SendRequest("POST", "/", false, {{"content-length", "1000"}});
  ASSERT_TRUE(client.SendBody(stream, std::string(1000, 'c'), true));
  EXPECT_EQ(client.Await(stream).status, 200);
  EXPECT_GT(meter.got(), 301'000);
  ExpectBytes(meter.got(), meter.said());
  ExpectInFlight(0);

  // What passes is counted as it does.
  RawSocket tunnel = RawSocket::Connect(port);
  tunnel.Send("GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n");
  EXPECT_EQ(StatusOf(tunnel.ReadUntil("\r\n\r\n")), 101);
  tunnel.Send("hello");
  EXPECT_EQ(tunnel.ReadBytes(5), "hello");
  ExpectBytes(meter.got(), meter.said());
  RawSocket hangs = RawSocket::Connect(port);
  hangs.Send("GET /hang HTTP/1.1\r\nHost: a\r\n\r\n");
  ExpectInFlight(2);
  hangs.Close();
  tunnel.Close();
  ExpectInFlight(0);
}

TEST_F(StatsTest, BytesOfTcp) {
  Meter meter;
  RawTarget target([&](RawSocket& connection) { meter.Echo(connection); });
  const uint16_t port = FreePort();
  ProxyProcess proxy("", ControllerFlags(controller_));
  v1::ConfigUpdate update = First(port, {{"i-1", target.port()}});
  update.mutable_upserts()->mutable_load_balancers(0)->mutable_listeners(0)->set_protocol(
      remuda::v1::PROTOCOL_TCP);
  auto* const group = update.mutable_upserts()->mutable_target_groups(0);
  group->set_protocol(remuda::v1::PROTOCOL_TCP);
  group->mutable_health_check()->clear_path();
  controller_.Begin(update);
  controller_.ExpectAck(1);
  ASSERT_TRUE(controller_.ExpectHealthy("i-1"));
  RawSocket client = RawSocket::Connect(port);
  client.Send("some bytes");
  EXPECT_EQ(client.ReadBytes(10), "some bytes");
  ExpectBytes(10, 10);
  ExpectInFlight(1);
  client.Close();
  ExpectInFlight(0);
}

// A target is told of when its numbers have changed, and all are when a session begins.
TEST_F(StatsTest, TargetsAreToldWhereTheyHaveChanged) {
  ScriptedTarget a(ScriptedTarget::Answers("a")), b(ScriptedTarget::Answers("b"));
  const uint16_t port = FreePort();
  const auto before = std::chrono::system_clock::now();
  ProxyProcess proxy("", ControllerFlags(controller_));
  controller_.Begin(First(port, {{"i-a", a.port()}, {"i-b", b.port()}}));
  controller_.ExpectAck(1);
  ASSERT_TRUE(controller_.ExpectHealthy("i-a"));
  ASSERT_TRUE(controller_.ExpectHealthy("i-b"));
  std::map<std::string, int64_t> known;     // requests
  std::map<std::string, std::string> told;  // all of it
  const auto take = [&](const v1::StatsReport& stats) {
    for (const auto& target : stats.targets()) {
      std::string text = target.ShortDebugString();
      EXPECT_NE(told[target.target()], text) << "told again";
      told[target.target()] = std::move(text);
      known[target.target()] = target.requests();
    }
  };
  for (int i = 0; i < 4; ++i) EXPECT_EQ(StatusOf(Get(port)), 200);
  const auto stats = Expect([&](const auto& report) {
    take(report);
    return known["i-a"] == 2 && known["i-b"] == 2 && CountUnderWay(report) == 0;
  });
  EXPECT_EQ(stats.groups(0).target_group(), "blue");
  EXPECT_GE(stats.start_time().seconds(), std::chrono::system_clock::to_time_t(before) - 1);
  // Nothing has changed: reports come, and say nothing of targets.
  for (int i = 0; i < 2; ++i) EXPECT_EQ(Expect([](const auto&) { return true; }).targets_size(), 0);
  EXPECT_EQ(StatusOf(Get(port)), 200);
  Expect([&](const auto& report) {
    EXPECT_LE(report.targets_size(), 1);
    take(report);
    return known["i-a"] + known["i-b"] == 5;
  });
  EXPECT_EQ(known["i-a"] + known["i-b"], 5);
}

}  // namespace
}  // namespace remuda::proxy::testing
