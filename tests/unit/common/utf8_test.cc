#include "common/utf8.h"

#include <gtest/gtest.h>

namespace remuda {
namespace {

TEST(Utf8, WhatIsNoneIsShownByteByByte) {
  const struct {
    std::string in, out;
  } cases[] = {
      {"", ""},
      {"plain", "plain"},
      {"caf\xc3\xa9 \xe2\x82\xac \xf0\x9f\x90\x8e", "caf\xc3\xa9 \xe2\x82\xac \xf0\x9f\x90\x8e"},
      {"caf\xe9", "caf\\xe9"},
      {"cut \xc3", "cut \\xc3"},
      {"cut \xe2\x82", "cut \\xe2\\x82"},
      {"stray \xa9!", "stray \\xa9!"},
      {"overlong \xc0\xaf \xe0\x80\xaf", "overlong \\xc0\\xaf \\xe0\\x80\\xaf"},
      {"surrogate \xed\xa0\x80", "surrogate \\xed\\xa0\\x80"},
      {"beyond \xf4\x90\x80\x80 \xff", "beyond \\xf4\\x90\\x80\\x80 \\xff"},
  };
  for (const auto& c : cases) {
    EXPECT_EQ(ValidUtf8(c.in), c.out);
    EXPECT_EQ(IsUtf8(c.in), c.in == c.out) << c.out;
    EXPECT_TRUE(IsUtf8(ValidUtf8(c.in)));
  }
}

TEST(Utf8, ALongTextIsCutBetweenCharacters) {
  EXPECT_EQ(ValidUtf8("short", 20), "short");
  EXPECT_EQ(ValidUtf8(std::string(20, 'x'), 20), std::string(20, 'x'));
  EXPECT_EQ(ValidUtf8(std::string(21, 'x'), 20), std::string(10, 'x') + " ... (cut)");
  // The cut would fall into the second of two bytes.
  EXPECT_EQ(ValidUtf8("123456789\xc3\xa9" + std::string(20, 'x'), 20), "123456789 ... (cut)");
  EXPECT_EQ(ValidUtf8(std::string(1'000'000, '\xff'), 20), "\\xff\\xff\\x ... (cut)");
}

}  // namespace
}  // namespace remuda
