// The floor of the bench: forwards bytes between each client and a connection of its own to a
// target, and reads none of them. What a proxy spends above it is its own work; what this spends is
// the kernel's.
//
//   bench_floor LISTEN_PORT TARGET_PORT...
//
// One thread, edge-triggered epoll, loopback only. It runs until it is ended.
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <vector>

namespace {

constexpr size_t kBufferBytes = 64 * 1024;
constexpr int kBatch = 256;

struct Side {
  struct Pair* pair = nullptr;
  int fd = -1;
  bool is_readable = false;
  // Read from this side, not yet sent to the other.
  std::array<char, kBufferBytes> buffer;
  size_t begin = 0;
  size_t end = 0;
};

struct Pair {
  Side client;
  Side target;
  bool is_closed = false;
};

int epoll_fd = -1;

sockaddr_in Loopback(int port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(static_cast<uint16_t>(port));
  return address;
}

[[noreturn]] void Die(const char* what) {
  std::perror(what);
  std::exit(1);
}

void Watch(int fd, void* data, uint32_t events) {
  epoll_event event{};
  event.events = events;
  event.data.ptr = data;
  if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event) != 0) Die("epoll_ctl");
}

// False when one side has ended.
bool Pump(Side& from, Side& to) {
  while (true) {
    if (from.begin == from.end) {
      if (!from.is_readable) return true;
      const ssize_t got = recv(from.fd, from.buffer.data(), from.buffer.size(), 0);
      if (got < 0 && errno == EAGAIN) {
        from.is_readable = false;
        return true;
      }
      if (got <= 0) return false;
      from.is_readable = static_cast<size_t>(got) == from.buffer.size();
      from.begin = 0;
      from.end = static_cast<size_t>(got);
    }
    const ssize_t sent =
        send(to.fd, from.buffer.data() + from.begin, from.end - from.begin, MSG_NOSIGNAL);
    if (sent < 0) return errno == EAGAIN;
    from.begin += static_cast<size_t>(sent);
  }
}

void Accept(int listen_fd, const std::vector<int>& target_ports) {
  static size_t turn = 0;
  const int fd = accept4(listen_fd, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
  if (fd < 0) return;
  auto* pair = new Pair();
  pair->client.pair = pair->target.pair = pair;
  pair->client.fd = fd;
  pair->target.fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  const int on = 1;
  setsockopt(pair->target.fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  const sockaddr_in address = Loopback(target_ports[turn++ % target_ports.size()]);
  if (connect(pair->target.fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 &&
      errno != EINPROGRESS) {
    Die("connect");
  }
  Watch(fd, &pair->client, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET);
  Watch(pair->target.fd, &pair->target, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) {
    std::fprintf(stderr, "usage: bench_floor LISTEN_PORT TARGET_PORT...\n");
    return 2;
  }
  std::vector<int> target_ports;
  for (int i = 2; i < argc; ++i) target_ports.push_back(std::atoi(argv[i]));
  epoll_fd = epoll_create1(EPOLL_CLOEXEC);
  const int listen_fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  const int on = 1;
  setsockopt(listen_fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  setsockopt(listen_fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  const sockaddr_in address = Loopback(std::atoi(argv[1]));
  if (bind(listen_fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
      listen(listen_fd, 4096) != 0) {
    Die("listen");
  }
  Watch(listen_fd, nullptr, EPOLLIN);
  std::array<epoll_event, kBatch> events;
  std::vector<std::unique_ptr<Pair>> closed;
  while (true) {
    const int count = epoll_wait(epoll_fd, events.data(), kBatch, -1);
    for (int i = 0; i < count; ++i) {
      const epoll_event& event = events[static_cast<size_t>(i)];
      if (event.data.ptr == nullptr) {
        Accept(listen_fd, target_ports);
        continue;
      }
      Side& side = *static_cast<Side*>(event.data.ptr);
      Pair& pair = *side.pair;
      if (pair.is_closed) continue;
      if ((event.events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0)
        side.is_readable = true;
      if (Pump(pair.client, pair.target) && Pump(pair.target, pair.client)) continue;
      close(pair.client.fd);
      close(pair.target.fd);
      pair.is_closed = true;
      closed.emplace_back(&pair);  // an event of its other side may be in this batch
    }
    closed.clear();
  }
}
