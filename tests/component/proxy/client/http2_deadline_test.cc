// HTTP/2 clients that make the proxy wait.
#include <gmock/gmock.h>
#include <signal.h>

#include <atomic>
#include <fstream>

#include "tests/component/proxy/testing/http2_fixture.h"

namespace remuda::proxy::testing {
namespace {

class Http2DeadlineTest : public Http2Fixture {
 protected:
  void StartImpatient(ScriptedTarget::Script script) {
    Start(std::move(script), "", "    idleTimeout: 1s\n", {"--head-timeout=300ms"});
  }
};

TEST_F(Http2DeadlineTest, APrefaceThatDoesNotComeEndsTheConnection) {
  StartImpatient(Echo);
  Http2Client client(ConnectH2());
  client.acknowledges = false;  // it says nothing at all
  EXPECT_EQ(client.AwaitEnd(), NGHTTP2_SETTINGS_TIMEOUT);
}

TEST_F(Http2DeadlineTest, AHeaderBlockThatDoesNotEndEndsTheConnection) {
  StartImpatient(Echo);
  auto client = Client();
  client->SendFrame(NGHTTP2_HEADERS, NGHTTP2_FLAG_END_STREAM, client->NewStream(),
                    client->Deflate({{":method", "GET"}}));
  EXPECT_EQ(client->AwaitEnd(), NGHTTP2_ENHANCE_YOUR_CALM);
}

// The listener is gone: what is under way goes on, however many streams are refused beside it.
TEST_F(Http2DeadlineTest, ARefusedStreamCostsNoOther) {
  std::atomic<bool> may_answer{false};
  Start(
      [&](const std::string&, RawSocket& connection) {
        return WaitUntil([&] { return may_answer.load(); }) && Answer(connection, "finished");
      },
      "", "", {"--head-timeout=300ms"});
  auto client = Client();
  const uint32_t first = client->SendRequest("GET", "/", true);
  ASSERT_TRUE(WaitUntil([&] { return target_->requests() == 1; }));
  std::ofstream(proxy_->directory() + "/proxy.yaml") << ConfigFor({target_->port()});
  client->acknowledges = false;
  const uint16_t old_port = proxy_->Port();
  proxy_->Signal(SIGHUP);
  while (client->goaways == 0) ASSERT_NE(client->ReadFrame().type, 0xff);
  EXPECT_EQ(client->Await(client->SendRequest("GET", "/late", true)).reset_code,
            NGHTTP2_REFUSED_STREAM);
  // For longer than a head may take, as another client finds out.
  ASSERT_TRUE(WaitUntil([&] { return proxy_->Port() != 0 && proxy_->Port() != old_port; }));
  RawSocket slow = RawSocket::Connect(proxy_->Port());
  slow.Send("GET");
  EXPECT_EQ(StatusOf(slow.ReadMessage()), 408);
  may_answer = true;
  EXPECT_EQ(client->Await(first).body, "finished");
}

TEST_F(Http2DeadlineTest, AnIdleConnectionIsEndedAndPingsDoNotKeepIt) {
  StartImpatient(Echo);
  auto client = Client();
  client->SendFrame(NGHTTP2_PING, 0, 0, "12345678");
  EXPECT_EQ(client->AwaitEnd(), NGHTTP2_NO_ERROR);
}

TEST_F(Http2DeadlineTest, AWindowThatIsNeverOpenedEndsTheStreamOnly) {
  // The target is done with it, only the client is not.
  StartImpatient([](const std::string& head, RawSocket& connection) {
    return Answer(connection,
                  head.find("/large") == std::string::npos ? "ok" : std::string(50'000, 'x'));
  });
  Http2Client client(ConnectH2());
  ASSERT_TRUE(client.Start({{NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, 1000}}));
  client.opens_windows = false;
  const uint32_t stream = client.SendRequest("GET", "/large", true);
  EXPECT_EQ(client.Await(stream).reset_code, NGHTTP2_CANCEL);
  EXPECT_EQ(client.response(stream).body.size(), 1000u);
  EXPECT_EQ(client.Get().body, "ok");
}

TEST_F(Http2DeadlineTest, AClientThatReadsNothingIsClosed) {
  const std::string large(20'000'000, 'x');
  StartImpatient(
      [&](const std::string&, RawSocket& connection) { return Answer(connection, large); });
  Http2Client client(ConnectH2());
  ASSERT_TRUE(client.Start({{NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, 0x7fffffff}}));
  client.SendFrame(NGHTTP2_WINDOW_UPDATE, 0, 0, std::string("\x3f\0\0\0", 4));
  client.SendRequest("GET", "/", true);
  EXPECT_TRUE(WaitUntil([&] { return proxy_->Metric("active_connection_count") == 0; }));
  EXPECT_TRUE(WaitNothingInFlight());
}

TEST_F(Http2DeadlineTest, ABodyThatStopsIsAnsweredOnItsStream) {
  StartImpatient(Echo);
  auto client = Client();
  const uint32_t stream = client->SendRequest("POST", "/", false);
  client->SendBody(stream, "begin", false);
  const auto got = client->Await(stream);
  EXPECT_EQ(got.status, 408);
  EXPECT_EQ(got.Field("x-remuda-reason"), "ClientBodyTimeout");
  EXPECT_EQ(client->Get().status, 200);
}

// However long its client goes on with it.
TEST_F(Http2DeadlineTest, ADrainDoesNotWaitForAnUploadThatIsThrownAway) {
  Start([](const std::string&, RawSocket& connection) { return Answer(connection, "done"); });
  auto client = Client();
  const uint32_t stream = client->SendRequest("POST", "/", false);
  EXPECT_EQ(client->Await(stream).body, "done");
  proxy_->Signal(SIGTERM);
  // Well below what an upload has while the proxy stays.
  EXPECT_TRUE(WaitUntil(
      [&] {
        client->SendBody(stream, "x", false);
        return !proxy_->is_running();
      },
      std::chrono::seconds(20)));
}

}  // namespace
}  // namespace remuda::proxy::testing
