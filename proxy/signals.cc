#include "proxy/signals.h"

#include <sys/signalfd.h>
#include <unistd.h>

#include <csignal>
#include <utility>

namespace remuda::proxy {

Signals::Signals(Events events) : events_(std::move(events)) {
  sigset_t set;
  sigemptyset(&set);
  for (const int signal : {SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGUSR2, SIGCHLD})
    sigaddset(&set, signal);
  pthread_sigmask(SIG_BLOCK, &set, nullptr);
  std::signal(SIGPIPE, SIG_IGN);
  fd_ = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

Signals::~Signals() { close(fd_); }

void Signals::OnIo(uint32_t /*events*/) {
  signalfd_siginfo info;
  while (read(fd_, &info, sizeof info) == sizeof info) {
    switch (info.ssi_signo) {
      case SIGHUP:
        events_.on_reload();
        break;
      case SIGUSR1:
        events_.on_rotate();
        break;
      case SIGUSR2:
        events_.on_renew();
        break;
      case SIGCHLD:
        events_.on_child();
        break;
      default:
        events_.on_stop();
    }
  }
}

}  // namespace remuda::proxy
