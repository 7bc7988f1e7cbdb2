// What the connections of clients of one worker share besides what all of it does: the list of
// them, how many there may be, and what is kept for those to come.
//
// Owns: the connections. Thread: its worker's.
#pragma once

#include <cstddef>
#include <memory>
#include <vector>

#include "proxy/client/connection_list.h"
#include "proxy/client/handshake_turns.h"
#include "proxy/client/listener.h"
#include "proxy/exchange/worker_context.h"
#include "proxy/io/address_limit.h"
#include "proxy/io/transport.h"

namespace remuda::proxy {

class Connection;
class Http1Connection;
class Http2Worker;

class ClientWorker : public WorkerContext {
 public:
  using Targets = std::vector<std::shared_ptr<TargetState>>;

  ClientWorker(size_t index, const Settings& settings, AccessLog* log, Events events);
  ~ClientWorker();

  // Takes an HTTP/1 connection out of the list: it may be used for another client.
  void Http1Closed(Http1Connection* connection);
  // Puts a stream of `carrier` into the list while it has a request under way, and takes it out.
  void HoldStream(Connection& stream, const Connection& carrier);
  void StreamClosed(Connection& stream);
  // Puts any other kind of connection into the worker's list.
  void Hold(std::unique_ptr<Connection> connection);
  // Takes it out and destroys it when the current event has been dealt with.
  void ConnectionClosed(Connection* connection);
  // Serves what the listener's protocol is on a connection whose greeting is over. `watched_by`:
  // who gets its events so far; null: nobody yet.
  void Serve(Transport transport, const PeerAddress& peer, std::shared_ptr<Listener> listener,
             IoHandler* watched_by);

  // As many connections and streams as there may be.
  bool is_full() const { return connection_count_ + stream_places_ >= settings().max_connections; }
  // For a connection or stream that is to begin: where all places are taken, closes the connection
  // that has waited longest for its client to ask for something. False if there is none.
  bool HasRoom() { return !is_full() || MakeRoom(); }
  // The place of a stream that begins, to be given back when it is held or will not be:
  // many may begin at once. False if there is none.
  bool TakeStreamPlace() {
    if (!HasRoom()) return false;
    ++stream_places_;
    return true;
  }
  void GiveStreamPlace() { --stream_places_; }
  // `connection` waits for its client, from now on; or something is under way.
  void NoteIdle(Connection& connection) { idle_.PushBack(connection); }
  void NoteBusy(Connection& connection) { ConnectionList::Remove(connection); }
  HandshakeTurns& handshakes() { return handshakes_; }
  AddressLimit& addresses() { return addresses_; }
  Http2Worker& http2();
  bool is_draining() const { return is_draining_; }
  // While it drains: a client that waits, on a connection whose end it was not told of, stays until
  // it asks.
  bool keeps_idle() const { return keeps_idle_; }

  // As posted tasks:
  void CloseExchangesWith(const Targets& targets);
  // They failed their checks; see Connection::TargetFell.
  void TargetsFell(const Targets& targets);
  void EndUnanswered(const Targets& targets);
  void AbortAll();

 protected:
  // From now on connections end with what is under way on them.
  void BeginDrain(bool keeps_idle = false) {
    is_draining_ = true;
    keeps_idle_ = keeps_idle;
  }
  void CloseAllWhenIdle();
  // Those whose listener is in the table no more.
  void CloseOrphans();
  // Tells the connections what the table says of targets that leave.
  void TellOfLeaving();

 private:
  Http1Connection* TakeHttp1();
  bool MakeRoom();
  void Link(Connection* connection);
  void Unlink(Connection* connection);
  void CheckStopped();
  template <typename Visit>
  void ForEachConnection(Visit visit);
  template <typename Visit>
  void ForEachExchangeWith(const Targets& targets, Visit visit);

  Connection* connections_ = nullptr;
  Connection* visited_next_ = nullptr;  // while the list is gone through
  size_t stream_places_ = 0;            // of streams that are not held yet
  ConnectionList idle_;                 // the longest first
  HandshakeTurns handshakes_;
  AddressLimit addresses_;
  std::unique_ptr<Http2Worker> http2_;  // null until it is needed
  std::vector<std::unique_ptr<Http1Connection>> free_http1_;
  bool is_draining_ = false;
  bool keeps_idle_ = false;
  bool is_stop_reported_ = false;
};

}  // namespace remuda::proxy
