#include "controller/kubernetes/api_call.h"

#include <absl/strings/ascii.h>
#include <absl/strings/numbers.h>
#include <absl/strings/str_cat.h>

#include <boost/asio.hpp>
#include <boost/asio/ssl.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <boost/beast/ssl.hpp>
#include <optional>
#include <type_traits>
#include <utility>

#include "common/identity/identity_files.h"
#include "common/traffic/address.h"

namespace remuda::kubernetes {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
namespace ssl = boost::asio::ssl;
using asio::ip::tcp;
using boost::system::error_code;
using PlainStream = beast::basic_stream<tcp, asio::io_context::executor_type>;
using TlsStream = beast::ssl_stream<PlainStream>;

constexpr int kHttp11 = 11;
constexpr size_t kReadBytes = size_t{64} << 10;

// The bearer token; empty, with why not.
std::string ReadToken(const std::string& path, std::string& trouble) {
  auto text = identity::ReadSmallFile(path, limits::kMaxTokenBytes);
  if (!text.ok()) {
    trouble = "the token cannot be read: " + std::string(text.status().message());
    return "";
  }
  std::string token(absl::StripAsciiWhitespace(*text));
  for (const char c : token) {
    if (c <= ' ' || c > '~') trouble = path + ": it is no token: it has other than visible ASCII";
  }
  if (token.empty()) trouble = path + ": the token is empty";
  return token;
}

// The context of one connection; null, with why not.
std::unique_ptr<ssl::context> MakeTls(const std::string& ca_file, std::string& trouble) {
  auto tls = std::make_unique<ssl::context>(ssl::context::tls_client);
  SSL_CTX_set_min_proto_version(tls->native_handle(), TLS1_2_VERSION);
  tls->set_verify_mode(ssl::verify_peer);
  error_code error;
  if (ca_file.empty()) {
    tls->set_default_verify_paths(error);
    if (error) trouble = "the system's authorities cannot be read: " + error.message();
    return tls;
  }
  const auto pem = identity::ReadSmallFile(ca_file, limits::kMaxCaBytes);
  if (!pem.ok()) {
    trouble = "the authorities cannot be read: " + std::string(pem.status().message());
    return nullptr;
  }
  tls->add_certificate_authority(asio::buffer(*pem), error);
  if (error) trouble = ca_file + ": it holds no authorities in PEM";
  return tls;
}

template <class Stream>
class Call final : public ApiCall, public std::enable_shared_from_this<Call<Stream>> {
 public:
  static constexpr bool kIsTls = std::is_same_v<Stream, TlsStream>;

  template <class... Tls>
  Call(asio::io_context& context, const ApiAddress& api, ApiRequest asked, ApiListener& listener,
       std::unique_ptr<ssl::context> tls, Tls&... tls_of_stream)
      : api_(api),
        asked_(std::move(asked)),
        listener_(&listener),
        tls_(std::move(tls)),
        resolver_(context.get_executor()),
        stream_(context.get_executor(), tls_of_stream...) {
    request_.version(kHttp11);
    request_.method(http::verb::get);
    request_.target(api.path + asked_.target);
    request_.set(http::field::host, api.authority());
    request_.set(http::field::user_agent, "remuda-controller");
    request_.set(http::field::accept, "application/json");
    request_.set(http::field::connection, "close");
    parser_.header_limit(limits::kMaxHeadBytes);
    // Never none: room for the whole body is made as soon as its length has been read.
    parser_.body_limit(is_watch() ? limits::kMaxWatchBytes : limits::kMaxPageBytes);
    // One part at a time: an eager parser tells nothing of a chunk before the next one begins.
    parser_.eager(false);
  }

  void Start(const std::string& token, const std::string& trouble) {
    if (!trouble.empty()) {
      return asio::post(stream_.get_executor(),
                        [self = this->shared_from_this(), trouble] { self->Fail(trouble); });
    }
    if (!token.empty()) request_.set(http::field::authorization, "Bearer " + token);
    // Resolving has no time of its own in Asio: the timer ends it.
    timer_.expires_after(absl::ToChronoNanoseconds(asked_.connect_timeout));
    timer_.async_wait([self = this->shared_from_this()](const error_code& error) {
      if (!error) self->Fail("it does not answer within " + Text(self->asked_.connect_timeout));
    });
    resolver_.async_resolve(api_.host, std::to_string(api_.port),
                            [self = this->shared_from_this()](
                                const error_code& error, const tcp::resolver::results_type& found) {
                              if (error)
                                return self->Fail("it cannot be resolved: " + error.message());
                              self->Connect(found);
                            });
  }

  void Drop() override {
    if (std::exchange(listener_, nullptr) != nullptr) Close();
  }

 private:
  static std::string Text(absl::Duration time) { return absl::FormatDuration(time); }
  bool has_ended() const { return listener_ == nullptr; }
  bool is_watch() const { return asked_.silence > absl::ZeroDuration(); }
  PlainStream& lowest() { return beast::get_lowest_layer(stream_); }

  void Connect(const tcp::resolver::results_type& found) {
    if (has_ended()) return;
    lowest().async_connect(
        found, [self = this->shared_from_this()](const error_code& error, const tcp::endpoint&) {
          if (error) return self->Fail("it cannot be connected to: " + error.message());
          self->Shake();
        });
  }

  void Shake() {
    if (has_ended()) return;
    if constexpr (kIsTls) {
      // An address is no server name (RFC 6066 section 3).
      if (traffic::CanonicalAddress(api_.host).empty())
        SSL_set_tlsext_host_name(stream_.native_handle(), api_.host.c_str());
      stream_.set_verify_callback(ssl::host_name_verification(api_.host));
      stream_.async_handshake(ssl::stream_base::client,
                              [self = this->shared_from_this()](const error_code& error) {
                                if (error) return self->Fail("TLS failed: " + error.message());
                                self->Write();
                              });
    } else {
      Write();
    }
  }

  void Write() {
    if (has_ended()) return;
    timer_.cancel();
    lowest().expires_after(absl::ToChronoNanoseconds(asked_.answer_timeout));
    http::async_write(stream_, request_,
                      [self = this->shared_from_this()](const error_code& error, size_t) {
                        if (error) return self->Fail("the connection broke: " + error.message());
                        self->Read();
                      });
  }

  void Read() {
    if (has_ended()) return;
    http::async_read_some(stream_, buffer_, parser_,
                          [self = this->shared_from_this()](const error_code& error, size_t) {
                            self->OnRead(error);
                          });
  }

  void OnRead(const error_code& error) {
    if (has_ended()) return;
    if (parser_.is_header_done() && !was_head_told_ && !TakeHead()) return;
    if (was_head_told_ && !TakeBody()) return;
    if (parser_.is_done()) return Finish();
    if (error) return OnBroken(error);
    // What a refusal says must come within the time of an answer.
    if (was_head_told_ && !is_refused_ && is_watch())
      lowest().expires_after(absl::ToChronoNanoseconds(asked_.silence));
    Read();
  }

  // False: nothing more is to be read.
  bool TakeHead() {
    was_head_told_ = true;
    status_ = static_cast<int>(parser_.get().result_int());
    is_refused_ = status_ != static_cast<int>(http::status::ok);
    if (is_refused_) {
      int seconds = 0;
      const auto after = parser_.get()[http::field::retry_after];
      if (absl::SimpleAtoi(absl::string_view(after.data(), after.size()), &seconds) && seconds > 0)
        retry_after_ = absl::Seconds(seconds);
      return true;
    }
    if (is_watch()) {
      timer_.expires_after(absl::ToChronoNanoseconds(asked_.longest));
      timer_.async_wait([self = this->shared_from_this()](const error_code& error) {
        if (!error) self->Finish();
      });
    }
    listener_->OnHead();
    return !has_ended();
  }

  // False: nothing more is to be read.
  bool TakeBody() {
    std::string& body = parser_.get().body();
    if (is_refused_) {
      if (body.size() >= limits::kMaxRefusalBytes) Finish();
      return !has_ended();
    }
    if (body.empty()) return true;
    const std::string bytes = std::exchange(body, {});
    was_body_told_ = true;
    if (!listener_->OnBytes(bytes)) Drop();
    return !has_ended();
  }

  void Finish() {
    if (has_ended()) return;
    ApiListener& listener = *std::exchange(listener_, nullptr);
    Close();
    if (!is_refused_) return listener.OnEnd("");
    listener.OnRefused({.status = status_,
                        .why = parser_.get().body().substr(0, limits::kMaxRefusalBytes),
                        .after = retry_after_});
  }

  void OnBroken(const error_code& error) {
    if (was_head_told_ && is_refused_) return Finish();
    if (error == beast::error::timeout) {
      return Fail(is_watch() && was_head_told_
                      ? "it said nothing for " + Text(asked_.silence)
                      : "it does not answer within " + Text(asked_.answer_timeout));
    }
    if (error == http::error::body_limit) {
      // The next watch goes on where this one is.
      if (is_watch() && was_body_told_) return Finish();
      if (is_watch()) {
        return Fail(absl::StrCat("the length that its watch says is over ", limits::kMaxWatchBytes,
                                 " bytes (kMaxWatchBytes)"));
      }
      return Fail(absl::StrCat("a page of its list is over ", limits::kMaxPageBytes,
                               " bytes (kMaxPageBytes)"));
    }
    if (error == http::error::header_limit) {
      return Fail(absl::StrCat("the head of its answer is over ", limits::kMaxHeadBytes,
                               " bytes (kMaxHeadBytes)"));
    }
    if (error == http::error::end_of_stream || error == http::error::partial_message ||
        error == ssl::error::stream_truncated || error == asio::error::eof ||
        error == asio::error::connection_reset) {
      return Fail(was_head_told_ ? "it closed the connection within its answer"
                                 : "it closed the connection before an answer");
    }
    Fail(was_head_told_ ||
                 error.category() != http::make_error_code(http::error::bad_method).category()
             ? "the connection broke: " + error.message()
             : "what it answered is no HTTP: " + error.message());
  }

  void Fail(const std::string& what) {
    if (has_ended()) return;
    ApiListener& listener = *std::exchange(listener_, nullptr);
    Close();
    const std::string why = absl::StrCat("Kubernetes at ", api_.authority(), ": ", what);
    was_head_told_ && !is_refused_ ? listener.OnEnd(why) : listener.OnRefused({.why = why});
  }

  void Close() {
    timer_.cancel();
    resolver_.cancel();
    lowest().close();
  }

  const ApiAddress api_;
  const ApiRequest asked_;
  ApiListener* listener_;  // null: nothing more is told
  const std::unique_ptr<ssl::context> tls_;
  asio::ip::basic_resolver<tcp, asio::io_context::executor_type> resolver_;
  Stream stream_;
  asio::basic_waitable_timer<std::chrono::steady_clock,
                             asio::wait_traits<std::chrono::steady_clock>,
                             asio::io_context::executor_type>
      timer_{resolver_.get_executor()};
  http::request<http::empty_body> request_;
  beast::flat_buffer buffer_{kReadBytes};
  http::response_parser<http::string_body> parser_;
  bool was_head_told_ = false;
  bool was_body_told_ = false;  // something of it
  bool is_refused_ = false;
  int status_ = 0;
  absl::Duration retry_after_;
};

}  // namespace

std::shared_ptr<ApiCall> BeginCall(asio::io_context& context, const ApiAddress& api,
                                   const ApiRequest& request, ApiListener& listener) {
  std::string trouble;
  std::string token;
  if (!api.token_file.empty()) token = ReadToken(api.token_file, trouble);
  if (!api.is_tls) {
    const auto call = std::make_shared<Call<PlainStream>>(context, api, request, listener, nullptr);
    call->Start(token, trouble);
    return call;
  }
  auto tls = MakeTls(api.ca_file, trouble);
  if (tls == nullptr) tls = std::make_unique<ssl::context>(ssl::context::tls_client);
  ssl::context& of_stream = *tls;
  const auto call =
      std::make_shared<Call<TlsStream>>(context, api, request, listener, std::move(tls), of_stream);
  call->Start(token, trouble);
  return call;
}

}  // namespace remuda::kubernetes
