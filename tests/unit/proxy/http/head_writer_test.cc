#include "proxy/http/head_writer.h"

#include <gtest/gtest.h>

#include <fstream>
#include <iterator>
#include <string>

#include "proxy/http/target.h"
#include "proxy/http/trace.h"

namespace remuda::proxy::http {
namespace {

constexpr std::string_view kId = "1-5759e988-bd862e3fe1be46a994272793";

// What goes to the target for `request`.
std::string Forward(std::string request, ForwardedInfo info = {}) {
  RequestParser parser;
  RequestHead head;
  Framing framing;
  EXPECT_EQ(parser.Parse(request.data(), request.size(), head), ParseStatus::kDone);
  EXPECT_EQ(DecideRequestFraming(head, framing), Reason::kNone);
  EXPECT_EQ(CanonicalizeTarget(head), Reason::kNone);
  if (info.client_address.empty()) info.client_address = "192.0.2.7";
  info.port = 8080;
  info.fallback_host = "10.0.0.1:80";
  info.new_trace_id = kId;
  std::string out(MaxForwardedHeadBytes(request.size()), '\0');
  out.resize(WriteRequestHead(head, framing, info, out.data(), out.size()));
  return out;
}

const std::string kForwarded =
    "X-Forwarded-For: 192.0.2.7\r\nX-Forwarded-Proto: http\r\nX-Forwarded-Port: "
    "8080\r\nX-Amzn-Trace-Id: Root=" +
    std::string(kId) + "\r\n";

TEST(RequestHeadWriter, MakesTheHeadAnew) {
  EXPECT_EQ(Forward("GET /a HTTP/1.1\r\nAccept: x\r\nHost: shop\r\n\r\n"),
            "GET /a HTTP/1.1\r\nHost: shop\r\nAccept: x\r\n" + kForwarded + "\r\n");
  EXPECT_EQ(Forward("GET /a HTTP/1.0\r\n\r\n"),
            "GET /a HTTP/1.1\r\nHost: 10.0.0.1:80\r\n" + kForwarded + "\r\n");
}

// Fields that came as they are written are copied together; whatever lies between them that is not
// theirs must not be.
TEST(RequestHeadWriter, CopiesRunsOfFieldsAndNothingBetween) {
  const std::string head = "GET / HTTP/1.1\r\nHost: a\r\n";
  const struct {
    std::string fields;
    std::string forwarded;
  } cases[] = {
      {"A: 1\r\nB: 2\r\nC: 3\r\n", "A: 1\r\nB: 2\r\nC: 3\r\n"},
      {"A:1\r\nB: 2\r\nC:\t3\r\n", "A: 1\r\nB: 2\r\nC: 3\r\n"},
      {"A: 1 \r\nB:  2\r\nC: 3\t\r\n", "A: 1\r\nB: 2\r\nC: 3\r\n"},
      {"A: \r\nB:\r\nC: 3\r\n", "A: \r\nB: \r\nC: 3\r\n"},
      {"A: 1\r\nContent-Length: 0\r\nC: 3\r\n", "A: 1\r\nC: 3\r\n"},
      {"A: 1\r\nB_b: 2\r\nC: 3\r\nD: 4\r\n", "A: 1\r\nC: 3\r\nD: 4\r\n"},
      {"Connection: b\r\nA: 1\r\nB: 2\r\nC: 3\r\n", "A: 1\r\nC: 3\r\n"},
  };
  for (const auto& c : cases) {
    const std::string out = Forward(head + c.fields + "\r\n");
    EXPECT_EQ(out.substr(0, head.size() + c.forwarded.size() + 13),
              head + c.forwarded + "X-Forwarded-F")
        << c.fields;
  }
}

TEST(RequestHeadWriter, EmitsOneFraming) {
  EXPECT_EQ(Forward("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 7\r\n\r\n"),
            "POST / HTTP/1.1\r\nHost: a\r\n" + kForwarded + "Content-Length: 7\r\n\r\n");
  EXPECT_EQ(Forward("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: Chunked\r\n\r\n"),
            "POST / HTTP/1.1\r\nHost: a\r\n" + kForwarded + "Transfer-Encoding: chunked\r\n\r\n");
  EXPECT_EQ(Forward("POST / HTTP/1.1\r\nHost: a\r\n\r\n"),
            "POST / HTTP/1.1\r\nHost: a\r\n" + kForwarded + "Content-Length: 0\r\n\r\n");
}

TEST(RequestHeadWriter, ForwardedForModes) {
  const std::string request =
      "GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 1.1.1.1\r\nX-Forwarded-For: 2.2.2.2\r\n\r\n";
  EXPECT_NE(Forward(request).find("X-Forwarded-For: 1.1.1.1, 2.2.2.2, 192.0.2.7\r\n"),
            std::string::npos);
  EXPECT_NE(Forward(request, {.rules = {.forwarded_for = ForwardedForMode::kPreserve}})
                .find("X-Forwarded-For: 1.1.1.1, 2.2.2.2\r\n"),
            std::string::npos);
  EXPECT_EQ(Forward(request, {.rules = {.forwarded_for = ForwardedForMode::kRemove}})
                .find("X-Forwarded-For"),
            std::string::npos);
}

TEST(RequestHeadWriter, ForwardedForCanNameTheClientsPort) {
  ForwardedInfo info{.client_port = 4711, .rules = {.with_client_port = true}};
  const std::string request = "GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 1.1.1.1\r\n\r\n";
  EXPECT_NE(Forward(request, info).find("X-Forwarded-For: 1.1.1.1, 192.0.2.7:4711\r\n"),
            std::string::npos);
  info.client_address = "2001:db8::1";
  EXPECT_NE(Forward(request, info).find("X-Forwarded-For: 1.1.1.1, [2001:db8::1]:4711\r\n"),
            std::string::npos);
  info.rules.forwarded_for = ForwardedForMode::kPreserve;
  EXPECT_NE(Forward(request, info).find("X-Forwarded-For: 1.1.1.1\r\n"), std::string::npos);
}

TEST(RequestHeadWriter, InvalidNamesCanBeDropped) {
  const std::string request =
      "GET / HTTP/1.1\r\nHost: a\r\nX.Dot: 1\r\nX-Good-1: 2\r\nX!: 3\r\nX_Low: 4\r\n\r\n";
  const std::string all = Forward(request);
  EXPECT_NE(all.find("X.Dot: 1\r\nX-Good-1: 2\r\nX!: 3\r\n"), std::string::npos) << all;
  const std::string some = Forward(request, {.rules = {.drops_invalid_names = true}});
  EXPECT_NE(some.find("Host: a\r\nX-Good-1: 2\r\nX-Forwarded-For"), std::string::npos) << some;
}

constexpr const char* kGoodParent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

TEST(RequestHeadWriter, TraceparentIsMadeOnlyWhereThereIsNoneOfUse) {
  const std::string good = std::string("traceparent: ") + kGoodParent + "\r\n";
  const std::string state = "tracestate: a=b\r\n";
  const std::string made =
      "traceparent: 00-5759e988bd862e3fe1be46a994272793-00000000000000ff-01\r\n";
  const ForwardedInfo makes{.rules = {.makes_traceparent = true}, .span_id = 255};
  struct Case {
    std::string fields;
    bool is_replaced;
  };
  for (const Case& c :
       {Case{"", true}, Case{good, false}, Case{good + state, false}, Case{state, true},
        Case{good + good, true}, Case{"traceparent: 00-0-0-01\r\n" + state, true}}) {
    const std::string request = "GET / HTTP/1.1\r\nHost: a\r\n" + c.fields + "\r\n";
    const std::string out = Forward(request, makes);
    EXPECT_EQ(out.find(made) != std::string::npos, c.is_replaced) << out;
    EXPECT_EQ(out.find(good) != std::string::npos, !c.is_replaced) << out;
    EXPECT_EQ(out.find(state) != std::string::npos,
              !c.is_replaced && c.fields.find(state) != std::string::npos)
        << out;
    // Otherwise all of it passes as it came.
    EXPECT_NE(Forward(request).find("Host: a\r\n" + c.fields + "X-Forwarded-For"),
              std::string::npos);
  }
}

TEST(Traceparent, Grammar) {
  EXPECT_TRUE(IsTraceparent(kGoodParent));
  const std::string good = kGoodParent;
  EXPECT_TRUE(IsTraceparent("cc" + good.substr(2) + "-what-the-future-will-be-like"));
  for (const std::string& bad :
       {std::string(), good.substr(1), good + "-x", "ff" + good.substr(2),
        "cc" + good.substr(2) + ".",
        std::string("00-00000000000000000000000000000000-00f067aa0ba902b7-01"),
        std::string("00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01"),
        std::string("00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01"),
        std::string("00-4bf92f3577b34da6a3ce929d0e0e4736.00f067aa0ba902b7-01"),
        std::string("00-4bf92f3577b34da6a3ce929d0e0e473g-00f067aa0ba902b7-01")}) {
    EXPECT_FALSE(IsTraceparent(bad)) << bad;
  }
}

TEST(RequestHeadWriter, TraceIdGetsASelfWhenThereIsARoot) {
  const std::string id(kId);
  const std::pair<std::string, std::string> cases[] = {
      {"Root=1-a-b", "Self=" + id + ";Root=1-a-b"},
      {"Self=old;Root=1-a-b;x=y", "Self=" + id + ";Root=1-a-b;x=y"},
      {"x=y", "Root=" + id + ";x=y"},
  };
  for (const auto& [in, out] : cases) {
    EXPECT_NE(Forward("GET / HTTP/1.1\r\nHost: a\r\nX-Amzn-Trace-Id: " + in + "\r\n\r\n")
                  .find("X-Amzn-Trace-Id: " + out + "\r\n"),
              std::string::npos)
        << in;
  }
}

TEST(RequestHeadWriter, SaysWhenItDoesNotFit) {
  std::string request = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
  RequestParser parser;
  RequestHead head;
  ASSERT_EQ(parser.Parse(request.data(), request.size(), head), ParseStatus::kDone);
  ASSERT_EQ(CanonicalizeTarget(head), Reason::kNone);
  char small[40];
  EXPECT_EQ(WriteRequestHead(head, Framing(), {}, small, sizeof small), 0U);
}

TEST(ResponseHeadWriter, DropsTheTargetsFramingAndOurOwnName) {
  const std::string response =
      "HTTP/1.1 200 Fine\r\nServer: x\r\nTransfer-Encoding: chunked\r\nConnection: "
      "close\r\nX-Remuda-Reason: Spoofed\r\n\r\n";
  ResponseParser parser;
  ResponseHead head;
  Framing framing;
  ASSERT_EQ(parser.Parse(response.data(), response.size(), head), ParseStatus::kDone);
  ASSERT_EQ(DecideResponseFraming(head, Method::kGet, framing), Reason::kNone);
  char out[500];
  const size_t size =
      WriteResponseHead(head, {.has_length = true, .length = 4, .close = true}, out, sizeof out);
  EXPECT_EQ(std::string(out, size),
            "HTTP/1.1 200 Fine\r\nServer: x\r\nContent-Length: 4\r\nConnection: close\r\n\r\n");
}

TEST(OwnAnswerWriter, NamesTheReason) {
  char out[500];
  const size_t size = WriteOwnAnswer(
      {.status = 503, .reason = "NoRegisteredTarget", .body = "sorry"}, out, sizeof out);
  EXPECT_EQ(std::string(out, size),
            "HTTP/1.1 503 Service Unavailable\r\nServer: remuda\r\nX-Remuda-Reason: "
            "NoRegisteredTarget\r\n"
            "Content-Type: text/plain; charset=utf-8\r\nContent-Length: 5\r\n\r\nsorry");
}

TEST(ChunkHeadWriter, WritesHex) {
  char out[kMaxChunkHeadBytes];
  EXPECT_EQ(std::string(out, WriteChunkHead(26, out)), "1a\r\n");
  EXPECT_EQ(std::string(out, WriteChunkHead(~uint64_t{0}, out)), "ffffffffffffffff\r\n");
}

TEST(Reasons, HaveNamesAndCodesAndAreDocumented) {
  std::ifstream docs(REMUDA_SOURCE_DIR "/docs/proxy.md");
  const std::string text{std::istreambuf_iterator<char>(docs), {}};
  ASSERT_FALSE(text.empty());
  for (size_t i = 1; i < static_cast<size_t>(Reason::kCount); ++i) {
    const auto reason = static_cast<Reason>(i);
    EXPECT_FALSE(NameOf(reason).empty()) << i;
    EXPECT_NE(PhraseOf(StatusOf(reason)), "Unknown") << NameOf(reason);
    EXPECT_NE(text.find(NameOf(reason)), std::string::npos)
        << NameOf(reason) << " is missing in docs/proxy.md";
  }
}

}  // namespace
}  // namespace remuda::proxy::http
