// LocalServer: answers each connection to a port of its own with what the test says, byte for byte.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <cstdint>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace remuda {

class LocalServer {
 public:
  // Writes the answer to a request; the connection is closed after it.
  using Handler = std::function<void(int connection)>;

  explicit LocalServer(Handler handler) : handler_(std::move(handler)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    bind(listener_, reinterpret_cast<sockaddr*>(&address), sizeof address);
    listen(listener_, 16);
    socklen_t size = sizeof address;
    getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size);
    port_ = ntohs(address.sin_port);
    thread_ = std::thread([this] { Serve(); });
  }
  LocalServer(const LocalServer&) = delete;
  LocalServer& operator=(const LocalServer&) = delete;
  ~LocalServer() {
    shutdown(listener_, SHUT_RDWR);
    thread_.join();
    close(listener_);
  }

  int port() const { return port_; }
  std::vector<std::string> requests() {
    const std::lock_guard lock(mutex_);
    return requests_;
  }

  // Whether all of it was taken.
  static bool Write(int connection, const std::string& bytes) {
    size_t written = 0;
    while (written < bytes.size()) {
      const ssize_t n =
          send(connection, bytes.data() + written, bytes.size() - written, MSG_NOSIGNAL);
      if (n <= 0) return false;
      written += static_cast<size_t>(n);
    }
    return true;
  }
  // Until the client has closed.
  static void Wait(int connection) {
    char buffer[4096];
    while (recv(connection, buffer, sizeof buffer, 0) > 0) {
    }
  }

 private:
  void Serve() {
    for (int connection; (connection = accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC)) >= 0;) {
      if (std::string request = Read(connection); !request.empty()) {
        const std::lock_guard lock(mutex_);
        requests_.push_back(std::move(request));
      }
      handler_(connection);
      shutdown(connection, SHUT_WR);
      Wait(connection);
      close(connection);
    }
  }

  // Head and body.
  static std::string Read(int connection) {
    std::string request;
    char buffer[4096];
    while (true) {
      const size_t head = request.find("\r\n\r\n");
      if (head != std::string::npos) {
        const size_t at = request.find("Content-Length: ");
        const size_t body = at == std::string::npos ? 0 : std::stoul(request.substr(at + 16));
        if (request.size() >= head + 4 + body) return request;
      }
      const ssize_t n = recv(connection, buffer, sizeof buffer, 0);
      if (n <= 0) return request;
      request.append(buffer, static_cast<size_t>(n));
    }
  }

  const Handler handler_;
  const int listener_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  int port_ = 0;
  std::mutex mutex_;  // guards requests_
  std::vector<std::string> requests_;
  std::thread thread_;
};

}  // namespace remuda
