#include "tests/component/controller/kubernetes/testing/fake_api.h"

#include <algorithm>
#include <boost/asio.hpp>
#include <boost/asio/ssl.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <boost/beast/ssl.hpp>
#include <list>
#include <map>
#include <mutex>
#include <set>
#include <thread>
#include <type_traits>
#include <utility>

namespace remuda {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
namespace ssl = boost::asio::ssl;
using asio::ip::tcp;
using boost::system::error_code;

std::string Quoted(std::string text) {
  std::replace(text.begin(), text.end(), '\'', '"');
  return text;
}

// Size, text, end (RFC 9112 section 7.1).
std::string Chunk(const std::string& text) {
  char size[20];
  snprintf(size, sizeof size, "%zx\r\n", text.size());
  return size + text + "\r\n";
}

constexpr char kGone[] =
    "{'kind':'Status','apiVersion':'v1','metadata':{},'status':'Failure','message':'too old "
    "resource version: 1','reason':'Expired','code':410}";
constexpr char kWatchHead[] =
    "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n";

}  // namespace

std::string ApiRequestSeen::parameter(const std::string& name) const {
  size_t at = target.find("&" + name + "=");
  if (at == std::string::npos) return "";
  at += name.size() + 2;
  return target.substr(at, target.find('&', at) - at);
}

// One connection: reads a request, writes the answer, then for a watch whatever comes.
class FakeConnection : public std::enable_shared_from_this<FakeConnection> {
 public:
  using OnRequest = std::function<void(FakeConnection&, const ApiRequestSeen&)>;
  virtual ~FakeConnection() = default;
  virtual void Start(OnRequest on_request) = 0;
  virtual void Send(std::string bytes) = 0;
  virtual void CloseAfterSent() = 0;
  virtual void CloseNow() = 0;
  int64_t sent_version = 0;  // of a watch
};

namespace {

template <class Stream>
class StreamConnection final : public FakeConnection {
 public:
  template <class... Arguments>
  explicit StreamConnection(tcp::socket socket, Arguments&... arguments)
      : stream_(std::move(socket), arguments...) {}

  void Start(OnRequest on_request) override {
    on_request_ = std::move(on_request);
    if constexpr (std::is_same_v<Stream, ssl::stream<tcp::socket>>) {
      stream_.async_handshake(ssl::stream_base::server, [self = Self()](const error_code& error) {
        if (!error) self->Read();
      });
    } else {
      Read();
    }
  }
  void Send(std::string bytes) override {
    if (is_closing_) return;
    waiting_.push_back(std::move(bytes));
    if (waiting_.size() == 1) Write();
  }
  void CloseAfterSent() override {
    is_closing_ = true;
    if (waiting_.empty()) CloseNow();
  }
  void CloseNow() override {
    error_code ignored;
    beast::get_lowest_layer(stream_).shutdown(tcp::socket::shutdown_both, ignored);
    beast::get_lowest_layer(stream_).close(ignored);
  }

 private:
  std::shared_ptr<StreamConnection> Self() {
    return std::static_pointer_cast<StreamConnection>(shared_from_this());
  }
  void Read() {
    http::async_read(stream_, buffer_, request_, [self = Self()](const error_code& error, size_t) {
      if (error) return;
      ApiRequestSeen seen{.target = std::string(self->request_.target()),
                          .authorization = std::string(self->request_[http::field::authorization])};
      self->on_request_(*self, seen);
    });
  }
  void Write() {
    asio::async_write(stream_, asio::buffer(waiting_.front()),
                      [self = Self()](const error_code& error, size_t) {
                        if (error) return self->waiting_.clear();
                        self->waiting_.pop_front();
                        if (!self->waiting_.empty()) return self->Write();
                        if (self->is_closing_) self->CloseNow();
                      });
  }

  Stream stream_;
  beast::flat_buffer buffer_;
  http::request<http::empty_body> request_;
  OnRequest on_request_;
  std::list<std::string> waiting_;
  bool is_closing_ = false;
};

}  // namespace

struct FakeApi::Running {
  struct Change {
    int64_t version;
    std::string line;
  };

  asio::io_context context{1};
  std::optional<ssl::context> tls;
  tcp::acceptor acceptor{context, {asio::ip::address_v4::loopback(), 0}};
  // The thread's:
  std::set<std::shared_ptr<FakeConnection>> connections;

  mutable std::mutex mutex;  // guards what follows
  std::map<std::string, std::string> slices;
  std::vector<Change> changes;
  int64_t version = 100;
  int64_t compacted = 0;
  int page_size = 0;
  Answer answer;
  std::vector<ApiRequestSeen> requests;
  std::set<std::shared_ptr<FakeConnection>> watches;

  std::thread thread;  // last: it uses the others

  void Accept() {
    acceptor.async_accept([this](const error_code& error, tcp::socket socket) {
      if (error) return;
      std::shared_ptr<FakeConnection> connection;
      if (tls.has_value()) {
        connection =
            std::make_shared<StreamConnection<ssl::stream<tcp::socket>>>(std::move(socket), *tls);
      } else {
        connection = std::make_shared<StreamConnection<tcp::socket>>(std::move(socket));
      }
      connections.insert(connection);
      connection->Start(
          [this](FakeConnection& one, const ApiRequestSeen& seen) { OnRequest(one, seen); });
      Accept();
    });
  }

  void OnRequest(FakeConnection& connection, const ApiRequestSeen& seen) {
    std::unique_lock lock(mutex);
    requests.push_back(seen);
    const Answer wrong = answer;
    lock.unlock();
    // Not under the lock: it may ask for requests().
    const std::optional<Instead> instead = wrong ? wrong(seen) : std::nullopt;
    lock.lock();
    if (instead.has_value()) {
      connection.Send(instead->bytes);
      if (!instead->hold) connection.CloseAfterSent();
      return;
    }
    seen.is_watch() ? BeginWatch(connection, seen) : List(connection, seen);
  }

  void List(FakeConnection& connection, const ApiRequestSeen& seen) {
    // "VERSION.NAME": the list as of then, after the slice.
    const std::string token = seen.parameter("continue");
    int64_t as_of = version;
    std::string after;
    if (!token.empty()) {
      as_of = std::stoll(token);
      after = token.substr(token.find('.') + 1);
      if (as_of < compacted) {
        connection.Send(Refusal(410, kGone).bytes);
        return connection.CloseAfterSent();
      }
    }
    const int limit = page_size > 0 ? page_size : std::stoi("0" + seen.parameter("limit"));
    std::string items;
    std::string next;
    int count = 0;
    for (auto it = slices.upper_bound(after); it != slices.end(); ++it) {
      if (limit > 0 && count == limit) break;
      ++count;
      items += (items.empty() ? "" : ",") + it->second;
      next = it->first;
    }
    const bool is_last = next.empty() || slices.upper_bound(next) == slices.end();
    const std::string body =
        "{'kind':'EndpointSliceList','apiVersion':'discovery.k8s.io/v1','metadata':{"
        "'resourceVersion':'" +
        std::to_string(as_of) + "','continue':'" +
        (is_last ? "" : std::to_string(as_of) + "." + next) + "'},'items':[" + items + "]}";
    connection.Send(Refusal(200, body).bytes);
    connection.CloseAfterSent();
  }

  void BeginWatch(FakeConnection& connection, const ApiRequestSeen& seen) {
    const int64_t from = std::stoll("0" + seen.parameter("resourceVersion"));
    connection.Send(kWatchHead);
    if (from < compacted) {
      connection.Send(Chunk(Quoted(std::string("{'type':'ERROR','object':") + kGone + "}\n")) +
                      Chunk(""));
      return connection.CloseAfterSent();
    }
    for (const Change& change : changes) {
      if (change.version > from) connection.Send(Chunk(change.line));
    }
    watches.insert(connection.shared_from_this());
  }

  void Tell(const std::string& type, const std::string& object) {
    changes.push_back(
        {version, Quoted("{'type':'" + type + "','object':") + object + Quoted("}\n")});
    asio::post(context, [this, line = changes.back().line] {
      const std::lock_guard lock(mutex);
      for (const auto& watch : watches) watch->Send(Chunk(line));
    });
  }
};

FakeApi::FakeApi(std::optional<Tls> tls) : running_(std::make_unique<Running>()) {
  if (tls.has_value()) {
    running_->tls.emplace(ssl::context::tls_server);
    running_->tls->use_certificate_chain(asio::buffer(tls->certificate_pem));
    running_->tls->use_private_key(asio::buffer(tls->key_pem), ssl::context::pem);
  }
  port_ = running_->acceptor.local_endpoint().port();
  running_->Accept();
  running_->thread = std::thread([running = running_.get()] { running->context.run(); });
}

FakeApi::~FakeApi() {
  running_->context.stop();
  running_->thread.join();
}

std::string FakeApi::Fields(int port, const std::vector<std::string>& endpoints) {
  std::string out = "'addressType':'IPv4','ports':[{'name':'http','port':" + std::to_string(port) +
                    ",'protocol':'TCP'}],'endpoints':[";
  for (size_t i = 0; i < endpoints.size(); ++i) {
    std::string address = endpoints[i];
    std::string conditions = "'ready':true,'serving':true,'terminating':false";
    if (address.back() == '!') conditions = "'ready':false,'serving':false,'terminating':false";
    if (address.back() == '~') conditions = "'ready':false,'serving':true,'terminating':true";
    if (address.back() == '!' || address.back() == '~') address.pop_back();
    out += (i == 0 ? "" : ",") + ("{'addresses':['" + address + "'],'conditions':{" + conditions) +
           "},'zone':'a','targetRef':{'kind':'Pod','name':'web-0'}}";
  }
  return out + "]";
}

void FakeApi::Put(const std::string& name, const std::string& fields) {
  const std::lock_guard lock(running_->mutex);
  const bool is_new = !running_->slices.contains(name);
  ++running_->version;
  std::string& slice = running_->slices[name];
  slice = Quoted("{'kind':'EndpointSlice','metadata':{'name':'" + name +
                 "','namespace':'shop','resourceVersion':'" + std::to_string(running_->version) +
                 "','labels':{'kubernetes.io/service-name':'web'}}," + fields + "}");
  running_->Tell(is_new ? "ADDED" : "MODIFIED", slice);
}

void FakeApi::Remove(const std::string& name) {
  const std::lock_guard lock(running_->mutex);
  ++running_->version;
  running_->slices.erase(name);
  running_->Tell("DELETED", Quoted("{'metadata':{'name':'" + name + "','resourceVersion':'" +
                                   std::to_string(running_->version) + "'}}"));
}

FakeApi::Instead FakeApi::Refusal(int status, const std::string& body,
                                  const std::string& more_head) {
  const std::string text = Quoted(body);
  return {.bytes = "HTTP/1.1 " + std::to_string(status) +
                   " Words\r\nContent-Type: application/json\r\n" + more_head +
                   "Content-Length: " + std::to_string(text.size()) + "\r\n\r\n" + text};
}

void FakeApi::set_answer(Answer answer) {
  const std::lock_guard lock(running_->mutex);
  running_->answer = std::move(answer);
}

void FakeApi::set_page_size(int slices) {
  const std::lock_guard lock(running_->mutex);
  running_->page_size = slices;
}

void FakeApi::Compact() {
  const std::lock_guard lock(running_->mutex);
  running_->compacted = ++running_->version;
  running_->changes.clear();
}

void FakeApi::SendToWatches(const std::string& bytes, bool close) {
  asio::post(running_->context, [running = running_.get(), bytes, close] {
    const std::lock_guard lock(running->mutex);
    for (const auto& watch : running->watches) {
      if (!bytes.empty()) watch->Send(Chunk(bytes));
      if (close) watch->CloseAfterSent();
    }
    if (close) running->watches.clear();
  });
}

void FakeApi::Bookmark() {
  const std::lock_guard lock(running_->mutex);
  ++running_->version;
  running_->Tell("BOOKMARK", Quoted("{'kind':'EndpointSlice','metadata':{'resourceVersion':'" +
                                    std::to_string(running_->version) + "'}}"));
}

std::vector<ApiRequestSeen> FakeApi::requests() const {
  const std::lock_guard lock(running_->mutex);
  return running_->requests;
}

size_t FakeApi::watches() const {
  const std::lock_guard lock(running_->mutex);
  return running_->watches.size();
}

}  // namespace remuda
