// Large bodies without a copy, where client and target speak plain TCP.
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>

#include "proxy/client/client_worker.h"
#include "proxy/exchange/session.h"

namespace remuda::proxy {

using http::BodyKind;
using http::Reason;

namespace {

// Of a body that is still to come: with less, a pipe costs more than the copies it saves.
constexpr uint64_t kMinSplicedBytes = 64 * 1024;

bool IsDrained(int socket) {
  char byte;
  return recv(socket, &byte, 1, MSG_PEEK | MSG_DONTWAIT) < 0 && errno == EAGAIN;
}

}  // namespace

// As TakeResponsePipe, for the request's.
bool Session::TakeRequestPipe() {
  Exchange& x = *exchange_;
  if (x.request_pipe != nullptr) return true;
  if (x.framing.kind != BodyKind::kLength || x.body_left < kMinSplicedBytes || stream_ != nullptr ||
      !transport_.is_plain() || !x.upstream->transport.is_plain()) {
    return false;
  }
  x.request_pipe = worker_.pipes().Take();
  return x.request_pipe != nullptr;
}

// What the pipe takes at once, and as much of it as the target takes.
Session::Pump Session::SpliceRequest() {
  Exchange& x = *exchange_;
  SplicePipe& pipe = *x.request_pipe;
  Pump result = Pump::kBlocked;
  if (pipe.size() == 0) {
    if (!is_readable_) return result;
    const ssize_t got =
        pipe.Fill(transport_.fd(), static_cast<size_t>(std::min<uint64_t>(x.body_left, SIZE_MAX)));
    if (got == -EAGAIN) {
      is_readable_ = false;
      return result;
    }
    if (got <= 0) {
      x.reason = Reason::kClientClosed;
      CloseNow();
      return Pump::kEnded;
    }
    const auto size = static_cast<uint64_t>(got);
    x.is_body_held = false;
    x.received_bytes += size;
    traffic().received_bytes.Add(size);
    x.body_left -= size;
    x.is_body_done = x.body_left == 0;
    result = Pump::kProgress;
  }
  const ssize_t sent = pipe.Drain(x.upstream->transport.fd());
  if (sent == -EAGAIN) return result;
  if (sent < 0) {
    StopUpload();
    return Pump::kProgress;
  }
  if (pipe.size() == 0 && x.is_body_done) {
    worker_.pipes().Give(std::move(x.request_pipe));
    x.is_request_staged = true;
  }
  return Pump::kProgress;
}

// Whether what is left of the response's body goes through a pipe; takes one then. All that was
// read before must have been staged.
bool Session::TakeResponsePipe() {
  Exchange& x = *exchange_;
  if (x.response_pipe != nullptr) return true;
  if (x.response_left < kMinSplicedBytes || x.client_body != BodyKind::kLength ||
      stream_ != nullptr || !transport_.is_plain() || !x.upstream->transport.is_plain()) {
    return false;
  }
  x.response_pipe = worker_.pipes().Take();
  return x.response_pipe != nullptr;
}

Session::Pump Session::SpliceResponse() {
  Exchange& x = *exchange_;
  SplicePipe& pipe = *x.response_pipe;
  Pump result = Pump::kBlocked;
  if (pipe.size() == 0) {
    if (!x.upstream->is_readable) return result;
    const ssize_t got =
        pipe.Fill(x.upstream->transport.fd(),
                  static_cast<size_t>(std::min<uint64_t>(x.response_left, SIZE_MAX)));
    if (got == -EAGAIN) {
      if (!x.upstream->is_closing) x.upstream->is_readable = false;
      return result;
    }
    if (got <= 0) {
      x.upstream->is_closing = true;
      return FailResponse(Reason::kTargetClosed);
    }
    x.response_left -= static_cast<uint64_t>(got);
    result = Pump::kProgress;
  }
  const ssize_t sent = pipe.Drain(transport_.fd());
  if (sent == -EAGAIN) return result;
  if (sent < 0) {
    x.reason = Reason::kClientClosed;
    CloseNow();
    return Pump::kEnded;
  }
  x.sent_bytes += static_cast<uint64_t>(sent);
  traffic().sent_bytes.Add(static_cast<uint64_t>(sent));
  if (pipe.size() > 0 || x.response_left > 0) return Pump::kProgress;
  worker_.pipes().Give(std::move(x.response_pipe));
  // Only a look tells whether all was taken: without it the connection could not be used again.
  UpstreamConnection& upstream = *x.upstream;
  if (upstream.is_readable && !upstream.is_closing && IsDrained(upstream.transport.fd()))
    upstream.is_readable = false;
  x.is_response_staged = true;
  return Pump::kProgress;
}

}  // namespace remuda::proxy
