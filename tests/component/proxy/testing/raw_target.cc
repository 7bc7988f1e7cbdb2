#include "tests/component/proxy/testing/raw_target.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <string>
#include <utility>

namespace remuda::proxy::testing {

RawTarget::RawTarget(Script script) : script_(std::move(script)) {
  const ListeningSocket listening = ListenOnLoopback(1024);
  listen_fd_ = listening.fd;
  port_ = listening.port;
  acceptor_ = std::thread([this] { Accept(); });
}

void RawTarget::StopListening() {
  if (is_stopped_.exchange(true)) return;
  shutdown(listen_fd_, SHUT_RDWR);
  acceptor_.join();
  close(listen_fd_);
}

void RawTarget::Kill() {
  StopListening();
  std::vector<std::thread> threads;
  {
    std::lock_guard lock(mutex_);
    for (const int fd : open_) {
      const linger hard{1, 0};
      setsockopt(fd, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
      shutdown(fd, SHUT_RDWR);
    }
    threads.swap(threads_);
  }
  for (auto& thread : threads) thread.join();
}

void RawTarget::Accept() {
  while (!is_stopped_) {
    const int fd = accept4(listen_fd_, nullptr, nullptr, SOCK_CLOEXEC);
    if (fd < 0) return;
    std::lock_guard lock(mutex_);
    open_.push_back(fd);
    threads_.emplace_back([this, fd] { Serve(fd); });
  }
}

void RawTarget::Serve(int fd) {
  RawSocket connection(fd);
  script_(connection);
  std::lock_guard lock(mutex_);
  std::erase(open_, fd);
  connection.Close();
}

bool EchoAll(RawSocket& connection) {
  for (std::string got = connection.ReadSome(); !got.empty(); got = connection.ReadSome()) {
    if (!connection.Send(got)) break;
  }
  return false;
}

}  // namespace remuda::proxy::testing
