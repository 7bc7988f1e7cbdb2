// A client's side that is not an HTTP/1 connection of its own: one stream of an HTTP/2 connection.
// The session that serves it reads the request as HTTP/1.1 text that was made from the stream's
// fields, so that one parser and one framing decision judge every request, and hands the response
// over as what it is: a head, then bytes.
//
// Thread: its worker's.
#pragma once

#include "proxy/http/head_writer.h"
#include "proxy/io/transport.h"

namespace remuda::proxy {

class ClientStream {
 public:
  // The request as HTTP/1.1 text: head, then the body as the head frames it. -EAGAIN: the session
  // is told when there is more. 0 never comes: a session stops reading at the end of the request.
  virtual Received Receive(char* data, size_t size) = 0;

  // One final head, after any interim ones. `ends`: no body follows. False if it cannot be sent:
  // the stream is gone. The bytes behind the views are not needed after the call.
  virtual bool SendInterim(const http::ResponseHead& head) = 0;
  virtual bool SendHead(const http::ResponseHead& head, const http::ResponseStyle& style,
                        bool ends) = 0;
  // An answer of the proxy's own; its body is sent with SendBody.
  virtual bool SendOwnHead(const http::OwnAnswer& answer) = 0;
  // Takes what there is room for, else -EAGAIN: the session is driven when there is room again.
  virtual ssize_t SendBody(const iovec* pieces, size_t count) = 0;
  // The session is done: the response is whole, or it was cut short (the client must see that).
  // The stream does not know the session any more afterwards.
  virtual void Finish(bool is_whole) = 0;
  // What carries the stream, and others.
  virtual const Transport& transport() const = 0;

 protected:
  ~ClientStream() = default;
};

}  // namespace remuda::proxy
