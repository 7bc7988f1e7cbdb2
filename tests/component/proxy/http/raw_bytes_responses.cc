// What targets may answer, and what becomes of it: RFC 9112 sections 4, 6 and 9, RFC 9110
// section 15.
#include "tests/component/proxy/http/raw_bytes_cases.h"

namespace remuda::proxy::testing {
namespace {

using std::string_literals::operator""s;

constexpr const char* kOk = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
constexpr const char* kHead = "HEAD / HTTP/1.1\r\nHost: a\r\n\r\n";
constexpr const char* kGet10 = "GET / HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n\r\n";

// A 200 with these framing fields and this body.
std::string Ok(const std::string& fields, const std::string& body = "") {
  return "HTTP/1.1 200 OK\r\n" + fields + "\r\n" + body;
}

// Answered with 502, and the connection to the target is not used again.
ResponseCase Bad(std::string name, std::string sent) {
  return {.name = std::move(name), .sent = std::move(sent), .got = "502 TargetBadResponse"};
}

std::vector<ResponseCase> Good() {
  const std::string chunked = Ok("Transfer-Encoding: chunked\r\n", "3\r\nabc\r\n0\r\n\r\n");
  return {
      {.name = "Length", .sent = kOk, .got = kOk, .is_reused = true},
      {.name = "LengthInSmallLetters",
       .sent = Ok("content-length: 2\r\n", "ok"),
       .got = kOk,
       .is_reused = true},
      {.name = "NameWithUnderscore",
       .sent = Ok("X_Y: 1\r\nContent-Length: 2\r\n", "ok"),
       .got = Ok("X_Y: 1\r\nContent-Length: 2\r\n", "ok"),
       .is_reused = true},
      {.name = "Version12",
       .sent = "HTTP/1.2 200 OK\r\nContent-Length: 2\r\n\r\nok",
       .got = kOk,
       .is_reused = true},
      {.name = "LengthZero",
       .sent = Ok("Content-Length: 0\r\n"),
       .got = Ok("Content-Length: 0\r\n"),
       .is_reused = true},
      {.name = "Chunked", .sent = chunked, .got = chunked, .is_reused = true},
      {.name = "ChunkExtensionsAreDropped",
       .sent = Ok("Transfer-Encoding: Chunked\r\n", "3;a=b\r\nabc\r\n0;c\r\n\r\n"),
       .got = chunked,
       .is_reused = true},
      {.name = "TrailersGoOn",
       .sent = Ok("Trailer: X\r\nTransfer-Encoding: chunked\r\n",
                  "3\r\nabc\r\n0\r\nX: 1\r\nX-Remuda-Reason: Mine\r\n\r\n"),
       .got = Ok("Transfer-Encoding: chunked\r\nTrailer: X\r\n", "3\r\nabc\r\n0\r\nX: 1\r\n\r\n"),
       .is_reused = true},
      {.name = "TrailersToHttp10AreDropped",
       .sent = Ok("Trailer: X\r\nTransfer-Encoding: chunked\r\n", "3\r\nabc\r\n0\r\nX: 1\r\n\r\n"),
       .got = Ok("Connection: close\r\n", "abc"),
       .is_reused = true,
       .request = kGet10,
       .closes = true},
      {.name = "TrailerWithoutChunksIsNotSaid",
       .sent = Ok("Trailer: X\r\nContent-Length: 3\r\n", "abc"),
       .got = Ok("Content-Length: 3\r\n", "abc"),
       .is_reused = true},
      {.name = "ChunkedToHttp10",
       .sent = chunked,
       .got = Ok("Connection: close\r\n", "abc"),
       .is_reused = true,
       .request = kGet10,
       .closes = true},
      {.name = "UntilClose", .sent = Ok("", "abc"), .got = chunked, .ends = true},
      {.name = "UntilCloseToHttp10",
       .sent = Ok("", "abc"),
       .got = Ok("Connection: close\r\n", "abc"),
       .ends = true,
       .request = kGet10,
       .closes = true},
      {.name = "NoPhrase",
       .sent = "HTTP/1.1 200\r\nContent-Length: 2\r\n\r\nok",
       .got = "HTTP/1.1 200 \r\nContent-Length: 2\r\n\r\nok",
       .is_reused = true},
      {.name = "TargetCloses",
       .sent = Ok("Connection: close\r\nContent-Length: 2\r\n", "ok"),
       .got = kOk},
      {.name = "TargetOfHttp10Closes",
       .sent = "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok",
       .got = kOk},
      {.name = "TargetOfHttp10KeepsAlive",
       .sent = "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nok",
       .got = kOk,
       .is_reused = true},
      {.name = "HopByHopFieldsAreRemoved",
       .sent = Ok("Connection: X-Mine, keep-alive\r\nX-Mine: 1\r\nKeep-Alive: 9\r\nUpgrade: "
                  "h2c\r\nX-Remuda-Reason: Forged\r\nContent-Length: 2\r\n",
                  "ok"),
       .got = kOk,
       .is_reused = true},
      {.name = "FieldsPass",
       .sent =
           Ok("Set-Cookie: a=1\r\nset-cookie: b=2\r\nX:\t caf\xe9 \r\nContent-Length: 2\r\n", "ok"),
       .got = Ok("Set-Cookie: a=1\r\nset-cookie: b=2\r\nX: caf\xe9\r\nContent-Length: 2\r\n", "ok"),
       .is_reused = true},
  };
}

// HEAD, 1xx, 204 and 304 have no body whatever their fields say.
std::vector<ResponseCase> Bodiless() {
  return {
      {.name = "Head",
       .sent = Ok("Content-Length: 9\r\n"),
       .got = Ok("Content-Length: 9\r\n"),
       .is_reused = true,
       .request = kHead},
      {.name = "HeadChunked",
       .sent = Ok("Transfer-Encoding: chunked\r\n"),
       .got = Ok(""),
       .is_reused = true,
       .request = kHead},
      {.name = "HeadWithABody",
       .sent = Ok("Content-Length: 2\r\n", "ok"),
       .got = Ok("Content-Length: 2\r\n"),
       .request = kHead},
      {.name = "NoContent",
       .sent = "HTTP/1.1 204 No Content\r\n\r\n",
       .got = "HTTP/1.1 204 No Content\r\n\r\n",
       .is_reused = true},
      {.name = "NoContentWithLength",
       .sent = "HTTP/1.1 204 No Content\r\nContent-Length: 2\r\n\r\n",
       .got = "HTTP/1.1 204 No Content\r\n\r\n",
       .is_reused = true},
      {.name = "NoContentWithABody",
       .sent = "HTTP/1.1 204 No Content\r\nContent-Length: 2\r\n\r\nok",
       .got = "HTTP/1.1 204 No Content\r\n\r\n"},
      {.name = "NoContentWithChunks",
       .sent = "HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
       .got = "HTTP/1.1 204 No Content\r\n\r\n"},
      {.name = "NotModified",
       .sent = "HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n",
       .got = "HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n",
       .is_reused = true},
      {.name = "NotModifiedWithABody",
       .sent = "HTTP/1.1 304 Not Modified\r\nContent-Length: 2\r\n\r\nok",
       .got = "HTTP/1.1 304 Not Modified\r\nContent-Length: 2\r\n\r\n"},
  };
}

std::vector<ResponseCase> Interim() {
  const std::string hints = "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n";
  std::string endless;
  for (int i = 0; i < 17; ++i) endless += hints;
  std::string most;
  for (int i = 0; i < 16; ++i) most += hints;
  return {
      {.name = "EarlyHints", .sent = hints + kOk, .got = hints + kOk, .is_reused = true},
      {.name = "EarlyHintsAreNotForHttp10",
       .sent = hints + kOk,
       .got = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: keep-alive\r\n\r\nok",
       .is_reused = true,
       .request = kGet10},
      {.name = "InterimWithLength",
       .sent = "HTTP/1.1 102 Processing\r\nContent-Length: 2\r\n\r\n"s + kOk,
       .got = "HTTP/1.1 102 Processing\r\n\r\n"s + kOk,
       .is_reused = true},
      {.name = "SixteenInterims", .sent = most + kOk, .got = most + kOk, .is_reused = true},
      {.name = "EndlessInterims", .sent = endless, .got = most + "502 TargetBadResponse"},
      {.name = "UnaskedUpgrade",
       .sent = "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n",
       .got = "502 TargetUnaskedUpgrade"},
      {.name = "UnaskedContinue",
       .sent = "HTTP/1.1 100 Continue\r\n\r\n"s + kOk,
       .got = "HTTP/1.1 100 Continue\r\n\r\n"s + kOk,
       .is_reused = true},
  };
}

// Bytes behind a response are nobody's.
std::vector<ResponseCase> Surplus() {
  return {
      {.name = "TwoResponses", .sent = std::string(kOk) + kOk, .got = kOk},
      {.name = "BytesBehindTheBody", .sent = std::string(kOk) + "x", .got = kOk},
      {.name = "BytesBehindTheLastChunk",
       .sent = Ok("Transfer-Encoding: chunked\r\n", "0\r\n\r\nx"),
       .got = Ok("Transfer-Encoding: chunked\r\n", "0\r\n\r\n")},
      {.name = "BytesBehindALengthOfZero",
       .sent = Ok("Content-Length: 0\r\n", "x"),
       .got = Ok("Content-Length: 0\r\n")},
  };
}

std::vector<ResponseCase> Malformed() {
  const auto length = [](const std::string& name, const std::string& value) {
    return Bad(name, Ok("Content-Length: " + value + "\r\n", "ok"));
  };
  const auto coding = [](const std::string& name, const std::string& value) {
    return Bad(name, Ok("Transfer-Encoding: " + value + "\r\n", "0\r\n\r\n"));
  };
  std::string fields;
  for (int i = 0; i < 101; ++i) fields += "X: 1\r\n";
  std::string large;
  for (int i = 0; i < 4; ++i) large += "X: " + std::string(10000, 'x') + "\r\n";
  return {
      Bad("Garbage", "SSH-2.0-OpenSSH_9.2\r\n\r\n"),
      Bad("OldHttp", "<html>ok</html>\r\n\r\n"),
      Bad("OtherVersion", "HTTP/2.0 200 OK\r\nContent-Length: 2\r\n\r\nok"),
      Bad("StatusOfTwoDigits", "HTTP/1.1 20 OK\r\nContent-Length: 2\r\n\r\nok"),
      Bad("StatusOfFourDigits", "HTTP/1.1 2000 OK\r\nContent-Length: 2\r\n\r\nok"),
      Bad("Status099", "HTTP/1.1 099 OK\r\nContent-Length: 2\r\n\r\nok"),
      Bad("Status600", "HTTP/1.1 600 OK\r\nContent-Length: 2\r\n\r\nok"),
      Bad("BareLf", "HTTP/1.1 200 OK\nContent-Length: 2\n\nok"),
      Bad("NulInPhrase", "HTTP/1.1 200 O\0K\r\nContent-Length: 2\r\n\r\nok"s),
      Bad("Folded", Ok("X: 1\r\n y\r\nContent-Length: 2\r\n", "ok")),
      Bad("SpaceBeforeColon", Ok("Content-Length : 2\r\n", "ok")),
      Bad("NulInValue", Ok("X: \0\r\nContent-Length: 2\r\n"s, "ok")),
      Bad("BareCrInValue", Ok("X: a\rContent-Length: 0\r\nContent-Length: 2\r\n", "ok")),
      Bad("ConnectionNamesLength", Ok("Connection: Content-Length\r\nContent-Length: 2\r\n", "ok")),
      {.name = "TooManyFields",
       .sent = Ok(fields + "Content-Length: 2\r\n", "ok"),
       .got = "502 TargetHeadTooLarge"},
      {.name = "HeadTooLarge",
       .sent = Ok(large + "Content-Length: 2\r\n", "ok"),
       .got = "502 TargetHeadTooLarge"},
      Bad("LengthAndChunked",
          Ok("Content-Length: 2\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n")),
      Bad("TwoLengths", Ok("Content-Length: 1\r\nContent-Length: 2\r\n", "ok")),
      Bad("EqualLengths", Ok("Content-Length: 2\r\nContent-Length: 2\r\n", "ok")),
      Bad("TwoCodings",
          Ok("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n")),
      Bad("ChunkedInHttp10", "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
      // Nothing of its head has left yet.
      Bad("BadFirstChunk", Ok("Transfer-Encoding: chunked\r\n", "zz\r\n")),
      Bad("BadTrailer", Ok("Transfer-Encoding: chunked\r\n", "0\r\nHost: a\r\n\r\n")),
      length("LengthList", "2, 2"),
      length("LengthZeros", "002"),
      length("LengthMinus", "-2"),
      length("LengthOverflow", "18446744073709551618"),
      length("LengthEmpty", ""),
      coding("Gzip", "gzip"),
      coding("GzipChunked", "gzip, chunked"),
      coding("Identity", "identity"),
      coding("Quoted", "\"chunked\""),
  };
}

// The target goes away, or its body turns out bad when the head is out: the client must see that it
// is not whole.
std::vector<ResponseCase> CutShort() {
  const std::string head = Ok("Transfer-Encoding: chunked\r\n");
  return {
      {.name = "Nothing", .sent = "", .got = "502 TargetClosed", .ends = true},
      {.name = "HalfAHead",
       .sent = "HTTP/1.1 200 OK\r\nContent-Le",
       .got = "502 TargetClosed",
       .ends = true},
      {.name = "InterimOnly",
       .sent = "HTTP/1.1 103 Early Hints\r\n\r\n",
       .got = "HTTP/1.1 103 Early Hints\r\n\r\n502 TargetClosed",
       .ends = true},
      {.name = "BodyTooShort",
       .sent = Ok("Content-Length: 9\r\n", "abc"),
       .got = Ok("Content-Length: 9\r\n", "abc"),
       .ends = true,
       .closes = true},
      {.name = "ChunksWithoutEnd",
       .sent = head + "3\r\nabc\r\n",
       .got = head + "3\r\nabc\r\n",
       .ends = true,
       .closes = true},
  };
}

}  // namespace

std::vector<ResponseCase> Responses() {
  std::vector<ResponseCase> all;
  for (const auto& part : {Good(), Bodiless(), Interim(), Surplus(), Malformed(), CutShort()})
    all.insert(all.end(), part.begin(), part.end());
  return all;
}

}  // namespace remuda::proxy::testing
