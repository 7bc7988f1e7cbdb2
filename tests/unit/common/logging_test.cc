#include "common/logging.h"

#include <gtest/gtest.h>

namespace remuda {
namespace {

TEST(JsonEscapeTest, EscapesWhatWouldBreakALineOrAString) {
  const struct {
    std::string in, out;
  } cases[] = {
      {"plain", "plain"},
      {"a\"b\\c", "a\\\"b\\\\c"},
      {"line\nbreak\ttab", "line\\u000abreak\\u0009tab"},
      {std::string("nul\0!", 5), "nul\\u0000!"},
      {"\x7f", "\\u007f"},
      {"caf\xc3\xa9", "caf\xc3\xa9"},
      {"cut \xc3", "cut \\ufffd"},
      {"stray \xa9!", "stray \\ufffd!"},
      {"overlong \xc0\xaf", "overlong \\ufffd\\ufffd"},
  };
  for (const auto& c : cases) EXPECT_EQ(JsonEscape(c.in), c.out);
}

TEST(InitLoggingTest, NamesAWrongLevel) {
  EXPECT_EQ(InitLogging("test", "loud"),
            "log level \"loud\" is not one of trace, debug, info, warn, error, off");
  EXPECT_EQ(InitLogging("test", "info"), "");
}

}  // namespace
}  // namespace remuda
