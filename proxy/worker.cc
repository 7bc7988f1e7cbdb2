#include "proxy/worker.h"

#include <spdlog/spdlog.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "proxy/client/greeting.h"
#include "proxy/io/kept_memory.h"

namespace remuda::proxy {
namespace {

constexpr int kAcceptsAnEvent = 64;
constexpr std::chrono::milliseconds kSweepInterval{500};
constexpr std::chrono::milliseconds kAcceptPause{50};

}  // namespace

Worker::Worker(size_t index, const Settings& settings, AccessLog* log, Events events)
    : ClientWorker(index, settings, log, std::move(events)),
      sweep_timer_([this] {
        Sweep();
        sweep_timer_.Arm(loop(), loop().now() + kSweepInterval);
      }),
      accept_timer_([this] {
        for (const auto& weak : std::exchange(paused_, {})) {
          if (const auto listener = weak.lock(); listener && listener->fd >= 0)
            loop().AddListening(listener->fd, listener.get());
        }
      }) {}

Worker::~Worker() {
  Join();
  AbortAll();
  for (auto& [key, listener] : listeners_) CloseListener(*listener);
}

void Worker::Start() {
  thread_ = std::thread([this] {
    sweep_timer_.Arm(loop(), loop().now() + kSweepInterval);
    KeepMemoryOfThisThread();
    loop().Run();
  });
}

void Worker::Join() {
  if (!thread_.joinable()) return;
  loop().Stop();
  thread_.join();
}

void Worker::Adopt(std::shared_ptr<const RoutingTable> table,
                   const std::vector<ListenerChange>& opened,
                   const std::vector<std::string>& closed) {
  const uint64_t begin_ns = ThreadCpuNs();
  AdoptUntimed(std::move(table), opened, closed);
  counters().adopt_time.Observe(ThreadCpuNs() - begin_ns);
}

void Worker::AdoptUntimed(std::shared_ptr<const RoutingTable> table,
                          const std::vector<ListenerChange>& opened,
                          const std::vector<std::string>& closed) {
  // While all is of one table still: what is accepted, and who makes room for it, may begin
  // requests.
  for (const std::string& key : closed) {
    if (const auto it = listeners_.find(key); it != listeners_.end()) AcceptBacklog(*it->second);
  }
  AdoptTable(std::move(table));
  for (const std::string& key : closed) {
    const auto it = listeners_.find(key);
    if (it == listeners_.end()) continue;
    CloseListener(*it->second);
    it->second->spec = nullptr;
    listeners_.erase(it);
  }
  if (!closed.empty()) CloseOrphans();
  Listen(opened);
  TellOfLeaving();
}

// Also ties every listener to its spec in the table.
void Worker::Listen(const std::vector<ListenerChange>& opened) {
  for (const ListenerChange& change : opened) {
    auto listener = std::make_shared<Listener>();
    listener->acceptor = this;
    listener->fd = change.fd;
    listener->port = change.port;
    listeners_[change.key] = listener;
  }
  for (const auto& [id, balancer] : table().load_balancers) {
    for (const ListenerSpec& spec : balancer->listeners) {
      const auto it = listeners_.find(spec.Key());
      if (it == listeners_.end()) continue;  // it could not be opened
      it->second->spec = &spec;
      it->second->balancer = balancer->state;
    }
  }
  for (const ListenerChange& change : opened) {
    const auto& listener = listeners_[change.key];
    if (!loop().AddListening(listener->fd, listener.get()))
      spdlog::error("listen on {}: {}", change.key, std::strerror(errno));
  }
}

// Takes what the kernel has taken already, before the socket is closed: that would reset it.
void Worker::AcceptBacklog(Listener& listener) {
  for (int i = 0; i < kListenBacklog / kAcceptsAnEvent && AcceptFrom(listener); ++i) {
  }
}

void Worker::CloseListener(Listener& listener) {
  if (listener.fd < 0) return;
  loop().Remove(listener.fd, &listener);
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
      counters().accept_errors.Add(1);
      loop().Remove(listener.fd, &listener);
      paused_.push_back(listener.shared_from_this());
      accept_timer_.Arm(loop(), loop().now() + kAcceptPause);
      return false;
    }
    Transport transport(fd);
    const PeerAddress peer = ToPeerAddress(storage);
    if (!Admit(listener, transport, peer)) {
      listener.balancer->slot(index()).rejected_connections.Add(1);
      continue;
    }
    listener.balancer->slot(index()).new_connections.Add(1);
    transport.Count(ActiveConnection(listener.balancer, index()));
    OpenConnection(std::move(transport), peer, listener.shared_from_this());
  }
  return true;
}

// Whose connection it is that comes from a sender of PROXY headers is known later (Greeting).
bool Worker::Admit(Listener& listener, Transport& transport, const PeerAddress& peer) {
  return (Greeting::IsOfProxy(listener, peer) || transport.TakePlace(addresses(), peer.bytes)) &&
         HasRoom();
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

void Worker::Drain() {
  if (is_draining()) return;
  // Before anything that is accepted below is served.
  BeginDrain();
  for (auto& [key, listener] : listeners_) {
    AcceptBacklog(*listener);
    CloseListener(*listener);
  }
  CloseAllWhenIdle();
}

}  // namespace remuda::proxy
