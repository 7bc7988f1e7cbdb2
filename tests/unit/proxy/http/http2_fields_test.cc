// The HTTP/1.1 head that is made of HTTP/2's fields, or why none is.
#include "proxy/http/http2_fields.h"

#include <gtest/gtest.h>

#include <utility>
#include <vector>

#include "proxy/http/head_parser.h"
#include "proxy/http/http2_frame_heads.h"
#include "proxy/http/limits.h"

namespace remuda::proxy::http {
namespace {

using List = std::vector<std::pair<std::string, std::string>>;
using Body = Http2Fields::Body;

struct Case {
  std::string name;
  List fields;
  std::string text;  // empty: refused for `reason`
  Reason reason = Reason::kNone;
  Body body = Body::kNone;
  uint64_t length = 0;
};

void PrintTo(const Case& c, std::ostream* out) { *out << c.name; }

// Those of a GET of "/" from "a", with `more` behind them.
List Get(const List& more = {}) {
  List fields = {{":method", "GET"}, {":scheme", "https"}, {":authority", "a"}, {":path", "/"}};
  fields.insert(fields.end(), more.begin(), more.end());
  return fields;
}

// The same without the field `name`, or with another value of it.
List GetBut(const std::string& name, const std::string& value = "\x01") {
  List fields;
  for (const auto& [key, old] : Get()) {
    if (key != name) fields.emplace_back(key, old);
    if (key == name && value != "\x01") fields.emplace_back(key, value);
  }
  return fields;
}

Case Refused(std::string name, List fields, Reason reason, Body body = Body::kNone,
             uint64_t length = 0) {
  return {std::move(name), std::move(fields), "", reason, body, length};
}

std::vector<Case> Made() {
  const std::string get = "GET / HTTP/1.1\r\nhost: a\r\n";
  return {
      {"get", Get(), get + "\r\n"},
      {"pseudo fields in any order",
       {{":path", "/x?y=1"}, {":authority", "a:443"}, {":scheme", "HTTPS"}, {":method", "PUT"}},
       "PUT /x?y=1 HTTP/1.1\r\nhost: a:443\r\n\r\n"},
      {"fields keep their order", Get({{"b", "1"}, {"a", "2"}, {"b", "3"}}),
       get + "b: 1\r\na: 2\r\nb: 3\r\n\r\n"},
      {"host says the same as authority", Get({{"host", "A"}}), get + "\r\n"},
      {"host says another name", Get({{"x", "y"}, {"host", "evil"}, {"z", ""}}),
       "GET https://a/ HTTP/1.1\r\nhost: evil\r\nx: y\r\nz: \r\n\r\n"},
      {"host without an authority",
       {{":method", "GET"}, {":scheme", "http"}, {":path", "/"}, {"host", "b"}},
       "GET / HTTP/1.1\r\nhost: b\r\n\r\n"},
      {"options of everything",
       {{":method", "OPTIONS"}, {":scheme", "https"}, {":path", "*"}},
       "OPTIONS * HTTP/1.1\r\n\r\n"},
      {"cookie crumbs are one field", Get({{"cookie", "a=1"}, {"x", "y"}, {"cookie", "b=2"}}),
       get + "x: y\r\ncookie: a=1; b=2\r\n\r\n"},
      {"te trailers", Get({{"te", "trailers"}}), get + "te: trailers\r\n\r\n"},
      {"an empty value", Get({{"x", ""}}), get + "x: \r\n\r\n"},
      {"spaces within a value", Get({{"x", "a \t b"}}), get + "x: a \t b\r\n\r\n"},
      {"an open body comes in chunks", Get(), get + "transfer-encoding: chunked\r\n\r\n",
       Reason::kNone, Body::kOpen},
      {"an open body of declared length", Get({{"content-length", "5"}}),
       get + "content-length: 5\r\n\r\n", Reason::kNone, Body::kOpen},
      {"a whole body has its length", Get(), get + "content-length: 7\r\n\r\n", Reason::kNone,
       Body::kWhole, 7},
      {"a whole body of declared length", Get({{"content-length", "7"}}),
       get + "content-length: 7\r\n\r\n", Reason::kNone, Body::kWhole, 7},
      {"a declared length of none", Get({{"content-length", "0"}}),
       get + "content-length: 0\r\n\r\n"},
  };
}

std::vector<Case> Refusals() {
  const std::string long_value(kMaxRequestHeadBytes, 'x');
  return {
      Refused("no method", GetBut(":method"), Reason::kBadPseudoField),
      Refused("no scheme", GetBut(":scheme"), Reason::kBadPseudoField),
      Refused("no path", GetBut(":path"), Reason::kBadPseudoField),
      Refused("nothing at all", {}, Reason::kBadPseudoField),
      Refused("two methods", Get({{":method", "GET"}}), Reason::kBadPseudoField),
      Refused("two paths", Get({{":path", "/"}}), Reason::kBadPseudoField),
      Refused("two schemes", Get({{":scheme", "https"}}), Reason::kBadPseudoField),
      Refused("two authorities", Get({{":authority", "a"}}), Reason::kBadPseudoField),
      Refused("an unknown pseudo field", Get({{":status", "200"}}), Reason::kBadPseudoField),
      Refused("extended connect", Get({{":protocol", "websocket"}}), Reason::kBadPseudoField),
      Refused("a pseudo field behind others", {{":method", "GET"}, {"x", "y"}, {":path", "/"}},
              Reason::kBadPseudoField),
      Refused("connect", {{":method", "CONNECT"}, {":authority", "a:1"}},
              Reason::kMethodNotAllowed),
      Refused("an empty method", GetBut(":method", ""), Reason::kBadMethod),
      Refused("a method with a space", GetBut(":method", "GET /x"), Reason::kBadMethod),
      Refused("a method with a line end", GetBut(":method", "GET\r\n"), Reason::kBadMethod),
      Refused("a long method", GetBut(":method", std::string(33, 'G')), Reason::kBadMethod),
      Refused("another scheme", GetBut(":scheme", "ftp"), Reason::kBadPseudoField),
      Refused("an empty path", GetBut(":path", ""), Reason::kBadTarget),
      Refused("a path with a space", GetBut(":path", "/ HTTP/1.1"), Reason::kBadTarget),
      Refused("a path with a line end", GetBut(":path", "/\r\nx: y"), Reason::kBadTarget),
      Refused("a path with a fragment", GetBut(":path", "/#x"), Reason::kBadTarget),
      Refused("an absolute path", GetBut(":path", "http://evil/"), Reason::kBadTarget),
      Refused("a relative path", GetBut(":path", "x"), Reason::kBadTarget),
      Refused("a long path", GetBut(":path", "/" + std::string(kMaxRequestLineBytes, 'x')),
              Reason::kRequestLineTooLong),
      Refused("an empty authority", GetBut(":authority", ""), Reason::kBadHost),
      Refused("an authority with a user", GetBut(":authority", "u@a"), Reason::kBadHost),
      Refused("an authority with two ports", GetBut(":authority", "a:1:80"), Reason::kBadHost),
      Refused("an authority with a line end", GetBut(":authority", "a\nb"), Reason::kBadHost),
      Refused("two hosts beside an authority", Get({{"host", "a"}, {"host", "a"}}),
              Reason::kRepeatedHost),
      Refused("a host that is none", Get({{"host", "a b"}}), Reason::kBadHost),
      Refused("another host of everything",
              {{":method", "OPTIONS"},
               {":scheme", "https"},
               {":authority", "a"},
               {":path", "*"},
               {"host", "b"}},
              Reason::kHostMismatch),
      Refused("an upper-case name", Get({{"X-Y", "1"}}), Reason::kBadFieldName),
      Refused("an empty name", Get({{"", "1"}}), Reason::kBadFieldName),
      Refused("a name with a colon", Get({{"x:y", "1"}}), Reason::kBadFieldName),
      Refused("a name with a space", Get({{"x ", "1"}}), Reason::kBadFieldName),
      Refused("a name with a line end", Get({{"x\r\ny", "1"}}), Reason::kBadFieldName),
      Refused("a value with a line end", Get({{"x", "1\r\ny: 2"}}), Reason::kBadFieldValue),
      Refused("a value with a line feed", Get({{"x", "1\n"}}), Reason::kBadFieldValue),
      Refused("a value with a zero", Get({{"x", std::string("a\0b", 3)}}), Reason::kBadFieldValue),
      Refused("a value that begins with a space", Get({{"x", " 1"}}), Reason::kBadFieldValue),
      Refused("a value that ends with a tab", Get({{"x", "1\t"}}), Reason::kBadFieldValue),
      Refused("a cookie with a line end", Get({{"cookie", "a\r\nb"}}), Reason::kBadFieldValue),
      Refused("connection", Get({{"connection", "close"}}), Reason::kBadConnection),
      Refused("keep-alive", Get({{"keep-alive", "1"}}), Reason::kBadConnection),
      Refused("proxy-connection", Get({{"proxy-connection", "x"}}), Reason::kBadConnection),
      Refused("upgrade", Get({{"upgrade", "websocket"}}), Reason::kBadConnection),
      Refused("http2-settings", Get({{"http2-settings", "x"}}), Reason::kBadConnection),
      Refused("te gzip", Get({{"te", "gzip"}}), Reason::kBadConnection),
      Refused("te trailers and more", Get({{"te", "trailers, gzip"}}), Reason::kBadConnection),
      Refused("transfer-encoding", Get({{"transfer-encoding", "chunked"}}),
              Reason::kBadTransferEncoding),
      Refused("two lengths", Get({{"content-length", "5"}, {"content-length", "5"}}),
              Reason::kRepeatedContentLength, Body::kOpen),
      Refused("a length with a sign", Get({{"content-length", "+5"}}), Reason::kBadContentLength,
              Body::kOpen),
      Refused("a list of lengths", Get({{"content-length", "5, 5"}}), Reason::kBadContentLength,
              Body::kOpen),
      Refused("a length without a body", Get({{"content-length", "5"}}), Reason::kBodyMismatch),
      Refused("a body longer than declared", Get({{"content-length", "5"}}), Reason::kBodyMismatch,
              Body::kWhole, 6),
      Refused("a head over the bound", Get({{"x", long_value}}), Reason::kHeadTooLarge),
      Refused("the first reason counts", Get({{"X", "1"}, {"connection", "close"}}),
              Reason::kBadFieldName),
  };
}

class Http2FieldsTest : public ::testing::TestWithParam<Case> {};

TEST_P(Http2FieldsTest, MakesAHeadOrRefuses) {
  const Case& c = GetParam();
  Http2Fields fields;
  for (int round = 0; round < 2; ++round) {  // the second time in a used one
    fields.Reset();
    for (const auto& [name, value] : c.fields) fields.Add(name, value);
    EXPECT_EQ(NameOf(fields.Finish(c.body, c.length)), NameOf(c.reason));
    if (c.reason != Reason::kNone) continue;
    EXPECT_EQ(fields.text(), c.text);
    RequestParser parser;
    RequestHead head;
    EXPECT_EQ(parser.Parse(fields.text().data(), fields.text().size(), head), ParseStatus::kDone);
    EXPECT_EQ(parser.head_size(), c.text.size());
  }
}

INSTANTIATE_TEST_SUITE_P(Made, Http2FieldsTest, ::testing::ValuesIn(Made()));
INSTANTIATE_TEST_SUITE_P(Refused, Http2FieldsTest, ::testing::ValuesIn(Refusals()));

TEST(Http2FieldsBounds, CountsWhatItRefuses) {
  Http2Fields fields;
  fields.Reset();
  for (int i = 0; i < 1000; ++i) fields.Add("x", std::string(1000, 'y'));
  EXPECT_EQ(fields.list_bytes(), 1000u * (1 + 1000 + 32));
  EXPECT_LE(fields.text().size(), kMaxRequestHeadBytes);
}

TEST(Http2FieldsBounds, KnowsTheDeclaredLength) {
  Http2Fields fields;
  fields.Reset();
  for (const auto& [name, value] : Get({{"content-length", "12"}})) fields.Add(name, value);
  EXPECT_EQ(fields.Finish(Body::kOpen), Reason::kNone);
  EXPECT_TRUE(fields.has_declared_length());
  EXPECT_EQ(fields.declared_length(), 12u);
  EXPECT_FALSE(fields.is_chunked());
}

TEST(Http2FrameHeads, FindsThemHoweverTheBytesAreCut) {
  const auto frame = [](uint8_t type, char stream, size_t size) {
    std::string bytes(9 + size, '\xff');
    bytes.replace(0, 3, std::string{0, static_cast<char>(size >> 8), static_cast<char>(size)});
    bytes[3] = static_cast<char>(type);
    bytes.replace(5, 4, std::string{'\x80', 0, 0, stream});  // the first bit means nothing
    return bytes;
  };
  const std::string bytes = std::string(24, 'P') + frame(4, 0, 0) + frame(0, 1, 300) +
                            frame(1, 3, 1) + frame(0, 5, 0) + frame(0, 7, 20);
  const std::vector<std::pair<int, uint32_t>> want = {{4, 0}, {0, 1}, {1, 3}, {0, 5}, {0, 7}};
  for (size_t cut = 1; cut <= bytes.size(); ++cut) {
    Http2FrameHeads heads;
    std::vector<std::pair<int, uint32_t>> got;
    for (size_t begin = 0; begin < bytes.size(); begin += cut) {
      const std::string piece = bytes.substr(begin, cut);
      Http2FrameHeads::Head head;
      for (size_t at = 0; heads.Next(piece.data(), piece.size(), at, head);) {
        got.emplace_back(head.type, head.stream);
        EXPECT_LE(at, piece.size());
        EXPECT_EQ(head.begin, at < 9 ? 0 : at - 9);
      }
    }
    EXPECT_EQ(got, want) << cut;
  }
}

}  // namespace
}  // namespace remuda::proxy::http
