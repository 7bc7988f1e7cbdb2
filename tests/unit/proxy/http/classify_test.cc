// What each mode does with requests that are not plainly well formed, and what they are called.
#include "proxy/http/classify.h"

#include <gtest/gtest.h>

#include <string>

#include "proxy/http/framing.h"
#include "proxy/http/head_parser.h"
#include "proxy/http/head_writer.h"
#include "proxy/http/target.h"
#include "tests/unit/proxy/core/print.h"

namespace remuda::proxy::http {
namespace {

struct Case {
  const char* name;
  std::string bytes;
  Classification classification;
  const char* reason;
  // Of what the strictest mode and the others answer; kNone: it passes.
  Reason strictest;
  Reason lenient;
  // In what is forwarded by the lenient modes: must be there, must not.
  const char* forwarded = "";
  const char* not_forwarded = "\x01";
};

struct Outcome {
  Reason reason = Reason::kNone;
  Verdict verdict;
  Framing framing;
  std::string forwarded;
};

Outcome Judge(std::string bytes, DesyncMode mode) {
  Outcome outcome;
  RequestParser parser;
  RequestHead head;
  const ParseStatus status = parser.Parse(bytes.data(), bytes.size(), head);
  outcome.reason = parser.reason();
  if (status == ParseStatus::kDone)
    outcome.reason = DecideRequestFraming(head, outcome.framing, mode);
  if (outcome.reason == Reason::kNone) outcome.reason = CanonicalizeTarget(head, mode);
  outcome.verdict =
      VerdictOf(outcome.reason, status == ParseStatus::kDone ? head.oddity : Oddity::kNone);
  if (outcome.reason != Reason::kNone) return outcome;
  outcome.forwarded.resize(MaxForwardedHeadBytes(bytes.size()));
  outcome.forwarded.resize(WriteRequestHead(head, outcome.framing,
                                            {.fallback_host = "t", .new_trace_id = "1-a-b"},
                                            outcome.forwarded.data(), outcome.forwarded.size()));
  return outcome;
}

class ClassifyTest : public ::testing::TestWithParam<Case> {};

TEST_P(ClassifyTest, IsJudged) {
  const Case& c = GetParam();
  const Outcome strict = Judge(c.bytes, DesyncMode::kStrictest);
  EXPECT_EQ(strict.reason, c.strictest);
  for (const DesyncMode mode :
       {DesyncMode::kStrictest, DesyncMode::kDefensive, DesyncMode::kMonitor}) {
    const Outcome outcome = Judge(c.bytes, mode);
    EXPECT_EQ(NameOf(outcome.verdict.classification), NameOf(c.classification));
    EXPECT_EQ(outcome.verdict.reason, c.reason);
    if (mode == DesyncMode::kStrictest) continue;
    EXPECT_EQ(outcome.reason, c.lenient);
    if (outcome.reason != Reason::kNone) continue;
    EXPECT_NE(outcome.forwarded.find(c.forwarded), std::string::npos) << outcome.forwarded;
    EXPECT_EQ(outcome.forwarded.find(c.not_forwarded), std::string::npos) << outcome.forwarded;
    // What a target gets is plain: the strictest mode finds nothing to say against it but that a
    // GET has a body.
    const Outcome again = Judge(outcome.forwarded, DesyncMode::kStrictest);
    EXPECT_EQ(again.reason, Reason::kNone) << outcome.forwarded;
    EXPECT_LE(again.verdict.classification, Classification::kAcceptable);
    EXPECT_EQ(again.framing.kind, outcome.framing.kind);
    EXPECT_EQ(again.framing.length, outcome.framing.length);
  }
}

std::string Get(const std::string& fields, const std::string& target = "/") {
  return "GET " + target + " HTTP/1.1\r\nHost: a\r\n" + fields + "\r\n";
}
std::string Post(const std::string& fields, const std::string& version = "1.1") {
  return "POST / HTTP/" + version + "\r\nHost: a\r\n" + fields + "\r\n";
}

constexpr Classification kCompliant = Classification::kCompliant;
constexpr Classification kAcceptable = Classification::kAcceptable;
constexpr Classification kAmbiguous = Classification::kAmbiguous;
constexpr Classification kSevere = Classification::kSevere;
constexpr Reason kNone = Reason::kNone;

INSTANTIATE_TEST_SUITE_P(
    Table, ClassifyTest,
    ::testing::Values(
        Case{"Plain", Get(""), kCompliant, "", kNone, kNone},
        Case{"PlainPost", Post("Content-Length: 3\r\n"), kCompliant, "", kNone, kNone},
        Case{"ChunkedCase", Post("Transfer-Encoding: ChUnKeD\r\n"), kCompliant, "", kNone, kNone,
             "Transfer-Encoding: chunked\r\n"},
        Case{"EmptyValue", Get("X-Empty:\r\n"), kCompliant, "", kNone, kNone, "X-Empty: \r\n"},
        Case{"Latin1Value", Get("X-Name: caf\xe9\r\n"), kCompliant, "", kNone, kNone},
        Case{"GetZeroLength", Get("Content-Length: 0\r\n"), kAcceptable, "GetHeadZeroContentLength",
             kNone, kNone},
        Case{"GetWithLength", Get("Content-Length: 3\r\n"), kAcceptable,
             "UndefinedContentLengthSemantics", kNone, kNone, "Content-Length: 3\r\n"},
        Case{"GetChunked", Get("Transfer-Encoding: chunked\r\n"), kAcceptable,
             "UndefinedTransferEncodingSemantics", kNone, kNone, "Transfer-Encoding: chunked\r\n"},
        Case{"UnderscoreFraming", Post("Content_Length: 3\r\nTransfer_Encoding: chunked\r\n"),
             kSevere, "SuspiciousTeClPresent", Reason::kLengthAndTransferEncoding,
             Reason::kLengthAndTransferEncoding},
        Case{"UnderscoreLength", Post("Content_Length: 3\r\n"), kAmbiguous, "SuspiciousHeader",
             Reason::kSuspiciousFieldName, kNone, "Content-Length: 0\r\n", "_"},
        Case{"ManyHyphens", Post("Transfer---Encoding: chunked\r\n"), kAmbiguous,
             "SuspiciousHeader", Reason::kSuspiciousFieldName, kNone, "Content-Length: 0\r\n",
             "---"},
        Case{"NoHyphen", Get("TransferEncoding: chunked\r\n"), kAmbiguous, "SuspiciousHeader",
             Reason::kSuspiciousFieldName, kNone, "", "TransferEncoding"},
        Case{"HyphenInFront", Get("-content.length: 3\r\n"), kAmbiguous, "SuspiciousHeader",
             Reason::kSuspiciousFieldName, kNone, "", "content"},
        Case{"SuspiciousEncodingAndLength",
             Post("Transfer_Encoding: chunked\r\nContent-Length: 3\r\n"), kSevere,
             "SuspiciousTeClPresent", Reason::kLengthAndTransferEncoding,
             Reason::kLengthAndTransferEncoding},
        Case{"SuspiciousLengthAndChunked",
             Post("Content--Length: 3\r\nTransfer-Encoding: chunked\r\n"), kSevere,
             "SuspiciousTeClPresent", Reason::kLengthAndTransferEncoding,
             Reason::kLengthAndTransferEncoding},
        Case{"TwoSuspiciousLengths", Post("Content_Length: 9\r\nContent-Length: 3\r\n"), kAmbiguous,
             "SuspiciousHeader", Reason::kSuspiciousFieldName, kNone, "Content-Length: 3\r\n", "_"},
        Case{"LikeFramingButNot", Get("Content-Lengths: 3\r\nX-Content-Length: 3\r\n"), kCompliant,
             "", kNone, kNone, "X-Content-Length: 3\r\n"},
        Case{"OtherUnderscore", Post("X_Mine: 3\r\n"), kCompliant, "", kNone, kNone, "", "X_Mine"},
        Case{"EqualLengths", Post("Content-Length: 3\r\nContent-Length: 3\r\n"), kAmbiguous,
             "DuplicateContentLength", Reason::kRepeatedContentLength, kNone,
             "Content-Length: 3\r\n\r\n", "3\r\nContent-Length"},
        Case{"UnequalLengths", Post("Content-Length: 3\r\nContent-Length: 4\r\n"), kSevere,
             "MultipleContentLength", Reason::kRepeatedContentLength,
             Reason::kRepeatedContentLength},
        Case{"LengthList", Post("Content-Length: 3, 3\r\n"), kSevere, "BadContentLength",
             Reason::kBadContentLength, Reason::kBadContentLength},
        Case{"LeadingZero", Post("Content-Length: 003\r\n"), kSevere, "BadContentLength",
             Reason::kBadContentLength, Reason::kBadContentLength},
        Case{"LengthAndChunked", Post("Content-Length: 3\r\nTransfer-Encoding: chunked\r\n"),
             kAmbiguous, "BothTeClPresent", Reason::kLengthAndTransferEncoding, kNone,
             "Transfer-Encoding: chunked\r\n", "Content-Length"},
        Case{"GetLengthAndChunked", Get("Transfer-Encoding: chunked\r\nContent-Length: 3\r\n"),
             kAmbiguous, "BothTeClPresent", Reason::kLengthAndTransferEncoding, kNone,
             "Transfer-Encoding: chunked\r\n", "Content-Length"},
        Case{"LengthAndOddCoding", Post("Content-Length: 3\r\nTransfer-Encoding: xchunked\r\n"),
             kSevere, "SuspiciousTeClPresent", Reason::kLengthAndTransferEncoding,
             Reason::kLengthAndTransferEncoding},
        Case{"OddLengthAndChunked", Post("Content-Length: +3\r\nTransfer-Encoding: chunked\r\n"),
             kSevere, "SuspiciousTeClPresent", Reason::kLengthAndTransferEncoding,
             Reason::kLengthAndTransferEncoding},
        Case{"BothInHttp10", Post("Content-Length: 3\r\nTransfer-Encoding: chunked\r\n", "1.0"),
             kSevere, "SuspiciousTeClPresent", Reason::kLengthAndTransferEncoding,
             Reason::kLengthAndTransferEncoding},
        Case{"ChunkedInHttp10", Post("Transfer-Encoding: chunked\r\n", "1.0"), kSevere,
             "UndefinedTransferEncodingSemantics", Reason::kChunkedInHttp10,
             Reason::kChunkedInHttp10},
        Case{"EqualLengthsAndChunked",
             Post("Content-Length: 3\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n"),
             kSevere, "MultipleContentLength", Reason::kRepeatedContentLength,
             Reason::kRepeatedContentLength},
        Case{"ChunkedTwice", Post("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n"),
             kSevere, "MultipleTransferEncodingChunked", Reason::kRepeatedTransferEncoding,
             Reason::kRepeatedTransferEncoding},
        Case{"UnknownCoding", Post("Transfer-Encoding: gzip\r\n"), kSevere, "BadTransferEncoding",
             Reason::kUnknownTransferEncoding, Reason::kUnknownTransferEncoding},
        Case{"SpaceBeforeColon", Post("Content-Length : 3\r\n"), kSevere, "BadHeader",
             Reason::kBadFieldName, Reason::kBadFieldName},
        Case{"BareLf", "GET / HTTP/1.1\nHost: a\n\n", kSevere, "BadHeader", Reason::kBadLineEnd,
             Reason::kBadLineEnd},
        Case{"Folded", Get("X-A: b\r\n c\r\n"), kSevere, "BadHeader", Reason::kFoldedLine,
             Reason::kFoldedLine},
        Case{"NulInValue", Get(std::string("X-A: b\0c\r\n", 10)), kSevere, "BadHeader",
             Reason::kBadFieldValue, Reason::kBadFieldValue},
        Case{"NoHost", "GET / HTTP/1.1\r\n\r\n", kSevere, "BadHeader", Reason::kMissingHost,
             Reason::kMissingHost},
        Case{"SpaceInTarget", "GET /a b HTTP/1.1\r\nHost: a\r\n\r\n", kSevere, "BadUri",
             Reason::kBadRequestLine, Reason::kBadRequestLine},
        Case{"ControlInTarget", "GET /a\x01 HTTP/1.1\r\nHost: a\r\n\r\n", kSevere, "BadUri",
             Reason::kBadTarget, Reason::kBadTarget},
        Case{"BadMethod", "G(T / HTTP/1.1\r\nHost: a\r\n\r\n", kSevere, "BadMethod",
             Reason::kBadMethod, Reason::kBadMethod},
        Case{"BadVersion", "GET / HTTP/2.7\r\nHost: a\r\n\r\n", kSevere, "BadVersion",
             Reason::kBadVersion, Reason::kBadVersion},
        Case{"OtherAuthority", Get("", "http://b.test/x"), kAmbiguous, "AmbiguousUri",
             Reason::kHostMismatch, kNone, "GET /x HTTP/1.1\r\nHost: b.test\r\n", "Host: a"},
        Case{"DotDot", Get("", "/a/../b"), kAmbiguous, "AmbiguousUri", Reason::kBadPath, kNone,
             "GET /b HTTP/1.1"},
        Case{"EscapedDotDot", Get("", "/a/b/%2e%2E/c%20?x=/../"), kAmbiguous, "AmbiguousUri",
             Reason::kBadPath, kNone, "GET /a/c%20?x=/../ HTTP/1.1"},
        Case{"EscapedSlash", Get("", "/a%2fb"), kSevere, "BadUri", Reason::kBadPath,
             Reason::kBadPath},
        Case{"Dot", Get("", "/a/./b/."), kAmbiguous, "AmbiguousUri", Reason::kBadPath, kNone,
             "GET /a/b/ HTTP/1.1"},
        Case{"DotDotAtTheEnd", Get("", "/a/b/.."), kAmbiguous, "AmbiguousUri", Reason::kBadPath,
             kNone, "GET /a/ HTTP/1.1"},
        Case{"DotDotAfterEmpty", Get("", "/a//../b"), kAmbiguous, "AmbiguousUri", Reason::kBadPath,
             kNone, "GET /b HTTP/1.1"},
        Case{"AboveTheRoot", Get("", "/a/../../b"), kSevere, "BadUri", Reason::kBadPath,
             Reason::kBadPath},
        Case{"Backslash", Get("", "/a\\b"), kSevere, "BadUri", Reason::kBadPath, Reason::kBadPath},
        Case{"EscapedNul", Get("", "/a%00"), kSevere, "BadUri", Reason::kBadPath, Reason::kBadPath},
        Case{"BadEscape", Get("", "/../a%zz"), kSevere, "BadUri", Reason::kBadPath,
             Reason::kBadPath},
        Case{"Dots", Get("", "/.../.a/a."), kCompliant, "", kNone, kNone, "GET /.../.a/a. HTTP"},
        // Not the request's fault, or only too much of it.
        Case{"Trace", "TRACE / HTTP/1.1\r\nHost: a\r\n\r\n", kCompliant, "",
             Reason::kMethodNotAllowed, Reason::kMethodNotAllowed}),
    [](const auto& param) { return param.param.name; });

TEST(Classify, UnexpectedBodiesAreMarked) {
  EXPECT_TRUE(
      Judge(Get("Content-Length: 3\r\n"), DesyncMode::kStrictest).framing.is_body_unexpected);
  EXPECT_TRUE(Judge(Get("Transfer-Encoding: chunked\r\n"), DesyncMode::kStrictest)
                  .framing.is_body_unexpected);
  EXPECT_FALSE(
      Judge(Get("Content-Length: 0\r\n"), DesyncMode::kStrictest).framing.is_body_unexpected);
  for (const char* method : {"DELETE", "OPTIONS", "SEARCH"}) {
    const std::string bytes = std::string(method) + " / HTTP/1.1\r\nHost: a\r\n";
    EXPECT_TRUE(Judge(bytes + "Content-Length: 3\r\n\r\n", DesyncMode::kStrictest)
                    .framing.is_body_unexpected);
    EXPECT_FALSE(Judge(bytes + "\r\n", DesyncMode::kStrictest).framing.is_body_unexpected);
  }
  EXPECT_FALSE(
      Judge(Post("Content-Length: 3\r\n"), DesyncMode::kStrictest).framing.is_body_unexpected);
}

// A path that is refused is left as it came, for the log.
TEST(Classify, RefusedPathsAreNotRewritten) {
  std::string bytes = Get("", "/a%2fb/%2e%2e/%41/%zz");
  RequestParser parser;
  RequestHead head;
  ASSERT_EQ(parser.Parse(bytes.data(), bytes.size(), head), ParseStatus::kDone);
  EXPECT_EQ(CanonicalizeTarget(head, DesyncMode::kDefensive), Reason::kBadPath);
  EXPECT_EQ(head.path, "/a%2fb/%2e%2e/%41/%zz");
}

}  // namespace
}  // namespace remuda::proxy::http
