#include "controller/api/acceptor.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <spdlog/spdlog.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <utility>

#include "common/status.h"
#include "controller/limits.h"

namespace remuda {
namespace {

union SocketAddress {
  sockaddr any;
  sockaddr_in v4;
  sockaddr_in6 v6;
};

socklen_t ToSocketAddress(const Endpoint& endpoint, SocketAddress& out) {
  out = {};
  if (endpoint.address.find(':') == std::string::npos) {
    out.v4.sin_family = AF_INET;
    out.v4.sin_port = htons(endpoint.port);
    inet_pton(AF_INET, endpoint.address.c_str(), &out.v4.sin_addr);
    return sizeof out.v4;
  }
  out.v6.sin6_family = AF_INET6;
  out.v6.sin6_port = htons(endpoint.port);
  inet_pton(AF_INET6, endpoint.address.c_str(), &out.v6.sin6_addr);
  return sizeof out.v6;
}

std::string Text(const Endpoint& endpoint, int port) {
  const bool is_v6 = endpoint.address.find(':') != std::string::npos;
  return (is_v6 ? "[" + endpoint.address + "]" : endpoint.address) + ":" + std::to_string(port);
}

}  // namespace

size_t CountDescriptors() {
  std::error_code error;
  size_t count = 0;
  std::filesystem::directory_iterator it("/proc/self/fd", error);
  for (; !error && it != std::filesystem::directory_iterator(); it.increment(error)) ++count;
  return error ? 0 : count;
}

size_t TakeDescriptors() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return limits::kMaxDescriptors;
  if (limit.rlim_cur < limit.rlim_max) {
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    getrlimit(RLIMIT_NOFILE, &limit);
  }
  const size_t all = std::min(static_cast<size_t>(limit.rlim_cur), limits::kMaxDescriptors);
  return all - std::min(limits::kReservedDescriptors, all / 2);
}

absl::StatusOr<std::unique_ptr<Acceptor>> Acceptor::Listen(const Endpoint& endpoint) {
  const auto fail = [&endpoint](int error) {
    return Unavailable("--listen " + Text(endpoint, endpoint.port) +
                       " cannot be listened on: " + std::strerror(error));
  };
  SocketAddress to;
  socklen_t size = ToSocketAddress(endpoint, to);
  const int fd = socket(to.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return fail(errno);
  const int on = 1;
  // Not SO_REUSEPORT: two controllers on one port would share the connections between them.
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (bind(fd, &to.any, size) != 0 || listen(fd, limits::kAcceptBacklog) != 0 ||
      getsockname(fd, &to.any, &size) != 0) {
    const int error = errno;
    close(fd);
    return fail(error);
  }
  const int wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (wake < 0) {
    const int error = errno;
    close(fd);
    return fail(error);
  }
  const int port = ntohs(to.any.sa_family == AF_INET ? to.v4.sin_port : to.v6.sin6_port);
  return std::unique_ptr<Acceptor>(new Acceptor(fd, wake, Text(endpoint, port)));
}

Acceptor::~Acceptor() {
  Stop();
  close(wake_);
}

void Acceptor::Start(Bound bound, Metrics& metrics, std::function<void(int)> on_connection) {
  bound_ = std::move(bound);
  metrics_ = &metrics;
  metrics_->descriptor_limit = static_cast<int64_t>(bound_.max_descriptors);
  on_connection_ = std::move(on_connection);
  open_ = bound_.max_descriptors;  // not known: the first connection has them counted
  thread_ = std::thread([this] { Run(); });
}

void Acceptor::Stop() {
  const uint64_t one = 1;
  if (thread_.joinable()) {
    // It cannot fail: the counter is far from its limit.
    if (write(wake_, &one, sizeof one) < 0) return;
    thread_.join();
  }
  if (listener_ >= 0) close(std::exchange(listener_, -1));
}

void Acceptor::Run() {
  const int pause_ms = static_cast<int>(absl::ToInt64Milliseconds(limits::kAcceptPause));
  while (Wait(!paused_, paused_ ? pause_ms : -1)) AcceptAll();
}

bool Acceptor::Wait(bool for_connections, int timeout_ms) {
  pollfd fds[] = {{wake_, POLLIN, 0}, {for_connections ? listener_ : -1, POLLIN, 0}};
  poll(fds, 2, timeout_ms);
  return (fds[0].revents & POLLIN) == 0;
}

bool Acceptor::HasRoom() {
  const auto has_room = [this] { return open_ + bound_.each <= bound_.max_descriptors; };
  if (has_room()) return true;
  open_ = CountDescriptors() + (bound_.to_come ? bound_.to_come() : 0);
  return has_room();
}

void Acceptor::AcceptAll() {
  while (true) {
    const bool has_room = HasRoom();
    const int fd =
        has_room ? accept4(listener_, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC) : -1;
    if (fd >= 0) {
      open_ += bound_.each;
      paused_ = false;
      const int on = 1;
      setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
      on_connection_(fd);
      continue;
    }
    const int error = has_room ? errno : EMFILE;
    if (error == EINTR || error == ECONNABORTED) continue;
    const bool was_paused = std::exchange(paused_, error != EAGAIN);
    if (!paused_) return;
    if (!was_paused) {
      ++metrics_->accept_pauses;
      spdlog::warn(
          "connections to {} wait: {} ({} descriptors open or spoken for, at most {} used)",
          address_, std::strerror(error), open_, bound_.max_descriptors);
    }
    return;
  }
}

}  // namespace remuda
