// The Date of messages, and what is said of bad ones.
#include <gtest/gtest.h>

#include <string>

#include "proxy/http/date.h"
#include "proxy/http/message_fault.h"
#include "tests/unit/proxy/core/print.h"

namespace remuda::proxy::http {
namespace {

TEST(DateText, IsThatOfItsSecond) {
  DateText date;
  EXPECT_EQ(date.At(784111777999999), "Sun, 06 Nov 1994 08:49:37 GMT");  // RFC 9110's example
  EXPECT_EQ(date.At(784111777000000), "Sun, 06 Nov 1994 08:49:37 GMT");
  EXPECT_EQ(date.At(784111778000000), "Sun, 06 Nov 1994 08:49:38 GMT");
  EXPECT_EQ(date.At(0), "Thu, 01 Jan 1970 00:00:00 GMT");
  EXPECT_EQ(date.At(1709251199000000), "Thu, 29 Feb 2024 23:59:59 GMT");
}

TEST(MessageFault, SaysRuleAndPlace) {
  MessageFault fault;
  EXPECT_FALSE(fault.is_set());
  char raw[MessageFault::kMaxDescriptionBytes];
  char escaped[MessageFault::kMaxEscapedBytes];
  fault.Set(Reason::kRepeatedContentLength, FieldOf(Reason::kRepeatedContentLength));
  EXPECT_EQ(fault.Describe(raw), "RepeatedContentLength: Content-Length");
  fault.Set(Reason::kBadChunk, "");
  EXPECT_EQ(fault.Describe(raw), "BadChunk");
  fault.Set(Reason::kBadFieldName, "X\r\n\\\xff");
  EXPECT_EQ(fault.Describe(raw), "BadFieldName: X\r\n\\\xff");
  EXPECT_EQ(fault.Escape(escaped), "BadFieldName: X\\x0d\\x0a\\x5c\\xff");
}

// The longest of both fits.
TEST(MessageFault, IsBounded) {
  for (size_t i = 1; i < static_cast<size_t>(Reason::kCount); ++i) {
    MessageFault fault;
    fault.Set(static_cast<Reason>(i), std::string(1000, '\x01'));
    EXPECT_EQ(fault.text().size(), MessageFault::kMaxTextBytes);
    char raw[MessageFault::kMaxDescriptionBytes];
    char escaped[MessageFault::kMaxEscapedBytes];
    EXPECT_LE(fault.Describe(raw).size(), sizeof raw);
    EXPECT_LE(fault.Escape(escaped).size(), sizeof escaped);
  }
}

}  // namespace
}  // namespace remuda::proxy::http
