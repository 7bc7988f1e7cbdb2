#include "common/admin_http.h"

#include <gtest/gtest.h>
#include <sys/socket.h>

#include <cerrno>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "tests/local_client.h"
#include "tests/wait.h"

namespace remuda {
namespace {

std::string Talk(uint16_t port, const std::string& request) {
  return LocalClient(port).Talk(request);
}

TEST(AdminHttp, AnswersByTable) {
  AdminHttp server({.port = 0});
  server.Handle("/healthz", [](const AdminRequest&) { return AdminResponse{.body = "ok\n"}; })
      .Handle("/echo", [](const AdminRequest& r) { return AdminResponse{.body = r.query}; })
      .Handle("/down",
              [](const AdminRequest&) { return AdminResponse{.status = 503, .body = "no"}; })
      .Handle("/throws",
              [](const AdminRequest&) -> AdminResponse { throw std::runtime_error("boom"); });
  ASSERT_TRUE(server.Start().ok());

  struct Case {
    std::string request, starts, ends;
  };
  const std::vector<Case> cases = {
      {"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 200 OK\r\n", "\r\n\r\nok\n"},
      {"HEAD /healthz HTTP/1.1\r\n\r\n", "HTTP/1.1 200 OK\r\n", "Connection: close\r\n\r\n"},
      {"GET /echo?a=b HTTP/1.0\r\n\r\n", "HTTP/1.1 200 OK\r\n", "\r\n\r\na=b"},
      {"GET /down HTTP/1.1\r\n\r\n", "HTTP/1.1 503 Service Unavailable\r\n", "no"},
      {"GET /throws HTTP/1.1\r\n\r\n", "HTTP/1.1 500 ", "boom\n"},
      {"GET /nothing HTTP/1.1\r\n\r\n", "HTTP/1.1 404 ", "/throws\n"},
      {"POST /healthz HTTP/1.1\r\n\r\n", "HTTP/1.1 405 ", "here\n"},
      {"GET nothing HTTP/1.1\r\n\r\n", "HTTP/1.1 400 ", "\n"},
      {"nonsense\r\n\r\n", "HTTP/1.1 400 ", "\n"},
      {"\r\n\r\n", "HTTP/1.1 400 ", "\n"},
      {"GET / HTTP/1.1\r\n" + std::string(9000, 'a'), "HTTP/1.1 431 ", "8 KiB\n"},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.request.substr(0, 40));
    const std::string answer = Talk(server.port(), c.request);
    EXPECT_EQ(answer.substr(0, c.starts.size()), c.starts);
    ASSERT_GE(answer.size(), c.ends.size());
    EXPECT_EQ(answer.substr(answer.size() - c.ends.size()), c.ends);
  }
}

TEST(AdminHttp, ASilentClientDoesNotBlockOthers) {
  AdminHttp server({});
  server.Handle("/healthz", [](const AdminRequest&) { return AdminResponse{.body = "ok\n"}; });
  ASSERT_TRUE(server.Start().ok());
  const LocalClient silent(server.port());
  EXPECT_NE(Talk(server.port(), "GET /healthz HTTP/1.1\r\n\r\n").find("ok"), std::string::npos);
}

TEST(AdminHttp, TheOldestIdleConnectionMakesRoom) {
  AdminHttp server({});
  server.Handle("/healthz", [](const AdminRequest&) { return AdminResponse{.body = "ok\n"}; });
  ASSERT_TRUE(server.Start().ok());
  std::vector<std::unique_ptr<LocalClient>> idle;
  for (size_t i = 0; i < 3 * AdminHttp::kMaxConnections; ++i)
    idle.push_back(std::make_unique<LocalClient>(server.port()));
  // Before: answered only when the first idle ones had met their timeout.
  EXPECT_NE(Talk(server.port(), "GET /healthz HTTP/1.1\r\n\r\n").find("ok"), std::string::npos);
  // The last of them is still there: nothing is to be read, and its end neither.
  char byte = 0;
  EXPECT_EQ(recv(idle.back()->fd(), &byte, 1, MSG_DONTWAIT), -1);
  EXPECT_EQ(errno, EAGAIN);
  EXPECT_EQ(recv(idle.front()->fd(), &byte, 1, 0), 0) << "the first made room";
}

// A server with one call, whose answers the test gives.
struct CallServer {
  struct Call {
    AdminRequest request;
    AdminHttp::Answer answer;
  };
  explicit CallServer(AdminHttp::Options options = {}) : http(options) {
    http.Handle("/healthz", [](const AdminRequest&) { return AdminResponse{.body = "ok\n"}; })
        .HandleCall("/call", [this](AdminRequest request, AdminHttp::Answer answer) {
          const std::lock_guard lock(mutex);
          calls.push_back({std::move(request), std::move(answer)});
        });
    EXPECT_TRUE(http.Start().ok());
  }
  bool WaitForCalls(size_t count) {
    return WaitUntil([&] {
      const std::lock_guard lock(mutex);
      return calls.size() >= count;
    });
  }

  AdminHttp http;
  std::mutex mutex;
  std::vector<Call> calls;  // guarded by mutex
};

TEST(AdminHttp, ACallIsAnsweredLaterFromAnyThread) {
  CallServer server;
  std::string answer;
  std::thread client([&] {
    answer =
        Talk(server.http.port(),
             "PUT /call?x=1 HTTP/1.1\r\nAuthorization: Bearer t\r\nContent-Length: 4\r\n\r\nbody");
  });
  ASSERT_TRUE(server.WaitForCalls(1));
  EXPECT_NE(Talk(server.http.port(), "GET /healthz HTTP/1.1\r\n\r\n").find("ok"),
            std::string::npos);
  const CallServer::Call& call = server.calls[0];
  EXPECT_EQ(call.request.path, "/call");
  EXPECT_EQ(call.request.method, "PUT");
  EXPECT_EQ(call.request.authorization, "Bearer t");
  EXPECT_EQ(call.request.body, "body");
  EXPECT_TRUE(call.request.is_local);
  call.answer({.status = 503, .body = "no\n", .headers = {{"Retry-After", "2"}}});
  call.answer({.body = "a second answer"});
  client.join();
  EXPECT_EQ(answer.substr(0, 13), "HTTP/1.1 503 ");
  EXPECT_NE(answer.find("\r\nRetry-After: 2\r\n"), std::string::npos) << answer;
  EXPECT_EQ(answer.substr(answer.size() - 7), "\r\n\r\nno\n");
  EXPECT_NE(Talk(server.http.port(), "GET /none HTTP/1.1\r\n\r\n").find("/call\n"),
            std::string::npos);
}

TEST(AdminHttp, AnAnswerOfNoContentHasNoLength) {
  CallServer server;
  std::string answer;
  std::thread client([&] { answer = Talk(server.http.port(), "GET /call HTTP/1.1\r\n\r\n"); });
  ASSERT_TRUE(server.WaitForCalls(1));
  server.calls[0].answer({.status = 204});
  client.join();
  EXPECT_EQ(answer.substr(0, 13), "HTTP/1.1 204 ");
  EXPECT_EQ(answer.find("Content-Length"), std::string::npos) << answer;
}

TEST(AdminHttp, ACallIsBounded) {
  CallServer server;
  const std::string big(AdminHttp::kMaxBodyBytes + 1, 'a');
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"PUT /call HTTP/1.1\r\nContent-Length: 4097\r\n\r\n" + big, "HTTP/1.1 413 "},
      {"PUT /call HTTP/1.1\r\nContent-Length: 99999999\r\n\r\n", "HTTP/1.1 413 "},
      {"PUT /call HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1001\r\n" + big + "\r\n0\r\n\r\n",
       "HTTP/1.1 413 "},
      {"PUT /call HTTP/1.1\r\nContent-Length: x\r\n\r\n", "HTTP/1.1 400 "},
      {"PUT /call HTTP/1.1\r\nX: " + std::string(9000, 'a'), "HTTP/1.1 431 "},
  };
  for (const auto& [request, starts] : cases) {
    SCOPED_TRACE(request.substr(0, 60));
    EXPECT_EQ(Talk(server.http.port(), request).substr(0, starts.size()), starts);
  }
  EXPECT_TRUE(server.calls.empty());
}

TEST(AdminHttp, CallsThatWaitMakeRoomLast) {
  CallServer server({.max_connections = 4});
  std::vector<std::unique_ptr<LocalClient>> clients;
  const std::string request = "GET /call HTTP/1.1\r\n\r\n";
  for (size_t i = 0; i < 3; ++i) {
    clients.push_back(std::make_unique<LocalClient>(server.http.port()));
    ASSERT_GT(send(clients.back()->fd(), request.data(), request.size(), MSG_NOSIGNAL), 0);
    ASSERT_TRUE(server.WaitForCalls(i + 1));
  }
  for (int i = 0; i < 20; ++i) clients.push_back(std::make_unique<LocalClient>(server.http.port()));
  EXPECT_NE(Talk(server.http.port(), "GET /healthz HTTP/1.1\r\n\r\n").find("ok"),
            std::string::npos);
  server.calls[0].answer({.body = "yes"});
  EXPECT_NE(clients[0]->Talk("").find("yes"), std::string::npos);
  // Where all wait, the one that has for the longest goes; its answer finds nobody.
  for (size_t i = 3; i < 8; ++i) {
    clients.push_back(std::make_unique<LocalClient>(server.http.port()));
    ASSERT_GT(send(clients.back()->fd(), request.data(), request.size(), MSG_NOSIGNAL), 0);
    ASSERT_TRUE(server.WaitForCalls(i + 1));
  }
  EXPECT_EQ(clients[1]->Talk(""), "");
  server.calls[1].answer({.body = "too late"});
}

TEST(AdminHttp, AnAnswerAfterTheEndFindsNobody) {
  CallServer server;
  const LocalClient client(server.http.port());
  const std::string request = "GET /call HTTP/1.1\r\n\r\n";
  ASSERT_GT(send(client.fd(), request.data(), request.size(), MSG_NOSIGNAL), 0);
  ASSERT_TRUE(server.WaitForCalls(1));
  server.http.Stop();
  server.calls[0].answer({.body = "too late"});
  EXPECT_EQ(client.Talk("").find("too late"), std::string::npos);
}

TEST(AdminHttp, StartSaysWhatIsWrong) {
  AdminHttp first({});
  ASSERT_TRUE(first.Start().ok());
  AdminHttp taken({.port = first.port()});
  EXPECT_NE(taken.Start().message().find(std::to_string(first.port())), absl::string_view::npos);
  AdminHttp name({.address = "localhost"});
  EXPECT_NE(name.Start().message().find("\"localhost\""), absl::string_view::npos);
}

}  // namespace
}  // namespace remuda
