#include "cli/log_mark.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>

namespace remuda::cli {
namespace {

// Lines "FROM" to "TO", in order.
std::string Lines(int from, int to) {
  std::string out;
  for (int i = from; i <= to; ++i) out += std::to_string(i) + "\n";
  return out;
}

// What a controller gives: the last lines of a log.
std::string Tail(const std::string& log, int lines) {
  size_t begin = log.size();
  for (int left = lines; left > 0 && begin > 0; --left) {
    const size_t end = begin < 2 ? std::string::npos : log.rfind('\n', begin - 2);
    begin = end == std::string::npos ? 0 : end + 1;
  }
  return log.substr(begin);
}

TEST(LogMark, BeginsWithTheLastLines) {
  LogMark mark;
  EXPECT_EQ(mark.LinesToCatchUp(2), LogMark::kFirstLines);
  EXPECT_EQ(mark.CatchUp("a\nb\nc\nd", 2), "c\nd");
  EXPECT_EQ(LogMark().CatchUp("a\n", 0), "");
  EXPECT_EQ(LogMark().LinesToCatchUp(5000), 5000);
}

TEST(LogMark, FollowingRepeatsNothing) {
  const std::string log = Lines(1, 20);
  // In pieces of every size.
  for (size_t size = 1; size < 60; size += 7) {
    LogMark mark;
    EXPECT_EQ(mark.CatchUp(log, 3), "18\n19\n20\n");
    EXPECT_EQ(mark.LinesToFollow(), LogMark::kMaxLines) << "the log may be as short as that";
    const std::string all = log + "21\n22\n";
    std::string out;
    for (size_t at = 0; at < all.size(); at += size) out += mark.Follow(all.substr(at, size));
    EXPECT_EQ(out, "21\n22\n") << size;
    EXPECT_EQ(mark.Follow("23\n"), "23\n");
  }
}

TEST(LogMark, ABreakLosesAndRepeatsNothing) {
  struct Case {
    int before, tail, between, while_away;
  };
  for (const Case& c :
       {Case{0, 10, 3, 2}, Case{0, 0, 0, 5}, Case{5, 10, 0, 0}, Case{5, 0, 2, 900},
        Case{500, 100, 3, 8000}, Case{5000, 10, 0, 1}, Case{3000, 2000, 50, 9000}}) {
    SCOPED_TRACE(c.before);
    std::string log = Lines(1, c.before);
    LogMark mark;
    std::string out = mark.CatchUp(Tail(log, mark.LinesToCatchUp(c.tail)), c.tail);
    const auto follow = [&](int more) {
      const auto known = static_cast<int>(std::count(log.begin(), log.end(), '\n'));
      log += Lines(known + 1, known + more);
      out += mark.Follow(Tail(log, mark.LinesToFollow() + more));
    };
    follow(0);
    const int after = c.before + c.between;
    log += Lines(c.before + 1, after);
    out += mark.Follow(Lines(c.before + 1, after));
    log += Lines(after + 1, after + c.while_away);
    out += mark.CatchUp(Tail(log, mark.LinesToCatchUp(c.tail)), c.tail);
    // And some between the two calls.
    const int last = after + c.while_away + 4;
    log += Lines(last - 3, last);
    out += mark.Follow(Tail(log, mark.LinesToFollow()));
    EXPECT_EQ(out, Tail(Lines(1, last), c.tail + last - c.before));
  }
}

TEST(LogMark, ALineThatWasCutByTheBreakGoesOn) {
  LogMark mark;
  EXPECT_EQ(mark.CatchUp("one\ntw", 10), "one\ntw");
  EXPECT_EQ(mark.CatchUp("one\ntwo\nth", 10), "o\nth");
  EXPECT_EQ(mark.Follow("one\ntwo\nthree\n"), "ree\n");
}

TEST(LogMark, WhatIsAlikeIsNotRepeated) {
  LogMark mark;
  const std::string ticks = "tick\ntick\ntick\n";
  EXPECT_EQ(mark.CatchUp(ticks, 10), ticks);
  EXPECT_EQ(mark.CatchUp(ticks + "tock\n", 10), "tock\n");
  LogMark one;
  EXPECT_EQ(one.CatchUp("1\n", 10), "1\n");
  EXPECT_EQ(one.CatchUp("1\n21\n31\n", 10), "21\n31\n") << "the end of a line is not a line";
}

TEST(LogMark, WhatWasRotatedAwayIsNoHindrance) {
  LogMark mark;
  mark.CatchUp(Lines(1, 10), 10);
  // Its begin is gone.
  EXPECT_EQ(mark.CatchUp(Lines(8, 12), 10), "11\n12\n");
  // All of it is gone.
  EXPECT_EQ(mark.CatchUp(Lines(50, 52), 10), Lines(50, 52));
  mark.Lost();
  EXPECT_EQ(mark.Follow("9\n100\n101\n"), "9\n100\n101\n");
  EXPECT_EQ(mark.CatchUp(Lines(60, 102), 10), "102\n");
}

TEST(LogMark, WhereThePlaceIsLostItBeginsAgainWithTheLastLines) {
  LogMark mark;
  mark.CatchUp(Lines(1, 10), 10);
  EXPECT_FALSE(mark.has_skipped());
  mark.Lost();
  EXPECT_EQ(mark.Follow("12"), "12");  // and no whole line
  EXPECT_EQ(mark.CatchUp(Lines(100, 5000), 2), "4999\n5000\n");
  EXPECT_TRUE(mark.has_skipped());
  EXPECT_EQ(mark.CatchUp(Lines(100, 5001), 2), "5001\n");
  EXPECT_FALSE(mark.has_skipped());
  // What it ends with is gone: all is new, and some may be missing.
  EXPECT_EQ(mark.CatchUp(Lines(6000, 6002), 2), Lines(6000, 6002));
  EXPECT_TRUE(mark.has_skipped());
  // Of a log that was empty, all is new.
  LogMark empty;
  empty.CatchUp("", 2);
  EXPECT_EQ(empty.CatchUp(Lines(1, 5), 2), Lines(1, 5));
  EXPECT_FALSE(empty.has_skipped());
}

TEST(LogMark, AsksForFewerWhereItWasTooMuch) {
  LogMark mark;
  EXPECT_TRUE(mark.AskForFewer(100));
  EXPECT_EQ(mark.LinesToCatchUp(100), 250);
  EXPECT_TRUE(mark.AskForFewer(100));
  EXPECT_EQ(mark.LinesToCatchUp(100), 100);
  EXPECT_FALSE(mark.AskForFewer(100));
  EXPECT_EQ(mark.CatchUp(Lines(1, 100), 100), Lines(1, 100));
  EXPECT_EQ(mark.LinesToFollow(), 100) << "the log has more";
  EXPECT_EQ(mark.LinesToCatchUp(100), LogMark::kMaxLines);
}

TEST(LogMark, ItDoesNotGrowForEver) {
  LogMark mark;
  const std::string line(1023, 'x');
  mark.CatchUp("", 10);
  for (int i = 0; i < 4096; ++i) mark.Follow(std::to_string(i) + line + "\n");
  EXPECT_LE(mark.LinesToFollow(), 2048);
  EXPECT_GE(mark.LinesToFollow(), 1000);
}

}  // namespace
}  // namespace remuda::cli
