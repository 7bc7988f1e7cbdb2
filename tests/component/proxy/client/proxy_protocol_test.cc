// PROXY protocol headers, taken from trusted senders and sent to targets.
#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <mutex>

#include "tests/component/proxy/testing/configs.h"
#include "tests/component/proxy/testing/proxy_process.h"
#include "tests/component/proxy/testing/raw_target.h"

namespace remuda::proxy::testing {
namespace {

const std::string kSignature("\r\n\r\n\0\r\nQUIT\n", 12);
// Version 2, from 192.0.2.7:4321 to 198.51.100.2:443, with an extension.
const std::string kVersion2 =
    kSignature +
    std::string("\x21\x11\x00\x10\xc0\x00\x02\x07\xc6\x33\x64\x02\x10\xe1\x01\xbb", 16) +
    std::string("\x04\x00\x01x", 4);
const std::string kVersion1 = "PROXY TCP4 192.0.2.7 198.51.100.2 4321 443\r\n";
const std::string kLocal = kSignature + std::string("\x20\x00\x00\x00", 4);

// Answers with the head it got.
bool AnswerWithHead(const std::string& head, RawSocket& connection) {
  return connection.Send("HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(head.size()) +
                         "\r\n\r\n" + head);
}

std::string FromSources(const std::string& sources) {
  return "        proxyProtocolSources: [" + sources + "]\n";
}

struct Received {
  const char* name;
  std::string bytes;  // before the request
  std::string client_address;
};

class ReceivedTest : public ::testing::TestWithParam<Received> {};

TEST_P(ReceivedTest, ItsSourceIsTheClient) {
  ScriptedTarget target(AnswerWithHead);
  ServingProxy proxy(ConfigFor({target.port()}, "", "", FromSources("127.0.0.0/8")));
  const Received& received = GetParam();
  const std::string request = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
  const std::string expected = "\r\nX-Forwarded-For: " + received.client_address + "\r\n";
  // In one piece with two requests, and byte by byte.
  RawSocket whole = RawSocket::Connect(proxy.Port());
  whole.Send(received.bytes + request + request);
  for (int i = 0; i < 2; ++i) {
    const std::string got = whole.ReadMessage();
    EXPECT_NE(got.find(expected), std::string::npos) << got;
  }
  RawSocket bytewise = RawSocket::Connect(proxy.Port());
  for (const char byte : received.bytes + request) bytewise.Send({&byte, 1});
  EXPECT_NE(bytewise.ReadMessage().find(expected), std::string::npos);
  const std::string address = received.client_address.find(':') == std::string::npos
                                  ? received.client_address
                                  : "[" + received.client_address + "]";
  EXPECT_TRUE(WaitUntil([&] {
    return proxy.AccessLog().find(" " + address + ":") != std::string::npos;
  })) << proxy.AccessLog();
}

INSTANTIATE_TEST_SUITE_P(Headers, ReceivedTest,
                         ::testing::Values(Received{"Version1", kVersion1, "192.0.2.7"},
                                           Received{"Version2", kVersion2, "192.0.2.7"},
                                           Received{"Version1Ip6",
                                                    "PROXY TCP6 2001:db8::7 2001:db8::1 1 2\r\n",
                                                    "2001:db8::7"},
                                           Received{"Unknown", "PROXY UNKNOWN\r\n", "127.0.0.1"},
                                           Received{"Local", kLocal, "127.0.0.1"}),
                         [](const auto& param) { return param.param.name; });

TEST(ProxyProtocolTest, SourceIpConditionsSeeTheClient) {
  ScriptedTarget target(AnswerWithHead);
  const std::string rules =
      "        rules: [{ priority: 1, conditions: [{ sourceIp: { values: [192.0.2.0/24] } }], "
      "action: { "
      "fixedResponse: { status: 418 } } }]\n";
  ProxyProcess proxy(ConfigFor({target.port()}, "", "", FromSources("127.0.0.1") + rules),
                     {"--workers=1"});
  ASSERT_TRUE(proxy.WaitReady());
  RawSocket client = RawSocket::Connect(proxy.Port());
  client.Send(kVersion1 + "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  EXPECT_EQ(StatusOf(client.ReadMessage()), 418);
}

TEST(ProxyProtocolTest, TrustedSendersMustBeginWithOne) {
  ScriptedTarget target(AnswerWithHead);
  ProxyProcess proxy(ConfigFor({target.port()}, "", "", FromSources("127.0.0.1")), {"--workers=1"});
  ASSERT_TRUE(proxy.WaitReady());
  const std::string request = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
  for (const std::string& bytes : {request, "PROXY TCP4 1.2.3.4 1.2.3.5 1\r\n" + request,
                                   kSignature + std::string("\x21\x11\x00\x01x", 5) + request,
                                   std::string("\r\n") + kVersion1}) {
    RawSocket client = RawSocket::Connect(proxy.Port());
    client.Send(bytes);
    EXPECT_EQ(client.ReadToEnd(), "") << bytes;
  }
  EXPECT_EQ(proxy.Metric("proxy_protocol_error_count_total"), 4);
  EXPECT_EQ(target.requests(), 0);
}

TEST(ProxyProtocolTest, FromOthersItIsGarbage) {
  ScriptedTarget target(AnswerWithHead);
  ServingProxy proxy(ConfigFor({target.port()}, "", "", FromSources("192.0.2.0/24")));
  for (const std::string& header : {kVersion1, kVersion2}) {
    RawSocket client = RawSocket::Connect(proxy.Port());
    client.Send(header + "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    EXPECT_EQ(StatusOf(client.ReadMessage()), 400);
  }
  EXPECT_EQ(StatusOf(Get(proxy.Port())), 200);
}

// The target reads a header of its own before each request's head.
TEST(ProxyProtocolTest, TargetsOfHttpGroupsGetOneOnEachConnection) {
  std::mutex mutex;
  std::vector<std::string> lines;
  ScriptedTarget target([&](const std::string& head, RawSocket& connection) {
    const size_t end = head.find("\r\n");
    if (head.find("\r\nGET /health ") == std::string::npos) {
      std::lock_guard lock(mutex);
      lines.push_back(head.substr(0, end));
    } else if (head.substr(0, end) != "PROXY UNKNOWN") {
      return false;
    }
    return connection.Send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
  });
  ServingProxy proxy(ConfigFor({target.port()}, "    proxyProtocol: 1\n"));
  RawSocket client = RawSocket::Connect(proxy.Port());
  sockaddr_in local{};
  socklen_t length = sizeof local;
  getsockname(client.fd(), reinterpret_cast<sockaddr*>(&local), &length);
  for (int i = 0; i < 2; ++i) {
    client.Send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    EXPECT_EQ(BodyOf(client.ReadMessage()), "ok");
  }
  const std::string expected = "PROXY TCP4 127.0.0.1 127.0.0.1 " +
                               std::to_string(ntohs(local.sin_port)) + " " +
                               std::to_string(proxy.Port());
  std::lock_guard lock(mutex);
  EXPECT_EQ(lines, std::vector<std::string>({expected, expected}));
}

// What came in goes out again, in the other version.
TEST(ProxyProtocolTest, TcpTargetsLearnWhoTheClientIs) {
  std::mutex mutex;
  std::string got;
  RawTarget target([&](RawSocket& connection) {
    const std::string header = connection.ReadBytes(28);
    if (header.size() < 28) return;  // a check
    const std::string first = connection.ReadBytes(5);
    std::lock_guard lock(mutex);
    got = header;
    connection.Send(first);
  });
  const BytesConfig config = {.targets = {target.port()},
                              .listener = "protocol: TCP, proxyProtocolSources: [127.0.0.1]",
                              .group = "protocol: TCP, proxyProtocol: 2"};
  ServingProxy proxy(BytesConfigFor(config));
  RawSocket client = RawSocket::Connect(proxy.Port());
  client.Send(kVersion1 + "bytes");
  EXPECT_EQ(client.ReadBytes(5), "bytes");
  std::lock_guard lock(mutex);
  EXPECT_EQ(got.substr(0, 24), kSignature + std::string("\x21\x11\x00\x0c\xc0\x00\x02\x07\x7f\x00"
                                                        "\x00\x01",
                                                        12));
  EXPECT_EQ(got.substr(24, 2), std::string("\x10\xe1", 2));
}

}  // namespace
}  // namespace remuda::proxy::testing
