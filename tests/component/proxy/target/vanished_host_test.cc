// A host that vanishes with requests in flight to it: in a network of its own, where packets can be
// dropped. Needs nft, and a kernel that lets the test have such a network; else it is skipped.
#include <gtest/gtest.h>
#include <sched.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <sstream>
#include <string>

#include "tests/component/proxy/testing/configs.h"
#include "tests/component/proxy/testing/proxy_process.h"

namespace remuda::proxy::testing {
namespace {

bool RunCommand(const std::string& command) {
  return std::system((command + " >/dev/null 2>&1").c_str()) == 0;
}

// The process must have one thread.
bool EnterOwnNetwork() {
  const auto uid = geteuid();
  if (unshare(uid == 0 ? CLONE_NEWNET : CLONE_NEWUSER | CLONE_NEWNET) != 0) return false;
  if (uid != 0) {
    std::ofstream("/proc/self/setgroups") << "deny";
    std::ofstream("/proc/self/uid_map") << "0 " << uid << " 1";
  }
  return RunCommand("ip link set lo up") && RunCommand("nft add table ip remuda") &&
         RunCommand("nft 'add chain ip remuda in { type filter hook input priority 0; }'");
}

// How often the kernel has asked in this network whether a host that says nothing is still there;
// -1 if it does not say.
int64_t ProbesSent() {
  std::ifstream file("/proc/self/net/netstat");
  std::string names, values;
  while (std::getline(file, names) && std::getline(file, values)) {
    std::istringstream name(names), value(values);
    for (std::string n, v; name >> n && value >> v;) {
      if (n == "TCPKeepAlive") return std::stoll(v);
    }
  }
  return -1;
}

class VanishedHostTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() { has_network_ = EnterOwnNetwork(); }
  void SetUp() override {
    if (!has_network_) GTEST_SKIP() << "no network of its own, or no nft and ip";
  }
  // Nothing comes from or goes to the port any more.
  static bool Vanish(uint16_t port) {
    const std::string text = std::to_string(port);
    return RunCommand("nft add rule ip remuda in tcp dport " + text + " drop") &&
           RunCommand("nft add rule ip remuda in tcp sport " + text + " drop");
  }
  static bool has_network_;
};

bool VanishedHostTest::has_network_ = false;

// Idle timeouts are far longer than the test.
TEST_F(VanishedHostTest, RequestsInFlightAreGivenUpOrRepeated) {
  std::atomic<bool> is_over{false};
  ScriptedTarget vanishing([&](const std::string&, RawSocket&) {
    WaitUntil([&] { return is_over.load(); }, std::chrono::seconds(120));
    return false;
  });
  ScriptedTarget live(ScriptedTarget::Answers("live"));
  ServingProxy proxy(WithQuickChecks(ConfigFor({vanishing.port(), live.port()})), {"--workers=1"});
  std::vector<RawSocket> gets, posts;
  while (vanishing.requests() < 6) {
    auto& clients = vanishing.requests() % 2 == 0 ? gets : posts;
    const std::string method = vanishing.requests() % 2 == 0 ? "GET" : "POST";
    const int before = vanishing.requests() + live.requests();
    clients.push_back(RawSocket::Connect(proxy.Port()));
    clients.back().Send(method + " / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n");
    ASSERT_TRUE(WaitUntil([&] { return vanishing.requests() + live.requests() == before + 1; }));
  }
  ASSERT_EQ(vanishing.requests(), 6);
  ASSERT_TRUE(Vanish(vanishing.port()));
  for (RawSocket& client : gets) EXPECT_EQ(BodyOf(client.ReadMessage()), "live");
  int failed = 0;
  for (RawSocket& client : posts) failed += StatusOf(client.ReadMessage()) == 502;
  EXPECT_EQ(failed, 3);
  // An answer may be read before its request is over.
  EXPECT_TRUE(WaitUntil([&] { return proxy.Metric("target_in_flight_count") == 0; }));
  is_over = true;
}

// Its application does not answer checks, but its host is there: what it works on goes on.
TEST_F(VanishedHostTest, ASlowApplicationsRequestsGoOn) {
  std::atomic<bool> may_answer{false};
  ScriptedTarget slow(ScriptedTarget::AnswersOnce(may_answer, "slow"));
  ScriptedTarget live(ScriptedTarget::Answers("live"));
  ServingProxy proxy(ConfigFor({slow.port(), live.port()}), {"--workers=1"});
  std::vector<RawSocket> clients;
  for (int i = 0; i < 2; ++i) {
    clients.push_back(RawSocket::Connect(proxy.Port()));
    clients.back().Send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    ASSERT_TRUE(WaitUntil([&] { return slow.requests() + live.requests() == i + 1; }));
  }
  slow.SetHealth(503);
  ASSERT_TRUE(WaitUntil([&] {
    return proxy.Admin("/targets").find("\"health\":\"unhealthy\"") != std::string::npos;
  }));
  // More often than the kernel asks a host that says nothing.
  const int64_t before = ProbesSent();
  EXPECT_TRUE(WaitUntil([&] { return ProbesSent() >= before + 4; }));
  may_answer = true;
  std::string bodies;
  for (RawSocket& client : clients) bodies += BodyOf(client.ReadMessage());
  EXPECT_NE(bodies.find("slow"), std::string::npos) << bodies;
}

}  // namespace
}  // namespace remuda::proxy::testing
