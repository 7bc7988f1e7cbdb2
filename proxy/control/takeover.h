// The newer process of a proxy, before it serves: it asks the one that serves from its data
// directory for what that has (docs/proxy.md, "Takeover").
#pragma once

#include <absl/status/statusor.h>

#include <chrono>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "proxy/control/coordinator.h"
#include "proxy/control/data_lock.h"
#include "proxy/control/takeover_channel.h"
#include "proxy/io/descriptor.h"

namespace remuda::proxy {

struct TakenOver {
  std::shared_ptr<TakeoverChannel> channel;
  v1::TakeoverOffer offer;
  std::map<std::string, ListenerSockets> sockets;  // by ListenerSpec::Key
  Descriptor admin;                                // not open: it has none
};

struct TakeoverOptions {
  std::string directory;  // the data directory
  std::string proxy;      // its name; empty: its config is from a file
  std::string program;    // its version
};

// To connect, and between two messages.
inline constexpr std::chrono::milliseconds kOfferPatience{20000};

// Waits for the offer and all sockets; blocks for kOfferPatience at most between two messages.
// NOT_FOUND: there is nobody. FAILED_PRECONDITION: that one refuses, and serves on. UNAVAILABLE:
// the connection broke off, that one may have ended.
absl::StatusOr<TakenOver> TakeOver(const TakeoverOptions& options);

// What a process begins with: the directory as its own, or another one's offer.
struct Claimed {
  std::optional<TakenOver> taken;
  std::optional<DataLock> lock;
};

// Another process that has just taken over has so long to listen for the next one.
inline constexpr std::chrono::milliseconds kClaimPatience{5000};

// Takes over if it shall and somebody is there; else takes the directory's lock. Blocks as TakeOver
// does, and for kClaimPatience besides. An error: the process must not serve.
absl::StatusOr<Claimed> Claim(const TakeoverOptions& options, bool takes_over);

// What is for the coordinator: the sockets are gone from `taken` then.
Coordinator::Inheritance TakeInheritance(TakenOver& taken);

// The socket of the admin pages, the caller's to close, if it listens on that address and port (0:
// any); else -1.
int TakeAdminSocket(TakenOver& taken, const std::string& address, uint16_t port);

}  // namespace remuda::proxy
