// Targets and clients that misbehave: what the client sees, what is retried, what is never reused.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/socket.h>

#include <cerrno>
#include <set>

#include "tests/component/proxy/testing/configs.h"
#include "tests/component/proxy/testing/load.h"
#include "tests/component/proxy/testing/proxy_process.h"
#include "tests/component/proxy/testing/raw_target.h"

namespace remuda::proxy::testing {
namespace {

struct BadResponse {
  const char* name;
  const char* bytes;  // then the target closes
  int status;         // what the client gets; 0: the connection is cut
  const char* reason;
};

class BadResponseTest : public ::testing::TestWithParam<BadResponse> {};

TEST_P(BadResponseTest, IsAnsweredAndNotReused) {
  const BadResponse& bad = GetParam();
  ScriptedTarget target([&](const std::string&, RawSocket& connection) {
    connection.Send(bad.bytes);
    return false;
  });
  ServingProxy proxy(ConfigFor({target.port()}));
  RawSocket client = RawSocket::Connect(proxy.Port());
  client.Send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n");
  std::string got = client.ReadMessage();
  while (StatusOf(got) == 103) got = client.ReadMessage();
  EXPECT_EQ(StatusOf(got), bad.status) << got;
  if (bad.status == 502) {
    EXPECT_NE(got.find(std::string("X-Remuda-Reason: ") + bad.reason + "\r\n"), std::string::npos)
        << got;
  }
}

INSTANTIATE_TEST_SUITE_P(
    Targets, BadResponseTest,
    ::testing::Values(
        BadResponse{"Nothing", "", 502, "TargetClosed"},
        BadResponse{"HalfAHead", "HTTP/1.1 200 OK\r\nContent-Le", 502, "TargetClosed"},
        BadResponse{"Garbage", "SSH-2.0-OpenSSH_9.2\r\n\r\n", 502, "TargetBadResponse"},
        BadResponse{"TwoLengths",
                    "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab", 502,
                    "TargetBadResponse"},
        BadResponse{
            "LengthAndChunked",
            "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            502, "TargetBadResponse"},
        BadResponse{"UnaskedUpgrade",
                    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
                    502, "TargetUnaskedUpgrade"},
        BadResponse{"EndlessInterims",
                    "HTTP/1.1 103 a\r\n\r\nHTTP/1.1 103 a\r\n\r\nHTTP/1.1 103 a\r\n\r\nHTTP/1.1 "
                    "103 a\r\n\r\n"
                    "HTTP/1.1 103 a\r\n\r\nHTTP/1.1 103 a\r\n\r\nHTTP/1.1 103 a\r\n\r\nHTTP/1.1 "
                    "103 a\r\n\r\n"
                    "HTTP/1.1 103 a\r\n\r\nHTTP/1.1 103 a\r\n\r\nHTTP/1.1 103 a\r\n\r\nHTTP/1.1 "
                    "103 a\r\n\r\n"
                    "HTTP/1.1 103 a\r\n\r\nHTTP/1.1 103 a\r\n\r\nHTTP/1.1 103 a\r\n\r\nHTTP/1.1 "
                    "103 a\r\n\r\n"
                    "HTTP/1.1 103 a\r\n\r\n",
                    502, "TargetBadResponse"},
        BadResponse{"NoContentWithBody", "HTTP/1.1 204 No Content\r\n\r\nsurprise", 204, ""}),
    [](const auto& param) { return param.param.name; });

TEST(FailureTest, TruncatedBodyCutsTheClientOff) {
  ScriptedTarget target([](const std::string&, RawSocket& connection) {
    connection.Send("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nonly this");
    return false;
  });
  ServingProxy proxy(ConfigFor({target.port()}));
  RawSocket client = RawSocket::Connect(proxy.Port());
  client.Send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  EXPECT_EQ(BodyOf(client.ReadToEnd()), "only this");
}

// The end of the connection would end the body for a client of HTTP/1.0: a reset tells it apart.
TEST(FailureTest, TruncatedBodyOfUnknownLengthResetsTheClient) {
  ScriptedTarget target([](const std::string&, RawSocket& connection) {
    connection.Send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n");
    return false;
  });
  ServingProxy proxy(ConfigFor({target.port()}));
  RawSocket client = RawSocket::Connect(proxy.Port());
  client.Send("GET / HTTP/1.0\r\nHost: a\r\n\r\n");
  char bytes[4096];
  ssize_t got;
  while ((got = recv(client.fd(), bytes, sizeof bytes, 0)) > 0) {
  }
  EXPECT_EQ(got, -1);
  EXPECT_EQ(errno, ECONNRESET);
}

struct BadRequest {
  const char* name;
  std::string bytes;
  int status;
  const char* reason;
};

class BadRequestTest : public ::testing::TestWithParam<BadRequest> {};

TEST_P(BadRequestTest, IsRefusedAndTheConnectionCloses) {
  static ScriptedTarget target(ScriptedTarget::Answers("app"));
  static ProxyProcess proxy(ConfigFor({target.port()}), {"--workers=1"});
  ASSERT_TRUE(proxy.WaitReady());
  const int before = target.requests();
  RawSocket client = RawSocket::Connect(proxy.Port());
  // A request behind a refused one must not be parsed.
  client.Send(GetParam().bytes + "GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n");
  const std::string got = client.ReadMessage();
  EXPECT_EQ(StatusOf(got), GetParam().status) << got;
  EXPECT_NE(got.find(std::string("X-Remuda-Reason: ") + GetParam().reason + "\r\n"),
            std::string::npos)
      << got;
  EXPECT_TRUE(client.WaitClosed());
  EXPECT_EQ(target.requests(), before);
}

INSTANTIATE_TEST_SUITE_P(
    Clients, BadRequestTest,
    ::testing::Values(
        BadRequest{"Smuggling",
                   "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nTransfer-Encoding: "
                   "chunked\r\n\r\n0\r\n\r\n",
                   400, "LengthAndTransferEncoding"},
        BadRequest{"Gzip", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n", 501,
                   "UnknownTransferEncoding"},
        BadRequest{"BareLf", "GET / HTTP/1.1\nHost: a\n\n", 400, "BadLineEnd"},
        BadRequest{"NoHost", "GET / HTTP/1.1\r\n\r\n", 400, "MissingHost"},
        BadRequest{"Trace", "TRACE / HTTP/1.1\r\nHost: a\r\n\r\n", 405, "MethodNotAllowed"},
        BadRequest{"DotDot", "GET /a/%2e%2e/b HTTP/1.1\r\nHost: a\r\n\r\n", 400, "BadPath"},
        BadRequest{"LongLine", "GET /" + std::string(17000, 'a') + " HTTP/1.1\r\n", 414,
                   "RequestLineTooLong"},
        BadRequest{"BadChunk",
                   "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n", 400,
                   "BadChunk"},
        BadRequest{"Http2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 464, "Http2Preface"}),
    [](const auto& param) { return param.param.name; });

TEST(FailureTest, SlowHeadTimesOutWhileOthersAreServed) {
  ScriptedTarget target(ScriptedTarget::Answers("app"));
  ServingProxy proxy(ConfigFor({target.port()}), {"--workers=1", "--head-timeout=300ms"});
  RawSocket slow = RawSocket::Connect(proxy.Port());
  slow.Send("GET / HTTP/1.1\r\nHost:");
  EXPECT_EQ(BodyOf(Get(proxy.Port())), "app");
  EXPECT_EQ(StatusOf(slow.ReadMessage()), 408);
}

TEST(FailureTest, ResponseTimesOutWith504) {
  ScriptedTarget target(ScriptedTarget::NeverAnswers());
  ServingProxy proxy(ConfigFor({target.port()}, "", "    idleTimeout: 1s\n"));
  const std::string got = Get(proxy.Port());
  EXPECT_EQ(StatusOf(got), 504);
  EXPECT_NE(got.find("TargetResponseTimeout"), std::string::npos);
}

TEST(FailureTest, NoTargetIs503) {
  ProxyProcess proxy(ConfigFor({}), {"--workers=1"});
  ASSERT_TRUE(proxy.WaitReady());
  const std::string got = Get(proxy.Port());
  EXPECT_EQ(StatusOf(got), 503);
  EXPECT_NE(got.find("NoRegisteredTarget"), std::string::npos);
}

TEST(FailureTest, ClientThatLeavesIsLoggedAs460) {
  ScriptedTarget target(ScriptedTarget::NeverAnswers());
  ServingProxy proxy(ConfigFor({target.port()}));
  {
    RawSocket client = RawSocket::Connect(proxy.Port());
    client.Send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    ASSERT_TRUE(WaitUntil([&] { return target.requests() == 1; }));
  }
  EXPECT_TRUE(WaitUntil([&] { return proxy.AccessLog().find(" 460 - ") != std::string::npos; }))
      << proxy.AccessLog();
}

// kill -9 of one of two under load: every request that may be repeated is answered.
TEST(FailureTest, KilledTargetCostsNoRequest) {
  ScriptedTarget stays(ScriptedTarget::Answers("stays"));
  auto dies = std::make_unique<ScriptedTarget>(ScriptedTarget::Answers("dies"));
  ServingProxy proxy(ConfigFor({stays.port(), dies->port()}), {"--workers=2"});
  Load load(proxy.Port(), 8);
  EXPECT_TRUE(WaitUntil([&] { return dies->requests() > 100; }));
  dies->Kill();
  EXPECT_TRUE(load.WaitForMore(500));
  load.Stop();
  EXPECT_EQ(load.bad(), 0);
  EXPECT_GT(proxy.Metric("retry_count_total"), 0);
}

// A POST that may have been taken is not sent twice.
TEST(FailureTest, PostIsNotRepeatedOnceSent) {
  ScriptedTarget first([](const std::string&, RawSocket&) { return false; });
  ServingProxy proxy(ConfigFor({first.port()}));
  RawSocket client = RawSocket::Connect(proxy.Port());
  client.Send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc");
  EXPECT_EQ(StatusOf(client.ReadMessage()), 502);
  EXPECT_EQ(first.requests(), 1);
  client.Send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  EXPECT_EQ(StatusOf(client.ReadMessage()), 502);
  EXPECT_EQ(first.requests(), 4);  // three attempts: there is no other target
}

// Nothing of it was sent to a target that refuses, so even a POST goes to another one, and the
// target is out at once.
TEST(FailureTest, RefusedConnectionIsRepeatedElsewhereAndTakesTheTargetOut) {
  ScriptedTarget stays(ScriptedTarget::Answers("stays"));
  auto dies = std::make_unique<ScriptedTarget>(ScriptedTarget::Answers("dies"));
  std::string config = ConfigFor({stays.port(), dies->port()});
  config.replace(config.find("interval: 100ms"), 15, "interval: 300s");  // no check sees it die
  ServingProxy proxy(config);
  dies->Kill();
  RawSocket client = RawSocket::Connect(proxy.Port());
  for (int i = 0; i < 10; ++i) {
    client.Send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc");
    EXPECT_EQ(BodyOf(client.ReadMessage()), "stays");
    client = RawSocket::Connect(proxy.Port());
  }
  EXPECT_EQ(proxy.Metric("target_connection_error_count_total"), 1);
  EXPECT_NE(proxy.Admin("/targets").find("\"passively_out\":true"), std::string::npos);
}

TEST(FailureTest, ChecksTakeTheAnswerBehindInterimOnes) {
  RawTarget target([](RawSocket& connection) {
    connection.ReadUntil("\r\n\r\n");
    connection.Send(
        "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n"
        "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
  });
  ProxyProcess proxy(ConfigFor({target.port()}), {"--workers=1"});
  ASSERT_TRUE(proxy.WaitReady());
  EXPECT_TRUE(proxy.WaitHealthy(1));
}

TEST(FailureTest, UnhealthyTargetLeavesAndAllUnhealthyFailOpen) {
  ScriptedTarget one(ScriptedTarget::Answers("one"));
  ScriptedTarget two(ScriptedTarget::Answers("two"));
  ServingProxy proxy(ConfigFor({one.port(), two.port()}));
  two.SetHealth(503);
  ASSERT_TRUE(proxy.WaitHealthy(1));
  // The page learns the reason a moment later than requests learn that it is out.
  EXPECT_TRUE(WaitUntil([&] {
    return proxy.Admin("/targets").find("Target.ResponseCodeMismatch") != std::string::npos;
  }));
  for (int i = 0; i < 10; ++i) EXPECT_EQ(BodyOf(Get(proxy.Port())), "one");
  one.SetHealth(500);
  ASSERT_TRUE(proxy.WaitHealthy(0));
  std::set<std::string> bodies;
  for (int i = 0; i < 10; ++i) bodies.insert(BodyOf(Get(proxy.Port())));
  EXPECT_EQ(bodies, (std::set<std::string>{"one", "two"}));
}

TEST(StopTest, SigtermFinishesWhatIsInFlight) {
  std::atomic<bool> may_answer{false};
  ScriptedTarget target([&](const std::string&, RawSocket& connection) {
    WaitUntil([&] { return may_answer.load(); });
    return connection.Send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ndone");
  });
  ServingProxy proxy(ConfigFor({target.port()}), {"--workers=2"});
  const uint16_t port = proxy.Port();
  std::vector<RawSocket> idle;  // on both workers, whatever the hash of their ports
  for (int i = 0; i < 16; ++i) idle.push_back(RawSocket::Connect(port));
  ASSERT_TRUE(WaitUntil([&] { return proxy.Metric("active_connection_count") == 16; }));
  RawSocket busy = RawSocket::Connect(port);
  busy.Send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  ASSERT_TRUE(WaitUntil([&] { return target.requests() == 1; }));
  proxy.Signal(SIGTERM);
  for (RawSocket& socket : idle) EXPECT_TRUE(socket.WaitClosed());
  EXPECT_TRUE(WaitUntil([&] { return !RawSocket::Connect(port).is_open(); }));
  may_answer = true;
  const std::string got = busy.ReadMessage();
  EXPECT_EQ(BodyOf(got), "done");
  EXPECT_NE(got.find("Connection: close\r\n"), std::string::npos);
  EXPECT_EQ(proxy.WaitExit(), 0);
}

TEST(StopTest, SecondSignalEndsAtOnce) {
  ScriptedTarget target(ScriptedTarget::NeverAnswers());
  ServingProxy proxy(ConfigFor({target.port()}));
  RawSocket busy = RawSocket::Connect(proxy.Port());
  busy.Send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  ASSERT_TRUE(WaitUntil([&] { return target.requests() == 1; }));
  proxy.Signal(SIGTERM);
  ASSERT_TRUE(WaitUntil([&] { return proxy.Admin("/readyz") == "draining\n"; }));
  proxy.Signal(SIGTERM);
  EXPECT_EQ(proxy.WaitExit(), 1);
}

TEST(ConfigFileTest, MistakesAreNamedAndNothingIsServed) {
  ProxyProcess proxy(
      "loadBalancers: [{ name: shop, listeners: [{ port: 0, defaultAction: { forward: { "
      "targetGroups: "
      "[{ targetGroup: missing }] } } }] }]\n",
      {});
  EXPECT_EQ(proxy.WaitExit(), 1);
}

}  // namespace
}  // namespace remuda::proxy::testing
