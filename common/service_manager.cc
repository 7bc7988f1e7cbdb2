#include "common/service_manager.h"

#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <utility>

namespace remuda {
namespace {

constexpr const char* kSocket = "NOTIFY_SOCKET";
constexpr const char* kWatchdog = "WATCHDOG_USEC";
constexpr const char* kWatchdogPid = "WATCHDOG_PID";

std::string Take(const char* name) {
  const char* value = std::getenv(name);
  std::string text = value == nullptr ? "" : value;
  unsetenv(name);
  return text;
}

// 0: not a number.
int64_t NumberOf(const std::string& text) {
  int64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc() && end == text.data() + text.size() && number > 0 ? number : 0;
}

std::string StatusLine(std::string_view text) {
  std::string line = "STATUS=" + std::string(text.substr(0, ServiceManager::kMaxStatusBytes));
  for (char& c : line) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = ' ';
  }
  return line;
}

}  // namespace

ServiceManager ServiceManager::FromEnvironment() {
  const std::string socket = Take(kSocket);
  const int64_t watchdog = NumberOf(Take(kWatchdog));
  const std::string pid = Take(kWatchdogPid);
  const bool is_ours = pid.empty() || NumberOf(pid) == getpid();
  return ServiceManager(socket, std::chrono::microseconds(is_ours ? watchdog : 0));
}

ServiceManager::ServiceManager(const std::string& socket, std::chrono::microseconds watchdog) {
  const bool is_abstract = socket.starts_with('@');
  if (socket.size() < 2 || (!is_abstract && !socket.starts_with('/'))) return;
  // A path ends with a zero, a name of the abstract namespace with the address's length.
  const size_t limit = sizeof address_.sun_path - (is_abstract ? 0 : 1);
  if (socket.size() > limit) return;
  fd_ = ::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd_ < 0) return;
  timeval patience{};
  patience.tv_sec = kSendPatience.count();
  setsockopt(fd_, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
  address_.sun_family = AF_UNIX;
  std::memcpy(address_.sun_path, socket.data(), socket.size());
  if (is_abstract) address_.sun_path[0] = '\0';
  address_length_ = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + socket.size() +
                                           (is_abstract ? 0 : 1));
  socket_ = socket;
  watchdog_ = watchdog;
}

ServiceManager::ServiceManager(ServiceManager&& other) noexcept { *this = std::move(other); }

ServiceManager& ServiceManager::operator=(ServiceManager&& other) noexcept {
  socket_ = other.socket_;
  watchdog_ = other.watchdog_;
  address_ = other.address_;
  address_length_ = other.address_length_;
  std::swap(fd_, other.fd_);
  return *this;
}

ServiceManager::~ServiceManager() {
  if (fd_ >= 0) close(fd_);
}

std::chrono::milliseconds ServiceManager::alive_interval() const {
  if (!is_listening() || watchdog_.count() == 0) return std::chrono::milliseconds(0);
  // A watchdog of less than 2 ms is not one that a program can answer; it is asked for all the
  // same.
  return std::max(std::chrono::duration_cast<std::chrono::milliseconds>(watchdog_ / 2),
                  std::chrono::milliseconds(1));
}

void ServiceManager::Ready(std::string_view status) const {
  Send("READY=1\n" + StatusLine(status), /*may_wait=*/true);
}

void ServiceManager::Reloading() const {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  const int64_t microseconds = int64_t{now.tv_sec} * 1'000'000 + now.tv_nsec / 1000;
  Send("RELOADING=1\nMONOTONIC_USEC=" + std::to_string(microseconds), /*may_wait=*/true);
}

void ServiceManager::Stopping(std::string_view status) const {
  Send("STOPPING=1\n" + StatusLine(status), /*may_wait=*/true);
}

void ServiceManager::Alive() const { Send("WATCHDOG=1", /*may_wait=*/false); }

void ServiceManager::Status(std::string_view text) const {
  Send(StatusLine(text), /*may_wait=*/false);
}

void ServiceManager::MainPid(pid_t pid) const {
  Send("MAINPID=" + std::to_string(pid), /*may_wait=*/true);
}

std::vector<std::string> ServiceManager::Environment() const {
  if (!is_listening()) return {};
  std::vector<std::string> variables = {std::string(kSocket) + "=" + socket_};
  if (watchdog_.count() > 0)
    variables.push_back(std::string(kWatchdog) + "=" + std::to_string(watchdog_.count()));
  return variables;
}

void ServiceManager::Send(const std::string& message, bool may_wait) const {
  if (fd_ < 0) return;
  // What cannot be sent is not repeated: the manager acts on its own timeouts then.
  [[maybe_unused]] const ssize_t sent =
      sendto(fd_, message.data(), message.size(), MSG_NOSIGNAL | (may_wait ? 0 : MSG_DONTWAIT),
             reinterpret_cast<const sockaddr*>(&address_), address_length_);
}

}  // namespace remuda
