// What a load balancer's settings do to requests on their way to a target, through the real
// program: X-Forwarded-For, dropped names, traceparent, and the modes for requests that are odd.
#include <gtest/gtest.h>

#include <mutex>
#include <regex>

#include "tests/component/proxy/testing/configs.h"
#include "tests/component/proxy/testing/proxy_process.h"

namespace remuda::proxy::testing {
namespace {

class HeaderRulesTest : public ::testing::Test {
 protected:
  // `settings`: lines of the load balancer, "name: value".
  void Start(const std::vector<std::string>& settings) {
    target_ = std::make_unique<ScriptedTarget>([this](const std::string& head, RawSocket& client) {
      {
        std::lock_guard lock(mutex_);
        head_ = head;
      }
      if (head.find("Content-Length: 3\r\n") != std::string::npos) client.ReadBytes(3);
      if (head.find("chunked") != std::string::npos) client.ReadUntil("0\r\n\r\n");
      return ScriptedTarget::Answers("hello")(head, client);
    });
    std::string extra;
    for (const std::string& line : settings) extra += "    " + line + "\n";
    proxy_ = std::make_unique<ServingProxy>(ConfigFor({target_->port()}, "", extra));
    client_ = RawSocket::Connect(proxy_->Port());
  }
  // The head that reached the target for `request`, on the one client connection.
  std::string Forwarded(const std::string& request) {
    client_.Send(request);
    answer_ = client_.ReadMessage();
    std::lock_guard lock(mutex_);
    return std::exchange(head_, "");
  }
  std::string ForwardedGet(const std::string& fields) {
    return Forwarded("GET / HTTP/1.1\r\nHost: shop.test\r\n" + fields + "\r\n");
  }
  static bool Has(const std::string& head, const std::string& line) {
    return head.find("\r\n" + line + "\r\n") != std::string::npos;
  }
  bool WaitForLog(const std::string& text) {
    return WaitUntil([&] { return proxy_->AccessLog().find(text) != std::string::npos; });
  }

  using Flags = std::vector<std::string>;
  std::unique_ptr<ScriptedTarget> target_;
  std::unique_ptr<ProxyProcess> proxy_;
  RawSocket client_;
  std::string answer_;
  std::mutex mutex_;
  std::string head_;  // guarded by mutex_
};

TEST_F(HeaderRulesTest, ForwardedForIsAppendedTo) {
  Start({});
  const std::string head = ForwardedGet(
      "X-Forwarded-For: 1.1.1.1\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Port: 1\r\n");
  EXPECT_TRUE(Has(head, "X-Forwarded-For: 1.1.1.1, 127.0.0.1")) << head;
  EXPECT_TRUE(Has(head, "X-Forwarded-Proto: http")) << head;
  EXPECT_TRUE(Has(head, "X-Forwarded-Port: " + std::to_string(proxy_->Port()))) << head;
  EXPECT_EQ(head.find("https"), std::string::npos) << head;
}

// The mode is of X-Forwarded-For alone: protocol and port are always what the proxy saw.
TEST_F(HeaderRulesTest, ForwardedForIsPreserved) {
  Start({"xForwardedForMode: X_FORWARDED_FOR_MODE_PRESERVE", "xForwardedForClientPort: true"});
  std::string head = ForwardedGet("X-Forwarded-For: 1.1.1.1\r\nX-Forwarded-Proto: https\r\n");
  EXPECT_TRUE(Has(head, "X-Forwarded-For: 1.1.1.1")) << head;
  EXPECT_TRUE(Has(head, "X-Forwarded-Proto: http")) << head;
  head = ForwardedGet("");
  EXPECT_EQ(head.find("X-Forwarded-For"), std::string::npos) << head;
}

TEST_F(HeaderRulesTest, ForwardedForIsRemoved) {
  Start({"xForwardedForMode: X_FORWARDED_FOR_MODE_REMOVE"});
  const std::string head = ForwardedGet("X-Forwarded-For: 1.1.1.1\r\n");
  EXPECT_EQ(head.find("X-Forwarded-For"), std::string::npos) << head;
  EXPECT_TRUE(Has(head, "X-Forwarded-Proto: http")) << head;
}

TEST_F(HeaderRulesTest, ForwardedForNamesTheClientsPort) {
  Start({"xForwardedForClientPort: true"});
  const std::string head = ForwardedGet("X-Forwarded-For: 1.1.1.1\r\n");
  EXPECT_TRUE(std::regex_search(
      head, std::regex("\r\nX-Forwarded-For: 1\\.1\\.1\\.1, 127\\.0\\.0\\.1:\\d+\r\n")))
      << head;
}

TEST_F(HeaderRulesTest, InvalidNamesAreDropped) {
  Start({"dropInvalidHeaderFields: true"});
  const std::string head = ForwardedGet("X.Dot: 1\r\nX-Good: 2\r\n");
  EXPECT_TRUE(Has(head, "X-Good: 2")) << head;
  EXPECT_EQ(head.find("X.Dot"), std::string::npos) << head;
}

TEST_F(HeaderRulesTest, TraceparentIsMadeOfTheRequestsOwnId) {
  Start({"addTraceparent: true"});
  const std::string head = ForwardedGet("traceparent: nonsense\r\ntracestate: a=b\r\n");
  std::smatch match;
  ASSERT_TRUE(
      std::regex_search(head, match,
                        std::regex("\r\nX-Amzn-Trace-Id: Root=1-([0-9a-f]{8})-([0-9a-f]{24})\r\n"
                                   "traceparent: 00-([0-9a-f]{32})-[0-9a-f]{16}-01\r\n")))
      << head;
  EXPECT_EQ(match[3], match[1].str() + match[2].str());
  EXPECT_EQ(head.find("nonsense"), std::string::npos) << head;
  EXPECT_EQ(head.find("tracestate"), std::string::npos) << head;
  const std::string good = "traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00";
  EXPECT_TRUE(Has(ForwardedGet(good + "\r\n"), good));
}

constexpr const char* kBoth =
    "POST /both HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: "
    "chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n";
constexpr const char* kDots = "GET /a/../b HTTP/1.1\r\nHost: a\r\n\r\n";
constexpr const char* kSevere =
    "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd";

TEST_F(HeaderRulesTest, StrictestRefusesWhatIsAmbiguous) {
  Start({});
  EXPECT_EQ(Forwarded(kBoth), "");
  EXPECT_EQ(StatusOf(answer_), 400);
  EXPECT_TRUE(client_.WaitClosed());
  EXPECT_TRUE(
      WaitForLog("\"LengthAndTransferEncoding\" \"-\" \"-\" \"Ambiguous\" \"BothTeClPresent\" "))
      << proxy_->AccessLog();
  EXPECT_EQ(proxy_->Metric("desync_mitigation_mode_non_compliant_total"), 1);
}

TEST_F(HeaderRulesTest, DefensivePassesItAndClosesBothConnections) {
  Start({"desyncMitigationMode: DESYNC_MITIGATION_MODE_DEFENSIVE"});
  ForwardedGet("");
  EXPECT_EQ(target_->connections(), 1);
  const std::string head = Forwarded(kBoth);
  EXPECT_TRUE(Has(head + "\r\n", "Transfer-Encoding: chunked")) << head;
  EXPECT_EQ(head.find("Content-Length"), std::string::npos) << head;
  EXPECT_EQ(StatusOf(answer_), 200);
  EXPECT_NE(answer_.find("Connection: close\r\n"), std::string::npos) << answer_;
  EXPECT_TRUE(client_.WaitClosed());
  EXPECT_TRUE(WaitForLog("\"200\" \"Ambiguous\" \"BothTeClPresent\" ")) << proxy_->AccessLog();
  EXPECT_EQ(proxy_->Metric("desync_mitigation_mode_non_compliant_total"), 1);
  const double reused = proxy_->Metric("target_connections_reused_total");
  client_ = RawSocket::Connect(proxy_->Port());
  ForwardedGet("");
  EXPECT_EQ(proxy_->Metric("target_connections_reused_total"), reused);

  EXPECT_EQ(Forwarded(kSevere), "");
  EXPECT_EQ(StatusOf(answer_), 400);
  EXPECT_TRUE(client_.WaitClosed());
}

TEST_F(HeaderRulesTest, MonitorPassesItAndKeepsConnections) {
  Start({"desyncMitigationMode: DESYNC_MITIGATION_MODE_MONITOR"});
  EXPECT_EQ(Forwarded(kBoth).rfind("POST /both HTTP/1.1\r\n", 0), 0U);
  EXPECT_EQ(Forwarded(kDots).rfind("GET /b HTTP/1.1\r\n", 0), 0U);
  EXPECT_EQ(answer_.find("Connection: close"), std::string::npos) << answer_;
  EXPECT_EQ(proxy_->Metric("target_connections_reused_total"), 1);
  EXPECT_EQ(proxy_->Metric("desync_mitigation_mode_non_compliant_total"), 2);
  // What has no one meaning passes in no mode.
  EXPECT_EQ(Forwarded(kSevere), "");
  EXPECT_EQ(StatusOf(answer_), 400);
}

// A target that does not read a GET's body would take it for the next request.
TEST_F(HeaderRulesTest, ConnectionThatCarriedAnUnexpectedBodyIsNotUsedAgain) {
  Start({});
  const std::string with_body = "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc";
  EXPECT_NE(Forwarded(with_body), "");
  EXPECT_EQ(StatusOf(answer_), 200);
  ForwardedGet("");
  EXPECT_EQ(StatusOf(answer_), 200);
  EXPECT_EQ(proxy_->Metric("target_connections_reused_total"), 0);
  ForwardedGet("");
  EXPECT_EQ(proxy_->Metric("target_connections_reused_total"), 1);
}

}  // namespace
}  // namespace remuda::proxy::testing
