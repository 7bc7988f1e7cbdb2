#include "common/admin_http.h"

#include <gtest/gtest.h>
#include <sys/socket.h>

#include <cerrno>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "tests/local_client.h"

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
