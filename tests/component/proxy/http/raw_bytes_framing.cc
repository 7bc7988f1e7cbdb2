// How a request's body is delimited: RFC 9112 sections 6 and 7, RFC 9110 section 8.6.
#include "tests/component/proxy/http/raw_bytes_cases.h"

namespace remuda::proxy::testing {
namespace {

using std::string_literals::operator""s;

// A POST with these framing fields (each with its CRLF) and this body.
std::string Post(const std::string& fields, const std::string& body,
                 const std::string& version = "1.1") {
  return "POST / HTTP/" + version + "\r\nHost: a\r\n" + fields + "\r\n" + body;
}

std::string Chunked(const std::string& body) {
  return Post("Transfer-Encoding: chunked\r\n", body);
}

// A refused body: how much of its request reached the target depends on when it came, so what
// arrives is not compared.
RequestCase BadBody(const std::string& name, const std::string& body,
                    const std::string& reason = "BadChunk", int status = 400) {
  return Refused(name, Chunked(body), status, reason);
}

std::vector<RequestCase> TransferEncodings() {
  const auto coding = [](const std::string& name, const std::string& value, int status,
                         const std::string& reason) {
    return Refused(name, Post("Transfer-Encoding: " + value + "\r\n", "3\r\nabc\r\n0\r\n\r\n"),
                   status, reason);
  };
  return {
      // Forms that Boost 1.81's parser takes as "no body", "by length" or "chunked".
      coding("Gzip", "gzip", 501, "UnknownTransferEncoding"),
      coding("Xchunked", "xchunked", 501, "UnknownTransferEncoding"),
      coding("Identity", "identity", 501, "UnknownTransferEncoding"),
      coding("QuotedChunked", "\"chunked\"", 400, "BadTransferEncoding"),
      coding("ChunkedCow", "chunked, cow", 400, "BadTransferEncoding"),
      coding("GzipChunked", "gzip, chunked", 501, "UnknownTransferEncoding"),
      coding("GzipDeflate", "gzip, deflate", 400, "BadTransferEncoding"),
      coding("ChunkedChunked", "chunked, chunked", 400, "BadTransferEncoding"),
      coding("ChunkedComma", "chunked,", 400, "BadTransferEncoding"),
      coding("CommaChunked", ",chunked", 400, "BadTransferEncoding"),
      coding("ChunkedParameter", "chunked;q=1", 400, "BadTransferEncoding"),
      coding("EmptyCoding", "", 400, "BadTransferEncoding"),
      coding("ChunkedVerticalTab",
             "\x0b"
             "chunked",
             400, "BadFieldValue"),
      coding("ChunkedNul", "chunked\0"s, 400, "BadFieldValue"),
      coding("ChunkedObsText", "chunked\xa0", 400, "BadTransferEncoding"),
      coding("FoldedChunked", "\r\n chunked", 400, "FoldedLine"),
      Refused("GzipAndLength", Post("Transfer-Encoding: gzip\r\nContent-Length: 3\r\n", "abc"), 400,
              "LengthAndTransferEncoding"),
      Refused("ChunkedCowAndLength",
              Post("Transfer-Encoding: chunked, cow\r\nContent-Length: 3\r\n", "abc"), 400,
              "LengthAndTransferEncoding"),
      Refused("ChunkedAndLength",
              Post("Transfer-Encoding: chunked\r\nContent-Length: 3\r\n", "0\r\n\r\n"), 400,
              "LengthAndTransferEncoding"),
      Refused("LengthAndChunked",
              Post("Content-Length: 0\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"), 400,
              "LengthAndTransferEncoding"),
      Refused("IdentityThenChunked",
              Post("Transfer-Encoding: identity\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"),
              400, "RepeatedTransferEncoding"),
      Refused("ChunkedTwice",
              Post("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"),
              400, "RepeatedTransferEncoding"),
      Refused("ChunkedInHttp10", Post("Transfer-Encoding: chunked\r\n", "0\r\n\r\n", "1.0"), 400,
              "ChunkedInHttp10"),
      Refused("SpaceBeforeColon", Post("Transfer-Encoding : chunked\r\n", "0\r\n\r\n"), 400,
              "BadFieldName"),
      Refused("TabBeforeColon", Post("Transfer-Encoding\t: chunked\r\n", "0\r\n\r\n"), 400,
              "BadFieldName"),
      // Names that others may read as framing.
      Refused("UnderscoreName", Post("Transfer_Encoding: chunked\r\nContent-Length: 3\r\n", "abc"),
              400, "LengthAndTransferEncoding"),
      Refused("UnderscoreNameAlone", Post("Transfer_Encoding: chunked\r\n", ""), 400,
              "SuspiciousFieldName"),
      Refused("ThreeHyphens", Post("Transfer---Encoding: chunked\r\n", ""), 400,
              "SuspiciousFieldName"),
      Forwarded("CodingInCapitals", Post("TRANSFER-ENCODING:\t CHUNKED \t\r\n", "0\r\n\r\n"),
                Chunked("0\r\n\r\n")),
  };
}

// A POST whose head has exactly `head_bytes`: the body must find room behind it.
RequestCase BodyBehindAHeadOf(size_t head_bytes) {
  const std::string length = "Content-Length: 40000\r\n";
  const size_t padding = head_bytes - Post("X: \r\nY: \r\n" + length, "").size();
  const std::string fields = "X: " + std::string(padding / 2, 'x') +
                             "\r\nY: " + std::string(padding - padding / 2, 'y') + "\r\n";
  const std::string sent = Post(fields + length, std::string(40000, 'b'));
  return Forwarded("BodyBehindAHeadOf" + std::to_string(head_bytes), sent, sent);
}

std::vector<RequestCase> Lengths() {
  const auto length = [](const std::string& name, const std::string& value) {
    return Refused(name, Post("Content-Length: " + value + "\r\n", "abc"), 400, "BadContentLength");
  };
  return {
      length("LengthList", "3, 3"),
      length("LengthZeros", "003"),
      length("LengthDoubleZero", "00"),
      length("LengthPlus", "+3"),
      length("LengthMinus", "-3"),
      length("LengthHex", "0x3"),
      length("LengthTwoNumbers", "3 3"),
      length("LengthEmpty", ""),
      length("LengthFraction", "3.0"),
      length("LengthExponent", "3e0"),
      length("LengthQuoted", "\"3\""),
      length("LengthOverflow", "18446744073709551616"),
      length("LengthOverflowToThree", "18446744073709551619"),
      length("LengthObsText", "\xb3"),
      Refused("EqualLengths", Post("Content-Length: 3\r\nContent-Length: 3\r\n", "abc"), 400,
              "RepeatedContentLength"),
      Refused("DifferentLengths", Post("Content-Length: 3\r\nContent-Length: 0\r\n", "abc"), 400,
              "RepeatedContentLength"),
      Refused("FoldedLength", Post("Content-Length:\r\n 3\r\n", "abc"), 400, "FoldedLine"),
      Refused("FoldedAfterLength", Post("Content-Length: 3\r\n 0\r\n", "abc"), 400, "FoldedLine"),
      Forwarded("LengthOfNoBody", Post("Content-Length: 0\r\n", ""),
                Post("Content-Length: 0\r\n", "")),
      Forwarded("LengthWithSpaces", Post("content-length: \t 3 \t\r\n", "abc"),
                Post("Content-Length: 3\r\n", "abc")),
      Forwarded("PostWithoutLength", Post("", ""), Post("Content-Length: 0\r\n", "")),
      Forwarded("GetWithBody", "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc",
                "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc"),
      // The sizes of the proxy's blocks.
      BodyBehindAHeadOf(16 * 1024 - 1),
      BodyBehindAHeadOf(16 * 1024),
      BodyBehindAHeadOf(16 * 1024 + 1),
      BodyBehindAHeadOf(32 * 1024),
      Refused("UnderscoreLength", Post("Content_Length: 9\r\nContent-Length: 3\r\n", "abc"), 400,
              "SuspiciousFieldName"),
  };
}

std::vector<RequestCase> Chunks() {
  const std::string good = "3\r\nabc\r\n0\r\n\r\n";
  std::string long_extension = "3;" + std::string(1100, 'x') + "\r\nabc\r\n0\r\n\r\n";
  return {
      Forwarded("OneChunk", Chunked(good), Chunked(good)),
      Forwarded("ChunkExtension", Chunked("3;name=\"v\";x\r\nabc\r\n0;last\r\n\r\n"),
                Chunked(good)),
      Forwarded("ChunkSizeZeros", Chunked("0000000000000003\r\nabc\r\n0000\r\n\r\n"),
                Chunked(good)),
      Forwarded("ChunkSizeInCapitals", Chunked("A\r\n0123456789\r\n0\r\n\r\n"),
                Chunked("a\r\n0123456789\r\n0\r\n\r\n")),
      Forwarded("ManyChunks", Chunked("1\r\na\r\n1\r\nb\r\n1\r\nc\r\n0\r\n\r\n"), Chunked(good)),
      BadBody("ChunkSizePrefix", "0x3\r\nabc\r\n0\r\n\r\n"),
      BadBody("ChunkSizePlus", "+3\r\nabc\r\n0\r\n\r\n"),
      BadBody("ChunkSizeMinus", "-3\r\nabc\r\n0\r\n\r\n"),
      BadBody("ChunkSizeSpace", "3 \r\nabc\r\n0\r\n\r\n"),
      BadBody("ChunkSizeLeadingSpace", " 3\r\nabc\r\n0\r\n\r\n"),
      BadBody("ChunkSizeMissing", "\r\nabc\r\n0\r\n\r\n"),
      BadBody("ChunkSizeOnlyExtension", ";x\r\nabc\r\n0\r\n\r\n"),
      BadBody("ChunkSizeSeventeenDigits", "00000000000000003\r\nabc\r\n0\r\n\r\n"),
      BadBody("ChunkSizeOverflow", "10000000000000003\r\nabc\r\n0\r\n\r\n"),
      BadBody("ChunkSizeBareLf", "3\nabc\r\n0\r\n\r\n"),
      BadBody("ChunkSizeBareCr", "3\rabc\r\n0\r\n\r\n"),
      BadBody("ChunkDataBareLf", "3\r\nabc\n0\r\n\r\n"),
      BadBody("ChunkDataTooLong", "3\r\nabcd\r\n0\r\n\r\n"),
      BadBody("ChunkDataTooShort", "3\r\nab\r\n0\r\n\r\n"),
      BadBody("ChunkExtensionBareLf", "3;a\nabc\r\n0\r\n\r\n"),
      BadBody("ChunkExtensionNul", "3;\0\r\nabc\r\n0\r\n\r\n"s),
      BadBody("ChunkExtensionTooLong", long_extension),
      BadBody("ChunkExtensionEmpty", "3;\r\nabc\r\n0\r\n\r\n"),
      BadBody("ChunkExtensionNameNotAToken", "3;bad[=x\r\nabc\r\n0\r\n\r\n"),
      BadBody("ChunkExtensionOpenQuote", "3;a=\"b\r\nabc\r\n0\r\n\r\n"),
      BadBody("LastChunkBareLf", "0\n\r\n"),
  };
}

std::vector<RequestCase> Trailers() {
  const std::string chunks = "3\r\nabc\r\n0\r\n";
  const std::string arrives = Chunked(chunks + "\r\n");
  std::vector<RequestCase> cases = {
      Forwarded("TrailerGoesOn", Chunked(chunks + "X-Checksum: 1\r\n\r\n"),
                Chunked(chunks + "X-Checksum: 1\r\n\r\n")),
      Forwarded("TrailersOfOursAreDropped",
                Chunked(chunks + "X-Amzn-Trace-Id: Root=1\r\nX-Amzn-Mtls-Clientcert: a\r\n"
                                 "X_Y: 1\r\nTE: gzip\r\n\r\n"),
                arrives),
      BadBody("TrailerFolded", chunks + "X: 1\r\n y\r\n\r\n", "BadTrailer"),
      BadBody("TrailerWithoutColon", chunks + "X\r\n\r\n", "BadTrailer"),
      BadBody("TrailerBareLf", chunks + "X: 1\n\r\n", "BadTrailer"),
      BadBody("TrailerBareCr", chunks + "X: 1\rY: 2\r\n\r\n", "BadTrailer"),
      BadBody("TrailerSpaceBeforeColon", chunks + "X : 1\r\n\r\n", "BadTrailer"),
      BadBody("TrailerEndBareLf", chunks + "\n", "BadTrailer"),
      BadBody("TrailersTooLarge", chunks + "X: " + std::string(9000, 't') + "\r\n\r\n",
              "TrailersTooLarge", 431),
  };
  std::string many = chunks;
  for (int i = 0; i < 33; ++i) many += "X: 1\r\n";
  cases.push_back(BadBody("TooManyTrailers", many + "\r\n", "TrailersTooLarge", 431));
  // Framing, routing, authentication.
  for (const char* name : {"Host", "Content-Length", "Transfer-Encoding", "Authorization", "Cookie",
                           "X-Forwarded-For", "X-Forwarded-Proto", "hOsT"}) {
    std::string label = name;
    std::erase(label, '-');
    cases.push_back(BadBody("Trailer" + label, chunks + name + ": evil\r\n\r\n", "BadTrailer"));
  }
  return cases;
}

// Several requests in one write: answered in order, one at a time; nothing behind an error is
// parsed.
std::vector<RequestCase> Pipelines() {
  const std::string get = "GET /next HTTP/1.1\r\nHost: a\r\n\r\n";
  const std::string chunked = Chunked("3\r\nabc\r\n0\r\n\r\n");
  return {
      {"PipelineOfThree", get + chunked + get, {200, 200, 200}, "", false, get + chunked + get},
      {"PipelineBehindLength",
       Post("Content-Length: 3\r\n", "abc") + get,
       {200, 200},
       "",
       false,
       Post("Content-Length: 3\r\n", "abc") + get},
      {"PipelineBodyLooksLikeARequest",
       Post("Content-Length: " + std::to_string(get.size()) + "\r\n", get) + get,
       {200, 200},
       "",
       false,
       Post("Content-Length: " + std::to_string(get.size()) + "\r\n", get) + get},
      {"PipelineStopsAtAnError",
       get + "GET / HTTP/1.1\r\n\r\n" + get,
       {200, 400},
       "MissingHost",
       true,
       get},
      {"PipelineStopsAtClose",
       "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n" + get,
       {200},
       "",
       true,
       "GET / HTTP/1.1\r\nHost: a\r\n\r\n"},
      {"PipelineStopsAtHttp10",
       "GET / HTTP/1.0\r\nHost: a\r\n\r\n" + get,
       {200},
       "",
       true,
       "GET / HTTP/1.1\r\nHost: a\r\n\r\n"},
      {"PipelineGoesOnAfterHttp10KeepAlive",
       "GET / HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n\r\n" + get,
       {200, 200},
       "",
       false,
       "GET / HTTP/1.1\r\nHost: a\r\n\r\n" + get},
      // What would be smuggled if a length of the overflowing value were taken for 0.
      {"PipelineStopsAtABadLength",
       Post("Content-Length: 18446744073709551616\r\n", "") + get,
       {400},
       "BadContentLength",
       true,
       ""},
  };
}

}  // namespace

std::vector<RequestCase> FramingRequests() {
  std::vector<RequestCase> all;
  for (const auto& part : {TransferEncodings(), Lengths(), Chunks(), Trailers(), Pipelines()})
    all.insert(all.end(), part.begin(), part.end());
  return all;
}

}  // namespace remuda::proxy::testing
