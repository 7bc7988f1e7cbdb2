#include "tests/component/proxy/testing/recording_targets.h"

#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdlib>

namespace remuda::proxy::testing {
namespace {

constexpr uint64_t kListening = uint64_t{1} << 32;

void Watch(int epoll_fd, int fd, uint64_t data) {
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.u64 = data;
  epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event);
}

size_t BodyBytes(const std::string& head) {
  const std::string name = "Content-Length: ";
  const size_t at = head.find(name);
  return at == std::string::npos ? 0 : std::strtoul(head.c_str() + at + name.size(), nullptr, 10);
}

}  // namespace

RecordingTargets::RecordingTargets(size_t count) : confirmed_(count) {
  epoll_fd_ = epoll_create1(EPOLL_CLOEXEC);
  for (size_t i = 0; i < count; ++i) {
    listening_.push_back(ListenOnLoopback(1024));
    fcntl(listening_[i].fd, F_SETFL, O_NONBLOCK);
    Watch(epoll_fd_, listening_[i].fd, kListening | i);
  }
  thread_ = std::thread([this] { Run(); });
}

RecordingTargets::~RecordingTargets() {
  is_stopped_ = true;
  thread_.join();
  for (const auto& [fd, connection] : connections_) close(fd);
  for (const ListeningSocket& listening : listening_) close(listening.fd);
  close(epoll_fd_);
}

void RecordingTargets::Run() {
  while (!is_stopped_) {
    epoll_event events[64];
    const int count = epoll_wait(epoll_fd_, events, 64, 1);
    for (int i = 0; i < count; ++i) {
      const uint64_t data = events[i].data.u64;
      if ((data & kListening) != 0) {
        Accept(static_cast<size_t>(data & ~kListening));
      } else {
        Read(static_cast<int>(data));
      }
    }
    AnswerDue();
  }
}

void RecordingTargets::Accept(size_t target) {
  while (true) {
    const int fd = accept4(listening_[target].fd, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) return;
    connections_[fd].target = target;
    Watch(epoll_fd_, fd, static_cast<uint64_t>(fd));
  }
}

void RecordingTargets::Read(int fd) {
  const auto it = connections_.find(fd);
  if (it == connections_.end()) return;
  char block[4096];
  const ssize_t got = recv(fd, block, sizeof block, 0);
  if (got <= 0) {
    close(fd);
    connections_.erase(it);
    return;
  }
  it->second.received.append(block, static_cast<size_t>(got));
  TakeRequest(fd, it->second);
}

void RecordingTargets::TakeRequest(int fd, Connection& connection) {
  const size_t end = connection.received.find("\r\n\r\n");
  if (connection.answer_at != Time() || end == std::string::npos) return;
  const std::string head = connection.received.substr(0, end + 4);
  if (connection.received.size() < head.size() + BodyBytes(head)) return;
  connection.received.erase(0, head.size() + BodyBytes(head));
  const Time now = std::chrono::steady_clock::now();
  if (head.rfind("GET /health", 0) == 0) {
    connection.answer_at = now;
    return;
  }
  if (confirmed_[connection.target]) ++late_arrivals_;
  const int64_t number = ++arrivals_;
  if (number % kClosesEach == 0) {
    ++closed_;
    close(fd);
    connections_.erase(fd);
    return;
  }
  connection.answer_at = now + std::chrono::milliseconds(number % (kMaxDelayMs + 1));
}

void RecordingTargets::AnswerDue() {
  static const std::string kAnswer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
  const Time now = std::chrono::steady_clock::now();
  for (auto& [fd, connection] : connections_) {
    if (connection.answer_at == Time() || connection.answer_at > now) continue;
    connection.answer_at = Time();
    // Small: its send buffer holds it. One that has gone is found by the next read.
    [[maybe_unused]] const ssize_t sent = send(fd, kAnswer.data(), kAnswer.size(), MSG_NOSIGNAL);
  }
}

}  // namespace remuda::proxy::testing
