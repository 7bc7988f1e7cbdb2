// A connection to a target as the stream of the request that it carries: HTTP/1, one at a time.
#include <sys/socket.h>

#include <cerrno>

#include "proxy/io/socket.h"
#include "proxy/target/upstream.h"

namespace remuda::proxy {
namespace {

bool IsDrained(int socket) {
  char byte;
  return recv(socket, &byte, 1, MSG_PEEK | MSG_DONTWAIT) < 0 && errno == EAGAIN;
}

}  // namespace

TargetStreams::Opened UpstreamPool::Open(const Wanted& wanted) {
  if (wanted.may_reuse) {
    if (UpstreamConnection* const idle = Acquire(wanted.target, wanted.host)) {
      idle->user = wanted.user;
      return {idle, true};
    }
  }
  UpstreamConnection* const fresh = Connect(wanted.target, wanted.user, wanted.host);
  if (fresh != nullptr && !wanted.greeting.empty()) fresh->greeting = wanted.greeting;
  return {fresh, false};
}

bool UpstreamConnection::SendHead(const http::RequestHead& head, const http::Framing& framing,
                                  const http::ForwardedInfo& info, Buffer& room, Gather& out) {
  ++requests;
  const size_t size = http::WriteRequestHead(head, framing, info, room.block.get(), room.capacity);
  if (size == 0) return false;
  room.end = size;
  out.Add(room.block.get(), size);
  return true;
}

Received UpstreamConnection::Receive(char* data, size_t size) {
  const Received got = transport.Receive(data, size);
  if (got.bytes == -EAGAIN) {
    is_readable = false;
  } else if (got.bytes <= 0) {
    has_ended = true;
  } else if (got.is_drained && !has_ended) {
    is_readable = false;
  }
  return got;
}

ssize_t UpstreamConnection::FillPipe(SplicePipe& pipe, size_t max_bytes) {
  const ssize_t got = pipe.Fill(transport.fd(), max_bytes);
  if (got == -EAGAIN) {
    if (!has_ended) is_readable = false;
  } else if (got <= 0) {
    has_ended = true;
  }
  return got;
}

// Only a look tells whether all was taken: without it the connection could not be used again.
void UpstreamConnection::EndSplice() {
  if (is_readable && !has_ended && IsDrained(transport.fd())) is_readable = false;
}

bool UpstreamConnection::Yield() {
  pool->Rearm(*this);
  return true;
}

void UpstreamConnection::Doubt(bool is_sending) {
  is_doubted = true;
  DoubtPeer(transport.fd(), is_sending);
}

void UpstreamConnection::NoteUnasked(std::string_view bytes) { pool->NoteUnasked(*target, bytes); }

void UpstreamConnection::End(bool may_reuse) {
  if (may_reuse) {
    pool->Release(this);
  } else {
    pool->Close(this);
  }
}

}  // namespace remuda::proxy
