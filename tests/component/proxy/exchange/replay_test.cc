// What is sent again when a target fails: which requests, whole, and how many at most.
#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <stdexcept>
#include <string>

#include "proxy/core/retry_policy.h"
#include "tests/component/proxy/testing/configs.h"
#include "tests/component/proxy/testing/proxy_process.h"

namespace remuda::proxy::testing {
namespace {

// --- bodies -------------------------------------------------------------------------------------

struct Replay {
  const char* name;
  const char* method;
  size_t body_bytes;
  bool is_chunked;
  bool is_repeated;
};

std::string Body(size_t size) {
  std::string body(size, '\0');
  for (size_t i = 0; i < size; ++i) body[i] = static_cast<char>('a' + (i * 7 + i / 256) % 26);
  return body;
}

// Of a forwarded request, by its framing.
std::string ReadBody(const std::string& head, RawSocket& connection) {
  if (const size_t at = head.find("Content-Length: "); at != std::string::npos)
    return connection.ReadBytes(std::strtoul(head.c_str() + at + 16, nullptr, 10));
  std::string body;
  while (true) {
    const std::string line = connection.ReadUntil("\r\n");
    const size_t size = std::strtoul(line.c_str(), nullptr, 16);
    const std::string chunk = connection.ReadBytes(size + 2);
    if (size == 0) return body;
    body += chunk.substr(0, size);
  }
}

std::string RequestOf(const Replay& replay, const std::string& body) {
  const std::string head = std::string(replay.method) + " /thing HTTP/1.1\r\nHost: a\r\n";
  if (!replay.is_chunked)
    return head + "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
  const size_t half = body.size() / 2;
  std::string text = head + "Transfer-Encoding: chunked\r\n\r\n";
  for (const std::string& part : {body.substr(0, half), body.substr(half)}) {
    char size[32];
    std::snprintf(size, sizeof size, "%zx\r\n", part.size());
    text += size + part + "\r\n";
  }
  return text + "0\r\n\r\n";
}

class ReplayTest : public ::testing::TestWithParam<Replay> {};

// Whichever target comes first takes the whole request and closes; the other one answers with the
// body that it got.
TEST_P(ReplayTest, IsRepeatedWholeOrNotAtAll) {
  const Replay& replay = GetParam();
  const std::string body = Body(replay.body_bytes);
  std::atomic<int> attempts{0};
  std::atomic<bool> was_first_whole{false};
  const auto script = [&](const std::string& head, RawSocket& connection) {
    const std::string got = ReadBody(head, connection);
    if (attempts++ == 0) {
      was_first_whole = got == body;
      return false;
    }
    connection.Send("HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(got.size()) +
                    "\r\n\r\n" + got);
    return true;
  };
  ScriptedTarget one(script);
  ScriptedTarget two(script);
  ServingProxy proxy(ConfigFor({one.port(), two.port()}));
  RawSocket client = RawSocket::Connect(proxy.Port());
  client.Send(RequestOf(replay, body));
  const std::string answer = client.ReadMessage();
  EXPECT_TRUE(was_first_whole);
  if (replay.is_repeated) {
    EXPECT_EQ(StatusOf(answer), 200) << answer.substr(0, 500);
    EXPECT_TRUE(BodyOf(answer) == body);
    EXPECT_EQ(one.requests(), 1);
    EXPECT_EQ(two.requests(), 1);
    EXPECT_EQ(proxy.Metric("retry_count_total"), 1);
  } else {
    EXPECT_EQ(StatusOf(answer), 502) << answer.substr(0, 500);
    EXPECT_NE(answer.find("X-Remuda-Reason: TargetClosed\r\n"), std::string::npos);
    EXPECT_EQ(one.requests() + two.requests(), 1);
    EXPECT_EQ(proxy.Metric("retry_count_total"), 0);
    // Not for want of budget.
    EXPECT_EQ(proxy.Metric("retry_refused_count_total"), 0);
  }
}

constexpr size_t kHeldBytes = 15 * 1024;     // "about 15 KiB" (docs/proxy.md)
constexpr size_t kTooManyBytes = 17 * 1024;  // more than the block

INSTANTIATE_TEST_SUITE_P(
    Requests, ReplayTest,
    ::testing::Values(Replay{"SmallPut", "PUT", 3, false, true},
                      Replay{"PutNearTheBound", "PUT", kHeldBytes, false, true},
                      Replay{"ChunkedPut", "PUT", 5000, true, true},
                      Replay{"DeleteWithABody", "DELETE", 3, false, true},
                      Replay{"PutOverTheBound", "PUT", kTooManyBytes, false, false},
                      Replay{"ChunkedPutOverTheBound", "PUT", kTooManyBytes, true, false},
                      Replay{"LargePut", "PUT", 1'000'000, false, false},
                      Replay{"Post", "POST", 3, false, false},
                      Replay{"Patch", "PATCH", 3, false, false}),
    [](const auto& param) { return param.param.name; });

// --- the budget ---------------------------------------------------------------------------------

// A port that stays taken and refuses.
class RefusingTarget {
 public:
  RefusingTarget() : fd_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t length = sizeof address;
    if (bind(fd_, reinterpret_cast<sockaddr*>(&address), length) != 0 ||
        getsockname(fd_, reinterpret_cast<sockaddr*>(&address), &length) != 0)
      throw std::runtime_error("cannot bind");
    port_ = ntohs(address.sin_port);
  }
  RefusingTarget(const RefusingTarget&) = delete;
  RefusingTarget& operator=(const RefusingTarget&) = delete;
  ~RefusingTarget() { close(fd_); }
  uint16_t port() const { return port_; }

 private:
  int fd_;
  uint16_t port_ = 0;
};

// The burst, and one retry for each five requests: a group that only fails gets no multiple of its
// load.
TEST(RetryBudgetTest, RetriesStayWithinTheirShare) {
  constexpr int kRequests = 2000;
  RefusingTarget one, two;
  ProxyProcess proxy(ConfigFor({one.port(), two.port()}), {"--workers=1"});
  ASSERT_TRUE(proxy.WaitReady());
  RawSocket client = RawSocket::Connect(proxy.Port());
  for (int i = 0; i < kRequests; ++i) {
    client.Send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    ASSERT_EQ(StatusOf(client.ReadMessage()), 502) << i;
  }
  const double retries = proxy.Metric("retry_count_total");
  EXPECT_LE(retries, RetryBudget::kBurst + kRequests / RetryBudget::kRequestsARetry);
  EXPECT_GE(retries, RetryBudget::kBurst);
  EXPECT_GT(proxy.Metric("retry_refused_count_total"), 0);
  EXPECT_EQ(proxy.Metric("target_request_count_total"), kRequests + retries);
}

}  // namespace
}  // namespace remuda::proxy::testing
