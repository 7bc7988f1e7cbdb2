// A connected, non-blocking stream of bytes: a plain socket, or a socket under a layer (TLS). What
// a connection reads and writes through, whatever is below.
//
// Thread: its worker's. Results are bytes, or -errno; -EAGAIN: nothing can be done now, an event of
// the descriptor tells when.
#pragma once

#include <sys/uio.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstring>
#include <memory>
#include <utility>

#include "proxy/core/traffic.h"
#include "proxy/io/address_limit.h"
#include "proxy/io/buffer_pool.h"

namespace remuda::proxy {

namespace tls {
struct ConnectionInfo;
}

struct Received {
  ssize_t bytes = 0;        // above 0; 0: the peer has ended; or -errno
  bool is_drained = false;  // nothing more is there: the next event tells of more
};

// What lies between the bytes of a connection and its descriptor.
class TransportLayer {
 public:
  virtual ~TransportLayer() = default;
  // 0: done; -EAGAIN: go on at the next event; else it failed.
  virtual int Handshake() = 0;
  virtual Received Receive(char* data, size_t size) = 0;
  // Takes as much as it can. What it has taken counts as sent.
  virtual ssize_t Send(const iovec* pieces, size_t count) = 0;
  // Bytes that it holds already will be given without an event of the descriptor.
  virtual bool has_pending() const = 0;
  // Says goodbye to the peer: that nothing was cut off. 0: it is said, or cannot be any more;
  // -EAGAIN: again when the descriptor is writable.
  virtual int CloseNotify() = 0;
  // Of a layer that is TLS and has finished its handshake; else null.
  virtual const tls::ConnectionInfo* tls_info() const { return nullptr; }
};

class Transport {
 public:
  Transport() = default;
  explicit Transport(int fd, std::unique_ptr<TransportLayer> layer = nullptr)
      : fd_(fd), layer_(std::move(layer)) {}
  Transport(Transport&& other) noexcept
      : fd_(std::exchange(other.fd_, -1)),
        layer_(std::move(other.layer_)),
        counted_(std::move(other.counted_)),
        place_(std::move(other.place_)) {}
  Transport& operator=(Transport&& other) noexcept {
    std::swap(fd_, other.fd_);
    std::swap(layer_, other.layer_);
    std::swap(counted_, other.counted_);
    std::swap(place_, other.place_);
    return *this;
  }
  ~Transport() { Close(); }

  int fd() const { return fd_; }
  bool is_open() const { return fd_ >= 0; }
  bool is_plain() const { return layer_ == nullptr; }
  TransportLayer* layer() const { return layer_.get(); }
  void SetLayer(std::unique_ptr<TransportLayer> layer) { layer_ = std::move(layer); }

  // For a client's connection: it counts as active until it is closed.
  void Count(ActiveConnection counted) { counted_ = std::move(counted); }
  // And it takes a place of its address. False if there is none.
  bool TakePlace(AddressLimit& limit, const AddressLimit::Address& address) {
    return limit.Take(address, place_);
  }

  // One more of the same address, for a stream; see AddressLimit::Place.
  bool TakeAnotherPlace(AddressLimit::Place& another) const { return place_.TakeAnother(another); }

  int Handshake() { return layer_ == nullptr ? 0 : layer_->Handshake(); }
  bool has_pending() const { return layer_ != nullptr && layer_->has_pending(); }
  Received Receive(char* data, size_t size) {
    return layer_ == nullptr ? ReceivePlain(data, size) : layer_->Receive(data, size);
  }
  ssize_t Send(const iovec* pieces, size_t count) {
    return layer_ == nullptr ? SendPlain(pieces, count) : layer_->Send(pieces, count);
  }
  const tls::ConnectionInfo* tls_info() const {
    return layer_ == nullptr ? nullptr : layer_->tls_info();
  }
  // Before Close where all that was to be sent is sent. As the layer's.
  int CloseNotify() { return layer_ == nullptr ? 0 : layer_->CloseNotify(); }
  // No further byte is sent; receiving goes on. -EAGAIN: not yet, again when it is writable; else
  // 0.
  int ShutdownSending();
  void Close();

 private:
  Received ReceivePlain(char* data, size_t size);
  ssize_t SendPlain(const iovec* pieces, size_t count);

  int fd_ = -1;
  std::unique_ptr<TransportLayer> layer_;
  ActiveConnection counted_;
  AddressLimit::Place place_;
};

// Up to four pieces that leave in one system call.
class Gather {
 public:
  static constexpr size_t kMaxCopiedBytes = 2048;

  void Add(const char* data, size_t size) {
    if (size > 0) pieces_[count_++] = {const_cast<char*>(data), size};
  }
  // As Add, but a few bytes that fit are copied into `tail`, behind what is gathered of it already:
  // one piece costs less to send than two.
  void AddBehind(Buffer& tail, const char* data, size_t size) {
    if (empty() || size > kMaxCopiedBytes || size > tail.room_size() ||
        static_cast<char*>(pieces_[count_ - 1].iov_base) + pieces_[count_ - 1].iov_len !=
            tail.room()) {
      return Add(data, size);
    }
    std::memcpy(tail.room(), data, size);
    tail.end += size;
    pieces_[count_ - 1].iov_len += size;
  }
  bool empty() const { return first_ == count_; }
  void Clear() { first_ = count_ = 0; }
  const iovec* pieces() const { return pieces_ + first_; }
  size_t count() const { return count_ - first_; }
  // `size` bytes of the front have left.
  void Consume(size_t size);
  // Sends what it can. Returns bytes sent, or -errno (-EAGAIN if none could be).
  ssize_t Send(Transport& transport) {
    const ssize_t sent = transport.Send(pieces(), count());
    if (sent > 0) Consume(static_cast<size_t>(sent));
    return sent;
  }

 private:
  iovec pieces_[4];
  size_t first_ = 0;
  size_t count_ = 0;
};

}  // namespace remuda::proxy
