// What passes through the proxy, in both directions, when everybody behaves.
#include <gtest/gtest.h>

#include "tests/component/proxy/testing/configs.h"
#include "tests/component/proxy/testing/proxy_process.h"

namespace remuda::proxy::testing {
namespace {

// Answers with the head it got, any body by its size, and what came behind it.
bool Echo(const std::string& head, RawSocket& connection) {
  std::string body, trailers;
  if (head.find("Expect: 100-continue") != std::string::npos)
    connection.Send("HTTP/1.1 100 Continue\r\n\r\n");
  if (head.find("Transfer-Encoding: chunked") != std::string::npos) {
    const ChunkedBody got = connection.ReadChunked();
    body = got.body;
    trailers = got.trailers;
  } else if (const size_t at = head.find("Content-Length: "); at != std::string::npos) {
    body = connection.ReadBytes(std::strtoul(head.c_str() + at + 16, nullptr, 10));
  }
  const std::string text = head + "body:" + std::to_string(body.size()) + "\r\n" + trailers;
  return connection.Send("HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(text.size()) +
                         "\r\n\r\n" + text);
}

class ForwardTest : public ::testing::Test {
 protected:
  void Start(ScriptedTarget::Script script, const std::string& balancer_extra = "") {
    target_ = std::make_unique<ScriptedTarget>(std::move(script));
    proxy_ = std::make_unique<ServingProxy>(ConfigFor({target_->port()}, "", balancer_extra));
    client_ = RawSocket::Connect(proxy_->Port());
    ASSERT_TRUE(client_.is_open());
  }
  std::string Ask(const std::string& bytes) {
    client_.Send(bytes);
    return client_.ReadMessage();
  }

  std::unique_ptr<ScriptedTarget> target_;
  std::unique_ptr<ProxyProcess> proxy_;
  RawSocket client_;
};

TEST_F(ForwardTest, AddsItsHeadersAndRemovesHopByHopOnes) {
  Start(Echo);
  const std::string got =
      Ask("GET /a%7Eb?q=1 HTTP/1.1\r\nHost: Shop.test:80\r\nX-Forwarded-For: "
          "203.0.113.9\r\nX-Forwarded-Proto: gopher\r\n"
          "Keep-Alive: 5\r\nConnection: keep-alive, X-Secret\r\nX-Secret: 1\r\nX_Under: "
          "1\r\nAccept: */*\r\n\r\n");
  EXPECT_EQ(StatusOf(got), 200);
  EXPECT_NE(got.find("GET /a~b?q=1 HTTP/1.1\r\nHost: Shop.test:80\r\n"), std::string::npos) << got;
  EXPECT_NE(got.find("X-Forwarded-For: 203.0.113.9, 127.0.0.1\r\n"), std::string::npos) << got;
  EXPECT_NE(got.find("X-Forwarded-Proto: http\r\n"), std::string::npos) << got;
  EXPECT_NE(got.find("X-Forwarded-Port: " + std::to_string(proxy_->Port()) + "\r\n"),
            std::string::npos)
      << got;
  EXPECT_NE(got.find("X-Amzn-Trace-Id: Root=1-"), std::string::npos) << got;
  for (const char* gone : {"gopher", "Keep-Alive", "X-Secret", "X_Under", "\r\nConnection"}) {
    EXPECT_EQ(BodyOf(got).find(gone), std::string::npos) << gone;
  }
}

TEST_F(ForwardTest, KeepsConnectionsOnBothSides) {
  Start(Echo);
  for (int i = 0; i < 20; ++i) EXPECT_EQ(StatusOf(Ask("GET / HTTP/1.1\r\nHost: a\r\n\r\n")), 200);
  EXPECT_LE(target_->connections(), 2);  // they take turns
  EXPECT_EQ(target_->requests(), 20);
}

TEST_F(ForwardTest, AnswersPipelinedRequestsInOrder) {
  Start(Echo);
  std::string burst;
  for (int i = 0; i < 5; ++i) {
    burst += "POST /" + std::to_string(i) + " HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc";
  }
  client_.Send(burst);
  for (int i = 0; i < 5; ++i) {
    const std::string got = client_.ReadMessage();
    EXPECT_NE(got.find("POST /" + std::to_string(i) + " HTTP/1.1"), std::string::npos) << got;
    EXPECT_NE(got.find("body:3"), std::string::npos);
  }
}

TEST_F(ForwardTest, StreamsLargeBodiesByLengthAndChunked) {
  Start(Echo);
  const std::string body(3'000'000, 'x');
  std::string got = Ask("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3000000\r\n\r\n" + body);
  EXPECT_NE(got.find("body:3000000"), std::string::npos) << got;
  EXPECT_NE(got.find("Content-Length: 3000000\r\n"), std::string::npos);
  std::string chunked = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
  for (int i = 0; i < 1000; ++i) chunked += "64;ext=1\r\n" + std::string(100, 'y') + "\r\n";
  got = Ask(chunked + "0\r\nX-Trailer: passed\r\n\r\n");
  EXPECT_NE(got.find("body:100000"), std::string::npos) << got;
  EXPECT_NE(got.find("Transfer-Encoding: chunked\r\n"), std::string::npos);
  EXPECT_NE(got.find("body:100000\r\nX-Trailer: passed\r\n"), std::string::npos) << got;
  // Both left the connection in a usable state.
  EXPECT_EQ(StatusOf(Ask("GET / HTTP/1.1\r\nHost: a\r\n\r\n")), 200);
}

TEST_F(ForwardTest, PassesOn100Continue) {
  Start(Echo);
  client_.Send("POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n");
  EXPECT_EQ(client_.ReadUntil("\r\n\r\n"), "HTTP/1.1 100 Continue\r\n\r\n");
  client_.Send("hello");
  EXPECT_NE(client_.ReadMessage().find("body:5"), std::string::npos);
}

TEST_F(ForwardTest, HeadAnd304HaveNoBody) {
  Start([](const std::string& head, RawSocket& connection) {
    const bool is_head = head.rfind("HEAD", 0) == 0;
    return connection.Send(
        is_head ? "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n"
                : "HTTP/1.1 304 Not Modified\r\nContent-Length: 10\r\nETag: \"1\"\r\n\r\n");
  });
  client_.Send("HEAD / HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n");
  EXPECT_NE(client_.ReadMessage(true).find("Content-Length: 10\r\n"), std::string::npos);
  EXPECT_EQ(StatusOf(client_.ReadMessage(true)), 304);
  EXPECT_EQ(target_->connections(), 1);
}

TEST_F(ForwardTest, ResponseWithoutLengthIsChunkedForHttp11AndClosedForHttp10) {
  Start([](const std::string&, RawSocket& connection) {
    connection.Send("HTTP/1.1 200 OK\r\n\r\nuntil ");
    connection.Send("close");
    return false;
  });
  const std::string got = Ask("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  EXPECT_NE(got.find("Transfer-Encoding: chunked\r\n"), std::string::npos) << got;
  EXPECT_EQ(got.substr(got.size() - 5), "0\r\n\r\n");
  client_.Send("GET / HTTP/1.0\r\n\r\n");
  const std::string old = client_.ReadToEnd();
  EXPECT_EQ(BodyOf(old), "until close");
  EXPECT_NE(old.find("Connection: close\r\n"), std::string::npos);
}

TEST_F(ForwardTest, LargeResponsesReachASlowReader) {
  const std::string body(8'000'000, 'z');
  Start([&](const std::string&, RawSocket& connection) {
    return connection.Send("HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(body.size()) +
                           "\r\n\r\n" + body);
  });
  client_.Send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  // Nothing is read until the proxy is full and waits.
  double before = -1;
  ASSERT_TRUE(WaitUntil([&] {
    const double now = proxy_->Metric("processed_bytes_total{direction=\"sent\"}");
    const bool is_still = now > 0 && now == before;
    before = now;
    return is_still;
  }));
  EXPECT_EQ(BodyOf(client_.ReadMessage()).size(), body.size());
}

TEST_F(ForwardTest, LargeHeadsPassInBothDirections) {
  std::string fields;
  for (int i = 0; i < 3; ++i) fields += "X-Large: " + std::string(10'000, 'l') + "\r\n";
  Start([&](const std::string& head, RawSocket& connection) {
    const std::string size = std::to_string(head.size());
    return connection.Send("HTTP/1.1 200 OK\r\n" + fields +
                           "Content-Length: " + std::to_string(size.size()) + "\r\n\r\n" + size);
  });
  for (int i = 0; i < 3; ++i) {  // also on connections that are used again
    const std::string got = Ask("GET / HTTP/1.1\r\nHost: a\r\n" + fields + fields + "\r\n");
    EXPECT_GT(std::stoi(BodyOf(got)), 60'000);
    EXPECT_GT(got.size(), 30'000U);
    EXPECT_EQ(StatusOf(Ask("GET / HTTP/1.1\r\nHost: a\r\n\r\n")), 200);
  }
  EXPECT_LE(target_->connections(), 2);  // they take turns
}

TEST_F(ForwardTest, EarlyAnswerEndsTheUpload) {
  Start([](const std::string&, RawSocket& connection) {
    connection.Send("HTTP/1.1 413 Content Too Large\r\nContent-Length: 3\r\n\r\nbig");
    return false;
  });
  client_.Send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000000\r\n\r\nabc");
  const std::string got = client_.ReadMessage();
  EXPECT_EQ(StatusOf(got), 413);
  EXPECT_NE(got.find("Connection: close\r\n"), std::string::npos);
  EXPECT_TRUE(client_.WaitClosed());
}

TEST_F(ForwardTest, AccessLogHasALineARequest) {
  Start(ScriptedTarget::Answers("hi"));
  Ask("GET /x?\"quoted\" HTTP/1.1\r\nHost: a\r\nUser-Agent: te\"st\r\n\r\n");
  ASSERT_TRUE(WaitUntil([&] { return !proxy_->AccessLog().empty(); }));
  const std::string line = proxy_->AccessLog();
  EXPECT_NE(line.find("/x?\\x22quoted\\x22 HTTP/1.1\" \"te\\x22st\""), std::string::npos) << line;
  EXPECT_NE(line.find(" 200 200 "), std::string::npos) << line;
  EXPECT_NE(line.find(" shop 127.0.0.1:"), std::string::npos) << line;
}

TEST(RuleTest, RulesDecideByPriority) {
  ScriptedTarget target(ScriptedTarget::Answers("app"));
  ServingProxy proxy(
      ConfigFor({target.port()}, "", "",
                "        rules:\n"
                "          - priority: 20\n"
                "            conditions: [{ pathPattern: { values: [\"/a*\"] } }]\n"
                "            action: { fixedResponse: { status: 403, body: no } }\n"
                "          - priority: 10\n"
                "            conditions: [{ pathPattern: { values: [\"/a/b\"] } }]\n"
                "            action: { redirect: { status: 301, path: \"/new/#{path}\" } }\n"),
      {"--workers=2"});
  EXPECT_EQ(StatusOf(Get(proxy.Port(), "/a/c")), 403);
  const std::string redirect = Get(proxy.Port(), "/a/b?x=1");
  EXPECT_EQ(StatusOf(redirect), 301);
  EXPECT_NE(redirect.find("Location: http://shop.test:" + std::to_string(proxy.Port()) +
                          "/new/a/b?x=1\r\n"),
            std::string::npos)
      << redirect;
  EXPECT_EQ(BodyOf(Get(proxy.Port(), "/b")), "app");
}

}  // namespace
}  // namespace remuda::proxy::testing
