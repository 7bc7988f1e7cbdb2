// The client's side of an exchange: an HTTP/1 connection while one of its requests is under way, or
// one stream of an HTTP/2 connection. The request is read from it as HTTP/1.1 text, whatever the
// client speaks, so that one parser and one framing decision judge every request; the response is
// handed over as what it is: a head, then bytes.
//
// It owns the exchange: gives it the events of its side, drives it, arms a timer for its deadline,
// and takes it down when it is over.
//
// Thread: its worker's.
#pragma once

#include <string_view>

#include "proxy/core/access_line.h"
#include "proxy/http/head_writer.h"
#include "proxy/io/stream_end.h"

namespace remuda::proxy {

class ClientStream : public StreamEnd {
 public:
  // What becomes of a head.
  enum class Sent : uint8_t {
    kGone,    // it cannot be sent: the client is gone
    kNoRoom,  // nor this one: it is too long
    kStaged,  // it lies in `room`, a block that is taken if need be, and leaves with what `out`
              // stages
    kTaken,   // it leaves by itself, and cannot be taken back
  };
  virtual Sent SendInterim(const http::ResponseHead& head, Buffer& room, Gather& out) = 0;
  // One final head, after any interim ones. `head_size`: its bytes, as they came. `ends`: no body
  // follows. The bytes behind the views are not needed after the call.
  virtual Sent SendHead(const http::ResponseHead& head, const http::ResponseStyle& style,
                        size_t head_size, bool ends, Buffer& room, Gather& out) = 0;
  // Fields behind the response's body, a line each; before the exchange is over. For clients that
  // delimit bodies: elsewhere they are part of its coding.
  virtual void SendTrailers(std::string_view lines) = 0;
  // An answer of the proxy's own. Its body is copied, and staged.
  virtual Sent SendOwn(const http::OwnAnswer& answer, Buffer& room, Gather& out) = 0;

  // It tells the ends of bodies by itself: they need no coding, nor an end of a connection. The end
  // of a response is the end of its request too, whatever is left of that.
  virtual bool delimits_bodies() const = 0;
  // Bytes of its request's body that it has taken from the client and nobody has received yet.
  virtual uint64_t unread_body_bytes() const { return 0; }
  // No other request can follow on it, whatever becomes of this one.
  virtual bool is_last() const = 0;
  // Send has answered -EAGAIN: some may leave all the same (a TLS record that is sealed).
  virtual bool may_have_left() const = 0;
  // What carries it, and maybe others.
  virtual const Transport& transport() const = 0;
  // For the access log: what is spoken, `is_upgraded` or not.
  virtual void Describe(bool is_upgraded, AccessEntry& entry) const = 0;

  // The exchange can go on, for reasons of its own: it wants to be driven.
  virtual void Wake() = 0;

 protected:
  ~ClientStream() = default;
};

}  // namespace remuda::proxy
