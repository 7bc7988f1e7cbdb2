// The target's side of one attempt: a request goes to it as a head and bytes, the response is read
// from it as HTTP/1.1 text, whatever the target speaks, so that one parser and one framing decision
// judge every response. HTTP/1: the connection itself (upstream.h).
//
// Thread: its worker's.
#pragma once

#include <cstddef>
#include <string_view>

#include "proxy/http/head_writer.h"
#include "proxy/io/stream_end.h"

namespace remuda::proxy {

class TargetState;
struct UpstreamConnection;

// Who has a connection to a target in use.
class UpstreamUser {
 public:
  // Something can be done with it.
  virtual void OnUpstream() = 0;

 protected:
  ~UpstreamUser() = default;
};

class TargetStream : public StreamEnd {
 public:
  // 0 once it can carry bytes; -EAGAIN: ask again when its user is told; else -errno.
  virtual int FinishConnect() = 0;
  // FinishConnect failed for the TLS of it.
  virtual bool has_tls_failed() const = 0;
  // Writes the request's head into `room`, which has enough, and stages it in `out`. False if it
  // does not fit.
  virtual bool SendHead(const http::RequestHead& head, const http::Framing& framing,
                        const http::ForwardedInfo& info, Buffer& room, Gather& out) = 0;
  // It has taken no more of the request: what it has sent before decides.
  virtual void StopSending() = 0;
  // The target has ended its side, or broken off.
  virtual bool is_closing() const = 0;
  // The target is doubted: whether its host is still there is found out (DoubtPeer), and nobody
  // else gets the connection. `is_sending`: more is to be sent to it.
  virtual void Doubt(bool is_sending) = 0;
  // Bytes came behind its response that nobody asked for.
  virtual void NoteUnasked(std::string_view bytes) = 0;

  // It is not its user's any more. `may_reuse`: the exchange ended cleanly, another may follow.
  virtual void End(bool may_reuse) = 0;
  // As End, for an upgrade: what carried it is the caller's now.
  virtual UpstreamConnection* TakeConnection() = 0;

 protected:
  ~TargetStream() = default;
};

// Who opens them.
class TargetStreams {
 public:
  struct Wanted {
    TargetState& target;
    UpstreamUser* user = nullptr;
    std::string_view host = {};      // the request's: what targets that speak TLS may be asked for
    bool may_reuse = false;          // one that has carried other requests
    std::string_view greeting = {};  // the first bytes on it
  };
  struct Opened {
    TargetStream* stream = nullptr;  // null: it failed at once, errno says why
    bool is_reused = false;
  };
  virtual Opened Open(const Wanted& wanted) = 0;

 protected:
  ~TargetStreams() = default;
};

}  // namespace remuda::proxy
