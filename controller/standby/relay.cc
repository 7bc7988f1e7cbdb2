#include "controller/standby/relay.h"

#include <spdlog/spdlog.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/connect.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <set>
#include <thread>
#include <utility>

#include "common/identity/peer.h"
#include "controller/identity/gate.h"
#include "controller/identity/identity_options.h"
#include "controller/identity/network_of.h"
#include "remuda/controller/v1/peer.pb.h"

namespace remuda {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;
using Caught = asio::awaitable<void>;
using PlainSocket = asio::generic::stream_protocol::socket;
using TlsStream = asio::ssl::stream<tcp::socket>;
using ContextPtr = std::shared_ptr<asio::ssl::context>;

using Clock = std::chrono::steady_clock;

constexpr std::chrono::milliseconds kRetryPause{100};
constexpr auto kWithError = asio::as_tuple(asio::use_awaitable);

// The frame that says for whom a connection is.
std::string HeaderFor(const Caller& caller, bool joins) {
  controller::v1::RelayedCaller named;
  named.set_certificate_pem(caller.certificate_pem);
  named.set_address(caller.address);
  named.set_joins(joins);
  const std::string bytes = named.SerializeAsString();
  std::string header;
  for (int shift = 24; shift >= 0; shift -= 8)
    header.push_back(static_cast<char>(bytes.size() >> shift & 0xff));
  return header + bytes;
}

// Trusts a controller of the same cluster, by whatever address it has.
error_code SetUp(asio::ssl::context& context, const ShownIdentity& shown) {
  error_code error;
  context.set_options(asio::ssl::context::default_workarounds | asio::ssl::context::no_sslv2 |
                          asio::ssl::context::no_sslv3,
                      error);
  if (!error) context.use_certificate_chain(asio::buffer(shown.certificate_pem), error);
  if (!error) context.use_private_key(asio::buffer(shown.key_pem), asio::ssl::context::pem, error);
  if (!error) context.add_certificate_authority(asio::buffer(shown.authorities_pem), error);
  if (!error) context.set_verify_mode(asio::ssl::verify_peer, error);
  if (error) return error;
  SSL_CTX* const ssl = context.native_handle();
  SSL_CTX_set_min_proto_version(ssl, TLS1_3_VERSION);
  std::string protocols(1, static_cast<char>(kRelayProtocol.size()));
  protocols += kRelayProtocol;
  SSL_CTX_set_alpn_protos(ssl, reinterpret_cast<const unsigned char*>(protocols.data()),
                          static_cast<unsigned int>(protocols.size()));
  context.set_verify_callback(
      [cluster = shown.peer.id.cluster](bool is_good, asio::ssl::verify_context& verified) {
        X509_STORE_CTX* const store = verified.native_handle();
        if (!is_good || X509_STORE_CTX_get_error_depth(store) != 0) return is_good;
        const auto peer = identity::ReadPeer(X509_STORE_CTX_get_current_cert(store));
        return peer.ok() && peer->id.cluster == cluster &&
               peer->id.role == v1::IDENTITY_ROLE_CONTROLLER;
      },
      error);
  return error;
}

}  // namespace

struct Relay::Running {
  // One connection, as long as its coroutine runs.
  struct Link {
    explicit Link(Running& running) : plain(running.io), limit(running.io) {}
    PlainSocket plain;
    tcp::socket* leader = nullptr;
    tcp::resolver* resolver = nullptr;  // that looks for the leader's name
    asio::steady_timer limit;           // what it waits for now has until then
    Clock::time_point end;              // until then it is held for a leader
    int64_t epoch = 0;                  // of the leader that it goes to; 0: none yet
    bool is_late = false;               // the limit was met
    bool is_passed_on = false;
    void CloseLeader() {
      error_code ignored;
      if (resolver != nullptr) resolver->cancel();
      if (leader != nullptr) leader->close(ignored);
    }
    void Close() {
      error_code ignored;
      plain.close(ignored);
      CloseLeader();
      limit.cancel();
    }
  };
  using LinkPtr = std::shared_ptr<Link>;

  // Until either side has ended; then both have.
  template <class From, class To>
  static Caught Pump(Link& link, From& from, To& to) {
    std::array<char, Relay::kBufferBytes> buffer;
    while (true) {
      const auto [error, size] = co_await from.async_read_some(asio::buffer(buffer), kWithError);
      if (error) break;
      const auto [failed, written] =
          co_await asio::async_write(to, asio::buffer(buffer.data(), size), kWithError);
      if (failed) break;
    }
    link.Close();
  }
  template <class Stream>
  static Caught PumpBoth(Link& link, Stream& leader) {
    using namespace asio::experimental::awaitable_operators;
    co_await (Pump(link, link.plain, leader) && Pump(link, leader, link.plain));
  }

  explicit Running(Options given) : options(std::move(given)) {
    thread = std::thread([this] { io.run(); });
  }

  Caught Serve(int fd, CallerPtr caller) {
    if (options.joins)
      caller = std::make_shared<Caller>(Caller{.peer = {}, .address = AddressOfPeer(fd)});
    const auto link = std::make_shared<Link>(*this);
    error_code error;
    sockaddr_storage name{};
    socklen_t size = sizeof name;
    getsockname(fd, reinterpret_cast<sockaddr*>(&name), &size);
    link->plain.assign(asio::generic::stream_protocol(name.ss_family, 0), fd, error);
    if (error) close(fd);
    if (error || is_stopping) {
      --count;
      co_return;
    }
    links.insert(link);
    const auto now = Clock::now();
    const auto end = link->end =
        std::max(now + absl::ToChronoMilliseconds(kLatePatience),
                 lost_at.value_or(now) + absl::ToChronoMilliseconds(kLeaderPatience));
    while (co_await AwaitLeader(*link, end)) {
      const std::string to = *leader;
      const std::string why = co_await PassOn(link, caller, to);
      if (link->is_passed_on) break;
      if (!lost_at.has_value() && link->plain.is_open()) lost_at = Clock::now();
      spdlog::debug("a connection to the leader at {}: {}", to, why);
      // It may be dead, and another one lead soon.
      link->epoch = 0;
      link->limit.expires_at(std::min(end, Clock::now() + kRetryPause));
      co_await link->limit.async_wait(kWithError);
      if (Clock::now() >= end) break;
    }
    if (!link->is_passed_on && link->plain.is_open() && options.on_no_leader != nullptr) {
      const int released = link->plain.release(error);
      if (!error) options.on_no_leader(released, caller);
    }
    link->Close();
    links.erase(link);
    --count;
  }

  // False: there is none, or the link is closed.
  asio::awaitable<bool> AwaitLeader(Link& link, Clock::time_point end) {
    while (!leader.has_value() && link.plain.is_open()) {
      if (Clock::now() >= end) co_return false;
      link.limit.expires_at(end);
      waiting.insert(&link.limit);
      co_await link.limit.async_wait(kWithError);
      waiting.erase(&link.limit);
    }
    co_return link.plain.is_open();
  }

  // Empty, or why it failed before a byte was passed on.
  asio::awaitable<std::string> PassOn(LinkPtr link, CallerPtr caller, std::string to) {
    link->epoch = epoch;
    link->is_late = false;
    tcp::socket socket(io);
    link->leader = &socket;
    const std::string why = co_await Connect(link, socket, to);
    if (!why.empty()) {
      link->leader = nullptr;
      co_return why;
    }
    if (options.identity == nullptr) {
      link->is_passed_on = true;
      lost_at.reset();
      co_await PumpBoth(*link, socket);
      link->leader = nullptr;
      co_return "";
    }
    error_code error;
    const ContextPtr context = Context(error);
    if (context == nullptr) {
      link->leader = nullptr;
      co_return "TLS: " + error.message();
    }
    TlsStream stream(std::move(socket), *context);
    link->leader = &stream.next_layer();
    Limit(link);
    std::tie(error) = co_await stream.async_handshake(asio::ssl::stream_base::client, kWithError);
    link->limit.cancel();
    std::string said;
    if (error) {
      said = "TLS: " + error.message();
    } else {
      const std::string header = HeaderFor(*caller, options.joins);
      size_t written = 0;
      std::tie(error, written) =
          co_await asio::async_write(stream, asio::buffer(header), kWithError);
      link->is_passed_on = true;
      lost_at.reset();
      if (!error) co_await PumpBoth(*link, stream);
    }
    link->leader = nullptr;
    co_return said;
  }

  asio::awaitable<std::string> Connect(LinkPtr link, tcp::socket& socket, const std::string& to) {
    AdvertisedAddress address;
    if (!ParseAdvertised(to, address)) co_return "is no address";
    Limit(link);
    tcp::resolver resolver(io);
    error_code error;
    // An address needs no lookup, of which there is one at a time.
    auto found =
        resolver.resolve(address.host, address.port,
                         tcp::resolver::numeric_host | tcp::resolver::numeric_service, error);
    if (error) {
      link->resolver = &resolver;
      std::tie(error, found) =
          co_await resolver.async_resolve(address.host, address.port, kWithError);
      link->resolver = nullptr;
    }
    // It does not lead any more.
    if (!error && link->epoch != epoch) error = asio::error::operation_aborted;
    if (!error && link->plain.is_open() && !link->is_late) {
      tcp::endpoint used;
      std::tie(error, used) = co_await asio::async_connect(socket, found, kWithError);
    }
    link->limit.cancel();
    if (link->is_late) error = asio::error::timed_out;
    if (!error && !link->plain.is_open()) error = asio::error::operation_aborted;
    if (!error) socket.set_option(tcp::no_delay(true), error);
    co_return error ? error.message() : "";
  }

  // With what this controller shows now. Null: why.
  ContextPtr Context(error_code& error) {
    const ShownIdentityPtr shown = options.identity();
    if (newest_context == nullptr || context_of != shown) {
      auto made = std::make_shared<asio::ssl::context>(asio::ssl::context::tls_client);
      error = SetUp(*made, *shown);
      if (error) return nullptr;
      newest_context = std::move(made);
      context_of = shown;
    }
    return newest_context;
  }

  // Ends what is under way with the leader if it still is then.
  static void Limit(const LinkPtr& link) {
    link->limit.expires_at(
        std::min(link->end, Clock::now() + absl::ToChronoMilliseconds(kConnectTimeout)));
    link->limit.async_wait([weak = std::weak_ptr(link)](const error_code& error) {
      const LinkPtr late = weak.lock();
      if (error || late == nullptr) return;
      late->is_late = true;
      late->CloseLeader();
    });
  }

  const Options options;
  asio::io_context io{1};
  asio::executor_work_guard<asio::io_context::executor_type> work{io.get_executor()};
  std::atomic<size_t> count = 0;
  std::atomic<bool> is_stopping = false;
  // The thread's.
  std::optional<std::string> leader;
  int64_t epoch = 0;
  // Since when no leader answers; not set: one does, or nobody has asked yet.
  std::optional<Clock::time_point> lost_at = Clock::now();
  std::set<asio::steady_timer*> waiting;  // of those that wait for a leader
  std::set<LinkPtr> links;
  ContextPtr newest_context;
  ShownIdentityPtr context_of;  // what it was made of
  std::thread thread;           // last: it uses the others
};

Relay::Relay(Options options) : running_(std::make_unique<Running>(std::move(options))) {}

Relay::~Relay() { Stop(); }

void Relay::SetLeader(std::optional<std::string> address, int64_t epoch) {
  asio::post(running_->io, [running = running_.get(), address = std::move(address), epoch] {
    if (running->leader.has_value() && !address.has_value()) running->lost_at = Clock::now();
    if (address.has_value() && epoch != running->epoch) running->lost_at.reset();
    running->leader = address;
    running->epoch = address.has_value() ? epoch : 0;
    for (const Running::LinkPtr& link : std::set(running->links)) {
      if (link->epoch == 0 || link->epoch == running->epoch) continue;
      // Of one whose bytes are not on their way another leader may have them.
      link->is_passed_on ? link->Close() : link->CloseLeader();
    }
    if (!address.has_value()) return;
    for (asio::steady_timer* const timer : running->waiting) timer->cancel();
  });
}

void Relay::Add(int fd, CallerPtr caller) {
  if (running_->is_stopping || ++running_->count > running_->options.max_connections) {
    if (!running_->is_stopping) --running_->count;
    close(fd);
    return;
  }
  asio::post(running_->io, [running = running_.get(), fd, caller = std::move(caller)] {
    asio::co_spawn(running->io, running->Serve(fd, caller), asio::detached);
  });
}

void Relay::Stop() {
  if (!running_->thread.joinable()) return;
  running_->is_stopping = true;
  asio::post(running_->io, [running = running_.get()] {
    for (const Running::LinkPtr& link : std::set(running->links)) link->Close();
    running->work.reset();
  });
  running_->thread.join();
}

size_t Relay::connections() const { return running_->count; }

}  // namespace remuda
