#include "tests/bench/control/process_plant.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <cstdlib>
#include <stdexcept>

#include "tests/bench/control/grpc_link.h"
#include "tests/bench/control/memory.h"

namespace remuda::bench {
namespace {

// What a GET of `path` on 127.0.0.1:PORT answers, with its head.
std::string Get(const std::string& address, const std::string& path) {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_port = htons(static_cast<uint16_t>(std::atoi(address.c_str() + address.rfind(':') + 1)));
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  std::string answer;
  const std::string request =
      "GET " + path + " HTTP/1.1\r\nHost: controller\r\nConnection: close\r\n\r\n";
  if (connect(fd, reinterpret_cast<const sockaddr*>(&to), sizeof to) == 0 &&
      send(fd, request.data(), request.size(), MSG_NOSIGNAL) ==
          static_cast<ssize_t>(request.size())) {
    char buffer[16384];
    for (ssize_t n; (n = recv(fd, buffer, sizeof buffer, 0)) > 0;)
      answer.append(buffer, static_cast<size_t>(n));
  }
  close(fd);
  if (answer.find(" 200 ") == std::string::npos) throw std::runtime_error(path + ": no answer");
  return answer;
}

}  // namespace

void ProcessPlant::Start() {
  process_.Start(flags_);
  admin_ = process_.Channel();
}

void ProcessPlant::Kill() {
  process_.Stop(SIGKILL);
  channels_.clear();
}

std::unique_ptr<Link> ProcessPlant::Dial(Side side, size_t index, LinkHandler& handler) {
  const size_t connection = index / streams_per_connection_;
  if (channels_.size() <= connection) channels_.resize(connection + 1);
  if (channels_[connection] == nullptr) channels_[connection] = process_.Channel();
  return std::make_unique<GrpcLink>(channels_[connection], side, handler);
}

double ProcessPlant::CpuSeconds() {
  clockid_t clock;
  timespec used{};
  if (clock_getcpuclockid(process_.pid(), &clock) != 0 || clock_gettime(clock, &used) != 0)
    throw std::runtime_error("the controller has ended:\n" + process_.Log());
  return static_cast<double>(used.tv_sec) + static_cast<double>(used.tv_nsec) / 1e9;
}

int64_t ProcessPlant::ResidentBytes() { return ResidentBytesOf(std::to_string(process_.pid())); }

std::string ProcessPlant::Metrics() { return Get(process_.http_address(), "/metrics"); }

}  // namespace remuda::bench
