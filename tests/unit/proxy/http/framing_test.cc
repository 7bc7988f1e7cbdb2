// Every case of framing (docs/proxy.md, "Framing"): one table for requests, one for responses.
#include "proxy/http/framing.h"

#include <gtest/gtest.h>

#include <string>

#include "proxy/http/chars.h"
#include "proxy/http/head_parser.h"
#include "tests/unit/proxy/core/print.h"

namespace remuda::proxy::http {

namespace {

struct RequestCase {
  const char* name;
  std::string fields;  // behind Host
  Reason reason = Reason::kNone;
  BodyKind kind = BodyKind::kNone;
  uint64_t length = 0;
  const char* version = "1.1";
  bool keep_alive = true;
};

class RequestFramingTest : public ::testing::TestWithParam<RequestCase> {};

TEST_P(RequestFramingTest, IsDecided) {
  const RequestCase& c = GetParam();
  const std::string bytes =
      "POST / HTTP/" + std::string(c.version) + "\r\nHost: a\r\n" + c.fields + "\r\n";
  RequestParser parser;
  RequestHead head;
  Framing framing;
  Reason reason = Reason::kNone;
  switch (parser.Parse(bytes.data(), bytes.size(), head)) {
    case ParseStatus::kNeedMore:
      FAIL() << "the head should be whole";
    case ParseStatus::kError:
      reason = parser.reason();
      break;
    case ParseStatus::kDone:
      reason = DecideRequestFraming(head, framing);
      break;
  }
  EXPECT_EQ(reason, c.reason);
  if (c.reason != Reason::kNone) return;
  EXPECT_EQ(framing.kind, c.kind);
  EXPECT_EQ(framing.length, c.length);
  EXPECT_EQ(framing.keep_alive, c.keep_alive);
}

INSTANTIATE_TEST_SUITE_P(
    Table, RequestFramingTest,
    ::testing::Values(
        RequestCase{"None", ""}, RequestCase{"Zero", "Content-Length: 0\r\n"},
        RequestCase{"Length", "Content-Length: 42\r\n", Reason::kNone, BodyKind::kLength, 42},
        RequestCase{"LargestLength", "Content-Length: 18446744073709551615\r\n", Reason::kNone,
                    BodyKind::kLength, 18446744073709551615ULL},
        RequestCase{"Overflow", "Content-Length: 18446744073709551616\r\n",
                    Reason::kBadContentLength},
        RequestCase{"Negative", "Content-Length: -1\r\n", Reason::kBadContentLength},
        RequestCase{"Plus", "Content-Length: +1\r\n", Reason::kBadContentLength},
        RequestCase{"Hex", "Content-Length: 0x10\r\n", Reason::kBadContentLength},
        RequestCase{"LeadingZeros", "Content-Length: 003\r\n", Reason::kBadContentLength},
        RequestCase{"EmptyLength", "Content-Length: \r\n", Reason::kBadContentLength},
        RequestCase{"LengthList", "Content-Length: 3, 3\r\n", Reason::kBadContentLength},
        RequestCase{"SpaceInLength", "Content-Length: 3 3\r\n", Reason::kBadContentLength},
        RequestCase{"EqualLengths", "Content-Length: 3\r\nContent-Length: 3\r\n",
                    Reason::kRepeatedContentLength},
        RequestCase{"UnequalLengths", "Content-Length: 3\r\ncontent-length: 4\r\n",
                    Reason::kRepeatedContentLength},
        RequestCase{"Chunked", "Transfer-Encoding: chunked\r\n", Reason::kNone, BodyKind::kChunked},
        RequestCase{"ChunkedCase", "transfer-encoding: CHUNKED\r\n", Reason::kNone,
                    BodyKind::kChunked},
        RequestCase{"ChunkedAndLength", "Transfer-Encoding: chunked\r\nContent-Length: 3\r\n",
                    Reason::kLengthAndTransferEncoding},
        RequestCase{"LengthAndChunked", "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n",
                    Reason::kLengthAndTransferEncoding},
        RequestCase{"Gzip", "Transfer-Encoding: gzip\r\n", Reason::kUnknownTransferEncoding},
        RequestCase{"XChunked", "Transfer-Encoding: xchunked\r\n",
                    Reason::kUnknownTransferEncoding},
        RequestCase{"Identity", "Transfer-Encoding: identity\r\n",
                    Reason::kUnknownTransferEncoding},
        RequestCase{"QuotedChunked", "Transfer-Encoding: \"chunked\"\r\n",
                    Reason::kBadTransferEncoding},
        RequestCase{"CodingList", "Transfer-Encoding: gzip, chunked\r\n",
                    Reason::kUnknownTransferEncoding},
        RequestCase{"CodingListOfThree", "Transfer-Encoding: a, gzip ,CHUNKED\r\n",
                    Reason::kUnknownTransferEncoding},
        RequestCase{"CodingListWithoutChunked", "Transfer-Encoding: gzip, deflate\r\n",
                    Reason::kBadTransferEncoding},
        RequestCase{"ChunkedInTheMiddle", "Transfer-Encoding: chunked, gzip\r\n",
                    Reason::kBadTransferEncoding},
        RequestCase{"ChunkedTwiceInAList", "Transfer-Encoding: chunked, chunked\r\n",
                    Reason::kBadTransferEncoding},
        RequestCase{"EmptyInAList", "Transfer-Encoding: gzip,, chunked\r\n",
                    Reason::kBadTransferEncoding},
        RequestCase{"CommaAtTheEnd", "Transfer-Encoding: gzip, chunked,\r\n",
                    Reason::kBadTransferEncoding},
        RequestCase{"ChunkedThenCow", "Transfer-Encoding: chunked, cow\r\nContent-Length: 1\r\n",
                    Reason::kLengthAndTransferEncoding},
        RequestCase{"EmptyCoding", "Transfer-Encoding: \r\n", Reason::kBadTransferEncoding},
        RequestCase{"IdentityThenChunked",
                    "Transfer-Encoding: identity\r\nTransfer-Encoding: chunked\r\n",
                    Reason::kRepeatedTransferEncoding},
        RequestCase{"ChunkedTwice", "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
                    Reason::kRepeatedTransferEncoding},
        RequestCase{"ChunkedInHttp10", "Transfer-Encoding: chunked\r\n", Reason::kChunkedInHttp10,
                    BodyKind::kNone, 0, "1.0"},
        RequestCase{"FoldedCoding", "Transfer-Encoding:\r\n chunked\r\n", Reason::kFoldedLine},
        RequestCase{"SpaceBeforeColon", "Transfer-Encoding : chunked\r\n", Reason::kBadFieldName},
        RequestCase{"UnderscoreIsNotFraming", "Transfer_Encoding: chunked\r\n",
                    Reason::kSuspiciousFieldName},
        RequestCase{"OtherUnderscores", "Content_Type: a\r\nTransfer_Encodings: b\r\n"},
        RequestCase{"Close", "Connection: close\r\n", Reason::kNone, BodyKind::kNone, 0, "1.1",
                    false},
        RequestCase{"Http10Closes", "", Reason::kNone, BodyKind::kNone, 0, "1.0", false},
        RequestCase{"Http10KeepAlive", "Connection: keep-alive\r\n", Reason::kNone, BodyKind::kNone,
                    0, "1.0", true},
        RequestCase{"ConnectionNamesHost", "Connection: host\r\n", Reason::kBadConnection},
        RequestCase{"ConnectionNamesLength", "Connection: Content-Length\r\n",
                    Reason::kBadConnection},
        RequestCase{"ConnectionNamesForwarded", "Connection: close, X-Forwarded-For\r\n",
                    Reason::kBadConnection},
        RequestCase{"ConnectionNamesCookie", "Connection: cookie\r\n", Reason::kBadConnection},
        RequestCase{"ConnectionIsNoToken", "Connection: a b\r\n", Reason::kBadConnection},
        RequestCase{"UnknownExpectation", "Expect: 200-ok\r\n", Reason::kBadExpect}),
    [](const auto& param) { return param.param.name; });

TEST(RequestFraming, ExpectCountsOnlyWithABodyInHttp11) {
  for (const auto& [bytes, expected] :
       {std::pair<std::string, bool>{
            "POST / HTTP/1.1\r\nExpect: 100-Continue\r\nContent-Length: 1\r\n\r\n", true},
        {"POST / HTTP/1.1\r\nExpect: 100-continue\r\n\r\n", false},
        {"POST / HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n", false}}) {
    RequestParser parser;
    RequestHead head;
    Framing framing;
    ASSERT_EQ(parser.Parse(bytes.data(), bytes.size(), head), ParseStatus::kDone);
    ASSERT_EQ(DecideRequestFraming(head, framing), Reason::kNone);
    EXPECT_EQ(framing.expects_continue, expected) << bytes;
  }
}

TEST(RequestFraming, UpgradeIsAskedOnlyWhenConnectionNamesIt) {
  for (const auto& [fields, expected] :
       {std::pair<std::string, std::string>{"Upgrade: websocket\r\nConnection: upgrade\r\n",
                                            "websocket"},
        {"Upgrade: WebSocket\r\nConnection: keep-alive, Upgrade\r\n", "WebSocket"},
        {"Upgrade: foo/2\r\nConnection: upgrade\r\n", "foo/2"},
        {"Upgrade: websocket\r\n", ""},
        {"Connection: upgrade\r\n", ""},
        {"Upgrade: foo/\r\nConnection: upgrade\r\n", ""},
        {"Upgrade: a b\r\nConnection: upgrade\r\n", ""},
        {"Upgrade: websocket, h2c\r\nConnection: upgrade\r\n", ""},
        {"Upgrade: websocket\r\nUpgrade: foo\r\nConnection: upgrade\r\n", ""},
        {"Upgrade: HTTP/2.0\r\nConnection: upgrade\r\n", ""},
        {"Upgrade: H2C\r\nConnection: Upgrade, HTTP2-Settings\r\n", ""}}) {
    const std::string bytes = "GET / HTTP/1.1\r\n" + fields + "\r\n";
    RequestParser parser;
    RequestHead head;
    Framing framing;
    ASSERT_EQ(parser.Parse(bytes.data(), bytes.size(), head), ParseStatus::kDone);
    ASSERT_EQ(DecideRequestFraming(head, framing), Reason::kNone);
    EXPECT_EQ(framing.upgrade, expected) << fields;
  }
}

TEST(RequestFraming, DropsHopByHopFieldsAndWhatConnectionNames) {
  const std::string bytes =
      "GET / HTTP/1.1\r\nTE: trailers\r\nX-Mine: 1\r\nConnection: x-mine\r\nUpgrade: a\r\nX-Other: "
      "2\r\nX_Low: 3\r\n\r\n";
  RequestParser parser;
  RequestHead head;
  Framing framing;
  ASSERT_EQ(parser.Parse(bytes.data(), bytes.size(), head), ParseStatus::kDone);
  ASSERT_EQ(DecideRequestFraming(head, framing), Reason::kNone);
  for (const Field& field : head.fields)
    EXPECT_EQ(field.is_dropped, field.name != "X-Other") << field.name;
}

struct ResponseCase {
  const char* name;
  const char* status;
  const char* fields;
  Method method = Method::kGet;
  Reason reason = Reason::kNone;
  BodyKind kind = BodyKind::kNone;
  uint64_t length = 0;
  bool has_length = false;
  bool keep_alive = true;
  const char* version = "1.1";
};

class ResponseFramingTest : public ::testing::TestWithParam<ResponseCase> {};

TEST_P(ResponseFramingTest, IsDecided) {
  const ResponseCase& c = GetParam();
  const std::string bytes =
      "HTTP/" + std::string(c.version) + " " + c.status + "\r\n" + c.fields + "\r\n";
  ResponseParser parser;
  ResponseHead head;
  Framing framing;
  ASSERT_EQ(parser.Parse(bytes.data(), bytes.size(), head), ParseStatus::kDone);
  ASSERT_EQ(DecideResponseFraming(head, c.method, framing), c.reason);
  if (c.reason != Reason::kNone) return;
  EXPECT_EQ(framing.kind, c.kind);
  EXPECT_EQ(framing.length, c.length);
  EXPECT_EQ(framing.has_length, c.has_length);
  EXPECT_EQ(framing.keep_alive, c.keep_alive);
}

constexpr Method kGet = Method::kGet;
constexpr Method kHead = Method::kHead;

INSTANTIATE_TEST_SUITE_P(
    Table, ResponseFramingTest,
    ::testing::Values(
        ResponseCase{"Length", "200 OK", "Content-Length: 5\r\n", kGet, Reason::kNone,
                     BodyKind::kLength, 5, true},
        ResponseCase{"Empty", "200 OK", "Content-Length: 0\r\n", kGet, Reason::kNone,
                     BodyKind::kNone, 0, true},
        ResponseCase{"Chunked", "200 OK", "Transfer-Encoding: chunked\r\n", kGet, Reason::kNone,
                     BodyKind::kChunked},
        ResponseCase{"UntilClose", "200 OK", "", kGet, Reason::kNone, BodyKind::kUntilClose, 0,
                     false, false},
        ResponseCase{"NoPhrase", "200", "Content-Length: 5\r\n", kGet, Reason::kNone,
                     BodyKind::kLength, 5, true},
        ResponseCase{"Head", "200 OK", "Content-Length: 5\r\n", kHead, Reason::kNone,
                     BodyKind::kNone, 5, true},
        ResponseCase{"HeadChunked", "200 OK", "Transfer-Encoding: chunked\r\n", kHead,
                     Reason::kNone, BodyKind::kNone},
        ResponseCase{"HeadWithoutLength", "200 OK", "", kHead, Reason::kNone, BodyKind::kNone},
        ResponseCase{"NoContent", "204 No Content", "Content-Length: 5\r\n", kGet, Reason::kNone,
                     BodyKind::kNone, 5, false},
        ResponseCase{"NotModified", "304 Not Modified", "Content-Length: 5\r\n", kGet,
                     Reason::kNone, BodyKind::kNone, 5, true},
        ResponseCase{"Interim", "103 Early Hints", "Link: a\r\n", kGet, Reason::kNone,
                     BodyKind::kNone},
        ResponseCase{"Http10", "200 OK", "Content-Length: 5\r\n", kGet, Reason::kNone,
                     BodyKind::kLength, 5, true, false, "1.0"},
        ResponseCase{"Close", "200 OK", "Content-Length: 5\r\nConnection: close\r\n", kGet,
                     Reason::kNone, BodyKind::kLength, 5, true, false},
        ResponseCase{"TwoLengths", "200 OK", "Content-Length: 5\r\nContent-Length: 5\r\n", kGet,
                     Reason::kRepeatedContentLength},
        ResponseCase{"Both", "200 OK", "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", kGet,
                     Reason::kLengthAndTransferEncoding},
        ResponseCase{"Gzip", "200 OK", "Transfer-Encoding: gzip\r\n", kGet,
                     Reason::kUnknownTransferEncoding},
        // Framing that contradicts itself is refused even where there is no body.
        ResponseCase{"HeadTwoLengths", "200 OK", "Content-Length: 5\r\nContent-Length: 6\r\n",
                     kHead, Reason::kRepeatedContentLength}),
    [](const auto& param) { return param.param.name; });

}  // namespace
}  // namespace remuda::proxy::http
