// FakeApi: stands for Kubernetes' API: lists and watches EndpointSlices of one Service, over HTTP
// or HTTPS, and misbehaves as the test says.
//
// It keeps the slices and numbers each change. A watch gets what came after its resourceVersion, or
// is told that it is gone. Thread: safe; it has one of its own.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace remuda {

// What a request said.
struct ApiRequestSeen {
  std::string target;
  std::string authorization;
  bool is_watch() const { return target.find("&watch=1") != std::string::npos; }
  // Of the query; empty: it is not there.
  std::string parameter(const std::string& name) const;
};

class FakeApi {
 public:
  // Null: HTTP. Else HTTPS with this certificate (PEM, with its key).
  struct Tls {
    std::string certificate_pem;
    std::string key_pem;
  };
  explicit FakeApi(std::optional<Tls> tls = std::nullopt);
  FakeApi(const FakeApi&) = delete;
  FakeApi& operator=(const FakeApi&) = delete;
  ~FakeApi();  // ends all connections

  int port() const { return port_; }

  // Adds or changes a slice: JSON of its fields besides metadata, with ' for ". All watches are
  // told.
  void Put(const std::string& name, const std::string& fields);
  void Remove(const std::string& name);
  // "ADDRESS" is ready, "ADDRESS!" is not, "ADDRESS~" terminates and serves; at port `http`.
  static std::string Fields(int port, const std::vector<std::string>& endpoints);

  // What a request is answered with instead of what is right: raw bytes, after which the connection
  // is closed, or kept with `hold`. nullopt: what is right.
  struct Instead {
    std::string bytes;
    bool hold = false;
  };
  using Answer = std::function<std::optional<Instead>(const ApiRequestSeen&)>;
  void set_answer(Answer answer);
  // A whole answer of these.
  static Instead Refusal(int status, const std::string& body, const std::string& more_head = "");

  // Slices on a page of a list; default: what `limit` says.
  void set_page_size(int slices);
  // What was before is forgotten: older watches and lists are answered 410.
  void Compact();
  // Sends raw bytes to all watches (as a chunk), and closes them if `close`.
  void SendToWatches(const std::string& bytes, bool close = false);
  void Bookmark();
  void CloseWatches() { SendToWatches("", true); }

  std::vector<ApiRequestSeen> requests() const;
  size_t watches() const;  // open now

 private:
  struct Running;
  std::unique_ptr<Running> running_;
  int port_ = 0;
};

}  // namespace remuda
