// Every form of HTTP/1.1 that parsers are known to disagree about, byte by byte through the real
// proxy: what it answers, what reaches a target, what a client gets, and which connections are used
// again. One proxy with one worker serves all cases.
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <cstdio>
#include <fstream>
#include <mutex>

#include "tests/component/proxy/http/raw_bytes_cases.h"
#include "tests/component/proxy/testing/configs.h"
#include "tests/component/proxy/testing/proxy_process.h"

namespace remuda::proxy::testing {
namespace {

constexpr const char* kOk = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

// Without the lines that the proxy adds to each request; each must be there once.
std::string WithoutAdded(std::string head) {
  for (const char* name :
       {"X-Forwarded-For: ", "X-Forwarded-Proto: ", "X-Forwarded-Port: ", "X-Amzn-Trace-Id: "}) {
    const size_t at = head.find(std::string("\r\n") + name);
    if (at == std::string::npos) return "no " + std::string(name) + "in: " + head;
    head.erase(at, head.find("\r\n", at + 2) - at);
    if (head.find(std::string("\r\n") + name) != std::string::npos)
      return "two of " + std::string(name) + "in: " + head;
  }
  return head;
}

// A target that writes down what arrives and answers as it is told.
class Recorder {
 public:
  Recorder()
      : target_([this](const auto& head, auto& connection) { return Take(head, connection); }) {}
  uint16_t port() const { return target_.port(); }

  void Begin(const std::string& answer, bool ends) {
    std::lock_guard lock(mutex_);
    arrived_.clear();
    answer_ = answer;
    ends_ = ends;
  }
  std::string arrived() {
    std::lock_guard lock(mutex_);
    return arrived_;
  }
  // The connection that brought the newest request.
  int connection() {
    std::lock_guard lock(mutex_);
    return connection_;
  }

 private:
  // The body as it came, coding and all.
  static std::string ReadBody(const std::string& head, RawSocket& connection) {
    if (head.find("\r\nTransfer-Encoding: chunked\r\n") != std::string::npos)
      return connection.ReadChunked().raw;
    const size_t at = head.find("\r\nContent-Length: ");
    if (at == std::string::npos) return "";
    return connection.ReadBytes(std::strtoul(head.c_str() + at + 18, nullptr, 10));
  }

  bool Take(const std::string& head, RawSocket& connection) {
    const std::string body = ReadBody(head, connection);
    std::string answer;
    bool ends;
    {
      std::lock_guard lock(mutex_);
      arrived_ += WithoutAdded(head) + body;
      connection_ = PortOf(connection);
      answer = answer_;
      ends = ends_;
    }
    connection.Send(answer);
    return !ends;
  }

  // The proxy's port: which of its connections this is.
  static int PortOf(RawSocket& connection) {
    sockaddr_in address{};
    socklen_t length = sizeof address;
    getpeername(connection.fd(), reinterpret_cast<sockaddr*>(&address), &length);
    return ntohs(address.sin_port);
  }

  std::mutex mutex_;
  std::string arrived_;  // guarded by mutex_, as all below
  std::string answer_ = kOk;
  bool ends_ = false;
  int connection_ = 0;
  ScriptedTarget target_;
};

// What all cases share: made by the first one.
struct Stage {
  Recorder target;
  ProxyProcess proxy{ConfigFor({target.port()}), {"--workers=1"}};
  uint16_t port = 0;

  static Stage& Get() {
    static Stage stage;
    if (stage.port == 0 && stage.proxy.WaitReady() && stage.proxy.WaitHealthy(1))
      stage.port = stage.proxy.Port();
    return stage;
  }
};

// What the proxy or the target answers to each of `count` requests, and whether the connection is
// closed after them.
std::vector<int> ReadStatuses(RawSocket& client, size_t count, std::string& last) {
  std::vector<int> statuses;
  for (size_t i = 0; i < count; ++i) {
    last = client.ReadMessage();
    statuses.push_back(StatusOf(last));
  }
  return statuses;
}

class RequestTest : public ::testing::TestWithParam<RequestCase> {
 protected:
  // Sends the case, `piece` bytes at a time, and compares all but what arrives.
  void Run(size_t piece) {
    const RequestCase& c = GetParam();
    Stage& stage = Stage::Get();
    ASSERT_NE(stage.port, 0);
    stage.target.Begin(kOk, false);
    RawSocket client = RawSocket::Connect(stage.port);
    const int on = 1;
    setsockopt(client.fd(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    // A request behind a refused one must not be parsed.
    const std::string bytes =
        c.sent + (c.closes ? "GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n" : "");
    for (size_t at = 0; at < bytes.size(); at += piece) {
      // False: answered and closed already.
      if (!client.Send(std::string_view(bytes).substr(at, piece))) break;
    }
    std::string last;
    EXPECT_EQ(ReadStatuses(client, c.statuses.size(), last), c.statuses) << last;
    if (!c.reason.empty()) {
      EXPECT_NE(last.find("\r\nX-Remuda-Reason: " + c.reason + "\r\n"), std::string::npos) << last;
    }
    if (c.closes) {
      EXPECT_TRUE(client.WaitClosed());
    } else {
      arrived_ = stage.target.arrived();
      client.Send("GET /more HTTP/1.1\r\nHost: a\r\n\r\n");
      EXPECT_EQ(StatusOf(client.ReadMessage()), 200);
    }
  }

  std::string arrived_;
};

TEST_P(RequestTest, InOnePiece) {
  Run(GetParam().sent.size() + 100);
  const std::string mark = "GET /mark HTTP/1.1\r\nHost: a\r\n\r\n";
  if (GetParam().closes) {
    // Whatever it sent on before has been sent on before this.
    RawSocket client = RawSocket::Connect(Stage::Get().port);
    client.Send(mark);
    EXPECT_EQ(StatusOf(client.ReadMessage()), 200);
    EXPECT_EQ(Stage::Get().target.arrived(), GetParam().arrives + mark);
  } else {
    EXPECT_EQ(arrived_, GetParam().arrives);
  }
}

// The verdict does not depend on how the bytes were cut.
TEST_P(RequestTest, InSmallPieces) { Run(GetParam().sent.size() > 2000 ? 999 : 1); }

INSTANTIATE_TEST_SUITE_P(Framing, RequestTest, ::testing::ValuesIn(FramingRequests()),
                         [](const auto& param) { return param.param.name; });
INSTANTIATE_TEST_SUITE_P(Heads, RequestTest, ::testing::ValuesIn(HeadRequests()),
                         [](const auto& param) { return param.param.name; });

constexpr size_t kDateLineBytes = sizeof("Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n") - 1;

// Without the field that the proxy adds to an answer.
std::string WithoutDate(std::string text) {
  const size_t at = text.find("\r\nDate: ");
  if (at != std::string::npos) text.erase(at + 2, kDateLineBytes);
  return text;
}

// So much of what comes, but for the field that the proxy adds to an answer.
std::string ReadWithoutDate(RawSocket& client, size_t size) {
  std::string got = client.ReadBytes(size);
  // Its first letters at least are among them: a head ends with an empty line.
  if (got.find("\r\nDa") != std::string::npos) got += client.ReadBytes(kDateLineBytes);
  return WithoutDate(got);
}

// Whether the proxy still has the connection from its `port` to the target: it was not closed after
// what it carried. (Another one may carry the next request; see proxy/target/upstream.h.)
bool IsKept(uint16_t target, int port) {
  constexpr unsigned kEstablished = 1;
  std::ifstream file("/proc/net/tcp");
  std::string line;
  while (std::getline(file, line)) {
    unsigned local = 0, peer = 0, state = 0;
    if (std::sscanf(line.c_str(), "%*d: %*x:%x %*x:%x %x", &local, &peer, &state) == 3 &&
        local == target && peer == static_cast<unsigned>(port)) {
      return state == kEstablished;
    }
  }
  return false;
}

class ResponseTest : public ::testing::TestWithParam<ResponseCase> {};

TEST_P(ResponseTest, ReachesTheClientAsTheTableSays) {
  const ResponseCase& c = GetParam();
  Stage& stage = Stage::Get();
  ASSERT_NE(stage.port, 0);
  stage.target.Begin(c.sent, c.ends);
  RawSocket client = RawSocket::Connect(stage.port);
  client.Send(c.request);
  // An answer of the proxy's own is named by its status and reason.
  const size_t own = c.got.find("502 ");
  const std::string exact = c.got.substr(0, own);
  EXPECT_EQ(ReadWithoutDate(client, exact.size()), exact);
  if (own != std::string::npos) {
    const std::string answer = client.ReadMessage();
    EXPECT_EQ(StatusOf(answer), 502) << answer;
    EXPECT_NE(answer.find("\r\nX-Remuda-Reason: " + c.got.substr(own + 4) + "\r\n"),
              std::string::npos)
        << answer;
  }
  const int first = stage.target.connection();
  stage.target.Begin(kOk, false);
  const std::string next = "GET /next HTTP/1.1\r\nHost: a\r\n\r\n";
  if (c.closes) {
    EXPECT_TRUE(client.WaitClosed());
    client = RawSocket::Connect(stage.port);
  }
  // On the same connection: nothing of the response above is left to be taken for its answer.
  client.Send(next);
  EXPECT_EQ(WithoutDate(client.ReadMessage()), kOk);
  EXPECT_EQ(stage.target.arrived(), next);
  EXPECT_EQ(IsKept(stage.target.port(), first), c.is_reused);
}

INSTANTIATE_TEST_SUITE_P(Targets, ResponseTest, ::testing::ValuesIn(Responses()),
                         [](const auto& param) { return param.param.name; });

}  // namespace
}  // namespace remuda::proxy::testing
