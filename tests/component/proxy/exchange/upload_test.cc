// Uploads whose answer comes before their end: conversations go on, refusals reach the client.
#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>
#include <string>

#include "tests/component/proxy/testing/configs.h"
#include "tests/component/proxy/testing/proxy_process.h"

namespace remuda::proxy::testing {
namespace {

constexpr size_t kMiB = 1024 * 1024;

std::string Chunk(const std::string& data) {
  char size[16];
  std::snprintf(size, sizeof size, "%zx", data.size());
  return size + std::string("\r\n") + data + "\r\n";
}

// Reads one chunk of a body; its data.
std::string ReadChunk(RawSocket& socket) {
  const size_t size = std::strtoul(socket.ReadUntil("\r\n").c_str(), nullptr, 16);
  const std::string data = socket.ReadBytes(size);
  socket.ReadBytes(2);
  return data;
}

constexpr const char* kChunkedPost =
    "POST /talk HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";

// Each says something in turn: the answer has long begun when the request ends.
TEST(DuplexTest, AConversationGoesOnToItsEnd) {
  ScriptedTarget target([](const std::string& head, RawSocket& connection) {
    if (head.find("/talk") == std::string::npos)
      return ScriptedTarget::Answers("hello")(head, connection);
    connection.Send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + Chunk("ready"));
    while (true) {
      const std::string data = ReadChunk(connection);
      connection.Send(data.empty() ? "0\r\n\r\n" : Chunk("echo " + data));
      if (data.empty()) return true;
    }
  });
  ServingProxy proxy(ConfigFor({target.port()}));
  RawSocket client = RawSocket::Connect(proxy.Port());
  client.Send(kChunkedPost);
  EXPECT_EQ(StatusOf(client.ReadUntil("\r\n\r\n")), 200);
  EXPECT_EQ(ReadChunk(client), "ready");
  for (const std::string word : {"one", "two", "three"}) {
    ASSERT_TRUE(client.Send(Chunk(word)));
    ASSERT_EQ(ReadChunk(client), "echo " + word);
  }
  client.Send("0\r\n\r\n");
  EXPECT_EQ(ReadChunk(client), "");
  // Both connections are as good as before.
  client.Send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  EXPECT_EQ(BodyOf(client.ReadMessage()), "hello");
  EXPECT_EQ(proxy.Metric("target_connections_reused_total"), 1);
}

// The answer is whole, and the target still takes the rest.
TEST(DuplexTest, AnUploadGoesOnBehindAWholeAnswer) {
  std::atomic<size_t> taken{0};
  const size_t size = 4 * kMiB;
  ScriptedTarget target([&](const std::string& head, RawSocket& connection) {
    if (head.find("/talk") == std::string::npos)
      return ScriptedTarget::Answers("hello")(head, connection);
    connection.Send("HTTP/1.1 202 Accepted\r\nContent-Length: 2\r\n\r\nok");
    taken = connection.ReadBytes(size).size();
    return true;
  });
  ServingProxy proxy(ConfigFor({target.port()}));
  RawSocket client = RawSocket::Connect(proxy.Port());
  client.Send("POST /talk HTTP/1.1\r\nHost: a\r\nContent-Length: " + std::to_string(size) +
              "\r\n\r\n");
  EXPECT_EQ(StatusOf(client.ReadMessage()), 202);
  ASSERT_TRUE(client.Send(std::string(size, 'u')));
  EXPECT_TRUE(WaitUntil([&] { return taken == size; })) << taken;
  client.Send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  EXPECT_EQ(BodyOf(client.ReadMessage()), "hello");
}

// A target that has answered and is gone ends it.
TEST(DuplexTest, AnUploadEndsWithItsTarget) {
  ScriptedTarget target([&](const std::string&, RawSocket& connection) {
    connection.Send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    return false;
  });
  ServingProxy proxy(ConfigFor({target.port()}));
  RawSocket client = RawSocket::Connect(proxy.Port());
  client.Send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n");
  EXPECT_EQ(StatusOf(client.ReadMessage()), 200);
  EXPECT_TRUE(client.WaitClosed());
}

// The client sends far more than any buffer holds before it looks for an answer: a reset on the way
// would take that away.
class RefusedUploadTest : public ::testing::TestWithParam<std::string> {};

TEST_P(RefusedUploadTest, IsAnsweredHoweverMuchComes) {
  constexpr size_t kSentBytes = 48 * kMiB;
  ScriptedTarget target([](const std::string&, RawSocket& connection) {
    connection.Send("HTTP/1.1 413 Content Too Large\r\nContent-Length: 3\r\n\r\nbig");
    return false;
  });
  ServingProxy proxy(ConfigFor({target.port()}));
  RawSocket client = RawSocket::Connect(proxy.Port());
  ASSERT_TRUE(client.Send(GetParam()));
  const std::string piece(kMiB, 'u');
  size_t sent = 0;
  while (sent < kSentBytes && client.Send(piece)) sent += piece.size();
  EXPECT_EQ(sent, kSentBytes);
  const int status = StatusOf(client.ReadMessage());
  EXPECT_TRUE(status == 413 || status == 400) << status;
  client.EndSending();
  EXPECT_TRUE(client.WaitClosed());
}

INSTANTIATE_TEST_SUITE_P(
    Refusals, RefusedUploadTest,
    ::testing::Values("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000000\r\n\r\n",
                      "POST /a%00 HTTP/1.1\r\nHost: a\r\nContent-Length: 100000000\r\n\r\n"),
    [](const auto& param) { return param.index == 0 ? "ByTheTarget" : "ByTheProxy"; });

}  // namespace
}  // namespace remuda::proxy::testing
