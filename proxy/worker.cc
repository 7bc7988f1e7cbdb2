#include "proxy/worker.h"

#include <spdlog/spdlog.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <ctime>
#include <random>

#include "proxy/client/greeting.h"
#include "proxy/client/http2_connection.h"
#include "proxy/client/http2_worker.h"
#include "proxy/client/tcp_session.h"
#include "proxy/core/picker.h"
#include "proxy/io/kept_memory.h"
#include "proxy/tls/connection_info.h"

namespace remuda::proxy {
namespace {

constexpr int kAcceptsAnEvent = 64;
constexpr std::chrono::milliseconds kSweepInterval{500};
constexpr std::chrono::milliseconds kAcceptPause{50};
// Connections that were idle and turn out to be so no more, before no room is found.
constexpr int kMaxRoomTries = 16;
constexpr size_t kMaxFreeSessions = 4096;
constexpr size_t kMaxFreeExchanges = 1024;

// CPU time of this thread. The call costs as much as a small system call: for rare things.
uint64_t ThreadCpuNs() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<uint64_t>(now.tv_sec) * 1'000'000'000 + static_cast<uint64_t>(now.tv_nsec);
}

}  // namespace

void Listener::OnIo(uint32_t /*events*/) { worker->AcceptFrom(*this); }

Worker::Worker(size_t index, const Settings& settings, AccessLog* log, Events events)
    : index_(index),
      settings_(settings),
      log_(log),
      events_(std::move(events)),
      pool_(loop_, index, settings, connection_count_),
      place_queues_(loop_, index, events_.on_place_free),
      pipes_(settings.max_pipes),
      current_(std::make_unique<AdoptedTable>()),
      handshakes_(loop_),
      addresses_(settings.max_connections_an_address),
      random_state_((static_cast<uint64_t>(std::random_device()()) << 32) |
                    (std::random_device()() | 1)),
      sweep_timer_([this] { Sweep(); }),
      accept_timer_([this] {
        for (const auto& weak : std::exchange(paused_, {})) {
          if (const auto listener = weak.lock(); listener && listener->fd >= 0)
            loop_.AddListening(listener->fd, listener.get());
        }
      }) {
  current_->table = std::make_shared<const RoutingTable>();
  SetWallOffset();
}

Worker::~Worker() {
  Join();
  AbortAll();
  for (auto& [key, listener] : listeners_) CloseListener(*listener);
  pool_.CloseAllIdle();
  loop_.RunDeferred();
}

void Worker::Start() {
  thread_ = std::thread([this] {
    sweep_timer_.Arm(loop_, loop_.now() + kSweepInterval);
    KeepMemoryOfThisThread();
    loop_.Run();
  });
}

void Worker::Join() {
  if (!thread_.joinable()) return;
  loop_.Stop();
  thread_.join();
}

void Worker::Adopt(std::shared_ptr<const RoutingTable> table,
                   const std::vector<ListenerChange>& opened,
                   const std::vector<std::string>& closed) {
  const uint64_t begin_ns = ThreadCpuNs();
  AdoptUntimed(std::move(table), opened, closed);
  metrics_.adopt_time.Observe(ThreadCpuNs() - begin_ns);
}

void Worker::AdoptUntimed(std::shared_ptr<const RoutingTable> table,
                          const std::vector<ListenerChange>& opened,
                          const std::vector<std::string>& closed) {
  // While all is of one table still: what is accepted, and who makes room for it, may begin
  // requests.
  for (const std::string& key : closed) {
    if (const auto it = listeners_.find(key); it != listeners_.end()) AcceptBacklog(*it->second);
  }
  auto adopted = std::make_unique<AdoptedTable>();
  adopted->table = std::move(table);
  const RoutingTable& now = *adopted->table;
  for (const auto& group : now.changed_groups) AdoptGroup(index_, *group);
  for (const auto& group : now.removed_groups) group->picker(index_).group = nullptr;
  const std::vector<std::string>& secrets = now.shared_secrets;
  sticky_cookies_.SetSecrets(secrets.empty() ? std::vector{settings_.own_secret} : secrets);
  // Idle connections refer to targets of the table that is given up below.
  for (const LeavingTarget& leaving : now.leaving) pool_.CloseIdle(*leaving.target);
  std::swap(current_, adopted);
  adopted->is_current = false;
  if (adopted->pins > 0) retired_.push_back(std::move(adopted));

  for (const std::string& key : closed) {
    const auto it = listeners_.find(key);
    if (it == listeners_.end()) continue;
    CloseListener(*it->second);
    it->second->spec = nullptr;
    listeners_.erase(it);
  }
  if (!closed.empty()) {
    ForEachConnection([](Connection& connection) {
      if (connection.is_orphaned()) connection.CloseWhenIdle();
    });
  }
  Listen(opened);
  TellOfLeaving(*current_->table);
}

// Also ties every listener to its spec in the table.
void Worker::Listen(const std::vector<ListenerChange>& opened) {
  for (const ListenerChange& change : opened) {
    auto listener = std::make_shared<Listener>();
    listener->worker = this;
    listener->fd = change.fd;
    listener->port = change.port;
    listeners_[change.key] = listener;
  }
  for (const auto& [id, balancer] : current_->table->load_balancers) {
    for (const ListenerSpec& spec : balancer->listeners) {
      const auto it = listeners_.find(spec.Key());
      if (it == listeners_.end()) continue;  // it could not be opened
      it->second->spec = &spec;
      it->second->balancer = balancer->state;
    }
  }
  for (const ListenerChange& change : opened) {
    const auto& listener = listeners_[change.key];
    if (!loop_.AddListening(listener->fd, listener.get()))
      spdlog::error("listen on {}: {}", change.key, std::strerror(errno));
  }
}

void Worker::TellOfLeaving(const RoutingTable& table) {
  for (const auto& [target, admin] : table.admin_changes) {
    if (admin == AdminState::kActive) target->slot(index_).goodbye = {};
  }
  Targets leaving, gone;
  for (const LeavingTarget& entry : table.leaving) {
    TargetSlot& slot = entry.target->slot(index_);
    // From when it first was told to leave; nobody talks on with one that is gone.
    const bool is_first = slot.goodbye.end == SteadyTime();
    const auto close = entry.is_gone ? WebSocketClose::kAtOnce : entry.web_socket_close;
    if (is_first || entry.is_gone) slot.goodbye = GoodbyeTimesOf(close, entry.delay, loop_.now());
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

// Takes what the kernel has taken already, before the socket is closed: that would reset it.
void Worker::AcceptBacklog(Listener& listener) {
  for (int i = 0; i < kListenBacklog / kAcceptsAnEvent && AcceptFrom(listener); ++i) {
  }
}

void Worker::CloseListener(Listener& listener) {
  if (listener.fd < 0) return;
  loop_.Remove(listener.fd, &listener);
  close(listener.fd);
  listener.fd = -1;
}

bool Worker::AcceptFrom(Listener& listener) {
  if (listener.fd < 0) return false;
  for (int i = 0; i < kAcceptsAnEvent; ++i) {
    sockaddr_storage storage{};
    socklen_t length = sizeof storage;
    const int fd = accept4(listener.fd, reinterpret_cast<sockaddr*>(&storage), &length,
                           SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) {
      if (errno == EINTR || errno == ECONNABORTED) continue;
      if (errno == EAGAIN) return false;
      // Out of descriptors or memory: pause instead of spinning on a readable socket.
      metrics_.accept_errors.Add(1);
      loop_.Remove(listener.fd, &listener);
      paused_.push_back(listener.shared_from_this());
      accept_timer_.Arm(loop_, loop_.now() + kAcceptPause);
      return false;
    }
    Transport transport(fd);
    const PeerAddress peer = ToPeerAddress(storage);
    if (!Admit(listener, transport, peer)) {
      listener.balancer->slot(index_).rejected_connections.Add(1);
      continue;
    }
    listener.balancer->slot(index_).new_connections.Add(1);
    transport.Count(ActiveConnection(listener.balancer, index_));
    OpenConnection(std::move(transport), peer, listener.shared_from_this());
  }
  return true;
}

// Whose connection it is that comes from a sender of PROXY headers is known later (Greeting).
bool Worker::Admit(Listener& listener, Transport& transport, const PeerAddress& peer) {
  return (Greeting::IsOfProxy(listener, peer) || transport.TakePlace(addresses_, peer.bytes)) &&
         HasRoom();
}

bool Worker::MakeRoom() {
  for (int i = 0; i < kMaxRoomTries && !idle_.empty(); ++i) {
    Connection& oldest = *idle_.front();
    idle_.PushBack(oldest);  // should it stay
    if (!oldest.CloseIfIdle()) continue;
    metrics_.idle_closed.Add(1);
    return true;
  }
  return false;
}

void Worker::OpenConnection(Transport transport, const PeerAddress& peer,
                            const std::shared_ptr<Listener>& listener) {
  if (!Greeting::IsNeeded(*listener, peer)) {
    Serve(std::move(transport), peer, listener, nullptr);
    return;
  }
  auto owned = std::make_unique<Greeting>(*this);
  Greeting& greeting = *owned;
  Hold(std::move(owned));
  greeting.Open(std::move(transport), peer, listener);
}

void Worker::Serve(Transport transport, const PeerAddress& peer, std::shared_ptr<Listener> listener,
                   IoHandler* watched_by) {
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
  NewSession()->Open(std::move(transport), peer, std::move(listener), watched_by);
}

BalancerSlot& Connection::traffic() const { return listener_->balancer->slot(worker_.index()); }

bool Connection::is_orphaned() const { return listener_ != nullptr && listener_->spec == nullptr; }

void Worker::Link(Connection* connection) {
  connection->previous_ = nullptr;
  connection->next_ = connections_;
  if (connections_ != nullptr) connections_->previous_ = connection;
  connections_ = connection;
  connection->log_id_ = Random() | 1;
  ++connection_count_;
  pool_.MakeRoom();
  if (connection->is_counted_) metrics_.active_connections.Add(1);
}

void Worker::Unlink(Connection* connection) {
  if (visited_next_ == connection) visited_next_ = connection->next_;
  if (connection->previous_ != nullptr) connection->previous_->next_ = connection->next_;
  if (connection->next_ != nullptr) connection->next_->previous_ = connection->previous_;
  if (connections_ == connection) connections_ = connection->next_;
  ConnectionList::Remove(*connection);
  --connection_count_;
  if (connection->is_counted_) metrics_.active_connections.Sub(1);
}

// A visit may close any connection.
template <typename Visit>
void Worker::ForEachConnection(Visit visit) {
  for (Connection* connection = connections_; connection != nullptr; connection = visited_next_) {
    visited_next_ = connection->next_;
    visit(*connection);
  }
}

// One pass whatever the number of targets, and none if nothing is in flight here to any of them,
// which is the rule.
template <typename Visit>
void Worker::ForEachExchangeWith(const Targets& targets, Visit visit) {
  bool is_any = false;
  for (const auto& target : targets) {
    TargetSlot& slot = target->slot(index_);
    slot.is_sought = slot.in_flight.Get() > 0;
    is_any |= slot.is_sought;
  }
  if (!is_any) return;
  ForEachConnection([&](Connection& connection) {
    metrics_.visited_connections.Add(1);
    TargetState* const target = connection.target();
    if (target != nullptr && target->slot(index_).is_sought) visit(connection, *target);
  });
  for (const auto& target : targets) target->slot(index_).is_sought = false;
}

Session* Worker::TakeSession(bool for_stream) {
  std::unique_ptr<Session> session;
  if (free_sessions_.empty()) {
    session = std::make_unique<Session>(*this);
  } else {
    session = std::move(free_sessions_.back());
    free_sessions_.pop_back();
  }
  session->is_counted_ = !for_stream;
  Link(session.get());
  return session.release();
}

Http2Worker& Worker::http2() {
  if (http2_ == nullptr) http2_ = std::make_unique<Http2Worker>();
  return *http2_;
}

void Worker::SessionClosed(Session* session) {
  Unlink(session);
  // Its methods may still be on the stack.
  std::unique_ptr<Session> owned(session);
  if (free_sessions_.size() < kMaxFreeSessions) {
    free_sessions_.push_back(std::move(owned));
  } else {
    loop_.Defer([raw = owned.release()] { delete raw; });
  }
  if (is_draining_) CheckStopped();
}

void Worker::Hold(std::unique_ptr<Connection> connection) { Link(connection.release()); }

void Worker::ConnectionClosed(Connection* connection) {
  Unlink(connection);
  loop_.Defer([connection] { delete connection; });
  if (is_draining_) CheckStopped();
}

void Worker::CloseExchangesWith(const Targets& targets) {
  ForEachExchangeWith(targets, [](Connection& connection, TargetState& target) {
    connection.EndExchangeWith(target);
  });
}

void Worker::TargetsFell(const Targets& targets) {
  for (const auto& target : targets) pool_.CloseIdle(*target);
  ForEachExchangeWith(targets, [](Connection& connection, TargetState& target) {
    connection.TargetFell(target, false);
  });
}

void Worker::EndUnanswered(const Targets& targets) {
  ForEachExchangeWith(targets, [](Connection& connection, TargetState& target) {
    connection.EndUnanswered(target);
  });
}

void Worker::Drain() {
  if (is_draining_) return;
  is_draining_ = true;
  for (auto& [key, listener] : listeners_) {
    AcceptBacklog(*listener);
    CloseListener(*listener);
  }
  ForEachConnection([](Connection& connection) { connection.CloseWhenIdle(); });
  CheckStopped();
}

void Worker::AbortAll() {
  while (connections_ != nullptr) connections_->Abort();
}

void Worker::CheckStopped() {
  if (connection_count_ > 0 || is_stop_reported_) return;
  is_stop_reported_ = true;
  if (events_.on_stopped) events_.on_stopped();
}

void Worker::PreparePick(GroupState& group, PickRequest& request) {
  request.worker = index_;
  request.now = loop_.now();
  request.random = Random();
  if (!IsPickerStale(group, request)) return;
  const uint64_t begin_ns = ThreadCpuNs();
  RefreshPicker(group, request);
  metrics_.repick_time.Observe(ThreadCpuNs() - begin_ns);
}

Picked Worker::Pick(GroupState& group, PickRequest request) {
  PreparePick(group, request);
  const Picked picked = PickTarget(group, request);
  if (picked.is_fail_open) metrics_.fail_open_picks.Add(1);
  return picked;
}

bool Worker::HasUntried(GroupState& group, PickRequest request) {
  PreparePick(group, request);
  return remuda::proxy::HasUntried(group, request);
}

bool Worker::HasHealthyUntried(GroupState& group, PickRequest request) {
  return HasUntried(group, request) && !group.picker(index_).is_fail_open;
}

AdoptedTable* Worker::Pin() {
  ++current_->pins;
  return current_.get();
}

void Worker::Unpin(AdoptedTable* table) {
  if (--table->pins > 0 || table->is_current) return;
  std::erase_if(retired_, [&](const auto& retired) { return retired.get() == table; });
}

Exchange* Worker::TakeExchange() {
  if (free_exchanges_.empty()) {
    auto* exchange = new Exchange();
    exchange->Reset();
    return exchange;
  }
  Exchange* exchange = free_exchanges_.back().release();
  free_exchanges_.pop_back();
  exchange->Reset();
  return exchange;
}

void Worker::GiveExchange(Exchange* exchange) {
  std::unique_ptr<Exchange> owned(exchange);
  if (free_exchanges_.size() < kMaxFreeExchanges) free_exchanges_.push_back(std::move(owned));
}

void Worker::TargetReleased(TargetState& target) {
  if (target.is_leaving() && target.slot(index_).in_flight.Get() == 0 &&
      events_.on_drained_target) {
    events_.on_drained_target();
  }
}

void Worker::TargetRefused(TargetState& target) {
  if (!target.SetPassivelyOut(true)) return;
  target.group().Changed();
  pool_.CloseIdle(target);
  if (events_.on_passively_out) events_.on_passively_out(&target);
}

// xorshift64*: for trace ids, which need to be unique, not secret.
uint64_t Worker::Random() {
  random_state_ ^= random_state_ >> 12;
  random_state_ ^= random_state_ << 25;
  random_state_ ^= random_state_ >> 27;
  return random_state_ * 2685821657736338717ULL;
}

void Worker::SetWallOffset() {
  using std::chrono::duration_cast;
  using std::chrono::microseconds;
  const auto steady = std::chrono::steady_clock::now().time_since_epoch();
  const auto wall = std::chrono::system_clock::now().time_since_epoch();
  wall_offset_us_ =
      (duration_cast<microseconds>(wall) - duration_cast<microseconds>(steady)).count();
}

void Worker::Sweep() {
  SetWallOffset();
  pool_.CloseExpired(loop_.now());
  sweep_timer_.Arm(loop_, loop_.now() + kSweepInterval);
}

}  // namespace remuda::proxy
