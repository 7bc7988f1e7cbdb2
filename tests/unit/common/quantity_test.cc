#include "common/quantity.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace remuda {
namespace {

struct Case {
  std::string text;
  int64_t expect;  // 0: refused
};

TEST(Quantity, Memory) {
  for (const Case& c : std::vector<Case>{{"1", 1},
                                         {"256Mi", 268435456},
                                         {"1Gi", 1073741824},
                                         {"64Ki", 65536},
                                         {"5k", 5000},
                                         {"2M", 2000000},
                                         {"8388607Ti", 8388607 * (int64_t{1} << 40)},
                                         {"8388608Ti", 0},
                                         {"99999999999999999999", 0},
                                         {"0", 0},
                                         {"", 0},
                                         {"Mi", 0},
                                         {"-1", 0},
                                         {"1.5Gi", 0},
                                         {"256mb", 0},
                                         {"256 Mi", 0},
                                         {" 256Mi", 0},
                                         {"256Mi ", 0}}) {
    const auto got = ParseMemoryBytes(c.text);
    EXPECT_EQ(got.ok() ? *got : 0, c.expect) << c.text;
    if (!got.ok()) {
      EXPECT_EQ(got.status().message().find("\"" + c.text + "\""), 0u);
    }
  }
}

TEST(Quantity, Cpu) {
  for (const Case& c : std::vector<Case>{{"1", 1000},
                                         {"500m", 500},
                                         {"0.5", 500},
                                         {"1.25", 1250},
                                         {"0.001", 1},
                                         {"1000", 1000000},
                                         {"1001", 0},
                                         {"0", 0},
                                         {"0m", 0},
                                         {"", 0},
                                         {"m", 0},
                                         {".5", 0},
                                         {"1.", 0},
                                         {"0.0001", 0},
                                         {"1.-5", 0},
                                         {"-1", 0},
                                         {"1e3", 0},
                                         {"99999999999999999999", 0}}) {
    const auto got = ParseCpuMillis(c.text);
    EXPECT_EQ(got.ok() ? *got : 0, c.expect) << c.text;
  }
}

}  // namespace
}  // namespace remuda
