// ServiceManager: tells the service manager that started this program (systemd) how the program is,
// by datagrams to $NOTIFY_SOCKET (the protocol of sd_notify(3), of which no library is needed).
// Where nobody listens nothing is sent, and all of it does nothing.
//
// Owns its socket. Does not own what it says: READY is for whoever knows that all is served.
// Thread: any, once it is made.
#pragma once

#include <sys/socket.h>
#include <sys/types.h>
#include <sys/un.h>

#include <chrono>
#include <string>
#include <string_view>
#include <vector>

namespace remuda {

class ServiceManager {
 public:
  // Of a status text; what is longer is cut.
  static constexpr size_t kMaxStatusBytes = 512;
  // How long what must not be lost (Ready, Stopping, Reloading, MainPid) waits for room in the
  // manager's queue. Alive and Status do not wait: another will follow.
  static constexpr std::chrono::seconds kSendPatience{2};

  // Takes NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID out of the environment, so that no child
  // speaks for this program. Before other threads begin. A watchdog that is meant for another
  // process is none.
  static ServiceManager FromEnvironment();

  // Nobody listens.
  ServiceManager() = default;
  // `socket` is an absolute path, or `@NAME` in the abstract namespace; another kind, or one that
  // is too long for a socket's address: nobody listens.
  ServiceManager(const std::string& socket, std::chrono::microseconds watchdog);
  ServiceManager(ServiceManager&& other) noexcept;
  ServiceManager& operator=(ServiceManager&& other) noexcept;
  ~ServiceManager();

  bool is_listening() const { return fd_ >= 0; }

  // How often Alive is to be said at least: half of the time after which the manager takes the
  // program for hung. 0: nobody waits for it.
  std::chrono::milliseconds alive_interval() const;

  // It serves. `status` as in Status.
  void Ready(std::string_view status) const;
  // It has begun to read its settings anew; Ready is to follow.
  void Reloading() const;
  // It has begun to end.
  void Stopping(std::string_view status) const;
  // Say it only where all threads that must move have moved since the last time (Pulse).
  void Alive() const;
  // For people, one line: control characters become blanks.
  void Status(std::string_view text) const;
  // Another process is the service's main one from now on. Taken from the main one itself, or where
  // the unit has NotifyAccess=all.
  void MainPid(pid_t pid) const;

  // NAME=VALUE, to be added to the environment of a process that takes this one's place.
  std::vector<std::string> Environment() const;

 private:
  void Send(const std::string& message, bool may_wait) const;

  std::string socket_;
  std::chrono::microseconds watchdog_{0};
  sockaddr_un address_{};
  socklen_t address_length_ = 0;
  int fd_ = -1;
};

}  // namespace remuda
