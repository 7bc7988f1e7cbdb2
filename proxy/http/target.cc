#include "proxy/http/target.h"

#include "proxy/http/chars.h"

namespace remuda::proxy::http {
namespace {

char UpperHex(int value) { return "0123456789ABCDEF"[value]; }

// Makes `path` canonical in place; false if it may not be forwarded.
bool CanonicalizePath(std::string_view& path) {
  char* const base = const_cast<char*>(path.data());  // parsed from a writable buffer (contract)
  size_t out = 0;
  size_t segment_start = 0;
  const auto is_dot_segment = [&] {
    const std::string_view segment(base + segment_start, out - segment_start);
    return segment == "." || segment == "..";
  };
  for (size_t in = 0; in < path.size(); ++in) {
    char c = path[in];
    if (c == '\\') return false;
    if (c == '/') {
      if (is_dot_segment()) return false;
      base[out++] = c;
      segment_start = out;
      continue;
    }
    if (c != '%') {
      base[out++] = c;
      continue;
    }
    if (in + 2 >= path.size()) return false;
    const int high = HexValue(path[in + 1]);
    const int low = HexValue(path[in + 2]);
    if (high < 0 || low < 0 || (high == 0 && low == 0)) return false;
    in += 2;
    c = static_cast<char>(high * 16 + low);
    if (Is(c, kUnreservedChar)) {
      base[out++] = c;
    } else {
      base[out++] = '%';
      base[out++] = UpperHex(high);
      base[out++] = UpperHex(low);
    }
  }
  if (is_dot_segment()) return false;
  path = std::string_view(base, out);
  return true;
}

Reason FindHost(RequestHead& head) {
  const Field* host = nullptr;
  for (const Field& field : head.fields) {
    if (field.id != FieldId::kHost) continue;
    if (host != nullptr) return Reason::kRepeatedHost;
    host = &field;
  }
  if (host == nullptr) {
    head.host = {};
    return head.minor_version == 0 ? Reason::kNone : Reason::kMissingHost;
  }
  if (host->value.empty() || !AllOf(host->value, kHostChar)) return Reason::kBadHost;
  head.host = host->value;
  return Reason::kNone;
}

// Cuts "scheme://authority" off an absolute-form target.
Reason TakeAuthority(RequestHead& head, std::string_view& target) {
  for (const std::string_view scheme :
       {std::string_view("http://"), std::string_view("https://")}) {
    if (target.size() < scheme.size() ||
        !EqualsIgnoreCase(target.substr(0, scheme.size()), scheme)) {
      continue;
    }
    const std::string_view rest = target.substr(scheme.size());
    const size_t end = rest.find_first_of("/?");
    const std::string_view authority = rest.substr(0, end);
    if (authority.empty() || !AllOf(authority, kHostChar)) return Reason::kBadTarget;
    if (!head.host.empty() && !EqualsIgnoreCase(authority, head.host)) return Reason::kHostMismatch;
    if (end == std::string_view::npos || rest[end] != '/') return Reason::kBadTarget;
    head.host = authority;
    target = rest.substr(end);
    return Reason::kNone;
  }
  return Reason::kBadTarget;
}

}  // namespace

Reason CanonicalizeTarget(RequestHead& head) {
  if (head.method == Method::kConnect || head.method == Method::kTrace)
    return Reason::kMethodNotAllowed;
  if (const Reason reason = FindHost(head); reason != Reason::kNone) return reason;
  head.query = {};
  head.has_query = false;
  if (head.target == "*") {
    head.path = head.target;
    return head.method == Method::kOptions ? Reason::kNone : Reason::kBadTarget;
  }
  std::string_view target = head.target;
  if (target.front() != '/') {
    if (const Reason reason = TakeAuthority(head, target); reason != Reason::kNone) return reason;
  }
  const size_t mark = target.find('?');
  head.path = target.substr(0, mark);
  if (mark != std::string_view::npos) {
    head.has_query = true;
    head.query = target.substr(mark + 1);
  }
  return CanonicalizePath(head.path) ? Reason::kNone : Reason::kBadPath;
}

}  // namespace remuda::proxy::http
