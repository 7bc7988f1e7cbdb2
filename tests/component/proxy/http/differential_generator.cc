#include "tests/component/proxy/http/differential_generator.h"

#include <cstdio>

namespace remuda::proxy::testing {
namespace {

using Words = std::vector<std::string>;

// The first of each is the usual one; of the targets the second.
const Words kMethods = {"POST",    "GET",   "PUT",   "HEAD", "DELETE",
                        "OPTIONS", "PATCH", "PURGE", "post"};
const Words kVersions = {"HTTP/1.1", "HTTP/1.1", "HTTP/1.1", "HTTP/1.0", "HTTP/1.2", "http/1.1"};
const Words kTargets = {
    "/",      "/a/b?c=d",  "/a%2fb",  "/x/..;/y", "http://a",   "http://a?x", "http://a:80/x",
    "/x//y/", "/%41%2f",   "/a%00",   "*",        "http://a/x", "//a//b",     "/a?",
    "/a#b",   "/\xc3\xa9", "/a;b=c",  "/\"<>",    "/a/..",      "/?a=/../",   "http://b/",
    "a",      "/a\x01b",   "/a|b{}^`"};
const Words kCodings = {"chunked",   "Chunked",     "\tchunked ", "gzip",        "gzip, chunked",
                        "chunked,",  "identity",    "xchunked",   "\"chunked\"", "chunked, cow",
                        ", chunked", "chunked;q=1", "chunked\x0b"};
const Words kLengthNames = {"Content-Length",  "content-length",   "Content_Length",
                            "Content-Length ", "Content-Length\t", " Content-Length",
                            "Content-Lengt"};
const Words kCodingNames = {"Transfer-Encoding",  "transfer-encoding",   "Transfer_Encoding",
                            "Transfer-Encoding ", "\tTransfer-Encoding", "Transfer-Encodin",
                            "Transfer--Encoding"};
const Words kFields = {"Accept: */*\r\n",
                       "X:\r\n",
                       "X: \r\n",
                       "X: a\tb \r\n",
                       "X: caf\xe9\r\n",
                       "X_Y: 1\r\n",
                       "Connection: close\r\n",
                       "Connection: keep-alive\r\n",
                       "Connection: keep-alive, X\r\n",
                       "Connection: close, X\r\nX: 1\r\n",
                       "Connection: closed\r\n",
                       "Connection: xclose\r\n",
                       "Connection: Transfer-Encoding\r\n",
                       "Connection:\r\n",
                       "Proxy-Connection: close\r\n",
                       "Keep-Alive: timeout=5\r\n",
                       "Expect: 100-continue\r\n",
                       "Upgrade: websocket\r\n",
                       "Connection: upgrade\r\nUpgrade: h2c\r\n",
                       "Trailer: X\r\n",
                       "TE: trailers\r\n",
                       "Host: b\r\n",
                       "X: 1\r\n folded\r\n",
                       "X: 1\n",
                       "X: a\rb\r\n",
                       "X : 1\r\n",
                       ": 1\r\n",
                       "X\r\n",
                       "X: \x01\r\n",
                       "X-Forwarded-For: 1.2.3.4\r\n"};
const Words kStatuses = {"200", "404", "204", "304", "100", "103", "101", "500",
                         "206", "199", "205", "600", "099", "20",  "2000"};
const Words kPhrases = {" OK",           " OK",   "",   " ",     " Not Found", " caf\xe9",
                        "  two  words ", " a\tb", "\t", " \x01", " \x7f",      "OK"};
const Words kTrailers = {
    "",      "",      "X: 1\r\n", "X: 1\r\nY: 2\r\n", "Host: b\r\n", "Content-Length: 9\r\n",
    "X\r\n", "X: 1\n"};
const Words kExtensions = {"",      "",  "",      ";a",    ";a=b", ";a=\"b;c\"",
                           "; a=b", ";", ";a=\"", ";\x01", " ",    "\t;a"};

}  // namespace

std::string MessageGenerator::LineEnd() {
  return OneIn(400) ? "\n" : OneIn(400) ? "\r" : OneIn(500) ? "\r\r\n" : "\r\n";
}

std::string RequestGenerator::Target() { return OneIn(5) ? Pick(kTargets) : kTargets[1]; }

std::string MessageGenerator::Length(size_t size) {
  const std::string plain = std::to_string(size);
  switch (Below(80)) {
    case 0:
      return "0" + plain;
    case 1:
      return plain + ", " + plain;
    case 2:
      return "+" + plain;
    case 3:
      return plain + " ";
    case 4:
      return "\t" + plain;
    case 5:
      return std::to_string(size + Below(20));
    case 6:
      return "-" + plain;
    case 7:
      return "1844674407370955161" + std::to_string(6 + Below(4));
    case 8:
      return "";
    case 9:
      return plain + "a";
    case 10:
      return "0x" + plain;
    default:
      return plain;
  }
}

std::string MessageGenerator::Chunks() {
  std::string out;
  const size_t count = Below(4);
  for (size_t i = 0; i <= count; ++i) {
    const size_t size = i == count ? 0 : 1 + Below(OneIn(8) ? 300 : 20);
    char digits[24];
    std::snprintf(digits, sizeof digits, OneIn(2) ? "%zx" : "%zX", size);
    std::string line = digits;
    if (OneIn(20)) line.insert(0, Below(18), '0');
    if (OneIn(150)) line.insert(0, OneIn(2) ? "0x" : "+");
    if (OneIn(150)) line.insert(0, "1000000000000000");
    if (OneIn(5)) line += Pick(kExtensions);
    out += line + LineEnd();
    if (size == 0) break;
    out += std::string(OneIn(100) ? size + 1 : size, 'c') + LineEnd();
  }
  return out + Pick(kTrailers) + LineEnd();
}

std::string MessageGenerator::FramingFields(std::string& body) {
  const auto length = [&](size_t size) {
    return (OneIn(40) ? Pick(kLengthNames) : kLengthNames[0]) + ": " + Length(size) + LineEnd();
  };
  const auto coding = [&] {
    return (OneIn(40) ? Pick(kCodingNames) : kCodingNames[0]) + ": " +
           (OneIn(20) ? Pick(kCodings) : kCodings[0]) + LineEnd();
  };
  switch (Below(10)) {
    case 0:
    case 1:
      return "";
    case 2:
    case 3:
    case 4:
      body = std::string(Below(OneIn(4) ? 400 : 10), 'b');
      return length(body.size());
    case 5:  // a body that looks like a request
      body = "GET /in-body HTTP/1.1\r\nHost: a\r\n\r\n";
      return length(body.size());
    case 6:
      body = Chunks();
      if (OneIn(4)) return coding() + length(OneIn(2) ? 0 : body.size());
      if (OneIn(4)) return length(OneIn(2) ? 0 : body.size()) + coding();
      if (OneIn(4)) return coding() + coding();
      if (OneIn(4)) return length(3) + length(3);
      [[fallthrough]];
    default:
      body = Chunks();
      return coding();
  }
}

std::string MessageGenerator::OtherFields() {
  std::string out;
  for (size_t i = Below(4); i > 0; --i) out += OneIn(8) ? Pick(kFields) : kFields[0];
  return out;
}

std::string RequestGenerator::Request() {
  std::string body;
  const std::string framing = FramingFields(body);
  std::string out = OneIn(30) ? "\r\n" : "";
  out += OneIn(3) ? Pick(kMethods) : kMethods[0];
  out += OneIn(200) ? "  " : OneIn(200) ? "\t" : " ";
  out += Target();
  out += OneIn(200) ? "  " : " ";
  out += (OneIn(15) ? Pick(kVersions) : kVersions[0]) + LineEnd();
  if (!OneIn(50)) out += "Host: a" + LineEnd();
  const std::string before = OtherFields();
  return out + before + framing + OtherFields() + LineEnd() + body;
}

// One byte is changed, lost, doubled or put in.
void MessageGenerator::Break(std::string& stream) {
  using std::string_literals::operator""s;
  static const std::string kBytes = "\r\n\t :;,\0\x0b\x7f\xa0 0aAfF9#\""s;
  const size_t at = Below(stream.size());
  const char byte = OneIn(4) ? static_cast<char>(Below(256)) : kBytes[Below(kBytes.size())];
  switch (Below(4)) {
    case 0:
      stream[at] = byte;
      break;
    case 1:
      stream.erase(at, 1);
      break;
    case 2:
      stream.insert(at, 1, stream[at]);
      break;
    default:
      stream.insert(at, 1, byte);
      break;
  }
}

void MessageGenerator::Spoil(std::string& stream) {
  if (OneIn(5)) Break(stream);
  if (OneIn(20)) Break(stream);
  if (OneIn(8)) stream.resize(1 + Below(stream.size()));
}

std::string RequestGenerator::NextStream() {
  std::string stream;
  for (size_t i = 1 + Below(4); i > 0; --i) stream += Request();
  Spoil(stream);
  return stream;
}

std::string ResponseGenerator::Response(bool is_head, bool& is_final) {
  const std::string status = OneIn(3) ? Pick(kStatuses) : kStatuses[0];
  is_final = status.front() != '1';
  std::string body;
  std::string framing = FramingFields(body);
  const bool has_body = is_final && status != "204" && status != "304" && !is_head;
  // Often right, for what follows is judged only then.
  if (!has_body && !OneIn(8)) body.clear();
  if (!is_final && !OneIn(4)) framing.clear();
  std::string out = OneIn(100) ? "\r\n" : "";
  out += OneIn(15) ? Pick(kVersions) : kVersions[0];
  out += OneIn(200) ? "  " : OneIn(200) ? "\t" : " ";
  out += status + (OneIn(10) ? Pick(kPhrases) : kPhrases[0]) + LineEnd();
  const std::string before = OtherFields();
  return out + before + framing + OtherFields() + LineEnd() + body;
}

ResponseStream ResponseGenerator::NextStream() {
  ResponseStream stream;
  size_t finals = 0;
  for (size_t i = 1 + Below(4); i > 0; --i) {
    const bool is_head = OneIn(6);
    bool is_final = false;
    stream.bytes += Response(is_head, is_final);
    if (!is_final) continue;
    if (is_head) stream.heads = static_cast<uint8_t>(stream.heads | 1U << finals);
    ++finals;
  }
  Spoil(stream.bytes);
  return stream;
}

}  // namespace remuda::proxy::testing
