// Options of sockets.
#include "proxy/io/socket.h"

#include <gtest/gtest.h>
#include <netinet/tcp.h>
#include <unistd.h>

#include <utility>

namespace remuda::proxy {
namespace {

using std::chrono::milliseconds;

// What is still being sent may wait for an application that keeps its window shut.
TEST(DoubtPeer, GivesMoreTimeWhileMoreIsToBeSent) {
  const std::pair<bool, std::chrono::milliseconds> cases[] = {{false, kDoubtTimeout},
                                                              {true, kDoubtWhileSending}};
  for (const auto& [is_sending, wanted] : cases) {
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    DoubtPeer(fd, is_sending);
    int got = 0;
    socklen_t size = sizeof got;
    EXPECT_EQ(getsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &got, &size), 0);
    EXPECT_EQ(milliseconds(got), wanted) << is_sending;
    close(fd);
  }
}

}  // namespace
}  // namespace remuda::proxy
