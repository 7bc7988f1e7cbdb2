// Where a program listens, and the rule that every program has for it: beyond loopback only when it
// is told so.
//
// Any thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace remuda {

struct Endpoint {
  std::string address;  // numeric, without brackets
  uint16_t port = 0;
  bool is_loopback = false;
};

// "ADDRESS:PORT" with a numeric address (IPv6 in brackets) or "localhost". Fills `endpoint`, or
// answers what is wrong with `text`.
std::string ParseEndpoint(const std::string& text, Endpoint& endpoint);

// Empty, or why `text` is refused as an admin pages' address: it is none, or lies beyond loopback
// and `is_open` (--open-admin) was not given.
std::string CheckAdminEndpoint(const std::string& text, bool is_open, Endpoint& endpoint);

// Whether a controller dialled at `target` (HOST:PORT, or one of gRPC's other forms) is surely on
// this machine: its host is localhost or a loopback address, or it is a Unix socket.
bool IsOnThisMachine(std::string_view target);

}  // namespace remuda
