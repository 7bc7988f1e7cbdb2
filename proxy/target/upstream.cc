#include "proxy/target/upstream.h"

#include <spdlog/spdlog.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "proxy/io/socket.h"

namespace remuda::proxy {
namespace {

// Of what came on an idle connection: enough to tell a status code.
constexpr size_t kLookedAtBytes = 12;

// How some servers say that they close an idle connection (RFC 9110 section 15.5.9).
bool IsRequestTimeout(std::string_view bytes) {
  return bytes.starts_with("HTTP/1.1 408") || bytes.starts_with("HTTP/1.0 408");
}

}  // namespace

void UpstreamConnection::OnIo(uint32_t events) {
  if ((events & EPOLLOUT) != 0) is_writable = true;
  if ((events & EPOLLIN) != 0) is_readable = true;
  if ((events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0) {
    has_ended = true;
    is_readable = true;
    is_writable = true;  // the error is found by the next call
  }
  if ((events & EPOLLERR) != 0) is_broken = true;
  if ((events & EPOLLPRI) != 0) is_urgent = true;
  if (user != nullptr) {
    user->OnUpstream();
  } else if (is_readable && !pool->StaysIdle(*this)) {
    pool->Close(this);  // closed, or bytes that nobody asked for
  }
}

int UpstreamConnection::FinishConnect() {
  if (is_connected) return 0;
  if (!is_writable) return -EAGAIN;
  if (const int error = ConnectError(transport.fd()); error != 0) return -error;
  if (!greeting.empty() && !is_greeted) {
    // A new socket's send buffer holds it whole.
    const ssize_t sent = send(transport.fd(), greeting.data(), greeting.size(), MSG_NOSIGNAL);
    if (sent != static_cast<ssize_t>(greeting.size())) return sent < 0 ? -errno : -EPIPE;
    is_greeted = true;
  }
  if (!transport.is_plain()) {
    const int error = transport.Handshake();
    if (error != 0 && error != -EAGAIN) pool->NoteTlsFailure(*this);
    if (error != 0) return error;
    is_readable = transport.has_pending();
  }
  is_connected = true;
  return 0;
}

UpstreamPool::~UpstreamPool() {
  CloseAllIdle();
  while (free_ != nullptr) {
    UpstreamConnection* next = free_->pool_next;
    delete free_;
    free_ = next;
  }
}

void UpstreamPool::Unlink(UpstreamConnection* connection) {
  TargetSlot& slot = connection->target->slot(worker_);
  UpstreamConnection* const newest = slot.idle_head;
  if (newest == connection) {
    slot.idle_head = connection->older;
  } else {
    connection->newer->older = connection->older;
  }
  if (connection->older != nullptr) {
    connection->older->newer = connection->newer;
  } else {
    newest->newer = connection->newer;  // it was the oldest
  }
  --slot.idle_count;
  if (connection->pool_previous != nullptr)
    connection->pool_previous->pool_next = connection->pool_next;
  if (connection->pool_next != nullptr)
    connection->pool_next->pool_previous = connection->pool_previous;
  if (oldest_ == connection) oldest_ = connection->pool_next;
  if (newest_ == connection) newest_ = connection->pool_previous;
  connection->newer = connection->older = connection->pool_previous = connection->pool_next =
      nullptr;
  --idle_count_;
}

// `connection` has rested longest of those that are idle.
bool UpstreamPool::MustRest(const UpstreamConnection& connection, const TargetSlot& slot) const {
  if (connection.target->IsDistrusted(loop_.now())) {
    return slot.idle_count <
           std::min<size_t>(kMinRestingConnections, settings_.max_descriptors / kRestingPart);
  }
  return connection.reuses_in_a_row >= kMaxReusesInARow && &connection == slot.idle_head;
}

// The newest is the likeliest to live, and lets the pool shrink; unless it must rest.
UpstreamConnection* UpstreamPool::Acquire(TargetState& target, std::string_view host) {
  const TargetSlot& slot = target.slot(worker_);
  UpstreamConnection* const newest = slot.idle_head;
  if (newest == nullptr) return nullptr;
  const bool from_oldest = loop_.now() - newest->idle_since < kRestTime ||
                           newest->reuses_in_a_row >= kMaxReusesInARow ||
                           target.IsDistrusted(loop_.now());
  UpstreamConnection* next = nullptr;
  for (UpstreamConnection* connection = from_oldest ? newest->newer : newest; connection != nullptr;
       connection = next) {
    if (from_oldest) {
      if (MustRest(*connection, slot)) return nullptr;
      next = connection == slot.idle_head ? nullptr : connection->newer;
    } else {
      next = connection->older;
    }
    const Fit fit = FitOf(*connection, host);
    if (fit == Fit::kForAnotherName) continue;
    if (fit == Fit::kOutdated || !IsQuiet(*connection)) {
      Close(connection);
      continue;
    }
    if (connection != newest) connection->reuses_in_a_row = 0;
    ++connection->reuses_in_a_row;
    Unlink(connection);
    return connection;
  }
  return nullptr;
}

// Right before it is used again: nothing waits to be read but what is TLS's own. The call cannot be
// spared: epoll says what had come when it was asked, which is a whole turn of the loop ago for the
// last event of a batch, and what has come since only the kernel knows. To ask once a turn for all
// connections would leave the same gap.
bool UpstreamPool::IsQuiet(UpstreamConnection& connection) {
  char bytes[kLookedAtBytes];
  const ssize_t got = recv(connection.transport.fd(), bytes, sizeof bytes, MSG_PEEK | MSG_DONTWAIT);
  if (got < 0) return errno == EAGAIN;
  if (got == 0) return false;
  if (!connection.transport.is_plain()) return StaysIdle(connection);
  NoteUnasked(*connection.target, {bytes, static_cast<size_t>(got)});
  return false;
}

// While nobody uses it: whether what has come is only TLS's own, such as a late ticket, or the
// event was of bytes that its last user has taken before it was told.
bool UpstreamPool::StaysIdle(UpstreamConnection& connection) {
  char bytes[kLookedAtBytes];
  const ssize_t got = connection.transport.Receive(bytes, sizeof bytes).bytes;
  if (got > 0) NoteUnasked(*connection.target, {bytes, static_cast<size_t>(got)});
  if (got != -EAGAIN || connection.has_ended) return false;
  connection.is_readable = false;
  if (!connection.transport.is_plain()) SaveTlsSession(connection);
  return true;
}

void UpstreamPool::NoteUnasked(TargetState& target, std::string_view bytes) {
  if (IsRequestTimeout(bytes)) return;
  target.group().slot(worker_).unasked.Add(1);
  if (!target.Distrust(loop_.now(), kDistrustTime)) return;
  spdlog::warn(
      "targetGroups/{}/targets/{}: it sent bytes that no request asked for; until {} minutes have "
      "passed without such, its connections rest before they are used again",
      target.group().id(), target.id(), kDistrustTime.count());
}

UpstreamConnection* UpstreamPool::Connect(TargetState& target, UpstreamUser* user,
                                          std::string_view host) {
  const auto begin = [&] {
    return BeginConnect(MakeSocketAddress(target.address(), target.port()));
  };
  int fd = begin();
  if ((fd == -EMFILE || fd == -ENFILE) && oldest_ != nullptr) {  // others have taken what there is
    Close(oldest_);
    fd = begin();
  }
  if (fd < 0) {
    errno = -fd;
    return nullptr;
  }
  UpstreamConnection* connection = free_;
  if (connection != nullptr) {
    free_ = connection->pool_next;
    *connection = UpstreamConnection();
  } else {
    connection = new UpstreamConnection();
  }
  connection->pool = this;
  connection->target = &target;
  connection->user = user;
  connection->transport = Transport(fd);
  ++open_count_;
  MakeRoom();
  if (!BeginTls(*connection, host) || !loop_.Add(fd, connection)) {
    const int error = errno;
    Close(connection);
    errno = error;
    return nullptr;
  }
  return connection;
}

void UpstreamPool::Release(UpstreamConnection* connection) {
  TargetSlot& slot = connection->target->slot(worker_);
  connection->user = nullptr;
  if (!connection->greeting.empty() || connection->is_doubted || connection->has_ended ||
      connection->transport.has_pending() || connection->target->is_leaving() ||
      slot.idle_count >= settings_.pool_max_idle_a_target ||
      (connection->is_readable && !StaysIdle(*connection))) {
    Close(connection);
    return;
  }
  if (!connection->transport.is_plain()) SaveTlsSession(*connection);
  connection->idle_since = loop_.now();
  connection->older = slot.idle_head;
  connection->newer = connection;  // the oldest, if it is alone
  if (slot.idle_head != nullptr)
    connection->newer = std::exchange(slot.idle_head->newer, connection);
  slot.idle_head = connection;
  ++slot.idle_count;
  connection->pool_previous = newest_;
  if (newest_ != nullptr) newest_->pool_next = connection;
  newest_ = connection;
  if (oldest_ == nullptr) oldest_ = connection;
  ++idle_count_;
}

void UpstreamPool::Close(UpstreamConnection* connection) {
  const bool is_idle = oldest_ == connection || connection->pool_previous != nullptr;
  if (is_idle) Unlink(connection);
  if (!connection->transport.is_plain()) SaveTlsSession(*connection);
  if (is_idle && !connection->has_ended) connection->transport.CloseNotify();
  loop_.RemoveClosing(connection);
  connection->transport.Close();
  --open_count_;
  connection->user = nullptr;
  connection->target = nullptr;
  connection->tls_context.reset();
  connection->pool_next = free_;
  free_ = connection;
}

void UpstreamPool::CloseIdle(TargetState& target) {
  while (UpstreamConnection* connection = target.slot(worker_).idle_head) Close(connection);
}

void UpstreamPool::CloseExpired(SteadyTime now) {
  while (oldest_ != nullptr && now - oldest_->idle_since >= settings_.pool_idle_timeout)
    Close(oldest_);
}

void UpstreamPool::CloseAllIdle() {
  while (oldest_ != nullptr) Close(oldest_);
}

}  // namespace remuda::proxy
