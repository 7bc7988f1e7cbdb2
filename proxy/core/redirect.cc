#include "proxy/core/redirect.h"

#include <algorithm>
#include <charconv>
#include <cstring>

#include "proxy/core/condition.h"

namespace remuda::proxy {
namespace {

using PartKind = TemplatePart::Kind;

// Parts of the request, and room for what is made of them.
class Expansion {
 public:
  Expansion(std::string_view host, std::string_view port, std::string_view path,
            std::string_view query, std::span<char> out)
      : host_(host), port_(port), path_(path), query_(query), out_(out) {}

  void Add(std::string_view text) {
    if (text.size() > out_.size() - size_) {
      is_full_ = true;
      return;
    }
    if (!text.empty()) std::memcpy(out_.data() + size_, text.data(), text.size());
    size_ += text.size();
  }
  void Add(const Template& parts) {
    for (const TemplatePart& part : parts) Add(ValueOf(part));
  }
  std::string_view ValueOf(const TemplatePart& part) const {
    switch (part.kind) {
      case PartKind::kHost:
        return host_;
      case PartKind::kPort:
        return port_;
      case PartKind::kPath:
        return path_;
      case PartKind::kQuery:
        return query_;
      case PartKind::kText:
        break;
    }
    return part.text;
  }
  bool is_full() const { return is_full_; }
  std::string_view text() const { return {out_.data(), size_}; }

 private:
  const std::string_view host_, port_, path_, query_;
  const std::span<char> out_;
  size_t size_ = 0;
  bool is_full_ = false;
};

}  // namespace

ExpandResult ExpandRedirect(const Redirect& redirect, const http::RequestHead& head, uint16_t port,
                            std::span<char> out, std::string_view& location) {
  char digits[5];
  const auto end = std::to_chars(digits, digits + sizeof digits, port).ptr;
  const std::string_view host = HostName(head.host);
  // "*" (of OPTIONS) is no path.
  const std::string_view path =
      head.path.empty() || head.path.front() != '/' ? std::string_view() : head.path.substr(1);
  Expansion to(host, {digits, static_cast<size_t>(end - digits)}, path, head.query, out);
  const auto wants_host = [](const TemplatePart& part) { return part.kind == PartKind::kHost; };
  for (const Template* parts : {&redirect.host, &redirect.path, &redirect.query}) {
    if (host.empty() && std::any_of(parts->begin(), parts->end(), wants_host))
      return ExpandResult::kNoHost;
  }
  to.Add(redirect.protocol);
  to.Add("://");
  to.Add(redirect.host);
  const std::string_view to_port = to.ValueOf(redirect.port.front());
  const bool is_default_port = to_port == (redirect.protocol == "https" ? "443" : "80");
  if (!is_default_port) {
    to.Add(":");
    to.Add(to_port);
  }
  to.Add(redirect.path);
  const bool has_query = std::any_of(redirect.query.begin(), redirect.query.end(),
                                     [&](const TemplatePart& p) { return !to.ValueOf(p).empty(); });
  if (has_query) {
    to.Add("?");
    to.Add(redirect.query);
  }
  if (to.is_full()) return ExpandResult::kTooLong;
  location = to.text();
  return ExpandResult::kOk;
}

}  // namespace remuda::proxy
