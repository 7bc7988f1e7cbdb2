#include "proxy/control/takeover_channel.h"

#include <absl/strings/str_cat.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <utility>

namespace remuda::proxy {
namespace {

constexpr const char* kSocketName = "takeover.sock";
constexpr int kBacklog = 8;
constexpr int kSeals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE;

// A path of any length has a short name through the directory's descriptor.
struct Address {
  Descriptor directory;
  sockaddr_un name{};
};
Address AddressIn(const std::string& path, const char* file) {
  Address out;
  out.directory.Reset(open(path.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  out.name.sun_family = AF_UNIX;
  std::snprintf(out.name.sun_path, sizeof out.name.sun_path, "/proc/self/fd/%d/%s",
                out.directory.get(), file);
  return out;
}

const sockaddr* Get(const Address& address) {
  return reinterpret_cast<const sockaddr*>(&address.name);
}

absl::Status Errno(const char* what, int error) {
  return absl::UnavailableError(absl::StrCat(what, ": ", std::strerror(error)));
}

// A file in memory that holds `bytes`; not open: there is no room.
Descriptor InMemory(const std::string& bytes) {
  Descriptor memory(memfd_create("remuda-takeover", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!memory.is_open()) return memory;
  for (size_t written = 0; written < bytes.size();) {
    const ssize_t n = write(memory.get(), bytes.data() + written, bytes.size() - written);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return {};
    written += static_cast<size_t>(n);
  }
  // Whoever maps or reads it relies on its size.
  if (fcntl(memory.get(), F_ADD_SEALS, kSeals) != 0) return {};
  return memory;
}

// The message that is in `memory`. Empty, or what is wrong.
std::string ReadMemory(int memory, int64_t size, v1::TakeoverMessage& out) {
  struct stat info {};
  if (size < 1 || size > static_cast<int64_t>(TakeoverChannel::kMaxMessageBytes))
    return "a message of " + std::to_string(size) + " bytes: 1 to 268435456 are allowed";
  if (fstat(memory, &info) != 0 || info.st_size != size || fcntl(memory, F_GET_SEALS) != kSeals)
    return "a large message is not in sealed memory of its size";
  std::string bytes(static_cast<size_t>(size), '\0');
  for (size_t got = 0; got < bytes.size();) {
    const ssize_t n =
        pread(memory, bytes.data() + got, bytes.size() - got, static_cast<off_t>(got));
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return "a large message cannot be read";
    got += static_cast<size_t>(n);
  }
  const bool is_message = out.ParseFromString(bytes);
  explicit_bzero(bytes.data(), bytes.size());
  return is_message && !out.has_large() ? "" : "what came is no takeover message";
}

}  // namespace

int OpenTakeoverSocket(const std::string& directory) {
  const std::string temporary = absl::StrCat(kSocketName, ".", getpid());
  const Address address = AddressIn(directory, temporary.c_str());
  if (!address.directory.is_open()) return -errno;
  Descriptor socket(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!socket.is_open()) return -errno;
  unlinkat(address.directory.get(), temporary.c_str(), 0);
  if (bind(socket.get(), Get(address), sizeof address.name) != 0) return -errno;
  // In one step: whoever looks for it meets a process that listens, or the one before.
  if (fchmodat(address.directory.get(), temporary.c_str(), 0600, 0) != 0 ||
      listen(socket.get(), kBacklog) != 0 ||
      renameat(address.directory.get(), temporary.c_str(), address.directory.get(), kSocketName) !=
          0) {
    const int error = errno;
    unlinkat(address.directory.get(), temporary.c_str(), 0);
    return -error;
  }
  return socket.Release();
}

absl::StatusOr<std::shared_ptr<TakeoverChannel>> TakeoverChannel::Connect(
    const std::string& directory, std::chrono::milliseconds limit) {
  const Address address = AddressIn(directory, kSocketName);
  if (!address.directory.is_open()) return absl::NotFoundError("there is no data directory");
  Descriptor socket(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
  if (!socket.is_open()) return Errno("socket", errno);
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(limit);
  const timeval wait{seconds.count(), 0};
  setsockopt(socket.get(), SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof wait);
  if (connect(socket.get(), Get(address), sizeof address.name) != 0) {
    const int error = errno;
    const bool is_nobody = error == ENOENT || error == ECONNREFUSED;
    return is_nobody ? absl::NotFoundError("nobody listens there") : Errno("connect", error);
  }
  fcntl(socket.get(), F_SETFL, O_NONBLOCK);
  return std::make_shared<TakeoverChannel>(std::move(socket));
}

TakeoverChannel::~TakeoverChannel() { Shut(); }

absl::Status TakeoverChannel::CheckPeer() const {
  ucred peer{};
  socklen_t length = sizeof peer;
  if (getsockopt(socket_.get(), SOL_SOCKET, SO_PEERCRED, &peer, &length) != 0)
    return Errno("SO_PEERCRED", errno);
  if (peer.uid == 0 || peer.uid == geteuid()) return absl::OkStatus();
  return absl::PermissionDeniedError(absl::StrCat("process ", peer.pid, " runs as user ", peer.uid,
                                                  ", this one as user ", geteuid()));
}

pid_t TakeoverChannel::peer() const {
  ucred peer{};
  socklen_t length = sizeof peer;
  return getsockopt(socket_.get(), SOL_SOCKET, SO_PEERCRED, &peer, &length) == 0 ? peer.pid : 0;
}

bool TakeoverChannel::Send(const v1::TakeoverMessage& message,
                           const std::vector<int>& descriptors) {
  if (!socket_.is_open()) return false;
  Queued queued;
  queued.packet = message.SerializeAsString();
  queued.descriptors = descriptors;
  if (queued.packet.size() > kMaxPacketBytes) {
    v1::TakeoverMessage large;
    large.mutable_large()->set_size_bytes(static_cast<int64_t>(queued.packet.size()));
    queued.memory = InMemory(queued.packet);
    explicit_bzero(queued.packet.data(), queued.packet.size());
    queued.packet = large.SerializeAsString();
    queued.descriptors = {queued.memory.get()};
  }
  const bool is_possible = queue_.size() < kMaxQueued &&
                           queued.descriptors.size() <= kMaxDescriptors &&
                           (queued.descriptors.empty() || queued.descriptors.front() >= 0);
  if (!is_possible) {
    Fail("a message cannot be sent");
    return false;
  }
  queue_.push_back(std::move(queued));
  if (!Flush()) return false;
  // The caller may close them.
  if (queue_.empty() || queue_.back().memory.is_open()) return true;
  for (int& fd : queue_.back().descriptors) {
    fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    queue_.back().owned.emplace_back(fd);
  }
  return true;
}

bool TakeoverChannel::Flush() {
  while (!queue_.empty()) {
    const Queued& next = queue_.front();
    iovec piece{const_cast<char*>(next.packet.data()), next.packet.size()};
    alignas(cmsghdr) char control[CMSG_SPACE(kMaxDescriptors * sizeof(int))] = {};
    msghdr head{};
    head.msg_iov = &piece;
    head.msg_iovlen = 1;
    const size_t bytes = next.descriptors.size() * sizeof(int);
    if (bytes > 0) {
      head.msg_control = control;
      head.msg_controllen = CMSG_SPACE(bytes);
      cmsghdr* const rights = CMSG_FIRSTHDR(&head);
      rights->cmsg_level = SOL_SOCKET;
      rights->cmsg_type = SCM_RIGHTS;
      rights->cmsg_len = CMSG_LEN(bytes);
      std::memcpy(CMSG_DATA(rights), next.descriptors.data(), bytes);
    }
    if (sendmsg(socket_.get(), &head, MSG_NOSIGNAL | MSG_DONTWAIT) < 0) {
      if (errno == EINTR) continue;
      // Too many descriptors are on their way: the other one has to read first.
      if (errno == EAGAIN || errno == ETOOMANYREFS) return true;
      if (errno == EPIPE || errno == ECONNRESET) {
        // It has closed it: what it has said before, why it refuses for one, is still to be read.
        queue_.clear();
        return true;
      }
      Fail(std::strerror(errno));
      return false;
    }
    queue_.pop_front();
  }
  return true;
}

TakeoverChannel::Read TakeoverChannel::ReadOne(Received& out, std::string& why) {
  std::string packet(kMaxPacketBytes + 1, '\0');
  iovec piece{packet.data(), packet.size()};
  alignas(cmsghdr) char control[CMSG_SPACE(kMaxDescriptors * sizeof(int))];
  msghdr head{};
  head.msg_iov = &piece;
  head.msg_iovlen = 1;
  head.msg_control = control;
  head.msg_controllen = sizeof control;
  ssize_t got = 0;
  bool is_reset = false;
  do {
    got = recvmsg(socket_.get(), &head, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    // Said once, before what came: it has closed it without reading all that we have sent.
  } while (got < 0 && (errno == EINTR || (errno == ECONNRESET && !std::exchange(is_reset, true))));
  if (got < 0 && errno == EAGAIN) return Read::kNothing;
  if (got <= 0) {
    why = got == 0 ? "the other process has closed it" : std::strerror(errno);
    return Read::kEnd;
  }
  for (cmsghdr* part = CMSG_FIRSTHDR(&head); part != nullptr; part = CMSG_NXTHDR(&head, part)) {
    if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS) continue;
    const size_t count = (part->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (size_t i = 0; i < count; ++i) {
      int fd = -1;
      std::memcpy(&fd, CMSG_DATA(part) + i * sizeof(int), sizeof fd);
      out.descriptors.emplace_back(fd);
    }
  }
  packet.resize(static_cast<size_t>(got));
  if ((head.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0 || packet.size() > kMaxPacketBytes) {
    why = "a packet is too large, or there is no room for its descriptors";
    return Read::kEnd;
  }
  if (!out.message.ParseFromString(packet)) {
    why = "what came is no takeover message";
    return Read::kEnd;
  }
  if (out.message.has_large()) {
    const std::vector<Descriptor> memory = std::exchange(out.descriptors, {});
    const int64_t size = out.message.large().size_bytes();
    why = memory.size() == 1 ? ReadMemory(memory.front().get(), size, out.message)
                             : "a large message comes without its memory";
    if (!why.empty()) return Read::kEnd;
  }
  return Read::kMessage;
}

absl::StatusOr<TakeoverChannel::Received> TakeoverChannel::Await(SteadyTime deadline) {
  while (true) {
    Received received;
    std::string why;
    if (!Flush()) return absl::UnavailableError("the other process has closed it");
    switch (ReadOne(received, why)) {
      case Read::kMessage:
        return received;
      case Read::kEnd:
        return absl::UnavailableError(why);
      case Read::kNothing:
        break;
    }
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
        deadline - std::chrono::steady_clock::now());
    if (left.count() <= 0) return absl::DeadlineExceededError("the other process says nothing");
    pollfd wait{socket_.get(), static_cast<short>(queue_.empty() ? POLLIN : POLLIN | POLLOUT), 0};
    poll(&wait, 1, static_cast<int>(std::min<int64_t>(left.count(), 1000)));
  }
}

bool TakeoverChannel::Watch(EventLoop& loop, Events events) {
  loop_ = &loop;
  events_ = std::move(events);
  return loop.Add(socket_.get(), this);
}

void TakeoverChannel::Close() {
  is_deaf_ = true;
  Shut();
}

void TakeoverChannel::Shut() {
  if (!socket_.is_open()) return;
  if (loop_ != nullptr) loop_->Remove(socket_.get(), this);
  socket_.Reset();
  queue_.clear();
}

void TakeoverChannel::Fail(const std::string& why) {
  if (!socket_.is_open()) return;
  Shut();
  if (loop_ == nullptr) return;
  // Not within the call that found it out.
  loop_->Post([self = shared_from_this(), why] {
    if (!self->is_deaf_ && self->events_.on_closed) self->events_.on_closed(why);
  });
}

void TakeoverChannel::OnIo(uint32_t /*events*/) {
  const auto self = shared_from_this();
  if (!Flush()) return;
  while (socket_.is_open()) {
    Received received;
    std::string why;
    switch (ReadOne(received, why)) {
      case Read::kNothing:
        return;
      case Read::kEnd:
        return Fail(why);
      case Read::kMessage:
        if (events_.on_message) events_.on_message(std::move(received));
    }
  }
}

}  // namespace remuda::proxy
