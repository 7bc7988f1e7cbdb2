#include "proxy/http/head_parser.h"

#include <gtest/gtest.h>

#include <string>

#include "proxy/http/limits.h"
#include "proxy/http/target.h"
#include "tests/unit/proxy/core/print.h"

namespace remuda::proxy::http {

namespace {

// All of a request's checks, given byte by byte if `step` is 1.
Reason Check(std::string bytes, size_t step, RequestHead* out = nullptr) {
  static thread_local std::string kept;
  kept = std::move(bytes);
  RequestParser parser;
  RequestHead head;
  size_t size = 0;
  while (size < kept.size()) {
    size = std::min(size + step, kept.size());
    switch (parser.Parse(kept.data(), size, head)) {
      case ParseStatus::kNeedMore:
        continue;
      case ParseStatus::kError:
        return parser.reason();
      case ParseStatus::kDone: {
        const Reason reason = CanonicalizeTarget(head);
        if (out != nullptr) *out = head;
        return reason;
      }
    }
  }
  return Reason::kCount;  // not whole
}

struct Case {
  std::string bytes;
  Reason reason;
};

TEST(RequestParser, JudgesEveryByteTheSameWhole) {
  const std::string end = "\r\nHost: a\r\n\r\n";
  const Case cases[] = {
      {"GET / HTTP/1.1" + end, Reason::kNone},
      {"\r\nGET / HTTP/1.1" + end, Reason::kNone},
      {"\r\n\r\nGET / HTTP/1.1" + end, Reason::kBadRequestLine},
      {"GET / HTTP/1.1\nHost: a\r\n\r\n", Reason::kBadLineEnd},
      {"GET / HTTP/1.1\r\nHost: a\n\n", Reason::kBadLineEnd},
      {"GET  / HTTP/1.1" + end, Reason::kBadRequestLine},
      {"GET / HTTP/1.1 " + end, Reason::kBadRequestLine},
      {"GET /" + end, Reason::kBadRequestLine},
      {"G@T / HTTP/1.1" + end, Reason::kBadMethod},
      {" GET / HTTP/1.1" + end, Reason::kBadMethod},
      {std::string(33, 'A') + " / HTTP/1.1" + end, Reason::kBadMethod},
      {"GET / HTTP/1.2" + end, Reason::kNone},
      {"GET / HTTP/1.9" + end, Reason::kNone},
      {"GET / HTTP/1.x" + end, Reason::kBadVersion},
      {"GET / HTTP/0.9" + end, Reason::kBadVersion},
      {"GET / HTTP/2.1" + end, Reason::kBadVersion},
      {"GET / http/1.1" + end, Reason::kBadRequestLine},
      {"PRI * HTTP/2.0\r\n\r\n", Reason::kHttp2Preface},
      {"GET /a#b HTTP/1.1" + end, Reason::kBadTarget},
      {"GET /\xc3\xa9 HTTP/1.1" + end, Reason::kBadTarget},
      {"GET a HTTP/1.1" + end, Reason::kBadTarget},
      {"GET * HTTP/1.1" + end, Reason::kBadTarget},
      {"OPTIONS * HTTP/1.1" + end, Reason::kNone},
      {"TRACE / HTTP/1.1" + end, Reason::kMethodNotAllowed},
      {"CONNECT a:1 HTTP/1.1" + end, Reason::kMethodNotAllowed},
      {"GET / HTTP/1.1\r\n\r\n", Reason::kMissingHost},
      {"GET / HTTP/1.0\r\n\r\n", Reason::kNone},
      {"GET / HTTP/1.1\r\nHost: a\r\nhost: a\r\n\r\n", Reason::kRepeatedHost},
      {"GET / HTTP/1.1\r\nHost:\r\n\r\n", Reason::kBadHost},
      {"GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", Reason::kBadHost},
      {"GET / HTTP/1.1\r\nHost: a, b\r\n\r\n", Reason::kBadHost},
      {"GET / HTTP/1.1\r\nHost: a::\r\n\r\n", Reason::kBadHost},
      {"GET / HTTP/1.1\r\nHost: a:1:80\r\n\r\n", Reason::kBadHost},
      {"GET http://a/ HTTP/1.1" + end, Reason::kNone},
      {"GET http://b/ HTTP/1.1" + end, Reason::kHostMismatch},
      {"GET ftp://a/ HTTP/1.1" + end, Reason::kBadTarget},
      {"GET http://a?x HTTP/1.1" + end, Reason::kNone},
      {"GET http://a HTTP/1.1" + end, Reason::kNone},
      {"GET http://a:80/ HTTP/1.1" + end, Reason::kNone},
      {"GET http://a:/ HTTP/1.1" + end, Reason::kNone},
      {"GET https://a:443 HTTP/1.1" + end, Reason::kNone},
      {"GET http://a:443/ HTTP/1.1" + end, Reason::kHostMismatch},
      {"GET http://a/ HTTP/1.1\r\nHost: a:80\r\n\r\n", Reason::kNone},
      {"GET http://a/ HTTP/1.1\r\nHost: a:81\r\n\r\n", Reason::kHostMismatch},
      {"GET http://?x HTTP/1.1" + end, Reason::kBadTarget},
      {"GET / HTTP/1.1\r\nHost: a\r\n folded\r\n\r\n", Reason::kFoldedLine},
      {"GET / HTTP/1.1\r\nHost : a\r\n\r\n", Reason::kBadFieldName},
      {"GET / HTTP/1.1\r\n: a\r\n\r\n", Reason::kBadFieldName},
      {"GET / HTTP/1.1\r\nHost\r\n\r\n", Reason::kBadFieldName},
      {"GET / HTTP/1.1\r\nHost: a\r\nX: a\rb\r\n\r\n", Reason::kBadFieldValue},
      {std::string("GET / HTTP/1.1\r\nHost: a\r\nX: a\0b\r\n\r\n", 36), Reason::kBadFieldValue},
      {"GET / HTTP/1.1\r\nHost: a\r\nX: caf\xc3\xa9\r\n\r\n", Reason::kNone},
  };
  for (const Case& c : cases) {
    for (const size_t step : {size_t{1}, size_t{7}, c.bytes.size()})
      EXPECT_EQ(Check(c.bytes, step), c.reason) << c.bytes;
  }
}

TEST(RequestParser, BoundsAreExact) {
  const auto line = [](size_t size) { return "GET /" + std::string(size - 14, 'a') + " HTTP/1.1"; };
  const std::string end = "\r\nHost: a\r\n\r\n";
  EXPECT_EQ(Check(line(kMaxRequestLineBytes) + end, 4096), Reason::kNone);
  EXPECT_EQ(Check(line(kMaxRequestLineBytes + 1) + end, 4096), Reason::kRequestLineTooLong);
  const auto field = [](size_t size) { return "X: " + std::string(size - 3, 'a') + "\r\n"; };
  const std::string start = "GET / HTTP/1.1\r\nHost: a\r\n";
  EXPECT_EQ(Check(start + field(kMaxFieldLineBytes) + "\r\n", 4096), Reason::kNone);
  EXPECT_EQ(Check(start + field(kMaxFieldLineBytes + 1) + "\r\n", 4096), Reason::kFieldTooLong);
  std::string large = start;
  for (int i = 0; i < 5; ++i) large += field(kMaxFieldLineBytes);
  EXPECT_EQ(Check(large + "\r\n", 4096), Reason::kHeadTooLarge);
  std::string many = start;
  for (size_t i = 1; i < kMaxFields; ++i) many += "X: 1\r\n";
  EXPECT_EQ(Check(many + "\r\n", 4096), Reason::kNone);
  EXPECT_EQ(Check(many + "X: 1\r\n\r\n", 4096), Reason::kTooManyFields);
  // Refused before the line ends.
  EXPECT_EQ(Check(std::string(kMaxRequestLineBytes + 2, 'a'), 4096), Reason::kRequestLineTooLong);
}

TEST(Target, KnowsAHost) {
  for (const char* host : {"a", "a.b", "a:", "a:80", "a:65535", "10.0.0.1:80", "[::1]", "[::1]:80",
                           "[::ffff:10.0.0.1]:", "xn--a_b-c.test."})
    EXPECT_TRUE(IsHost(host)) << host;
  for (const char* host :
       {"",        ":",  ":80",    "a::",       "a:1:80", "a:123456", "a:8x",    "a:-1",
        "a:80:",   "[",  "[]",     "[x",        "[::1",   "::1",      "[::1]80", "[::1]:x",
        "[[::1]]", "a]", "a[::1]", "[1.2.3.4]", "a b",    "a/b",      "u@a"})
    EXPECT_FALSE(IsHost(host)) << host;
}

TEST(Target, AbsoluteFormIsForwardedAsOriginForm) {
  RequestHead head;
  EXPECT_EQ(
      Check("GET HTTP://Shop.test:80/x?y HTTP/1.1\r\nHost: shop.test:80\r\n\r\n", 1000, &head),
      Reason::kNone);
  EXPECT_EQ(head.path, "/x");
  EXPECT_EQ(head.query, "y");
  EXPECT_EQ(head.host, "Shop.test:80");
  // RFC 9110 section 4.2.3, RFC 9112 section 3.2.4.
  EXPECT_EQ(Check("GET http://a?y HTTP/1.1\r\nHost: a\r\n\r\n", 1000, &head), Reason::kNone);
  EXPECT_EQ(head.path, "/");
  EXPECT_EQ(head.query, "y");
  EXPECT_EQ(Check("GET http://a:80 HTTP/1.1\r\nHost: a\r\n\r\n", 1000, &head), Reason::kNone);
  EXPECT_EQ(head.path, "/");
  EXPECT_FALSE(head.has_query);
  EXPECT_EQ(head.host, "a:80");
  EXPECT_EQ(Check("OPTIONS http://a HTTP/1.1\r\nHost: a\r\n\r\n", 1000, &head), Reason::kNone);
  EXPECT_EQ(head.path, "*");
}

// Which field it is, whatever the pieces in which the head comes; its value is not told.
TEST(RequestParser, SaysWhatItRefuses) {
  const std::string start = "GET / HTTP/1.1\r\nHost: a\r\n";
  const std::pair<std::string, const char*> cases[] = {
      {"GET /a b HTTP/1.1\r\n\r\n", "GET /a b HTTP/1.1"},
      {"\r\nGET\t/ HTTP/1.1\r\n\r\n", "GET\t/ HTTP/1.1"},
      {"GET / HTTP/1.1\n\r\n", "GET / HTTP/1.1"},
      {start + "X Name: secret\r\n\r\n", "X Name"},
      {start + "X-A: secret\x01\r\n\r\n", "X-A"},
      {start + "X-A: secret\nX: y\r\n\r\n", "X-A"},
      {start + "X-A: 1\r\n secret\r\n\r\n", "X-A"},
      {start + "X-Long: " + std::string(kMaxFieldLineBytes, 'a'), "X-Long"},
  };
  for (const auto& [bytes, culprit] : cases) {
    for (const size_t step : {size_t{1}, bytes.size()}) {
      RequestParser parser;
      RequestHead head;
      size_t size = 0;
      ParseStatus status = ParseStatus::kNeedMore;
      while (status == ParseStatus::kNeedMore && size < bytes.size()) {
        size = std::min(size + step, bytes.size());
        status = parser.Parse(bytes.data(), size, head);
      }
      ASSERT_EQ(status, ParseStatus::kError) << bytes.substr(0, 60);
      const BadHead bad = parser.Blame(bytes.data(), size, head);
      // As far as it has come.
      EXPECT_EQ(bad.culprit, std::string_view(culprit).substr(0, bad.culprit.size())) << step;
      if (step > 1) {
        EXPECT_EQ(bad.culprit, culprit);
      }
      EXPECT_EQ(bad.is_first_line, bytes.find(start) != 0);
    }
  }
}

// CGI's rule is for requests: a name with '_' in a response goes on.
TEST(ResponseParser, TakesNamesWithLowLines) {
  const std::string bytes = "HTTP/1.1 200 OK\r\nX_Y: 1\r\n\r\n";
  ResponseParser parser;
  ResponseHead head;
  ASSERT_EQ(parser.Parse(bytes.data(), bytes.size(), head), ParseStatus::kDone);
  ASSERT_EQ(head.fields.size(), 1U);
  EXPECT_FALSE(head.fields.begin()->is_dropped);
}

TEST(ResponseParser, TakesBareLfWhereItIsTold) {
  const std::string bytes = "HTTP/1.1 200 OK\nX-A: 1\r\nX-B: 2\n\nbody";
  ResponseParser parser;
  ResponseHead head;
  EXPECT_EQ(parser.Parse(bytes.data(), bytes.size(), head), ParseStatus::kError);
  parser.TakeBareLf(true);
  for (const size_t step : {size_t{1}, bytes.size()}) {
    parser.Reset();
    size_t size = 0;
    ParseStatus status = ParseStatus::kNeedMore;
    while (status == ParseStatus::kNeedMore && size < bytes.size()) {
      size = std::min(size + step, bytes.size());
      status = parser.Parse(bytes.data(), size, head);
    }
    ASSERT_EQ(status, ParseStatus::kDone);
    EXPECT_EQ(parser.head_size(), bytes.size() - 4);
    ASSERT_EQ(head.fields.size(), 2U);
    EXPECT_EQ(head.fields.begin()[1].value, "2");
  }
}

TEST(ResponseParser, JudgesStatusLines) {
  const std::pair<const char*, int> cases[] = {
      {"HTTP/1.1 200 OK\r\n\r\n", 200},   {"HTTP/1.0 404 Not Found\r\n\r\n", 404},
      {"HTTP/1.1 500\r\n\r\n", 500},      {"HTTP/1.1 200 \r\n\r\n", 200},
      {"HTTP/1.1 099 x\r\n\r\n", 0},      {"HTTP/1.1 600 x\r\n\r\n", 0},
      {"HTTP/1.1 2000 x\r\n\r\n", 0},     {"HTTP/1.1 2x0 x\r\n\r\n", 0},
      {"HTTP/1.2 200 OK\r\n\r\n", 200},   {"HTTP/2.0 200 OK\r\n\r\n", 0},
      {"HTTP/1.1  200 OK\r\n\r\n", 0},    {"SSH-2.0-OpenSSH\r\n\r\n", 0},
      {"HTTP/1.1 200 O\rK\r\n\r\n", 0},   {"HTTP/1.1 200 OK\n\n", 0},
      {"\r\nHTTP/1.1 200 OK\r\n\r\n", 0},
  };
  for (const auto& [bytes, status] : cases) {
    ResponseParser parser;
    ResponseHead head;
    const ParseStatus result = parser.Parse(bytes, std::string_view(bytes).size(), head);
    EXPECT_EQ(result, status == 0 ? ParseStatus::kError : ParseStatus::kDone) << bytes;
    if (status != 0) {
      EXPECT_EQ(head.status, status);
    }
  }
}

TEST(FieldIds, AreFoundWithoutCase) {
  EXPECT_EQ(IdOfField("HOST"), FieldId::kHost);
  EXPECT_EQ(IdOfField("content-LENGTH"), FieldId::kContentLength);
  EXPECT_EQ(IdOfField("Transfer-Encoding"), FieldId::kTransferEncoding);
  EXPECT_EQ(IdOfField("Transfer_Encoding"), FieldId::kOther);
  EXPECT_EQ(IdOfField("X-Forwarded-For"), FieldId::kXForwardedFor);
  EXPECT_EQ(IdOfField("X-Forwarded-Port"), FieldId::kXForwardedPort);
  EXPECT_EQ(IdOfField("X-Forwarded-Host"), FieldId::kXForwardedHost);
  EXPECT_EQ(IdOfField("X-Forwarded-Proto"), FieldId::kXForwardedProto);
  EXPECT_EQ(IdOfField("X-Amzn-Trace-Id"), FieldId::kXAmznTraceId);
  EXPECT_EQ(IdOfField("X-Remuda-Reason"), FieldId::kRemudaReason);
  EXPECT_EQ(IdOfField("X-Remuda-Reason-Detail"), FieldId::kRemudaReasonDetail);
  EXPECT_EQ(IdOfField("DATE"), FieldId::kDate);
  EXPECT_EQ(IdOfField("Keep-Alive"), FieldId::kKeepAlive);
  EXPECT_EQ(IdOfField("User-Agent"), FieldId::kUserAgent);
  EXPECT_EQ(IdOfField("Proxy-Authorization"), FieldId::kProxyAuthorization);
  EXPECT_EQ(IdOfField(""), FieldId::kOther);
}

}  // namespace
}  // namespace remuda::proxy::http
