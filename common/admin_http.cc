#include "common/admin_http.h"

#include <absl/strings/str_cat.h>

#include <algorithm>
#include <boost/asio.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <chrono>
#include <exception>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>

namespace remuda {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
using asio::ip::tcp;
using boost::system::error_code;

// One executor type throughout: no type erasure.
using Socket = asio::basic_stream_socket<tcp, asio::io_context::executor_type>;
using Acceptor = asio::basic_socket_acceptor<tcp, asio::io_context::executor_type>;
using Timer = asio::basic_waitable_timer<std::chrono::steady_clock,
                                         asio::wait_traits<std::chrono::steady_clock>,
                                         asio::io_context::executor_type>;

// Out of descriptors the listener stays readable: a pause rather than a spin.
constexpr std::chrono::milliseconds kAcceptPause{100};
// Connections that wait to be accepted: as many may come at once without waiting a second for TCP
// to try again.
constexpr int kBacklog = 512;

const auto& kHttpErrors = http::make_error_code(http::error::bad_method).category();

AdminResponse Failed(error_code error) {
  if (error == http::error::header_limit || error == http::error::buffer_overflow) {
    return {.status = 431, .body = "the request is over 8 KiB\n"};
  }
  if (error == http::error::body_limit) return {.status = 413, .body = "the body is over 4 KiB\n"};
  return {.status = 400, .body = "the request line must be: METHOD /path HTTP/1.1\n"};
}

using EmptyParser = http::request_parser<http::empty_body>;
using BodyParser = http::request_parser<http::string_body>;

// The path of a target, without its query.
std::string PathOf(const std::string& target) { return target.substr(0, target.find('?')); }

}  // namespace

// Everything that runs on the server's thread.
class AdminHttp::Server : public std::enable_shared_from_this<AdminHttp::Server> {
 public:
  Server(const std::map<std::string, Handler>& handlers,
         const std::map<std::string, CallHandler>& calls, size_t max_connections, Acceptor acceptor)
      : handlers_(handlers),
        calls_(calls),
        max_connections_(max_connections),
        acceptor_(std::move(acceptor)),
        pause_(acceptor_.get_executor()) {
    inbox_->server = this;
  }

  void Accept();

  // No operation is begun any more: the context is about to go. Its thread has ended.
  void Stop();

  void StopListening() {
    error_code ignored;
    pause_.cancel();
    acceptor_.close(ignored);
  }

  AdminResponse AnswerPage(const http::request<http::empty_body>& request) const;

 private:
  class Connection;
  // How an answer that another thread gives finds its connection.
  struct Inbox {
    std::mutex mutex;
    Server* server = nullptr;  // guarded by mutex; null: it has stopped
  };

  void MakeRoom();
  // Null: it is no path of a call.
  const CallHandler* FindCall(const std::string& path) const;
  void Call(const CallHandler& handler, std::shared_ptr<Connection> connection,
            AdminRequest request);
  void Answered(uint64_t id, AdminResponse response);

  const std::map<std::string, Handler>& handlers_;
  const std::map<std::string, CallHandler>& calls_;
  const size_t max_connections_;
  Acceptor acceptor_;
  Timer pause_;
  std::map<uint64_t, Connection*> connections_;              // the oldest first
  std::map<uint64_t, std::shared_ptr<Connection>> waiting_;  // for their calls' answers
  uint64_t next_id_ = 0;
  bool stopped_ = false;
  std::shared_ptr<Inbox> inbox_ = std::make_shared<Inbox>();
};

// One request and its answer. Lives in the handlers of its own operations.
class AdminHttp::Server::Connection
    : public std::enable_shared_from_this<AdminHttp::Server::Connection> {
 public:
  Connection(std::shared_ptr<Server> server, Socket socket)
      : server_(std::move(server)), id_(server_->next_id_++), stream_(std::move(socket)) {
    server_->connections_[id_] = this;
    parser_.header_limit(kMaxRequestBytes);
    // For all of it: the client's request, our answer, its close.
    stream_.expires_after(std::chrono::milliseconds(kConnectionTimeoutMs));
  }
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;
  ~Connection() { server_->connections_.erase(id_); }

  uint64_t id() const { return id_; }
  // Its client has asked for nothing yet, or has its answer.
  bool is_idle() const { return is_idle_; }
  // Closes it: what is under way ends, and with that the connection.
  void Abort() {
    server_->connections_.erase(id_);
    stream_.close();
    server_->waiting_.erase(id_);  // this may be gone
  }

  void Read() {
    http::async_read_header(stream_, buffer_, parser_,
                            [self = shared_from_this()](error_code error, size_t) {
                              const bool malformed = error.category() == kHttpErrors;
                              // Otherwise the connection broke, ended or was too slow: nobody to
                              // answer.
                              if (error && (!malformed || error == http::error::end_of_stream))
                                return;
                              error ? self->Write(Failed(error)) : self->OnHeader();
                            });
  }

  void Answer(AdminResponse answer) {
    // The wait for it was not the client's.
    stream_.expires_after(std::chrono::milliseconds(kConnectionTimeoutMs));
    Write(std::move(answer));
  }

 private:
  void OnHeader() {
    const auto& request = parser_.get();
    const CallHandler* call = server_->FindCall(PathOf(std::string(request.target())));
    if (call == nullptr) return Write(server_->AnswerPage(request));
    if (parser_.content_length().value_or(0) > kMaxBodyBytes)
      return Write(Failed(http::error::body_limit));
    is_head_ = request.method() == http::verb::head;
    body_parser_.emplace(std::move(parser_));
    body_parser_->body_limit(kMaxBodyBytes);
    http::async_read(stream_, buffer_, *body_parser_,
                     [self = shared_from_this(), call](error_code error, size_t) {
                       const bool malformed = error.category() == kHttpErrors;
                       if (error && (!malformed || error == http::error::end_of_stream ||
                                     error == http::error::partial_message))
                         return;
                       error ? self->Write(Failed(error)) : self->OnBody(*call);
                     });
  }

  void OnBody(const CallHandler& call) {
    auto& request = body_parser_->get();
    const std::string target(request.target());
    AdminRequest asked;
    asked.path = PathOf(target);
    asked.method = std::string(request.method_string());
    asked.authorization = std::string(request[http::field::authorization]);
    asked.body = std::move(request.body());
    error_code unknown_client, unknown_server;
    const auto client = stream_.socket().remote_endpoint(unknown_client).address();
    const auto server = stream_.socket().local_endpoint(unknown_server).address();
    asked.is_local =
        !unknown_client && !unknown_server && (client.is_loopback() || client == server);
    is_idle_ = false;
    server_->Call(call, shared_from_this(), std::move(asked));
  }

  void Write(AdminResponse answer) {
    is_idle_ = false;
    response_.version(11);
    response_.result(static_cast<unsigned>(answer.status));
    response_.set(http::field::content_type, answer.content_type);
    for (const auto& [name, value] : answer.headers) response_.set(name, value);
    if (answer.status != 204) response_.content_length(answer.body.size());
    response_.keep_alive(false);
    const bool is_head = body_parser_ ? is_head_ : parser_.get().method() == http::verb::head;
    if (!is_head) response_.body() = std::move(answer.body);
    http::async_write(stream_, response_, [self = shared_from_this()](error_code error, size_t) {
      error_code ignored;
      if (!error) self->stream_.socket().shutdown(Socket::shutdown_send, ignored);
      if (!error) self->Drain();
    });
  }

  // Closing with unread bytes would reset the connection before the client saw its answer.
  void Drain() {
    is_idle_ = true;
    buffer_.clear();
    stream_.async_read_some(buffer_.prepare(kMaxRequestBytes),
                            [self = shared_from_this()](error_code error, size_t) {
                              if (!error) self->Drain();
                            });
  }

  const std::shared_ptr<Server> server_;
  const uint64_t id_;
  bool is_idle_ = true;
  bool is_head_ = false;  // of a call
  beast::basic_stream<tcp, asio::io_context::executor_type> stream_;
  beast::flat_buffer buffer_{2 * kMaxRequestBytes};
  EmptyParser parser_;
  std::optional<BodyParser> body_parser_;  // of a call
  http::response<http::string_body> response_;
};

// The oldest that is idle goes; if all have answers under way, the oldest.
void AdminHttp::Server::MakeRoom() {
  const auto is_idle = [](const auto& entry) { return entry.second->is_idle(); };
  auto it = std::find_if(connections_.begin(), connections_.end(), is_idle);
  if (it == connections_.end()) it = connections_.begin();
  it->second->Abort();
}

void AdminHttp::Server::Accept() {
  acceptor_.async_accept([this](error_code error, Socket socket) {
    if (stopped_ || error == asio::error::operation_aborted || !acceptor_.is_open()) return;
    if (error) {
      pause_.expires_after(kAcceptPause);
      pause_.async_wait([this](error_code aborted) {
        if (!aborted) Accept();
      });
      return;
    }
    if (connections_.size() >= max_connections_) MakeRoom();
    std::make_shared<Connection>(shared_from_this(), std::move(socket))->Read();
    Accept();
  });
}

void AdminHttp::Server::Stop() {
  stopped_ = true;
  {
    const std::lock_guard lock(inbox_->mutex);
    inbox_->server = nullptr;
  }
  waiting_.clear();
}

const AdminHttp::CallHandler* AdminHttp::Server::FindCall(const std::string& path) const {
  const auto it = calls_.find(path);
  return it == calls_.end() ? nullptr : &it->second;
}

void AdminHttp::Server::Call(const CallHandler& handler, std::shared_ptr<Connection> connection,
                             AdminRequest request) {
  const uint64_t id = connection->id();
  waiting_[id] = std::move(connection);
  const AdminHttp::Answer answer = [inbox = inbox_, id](AdminResponse response) {
    const std::lock_guard lock(inbox->mutex);
    if (inbox->server == nullptr) return;
    asio::post(inbox->server->acceptor_.get_executor(),
               [server = inbox->server, id, response = std::move(response)] {
                 server->Answered(id, response);
               });
  };
  try {
    handler(std::move(request), answer);
  } catch (const std::exception& e) {
    answer({.status = 500, .body = absl::StrCat(e.what(), "\n")});
  }
}

void AdminHttp::Server::Answered(uint64_t id, AdminResponse response) {
  const auto it = waiting_.find(id);
  if (it == waiting_.end()) return;
  const std::shared_ptr<Connection> connection = std::move(it->second);
  waiting_.erase(it);
  connection->Answer(std::move(response));
}

AdminResponse AdminHttp::Server::AnswerPage(const http::request<http::empty_body>& request) const {
  const std::string target(request.target());
  if (target.empty() || target.front() != '/') return Failed({});
  if (request.method() != http::verb::get && request.method() != http::verb::head) {
    return {.status = 405, .body = "only GET and HEAD are served here\n"};
  }
  AdminRequest asked;
  asked.path = PathOf(target);
  if (asked.path.size() < target.size()) asked.query = target.substr(asked.path.size() + 1);
  const auto it = handlers_.find(asked.path);
  if (it == handlers_.end()) {
    AdminResponse response{.status = 404, .body = "not found; there are:\n"};
    for (const auto& [path, handler] : handlers_) absl::StrAppend(&response.body, path, "\n");
    for (const auto& [path, handler] : calls_) absl::StrAppend(&response.body, path, "\n");
    return response;
  }
  try {
    return it->second(asked);
  } catch (const std::exception& e) {
    return {.status = 500, .body = absl::StrCat(e.what(), "\n")};
  }
}

// Goes in the reverse order: the context last, with the connections that hold the server.
struct AdminHttp::Running {
  asio::io_context context{1};
  std::shared_ptr<Server> server;
  std::thread thread;
};

AdminHttp::AdminHttp(Options options) : options_(std::move(options)) {}

AdminHttp::~AdminHttp() { Stop(); }

AdminHttp& AdminHttp::Handle(std::string path, Handler handler) {
  handlers_[std::move(path)] = std::move(handler);
  return *this;
}

AdminHttp& AdminHttp::HandleCall(std::string path, CallHandler handler) {
  calls_[std::move(path)] = std::move(handler);
  return *this;
}

std::string AdminHttp::listen_address() const {
  const bool v6 = options_.address.find(':') != std::string::npos;
  return v6 ? absl::StrCat("[", options_.address, "]:", port_)
            : absl::StrCat(options_.address, ":", port_);
}

absl::Status AdminHttp::Start() {
  error_code error;
  const auto address = asio::ip::make_address(options_.address, error);
  if (error) {
    return absl::InvalidArgumentError(
        absl::StrCat("admin address \"", options_.address, "\": must be a numeric IP address"));
  }
  auto running = std::make_unique<Running>();
  Acceptor acceptor(running->context.get_executor());
  const tcp::endpoint endpoint(address, options_.port);
  const auto fail = [&](const char* what) {
    return absl::UnavailableError(absl::StrCat("admin ", options_.address, ":", options_.port, ": ",
                                               what, ": ", error.message()));
  };
  if (options_.socket >= 0) {
    if (acceptor.assign(endpoint.protocol(), options_.socket, error); error) return fail("assign");
  } else {
    if (acceptor.open(endpoint.protocol(), error); error) return fail("socket");
    acceptor.set_option(tcp::acceptor::reuse_address(true), error);
    if (acceptor.bind(endpoint, error); error) return fail("bind");
    if (acceptor.listen(kBacklog, error); error) return fail("listen");
  }
  const tcp::endpoint bound = acceptor.local_endpoint(error);
  if (error) return fail("getsockname");
  port_ = bound.port();
  socket_ = acceptor.native_handle();
  running->server =
      std::make_shared<Server>(handlers_, calls_, options_.max_connections, std::move(acceptor));
  running->server->Accept();
  running->thread = std::thread([context = &running->context] { context->run(); });
  running_ = std::move(running);
  return absl::OkStatus();
}

void AdminHttp::StopListening() {
  if (running_ == nullptr) return;
  socket_ = -1;
  asio::post(running_->context, [server = running_->server] { server->StopListening(); });
}

void AdminHttp::Stop() {
  if (running_ == nullptr) return;
  socket_ = -1;
  running_->context.stop();
  running_->thread.join();
  running_->server->Stop();
  running_.reset();
}

}  // namespace remuda
