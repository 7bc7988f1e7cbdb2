// Requests that a client never means to finish: whatever comes of them, good targets stay in, and
// bad ones do not.
#include <gtest/gtest.h>

#include <chrono>
#include <string>
#include <thread>
#include <vector>

#include "tests/component/proxy/testing/configs.h"
#include "tests/component/proxy/testing/proxy_process.h"

namespace remuda::proxy::testing {
namespace {

// The target says `early`, reads `awaited`, waits for `patience` and closes.
struct Withheld {
  const char* name;
  const char* early;
  const char* awaited;  // "": what comes until the end
  const char* sent;
  const char* then;  // once an answer has begun
  const char* reason;
  std::chrono::milliseconds patience{0};
};

constexpr const char* kEarly = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n";
constexpr const char* kSwitch =
    "HTTP/1.1 101 x\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n";
constexpr const char* kChunked = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
constexpr const char* kUpgrade =
    "GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n"
    "Content-Length: 1\r\n\r\n";
constexpr const char* kExpect =
    "POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n";
constexpr const char* kLength = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nab";

class BlameTest : public ::testing::TestWithParam<Withheld> {};

TEST_P(BlameTest, IsNotTheTargets) {
  const Withheld& withheld = GetParam();
  const auto script = [&](const std::string&, RawSocket& connection) {
    connection.Send(withheld.early);
    *withheld.awaited == '\0' ? connection.ReadToEnd() : connection.ReadUntil(withheld.awaited);
    std::this_thread::sleep_for(withheld.patience);
    return false;
  };
  ScriptedTarget one(script), two(script);
  ServingProxy proxy(ConfigFor({one.port(), two.port()},
                               "    passiveEjection: { consecutiveFailures: 2 }\n",
                               withheld.patience.count() == 0 ? "    idleTimeout: 1s\n" : ""));
  constexpr size_t kRequests = 6;
  std::vector<RawSocket> clients;
  while (clients.size() < kRequests) {
    clients.push_back(RawSocket::Connect(proxy.Port()));
    clients.back().Send(withheld.sent);
  }
  for (RawSocket& client : clients) {
    if (*withheld.then == '\0') {
      client.ReadMessage();
      continue;
    }
    client.ReadUntil("abc");
    client.Send(withheld.then);
    client.ReadToEnd();
  }
  EXPECT_EQ(proxy.Metric("answer_reason_total{reason=\"" + std::string(withheld.reason) + "\"}"),
            kRequests);
  EXPECT_EQ(proxy.Metric("target_failure_count_total"), 0);
  EXPECT_EQ(proxy.Metric("passive_ejection_count_total"), 0);
}

INSTANTIATE_TEST_SUITE_P(
    Clients, BlameTest,
    ::testing::Values(Withheld{"BadChunk", kEarly, "", kChunked, "ZZZ\r\n", "BadChunk"},
                      Withheld{"BadTrailer", kEarly, "", kChunked, "0\r\n bad\r\n\r\n",
                               "BadTrailer"},
                      Withheld{"Upgrade", kSwitch, "", kUpgrade, "", "TargetUnaskedUpgrade"},
                      Withheld{"NeitherGoesOn", "", "", kExpect, "", "TargetResponseTimeout"},
                      Withheld{"GivenUpOn", "", "ab", kLength, "", "TargetClosed",
                               std::chrono::milliseconds(1200)}),
    [](const auto& param) { return param.param.name; });

// It reads something of each request and falls: that the client was not done yet is no excuse.
TEST(BlameTestOfOne, ATargetThatClosesWhileTheBodyComesIsEjected) {
  ScriptedTarget bad([](const std::string&, RawSocket& connection) {
    connection.ReadUntil("ab");
    return false;
  });
  ScriptedTarget good(ScriptedTarget::Answers("good"));
  ServingProxy proxy(ConfigFor({bad.port(), good.port()},
                               "    passiveEjection: { consecutiveFailures: 2 }\n", ""));
  std::vector<RawSocket> clients;
  ASSERT_TRUE(WaitUntil([&] {
    clients.push_back(RawSocket::Connect(proxy.Port()));
    clients.back().Send(kLength);
    return proxy.Metric("passive_ejection_count_total") == 1;
  })) << proxy.Metric("target_failure_count_total");
}

}  // namespace
}  // namespace remuda::proxy::testing
