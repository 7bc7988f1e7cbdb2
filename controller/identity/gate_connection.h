// GateThread::Connection: one of a gate's connections. Of gate_thread.cc and gate_relayed.cc alone.
// Thread: its GateThread's.
#pragma once

#include <unistd.h>

#include <memory>
#include <string>
#include <utility>

#include "common/tls/openssl.h"
#include "controller/identity/gate_thread.h"

namespace remuda {

// How much has been read of one side and not been taken by the other.
struct GateThread::Connection {
  Connection(int fd, std::shared_ptr<SSL_CTX> ctx) : client(fd), context(std::move(ctx)) {
    client_end = {this, false};
    plain_end = {this, true};
  }
  ~Connection() {
    ssl.reset();
    if (client >= 0) close(client);
    if (plain >= 0) close(plain);
  }
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  int client;
  int plain = -1;
  std::shared_ptr<SSL_CTX> context;
  tls::SslPtr ssl;
  End client_end, plain_end;
  uint32_t client_events = 0, plain_events = 0;
  std::string address;
  std::string host;  // of which so many may be under way (NetworkOf)
  Clock::time_point since{};
  bool is_open = false;  // it is known whose it is
  bool is_dead = false;
  bool is_watched = false;   // the client's socket
  bool plain_hung = false;   // gRPC has closed; what it said before is still to be read
  bool plain_ended = false;  // and has been: what is kept goes out, then all ends
  bool read_wants_write = false, write_wants_read = false;
  std::string up, down;    // to gRPC, to the client
  std::string name;        // as gRPC sees it
  std::string counted_as;  // Gate::TakePlace's
  CallerPtr caller;
  CallerPtr relayed_by;  // null: by nobody
  absl::Time good_until;
  Connections::iterator place;
};

}  // namespace remuda
