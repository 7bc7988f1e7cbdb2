#include <absl/strings/str_cat.h>

#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <optional>
#include <utility>

#include "controller/core/model/limits.h"
#include "controller/core/model/words.h"
#include "controller/limits.h"
#include "controller/probes/question.h"

namespace remuda {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
using asio::ip::tcp;
using boost::system::error_code;

constexpr int kHttp11 = 11;

std::string TextOf(const error_code& error) {
  if (error == http::error::body_limit || error == http::error::buffer_overflow)
    return absl::StrCat("the answer is over ", core::limits::kProbeAnswerBytes, " bytes");
  if (error == http::error::header_limit)
    return absl::StrCat("the answer's head is over ", limits::kMaxProbeHeadBytes, " bytes");
  if (error == http::error::end_of_stream) return "the connection was closed before an answer";
  if (error == http::error::partial_message) return "the connection was closed within the answer";
  if (error.category() == http::make_error_code(http::error::bad_method).category())
    return absl::StrCat("what was answered is no HTTP: ", error.message());
  return error.message();
}

class HttpQuestion final : public Question, public std::enable_shared_from_this<HttpQuestion> {
 public:
  HttpQuestion(asio::io_context& context, const core::Probe& probe, std::string body, Done done)
      : host_(probe.url.host),
        port_(probe.url.port),
        timeout_(probe.timeout),
        done_(std::move(done)),
        resolver_(context.get_executor()),
        stream_(context.get_executor()),
        timer_(context.get_executor()) {
    request_.version(kHttp11);
    request_.method(body.empty() ? http::verb::get : http::verb::post);
    request_.target(probe.url.target);
    request_.set(http::field::host, probe.url.authority());
    request_.set(http::field::user_agent, "remuda-controller");
    request_.set(http::field::accept, "application/json");
    request_.set(http::field::connection, "close");
    if (!probe.authorization.empty()) request_.set(http::field::authorization, probe.authorization);
    if (body.empty()) return;
    request_.set(http::field::content_type, "application/json");
    request_.body() = std::move(body);
    request_.prepare_payload();
  }

  void Start() override {
    timer_.expires_after(absl::ToChronoNanoseconds(timeout_));
    timer_.async_wait([self = shared_from_this()](const error_code& error) {
      if (!error) self->End("timed out after " + core::DurationText(self->timeout_));
    });
    error_code error;
    const auto address = asio::ip::make_address(host_, error);
    if (!error) return Connect(tcp::endpoint(address, static_cast<uint16_t>(port_)));
    resolver_.async_resolve(
        host_, absl::StrCat(port_), asio::ip::resolver_base::numeric_service,
        [self = shared_from_this()](const error_code& failed, const auto& found) {
          if (self->has_ended()) return;
          if (failed) return self->End(absl::StrCat(self->host_, ": ", failed.message()));
          self->Connect(found);
        });
  }

  void Abort() override { End("the controller ends"); }

 private:
  bool has_ended() const { return !done_; }

  template <class Where>
  void Connect(const Where& where) {
    stream_.async_connect(where, [self = shared_from_this()](const error_code& error, auto&&...) {
      if (self->has_ended()) return;
      if (error) return self->End(TextOf(error));
      self->Write();
    });
  }

  void Write() {
    http::async_write(
        stream_, request_, [self = shared_from_this()](const error_code& error, size_t) {
          if (self->has_ended()) return;
          // One that answers before it has read all may have said why.
          if (error && error != asio::error::broken_pipe && error != asio::error::connection_reset)
            return self->End(TextOf(error));
          self->Read();
        });
  }

  void Read() {
    parser_.emplace();
    parser_->header_limit(limits::kMaxProbeHeadBytes);
    parser_->body_limit(core::limits::kProbeAnswerBytes);
    http::async_read(
        stream_, buffer_, *parser_, [self = shared_from_this()](const error_code& error, size_t) {
          if (self->has_ended()) return;
          if (error) return self->End(TextOf(error));
          const int status = static_cast<int>(self->parser_->get().result_int());
          // Informational (RFC 9110 section 15.2): the answer comes after it.
          if (status >= 100 && status < 200) return self->Read();
          self->End({.status = status, .body = std::move(self->parser_->get().body())});
        });
  }

  void End(std::string trouble) { End(core::ProbeOutcome{.trouble = std::move(trouble)}); }
  void End(core::ProbeOutcome outcome) {
    if (has_ended()) return;
    const Done done = std::exchange(done_, nullptr);
    timer_.cancel();
    resolver_.cancel();
    stream_.close();
    done(std::move(outcome));
  }

  const std::string host_;
  const int port_;
  const absl::Duration timeout_;
  Done done_;  // null: called
  asio::ip::basic_resolver<tcp, asio::io_context::executor_type> resolver_;
  beast::basic_stream<tcp, asio::io_context::executor_type> stream_;
  QuestionTimer timer_;
  http::request<http::string_body> request_;
  // More than a head and a body of the largest are not gathered.
  beast::flat_buffer buffer_{limits::kMaxProbeHeadBytes + core::limits::kProbeAnswerBytes};
  std::optional<http::response_parser<http::string_body>> parser_;
};

}  // namespace

std::shared_ptr<Question> MakeHttpQuestion(asio::io_context& context, const core::Probe& probe,
                                           std::string body, Question::Done done) {
  return std::make_shared<HttpQuestion>(context, probe, std::move(body), std::move(done));
}

}  // namespace remuda
