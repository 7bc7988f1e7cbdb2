#include "proxy/http/head_parser.h"

#include <gtest/gtest.h>

#include <string>

#include "proxy/http/limits.h"
#include "proxy/http/target.h"
#include "tests/unit/proxy/print.h"

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
      {"GET / HTTP/1.2" + end, Reason::kBadVersion},
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
      {"GET http://a?x HTTP/1.1" + end, Reason::kBadTarget},
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

TEST(Target, HasOneCanonicalForm) {
  struct PathCase {
    const char* target;
    const char* path;  // null: refused
    const char* query;
  };
  const PathCase cases[] = {
      {"/", "/", nullptr},
      {"/a/b?c=d?e", "/a/b", "c=d?e"},
      {"/a?", "/a", ""},
      {"/%7euser/%41", "/~user/A", nullptr},
      {"/a%2fb%5c%c3", "/a%2Fb%5C%C3", nullptr},
      {"/a.b/..c/...", "/a.b/..c/...", nullptr},
      {"//a//b", "//a//b", nullptr},
      {"/a?../%zz\\", "/a", "../%zz\\"},
      {"/..", nullptr, nullptr},
      {"/a/./b", nullptr, nullptr},
      {"/a/%2e%2E/b", nullptr, nullptr},
      {"/a/.%2e", nullptr, nullptr},
      {"/a%00", nullptr, nullptr},
      {"/a%4", nullptr, nullptr},
      {"/a%", nullptr, nullptr},
      {"/a%zz", nullptr, nullptr},
      {"/a\\b", nullptr, nullptr},
  };
  for (const PathCase& c : cases) {
    RequestHead head;
    const Reason reason =
        Check("GET " + std::string(c.target) + " HTTP/1.1\r\nHost: a\r\n\r\n", 1000, &head);
    EXPECT_EQ(reason, c.path == nullptr ? Reason::kBadPath : Reason::kNone) << c.target;
    if (c.path == nullptr) continue;
    EXPECT_EQ(head.path, c.path);
    EXPECT_EQ(head.has_query, c.query != nullptr) << c.target;
    if (c.query != nullptr) {
      EXPECT_EQ(head.query, c.query);
    }
  }
}

TEST(Target, AbsoluteFormIsForwardedAsOriginForm) {
  RequestHead head;
  EXPECT_EQ(
      Check("GET HTTP://Shop.test:80/x?y HTTP/1.1\r\nHost: shop.test:80\r\n\r\n", 1000, &head),
      Reason::kNone);
  EXPECT_EQ(head.path, "/x");
  EXPECT_EQ(head.query, "y");
  EXPECT_EQ(head.host, "Shop.test:80");
}

TEST(ResponseParser, JudgesStatusLines) {
  const std::pair<const char*, int> cases[] = {
      {"HTTP/1.1 200 OK\r\n\r\n", 200}, {"HTTP/1.0 404 Not Found\r\n\r\n", 404},
      {"HTTP/1.1 500\r\n\r\n", 500},    {"HTTP/1.1 200 \r\n\r\n", 200},
      {"HTTP/1.1 099 x\r\n\r\n", 0},    {"HTTP/1.1 600 x\r\n\r\n", 0},
      {"HTTP/1.1 2000 x\r\n\r\n", 0},   {"HTTP/1.1 2x0 x\r\n\r\n", 0},
      {"HTTP/2.0 200 OK\r\n\r\n", 0},   {"HTTP/1.1  200 OK\r\n\r\n", 0},
      {"SSH-2.0-OpenSSH\r\n\r\n", 0},   {"HTTP/1.1 200 O\rK\r\n\r\n", 0},
      {"HTTP/1.1 200 OK\n\n", 0},       {"\r\nHTTP/1.1 200 OK\r\n\r\n", 0},
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
  EXPECT_EQ(IdOfField("Keep-Alive"), FieldId::kKeepAlive);
  EXPECT_EQ(IdOfField("User-Agent"), FieldId::kUserAgent);
  EXPECT_EQ(IdOfField("Proxy-Authorization"), FieldId::kProxyAuthorization);
  EXPECT_EQ(IdOfField(""), FieldId::kOther);
}

}  // namespace
}  // namespace remuda::proxy::http
