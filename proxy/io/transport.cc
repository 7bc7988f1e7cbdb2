#include "proxy/io/transport.h"

#include <sys/socket.h>

namespace remuda::proxy {

Received Transport::ReceivePlain(char* data, size_t size) {
  ssize_t got;
  do {
    got = recv(fd_, data, size, 0);
  } while (got < 0 && errno == EINTR);
  if (got < 0) return {-errno, true};
  // A short read has emptied the socket (epoll(7)). An end behind it has its own event.
  return {got, got > 0 && static_cast<size_t>(got) < size};
}

ssize_t Transport::SendPlain(const iovec* pieces, size_t count) {
  ssize_t sent;
  if (count == 1) {  // 4 % cheaper than sendmsg
    do {
      sent = send(fd_, pieces->iov_base, pieces->iov_len, MSG_NOSIGNAL);
    } while (sent < 0 && errno == EINTR);
    return sent < 0 ? -errno : sent;
  }
  msghdr message{};
  message.msg_iov = const_cast<iovec*>(pieces);
  message.msg_iovlen = count;
  do {
    sent = sendmsg(fd_, &message, MSG_NOSIGNAL);
  } while (sent < 0 && errno == EINTR);
  return sent < 0 ? -errno : sent;
}

int Transport::ShutdownSending() {
  if (CloseNotify() == -EAGAIN) return -EAGAIN;
  shutdown(fd_, SHUT_WR);
  return 0;
}

void Transport::Close() {
  if (fd_ < 0) return;
  layer_.reset();
  close(fd_);
  fd_ = -1;
  counted_.End();
  place_.End();
}

void Gather::Consume(size_t size) {
  while (first_ < count_ && size >= pieces_[first_].iov_len) size -= pieces_[first_++].iov_len;
  if (first_ == count_) {
    Clear();
  } else {
    pieces_[first_].iov_base = static_cast<char*>(pieces_[first_].iov_base) + size;
    pieces_[first_].iov_len -= size;
  }
}

}  // namespace remuda::proxy
