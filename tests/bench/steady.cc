// Sends GET / at a fixed rate, evenly spaced, whatever the answers do (open loop), and prints
// percentiles of the time from when a request was due to the last byte of its answer: what waited
// behind a slow one counts.
//
//   bench_steady PORT REQUESTS_A_SECOND SECONDS CONNECTIONS
//
// Output: "requests N p50_us X p90_us X p99_us X max_us X". Exit 1 if an answer was not 200, a
// connection ended, or all connections were busy when a request was due. One thread, loopback only.
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string_view>
#include <vector>

namespace {

using Clock = std::chrono::steady_clock;
constexpr std::string_view kRequest = "GET / HTTP/1.1\r\nHost: bench.test\r\n\r\n";
// Connections are made and caches warm; not counted.
constexpr std::chrono::milliseconds kDiscarded{500};
// After the last request was due.
constexpr std::chrono::seconds kPatience{5};

struct Connection {
  int fd = -1;
  Clock::time_point due;
  std::array<char, 4096> answer;
  size_t answer_size = 0;
};

[[noreturn]] void Fail(const char* what) {
  std::fprintf(stderr, "bench_steady: %s\n", what);
  std::exit(1);
}

// Whether the whole answer has come.
bool IsWhole(const Connection& connection) {
  const std::string_view answer(connection.answer.data(), connection.answer_size);
  const size_t head_end = answer.find("\r\n\r\n");
  if (head_end == std::string_view::npos) return false;
  if (!answer.starts_with("HTTP/1.1 200")) Fail("an answer was not 200");
  for (const std::string_view name : {"Content-Length: ", "content-length: "}) {
    const size_t at = answer.find(name);
    if (at == std::string_view::npos || at > head_end) continue;
    const size_t length = std::strtoull(answer.data() + at + name.size(), nullptr, 10);
    return answer.size() >= head_end + 4 + length;
  }
  Fail("an answer without Content-Length");
}

int Connect(int port) {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const int on = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(static_cast<uint16_t>(port));
  if (connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) Fail("connect");
  return fd;
}

// Wakes once an interval from `begin` on.
int MakeTimer(Clock::time_point begin, std::chrono::nanoseconds interval) {
  const int fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
  itimerspec spec{};
  const auto first = begin.time_since_epoch();
  spec.it_value.tv_sec = std::chrono::duration_cast<std::chrono::seconds>(first).count();
  spec.it_value.tv_nsec = (first % std::chrono::seconds(1)).count();
  spec.it_interval.tv_nsec = interval.count();
  timerfd_settime(fd, TFD_TIMER_ABSTIME, &spec, nullptr);
  return fd;
}

void Receive(Connection& connection) {
  const ssize_t got = recv(connection.fd, connection.answer.data() + connection.answer_size,
                           connection.answer.size() - connection.answer_size, MSG_DONTWAIT);
  if (got < 0 && errno == EAGAIN) return;
  if (got <= 0) Fail("a connection ended");
  connection.answer_size += static_cast<size_t>(got);
}

void Print(std::vector<double>& times) {
  if (times.empty()) Fail("nothing was measured");
  std::sort(times.begin(), times.end());
  const auto at = [&](double share) {
    return times[static_cast<size_t>(share * static_cast<double>(times.size() - 1))];
  };
  std::printf("requests %zu p50_us %.1f p90_us %.1f p99_us %.1f max_us %.1f\n", times.size(),
              at(0.5), at(0.9), at(0.99), times.back());
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 5) {
    std::fprintf(stderr, "usage: bench_steady PORT REQUESTS_A_SECOND SECONDS CONNECTIONS\n");
    return 2;
  }
  const int rate = std::atoi(argv[2]);
  const int64_t total = int64_t{rate} * std::atoi(argv[3]);
  if (rate < 2 || total < 1) Fail("the rate must be 2 or more, the time 1 or more");
  std::vector<Connection> connections(static_cast<size_t>(std::atoi(argv[4])));
  std::vector<Connection*> idle;
  const int epoll_fd = epoll_create1(EPOLL_CLOEXEC);
  const auto watch = [&](int fd, void* data) {
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.ptr = data;
    if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event) != 0) Fail("epoll_ctl");
  };
  for (Connection& connection : connections) {
    connection.fd = Connect(std::atoi(argv[1]));
    watch(connection.fd, &connection);
    idle.push_back(&connection);
  }
  const std::chrono::nanoseconds interval(1'000'000'000 / rate);
  const Clock::time_point begin = Clock::now() + std::chrono::milliseconds(10);
  const int timer_fd = MakeTimer(begin, interval);
  watch(timer_fd, nullptr);
  std::vector<double> times;
  times.reserve(static_cast<size_t>(total));
  int64_t sent = 0;
  int64_t answered = 0;
  std::array<epoll_event, 64> events;
  while (answered < total) {
    const int count = epoll_wait(epoll_fd, events.data(), 64, 1000);
    if (Clock::now() > begin + interval * total + kPatience) Fail("answers are missing");
    for (int i = 0; i < count; ++i) {
      auto* const connection = static_cast<Connection*>(events[static_cast<size_t>(i)].data.ptr);
      if (connection == nullptr) {
        uint64_t wakes = 0;
        [[maybe_unused]] const ssize_t got = read(timer_fd, &wakes, sizeof wakes);
        continue;
      }
      Receive(*connection);
      if (!IsWhole(*connection)) continue;
      ++answered;
      idle.push_back(connection);
      if (connection->due < begin + kDiscarded) continue;
      times.push_back(
          std::chrono::duration<double, std::micro>(Clock::now() - connection->due).count());
    }
    while (sent < total && begin + interval * sent <= Clock::now()) {
      if (idle.empty()) Fail("all connections are busy: too few for this rate");
      Connection& connection = *idle.front();
      idle.erase(idle.begin());  // the one that waited longest
      connection.due = begin + interval * sent++;
      connection.answer_size = 0;
      if (send(connection.fd, kRequest.data(), kRequest.size(), MSG_NOSIGNAL) < 0) Fail("send");
    }
  }
  Print(times);
}
