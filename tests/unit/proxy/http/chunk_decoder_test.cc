#include "proxy/http/chunk_decoder.h"

#include <gtest/gtest.h>

#include <string>

#include "tests/unit/proxy/core/print.h"

namespace remuda::proxy::http {

namespace {

struct Case {
  std::string in;
  Reason reason;
  std::string body;
  std::string rest;  // behind the body
  bool done = true;
};

class ChunkDecoderTest : public ::testing::TestWithParam<size_t> {};

// Whatever the pieces in which it comes, and decoded in place.
TEST_P(ChunkDecoderTest, DecodesTheSameInAnyPieces) {
  const Case cases[] = {
      {"0\r\n\r\n", Reason::kNone, "", ""},
      {"3\r\nabc\r\n0\r\n\r\nGET /", Reason::kNone, "abc", "GET /"},
      {"A;x=\"y\"\r\n0123456789\r\n00002\r\nab\r\n0\r\n\r\n", Reason::kNone, "0123456789ab", ""},
      {"1\r\na\r\n0\r\nX-Sum: 1\r\nX-Other: 2\r\n\r\nnext", Reason::kNone, "a", "next"},
      {"1\r\na\r\n", Reason::kNone, "a", "", false},
      {"\r\n", Reason::kBadChunk, "", ""},
      {"g\r\n", Reason::kBadChunk, "", ""},
      {"-1\r\n", Reason::kBadChunk, "", ""},
      {"0x1\r\na", Reason::kBadChunk, "", ""},
      {"1 \r\na", Reason::kBadChunk, "", ""},
      {"1\na\r\n", Reason::kBadChunk, "", ""},
      {"1\r\nab\r\n", Reason::kBadChunk, "a", ""},
      {"1\r\na\n", Reason::kBadChunk, "a", ""},
      {"1;\x01\r\n", Reason::kBadChunk, "", ""},
      {"1;a;b=c; d\t=\t\"e;\\\"\\f\" ;g\r\na\r\n0;h\r\n\r\n", Reason::kNone, "a", ""},
      {"1;a=\"\"\r\na\r\n0\r\n\r\n", Reason::kNone, "a", ""},
      {"1;\r\na", Reason::kBadChunk, "", ""},
      {"1; \r\na", Reason::kBadChunk, "", ""},
      {"1;;a\r\na", Reason::kBadChunk, "", ""},
      {"1;=a\r\na", Reason::kBadChunk, "", ""},
      {"1;a=\r\na", Reason::kBadChunk, "", ""},
      {"1;a \r\na", Reason::kBadChunk, "", ""},
      {"1;a b\r\na", Reason::kBadChunk, "", ""},
      {"1;a=b c\r\na", Reason::kBadChunk, "", ""},
      {"1;a=b \r\na", Reason::kBadChunk, "", ""},
      {"1;a=\"b\r\na", Reason::kBadChunk, "", ""},
      {"1;a=\"b\"c\r\na", Reason::kBadChunk, "", ""},
      {"1;bad[=x\r\na", Reason::kBadChunk, "", ""},
      {"1;a=[\r\na", Reason::kBadChunk, "", ""},
      {"1;a\na\r\n0\r\n\r\n", Reason::kBadChunk, "", ""},
      {"10000000000000000\r\n", Reason::kBadChunk, "", ""},
      {"00000000000000001\r\na", Reason::kBadChunk, "", ""},
      {"1;" + std::string(2000, 'x') + "\r\n", Reason::kBadChunk, "", ""},
      {"0\r\nHost: evil\r\n\r\n", Reason::kBadTrailer, "", ""},
      {"0\r\ncontent-length: 1\r\n\r\n", Reason::kBadTrailer, "", ""},
      {"0\r\nAuthorization: x\r\n\r\n", Reason::kBadTrailer, "", ""},
      {"0\r\n folded\r\n\r\n", Reason::kBadTrailer, "", ""},
      {"0\r\nX\r\n\r\n", Reason::kBadTrailer, "", ""},
      {"0\r\nX: " + std::string(9000, 'x') + "\r\n\r\n", Reason::kTrailersTooLarge, "", ""},
  };
  const size_t step = GetParam();
  for (const Case& c : cases) {
    ChunkDecoder decoder;
    std::string body;
    std::string rest;
    std::string trailers;
    for (size_t at = 0; at < c.in.size() && decoder.reason() == Reason::kNone; at += step) {
      std::string piece = c.in.substr(at, step);
      if (decoder.done()) {
        rest += piece;
        continue;
      }
      const auto result = decoder.Decode(piece.data(), piece.size(), piece.data(), trailers);
      body += piece.substr(0, result.produced);
      if (decoder.done()) rest = c.in.substr(at, step).substr(result.consumed);
    }
    EXPECT_EQ(decoder.reason(), c.reason) << c.in.substr(0, 60);
    EXPECT_EQ(body, c.body) << c.in.substr(0, 60);
    if (c.reason != Reason::kNone) continue;
    EXPECT_EQ(decoder.done(), c.done) << c.in;
    EXPECT_EQ(rest, c.rest) << c.in;
  }
}

TEST_P(ChunkDecoderTest, TrailersGoOnAsLines) {
  struct Trailers {
    std::string in;
    std::string trailers;
  };
  const Trailers cases[] = {
      {"", ""},
      {"X-Checksum: 1\r\n", "X-Checksum: 1\r\n"},
      {"a:\r\nB:  two words \r\n", "a:\r\nB:  two words \r\n"},
      {"grpc-status: 0\r\nX_Y: 1\r\nz: 1\r\n", "grpc-status: 0\r\nz: 1\r\n"},
      {"X-Amzn-Mtls-Clientcert-Subject: CN=root\r\n", ""},
      {"x.y: 1\r\nTE: gzip\r\nDate: now\r\nX-Remuda-Reason: Mine\r\n", ""},
      {"X-Amzn-Trace-Id: Root=1\r\nConnection: close\r\nTrailer: X\r\nlast: 1\r\n", "last: 1\r\n"},
  };
  for (const Trailers& c : cases) {
    ChunkDecoder decoder;
    std::string in = "1\r\na\r\n0\r\n" + c.in + "\r\n";
    std::string trailers;
    for (size_t at = 0; at < in.size(); at += GetParam()) {
      const size_t size = std::min(GetParam(), in.size() - at);
      decoder.Decode(in.data() + at, size, in.data() + at, trailers);
    }
    EXPECT_TRUE(decoder.done()) << c.in;
    EXPECT_EQ(trailers, c.trailers) << c.in;
  }
}

// For targets that must be borne with; each only as it is told.
TEST(ChunkDecoder, TakesWhatItIsToldTo) {
  struct Lenient {
    std::string in;
    bool with_bare_lf;
    bool with_padding;
  };
  const Lenient cases[] = {
      {"1\na\n0\n\n", true, false},
      {"1;x\na\r\n0\r\nX: 1\n\n", true, false},
      {"1 \r\na\r\n0  \r\n\r\n", false, true},
      {"1\t;x \r\na\r\n0\r\n\r\n", false, true},
      {"1;x=y \r\na\r\n0\r\n\r\n", false, true},
      {"1 \na\n0 \n\n", true, true},
  };
  for (const Lenient& c : cases) {
    for (const bool bare_lf : {false, true}) {
      for (const bool padding : {false, true}) {
        ChunkDecoder decoder({.bare_lf = bare_lf, .padded_sizes = padding});
        std::string body = c.in;
        std::string trailers;
        const auto result = decoder.Decode(body.data(), body.size(), body.data(), trailers);
        const bool is_taken = (bare_lf || !c.with_bare_lf) && (padding || !c.with_padding);
        EXPECT_EQ(decoder.done(), is_taken) << c.in << bare_lf << padding;
        if (is_taken) {
          EXPECT_EQ(body.substr(0, result.produced), "a");
          EXPECT_EQ(trailers, c.in.find('X') == std::string::npos ? "" : "X: 1\r\n");
        }
      }
    }
  }
  // Nothing else is.
  for (const char* in : {"1\ra", " 1\r\na", "1 2\r\na", "1\r\nab", "1;\na", "0\nX\n\n"}) {
    ChunkDecoder decoder({.bare_lf = true, .padded_sizes = true});
    std::string body = in;
    std::string trailers;
    decoder.Decode(body.data(), body.size(), body.data(), trailers);
    EXPECT_NE(decoder.reason(), Reason::kNone) << in;
  }
}

INSTANTIATE_TEST_SUITE_P(Pieces, ChunkDecoderTest, ::testing::Values(1, 2, 3, 7, 100000));

}  // namespace
}  // namespace remuda::proxy::http
