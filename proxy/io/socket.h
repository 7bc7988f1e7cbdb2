// Plain non-blocking, close-on-exec TCP sockets. Every function answers a descriptor or -errno.
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>

#include <chrono>
#include <cstdint>
#include <string>

#include "proxy/core/routing_table.h"

namespace remuda::proxy {

// An IPv4 or IPv6 address and port as the kernel wants it; `length` 0 if `address` is neither.
struct SocketAddress {
  sockaddr_storage storage{};
  socklen_t length = 0;
  const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&storage); }
};
SocketAddress MakeSocketAddress(const std::string& address, uint16_t port);

// A listening socket with SO_REUSEPORT. An empty address is all of IPv6 and IPv4, or of IPv4 where
// there is no IPv6.
int OpenListeningSocket(const std::string& address, uint16_t port, int backlog);
uint16_t LocalPort(int fd);

// Begins to connect: the descriptor is writable when that is over.
int BeginConnect(const SocketAddress& address);
// How it ended: 0 or an errno.
int ConnectError(int fd);
// An error of connecting that says nothing about the target: descriptors, memory, ports are short.
bool IsOurShortage(int error);
// For a connection whose peer is doubted: the kernel asks the other host from now on whether it is
// still there, and breaks the connection off if it says nothing for kDoubtTimeout. A host that is
// up answers by itself, however slow its applications are.
inline constexpr std::chrono::milliseconds kDoubtTimeout{2000};
// While more is to be sent: a window that the application keeps shut counts as silence too, so that
// it has longer.
inline constexpr std::chrono::milliseconds kDoubtWhileSending{20000};
void DoubtPeer(int fd, bool is_sending);
// Closing it resets the connection: for one whose bytes were cut short, so that nobody takes them
// for the whole.
void ResetOnClose(int fd);

// The peer's address as text without port (an IPv4-mapped one as IPv4) and as bytes.
struct PeerAddress {
  char text[INET6_ADDRSTRLEN] = {};
  uint16_t port = 0;
  uint8_t text_size = 0;
  IpBytes bytes{};
};
PeerAddress ToPeerAddress(const sockaddr_storage& storage);
PeerAddress ToPeerAddress(const IpBytes& bytes, uint16_t port);
// Where the peer of a connected socket has connected to.
PeerAddress LocalAddress(int fd);

}  // namespace remuda::proxy
