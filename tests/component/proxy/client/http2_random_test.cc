// The proxy under clients of HTTP/2 that send anything: a run of random connections, each closed in
// one of several ways, while another client is served; what reaches the target is well formed, and
// nothing is left of them afterwards.
//
// REMUDA_HTTP2_CONNECTIONS: how many (300). REMUDA_TEST_SEED: to repeat a run.
#include <csignal>
#include <mutex>
#include <random>

#include "proxy/http/framing.h"
#include "proxy/http/head_parser.h"
#include "proxy/http/target.h"
#include "tests/component/proxy/client/http2_attack.h"
#include "tests/component/proxy/testing/environment.h"
#include "tests/component/proxy/testing/http2_fixture.h"

namespace remuda::proxy::testing {
namespace {

constexpr size_t kBigAnswerBytes = 200'000;  // over a client's windows
constexpr size_t kOtherBodyBytes = 70'000;

// Why a head that came to the target is not one that the proxy may send; empty: it is.
std::string WrongWith(std::string head) {
  http::RequestParser parser;
  http::RequestHead parsed;
  http::Framing framing;
  if (parser.Parse(head.data(), head.size(), parsed) != http::ParseStatus::kDone)
    return std::string(http::NameOf(parser.reason()));
  if (parser.head_size() != head.size()) return "more than a head";
  auto reason = http::DecideRequestFraming(parsed, framing);
  if (reason == http::Reason::kNone) reason = http::CanonicalizeTarget(parsed);
  return std::string(http::NameOf(reason));
}

class Http2RandomTest : public Http2Fixture {
 protected:
  void SetUp() override {
    Start(
        [this](const std::string& head, RawSocket& connection) { return Serve(head, connection); });
    other_ = Client();
  }

  // The target. On one thread for each of its connections.
  bool Serve(const std::string& head, RawSocket& connection) {
    if (const std::string wrong = WrongWith(head); !wrong.empty()) {
      std::lock_guard lock(mutex_);
      wrong_heads_ += wrong + " in:\n" + head;
    }
    const std::string line = head.substr(0, head.find("\r\n"));
    const std::string body =
        line.find(" /slow") == std::string::npos ? ReadBody(head, connection) : std::string();
    const bool is_head = line.rfind("HEAD ", 0) == 0;
    const std::string answer = line + " " + std::to_string(body.size());
    if (is_head) return connection.Send("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n");
    if (line.find(" /big") != std::string::npos)
      return Answer(connection, std::string(kBigAnswerBytes, 'a'));
    if (!body.empty() && body.size() % 2 == 0) {
      char size[16];
      std::snprintf(size, sizeof size, "%zx\r\n", answer.size());
      return connection.Send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" +
                             (size + answer) + "\r\n0\r\n\r\n");
    }
    // Of /slow the body is left unread, so the connection ends; said, since a POST that met that
    // end could not be repeated.
    const bool is_slow = line.find(" /slow") != std::string::npos;
    return Answer(connection, answer, is_slow ? "Connection: close\r\n" : "") && !is_slow;
  }

  // The other client gets its own answer, whole.
  bool IsOtherServed(int number, bool with_body) {
    const std::string path = "/other-" + std::to_string(number);
    if (!with_body) return other_->Get(path).body == "GET " + path + " HTTP/1.1 0";
    const uint32_t stream = other_->SendRequest("POST", path, false);
    return other_->SendBody(stream, std::string(kOtherBodyBytes, 'o'), true) &&
           other_->Await(stream).body ==
               "POST " + path + " HTTP/1.1 " + std::to_string(kOtherBodyBytes);
  }

  static void End(RawSocket& connection, size_t way) {
    switch (way) {
      case 0:
        return connection.Reset();
      case 1:
        connection.EndSending();
        connection.ReadToEnd();
        return;
      case 2:
        connection.ReadSome();
        return;
      default:
        return connection.Close();
    }
  }

  std::string WrongHeads() {
    std::lock_guard lock(mutex_);
    return wrong_heads_;
  }

  std::unique_ptr<Http2Client> other_;

 private:
  std::mutex mutex_;
  std::string wrong_heads_;  // guarded by mutex_
};

TEST_F(Http2RandomTest, NothingIsLeftOfClientsThatSendAnything) {
  const uint64_t seed = NumberFrom("REMUDA_TEST_SEED", std::random_device()());
  const int count = static_cast<int>(NumberFrom("REMUDA_HTTP2_CONNECTIONS", 300));
  std::printf("REMUDA_TEST_SEED=%llu\n", static_cast<unsigned long long>(seed));
  Http2Attack attack(seed);
  ASSERT_TRUE(IsOtherServed(-1, true));
  const size_t descriptors = proxy_->Descriptors();
  const int before = target_->requests();
  for (int i = 0; i < count; ++i) {
    RawSocket connection = ConnectH2();
    ASSERT_TRUE(connection.is_open()) << "connection " << i << "\n" << proxy_->Log();
    for (const std::string& piece : attack.NextConnection()) {
      if (!connection.Send(piece)) break;  // the proxy has ended it
    }
    ASSERT_TRUE(IsOtherServed(i, attack.Below(8) == 0))
        << "connection " << i << " of seed " << seed << "\n"
        << proxy_->Log();
    End(connection, attack.Below(4));
    ASSERT_TRUE(proxy_->is_running()) << "connection " << i << " of seed " << seed;
  }
  EXPECT_EQ(WrongHeads(), "") << "seed " << seed;
  // An attack that never reaches the target would test little.
  const int attacks = target_->requests() - before - count;
  std::printf("%d connections, %d of their requests reached the target\n", count, attacks);
  EXPECT_GT(attacks, count);

  EXPECT_TRUE(WaitUntil([&] { return proxy_->Metric("active_connection_count") == 1; }));
  EXPECT_TRUE(WaitNothingInFlight());
  EXPECT_EQ(proxy_->Metric("queued_requests"), 0);
  // Also idle connections to the target, after a while.
  EXPECT_TRUE(WaitUntil([&] { return proxy_->Descriptors() <= descriptors; }));
  ASSERT_TRUE(IsOtherServed(count, true));
  other_->socket().Close();
  EXPECT_TRUE(WaitUntil([&] { return proxy_->Metric("active_connection_count") == 0; }));
  proxy_->Signal(SIGTERM);
  EXPECT_EQ(proxy_->WaitExit(), 0) << proxy_->Log();
}

}  // namespace
}  // namespace remuda::proxy::testing
