#include "controller/identity/join_server.h"

#include <sys/socket.h>
#include <unistd.h>

#include <boost/asio.hpp>
#include <boost/asio/ssl.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <exception>
#include <list>
#include <map>
#include <mutex>
#include <optional>
#include <thread>
#include <unordered_map>
#include <utility>

#include "common/identity/key.h"
#include "common/identity/verify_chain.h"
#include "controller/identity/join_limits.h"
#include "controller/identity/network_of.h"

namespace remuda {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
using asio::ip::tcp;
using boost::system::error_code;

using Executor = asio::io_context::executor_type;
using TcpSocket = asio::basic_stream_socket<tcp, Executor>;
using Socket = asio::basic_stream_socket<asio::generic::stream_protocol, Executor>;
using Listener = asio::basic_socket_acceptor<tcp, Executor>;
using Timer = asio::basic_waitable_timer<std::chrono::steady_clock,
                                         asio::wait_traits<std::chrono::steady_clock>, Executor>;
using Stream = asio::ssl::stream<Socket>;
using ContextPtr = std::shared_ptr<SSL_CTX>;

const auto& kHttpErrorKind = http::make_error_code(http::error::bad_method).category();

absl::Status CannotShow(const std::string& what) {
  return absl::InvalidArgumentError(what + ": " + tls::TakeErrors());
}

absl::StatusOr<ContextPtr> MakeJoinContext(const std::string& certificate_pem,
                                           const std::string& key_pem) {
  const ContextPtr context(SSL_CTX_new(TLS_server_method()), &SSL_CTX_free);
  if (context == nullptr || SSL_CTX_set_min_proto_version(context.get(), TLS1_3_VERSION) != 1)
    return CannotShow("TLS cannot be set up");
  SSL_CTX_set_num_tickets(context.get(), 0);
  SSL_CTX_set_session_cache_mode(context.get(), SSL_SESS_CACHE_OFF);
  SSL_CTX_set_options(context.get(), SSL_OP_NO_TICKET | SSL_OP_NO_RENEGOTIATION);
  SSL_CTX_set_mode(context.get(), SSL_MODE_RELEASE_BUFFERS);
  auto key = identity::ReadKey(key_pem);
  if (!key.ok()) return key.status();
  tls::ChainPtr chain;
  std::string error;
  if (!tls::ReadCertificates(certificate_pem, 2 * identity::kMaxChainLength, chain, error))
    return absl::InvalidArgumentError("the certificate: " + error);
  const tls::X509Ptr leaf(sk_X509_shift(chain.get()));
  if (SSL_CTX_use_cert_and_key(context.get(), leaf.get(), key->get(), chain.get(), 1) != 1)
    return CannotShow("the certificate and its key cannot be used");
  return context;
}

// Closes what nobody took over.
struct OwnedSocket {
  int fd;
  ~OwnedSocket() {
    if (fd >= 0) close(fd);
  }
};

JoinAnswer MalformedAnswer(error_code error) {
  if (error == http::error::body_limit || error == http::error::buffer_overflow)
    return AnswerOf(absl::OutOfRangeError("the body is over " +
                                          std::to_string(limits::kMaxJoinBodyBytes) + " bytes"));
  if (error == http::error::header_limit)
    return AnswerOf(absl::OutOfRangeError("the head is over " +
                                          std::to_string(limits::kMaxJoinHeadBytes) + " bytes"));
  return AnswerOf(absl::InvalidArgumentError("this is no HTTP/1.1"));
}

}  // namespace

struct JoinServer::Shown {
  std::mutex mutex;
  ContextPtr context;  // guarded by mutex

  ContextPtr Get() {
    const std::lock_guard lock(mutex);
    return context;
  }
};

// All that runs on the server's thread.
struct JoinServer::Running {
  class Connection;

  Running(const Handler& to, Shown& of, std::shared_ptr<JoinCounts> count)
      : handler(to), shown(of), counts(std::move(count)) {
    inbox->running = this;
  }

  void Accept();
  // `address`: where its client is.
  void Begin(Socket socket, const std::string& address);
  void Take(OwnedSocket& socket, const std::string& address);
  void MakeRoom(const std::string& host);
  void Answered(uint64_t number, const MakeAnswer& make);

  // How an answer that another thread gives finds its way, or does not any more.
  struct Inbox {
    std::mutex mutex;
    Running* running = nullptr;  // guarded by mutex; null: it has stopped
  };

  asio::io_context context{1};
  const Handler& handler;
  Shown& shown;
  const std::shared_ptr<JoinCounts> counts;
  const std::shared_ptr<Inbox> inbox = std::make_shared<Inbox>();
  Listener listener{context.get_executor()};
  Timer pause{context.get_executor()};
  std::list<std::weak_ptr<Connection>> connections;  // the oldest first
  std::unordered_map<std::string, size_t> by_host;
  std::map<uint64_t, std::shared_ptr<Connection>> waiting;  // for their answers
  uint64_t next_number = 1;
  bool is_stopped = false;
  std::thread thread;
};

// One handshake, one request, one answer. Lives in the handlers of its own operations.
class JoinServer::Running::Connection : public std::enable_shared_from_this<Connection> {
 public:
  Connection(Running& running, Socket socket, std::string address, const ContextPtr& context)
      : running_(running),
        counts_(running.counts),
        address_(std::move(address)),
        host_(NetworkOf(address_)),
        timer_(socket.get_executor()),
        context_(Take(context)),
        stream_(std::move(socket), context_) {
    ++counts_->connections;
    ++running_.by_host[host_];
    parser_.header_limit(limits::kMaxJoinHeadBytes);
    parser_.body_limit(limits::kMaxJoinBodyBytes);
  }
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;
  ~Connection() {
    --counts_->connections;
    if (!is_answered_) ++counts_->abandoned;
    if (running_.is_stopped) return;
    if (--running_.by_host[host_] == 0) running_.by_host.erase(host_);
    if (place.has_value()) running_.connections.erase(*place);
  }

  const std::string& host() const { return host_; }
  // Its client is waited for, in whatever it has to do next.
  bool is_idle() const { return is_idle_; }

  void Begin() {
    timer_.expires_after(absl::ToChronoMilliseconds(limits::kJoinConnectionTimeout));
    timer_.async_wait([weak = weak_from_this()](error_code aborted) {
      if (aborted) return;
      if (const auto self = weak.lock()) self->Abort();
    });
    stream_.async_handshake(Stream::server, [self = shared_from_this()](error_code error) {
      if (error) {
        tls::TakeErrors();
        return self->Abort();
      }
      self->Read();
    });
  }

  // Closes it: what is under way ends, and with that the connection.
  void Abort() {
    error_code ignored;
    stream_.next_layer().close(ignored);
    timer_.cancel();
    // Last: it may hold the last of this.
    const auto it = running_.waiting.find(number_);
    if (it == running_.waiting.end()) return;
    const auto self = std::move(it->second);
    running_.waiting.erase(it);
  }

  void Write(const JoinAnswer& answer) {
    is_idle_ = false;
    response_.version(11);
    response_.result(static_cast<unsigned>(answer.status));
    response_.set(http::field::content_type, "application/json");
    response_.set(http::field::cache_control, "no-store");
    response_.keep_alive(false);
    response_.body() = answer.body;
    response_.prepare_payload();
    http::async_write(stream_, response_, [self = shared_from_this()](error_code error, size_t) {
      if (error) {
        tls::TakeErrors();
        return self->Abort();
      }
      self->is_answered_ = true;
      ++self->counts_->answered;
      self->End();
    });
  }

  // Where it stands among the others; unset while it does not.
  std::optional<std::list<std::weak_ptr<Connection>>::iterator> place;

 private:
  static asio::ssl::context Take(const ContextPtr& context) {
    SSL_CTX_up_ref(context.get());
    return asio::ssl::context(context.get());
  }

  void Read() {
    http::async_read(stream_, buffer_, parser_,
                     [self = shared_from_this()](error_code error, size_t) {
                       if (!error) return self->Ask();
                       tls::TakeErrors();
                       const bool is_malformed = error.category() == kHttpErrorKind &&
                                                 error != http::error::end_of_stream &&
                                                 error != http::error::partial_message;
                       if (!is_malformed) return self->Abort();
                       self->Write(MalformedAnswer(error));
                     });
  }

  void Ask() {
    is_idle_ = false;
    auto& request = parser_.get();
    JoinCall call{.method = std::string(request.method_string()),
                  .target = std::string(request.target()),
                  .content_type = std::string(request[http::field::content_type]),
                  .body = std::move(request.body()),
                  .address = address_};
    // The answer may come late or never: the timer closes the connection meanwhile.
    const uint64_t number = running_.next_number++;
    number_ = number;
    running_.waiting[number] = shared_from_this();
    running_.handler(call, [inbox = running_.inbox, number](MakeAnswer make) {
      const std::lock_guard lock(inbox->mutex);
      if (inbox->running == nullptr) return;
      asio::post(inbox->running->context,
                 [running = inbox->running, number, make = std::move(make)] {
                   running->Answered(number, make);
                 });
    });
  }

  // Says that this was all, then waits for the client to close: unread bytes would reset the
  // connection before it saw its answer.
  void End() {
    is_idle_ = true;
    stream_.async_shutdown([self = shared_from_this()](error_code) {
      tls::TakeErrors();
      self->Abort();
    });
  }

  Running& running_;
  const std::shared_ptr<JoinCounts> counts_;
  const std::string address_;
  const std::string host_;  // of which so many are served at once
  bool is_idle_ = true;
  bool is_answered_ = false;
  uint64_t number_ = 0;  // among those that wait for their answers
  Timer timer_;
  asio::ssl::context context_;
  Stream stream_;
  beast::flat_buffer buffer_{limits::kMaxJoinHeadBytes + limits::kMaxJoinBodyBytes};
  http::request_parser<http::string_body> parser_;
  http::response<http::string_body> response_;
};

void JoinServer::Running::Answered(uint64_t number, const MakeAnswer& make) {
  const auto it = waiting.find(number);
  if (it == waiting.end()) return;
  const std::shared_ptr<Connection> connection = std::move(it->second);
  waiting.erase(it);
  try {
    connection->Write(make());
  } catch (const std::exception& error) {
    connection->Write(AnswerOf(absl::InternalError(error.what())));
  }
}

void JoinServer::Running::MakeRoom(const std::string& host) {
  const auto close_oldest = [this](const std::string* of) {
    std::shared_ptr<Connection> oldest, oldest_idle;
    for (const auto& entry : connections) {
      auto connection = entry.lock();
      if (connection == nullptr || (of != nullptr && connection->host() != *of)) continue;
      if (oldest == nullptr) oldest = connection;
      if (!connection->is_idle()) continue;
      oldest_idle = std::move(connection);
      break;
    }
    const auto& chosen = oldest_idle != nullptr ? oldest_idle : oldest;
    if (chosen == nullptr) return;
    ++counts->crowded_out;
    chosen->Abort();
  };
  const auto it = by_host.find(host);
  if (it != by_host.end() && it->second >= limits::kMaxJoinConnectionsPerAddress) {
    close_oldest(&host);
  } else if (connections.size() >= limits::kMaxJoinConnections) {
    close_oldest(nullptr);
  }
}

void JoinServer::Running::Begin(Socket socket, const std::string& address) {
  ++counts->accepted;
  try {
    MakeRoom(NetworkOf(address));
    const auto connection =
        std::make_shared<Connection>(*this, std::move(socket), address, shown.Get());
    connection->place = connections.insert(connections.end(), connection);
    connection->Begin();
  } catch (const std::exception&) {
    tls::TakeErrors();  // out of memory, or descriptors: this one goes
  }
}

void JoinServer::Running::Take(OwnedSocket& owned, const std::string& address) {
  sockaddr_storage name{};
  socklen_t size = sizeof name;
  getsockname(owned.fd, reinterpret_cast<sockaddr*>(&name), &size);
  Socket socket(context.get_executor());
  error_code error;
  socket.assign(asio::generic::stream_protocol(name.ss_family, 0), owned.fd, error);
  if (error) return;
  owned.fd = -1;
  Begin(std::move(socket), address);
}

void JoinServer::Running::Accept() {
  listener.async_accept([this](error_code error, TcpSocket socket) {
    if (error == asio::error::operation_aborted) return;
    if (error) {
      pause.expires_after(absl::ToChronoMilliseconds(limits::kJoinAcceptPause));
      pause.async_wait([this](error_code aborted) {
        if (!aborted) Accept();
      });
      return;
    }
    const std::string address = AddressOfPeer(socket.native_handle());
    Begin(std::move(socket), address);
    Accept();
  });
}

JoinServer::JoinServer(Handler handler)
    : handler_(std::move(handler)), shown_(std::make_unique<Shown>()) {}

JoinServer::~JoinServer() { Stop(); }

absl::Status JoinServer::SetIdentity(const std::string& certificate_pem, const std::string& key_pem,
                                     const std::string& authorities_pem) {
  auto made = MakeJoinContext(certificate_pem + authorities_pem, key_pem);
  if (!made.ok()) return made.status();
  const std::lock_guard lock(shown_->mutex);
  shown_->context = *std::move(made);
  return absl::OkStatus();
}

absl::Status JoinServer::Start(const Endpoint& endpoint) {
  auto running = std::make_unique<Running>(handler_, *shown_, counts_);
  error_code error;
  const auto fail = [&](const char* what) {
    return absl::UnavailableError("the join endpoint " + endpoint.address + ":" +
                                  std::to_string(endpoint.port) + ": " + what + ": " +
                                  error.message());
  };
  const tcp::endpoint wanted(asio::ip::make_address(endpoint.address, error), endpoint.port);
  if (error) return fail("address");
  Listener& listener = running->listener;
  if (listener.open(wanted.protocol(), error); error) return fail("socket");
  listener.set_option(tcp::acceptor::reuse_address(true), error);
  if (listener.bind(wanted, error); error) return fail("bind");
  if (listener.listen(limits::kJoinBacklog, error); error) return fail("listen");
  const tcp::endpoint bound = listener.local_endpoint(error);
  if (error) return fail("getsockname");
  address_ = (bound.address().is_v6() ? "[" + endpoint.address + "]" : endpoint.address) + ":" +
             std::to_string(bound.port());
  running->Accept();
  running->thread = std::thread([context = &running->context] { context->run(); });
  const std::lock_guard lock(mutex_);
  running_ = std::move(running);
  return absl::OkStatus();
}

void JoinServer::Take(int fd, const std::string& address) {
  auto owned = std::make_shared<OwnedSocket>(fd);
  const std::lock_guard lock(mutex_);
  if (running_ == nullptr) return;
  asio::post(running_->context, [running = running_.get(), owned = std::move(owned), address] {
    running->Take(*owned, address);
  });
}

void JoinServer::Stop() {
  std::unique_ptr<Running> running;
  {
    const std::lock_guard lock(mutex_);
    running = std::move(running_);
  }
  if (running == nullptr) return;
  {
    const std::lock_guard lock(running->inbox->mutex);
    running->inbox->running = nullptr;
  }
  running->context.stop();
  running->thread.join();
  running->is_stopped = true;
  running->waiting.clear();
}

}  // namespace remuda
