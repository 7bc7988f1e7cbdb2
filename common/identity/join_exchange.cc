#include "common/identity/join_exchange.h"

#include <boost/asio.hpp>
#include <boost/asio/ssl.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <utility>

namespace remuda::identity {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
using asio::ip::tcp;
using boost::system::error_code;

constexpr uint32_t kMaxAnswerHeadBytes = 16 * 1024;

class Run {
 public:
  explicit Run(const JoinExchange& exchange)
      : exchange_(exchange), tls_(asio::ssl::context::tls_client) {
    SSL_CTX_set_min_proto_version(tls_.native_handle(), TLS1_3_VERSION);
    // The chain is judged by check_peer, before anything is said.
    tls_.set_verify_mode(asio::ssl::verify_none);
    parser_.header_limit(kMaxAnswerHeadBytes);
    parser_.body_limit(kMaxJoinAnswerBytes);
  }

  absl::StatusOr<ExchangeAnswer> Do() {
    const size_t colon = exchange_.address.rfind(':');
    if (colon == std::string::npos || colon == 0)
      return absl::InvalidArgumentError("\"" + exchange_.address + "\" is not HOST:PORT");
    host_ = exchange_.address.substr(0, colon);
    if (host_.size() > 2 && host_.front() == '[' && host_.back() == ']')
      host_ = host_.substr(1, host_.size() - 2);
    resolver_.async_resolve(
        host_, exchange_.address.substr(colon + 1),
        [this](error_code error, const tcp::resolver::results_type& found) {
          if (error) return Fail("cannot be resolved", error);
          asio::async_connect(stream_.next_layer(), found, [this](error_code failed, const auto&) {
            failed ? Fail("cannot be connected to", failed) : Shake();
          });
        });
    context_.run_for(absl::ToChronoMilliseconds(exchange_.timeout));
    if (!is_done_)
      return absl::UnavailableError(exchange_.address + ": no answer within " +
                                    absl::FormatDuration(exchange_.timeout));
    if (!status_.ok()) return status_;
    return std::move(answer_);
  }

 private:
  void Shake() {
    stream_.async_handshake(asio::ssl::stream_base::client, [this](error_code error) {
      if (error) return Fail("TLS failed", error);
      STACK_OF(X509)* const shown = SSL_get_peer_cert_chain(stream_.native_handle());
      if (shown == nullptr) return End(absl::UnauthenticatedError("no certificate was shown"));
      if (absl::Status status = exchange_.check_peer(shown); !status.ok())
        return End(
            absl::Status(status.code(), exchange_.address + ": " + std::string(status.message())));
      Write();
    });
  }

  void Write() {
    request_.version(11);
    request_.method(http::verb::post);
    request_.target(exchange_.target);
    request_.set(http::field::host, exchange_.address);
    request_.set(http::field::content_type, "application/json");
    request_.set(http::field::connection, "close");
    request_.body() = exchange_.body;
    request_.prepare_payload();
    http::async_write(stream_, request_, [this](error_code error, size_t) {
      error ? Fail("the connection broke", error) : Read();
    });
  }

  void Read() {
    http::async_read(stream_, buffer_, parser_, [this](error_code error, size_t) {
      if (error) return Fail("the connection broke", error);
      answer_.status = static_cast<int>(parser_.get().result_int());
      answer_.body = std::move(parser_.get().body());
      End(absl::OkStatus());
    });
  }

  void Fail(const std::string& what, error_code error) {
    tls::TakeErrors();
    End(absl::UnavailableError(exchange_.address + ": " + what + ": " + error.message()));
  }

  void End(absl::Status status) {
    is_done_ = true;
    status_ = std::move(status);
    context_.stop();
  }

  const JoinExchange& exchange_;
  asio::io_context context_{1};
  asio::ssl::context tls_;
  tcp::resolver resolver_{context_};
  asio::ssl::stream<tcp::socket> stream_{context_, tls_};
  std::string host_;
  http::request<http::string_body> request_;
  beast::flat_buffer buffer_;
  http::response_parser<http::string_body> parser_;
  bool is_done_ = false;
  absl::Status status_;
  ExchangeAnswer answer_;
};

}  // namespace

absl::StatusOr<ExchangeAnswer> Exchange(const JoinExchange& exchange) { return Run(exchange).Do(); }

}  // namespace remuda::identity
