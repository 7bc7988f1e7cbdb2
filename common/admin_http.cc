#include "common/admin_http.h"

#include <absl/strings/str_cat.h>
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <exception>
#include <utility>
#include <vector>

namespace remuda {
namespace {

using Clock = std::chrono::steady_clock;

struct Connection {
  int fd;
  Clock::time_point deadline;
  std::string in;
  std::string out;  // empty until the request was read
  size_t sent = 0;
};

const char* ReasonPhrase(int status) {
  switch (status) {
    case 200:
      return "OK";
    case 400:
      return "Bad Request";
    case 404:
      return "Not Found";
    case 405:
      return "Method Not Allowed";
    case 431:
      return "Request Header Fields Too Large";
    case 500:
      return "Internal Server Error";
    case 503:
      return "Service Unavailable";
    default:
      return "Status";
  }
}

std::string Serialize(const AdminResponse& response, bool with_body) {
  std::string out =
      absl::StrCat("HTTP/1.1 ", response.status, " ", ReasonPhrase(response.status),
                   "\r\nContent-Type: ", response.content_type,
                   "\r\nContent-Length: ", response.body.size(), "\r\nConnection: close\r\n\r\n");
  if (with_body) out += response.body;
  return out;
}

// Reads what there is, and keeps at most a little over the limit: bytes beyond it are read and
// dropped, since closing with unread bytes would reset the connection before the client saw its
// answer. False: the peer is gone.
bool ReadSome(Connection& c) {
  char buffer[2048];
  for (int reads = 0; reads < 64; ++reads) {
    const ssize_t n = recv(c.fd, buffer, sizeof buffer, 0);
    if (n <= 0) return n < 0 && (errno == EAGAIN || errno == EINTR);
    if (c.in.size() <= AdminHttp::kMaxRequestBytes) c.in.append(buffer, static_cast<size_t>(n));
  }
  return true;
}

// False: done or broken; the connection is to be closed.
bool WriteSome(Connection& c) {
  while (c.sent < c.out.size()) {
    const ssize_t n = send(c.fd, c.out.data() + c.sent, c.out.size() - c.sent, MSG_NOSIGNAL);
    if (n < 0) return errno == EAGAIN || errno == EINTR;
    c.sent += static_cast<size_t>(n);
  }
  shutdown(c.fd, SHUT_WR);
  return false;
}

}  // namespace

AdminHttp::AdminHttp(Options options) : options_(std::move(options)) {}

AdminHttp::~AdminHttp() { Stop(); }

AdminHttp& AdminHttp::Handle(std::string path, Handler handler) {
  handlers_[std::move(path)] = std::move(handler);
  return *this;
}

std::string AdminHttp::listen_address() const {
  const bool v6 = options_.address.find(':') != std::string::npos;
  return v6 ? absl::StrCat("[", options_.address, "]:", port_)
            : absl::StrCat(options_.address, ":", port_);
}

absl::Status AdminHttp::Start() {
  sockaddr_storage storage{};
  socklen_t length = 0;
  auto* v4 = reinterpret_cast<sockaddr_in*>(&storage);
  auto* v6 = reinterpret_cast<sockaddr_in6*>(&storage);
  if (inet_pton(AF_INET, options_.address.c_str(), &v4->sin_addr) == 1) {
    v4->sin_family = AF_INET;
    v4->sin_port = htons(options_.port);
    length = sizeof *v4;
  } else if (inet_pton(AF_INET6, options_.address.c_str(), &v6->sin6_addr) == 1) {
    v6->sin6_family = AF_INET6;
    v6->sin6_port = htons(options_.port);
    length = sizeof *v6;
  } else {
    return absl::InvalidArgumentError(
        absl::StrCat("admin address \"", options_.address, "\": must be a numeric IP address"));
  }
  const auto fail = [&](const char* what) {
    const int error = errno;
    if (listen_fd_ >= 0) close(listen_fd_);
    listen_fd_ = -1;
    return absl::UnavailableError(absl::StrCat("admin ", options_.address, ":", options_.port, ": ",
                                               what, ": ", std::strerror(error)));
  };
  listen_fd_ = socket(storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (listen_fd_ < 0) return fail("socket");
  const int on = 1;
  setsockopt(listen_fd_, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (bind(listen_fd_, reinterpret_cast<sockaddr*>(&storage), length) != 0) return fail("bind");
  if (listen(listen_fd_, kMaxConnections) != 0) return fail("listen");
  getsockname(listen_fd_, reinterpret_cast<sockaddr*>(&storage), &length);
  port_ = ntohs(storage.ss_family == AF_INET ? v4->sin_port : v6->sin6_port);
  stop_fd_ = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (stop_fd_ < 0) return fail("eventfd");
  thread_ = std::thread([this] { Run(); });
  return absl::OkStatus();
}

void AdminHttp::Stop() {
  if (thread_.joinable()) {
    const uint64_t one = 1;
    // An eventfd write of 1 to a counter of 0 cannot be short or fail.
    [[maybe_unused]] const ssize_t n = write(stop_fd_, &one, sizeof one);
    thread_.join();
  }
  if (listen_fd_ >= 0) close(std::exchange(listen_fd_, -1));
  if (stop_fd_ >= 0) close(std::exchange(stop_fd_, -1));
}

AdminResponse AdminHttp::Answer(const std::string& head) const {
  // "GET /path?query HTTP/1.x"; the header fields that follow have no meaning here.
  const std::string line = head.substr(0, head.find("\r\n"));
  const size_t first = line.find(' ');
  const size_t second = line.find(' ', first == std::string::npos ? first : first + 1);
  if (second == std::string::npos || line.compare(second, 8, " HTTP/1.") != 0 ||
      line[first + 1] != '/') {
    return {.status = 400, .body = "the request line must be: METHOD /path HTTP/1.1\n"};
  }
  const std::string method = line.substr(0, first);
  const std::string target = line.substr(first + 1, second - first - 1);
  if (method != "GET" && method != "HEAD") {
    return {.status = 405, .body = "only GET and HEAD are served here\n"};
  }
  AdminRequest request;
  request.path = target.substr(0, target.find('?'));
  if (const size_t q = target.find('?'); q != std::string::npos)
    request.query = target.substr(q + 1);
  const auto it = handlers_.find(request.path);
  if (it == handlers_.end()) {
    AdminResponse response{.status = 404, .body = "not found; there are:\n"};
    for (const auto& [path, handler] : handlers_) absl::StrAppend(&response.body, path, "\n");
    return response;
  }
  try {
    return it->second(request);
  } catch (const std::exception& e) {
    return {.status = 500, .body = absl::StrCat(e.what(), "\n")};
  }
}

void AdminHttp::Run() {
  std::vector<Connection> connections;
  std::vector<pollfd> polled;
  for (;;) {
    polled.clear();
    polled.push_back({stop_fd_, POLLIN, 0});
    // Full: leave newcomers in the backlog until one ends; each ends by its deadline.
    const bool full = connections.size() >= kMaxConnections;
    polled.push_back({full ? -1 : listen_fd_, POLLIN, 0});
    for (const Connection& c : connections) {
      polled.push_back({c.fd, static_cast<short>(c.out.empty() ? POLLIN : POLLOUT), 0});
    }
    poll(polled.data(), polled.size(), connections.empty() ? -1 : 200);
    if (polled[0].revents != 0) break;

    const auto now = Clock::now();
    for (size_t i = 0; i < connections.size(); ++i) {
      Connection& c = connections[i];
      bool keep = now < c.deadline;
      if (keep && c.out.empty() && polled[i + 2].revents != 0) {
        keep = ReadSome(c);
        const bool too_large = c.in.size() > kMaxRequestBytes;
        if (too_large) {
          c.out = Serialize({.status = 431, .body = "the request is over 8 KiB\n"}, true);
        } else if (c.in.find("\r\n\r\n") != std::string::npos) {
          c.out = Serialize(Answer(c.in), c.in.compare(0, 5, "HEAD ") != 0);
        }
        keep = keep || !c.out.empty();
      }
      if (keep && !c.out.empty()) keep = WriteSome(c);
      if (!keep) close(std::exchange(c.fd, -1));
    }
    std::erase_if(connections, [](const Connection& c) { return c.fd < 0; });

    if (polled[1].revents != 0) {
      const int fd = accept4(listen_fd_, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
      if (fd >= 0) {
        connections.push_back({fd, now + std::chrono::milliseconds(kConnectionTimeoutMs), {}, {}});
      } else if (errno == EMFILE || errno == ENFILE) {
        // Out of descriptors: the listener stays readable, so wait a moment rather than spin.
        poll(nullptr, 0, 100);
      }
    }
  }
  for (const Connection& c : connections) close(c.fd);
}

}  // namespace remuda
