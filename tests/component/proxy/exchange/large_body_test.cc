// Bodies that are too large for the proxy's blocks: they pass through a pipe (splice), where
// nothing of one message may come to another.
#include <gtest/gtest.h>

#include <thread>

#include "tests/component/proxy/testing/configs.h"
#include "tests/component/proxy/testing/proxy_process.h"

namespace remuda::proxy::testing {
namespace {

constexpr size_t kLargeBytes = 3 * 1024 * 1024 + 17;

// A body whose every place tells which body it is of and where it is.
std::string Pattern(const std::string& name, size_t size) {
  std::string body;
  for (size_t line = 0; body.size() < size; ++line) body += name + std::to_string(line) + "\n";
  body.resize(size);
  return body;
}

std::string Head(size_t length) {
  return "HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(length) + "\r\n\r\n";
}

// Answers GET /NAME with Pattern(NAME).
ScriptedTarget::Script AnswersPatterns() {
  return [](const std::string& head, RawSocket& connection) {
    const std::string name = head.substr(5, head.find(' ', 5) - 5);
    return connection.Send(Head(kLargeBytes) + Pattern(name, kLargeBytes));
  };
}

struct Scene {
  explicit Scene(ScriptedTarget::Script script)
      : target(std::move(script)), proxy(ConfigFor({target.port()})) {}
  RawSocket Ask(const std::string& name) {
    RawSocket client = RawSocket::Connect(proxy.Port());
    client.Send("GET /" + name + " HTTP/1.1\r\nHost: a\r\n\r\n");
    return client;
  }

  ScriptedTarget target;
  ServingProxy proxy;
};

TEST(LargeBodyTest, ComesWholeAndBothConnectionsAreKept) {
  Scene s(AnswersPatterns());
  RawSocket client = RawSocket::Connect(s.proxy.Port());
  for (const std::string name : {"one", "two", "three"}) {
    client.Send("GET /" + name + " HTTP/1.1\r\nHost: a\r\n\r\n");
    ASSERT_TRUE(BodyOf(client.ReadMessage()) == Pattern(name, kLargeBytes)) << name;
  }
  EXPECT_EQ(s.proxy.Metric("target_connections_made_total"), 1);
  EXPECT_EQ(s.proxy.Metric("target_connections_reused_total"), 2);
  EXPECT_GE(s.proxy.Metric("processed_bytes_total{direction=\"sent\"}"), 3.0 * kLargeBytes);
}

// Says what it got: its size, and whether it is Pattern(NAME) for POST /NAME.
ScriptedTarget::Script TakesPatterns() {
  return [](const std::string& head, RawSocket& connection) {
    const size_t at = head.find("Content-Length: ");
    const size_t size =
        at == std::string::npos ? 0 : std::strtoul(head.c_str() + at + 16, nullptr, 10);
    const std::string body = connection.ReadBytes(size);
    const std::string name = head.substr(6, head.find(' ', 6) - 6);
    const std::string said =
        std::to_string(body.size()) + (body == Pattern(name, size) ? " right" : " wrong");
    return connection.Send(Head(said.size()) + said);
  };
}

std::string Post(const std::string& name, size_t size) {
  return "POST /" + name + " HTTP/1.1\r\nHost: a\r\nContent-Length: " + std::to_string(size) +
         "\r\n\r\n";
}

// The next request follows at once, behind the body.
TEST(LargeBodyTest, UploadsArriveWholeAndBothConnectionsAreKept) {
  Scene s(TakesPatterns());
  RawSocket client = RawSocket::Connect(s.proxy.Port());
  std::thread sender([&] {
    for (const std::string name : {"one", "two", "three"})
      client.Send(Post(name, kLargeBytes) + Pattern(name, kLargeBytes));
    client.Send("GET /last HTTP/1.1\r\nHost: a\r\n\r\n");
  });
  for (int i = 0; i < 3; ++i)
    EXPECT_EQ(BodyOf(client.ReadMessage()), std::to_string(kLargeBytes) + " right") << i;
  EXPECT_EQ(BodyOf(client.ReadMessage()), "0 right");
  sender.join();
  EXPECT_EQ(s.proxy.Metric("target_connections_made_total"), 1);
  EXPECT_GE(s.proxy.Metric("processed_bytes_total{direction=\"received\"}"), 3.0 * kLargeBytes);
}

TEST(LargeBodyTest, NothingOfAnAbandonedUploadReachesAnother) {
  Scene s(TakesPatterns());
  for (int round = 0; round < 20; ++round) {
    RawSocket leaver = RawSocket::Connect(s.proxy.Port());
    ASSERT_TRUE(leaver.Send(Post("secret", kLargeBytes) + Pattern("secret", kLargeBytes / 2)));
    leaver.Reset();
    const std::string name = "round" + std::to_string(round) + "x";
    RawSocket client = RawSocket::Connect(s.proxy.Port());
    ASSERT_TRUE(client.Send(Post(name, kLargeBytes) + Pattern(name, kLargeBytes)));
    ASSERT_EQ(BodyOf(client.ReadMessage()), std::to_string(kLargeBytes) + " right") << round;
  }
}

// It has answered and reads no more: the client gets that answer, and the rest goes nowhere.
TEST(LargeBodyTest, UploadThatTheTargetCutsOffIsAnsweredEarly) {
  Scene s([](const std::string&, RawSocket& connection) {
    connection.Send("HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno");
    return false;
  });
  RawSocket client = RawSocket::Connect(s.proxy.Port());
  client.Send(Post("any", kLargeBytes) + Pattern("any", kLargeBytes / 2));
  EXPECT_EQ(StatusOf(client.ReadMessage()), 403);
  EXPECT_TRUE(client.WaitClosed());
}

// What a client left in a pipe must not reach the next one.
TEST(LargeBodyTest, NothingOfAnAbandonedBodyReachesAnother) {
  Scene s(AnswersPatterns());
  for (int round = 0; round < 20; ++round) {
    RawSocket leaver = s.Ask("secret");
    EXPECT_FALSE(leaver.ReadUntil("secret100\n").empty());
    leaver.Reset();
    const std::string name = "round" + std::to_string(round) + "x";
    ASSERT_TRUE(BodyOf(s.Ask(name).ReadMessage()) == Pattern(name, kLargeBytes)) << round;
  }
}

// Two clients that stop reading hold a pipe each, full; a third is served meanwhile, and they get
// all of theirs later.
TEST(LargeBodyTest, ClientsThatDoNotReadHoldUpNobodyElse) {
  Scene s(AnswersPatterns());
  RawSocket slow_one = s.Ask("slow-one");
  RawSocket slow_two = s.Ask("slow-two");
  ASSERT_TRUE(WaitUntil([&] { return s.target.requests() >= 2; }));
  EXPECT_TRUE(BodyOf(s.Ask("quick").ReadMessage()) == Pattern("quick", kLargeBytes));
  EXPECT_TRUE(BodyOf(slow_two.ReadMessage()) == Pattern("slow-two", kLargeBytes));
  EXPECT_TRUE(BodyOf(slow_one.ReadMessage()) == Pattern("slow-one", kLargeBytes));
}

TEST(LargeBodyTest, TargetThatEndsInTheMiddleCutsTheClientShort) {
  const size_t sent_bytes = kLargeBytes / 2;
  Scene s([&](const std::string&, RawSocket& connection) {
    connection.Send(Head(kLargeBytes) + Pattern("half", sent_bytes));
    return false;
  });
  const std::string answer = s.Ask("half").ReadToEnd();
  EXPECT_EQ(StatusOf(answer), 200);
  EXPECT_TRUE(BodyOf(answer) == Pattern("half", sent_bytes));
  EXPECT_EQ(s.proxy.Metric("answer_reason_total{reason=\"TargetClosed\"}"), 1);
}

// Bytes behind the body are nobody's: the connection to the target is not used again.
TEST(LargeBodyTest, BytesBehindTheBodyEndTheTargetsConnection) {
  Scene s([&](const std::string&, RawSocket& connection) {
    return connection.Send(Head(kLargeBytes) + Pattern("more", kLargeBytes) +
                           "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nextra");
  });
  RawSocket client = RawSocket::Connect(s.proxy.Port());
  for (int i = 0; i < 3; ++i) {
    client.Send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    ASSERT_TRUE(BodyOf(client.ReadMessage()) == Pattern("more", kLargeBytes)) << i;
  }
}

}  // namespace
}  // namespace remuda::proxy::testing
