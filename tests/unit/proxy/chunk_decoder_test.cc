#include "proxy/http/chunk_decoder.h"

#include <gtest/gtest.h>

#include <string>

#include "tests/unit/proxy/print.h"

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
    for (size_t at = 0; at < c.in.size() && decoder.reason() == Reason::kNone; at += step) {
      std::string piece = c.in.substr(at, step);
      if (decoder.done()) {
        rest += piece;
        continue;
      }
      const auto result = decoder.Decode(piece.data(), piece.size(), piece.data());
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

INSTANTIATE_TEST_SUITE_P(Pieces, ChunkDecoderTest, ::testing::Values(1, 2, 3, 7, 100000));

}  // namespace
}  // namespace remuda::proxy::http
