// HTTP/2 clients that do what they may not: each is bounded, and others are served meanwhile.
#include <gmock/gmock.h>

#include <atomic>

#include "tests/component/proxy/testing/http2_fixture.h"

namespace remuda::proxy::testing {
namespace {

using ::testing::HasSubstr;

const HeaderList kGet = {
    {":method", "GET"}, {":scheme", "https"}, {":authority", "a"}, {":path", "/"}};

HeaderList With(HeaderList fields, const HeaderList& more) {
  fields.insert(fields.end(), more.begin(), more.end());
  return fields;
}

class Http2AbuseTest : public Http2Fixture {
 protected:
  void SetUp() override {
    Start([](const std::string& head, RawSocket& connection) {
      ReadBody(head, connection);
      return Answer(connection, "ok");
    });
    other_ = Client();
  }
  void TearDown() override {
    EXPECT_EQ(other_->Get().body, "ok") << "another client is not served any more";
    EXPECT_TRUE(WaitNothingInFlight());
  }
  // Sends until the proxy ends the connection, or `limit` times.
  template <typename Send>
  int64_t Flood(Http2Client& client, int limit, Send send) {
    for (int i = 0; i < limit && send(i); ++i) {
    }
    return client.AwaitEnd();
  }

  std::unique_ptr<Http2Client> other_;
};

struct BadRequest {
  std::string name;
  HeaderList fields;
  int status;
  std::string reason;
};

TEST_F(Http2AbuseTest, MalformedRequestsAreAnsweredAndTheConnectionGoesOn) {
  const std::vector<BadRequest> cases = {
      {"no pseudo fields", {{"x", "y"}}, 400, "BadPseudoField"},
      {"two paths", With(kGet, {{":path", "/"}}), 400, "BadPseudoField"},
      {"upper case", With(kGet, {{"X", "y"}}), 400, "BadFieldName"},
      {"line ends in a value", With(kGet, {{"x", "y\r\nz: 1"}}), 400, "BadFieldValue"},
      {"connection", With(kGet, {{"connection", "close"}}), 400, "BadConnection"},
      {"transfer-encoding", With(kGet, {{"transfer-encoding", "chunked"}}), 400,
       "BadTransferEncoding"},
      {"two lengths", With(kGet, {{"content-length", "0"}, {"content-length", "0"}}), 400,
       "RepeatedContentLength"},
      {"a length without a body", With(kGet, {{"content-length", "4"}}), 400, "BodyMismatch"},
      {"no host", {{":method", "GET"}, {":scheme", "https"}, {":path", "/"}}, 400, "MissingHost"},
      {"dot segments",
       With({{":path", "/../x"}}, {{":method", "GET"}, {":scheme", "https"}, {":authority", "a"}}),
       400, "BadPath"},
      {"connect", {{":method", "CONNECT"}, {":authority", "a:80"}}, 405, "MethodNotAllowed"},
      {"trace",
       With({{":method", "TRACE"}}, {{":scheme", "https"}, {":authority", "a"}, {":path", "/"}}),
       405, "MethodNotAllowed"},
      {"too many fields", With(kGet, HeaderList(101, {"x", "y"})), 431, "TooManyFields"},
      {"a head over the bound", With(kGet, HeaderList(5, {"x", std::string(14000, 'y')})), 431,
       "HeadTooLarge"},
      {"many addresses", With(kGet, HeaderList(31, {"x-forwarded-for", "192.0.2.1"})), 463,
       "TooManyForwardedAddresses"},
  };
  auto client = Client();
  const int before = target_->requests();
  for (const BadRequest& c : cases) {
    const auto got = client->Await(client->SendHeaders(c.fields, true));
    EXPECT_EQ(got.status, c.status) << c.name;
    EXPECT_EQ(got.Field("x-remuda-reason"), c.reason) << c.name;
    EXPECT_EQ(got.Field("connection"), "") << c.name;
  }
  EXPECT_EQ(target_->requests(), before);
  EXPECT_EQ(client->Get().status, 200);
}

TEST_F(Http2AbuseTest, BodiesThatAreNotAsLongAsDeclaredAreReset) {
  auto client = Client();
  for (const std::string body : {"123", "1234567"}) {
    const uint32_t stream = client->SendRequest("POST", "/", false, {{"content-length", "5"}});
    client->SendBody(stream, "12", false);
    ASSERT_TRUE(WaitUntil([&, before = target_->requests()] {
      client->Get();  // the request has begun by now
      return target_->requests() > before;
    }));
    client->SendBody(stream, body.substr(2), true);
    const auto got = client->Await(stream);
    EXPECT_NE(got.status, 200);
    EXPECT_TRUE(got.status == 400 || got.reset_code == NGHTTP2_PROTOCOL_ERROR) << got.status;
  }
  EXPECT_TRUE(
      WaitUntil([&] { return proxy_->AccessLog().find("BodyMismatch") != std::string::npos; }));
  EXPECT_EQ(client->Get().status, 200);
}

TEST_F(Http2AbuseTest, RapidResetEndsTheConnection) {
  auto client = Client();
  const int before = target_->requests();
  const int64_t code = Flood(*client, 20'000, [&](int) {
    const uint32_t stream = client->SendHeaders(kGet, true);
    return client->SendFrame(NGHTTP2_RST_STREAM, 0, stream, std::string("\0\0\0\x08", 4));
  });
  EXPECT_EQ(code, NGHTTP2_ENHANCE_YOUR_CALM);
  EXPECT_LE(target_->requests() - before, 700);
  EXPECT_EQ(proxy_->Metric("http2_abusive_connection_count_total"), 1);
}

TEST_F(Http2AbuseTest, ResetsThatTheProxyIsMadeToSendCountToo) {
  auto client = Client();
  // CVE-2025-8671: a window that overflows makes the server reset the stream.
  const int64_t code = Flood(*client, 20'000, [&](int) {
    const uint32_t stream = client->SendHeaders(kGet, false);
    client->SendFrame(NGHTTP2_WINDOW_UPDATE, 0, stream, std::string("\x7f\xff\xff\xff", 4));
    return client->Await(stream).reset_code == NGHTTP2_FLOW_CONTROL_ERROR;
  });
  EXPECT_EQ(code, NGHTTP2_ENHANCE_YOUR_CALM);
}

TEST_F(Http2AbuseTest, StreamsOverTheBoundAreRefused) {
  auto client = Client();
  std::vector<uint32_t> streams;
  for (int i = 0; i < 128; ++i) streams.push_back(client->SendRequest("POST", "/", false));
  client->SendRequest("GET", "/", true);
  EXPECT_EQ(client->AwaitEnd(), NGHTTP2_PROTOCOL_ERROR);  // it had acknowledged the bound
}

TEST_F(Http2AbuseTest, ContinuationFloodEndsTheConnection) {
  auto client = Client();
  const uint32_t stream = client->NewStream();
  client->SendFrame(NGHTTP2_HEADERS, NGHTTP2_FLAG_END_STREAM, stream, client->Deflate(kGet));
  const int64_t code = Flood(*client, 100'000, [&](int) {
    return client->SendFrame(NGHTTP2_CONTINUATION, 0, stream, "");
  });
  EXPECT_EQ(code, NGHTTP2_ENHANCE_YOUR_CALM);
}

TEST_F(Http2AbuseTest, HeaderBombsEndTheConnection) {
  auto client = Client();
  // One entry of the table, named thousands of times in few bytes.
  client->SendHeaders(With(kGet, {{"bomb", std::string(3000, 'b')}}), true);
  const std::string block =
      client->Deflate(With(kGet, HeaderList(5000, {"bomb", std::string(3000, 'b')})));
  EXPECT_LT(block.size(), 16000u);
  client->SendFrame(NGHTTP2_HEADERS, NGHTTP2_FLAG_END_STREAM | NGHTTP2_FLAG_END_HEADERS,
                    client->NewStream(), block);
  EXPECT_EQ(client->AwaitEnd(), NGHTTP2_ENHANCE_YOUR_CALM);
}

struct FloodCase {
  std::string name;
  uint8_t type;
  uint8_t flags;
  bool on_stream;
  std::string payload;
};

TEST_F(Http2AbuseTest, FramesWithoutWorkAreRationed) {
  const std::vector<FloodCase> cases = {
      {"ping", NGHTTP2_PING, 0, false, "12345678"},
      {"settings", NGHTTP2_SETTINGS, 0, false, ""},
      {"settings with content", NGHTTP2_SETTINGS, 0, false, std::string("\0\4\0\0\xff\xff", 6)},
      {"priority", NGHTTP2_PRIORITY, 0, true, std::string("\0\0\0\0\x10", 5)},
      {"window update", NGHTTP2_WINDOW_UPDATE, 0, false, std::string("\0\0\0\1", 4)},
      {"empty data", NGHTTP2_DATA, 0, true, ""},
      {"padding only", NGHTTP2_DATA, NGHTTP2_FLAG_PADDED, true, std::string("\0", 1)},
      {"unknown type", 0xfa, 0, false, "x"},
  };
  for (const FloodCase& c : cases) {
    SCOPED_TRACE(c.name);
    auto client = Client();
    const uint32_t stream = c.on_stream ? client->SendRequest("POST", "/", false) : 0;
    const int64_t code = Flood(*client, 50'000, [&](int) {
      return client->SendFrame(c.type, c.flags, stream, c.payload);
    });
    EXPECT_EQ(code, NGHTTP2_ENHANCE_YOUR_CALM);
    EXPECT_EQ(other_->Get().body, "ok");
  }
}

TEST_F(Http2AbuseTest, HeadersOfClosedStreamsAreRationed) {
  auto client = Client();
  ASSERT_EQ(client->Get().status, 200);
  const int64_t code = Flood(*client, 50'000, [&](int) {
    return client->SendFrame(NGHTTP2_HEADERS, NGHTTP2_FLAG_END_HEADERS | NGHTTP2_FLAG_END_STREAM, 1,
                             client->Deflate({{"x", "y"}}));
  });
  EXPECT_NE(code, -1);
  EXPECT_EQ(other_->Get().body, "ok");
}

TEST_F(Http2AbuseTest, AcknowledgementsThatAreNotReadAreBounded) {
  // It never reads: what it asks for waits, and the proxy stops reading.
  auto client = Client();
  for (int i = 0; i < 900; ++i)
    if (!client->SendFrame(NGHTTP2_PING, 0, 0, "12345678")) break;
  EXPECT_EQ(other_->Get().body, "ok");
}

TEST_F(Http2AbuseTest, BrokenFramesEndTheConnection) {
  const std::vector<std::pair<std::string, std::vector<Http2Frame>>> cases = {
      {"data on no stream", {{NGHTTP2_DATA, 0, 0, "x"}}},
      {"headers on an even stream", {{NGHTTP2_HEADERS, NGHTTP2_FLAG_END_HEADERS, 2, "\x82"}}},
      {"a settings frame of odd size", {{NGHTTP2_SETTINGS, 0, 0, "12345"}}},
      {"a ping of odd size", {{NGHTTP2_PING, 0, 0, "1234"}}},
      {"a window of nothing", {{NGHTTP2_WINDOW_UPDATE, 0, 0, std::string(4, '\0')}}},
      {"continuation without headers",
       {{NGHTTP2_CONTINUATION, NGHTTP2_FLAG_END_HEADERS, 1, "\x82"}}},
      {"a frame within a header block",
       {{NGHTTP2_HEADERS, 0, 1, "\x82"}, {NGHTTP2_PING, 0, 0, "12345678"}}},
      {"push", {{NGHTTP2_PUSH_PROMISE, NGHTTP2_FLAG_END_HEADERS, 1, std::string(5, '\0')}}},
      {"a header block that is none",
       {{NGHTTP2_HEADERS, NGHTTP2_FLAG_END_HEADERS, 1, std::string(8, '\xff')}}},
      {"a frame too large", {{NGHTTP2_DATA, 0, 1, std::string(20'000, 'x')}}},
  };
  for (const auto& [name, frames] : cases) {
    SCOPED_TRACE(name);
    auto client = Client();
    for (const Http2Frame& frame : frames)
      client->SendFrame(frame.type, frame.flags, frame.stream, frame.payload);
    EXPECT_GT(client->AwaitEnd(), 0);
    EXPECT_EQ(other_->Get().body, "ok");
  }
}

TEST_F(Http2AbuseTest, HeadersThatNeverEndAreNotWaitedForByOthers) {
  auto client = Client();
  client->SendFrame(NGHTTP2_HEADERS, NGHTTP2_FLAG_END_STREAM, client->NewStream(),
                    client->Deflate(kGet));
  EXPECT_EQ(other_->Get().body, "ok");
  client->socket().Close();
  EXPECT_TRUE(WaitUntil([&] { return proxy_->Metric("active_connection_count") == 1; }));
}

}  // namespace
}  // namespace remuda::proxy::testing
