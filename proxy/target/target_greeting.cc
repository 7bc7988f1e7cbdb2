#include "proxy/target/target_greeting.h"

#include "proxy/core/routing_table.h"

namespace remuda::proxy {

http::ProxyVersion ProxyVersionOf(GroupState& group, size_t worker) {
  const TargetGroup* const spec = group.picker(worker).group;
  return spec == nullptr ? http::ProxyVersion::kNone : spec->proxy_protocol;
}

std::string MakeTargetGreeting(http::ProxyVersion version, const PeerAddress& client,
                               int client_fd) {
  const PeerAddress local = LocalAddress(client_fd);
  http::ProxyHeader header;
  header.is_local = false;
  header.source = {client.bytes, client.port};
  header.destination = {local.bytes, local.port};
  char bytes[http::kMaxProxyLineBytes];
  return std::string(bytes, http::WriteProxyHeader(version, header, bytes));
}

}  // namespace remuda::proxy
