// An app that does what no app should, one thing for each word of its command line, says how each
// went as `WORD: done` or `WORD: ERROR`, then says `over` and waits to be stopped.
#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/if_ether.h>
#include <linux/keyctl.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/personality.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <functional>
#include <iostream>
#include <map>
#include <string>
#include <vector>

namespace {

std::string Word(int argc, char** argv, int& at) { return at + 1 < argc ? argv[++at] : ""; }

long Answer(long result) { return result < 0 ? errno : 0; }

long Read(const std::string& path) {
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return errno;
  char byte = 0;
  const long result = read(fd, &byte, 1);
  const int error = errno;
  close(fd);
  return result < 0 && error != EISDIR ? error : 0;
}

long Write(const std::string& path) {
  const int fd = open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
  if (fd < 0) return errno;
  const long result = write(fd, "x", 1);
  const int error = errno;
  close(fd);
  return result == 1 ? 0 : error;
}

long Socket(int family, int type, int protocol) {
  const int fd = socket(family, type | SOCK_CLOEXEC, protocol);
  if (fd >= 0) close(fd);
  return Answer(fd);
}

// What the kernel says of this process, and what it has open.
long Show() {
  {
    std::ifstream status("/proc/self/status");
    for (std::string line; std::getline(status, line);) {
      for (const char* key : {"Uid:", "Gid:", "Groups:", "Cap", "NoNewPrivs:", "Seccomp:"}) {
        if (line.rfind(key, 0) == 0) std::cout << line << "\n";
      }
    }
  }
  for (int fd = 0; fd < 64; ++fd) {
    if (fcntl(fd, F_GETFD) >= 0) std::cout << "open: " << fd << "\n";
  }
  char byte = 0;
  std::cout << "stdin: " << read(0, &byte, 1) << "\n";
  const std::map<std::string, decltype(RLIMIT_CORE)> limits = {
      {"core", RLIMIT_CORE}, {"files", RLIMIT_NOFILE}, {"bytes", RLIMIT_FSIZE}};
  for (const auto& [name, limit] : limits) {
    rlimit now{};
    getrlimit(limit, &now);
    std::cout << "limit " << name << ": " << now.rlim_cur << " " << now.rlim_max << "\n";
  }
  for (char** variable = environ; *variable != nullptr; ++variable)
    std::cout << "env: " << std::string(*variable).substr(0, std::string(*variable).find('='))
              << "\n";
  return 0;
}

// Children until there can be no more; they stay.
long ForkBomb() {
  int made = 0;
  for (;;) {
    const pid_t pid = fork();
    if (pid < 0) break;
    if (pid == 0) {
      // Each is a daemon of a session of its own, which no signal to a group reaches.
      setsid();
      for (int signal = 1; signal < NSIG; ++signal) ::signal(signal, SIG_IGN);
      for (;;) {
        if (fork() > 0) pause();
      }
    }
    if (++made > 100'000) return 0;
  }
  return errno;
}

long EatMemory() {
  std::vector<std::vector<char>> eaten;
  for (int i = 0; i < 4096; ++i) eaten.emplace_back(size_t{1} << 20, 'x');
  return 0;
}

// Files of 1 MiB, on and on.
long FillDisk(const std::string& directory) {
  const std::string block(size_t{1} << 20, 'x');
  for (int i = 0; i < 4096; ++i) {
    std::ofstream out(directory + "/fill-" + std::to_string(i), std::ios::binary);
    out.write(block.data(), static_cast<std::streamsize>(block.size())).flush();
    if (!out) return ENOSPC;
  }
  return 0;
}

long FillFile() {
  const int fd = open("one-file", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
  const std::string block(size_t{1} << 20, 'x');
  signal(SIGXFSZ, SIG_IGN);
  for (int i = 0; i < 4096; ++i) {
    if (write(fd, block.data(), block.size()) < 0) return errno;
  }
  return 0;
}

long OpenFiles() {
  for (int i = 0; i < 2'000'000; ++i) {
    if (open("/dev/null", O_RDONLY | O_CLOEXEC) < 0) return errno;
  }
  return 0;
}

int Listen() {
  const int fd = socket(AF_INET, SOCK_STREAM, 0);
  const int on = 1;
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(std::atoi(std::getenv("PORT"))));
  inet_pton(AF_INET, std::getenv("HOST"), &address.sin_addr);
  if (bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) return -1;
  return listen(fd, 1) == 0 ? fd : -1;
}

// A daemon with another environment that ignores every signal and keeps the port.
long LeaveDaemon() {
  if (Listen() < 0) return errno;
  const pid_t pid = fork();
  if (pid > 0) {
    waitpid(pid, nullptr, 0);
    return 0;
  }
  setsid();
  for (int signal = 1; signal < NSIG; ++signal) ::signal(signal, SIG_IGN);
  if (fork() > 0) _exit(0);
  std::cout << "daemon " << getpid() << std::endl;
  std::string program = "/bin/sleep", time = "1000";
  char* args[] = {program.data(), time.data(), nullptr};
  char* environment[] = {nullptr};
  execve(program.c_str(), args, environment);
  _exit(1);
}

long SetCapability() {
  const long error = Answer(setuid(0));
  return error != 0 ? error : Answer(chown("/proc/self/cwd/misbehave", 0, 0));
}

long CallOfX32() {
#if defined(__x86_64__)
  return Answer(syscall(0x40000000L | SYS_getpid));
#else
  return EPERM;
#endif
}

long Clone3() {
  alignas(8) char arguments[88] = {};
  return Answer(syscall(435, arguments, sizeof arguments));
}

}  // namespace

int main(int argc, char** argv) {
  const std::map<std::string, std::function<long()>> kCalls = {
      {"show", Show},
      {"raw-socket", [] { return Socket(AF_INET, SOCK_RAW, IPPROTO_ICMP); }},
      {"raw-socket-6", [] { return Socket(AF_INET6, SOCK_RAW, IPPROTO_ICMPV6); }},
      {"packet-socket", [] { return Socket(AF_PACKET, SOCK_RAW, htons(ETH_P_ALL)); }},
      {"netfilter-socket", [] { return Socket(AF_NETLINK, SOCK_RAW, 12); }},
      {"kernel-crypto-socket", [] { return Socket(38, SOCK_SEQPACKET, 0); }},
      {"route-socket", [] { return Socket(AF_NETLINK, SOCK_RAW, 0); }},
      {"tcp-socket", [] { return Socket(AF_INET6, SOCK_STREAM | SOCK_NONBLOCK, 0); }},
      {"udp-socket", [] { return Socket(AF_INET, SOCK_DGRAM, 0); }},
      {"local-socket", [] { return Socket(AF_UNIX, SOCK_SEQPACKET, 0); }},
      {"user-namespace", [] { return Answer(unshare(CLONE_NEWUSER)); }},
      {"mount-namespace", [] { return Answer(unshare(CLONE_NEWNS)); }},
      {"clone-namespace",
       [] {
         return Answer(
             syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, nullptr, nullptr, nullptr, nullptr));
       }},
      {"clone3", Clone3},
      {"thread-flags", [] { return Answer(unshare(CLONE_FILES)); }},
      {"mount", [] { return Answer(mount("none", "/tmp", "tmpfs", 0, nullptr)); }},
      {"trace", [] { return Answer(ptrace(PTRACE_TRACEME, 0, nullptr, nullptr)); }},
      {"keys",
       [] { return Answer(syscall(SYS_keyctl, KEYCTL_GET_KEYRING_ID, KEY_SPEC_USER_KEYRING, 1)); }},
      {"bpf", [] { return Answer(syscall(SYS_bpf, 0, nullptr, 0)); }},
      {"perf", [] { return Answer(syscall(SYS_perf_event_open, nullptr, 0, -1, -1, 0)); }},
      {"io-uring", [] { return Answer(syscall(SYS_io_uring_setup, 1, nullptr)); }},
      {"load-module", [] { return Answer(syscall(SYS_init_module, nullptr, 0, "")); }},
      {"chroot", [] { return Answer(chroot("/tmp")); }},
      {"personality", [] { return Answer(personality(ADDR_NO_RANDOMIZE)); }},
      {"ask-personality", [] { return Answer(personality(0xffffffff)); }},
      {"x32", CallOfX32},
      {"become-root", SetCapability},
      {"fork-bomb", ForkBomb},
      {"eat-memory", EatMemory},
      {"shared-memory", [] { return Answer(shmget(IPC_PRIVATE, 4096, IPC_CREAT | 0600)); }},
      {"fill-file", FillFile},
      {"open-files", OpenFiles},
      {"listen", [] { return Answer(Listen()); }},
      {"leave-daemon", LeaveDaemon},
      {"device", [] { return Answer(mknod("device", S_IFCHR | 0600, 0x103)); }},
      {"flood",
       [] {
         for (long i = 0;; ++i) std::cout << "flood " << i << " and no end of it\n";
         return 0L;
       }},
  };
  for (int at = 1; at < argc; ++at) {
    const std::string word = argv[at];
    std::string of;
    long error = 0;
    if (word == "read" || word == "write" || word == "signal" || word == "fill-disk") {
      of = Word(argc, argv, at);
      error = word == "read"     ? Read(of)
              : word == "write"  ? Write(of)
              : word == "signal" ? Answer(kill(std::atoi(of.c_str()), SIGCONT))
                                 : FillDisk(of);
      of = " " + of;
    } else if (const auto call = kCalls.find(word); call != kCalls.end()) {
      error = call->second();
    } else {
      error = EINVAL;
    }
    std::cout << word << of << ": "
              << (error == 0 ? "done" : strerrorname_np(static_cast<int>(error))) << std::endl;
  }
  std::cout << "over" << std::endl;
  for (;;) pause();
}
