// What RFC 9113 forbids a client of HTTP/2, and what becomes of it.
#include <gmock/gmock.h>

#include <string>
#include <vector>

#include "tests/component/proxy/testing/http2_fixture.h"

namespace remuda::proxy::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

constexpr uint8_t kWhole = NGHTTP2_FLAG_END_HEADERS | NGHTTP2_FLAG_END_STREAM;
const HeaderList kGet = {
    {":method", "GET"}, {":scheme", "https"}, {":authority", "a"}, {":path", "/"}};

class Http2RulesTest : public Http2Fixture {
 protected:
  void SetUp() override { Start(Echo); }
};

struct BadTrailers {
  std::string name;
  HeaderList fields;
  std::string reason = "BadTrailer";
};

const std::vector<BadTrailers>& MalformedTrailers() {
  static const std::vector<BadTrailers> cases = {
      {"a pseudo field", {{":path", "/x"}}},
      {"transfer-encoding", {{"transfer-encoding", "chunked"}}},
      {"content-length", {{"content-length", "3"}}},
      {"connection", {{"connection", "close"}}},
      {"te", {{"te", "trailers"}}},
      {"host", {{"host", "evil"}}},
      {"a line end in a value", {{"x", "a\r\nb: c"}}},
      {"NUL in a value", {{"x", std::string("a\0b", 3)}}},
      {"a space before a value", {{"x", " a"}}},
      {"upper case", {{"X", "a"}}},
      {"an empty name", {{"", "a"}}},
      {"a space in a name", {{"x y", "a"}}},
      {"too many", HeaderList(33, {"x", "a"}), "TrailersTooLarge"},
      {"too large", HeaderList(3, {"x", std::string(3000, 'y')}), "TrailersTooLarge"},
  };
  return cases;
}

// With the request: it is answered.
TEST_F(Http2RulesTest, MalformedTrailersAreRefused) {
  auto client = Client();
  const int before = target_->requests();
  for (const BadTrailers& c : MalformedTrailers()) {
    const uint32_t stream = client->NewStream();
    // In one piece, so that the target hears nothing of it.
    const std::string head = client->Deflate(kGet);
    const std::string trailers = client->Deflate(c.fields);
    std::string bytes;
    const auto add = [&](uint8_t type, uint8_t flags, const std::string& payload) {
      bytes +=
          std::string{0, static_cast<char>(payload.size() >> 8), static_cast<char>(payload.size()),
                      static_cast<char>(type), static_cast<char>(flags)};
      bytes += std::string{0, 0, static_cast<char>(stream >> 8), static_cast<char>(stream)};
      bytes += payload;
    };
    add(NGHTTP2_HEADERS, NGHTTP2_FLAG_END_HEADERS, head);
    add(NGHTTP2_DATA, 0, "abc");
    add(NGHTTP2_HEADERS, kWhole, trailers);
    ASSERT_TRUE(client->socket().Send(bytes));
    const auto got = client->Await(stream);
    EXPECT_EQ(got.status, 400 + (c.reason == "BadTrailer" ? 0 : 31)) << c.name;
    EXPECT_EQ(got.Field("x-remuda-reason"), c.reason) << c.name;
  }
  EXPECT_EQ(target_->requests(), before);
  EXPECT_EQ(client->Get().status, 200);
}

// Behind a request that is under way: the stream ends.
TEST_F(Http2RulesTest, MalformedTrailersEndARequestUnderWay) {
  auto client = Client();
  for (const BadTrailers& c : MalformedTrailers()) {
    const int before = target_->requests();
    const uint32_t stream = client->SendRequest("POST", "/", false);
    client->SendBody(stream, "abc", false);
    ASSERT_TRUE(WaitUntil([&] { return target_->requests() > before; }));
    client->SendFrame(NGHTTP2_HEADERS, kWhole, stream, client->Deflate(c.fields));
    const auto got = client->Await(stream);
    EXPECT_EQ(got.status, 0) << c.name;
    EXPECT_EQ(got.reset_code, NGHTTP2_PROTOCOL_ERROR) << c.name;
  }
  EXPECT_EQ(client->Get().status, 200);
}

TEST_F(Http2RulesTest, GoodTrailersGoOn) {
  Start([](const std::string& head, RawSocket& connection) {
    const ChunkedBody got = connection.ReadChunked();
    return Answer(connection, head + got.body + "|" + got.trailers);
  });
  auto client = Client();
  const uint32_t stream = client->SendRequest("POST", "/", false);
  client->SendBody(stream, "abc", false);
  client->SendFrame(NGHTTP2_HEADERS, kWhole, stream,
                    client->Deflate({{"x-checksum", "1"}, {"grpc-status", "0"}}));
  const auto got = client->Await(stream);
  EXPECT_THAT(got.body, HasSubstr("abc|x-checksum: 1\r\ngrpc-status: 0\r\n"));
}

TEST_F(Http2RulesTest, TrailersThatComeWithAllTheRestGoOn) {
  Start([](const std::string& head, RawSocket& connection) {
    if (head.find("Transfer-Encoding: chunked") == std::string::npos)
      return Answer(connection, "no chunks");
    const ChunkedBody got = connection.ReadChunked();
    return Answer(connection, head + got.body + "|" + got.trailers);
  });
  for (const std::string body : {"abc", ""}) {
    auto client = Client();
    const uint32_t stream = client->NewStream();
    HeaderList post = kGet;
    post[0].second = "POST";
    post[2].second = "shop.test";
    const std::string head = client->Deflate(post);
    const std::string trailers = client->Deflate({{"x-checksum", "1"}});
    std::string bytes;
    const auto add = [&](uint8_t type, uint8_t flags, const std::string& payload) {
      bytes += BigEndian(payload.size(), 3) + BigEndian(type, 1) + BigEndian(flags, 1) +
               BigEndian(stream, 4) + payload;
    };
    add(NGHTTP2_HEADERS, NGHTTP2_FLAG_END_HEADERS, head);
    if (!body.empty()) add(NGHTTP2_DATA, 0, body);
    add(NGHTTP2_HEADERS, kWhole, trailers);
    ASSERT_TRUE(client->socket().Send(bytes));
    EXPECT_THAT(client->Await(stream).body, HasSubstr(body + "|x-checksum: 1\r\n"));
  }
}

class Http2HostTest : public Http2Fixture {
 protected:
  Http2Response Ask(const std::string& mode, const std::string& host) {
    Start(Echo, "", "    desyncMitigationMode: " + mode + "\n");
    auto client = Client();
    return client->Await(client->SendRequest("GET", "/x?y=1", true, {{"host", host}}));
  }
};

TEST_F(Http2HostTest, TwoNamesAreTheModesToJudge) {
  EXPECT_EQ(Ask("STRICTEST", "SHOP.test").status, 200);
  const auto refused = Ask("STRICTEST", "other.test");
  EXPECT_EQ(refused.status, 400);
  EXPECT_EQ(refused.Field("x-remuda-reason"), "HostMismatch");
  const auto passed = Ask("DEFENSIVE", "other.test");
  EXPECT_THAT(passed.body, HasSubstr("GET /x?y=1 HTTP/1.1\r\nHost: shop.test\r\n"));
  EXPECT_THAT(passed.body, Not(HasSubstr("other")));
}

struct BrokenRule {
  std::string name;
  int64_t code;
  std::vector<Http2Frame> frames;
};

TEST_F(Http2RulesTest, FramesWhereNoneMayBeEndTheConnection) {
  const std::string block(
      "\x82\x87\x84\x41\x01"
      "a",
      6);  // GET https / and the authority "a"
  const std::string reset("\0\0\0\x08", 4);
  const std::vector<BrokenRule> cases = {
      {"a stream below the newest one",
       NGHTTP2_PROTOCOL_ERROR,
       {{NGHTTP2_HEADERS, kWhole, 5, block}, {NGHTTP2_HEADERS, kWhole, 3, block}}},
      {"priority of no stream",
       NGHTTP2_PROTOCOL_ERROR,
       {{NGHTTP2_PRIORITY, 0, 0, std::string("\0\0\0\0\x10", 5)}}},
      {"priority of another size",
       NGHTTP2_FRAME_SIZE_ERROR,
       {{NGHTTP2_HEADERS, NGHTTP2_FLAG_END_HEADERS, 1, block},
        {NGHTTP2_PRIORITY, 0, 1, std::string(4, '\0')}}},
      {"data behind a reset",
       NGHTTP2_STREAM_CLOSED,
       {{NGHTTP2_HEADERS, NGHTTP2_FLAG_END_HEADERS, 1, block},
        {NGHTTP2_RST_STREAM, 0, 1, reset},
        {NGHTTP2_DATA, NGHTTP2_FLAG_END_STREAM, 1, "x"}}},
      {"headers behind a reset",
       NGHTTP2_STREAM_CLOSED,
       {{NGHTTP2_HEADERS, NGHTTP2_FLAG_END_HEADERS, 1, block},
        {NGHTTP2_RST_STREAM, 0, 1, reset},
        {NGHTTP2_HEADERS, kWhole, 1, block}}},
      {"data on a stream that was passed over",
       NGHTTP2_STREAM_CLOSED,
       {{NGHTTP2_HEADERS, kWhole, 9, block}, {NGHTTP2_DATA, 0, 7, "x"}}},
  };
  for (const BrokenRule& c : cases) {
    auto client = Client();
    for (const Http2Frame& frame : c.frames)
      client->SendFrame(frame.type, frame.flags, frame.stream, frame.payload);
    EXPECT_EQ(client->AwaitEnd(), c.code) << c.name;
  }
  for (const uint8_t type : {NGHTTP2_DATA, NGHTTP2_HEADERS}) {
    auto client = Client();
    const uint32_t over = client->SendRequest("GET", "/", true);
    ASSERT_EQ(client->Await(over).status, 200);
    client->SendFrame(type, kWhole, over, type == NGHTTP2_DATA ? "x" : block);
    EXPECT_EQ(client->AwaitEnd(), NGHTTP2_STREAM_CLOSED) << int{type} << " behind the end";
  }
}

// It cannot know yet that the stream is over, or it may say so.
TEST_F(Http2RulesTest, FramesThatWereUnderWayAreIgnored) {
  auto client = Client();
  const uint32_t stream = client->SendRequest("POST", "/", false, {{"content-length", "2"}});
  client->SendBody(stream, "too long", false);
  const auto got = client->Await(stream);
  EXPECT_TRUE(got.status == 400 || got.reset_code == NGHTTP2_PROTOCOL_ERROR);
  client->SendFrame(NGHTTP2_DATA, 0, stream, "more");
  client->SendFrame(NGHTTP2_WINDOW_UPDATE, 0, stream, std::string("\0\0\0\1", 4));
  client->SendFrame(NGHTTP2_HEADERS, kWhole, stream, client->Deflate({{"x", "y"}}));
  EXPECT_EQ(client->Get().status, 200);
  const uint32_t over = client->SendRequest("GET", "/", true);
  EXPECT_EQ(client->Await(over).status, 200);
  client->SendFrame(NGHTTP2_WINDOW_UPDATE, 0, over, std::string("\0\0\0\1", 4));
  client->Reset(over, NGHTTP2_CANCEL);
  client->SendFrame(NGHTTP2_PRIORITY, 0, over, std::string("\0\0\0\0\x10", 5));
  EXPECT_EQ(client->Get().status, 200);
}

}  // namespace
}  // namespace remuda::proxy::testing
