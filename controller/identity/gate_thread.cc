#include "controller/identity/gate_thread.h"

#include <absl/time/clock.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <cstring>

#include "common/random_bytes.h"
#include "controller/identity/gate_connection.h"
#include "controller/identity/network_of.h"
#include "controller/limits.h"

namespace remuda {
namespace {

constexpr size_t kBufferBytes = 16 * 1024;  // a TLS record's content
constexpr int kMaxEvents = 64;
constexpr auto kLookInterval = std::chrono::milliseconds(250);

// A connected pair: ours, and gRPC's, which sees `name` as its peer. {-1, -1}: out of descriptors.
std::pair<int, int> NamedPair(const std::string& name) {
  int pair[2];
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) != 0)
    return {-1, -1};
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  // Abstract: no file, gone with the socket.
  std::memcpy(address.sun_path + 1, name.data(), name.size());
  const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + name.size());
  if (bind(pair[0], reinterpret_cast<const sockaddr*>(&address), size) != 0) {
    close(pair[0]);
    close(pair[1]);
    return {-1, -1};
  }
  return {pair[0], pair[1]};
}

std::string_view ChosenProtocol(const SSL* ssl) {
  const unsigned char* name = nullptr;
  unsigned int size = 0;
  SSL_get0_alpn_selected(ssl, &name, &size);
  return {reinterpret_cast<const char*>(name), size};
}

// Empty: out of memory.
std::string PemOf(X509* certificate) {
  const std::unique_ptr<BIO, decltype(&BIO_free)> bio(BIO_new(BIO_s_mem()), &BIO_free);
  if (bio == nullptr || PEM_write_bio_X509(bio.get(), certificate) != 1) return "";
  const char* bytes = nullptr;
  const long size = BIO_get_mem_data(bio.get(), &bytes);
  return {bytes, static_cast<size_t>(size)};
}

std::string RandomPrefix() {
  static const std::string prefix = "remuda-" + RandomHex(16) + "-";
  return prefix;
}

}  // namespace

GateThread::GateThread(Gate& gate)
    : gate_(gate),
      epoll_(epoll_create1(EPOLL_CLOEXEC)),
      wake_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)),
      buffer_(kBufferBytes) {
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.ptr = nullptr;
  epoll_ctl(epoll_, EPOLL_CTL_ADD, wake_, &event);
  thread_ = std::thread([this] { Run(); });
}

GateThread::~GateThread() {
  Stop();
  close(wake_);
  close(epoll_);
}

bool GateThread::Post(std::function<void()> task) {
  {
    const std::lock_guard lock(mutex_);
    if (ended_) return false;
    tasks_.push_back(std::move(task));
  }
  const uint64_t one = 1;
  // It cannot fail: the counter is far from its limit.
  [[maybe_unused]] const ssize_t written = write(wake_, &one, sizeof one);
  return true;
}

void GateThread::Add(int fd) {
  // From now on it is one that may become a connection.
  ++gate_.counts_.handshakes;
  if (Post([this, fd] { Begin(fd); })) return;
  --gate_.counts_.handshakes;
  close(fd);
}

void GateThread::Drain() {
  is_draining_ = true;
  while (!shaking_.empty()) Close(*shaking_.front());
  dead_.clear();
}

void GateThread::Stop() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  const uint64_t one = 1;
  [[maybe_unused]] const ssize_t written = write(wake_, &one, sizeof one);
  if (thread_.joinable()) thread_.join();
}

void GateThread::Run() {
  std::array<epoll_event, kMaxEvents> events{};
  const int look_ms = static_cast<int>(kLookInterval.count());
  while (true) {
    const bool is_idle = shaking_.empty() && open_.empty();
    const int count = epoll_wait(epoll_, events.data(), kMaxEvents, is_idle ? -1 : look_ms);
    for (int i = 0; i < count; ++i) {
      const epoll_event& event = events[static_cast<size_t>(i)];
      if (event.data.ptr != nullptr) OnEvent(*static_cast<End*>(event.data.ptr), event.events);
    }
    dead_.clear();
    RunTasks();
    EndOverdue();
    dead_.clear();
    const std::lock_guard lock(mutex_);
    if (stopping_) break;
  }
  is_draining_ = true;
  {
    const std::lock_guard lock(mutex_);
    ended_ = true;
  }
  RunTasks();  // sockets that were just handed over are closed
  while (!shaking_.empty()) Close(*shaking_.front());
  while (!open_.empty()) Close(*open_.front());
  dead_.clear();
}

void GateThread::RunTasks() {
  uint64_t count = 0;
  [[maybe_unused]] const ssize_t got = read(wake_, &count, sizeof count);
  std::deque<std::function<void()>> tasks;
  {
    const std::lock_guard lock(mutex_);
    tasks.swap(tasks_);
  }
  for (const auto& task : tasks) task();
}

void GateThread::Begin(int fd) {
  if (is_draining_) {
    --gate_.counts_.handshakes;
    close(fd);
    return;
  }
  auto connection = std::make_unique<Connection>(fd, gate_.context());
  connection->address = AddressOfPeer(fd);
  connection->host = NetworkOf(connection->address);
  connection->since = Clock::now();
  connection->ssl.reset(SSL_new(connection->context.get()));
  if (connection->ssl == nullptr || SSL_set_fd(connection->ssl.get(), fd) != 1) {
    tls::TakeErrors();
    --gate_.counts_.handshakes;
    ++gate_.counts_.abandoned;
    return;
  }
  SSL_set_accept_state(connection->ssl.get());
  CrowdOut(connection->host);
  ++shaking_by_host_[connection->host];
  Connection& added = *connection;
  added.place = shaking_.insert(shaking_.end(), std::move(connection));
  Shake(added);
}

// The oldest give way: a handshake that is meant takes milliseconds.
void GateThread::CrowdOut(const std::string& host) {
  if (shaking_by_host_[host] >= limits::kMaxHandshakesPerAddress) {
    for (const auto& connection : shaking_) {
      if (connection->host != host) continue;
      ++gate_.counts_.crowded_out;
      Close(*connection);
      break;
    }
  }
  if (shaking_.size() >= limits::kMaxHandshakes) {
    ++gate_.counts_.crowded_out;
    Close(*shaking_.front());
  }
}

void GateThread::OnEvent(const End& end, uint32_t events) {
  Connection& connection = *end.connection;
  if (connection.is_dead) return;
  if (!connection.is_open) return Shake(connection);
  if (!end.is_plain && (events & (EPOLLERR | EPOLLHUP)) != 0) return Close(connection);
  if (end.is_plain && (events & (EPOLLERR | EPOLLHUP)) != 0) {
    // It would be told of again and again: from now on the client's socket says when to go on.
    connection.plain_hung = true;
    epoll_ctl(epoll_, EPOLL_CTL_DEL, connection.plain, nullptr);
  }
  Move(connection);
}

void GateThread::Shake(Connection& connection) {
  // Past the handshake with a standby, which says next for whom.
  if (connection.relayed_by != nullptr) return ReadRelayed(connection);
  ERR_clear_error();
  const int result = SSL_do_handshake(connection.ssl.get());
  if (result == 1) return Admit(connection);
  const int error = SSL_get_error(connection.ssl.get(), result);
  if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE) {
    connection.read_wants_write = error == SSL_ERROR_WANT_WRITE;
    return Watch(connection);
  }
  const long verified = SSL_get_verify_result(connection.ssl.get());
  const std::string why =
      verified != X509_V_OK ? X509_verify_cert_error_string(verified) : tls::TakeErrors();
  ERR_clear_error();
  if (verified != X509_V_OK || error == SSL_ERROR_SSL) return Refuse(connection, why);
  ++gate_.counts_.abandoned;
  Close(connection);
}

void GateThread::Refuse(Connection& connection, const std::string& why) {
  ++gate_.counts_.refused;
  if (gate_.options_.on_refused) gate_.options_.on_refused(connection.address, why);
  Close(connection);
}

void GateThread::Admit(Connection& connection) {
  const tls::X509Ptr certificate(SSL_get1_peer_certificate(connection.ssl.get()));
  if (certificate == nullptr) return Refuse(connection, "no certificate was shown");
  auto peer = identity::ReadPeer(certificate.get());
  if (!peer.ok()) return Refuse(connection, std::string(peer.status().message()));
  if (peer->id.cluster != gate_.options_.cluster) {
    return Refuse(connection, identity::Text(peer->id) + " is of another cluster than " +
                                  gate_.options_.cluster);
  }
  if (ChosenProtocol(connection.ssl.get()) == kRelayProtocol) {
    if (peer->id.role != v1::IDENTITY_ROLE_CONTROLLER) {
      return Refuse(connection,
                    identity::ActorText(peer->id) + " may not pass connections of others on");
    }
    auto standby = std::make_shared<Caller>(Caller{*std::move(peer), connection.address});
    if (absl::Status status = gate_.options_.admit(*standby); !status.ok())
      return Refuse(connection, std::string(status.message()));
    connection.relayed_by = std::move(standby);
    return ReadRelayed(connection);
  }
  auto caller = std::make_shared<Caller>(Caller{*std::move(peer), connection.address});
  if (gate_.options_.keeps_certificates) caller->certificate_pem = PemOf(certificate.get());
  Let(connection, std::move(caller));
}

void GateThread::Let(Connection& connection, std::shared_ptr<Caller> caller, bool joins) {
  if (absl::Status status = gate_.options_.admit(*caller); !status.ok())
    return Refuse(connection, std::string(status.message()));
  // Before descriptors are taken for it.
  connection.counted_as = joins ? "who joins through others" : caller->actor();
  if (!gate_.TakePlace(connection.counted_as)) {
    return Refuse(connection, connection.counted_as + " has " +
                                  std::to_string(limits::kMaxConnectionsPerIdentity) +
                                  " connections already (kMaxConnectionsPerIdentity)");
  }
  std::string name = RandomPrefix() + std::to_string(reinterpret_cast<uintptr_t>(this)) + "-" +
                     std::to_string(++next_number_);
  const auto [ours, theirs] = NamedPair(name);
  if (ours < 0) {
    gate_.GiveBackPlace(connection.counted_as);
    return Refuse(connection, "no descriptor is left");
  }
  connection.plain = ours;
  connection.name = "unix-abstract:" + name;
  connection.good_until = caller->peer.expire_time;
  connection.caller = std::move(caller);
  connection.is_open = true;
  --gate_.counts_.handshakes;
  if (--shaking_by_host_[connection.host] == 0) shaking_by_host_.erase(connection.host);
  open_.splice(open_.end(), shaking_, connection.place);
  ++gate_.counts_.connections;
  ++gate_.counts_.admitted;
  epoll_event event{};
  event.data.ptr = &connection.plain_end;
  epoll_ctl(epoll_, EPOLL_CTL_ADD, connection.plain, &event);
  if (joins) {
    gate_.options_.on_join(theirs, connection.caller->address);
  } else {
    gate_.callers_.Add(connection.name, connection.caller);
    gate_.options_.on_connection(theirs, connection.caller);
  }
  Move(connection);
}

void GateThread::Move(Connection& connection) {
  if (!MoveUp(connection) || !MoveDown(connection)) return Close(connection);
  Watch(connection);
}

// From the client to gRPC.
bool GateThread::MoveUp(Connection& connection) {
  connection.read_wants_write = false;
  // A few turns each, so that one connection does not hold the others up.
  for (int turn = 0; turn < 4 && !connection.plain_ended; ++turn) {
    if (!connection.up.empty()) {
      const ssize_t sent =
          send(connection.plain, connection.up.data(), connection.up.size(), MSG_NOSIGNAL);
      if (sent < 0) return errno == EAGAIN || errno == EINTR;
      connection.up.erase(0, static_cast<size_t>(sent));
      if (!connection.up.empty()) return true;
    }
    ERR_clear_error();
    const int got =
        SSL_read(connection.ssl.get(), buffer_.data(), static_cast<int>(buffer_.size()));
    if (got <= 0) {
      const int error = SSL_get_error(connection.ssl.get(), got);
      ERR_clear_error();
      connection.read_wants_write = error == SSL_ERROR_WANT_WRITE;
      return error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE;
    }
    const auto size = static_cast<size_t>(got);
    const ssize_t sent = send(connection.plain, buffer_.data(), size, MSG_NOSIGNAL);
    if (sent < 0 && errno != EAGAIN && errno != EINTR) return false;
    const size_t taken = sent < 0 ? 0 : static_cast<size_t>(sent);
    connection.up.assign(buffer_.data() + taken, size - taken);
  }
  return true;
}

// From gRPC to the client.
bool GateThread::MoveDown(Connection& connection) {
  connection.write_wants_read = false;
  for (int turn = 0; turn < 4; ++turn) {
    if (connection.down.empty()) {
      if (connection.plain_ended) {
        SSL_shutdown(connection.ssl.get());
        ERR_clear_error();
        return false;
      }
      const ssize_t got = recv(connection.plain, buffer_.data(), buffer_.size(), 0);
      if (got < 0) return errno == EAGAIN || errno == EINTR;
      if (got == 0) {
        if (!connection.plain_hung) epoll_ctl(epoll_, EPOLL_CTL_DEL, connection.plain, nullptr);
        connection.plain_hung = connection.plain_ended = true;
        continue;
      }
      connection.down.assign(buffer_.data(), static_cast<size_t>(got));
    }
    ERR_clear_error();
    const int sent = SSL_write(connection.ssl.get(), connection.down.data(),
                               static_cast<int>(connection.down.size()));
    if (sent <= 0) {
      const int error = SSL_get_error(connection.ssl.get(), sent);
      ERR_clear_error();
      connection.write_wants_read = error == SSL_ERROR_WANT_READ;
      return error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE;
    }
    connection.down.erase(0, static_cast<size_t>(sent));
    if (connection.down.empty()) connection.down.shrink_to_fit();
  }
  return true;
}

// What each socket is waited for. Level-triggered: what is not wanted now is not asked for.
void GateThread::Watch(Connection& connection) {
  uint32_t client = 0, plain = 0;
  if (!connection.is_open) {
    client = connection.read_wants_write ? EPOLLOUT : EPOLLIN;
  } else {
    if (connection.up.empty()) {
      client |= connection.read_wants_write ? EPOLLOUT : EPOLLIN;
      // What OpenSSL has decrypted already makes no socket readable.
      if (SSL_pending(connection.ssl.get()) > 0) client |= EPOLLOUT;
    } else {
      plain |= EPOLLOUT;
    }
    if (connection.down.empty()) {
      plain |= EPOLLIN;
    } else {
      client |= connection.write_wants_read ? EPOLLIN : EPOLLOUT;
    }
    if (connection.plain_hung) client |= EPOLLOUT;
  }
  epoll_event event{};
  if (connection.client_events != client) {
    event.events = client;
    event.data.ptr = &connection.client_end;
    epoll_ctl(epoll_, connection.is_watched ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, connection.client,
              &event);
    connection.is_watched = true;
    connection.client_events = client;
  }
  if (connection.is_open && !connection.plain_hung && connection.plain_events != plain) {
    event.events = plain;
    event.data.ptr = &connection.plain_end;
    epoll_ctl(epoll_, EPOLL_CTL_MOD, connection.plain, &event);
    connection.plain_events = plain;
  }
}

void GateThread::Close(Connection& connection) {
  if (connection.is_dead) return;
  connection.is_dead = true;
  if (connection.is_open) {
    --gate_.counts_.connections;
    gate_.callers_.Remove(connection.name);
    gate_.GiveBackPlace(connection.counted_as);
  } else {
    --gate_.counts_.handshakes;
    if (--shaking_by_host_[connection.host] == 0) shaking_by_host_.erase(connection.host);
  }
  epoll_ctl(epoll_, EPOLL_CTL_DEL, connection.client, nullptr);
  if (connection.plain >= 0) epoll_ctl(epoll_, EPOLL_CTL_DEL, connection.plain, nullptr);
  Connections& list = connection.is_open ? open_ : shaking_;
  const auto place = connection.place;
  dead_.push_back(std::move(*place));
  list.erase(place);
}

void GateThread::EndOverdue() {
  const Clock::time_point now = Clock::now();
  if (now < next_look_) return;
  next_look_ = now + kLookInterval;
  const auto limit = absl::ToChronoMilliseconds(limits::kTlsHandshakeTimeout);
  while (!shaking_.empty() && now - shaking_.front()->since > limit) {
    ++gate_.counts_.abandoned;
    Close(*shaking_.front());
  }
  const absl::Time today = absl::Now();
  for (auto it = open_.begin(); it != open_.end();) {
    Connection& connection = **it++;
    if (connection.good_until > today) continue;
    ++gate_.counts_.closed_for_expiry;
    Close(connection);
  }
}

void GateThread::CloseIf(const std::function<bool(const Caller&)>& is_to_end) {
  for (auto it = open_.begin(); it != open_.end();) {
    Connection& connection = **it++;
    const CallerPtr& standby = connection.relayed_by;
    if (is_to_end(*connection.caller) || (standby != nullptr && is_to_end(*standby)))
      Close(connection);
  }
  dead_.clear();
}

void GateThread::Extend(const identity::SpiffeId& id, absl::Time expire_time) {
  for (const auto& connection : open_) {
    if (connection->caller->peer.id == id)
      connection->good_until = std::max(connection->good_until, expire_time);
  }
}

}  // namespace remuda
