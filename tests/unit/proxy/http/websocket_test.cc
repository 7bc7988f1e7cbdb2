#include "proxy/http/websocket.h"

#include <gtest/gtest.h>

#include <random>
#include <string>

namespace remuda::proxy::http {
namespace {

// A frame of `size` payload bytes.
std::string Frame(uint8_t opcode, size_t size, bool is_masked) {
  std::string out(1, static_cast<char>(0x80 | opcode));
  const int mask_bit = is_masked ? 0x80 : 0;
  const auto put = [&](size_t bytes) {
    for (size_t i = bytes; i-- > 0;) out += static_cast<char>(size >> (8 * i) & 0xff);
  };
  if (size < 126) {
    out += static_cast<char>(mask_bit | static_cast<int>(size));
  } else if (size <= 0xffff) {
    out += static_cast<char>(mask_bit | 126);
    put(2);
  } else {
    out += static_cast<char>(mask_bit | 127);
    put(8);
  }
  if (is_masked) out += "mask";
  // Payload that looks like frames.
  for (size_t i = 0; i < size; ++i) out += static_cast<char>(i % 2 == 0 ? 0x88 : 0x02);
  return out;
}

TEST(WebSocketFrames, FindsBoundariesHoweverTheBytesAreCut) {
  for (const bool is_masked : {false, true}) {
    for (const size_t size : {0, 1, 125, 126, 127, 65535, 65536, 100000}) {
      const std::string one = Frame(2, size, is_masked);
      const std::string two = one + Frame(9, 3, is_masked);
      for (const size_t step : {size_t{1}, size_t{2}, size_t{3}, size_t{7}, two.size()}) {
        WebSocketFrames frames;
        for (size_t at = 0; at < two.size(); at += step) {
          const size_t take = std::min(step, two.size() - at);
          EXPECT_EQ(frames.Follow(two.data() + at, take), take);
          const size_t end = at + take;
          ASSERT_EQ(frames.at_boundary(), end == one.size() || end == two.size())
              << size << " bytes, cut each " << step << ", at " << end;
        }
        EXPECT_FALSE(frames.has_closed());
      }
    }
  }
}

TEST(WebSocketFrames, StopsBehindTheFirstFrameThatEnds) {
  const std::string one = Frame(1, 300, true);
  const std::string all = one + one + one;
  WebSocketFrames frames;
  EXPECT_EQ(frames.Follow(all.data(), 10, true), 10u);
  EXPECT_FALSE(frames.at_boundary());
  EXPECT_EQ(frames.Follow(all.data() + 10, all.size() - 10, true), one.size() - 10);
  EXPECT_TRUE(frames.at_boundary());
}

TEST(WebSocketFrames, SkipsPayloadThatPassesUnseen) {
  const std::string frame = Frame(2, 70000, false);
  WebSocketFrames frames;
  frames.Follow(frame.data(), 100);
  EXPECT_EQ(frames.payload_left(), frame.size() - 100);
  frames.Skip(frames.payload_left() - 1);
  EXPECT_FALSE(frames.at_boundary());
  frames.Skip(1);
  EXPECT_TRUE(frames.at_boundary());
}

TEST(WebSocketFrames, SeesAWholeCloseFrame) {
  const uint8_t mask[4] = {1, 2, 3, 4};
  for (const auto* key : {static_cast<const uint8_t(*)[4]>(nullptr), &mask}) {
    char bytes[kMaxCloseFrameBytes];
    const size_t size = WriteCloseFrame(kCloseGoingAway, key, bytes);
    WebSocketFrames frames;
    frames.Follow(bytes, size - 1);
    EXPECT_FALSE(frames.has_closed());
    frames.Follow(bytes + size - 1, 1);
    EXPECT_TRUE(frames.has_closed());
    EXPECT_TRUE(frames.at_boundary());
  }
}

TEST(WebSocketFrames, WritesCloseFrames) {
  char out[kMaxCloseFrameBytes];
  EXPECT_EQ(std::string(out, WriteCloseFrame(1001, nullptr, out)), std::string("\x88\x02\x03\xe9"));
  const uint8_t mask[4] = {0x11, 0x22, 0x33, 0x44};
  EXPECT_EQ(std::string(out, WriteCloseFrame(1001, &mask, out)),
            std::string("\x88\x82\x11\x22\x33\x44\x12\xcb"));
}

TEST(WebSocketFrames, AnImpossibleLengthIsNeverABoundary) {
  const std::string bad = "\x82\x7f\xff\xff\xff\xff\xff\xff\xff\xff";
  WebSocketFrames frames;
  EXPECT_EQ(frames.Follow(bad.data(), bad.size()), bad.size());
  EXPECT_TRUE(frames.is_lost());
  const std::string next = Frame(1, 0, false);
  EXPECT_EQ(frames.Follow(next.data(), next.size()), next.size());
  EXPECT_FALSE(frames.at_boundary());
}

}  // namespace
}  // namespace remuda::proxy::http
