// The targets of the bench: answers every request with 130 bytes, or with a body of 1 MiB if its
// path begins with /1mib, and costs as little as it can, since it shares a core with the load
// generator. A body by Content-Length is read and thrown away.
//
//   bench_target PORT...
//
// One thread for all ports, edge-triggered epoll, loopback only; keep-alive. Once it listens it
// prints the ports, a line each; 0 is any that is free. It runs until it is ended.
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>

namespace {

constexpr size_t kRequestBytes = 4096;
constexpr size_t kLargeBodyBytes = 1024 * 1024;
constexpr size_t kSmallAnswerBytes = 130;
constexpr int kBatch = 256;

struct Connection {
  int fd = -1;
  bool is_listening = false;
  std::array<char, kRequestBytes> request;
  size_t request_size = 0;
  size_t body_left = 0;
  std::string_view answer;  // what is left of it
};

std::string Answer(size_t body_bytes) {
  return "HTTP/1.1 200 OK\r\nServer: bench\r\nContent-Type: text/plain\r\nContent-Length: " +
         std::to_string(body_bytes) + "\r\n\r\n" + std::string(body_bytes, 'x');
}

std::string SmallAnswer() {
  const size_t head_bytes = Answer(10).size() - 10;
  return Answer(kSmallAnswerBytes - head_bytes);
}

// The request's body, into the void. False when the connection has ended.
bool DropBody(Connection& connection) {
  static std::array<char, 256 * 1024> sink;
  const ssize_t got =
      recv(connection.fd, sink.data(), std::min(connection.body_left, sink.size()), MSG_TRUNC);
  if (got > 0) connection.body_left -= static_cast<size_t>(got);
  return got != 0;
}

size_t BodySize(std::string_view head) {
  constexpr std::string_view kName = "\r\ncontent-length: ";
  const auto is_same = [](char a, char b) { return std::tolower(a) == b; };
  const auto at = std::search(head.begin(), head.end(), kName.begin(), kName.end(), is_same);
  return at == head.end() ? 0 : std::strtoul(&*at + kName.size(), nullptr, 10);
}

// False when the connection has ended.
bool Serve(Connection& connection, std::string_view small, std::string_view large) {
  while (true) {
    while (connection.body_left > 0) {
      errno = 0;
      if (!DropBody(connection)) return false;
      if (errno != 0) return errno == EAGAIN;
    }
    while (!connection.answer.empty()) {
      const ssize_t sent =
          send(connection.fd, connection.answer.data(), connection.answer.size(), MSG_NOSIGNAL);
      if (sent < 0) return errno == EAGAIN;
      connection.answer.remove_prefix(static_cast<size_t>(sent));
    }
    const size_t room = connection.request.size() - connection.request_size;
    const ssize_t got =
        recv(connection.fd, connection.request.data() + connection.request_size, room, 0);
    if (got < 0) return errno == EAGAIN;
    if (got == 0) return false;
    connection.request_size += static_cast<size_t>(got);
    const std::string_view request(connection.request.data(), connection.request_size);
    if (const size_t end = request.find("\r\n\r\n"); end != std::string_view::npos) {
      connection.answer = request.find(" /1mib") < 16 ? large : small;
      connection.body_left = request.front() == 'P' ? BodySize(request.substr(0, end + 4)) : 0;
      connection.body_left -= std::min(connection.body_left, request.size() - end - 4);
      connection.request_size = 0;
    } else if (connection.request_size == connection.request.size()) {
      return false;
    }
  }
}

void Watch(int epoll_fd, Connection* connection, uint32_t events) {
  epoll_event event{};
  event.events = events;
  event.data.ptr = connection;
  if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, connection->fd, &event) == 0) return;
  std::perror("epoll_ctl");
  std::exit(1);
}

void Listen(int epoll_fd, int port) {
  auto* listener = new Connection();  // for as long as the process
  listener->is_listening = true;
  listener->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  const int on = 1;
  setsockopt(listener->fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  setsockopt(listener->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(static_cast<uint16_t>(port));
  if (bind(listener->fd, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0 ||
      listen(listener->fd, 4096) != 0) {
    std::perror("listen");
    std::exit(1);
  }
  socklen_t size = sizeof address;
  getsockname(listener->fd, reinterpret_cast<sockaddr*>(&address), &size);
  std::printf("%d\n", ntohs(address.sin_port));
  Watch(epoll_fd, listener, EPOLLIN);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) {
    std::fprintf(stderr, "usage: bench_target PORT...\n");
    return 2;
  }
  const std::string small = SmallAnswer();
  const std::string large = Answer(kLargeBodyBytes);
  const int epoll_fd = epoll_create1(EPOLL_CLOEXEC);
  for (int i = 1; i < argc; ++i) Listen(epoll_fd, std::atoi(argv[i]));
  std::fflush(stdout);
  std::array<epoll_event, kBatch> events;
  while (true) {
    const int count = epoll_wait(epoll_fd, events.data(), kBatch, -1);
    for (int i = 0; i < count; ++i) {
      auto* connection = static_cast<Connection*>(events[static_cast<size_t>(i)].data.ptr);
      if (connection->is_listening) {
        const int fd = accept4(connection->fd, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0) continue;
        auto* accepted = new Connection();
        accepted->fd = fd;
        Watch(epoll_fd, accepted, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET);
      } else if (!Serve(*connection, small, large)) {
        close(connection->fd);
        delete connection;
      }
    }
  }
}
