// The PROXY protocol's header that a trusted sender begins a connection with.
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>

#include "proxy/client/client_worker.h"
#include "proxy/client/greeting.h"
#include "proxy/core/condition.h"
#include "proxy/http/proxy_protocol.h"
#include "proxy/io/socket.h"

namespace remuda::proxy {

bool Greeting::IsProxySource(const Listener& listener, const PeerAddress& peer) {
  const auto& sources = listener.spec->proxy_protocol_sources;
  return std::any_of(sources.begin(), sources.end(),
                     [&](const Cidr& source) { return Contains(source, peer.bytes); });
}

// Looks at what has come, and takes the header alone, as a whole: what follows is for those after
// it.
int Greeting::StepProxyHeader() {
  if (listener_->spec == nullptr) return -ECONNABORTED;  // the listener is gone
  if (!IsProxySource(*listener_, peer_)) return 0;
  char bytes[http::kMaxProxyHeaderBytes];
  const ssize_t seen = recv(transport_.fd(), bytes, sizeof bytes, MSG_PEEK);
  if (seen < 0) return -errno;
  if (seen == 0) return -ECONNRESET;  // it said nothing: a check, most likely
  http::ProxyHeader header;
  size_t size = 0;
  switch (http::ParseProxyHeader(bytes, static_cast<size_t>(seen), header, size)) {
    case http::ParseStatus::kNeedMore:
      return -EAGAIN;
    case http::ParseStatus::kError:
      worker_.counters().proxy_protocol_errors.Add(1);
      return -EPROTO;
    case http::ParseStatus::kDone:
      break;
  }
  if (recv(transport_.fd(), bytes, size, 0) != static_cast<ssize_t>(size)) return -ECONNRESET;
  if (header.is_local) return 0;
  peer_ = ToPeerAddress(header.source.address, header.source.port);
  if (transport_.TakePlace(worker_.addresses(), peer_.bytes)) return 0;
  traffic().rejected_connections.Add(1);
  return -ECONNREFUSED;
}

}  // namespace remuda::proxy
