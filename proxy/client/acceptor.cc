#include "proxy/client/acceptor.h"

#include <spdlog/spdlog.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <utility>

#include "proxy/client/client_worker.h"
#include "proxy/client/greeting.h"
#include "proxy/core/ingress_set.h"

namespace remuda::proxy {
namespace {

constexpr int kAcceptsAnEvent = 64;
constexpr std::chrono::milliseconds kPause{50};

// By a reset: the client knows at once that nobody took it in, and nothing of it is kept here, not
// even a socket that waits for its goodbye.
void Reset(int fd) {
  const linger at_once{.l_onoff = 1, .l_linger = 0};
  setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
  close(fd);
}

}  // namespace

void Listener::OnIo(uint32_t /*events*/) { acceptor->AcceptFrom(*this); }

Acceptor::Acceptor(ClientWorker& worker)
    : worker_(worker), timer_([this] {
        for (const auto& weak : std::exchange(paused_, {})) {
          if (const auto listener = weak.lock(); listener && listener->fd >= 0)
            worker_.loop().AddListening(listener->fd, listener.get());
        }
      }) {}

Acceptor::~Acceptor() {
  for (auto& [key, listener] : listeners_) CloseSocket(*listener);
}

void Acceptor::Listen(const std::vector<ListenerChange>& opened, const RoutingTable& table) {
  std::vector<std::shared_ptr<Listener>> added;
  for (const ListenerChange& change : opened) {
    auto listener = std::make_shared<Listener>();
    listener->acceptor = this;
    listener->fd = change.fd;
    listener->port = change.port;
    listeners_.emplace(change.key, listener);
    added.push_back(std::move(listener));
  }
  for (const auto& [id, balancer] : table.load_balancers) {
    for (const ListenerSpec& spec : balancer->listeners) {
      const auto [first, last] = listeners_.equal_range(spec.Key());
      for (auto it = first; it != last; ++it) {  // none: it could not be opened
        it->second->spec = &spec;
        it->second->balancer = balancer->state;
      }
    }
  }
  for (const auto& listener : added) {
    if (!worker_.loop().AddListening(listener->fd, listener.get()))
      spdlog::error("listen on port {}: {}", listener->port, std::strerror(errno));
  }
}

void Acceptor::AcceptBacklog(const std::vector<std::string>& keys) {
  for (const std::string& key : keys) {
    const auto [first, last] = listeners_.equal_range(key);
    for (auto it = first; it != last; ++it) AcceptBacklogOf(*it->second);
  }
}

void Acceptor::AcceptBacklogOf(Listener& listener) {
  for (int i = 0; i < kListenBacklog / kAcceptsAnEvent && AcceptFrom(listener); ++i) {
  }
}

void Acceptor::Close(const std::vector<std::string>& keys) {
  for (const std::string& key : keys) {
    const auto [first, last] = listeners_.equal_range(key);
    for (auto it = first; it != last; ++it) {
      CloseSocket(*it->second);
      it->second->spec = nullptr;
    }
    listeners_.erase(key);
  }
}

void Acceptor::CloseSocket(Listener& listener) {
  if (listener.fd < 0) return;
  worker_.loop().Remove(listener.fd, &listener);
  close(listener.fd);
  listener.fd = -1;
}

void Acceptor::Drain(const std::set<std::string>& kept) {
  for (auto& [key, listener] : listeners_) {
    if (kept.count(key) == 0) AcceptBacklogOf(*listener);
    CloseSocket(*listener);
  }
}

bool Acceptor::AcceptFrom(Listener& listener) {
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
      worker_.counters().accept_errors.Add(1);
      worker_.loop().Remove(listener.fd, &listener);
      paused_.push_back(listener.shared_from_this());
      timer_.Arm(worker_.loop(), worker_.loop().now() + kPause);
      return false;
    }
    const PeerAddress peer = ToPeerAddress(storage);
    const IngressSet* ingress = listener.spec == nullptr ? nullptr : listener.spec->ingress.get();
    if (ingress != nullptr && !ingress->Contains(peer.bytes)) {
      listener.balancer->slot(worker_.index()).unwanted_connections.Add(1);
      Reset(fd);
      continue;
    }
    Transport transport(fd);
    if (!Admit(listener, transport, peer)) {
      listener.balancer->slot(worker_.index()).rejected_connections.Add(1);
      continue;
    }
    listener.balancer->slot(worker_.index()).new_connections.Add(1);
    transport.Count(ActiveConnection(listener.balancer, worker_.index()));
    Open(std::move(transport), peer, listener.shared_from_this());
  }
  return true;
}

// Whose connection it is that comes from a sender of PROXY headers is known later (Greeting).
bool Acceptor::Admit(Listener& listener, Transport& transport, const PeerAddress& peer) {
  return (Greeting::IsOfProxy(listener, peer) ||
          transport.TakePlace(worker_.addresses(), peer.bytes)) &&
         worker_.HasRoom();
}

void Acceptor::Open(Transport transport, const PeerAddress& peer,
                    const std::shared_ptr<Listener>& listener) {
  if (!Greeting::IsNeeded(*listener, peer)) {
    worker_.Serve(std::move(transport), peer, listener, nullptr);
    return;
  }
  auto owned = std::make_unique<Greeting>(worker_);
  Greeting& greeting = *owned;
  worker_.Hold(std::move(owned));
  greeting.Open(std::move(transport), peer, listener);
}

}  // namespace remuda::proxy
