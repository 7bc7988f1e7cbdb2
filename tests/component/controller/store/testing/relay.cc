#include "tests/component/controller/store/testing/relay.h"

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>

namespace remuda {
namespace {

sockaddr_in Loopback(int port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(static_cast<uint16_t>(port));
  return address;
}

bool SendAll(int fd, const char* data, size_t size) {
  while (size > 0) {
    const ssize_t sent = send(fd, data, size, MSG_NOSIGNAL);
    if (sent <= 0) return false;
    data += sent;
    size -= static_cast<size_t>(sent);
  }
  return true;
}

}  // namespace

Relay::Relay(int server_port) : server_port_(server_port) {
  listener_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address = Loopback(0);
  socklen_t size = sizeof address;
  if (bind(listener_, reinterpret_cast<sockaddr*>(&address), size) != 0 ||
      listen(listener_, 64) != 0 ||
      getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size) != 0) {
    std::abort();
  }
  port_ = ntohs(address.sin_port);
  acceptor_ = std::thread([this] { Accept(); });
}

Relay::~Relay() {
  {
    const std::lock_guard lock(mutex_);
    is_ending_ = true;
    for (Link& link : links_) {
      shutdown(link.client, SHUT_RDWR);
      shutdown(link.server, SHUT_RDWR);
    }
  }
  changed_.notify_all();
  shutdown(listener_, SHUT_RDWR);
  acceptor_.join();
  for (Link& link : links_) {
    link.up.join();
    link.down.join();
    close(link.client);
    close(link.server);
  }
  close(listener_);
}

void Relay::Hold(Way way) {
  const std::lock_guard lock(mutex_);
  is_held_[static_cast<int>(way)] = true;
}

void Relay::Release() {
  {
    const std::lock_guard lock(mutex_);
    is_held_[0] = is_held_[1] = false;
  }
  changed_.notify_all();
}

void Relay::CutAfter(Way way, int64_t bytes) {
  const std::lock_guard lock(mutex_);
  left_[static_cast<int>(way)] = bytes;
}

void Relay::Slow(Way way, int64_t bytes_per_second) {
  const std::lock_guard lock(mutex_);
  bytes_per_second_[static_cast<int>(way)] = bytes_per_second;
}

void Relay::Accept() {
  while (true) {
    const int client = accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
    if (client < 0) return;
    const int server = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const sockaddr_in address = Loopback(server_port_);
    if (connect(server, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
      close(client);
      close(server);
      continue;
    }
    const int one = 1;
    setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    setsockopt(server, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    const std::lock_guard lock(mutex_);
    Link& link = links_.emplace_back();
    link.client = client;
    link.server = server;
    if (is_ending_) {
      shutdown(client, SHUT_RDWR);
      shutdown(server, SHUT_RDWR);
    }
    link.up = std::thread([this, &link] { Move(link, Way::kToServer); });
    link.down = std::thread([this, &link] { Move(link, Way::kToClient); });
  }
}

bool Relay::Pass(Way way, int64_t bytes) {
  const int at = static_cast<int>(way);
  std::unique_lock lock(mutex_);
  held_ += bytes;
  changed_.wait(lock, [&] { return is_ending_ || !is_held_[at]; });
  held_ -= bytes;
  return !is_ending_;
}

void Relay::Cut() {
  const std::lock_guard lock(mutex_);
  left_[0] = left_[1] = INT64_MAX;
  for (Link& link : links_) {
    shutdown(link.client, SHUT_RDWR);
    shutdown(link.server, SHUT_RDWR);
  }
}

void Relay::Move(Link& link, Way way) {
  const int from = way == Way::kToServer ? link.client : link.server;
  const int to = way == Way::kToServer ? link.server : link.client;
  const int at = static_cast<int>(way);
  char data[4096];
  while (true) {
    const ssize_t count = recv(from, data, sizeof data, 0);
    if (count <= 0) break;
    if (!Pass(way, count)) break;
    bool is_cut = false;
    int64_t size = count;
    {
      std::unique_lock lock(mutex_);
      if (bytes_per_second_[at] > 0) {
        const std::chrono::microseconds time(count * 1'000'000 / bytes_per_second_[at]);
        changed_.wait_for(lock, time, [this] { return is_ending_; });
      }
      if (left_[at] != INT64_MAX) {
        size = std::min<int64_t>(count, left_[at]);
        left_[at] -= size;
        is_cut = left_[at] == 0;
      }
    }
    const bool is_sent = SendAll(to, data, static_cast<size_t>(size));
    if (is_cut) Cut();
    if (is_cut || !is_sent) break;
  }
  // The other side hears of the end; what was held for it is gone with this end.
  shutdown(to, SHUT_WR);
}

}  // namespace remuda
