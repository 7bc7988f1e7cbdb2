// HTTP/2: that few bytes cannot hold much, that what the proxy itself refuses is not held against a
// client, and that answers arrive.
#include <gmock/gmock.h>

#include <atomic>
#include <string>
#include <vector>

#include "tests/component/proxy/testing/http2_fixture.h"

namespace remuda::proxy::testing {
namespace {

using ::testing::HasSubstr;

class Http2BoundsTest : public Http2Fixture {
 protected:
  void TearDown() override {
    may_answer_ = true;  // its threads end
    proxy_.reset();
    target_.reset();
  }
  // Targets that answer /wait only when they may, and everything else at once.
  ScriptedTarget::Script Waiting() {
    return [this](const std::string& head, RawSocket& connection) {
      const std::string body = ReadBody(head, connection);
      if (head.find(" /wait") != std::string::npos &&
          !WaitUntil([&] { return may_answer_.load(); })) {
        return false;
      }
      return Answer(connection, "body:" + std::to_string(body.size()));
    };
  }
  // The frame of a GET for /wait.
  static std::string GetFrame(Http2Client& client, uint32_t stream) {
    const std::string block = client.Deflate({{":method", "GET"},
                                              {":scheme", "https"},
                                              {":authority", "shop.test"},
                                              {":path", "/wait"}});
    const std::string head = {'\0',
                              '\0',
                              static_cast<char>(block.size()),
                              NGHTTP2_HEADERS,
                              NGHTTP2_FLAG_END_HEADERS | NGHTTP2_FLAG_END_STREAM,
                              '\0',
                              '\0',
                              '\0',
                              static_cast<char>(stream)};
    return head + block;
  }
  // Waits until the target has had that many.
  bool WaitRequests(int count) {
    return WaitUntil([&] { return target_->requests() >= count; });
  }

  std::atomic<bool> may_answer_{false};
};

// --- Few bytes.

TEST_F(Http2BoundsTest, LargeHeadsThatFewBytesNameAreBounded) {
  Start(Waiting());
  auto client = Client();
  // An entry of the header table, named fifteen times in each head: 60 KB in some 20 bytes.
  const HeaderList many(15, {"x", std::string(3900, 'x')});
  std::vector<uint32_t> streams;
  for (int i = 0; i < 100; ++i) streams.push_back(client->SendRequest("GET", "/wait", true, many));
  int refused = 0;
  // What is not refused waits for the target: the answer to this one comes behind all refusals.
  ASSERT_THAT(client->Get("/small").body, HasSubstr("body:0"));
  for (const uint32_t stream : streams)
    refused += client->response(stream).reset_code == NGHTTP2_REFUSED_STREAM ? 1 : 0;
  // 4 MiB in blocks of 72 KiB.
  EXPECT_EQ(refused, 100 - 56);
  EXPECT_EQ(proxy_->Metric("http2_refused_stream_count_total"), refused);
  may_answer_ = true;
  for (const uint32_t stream : streams) {
    const auto got = client->Await(stream);
    EXPECT_TRUE(got.status == 200 || got.reset_code == NGHTTP2_REFUSED_STREAM) << got.status;
  }
  // What they held is there for others.
  EXPECT_EQ(client->Await(client->SendRequest("GET", "/", true, many)).status, 200);
}

TEST_F(Http2BoundsTest, AResponseThatNoWindowTakesWaitsInOneBlock) {
  Start([](const std::string&, RawSocket& connection) {
    return Answer(connection, std::string(200'000, 'x'));
  });
  constexpr int kStreams = 20;
  Http2Client client(ConnectH2());
  ASSERT_TRUE(client.Start({{NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, 0}}));
  std::vector<uint32_t> streams;
  for (int i = 0; i < kStreams; ++i) streams.push_back(client.SendRequest("GET", "/", true));
  for (const uint32_t stream : streams) {
    while (client.response(stream).status == 0) ASSERT_NE(client.ReadFrame().type, 0xff);
  }
  // All that the proxy has taken for the client waits in it.
  const auto taken = [&] { return proxy_->Metric("processed_bytes_total{direction=\"sent\"}"); };
  ASSERT_TRUE(WaitUntil([&] { return taken() >= kStreams * 16'384; }));
  client.Await(client.SendRequest("OPTIONS", "bad", true));  // another turn of the loop
  EXPECT_LE(taken(), kStreams * 16'384 + 1000);
}

// --- What the proxy refuses.

TEST_F(Http2BoundsTest, RefusalsForWantOfRoomAreNotTheClientsFault) {
  Start(Waiting(), "", "", {"--max-connections=4"});
  auto client = Client();
  const int before = target_->requests();
  std::vector<uint32_t> inside;
  for (int i = 0; i < 3; ++i) inside.push_back(client->SendRequest("GET", "/wait", true));
  ASSERT_TRUE(WaitRequests(before + 3));
  for (int i = 0; i < 1500; ++i) {
    const auto got = client->Await(client->SendRequest("GET", "/", true));
    ASSERT_EQ(got.reset_code, NGHTTP2_REFUSED_STREAM) << i;
  }
  EXPECT_EQ(client->goaways, 0);
  EXPECT_EQ(proxy_->Metric("http2_refused_stream_count_total"), 1500);
  may_answer_ = true;
  for (const uint32_t stream : inside) EXPECT_EQ(client->Await(stream).status, 200);
  EXPECT_EQ(client->Get().status, 200);
}

// Many begin before the first is served: each has its place by then.
TEST_F(Http2BoundsTest, StreamsThatBeginTogetherStayWithinThePlaces) {
  Start(Waiting(), "", "", {"--max-connections=4"});
  auto client = Client();
  const int before = target_->requests();
  std::string together;
  for (uint32_t stream = 1; stream < 20; stream += 2) together += GetFrame(*client, stream);
  ASSERT_TRUE(client->socket().Send(together));
  for (uint32_t stream = 7; stream < 20; stream += 2)
    EXPECT_EQ(client->Await(stream).reset_code, NGHTTP2_REFUSED_STREAM) << stream;
  ASSERT_TRUE(WaitRequests(before + 3));
  EXPECT_EQ(proxy_->Metric("http2_refused_stream_count_total"), 7);
  may_answer_ = true;
  for (uint32_t stream = 1; stream < 7; stream += 2)
    EXPECT_EQ(client->Await(stream).status, 200) << stream;
}

// One address takes its own places, whether by connections or by streams.
TEST_F(Http2BoundsTest, StreamsCountForTheirAddress) {
  Start(Waiting(), "", "", {"--max-connections-per-address=3"});
  auto client = Client();
  const int before = target_->requests();
  std::vector<uint32_t> inside;
  for (int i = 0; i < 2; ++i) inside.push_back(client->SendRequest("GET", "/wait", true));
  ASSERT_TRUE(WaitRequests(before + 2));
  for (int i = 0; i < 1500; ++i) {
    const auto got = client->Await(client->SendRequest("GET", "/", true));
    ASSERT_EQ(got.reset_code, NGHTTP2_REFUSED_STREAM) << i;
  }
  EXPECT_EQ(client->goaways, 0);
  EXPECT_EQ(proxy_->Metric("http2_abusive_connection_count_total"), 0);
  EXPECT_FALSE(ConnectH2().is_open());
  may_answer_ = true;
  for (const uint32_t stream : inside) EXPECT_EQ(client->Await(stream).status, 200);
  for (int i = 0; i < 5; ++i) EXPECT_EQ(client->Get().status, 200) << i;
  EXPECT_TRUE(WaitUntil([&] { return ConnectH2().is_open(); }));
}

TEST_F(Http2BoundsTest, AnIdleConnectionMakesRoomForConnectionsAndStreams) {
  Start(Waiting(), "", "", {"--max-connections=2"});
  auto oldest = Client();
  EXPECT_EQ(oldest->Get().status, 200);
  auto other = Client();
  auto third = Client();  // a place for it, and for its stream
  EXPECT_EQ(oldest->AwaitEnd(), NGHTTP2_NO_ERROR);
  EXPECT_EQ(third->Get().status, 200);
  EXPECT_EQ(other->AwaitEnd(), NGHTTP2_NO_ERROR);
  EXPECT_EQ(proxy_->Metric("idle_connection_closed_count_total"), 2);
  EXPECT_EQ(proxy_->Metric("rejected_connection_count_total"), 0);
}

// --- Resets.

TEST_F(Http2BoundsTest, WhoResetsTooMuchIsToldToGoAndServedToTheEnd) {
  Start(Waiting());
  auto client = Client();
  const int before = target_->requests();
  const uint32_t honest = client->SendRequest("GET", "/wait", true);
  ASSERT_TRUE(WaitRequests(before + 1));
  for (int i = 0; i < 600 && client->goaways == 0; ++i)
    client->Reset(client->SendRequest("POST", "/", false), NGHTTP2_CANCEL);
  ASSERT_TRUE(client->AwaitFinalGoaway());
  EXPECT_EQ(client->goaway_code, NGHTTP2_ENHANCE_YOUR_CALM);
  EXPECT_GE(client->goaway_last_stream, honest);
  may_answer_ = true;
  EXPECT_EQ(client->Await(honest).body, "body:0");
  EXPECT_EQ(client->AwaitEnd(), NGHTTP2_ENHANCE_YOUR_CALM);
  EXPECT_EQ(proxy_->Metric("http2_abusive_connection_count_total"), 1);
}

TEST_F(Http2BoundsTest, WhoGoesOnAfterThatIsCutOff) {
  Start(Waiting());
  auto client = Client();
  const int before = target_->requests();
  client->SendRequest("GET", "/wait", true);
  ASSERT_TRUE(WaitRequests(before + 1));
  for (int i = 0; i < 20'000; ++i) {
    const uint32_t stream = client->SendRequest("POST", "/", false);
    if (!client->SendFrame(NGHTTP2_RST_STREAM, 0, stream, std::string("\0\0\0\x08", 4))) break;
  }
  EXPECT_EQ(client->AwaitEnd(), NGHTTP2_ENHANCE_YOUR_CALM);
  EXPECT_TRUE(WaitNothingInFlight());
  EXPECT_EQ(proxy_->Metric("http2_abusive_connection_count_total"), 1);
}

// As many clients do that have read all they want.
TEST_F(Http2BoundsTest, ResetsOfWhatIsAnsweredCostNothing) {
  Start(Waiting());
  auto client = Client();
  for (int i = 0; i < 1500; ++i) {
    const uint32_t stream = client->SendRequest("POST", "/", false, {{"content-length", "0"}});
    ASSERT_EQ(client->Await(stream).status, 200) << i;
    client->Reset(stream, NGHTTP2_NO_ERROR);
  }
  EXPECT_EQ(client->Get().status, 200);
  EXPECT_EQ(client->goaways, 0);
}

// --- Answers that come before the end of their request.

TEST_F(Http2BoundsTest, AnEarlyAnswerIsNotFollowedByAReset) {
  Start([](const std::string& head, RawSocket& connection) {
    if (head.find("POST") != 0) return Answer(connection, "ok");
    connection.Send("HTTP/1.1 401 Unauthorized\r\nContent-Length: 3\r\n\r\nno!");
    return false;
  });
  auto client = Client();
  const uint32_t stream = client->SendRequest("POST", "/", false);
  const auto got = client->Await(stream);
  EXPECT_EQ(got.status, 401);
  EXPECT_EQ(got.body, "no!");
  EXPECT_TRUE(got.has_ended);
  // Some clients are not ready for it before all is sent: it is taken, many windows of it.
  ASSERT_TRUE(client->SendBody(stream, std::string(3'000'000, 'u'), true));
  EXPECT_EQ(client->Get().status, 200);
  EXPECT_EQ(client->response(stream).reset_code, -1);
}

TEST_F(Http2BoundsTest, AClientThatSaysNothingMoreAfterAnEarlyAnswerIsReset) {
  Start(Waiting(), "", "    idleTimeout: 1s\n");
  auto client = Client();
  const uint32_t stream = client->SendRequest("POST", "/", false);
  client->SendBody(stream, "begin", false);
  EXPECT_EQ(client->Await(stream).status, 408);
  while (client->response(stream).reset_code < 0) ASSERT_NE(client->ReadFrame().type, 0xff);
  EXPECT_EQ(client->response(stream).reset_code, NGHTTP2_NO_ERROR);
}

// --- Uploads from far.

TEST_F(Http2BoundsTest, WindowsGrowWithWhatComesInARoundTrip) {
  constexpr size_t kWindow = 128 * 1024;
  Start(Waiting());
  auto client = Client();
  client->acknowledges = false;
  const uint32_t stream = client->SendRequest("POST", "/", false);
  Http2Frame ping;
  const auto await_ping = [&] {
    ping = {};
    while (ping.type != NGHTTP2_PING) {
      ASSERT_TRUE(client->SendBody(stream, std::string(16'384, 'u'), false));
      // Windows open in between, and a frame is there to be read for sure.
      ASSERT_TRUE(client->SendFrame(NGHTTP2_PING, 0, 0, "12345678"));
      do {
        ping = client->ReadFrame();
        ASSERT_NE(ping.type, 0xff);
      } while (ping.type != NGHTTP2_PING);
      if ((ping.flags & NGHTTP2_FLAG_ACK) != 0) ping.type = 0;
    }
  };
  await_ping();
  // A whole window comes before the answer: the client is that far away.
  ASSERT_TRUE(client->SendBody(stream, std::string(kWindow, 'u'), false));
  client->SendFrame(NGHTTP2_PING, NGHTTP2_FLAG_ACK, 0, ping.payload);
  while (client->stream_window(stream) <= 2 * kWindow) ASSERT_NE(client->ReadFrame().type, 0xff);
  EXPECT_LE(client->stream_window(stream), 4 * kWindow);
  // What comes in the next round trip was sent before the client knew: it is the first window that
  // this has to fill.
  await_ping();
  ASSERT_TRUE(client->SendBody(stream, std::string(kWindow / 2, 'u'), false));
  client->SendFrame(NGHTTP2_PING, NGHTTP2_FLAG_ACK, 0, ping.payload);
  while (client->stream_window(stream) <= 4 * kWindow) ASSERT_NE(client->ReadFrame().type, 0xff);
  EXPECT_LE(client->stream_window(stream), 16 * kWindow);
  ASSERT_TRUE(client->SendBody(stream, "", true));
  EXPECT_EQ(client->Await(stream).status, 200);
}

}  // namespace
}  // namespace remuda::proxy::testing
