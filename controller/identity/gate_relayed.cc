// A connection that a standby passes on: who is on its other side, said before the first byte of
// theirs.
#include <absl/time/clock.h>
#include <openssl/err.h>

#include <algorithm>

#include "controller/identity/gate_connection.h"
#include "remuda/controller/v1/peer.pb.h"

namespace remuda {
namespace {

constexpr size_t kLengthBytes = 4;
size_t LengthIn(const std::string& header) {
  size_t length = 0;
  for (size_t i = 0; i < kLengthBytes; ++i)
    length = length << 8 | static_cast<unsigned char>(header[i]);
  return length;
}

}  // namespace

void GateThread::ReadRelayed(Connection& connection) {
  connection.read_wants_write = false;
  std::string& header = connection.up;  // which is of no other use yet
  while (true) {
    size_t wanted = kLengthBytes;
    if (header.size() >= kLengthBytes) {
      const size_t length = LengthIn(header);
      if (length == 0 || length > kMaxRelayedCallerBytes)
        return Refuse(connection, "a connection is passed on without a caller");
      wanted += length;
      if (header.size() == wanted) return AdmitRelayed(connection);
    }
    ERR_clear_error();
    const size_t room = std::min(wanted - header.size(), buffer_.size());
    const int got = SSL_read(connection.ssl.get(), buffer_.data(), static_cast<int>(room));
    if (got > 0) {
      header.append(buffer_.data(), static_cast<size_t>(got));
      continue;
    }
    const int error = SSL_get_error(connection.ssl.get(), got);
    ERR_clear_error();
    if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE) {
      connection.read_wants_write = error == SSL_ERROR_WANT_WRITE;
      return Watch(connection);
    }
    ++gate_.counts_.abandoned;
    return Close(connection);
  }
}

// The standby has looked at the certificate, and at who has its key.
void GateThread::AdmitRelayed(Connection& connection) {
  controller::v1::RelayedCaller named;
  const std::string header = std::move(connection.up);
  connection.up.clear();
  if (!named.ParseFromArray(header.data() + kLengthBytes,
                            static_cast<int>(header.size() - kLengthBytes)))
    return Refuse(connection, "a connection is passed on, and its caller cannot be read");
  if (named.joins()) {
    if (gate_.options_.on_join == nullptr)
      return Refuse(connection, "one that joins is passed on, and nobody joins here");
    return Let(connection,
               std::make_shared<Caller>(Caller{connection.relayed_by->peer, named.address()}),
               /*joins=*/true);
  }
  auto peer = identity::ReadPeer(std::string_view(named.certificate_pem()));
  if (!peer.ok()) return Refuse(connection, std::string(peer.status().message()));
  if (peer->id.cluster != gate_.options_.cluster || peer->id.role == v1::IDENTITY_ROLE_CONTROLLER ||
      peer->expire_time <= absl::Now()) {
    return Refuse(connection, "a connection of " + identity::Text(peer->id) +
                                  " is passed on, which is not to be");
  }
  Let(connection, std::make_shared<Caller>(Caller{*std::move(peer), named.address()}));
}

}  // namespace remuda
