#include "agent/static_site.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <boost/asio.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <optional>
#include <set>
#include <string_view>
#include <utility>

#include "agent/instance_dir.h"
#include "agent/process.h"
#include "agent/site_path.h"
#include "common/sha256.h"

namespace remuda::agent {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
using asio::ip::tcp;
using boost::system::error_code;
using Task = asio::awaitable<void>;
constexpr auto kWithError = asio::as_tuple(asio::use_awaitable);

constexpr size_t kReadBytes = 4096;
constexpr size_t kSendBytes = size_t{64} * 1024;
constexpr size_t kTagDigits = 32;
constexpr int kBacklog = 512;
constexpr std::chrono::milliseconds kAcceptPause{100};  // when there are no descriptors

std::string VariableIn(const Record& run, const std::string& name) {
  for (const std::string& variable : run.All(key::kEnv)) {
    if (variable.compare(0, name.size() + 1, name + "=") == 0)
      return variable.substr(name.size() + 1);
  }
  return {};
}

std::string DateNow() {
  const time_t now = time(nullptr);
  tm parts{};
  gmtime_r(&now, &parts);
  char text[64];
  const size_t size = strftime(text, sizeof text, "%a, %d %b %Y %H:%M:%S GMT", &parts);
  return {text, size};
}

struct OpenFile {
  Fd fd;
  uint64_t size = 0;
  bool is_directory = false;
};

// The files below one directory; what leads outside is not there.
class SiteFiles {
 public:
  explicit SiteFiles(const std::string& root)
      : root_(open(root.empty() ? "." : root.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC)) {}

  bool is_there() const { return root_.valid(); }
  // nullopt with errno.
  std::optional<OpenFile> Open(const std::string& path) const {
    open_how how{};
    how.flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK;  // a FIFO must not hold the server up
    how.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS;
    OpenFile file;
    file.fd = Fd(static_cast<int>(
        syscall(SYS_openat2, root_.get(), path.empty() ? "." : path.c_str(), &how, sizeof how)));
    struct stat st {};
    if (!file.fd.valid() || fstat(file.fd.get(), &st) != 0) return std::nullopt;
    file.is_directory = S_ISDIR(st.st_mode);
    if (!file.is_directory && !S_ISREG(st.st_mode)) {
      errno = ENOENT;
      return std::nullopt;
    }
    file.size = static_cast<uint64_t>(st.st_size);
    return file;
  }

 private:
  const Fd root_;
};

struct Answer {
  int status = 200;
  std::string headers = {};  // beyond those that each answer has
  std::string text = {};     // the body, if there is no file
  std::optional<OpenFile> file = {};
  ByteRange part = {};  // of the file
};

Answer Plain(int status, std::string text, std::string headers = "") {
  return {.status = status,
          .headers = "Content-Type: text/plain; charset=utf-8\r\n" + std::move(headers),
          .text = std::move(text)};
}

using Request = http::request<http::empty_body>;

std::string_view HeaderOf(const Request& request, http::field field) {
  const auto value = request[field];
  return {value.data(), value.size()};
}

// What is answered to a request.
class Site {
 public:
  explicit Site(const Record& run)
      : files_(run.Text(key::kSiteRoot)),
        index_(run.Text(key::kSiteIndex)),
        not_found_(run.Text(key::kSiteNotFound)),
        cache_control_(run.Text(key::kSiteCacheControl)),
        version_(run.Text(key::kSiteVersion)) {}

  bool is_there() const { return files_.is_there(); }

  Answer AnswerTo(const Request& request) const {
    if (request.method() != http::verb::get && request.method() != http::verb::head)
      return Plain(405, "only GET and HEAD\n", "Allow: GET, HEAD\r\n");
    const std::string_view target(request.target().data(), request.target().size());
    const SitePath wanted = SitePathOf(target);
    if (wanted.status == 404) return NotFound();
    if (wanted.status != 0) return Plain(wanted.status, "no such path can be\n");
    std::string path = wanted.path;
    auto file = files_.Open(path);
    if (file && file->is_directory) {
      if (!wanted.is_directory) return ToDirectory(target);
      path += (path.empty() ? "" : "/") + index_;
      file = files_.Open(path);
    } else if (file && wanted.is_directory) {
      return NotFound();
    }
    if (!file || file->is_directory) return NotFound();
    return OfFile(request, path, *std::move(file));
  }

 private:
  // With a slash, so that the page's links lead below it.
  static Answer ToDirectory(std::string_view target) {
    const size_t end = std::min(target.find_first_of("?#"), target.size());
    std::string path(target.substr(0, end));
    // `//host` would be another host.
    path.erase(0, std::min(path.find_first_not_of('/'), path.size()));
    return Plain(301, "", "Location: /" + path + "/" + std::string(target.substr(end)) + "\r\n");
  }

  Answer NotFound() const {
    auto file = not_found_.empty() ? std::nullopt : files_.Open(not_found_);
    if (!file || file->is_directory) return Plain(404, "not found\n");
    Answer answer{.status = 404, .headers = ContentHeader(not_found_)};
    answer.part = {0, file->size};
    answer.file = std::move(file);
    return answer;
  }

  Answer OfFile(const Request& request, const std::string& path, OpenFile file) const {
    // The image never changes, so its digest and the path say which bytes these are, on every host.
    const std::string tag = "\"" + Sha256Hex(version_ + "\n" + path).substr(0, kTagDigits) + "\"";
    const std::string cached = "ETag: " + tag + "\r\nCache-Control: " + cache_control_ + "\r\n";
    if (const auto tags = HeaderOf(request, http::field::if_none_match);
        !tags.empty() && HasTag(tags, tag)) {
      return {.status = 304, .headers = cached};
    }
    Answer answer{.headers = ContentHeader(path) + cached + "Accept-Ranges: bytes\r\n"};
    answer.part = {0, file.size};
    const auto range = HeaderOf(request, http::field::range);
    const auto if_range = HeaderOf(request, http::field::if_range);
    if (!range.empty() && request.method() == http::verb::get &&
        (if_range.empty() || if_range == tag)) {
      const RangeWanted wanted = RangeOf(range, file.size);
      const std::string of_size = "/" + std::to_string(file.size) + "\r\n";
      if (wanted.is_unsatisfiable)
        return Plain(416, "no such range\n", "Content-Range: bytes *" + of_size);
      if (wanted.range) {
        answer.status = 206;
        answer.part = *wanted.range;
        answer.headers += "Content-Range: bytes " + std::to_string(answer.part.first) + "-" +
                          std::to_string(answer.part.first + answer.part.bytes - 1) + of_size;
      }
    }
    answer.file = std::move(file);
    return answer;
  }

  static std::string ContentHeader(const std::string& path) {
    return "Content-Type: " + std::string(ContentTypeOf(path)) + "\r\n";
  }

  const SiteFiles files_;
  const std::string index_, not_found_, cache_control_, version_;
};

std::string HeadOf(const Answer& answer, unsigned version, bool keeps) {
  const auto reason =
      http::obsolete_reason(http::int_to_status(static_cast<unsigned>(answer.status)));
  std::string head = "HTTP/1.1 " + std::to_string(answer.status) + " " +
                     std::string(reason.data(), reason.size()) + "\r\nDate: " + DateNow() +
                     "\r\nX-Content-Type-Options: nosniff\r\n" + answer.headers;
  if (answer.status != 304) {
    const uint64_t bytes = answer.file ? answer.part.bytes : answer.text.size();
    head += "Content-Length: " + std::to_string(bytes) + "\r\n";
  }
  if (!keeps) head += "Connection: close\r\n";
  if (keeps && version < 11) head += "Connection: keep-alive\r\n";
  return head + "\r\n";
}

class Server {
 public:
  explicit Server(const Record& run)
      : site_(run), acceptor_(context_), signals_(context_), room_(context_) {}

  int Listen(const std::string& host, const std::string& port) {
    if (!site_.is_there()) return ENOENT;
    error_code error;
    const auto address = asio::ip::make_address(host, error);
    if (error) return EADDRNOTAVAIL;
    const tcp::endpoint at(address, static_cast<uint16_t>(std::strtoul(port.c_str(), nullptr, 10)));
    acceptor_.open(at.protocol(), error);
    if (!error) acceptor_.set_option(tcp::acceptor::reuse_address(true), error);
    if (!error) acceptor_.bind(at, error);
    if (!error) acceptor_.listen(kBacklog, error);
    return error.value();
  }

  void Run() {
    for (const int signal : {SIGTERM, SIGINT, SIGQUIT, SIGHUP, SIGUSR1, SIGUSR2}) {
      error_code ignored;
      signals_.add(signal, ignored);
    }
    signals_.async_wait([this](error_code error, int) {
      if (!error) Stop();
    });
    asio::co_spawn(context_, Accept(), asio::detached);
    context_.run();
  }

 private:
  struct Connection {
    explicit Connection(tcp::socket socket) : stream(std::move(socket)) {}
    beast::tcp_stream stream;
    bool is_idle = true;
  };

  void Stop() {
    stopping_ = true;
    error_code ignored;
    acceptor_.close(ignored);
    room_.cancel();
    for (Connection* connection : connections_) {
      if (connection->is_idle) connection->stream.cancel();
    }
  }

  Task Accept() {
    while (!stopping_) {
      if (connections_.size() >= SiteLimits::kConnections) {
        room_.expires_at(std::chrono::steady_clock::time_point::max());
        co_await room_.async_wait(kWithError);
        continue;
      }
      auto [error, socket] = co_await acceptor_.async_accept(kWithError);
      if (stopping_) co_return;
      if (error) {
        room_.expires_after(kAcceptPause);
        co_await room_.async_wait(kWithError);
        continue;
      }
      asio::co_spawn(context_, Serve(std::move(socket)), asio::detached);
    }
  }

  Task Serve(tcp::socket socket) {
    Connection connection(std::move(socket));
    connections_.insert(&connection);
    beast::flat_buffer buffer(SiteLimits::kHeaderBytes + kReadBytes);
    while (co_await ServeOne(connection, buffer)) {
    }
    error_code ignored;
    connection.stream.socket().shutdown(tcp::socket::shutdown_send, ignored);
    connections_.erase(&connection);
    room_.cancel();
  }

  // One request. False: the connection is to be closed.
  asio::awaitable<bool> ServeOne(Connection& connection, beast::flat_buffer& buffer) {
    auto& stream = connection.stream;
    connection.is_idle = buffer.size() == 0;
    if (connection.is_idle) {
      if (stopping_) co_return false;
      stream.expires_after(std::chrono::seconds(SiteLimits::kIdleSeconds));
      auto [error, bytes] = co_await stream.async_read_some(buffer.prepare(kReadBytes), kWithError);
      if (error || bytes == 0) co_return false;
      buffer.commit(bytes);
      connection.is_idle = false;
    }
    http::request_parser<http::empty_body> parser;
    parser.header_limit(SiteLimits::kHeaderBytes);
    stream.expires_after(std::chrono::seconds(SiteLimits::kHeaderSeconds));
    auto [error, bytes] = co_await http::async_read(stream, buffer, parser, kWithError);
    if (error) {
      const auto& http_errors = http::make_error_code(http::error::bad_method).category();
      if (error == http::error::end_of_stream || error.category() != http_errors) co_return false;
      const bool is_large = error == http::error::header_limit;
      const Answer refusal = Plain(is_large ? 431 : 400, "the request is not understood\n");
      co_await Send(stream, refusal, 11, /*keeps=*/false, /*is_head=*/false);
      co_return false;
    }
    const Request& request = parser.get();
    const bool keeps = parser.keep_alive() && !stopping_;
    const Answer answer = site_.AnswerTo(request);
    co_return co_await Send(stream, answer, request.version(), keeps,
                            request.method() == http::verb::head) &&
        keeps;
  }

  // False: it could not be sent whole.
  asio::awaitable<bool> Send(beast::tcp_stream& stream, const Answer& answer, unsigned version,
                             bool keeps, bool is_head) {
    const auto patience = std::chrono::seconds(SiteLimits::kStallSeconds);
    std::string head = HeadOf(answer, version, keeps);
    if (!is_head && !answer.file) head += answer.text;
    stream.expires_after(patience);
    if (auto [error, bytes] = co_await asio::async_write(stream, asio::buffer(head), kWithError);
        error) {
      co_return false;
    }
    if (is_head || !answer.file) co_return true;
    std::string block(std::min<uint64_t>(kSendBytes, answer.part.bytes), '\0');
    for (uint64_t sent = 0; sent < answer.part.bytes;) {
      const size_t most = std::min<uint64_t>(block.size(), answer.part.bytes - sent);
      const ssize_t n = pread(answer.file->fd.get(), block.data(), most,
                              static_cast<off_t>(answer.part.first + sent));
      if (n <= 0) co_return false;  // cut short meanwhile: the length that was said is not kept
      stream.expires_after(patience);
      auto [error, bytes] = co_await asio::async_write(
          stream, asio::buffer(block.data(), static_cast<size_t>(n)), kWithError);
      if (error) co_return false;
      sent += static_cast<uint64_t>(n);
    }
    co_return true;
  }

  const Site site_;
  asio::io_context context_{1};
  tcp::acceptor acceptor_;
  asio::signal_set signals_;
  asio::steady_timer room_;  // cancelled when a connection has ended
  std::set<Connection*> connections_;
  bool stopping_ = false;
};

}  // namespace

int ServeSite(const Record& run, const std::function<void(int error)>& begun) {
  prctl(PR_SET_NAME, "remuda-site");
  signal(SIGPIPE, SIG_IGN);
  Server server(run);
  const int error = server.Listen(VariableIn(run, "HOST"), VariableIn(run, "PORT"));
  begun(error);
  if (error != 0) return 1;
  server.Run();
  return 0;
}

}  // namespace remuda::agent
