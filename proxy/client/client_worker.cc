#include "proxy/client/client_worker.h"

#include <utility>

#include "proxy/client/http1_connection.h"
#include "proxy/client/http2_connection.h"
#include "proxy/client/http2_worker.h"
#include "proxy/client/tcp_session.h"
#include "proxy/tls/connection_info.h"

namespace remuda::proxy {
namespace {

// Connections that were idle and turn out to be so no more, before no room is found.
constexpr int kMaxRoomTries = 16;
constexpr size_t kMaxFreeHttp1 = 4096;

}  // namespace

BalancerSlot& Connection::traffic() const { return listener_->balancer->slot(worker_.index()); }

bool Connection::is_orphaned() const { return listener_ != nullptr && listener_->spec == nullptr; }

ClientWorker::ClientWorker(size_t index, const Settings& settings, AccessLog* log, Events events)
    : WorkerContext(index, settings, log, std::move(events)),
      handshakes_(loop()),
      addresses_(settings.max_connections_an_address) {}

ClientWorker::~ClientWorker() {
  AbortAll();
  loop().RunDeferred();
}

bool ClientWorker::MakeRoom() {
  for (int i = 0; i < kMaxRoomTries && !idle_.empty(); ++i) {
    Connection& oldest = *idle_.front();
    idle_.PushBack(oldest);  // should it stay
    if (!oldest.CloseIfIdle()) continue;
    counters().idle_closed.Add(1);
    return true;
  }
  return false;
}

void ClientWorker::Serve(Transport transport, const PeerAddress& peer,
                         std::shared_ptr<Listener> listener, IoHandler* watched_by) {
  if (listener->spec != nullptr && IsBytes(listener->spec->protocol)) {
    auto owned = std::make_unique<TcpSession>(*this);
    TcpSession& session = *owned;
    Hold(std::move(owned));
    session.Open(std::move(transport), peer, std::move(listener), watched_by);
    return;
  }
  if (const tls::ConnectionInfo* tls = transport.tls_info(); tls != nullptr && tls->alpn == "h2") {
    auto owned = std::make_unique<Http2Connection>(*this);
    Http2Connection& connection = *owned;
    Hold(std::move(owned));
    connection.Open(std::move(transport), peer, std::move(listener), watched_by);
    return;
  }
  TakeHttp1()->Open(std::move(transport), peer, std::move(listener), watched_by);
}

void ClientWorker::Link(Connection* connection) {
  connection->previous_ = nullptr;
  connection->next_ = connections_;
  if (connections_ != nullptr) connections_->previous_ = connection;
  connections_ = connection;
  connection->log_id_ = Random() | 1;
  ++connection_count_;
  pool().MakeRoom();
  if (connection->is_counted_) counters().active_connections.Add(1);
}

void ClientWorker::Unlink(Connection* connection) {
  if (visited_next_ == connection) visited_next_ = connection->next_;
  if (connection->previous_ != nullptr) connection->previous_->next_ = connection->next_;
  if (connection->next_ != nullptr) connection->next_->previous_ = connection->previous_;
  if (connections_ == connection) connections_ = connection->next_;
  ConnectionList::Remove(*connection);
  --connection_count_;
  if (connection->is_counted_) counters().active_connections.Sub(1);
}

// A visit may close any connection.
template <typename Visit>
void ClientWorker::ForEachConnection(Visit visit) {
  for (Connection* connection = connections_; connection != nullptr; connection = visited_next_) {
    visited_next_ = connection->next_;
    visit(*connection);
  }
}

// One pass whatever the number of targets, and none if nothing is in flight here to any of them,
// which is the rule.
template <typename Visit>
void ClientWorker::ForEachExchangeWith(const Targets& targets, Visit visit) {
  bool is_any = false;
  for (const auto& target : targets) {
    TargetSlot& slot = target->slot(index());
    slot.is_sought = slot.in_flight.Get() > 0;
    is_any |= slot.is_sought;
  }
  if (!is_any) return;
  ForEachConnection([&](Connection& connection) {
    counters().visited_connections.Add(1);
    TargetState* const target = connection.target();
    if (target != nullptr && target->slot(index()).is_sought) visit(connection, *target);
  });
  for (const auto& target : targets) target->slot(index()).is_sought = false;
}

Http1Connection* ClientWorker::TakeHttp1() {
  std::unique_ptr<Http1Connection> connection;
  if (free_http1_.empty()) {
    connection = std::make_unique<Http1Connection>(*this);
  } else {
    connection = std::move(free_http1_.back());
    free_http1_.pop_back();
  }
  Link(connection.get());
  return connection.release();
}

Http2Worker& ClientWorker::http2() {
  if (http2_ == nullptr) http2_ = std::make_unique<Http2Worker>();
  return *http2_;
}

void ClientWorker::Http1Closed(Http1Connection* connection) {
  Unlink(connection);
  // Its methods may still be on the stack.
  std::unique_ptr<Http1Connection> owned(connection);
  if (free_http1_.size() < kMaxFreeHttp1) {
    free_http1_.push_back(std::move(owned));
  } else {
    loop().Defer([raw = owned.release()] { delete raw; });
  }
  if (is_draining_) CheckStopped();
}

void ClientWorker::HoldStream(Connection& stream, const Connection& carrier) {
  stream.is_counted_ = false;
  Link(&stream);
  stream.set_log_id(carrier.log_id());
}

void ClientWorker::StreamClosed(Connection& stream) {
  Unlink(&stream);
  if (is_draining_) CheckStopped();
}

void ClientWorker::Hold(std::unique_ptr<Connection> connection) { Link(connection.release()); }

void ClientWorker::ConnectionClosed(Connection* connection) {
  Unlink(connection);
  loop().Defer([connection] { delete connection; });
  if (is_draining_) CheckStopped();
}

void ClientWorker::TellOfLeaving() {
  const RoutingTable& table = this->table();
  for (const auto& [target, admin] : table.admin_changes) {
    if (admin == AdminState::kActive) target->slot(index()).goodbye = {};
  }
  Targets leaving, gone;
  for (const LeavingTarget& entry : table.leaving) {
    TargetSlot& slot = entry.target->slot(index());
    // From when it first was told to leave; nobody talks on with one that is gone.
    const bool is_first = slot.goodbye.end == SteadyTime();
    const auto close = entry.is_gone ? WebSocketClose::kAtOnce : entry.web_socket_close;
    if (is_first || entry.is_gone) slot.goodbye = GoodbyeTimesOf(close, entry.delay, loop().now());
    leaving.push_back(entry.target);
    // As this table says: the target's own word may be a later table's.
    if (entry.is_gone) gone.push_back(entry.target);
  }
  ForEachExchangeWith(leaving, [](Connection& connection, TargetState& target) {
    connection.TargetLeaves(target);
  });
  ForEachExchangeWith(gone, [](Connection& connection, TargetState& target) {
    connection.TargetFell(target, true);
  });
}

void ClientWorker::CloseExchangesWith(const Targets& targets) {
  ForEachExchangeWith(targets, [](Connection& connection, TargetState& target) {
    connection.EndExchangeWith(target);
  });
}

void ClientWorker::TargetsFell(const Targets& targets) {
  for (const auto& target : targets) pool().CloseIdle(*target);
  ForEachExchangeWith(targets, [](Connection& connection, TargetState& target) {
    connection.TargetFell(target, false);
  });
}

void ClientWorker::EndUnanswered(const Targets& targets) {
  ForEachExchangeWith(targets, [](Connection& connection, TargetState& target) {
    connection.EndUnanswered(target);
  });
}

void ClientWorker::CloseOrphans() {
  ForEachConnection([](Connection& connection) {
    if (connection.is_orphaned()) connection.CloseWhenIdle();
  });
}

void ClientWorker::CloseAllWhenIdle() {
  ForEachConnection([](Connection& connection) { connection.CloseWhenIdle(); });
  CheckStopped();
}

void ClientWorker::AbortAll() {
  while (connections_ != nullptr) connections_->Abort();
}

void ClientWorker::CheckStopped() {
  if (connection_count_ > 0 || is_stop_reported_) return;
  is_stop_reported_ = true;
  if (events().on_stopped) events().on_stopped();
}

}  // namespace remuda::proxy
