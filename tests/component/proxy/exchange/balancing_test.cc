// How the real proxy spreads requests over real targets.
#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <thread>
#include <vector>

#include "tests/component/proxy/testing/configs.h"
#include "tests/component/proxy/testing/proxy_process.h"

namespace remuda::proxy::testing {
namespace {

class BalancingTest : public ::testing::Test {
 protected:
  // Targets that answer with their letter: a, b, c...
  void StartTargets(int count) {
    for (int i = 0; i < count; ++i) {
      targets_.push_back(std::make_unique<ScriptedTarget>(
          ScriptedTarget::Answers(std::string(1, static_cast<char>('a' + i)))));
    }
  }
  std::vector<uint16_t> Ports() const {
    std::vector<uint16_t> ports;
    for (const auto& target : targets_) ports.push_back(target->port());
    return ports;
  }
  void StartProxy(const std::string& config, std::vector<std::string> flags = {"--workers=2"}) {
    proxy_ = std::make_unique<ServingProxy>(config, std::move(flags));
  }
  std::string Ask(const std::string& fields = "") {
    RawSocket client = RawSocket::Connect(proxy_->Port());
    client.Send("GET / HTTP/1.1\r\nHost: a\r\n" + fields + "\r\n");
    return client.ReadMessage();
  }

  std::vector<std::unique_ptr<ScriptedTarget>> targets_;
  std::unique_ptr<ProxyProcess> proxy_;
};

TEST_F(BalancingTest, HashKeepsAKeyAtItsTargetOverAllWorkers) {
  StartTargets(3);
  StartProxy(ConfigFor(Ports(),
                       "    algorithm: BALANCING_ALGORITHM_CONSISTENT_HASH\n"
                       "    consistentHash: { header: X-User }\n"));
  std::map<std::string, int> owned;
  for (int user = 0; user < 30; ++user) {
    const std::string field = "x-user: u" + std::to_string(user) + "\r\n";
    const std::string owner = BodyOf(Ask(field));
    ++owned[owner];
    for (int i = 0; i < 4; ++i) EXPECT_EQ(BodyOf(Ask(field)), owner);
  }
  EXPECT_EQ(owned.size(), 3U);
}

TEST_F(BalancingTest, HashOfACookie) {
  StartTargets(3);
  StartProxy(ConfigFor(Ports(),
                       "    algorithm: BALANCING_ALGORITHM_CONSISTENT_HASH\n"
                       "    consistentHash: { cookie: sid }\n"));
  for (int user = 0; user < 10; ++user) {
    const std::string field = "Cookie: x=1; sid=s" + std::to_string(user) + "\r\n";
    const std::string owner = BodyOf(Ask(field));
    for (int i = 0; i < 3; ++i) EXPECT_EQ(BodyOf(Ask(field)), owner);
  }
}

TEST_F(BalancingTest, HashOfTheClientsAddress) {
  StartTargets(3);
  StartProxy(ConfigFor(Ports(),
                       "    algorithm: BALANCING_ALGORITHM_CONSISTENT_HASH\n"
                       "    consistentHash: { sourceIp: true }\n"));
  std::map<std::string, int> owned;
  for (int host = 1; host <= 30; ++host) {
    const std::string source = "127.0.0." + std::to_string(host);
    const auto ask = [&] {
      RawSocket client = RawSocket::Connect(proxy_->Port(), source);
      client.Send("GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 10.0.0.1\r\n\r\n");
      return BodyOf(client.ReadMessage());
    };
    const std::string owner = ask();
    ++owned[owner];
    for (int i = 0; i < 3; ++i) EXPECT_EQ(ask(), owner) << source;
  }
  EXPECT_EQ(owned.size(), 3U);
}

TEST_F(BalancingTest, OwnZoneIsPreferredUntilItCannotServe) {
  StartTargets(2);
  std::string config = ConfigFor({}, "    crossZone: CROSS_ZONE_PREFER_OWN\n") + "targets:\n";
  for (const uint16_t port : Ports()) {
    config += "  - { targetGroup: blue, address: 127.0.0.1, zone: " +
              std::string(port == targets_[0]->port() ? "near" : "far") +
              ", port: " + std::to_string(port) + " }\n";
  }
  StartProxy(config, {"--workers=2", "--zone=near"});
  for (int i = 0; i < 8; ++i) EXPECT_EQ(BodyOf(Ask()), "a");
  targets_[0]->SetHealth(500);
  ASSERT_TRUE(proxy_->WaitHealthy(1));
  for (int i = 0; i < 8; ++i) EXPECT_EQ(BodyOf(Ask()), "b");
}

}  // namespace
}  // namespace remuda::proxy::testing
