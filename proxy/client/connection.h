// What a worker knows of each connection of a client that it holds, whatever is spoken on it.
//
// Thread: its worker's.
#pragma once

#include <cstdint>
#include <memory>

#include "proxy/io/event_loop.h"
#include "proxy/io/socket.h"

namespace remuda::proxy {

struct BalancerSlot;
class ConnectionList;
class TargetState;
class ClientWorker;
struct Listener;

class Connection : public IoHandler {
 public:
  explicit Connection(ClientWorker& worker) : worker_(worker) {}
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;
  virtual ~Connection() = default;

  // The worker is draining, or the listener is gone: closes at once if nothing is under way, else
  // after it.
  virtual void CloseWhenIdle() = 0;
  // With which something is under way, or null.
  virtual TargetState* target() const { return nullptr; }
  // The target's deregistration delay is over: ends what is under way with `target`.
  virtual void EndExchangeWith(const TargetState& target) = 0;
  // `target` takes no new requests from now on. What is under way goes on; a tunnel tells its
  // client in time.
  virtual void TargetLeaves(const TargetState& /*target*/) {}
  // Of one that the worker knows to be idle: makes room for another, unless its client has sent
  // something meanwhile. Whether it is closed.
  virtual bool CloseIfIdle() { return false; }
  // `target` has failed its checks, or `is_gone`: its process has ended. What waits for it in vain
  // is done elsewhere, or ended.
  virtual void TargetFell(const TargetState& /*target*/, bool /*is_gone*/) {}
  // The process behind `target` has been gone for a while: what it has not begun to answer never
  // will be.
  virtual void EndUnanswered(const TargetState& /*target*/) {}
  // Without ceremony.
  virtual void Abort() = 0;

  // Its listener is in the config no more.
  bool is_orphaned() const;
  const PeerAddress& peer() const { return peer_; }
  // Ties the log's lines of one connection together; unique for all that matters.
  uint64_t log_id() const { return log_id_; }
  void set_log_id(uint64_t id) { log_id_ = id; }
  // The counters of the load balancer that its listener is of.
  BalancerSlot& traffic() const;

 protected:
  ClientWorker& worker_;
  std::shared_ptr<Listener> listener_;
  PeerAddress peer_;

 private:
  friend class ConnectionList;
  friend class ClientWorker;
  Connection* previous_ = nullptr;  // in the worker's list
  Connection* next_ = nullptr;
  ConnectionList* list_ = nullptr;  // another that it is in, and its place there
  Connection* list_previous_ = nullptr;
  Connection* list_next_ = nullptr;
  uint64_t log_id_ = 0;
  bool is_counted_ = true;  // as a connection: a stream is not one
};

}  // namespace remuda::proxy
