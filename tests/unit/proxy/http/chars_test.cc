// What works on many bytes at once must agree with the tables and functions of one byte.
#include "proxy/http/chars.h"

#include <gtest/gtest.h>

#include <cstdio>
#include <string>

namespace remuda::proxy::http {
namespace {

TEST(CharsTest, IsFieldValueJudgesEveryByteAtEveryPlace) {
  for (const size_t size : {1, 7, 8, 9, 16, 21}) {
    for (size_t at = 0; at < size; ++at) {
      for (int c = 0; c < 256; ++c) {
        std::string text(size, 'x');
        text[at] = static_cast<char>(c);
        ASSERT_EQ(HoldsFieldValueChars(text), Is(text[at], kFieldValueChar))
            << size << " " << at << " " << c;
      }
    }
  }
}

// A byte next to a bad one must not hide it: subtraction borrows.
TEST(CharsTest, IsFieldValueSeesBadBytesAmongTabsAndHighBytes) {
  EXPECT_TRUE(HoldsFieldValueChars("\t\t\t\t\t\t\t\t"));
  EXPECT_TRUE(HoldsFieldValueChars("\x80\xff\t \x7e\xc3\xa4z~"));
  EXPECT_FALSE(HoldsFieldValueChars("\t\t\t\x01\t\t\t\t"));
  EXPECT_FALSE(HoldsFieldValueChars("\xff\x7f\xff\xff\xff\xff\xff\xff"));
  EXPECT_FALSE(HoldsFieldValueChars(std::string_view("\t\0\t\t\t\t\t\t", 8)));
}

TEST(CharsTest, EqualsIgnoreCaseFoldsLettersOnly) {
  for (const size_t size : {1, 7, 8, 9, 15, 16, 19}) {
    for (size_t at = 0; at < size; ++at) {
      for (int a = 0; a < 256; ++a) {
        for (const int b : {a, a ^ 0x20, a + 1, int{'a'}, int{'z'}, int{'A'}, int{'-'}}) {
          std::string one(size, 'K');
          std::string two(size, 'k');
          one[at] = static_cast<char>(a);
          two[at] = static_cast<char>(b);
          ASSERT_EQ(EqualsIgnoreCase(one, two), Lower(one[at]) == Lower(two[at]))
              << size << " " << at << " " << a << " " << b;
        }
      }
    }
  }
  EXPECT_FALSE(EqualsIgnoreCase("content-length", "content-lengt"));
}

TEST(CharsTest, WriteHex8IsPrintf) {
  for (uint64_t i = 0; i < 100000; ++i) {
    const auto value = static_cast<uint32_t>(i * 2654435761U);
    char ours[9] = {};
    char theirs[9];
    WriteHex8(value, ours);
    std::snprintf(theirs, sizeof theirs, "%08x", value);
    ASSERT_STREQ(ours, theirs);
  }
}

}  // namespace
}  // namespace remuda::proxy::http
