// What a connection to a target begins with, before the first byte of a client's: the PROXY
// protocol's header, if the group wants one. Such a connection belongs to that client and is not
// used again.
//
// Thread: a worker's.
#pragma once

#include <string>

#include "proxy/core/target_state.h"
#include "proxy/http/proxy_protocol.h"
#include "proxy/io/socket.h"

namespace remuda::proxy {

// As the worker's present table says.
http::ProxyVersion ProxyVersionOf(GroupState& group, size_t worker);

// `client_fd`: its local address is where the client has connected to.
std::string MakeTargetGreeting(http::ProxyVersion version, const PeerAddress& client,
                               int client_fd);

}  // namespace remuda::proxy
