#include "proxy/http/target.h"

#include <algorithm>
#include <cstring>

#include "proxy/http/chars.h"

namespace remuda::proxy::http {
namespace {

constexpr size_t kMaxPortDigits = 5;

char UpperHex(int value) { return "0123456789ABCDEF"[value]; }

// What CheckPath found.
struct PathFacts {
  bool is_good = true;       // may be forwarded, once it is canonical
  bool has_escapes = false;  // needs rewriting
  bool has_dot_segments = false;
};

// The byte that an escape at `at` stands for, or -1 if it is none that may pass.
int Unescape(std::string_view path, size_t at) {
  if (at + 2 >= path.size()) return -1;
  const int high = HexValue(path[at + 1]);
  const int low = HexValue(path[at + 2]);
  return high < 0 || low < 0 || (high == 0 && low == 0) ? -1 : high * 16 + low;
}

// `byte` as it stands in a canonical path: 1 or 3 bytes, which are returned.
size_t WriteEscape(char byte, char* out) {
  if (Is(byte, kUnreservedChar)) {
    *out = byte;
    return 1;
  }
  out[0] = '%';
  out[1] = UpperHex((byte >> 4) & 15);
  out[2] = UpperHex(byte & 15);
  return 3;
}

// Looks without changing anything: what is refused is logged as it came. A ".." above the root is
// bad whatever the mode.
PathFacts CheckPath(std::string_view path) {
  PathFacts facts;
  size_t depth = 0;         // segments before this one that ".." can take away
  size_t size = 0;          // of the segment, decoded
  bool is_all_dots = true;  // so far
  const auto end_segment = [&] {
    const bool is_dots = is_all_dots && (size == 1 || size == 2);
    facts.has_dot_segments |= is_dots;
    if (is_dots && size == 2) {
      facts.is_good &= depth > 0;
      depth -= depth > 0 ? 1 : 0;
    } else if (!is_dots) {
      ++depth;
    }
    size = 0;
    is_all_dots = true;
  };
  for (size_t at = 1; at < path.size(); ++at) {  // behind the first slash
    char c = path[at];
    if (c == '\\') facts.is_good = false;
    if (c == '/') {
      end_segment();
      continue;
    }
    if (c == '%') {
      const int byte = Unescape(path, at);
      if (byte < 0) {
        facts.is_good = false;
        return facts;
      }
      facts.has_escapes = true;
      c = static_cast<char>(byte);
      at += 2;
    }
    ++size;
    is_all_dots &= c == '.';
  }
  end_segment();
  return facts;
}

// Makes a good path canonical in place, which never lengthens it.
void RewritePath(std::string_view& path) {
  char* const base = const_cast<char*>(path.data());  // parsed from a writable buffer (contract)
  size_t out = 0;
  size_t segment = 0;  // where the present one begins
  const auto end_segment = [&](bool is_last) {
    const std::string_view text(base + segment, out - segment);
    if (text == ".") {
      out = segment;
    } else if (text == "..") {
      out = segment - 1;  // the slash before it; CheckPath saw that a segment lies before that
      while (base[out - 1] != '/') --out;
    } else if (!is_last) {
      base[out++] = '/';
    }
    segment = out;
  };
  base[out++] = '/';
  segment = out;
  for (size_t in = 1; in < path.size(); ++in) {
    const char c = path[in];
    if (c == '/') {
      end_segment(false);
      continue;
    }
    if (c != '%') {
      base[out++] = c;
      continue;
    }
    out += WriteEscape(static_cast<char>(Unescape(path, in)), base + out);
    in += 2;
  }
  end_segment(true);
  path = std::string_view(base, out);
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
  if (!IsHost(host->value)) return Reason::kBadHost;
  head.host = host->value;
  return Reason::kNone;
}

// Cuts "scheme://authority" off an absolute-form target.
Reason TakeAuthority(RequestHead& head, std::string_view& target, DesyncMode mode) {
  for (const std::string_view scheme :
       {std::string_view("http://"), std::string_view("https://")}) {
    if (target.size() < scheme.size() ||
        !EqualsIgnoreCase(target.substr(0, scheme.size()), scheme)) {
      continue;
    }
    const std::string_view rest = target.substr(scheme.size());
    const size_t end = rest.find_first_of("/?");
    const std::string_view authority = rest.substr(0, end);
    if (!IsHost(authority)) return Reason::kBadTarget;
    if (!head.host.empty() && !EqualsIgnoreCase(authority, head.host)) {
      head.Note(Oddity::kHostMismatch);
      if (const Reason reason = Refusal(Oddity::kHostMismatch, mode); reason != Reason::kNone)
        return reason;
    }
    if (end == std::string_view::npos || rest[end] != '/') return Reason::kBadTarget;
    head.host = authority;
    target = rest.substr(end);
    return Reason::kNone;
  }
  return Reason::kBadTarget;
}

}  // namespace

bool IsHost(std::string_view host) {
  if (host.empty() || !AllOf(host, kHostChar)) return false;
  size_t end;  // of the name or address
  if (host.front() == '[') {
    end = host.find(']');
    if (end == std::string_view::npos || end < 3) return false;
    const std::string_view address = host.substr(1, end - 1);
    if (address.find(':') == std::string_view::npos || address.find('[') != std::string_view::npos)
      return false;
    ++end;
  } else {
    end = std::min(host.find_first_of(":[]"), host.size());
    if (end == 0) return false;
  }
  const std::string_view port = host.substr(end);
  const auto is_digit = [](char c) { return c >= '0' && c <= '9'; };
  return port.empty() || (port.front() == ':' && port.size() <= kMaxPortDigits + 1 &&
                          std::all_of(port.begin() + 1, port.end(), is_digit));
}

bool CanonicalizeEscapes(std::string& path) {
  size_t out = 0;
  for (size_t at = 0; at < path.size(); ++at) {
    if (path[at] != '%') {
      path[out++] = path[at];
      continue;
    }
    const int byte = Unescape(path, at);
    if (byte < 0) return false;
    out += WriteEscape(static_cast<char>(byte), path.data() + out);
    at += 2;
  }
  path.resize(out);
  return true;
}

bool CanonicalizeOrigin(std::string_view& target) {
  if (target.empty() || target.front() != '/' || !AllOf(target, kTargetChar)) return false;
  const size_t mark = std::min(target.find('?'), target.size());
  std::string_view path = target.substr(0, mark);
  const std::string_view query = target.substr(mark);
  const PathFacts facts = CheckPath(path);
  if (!facts.is_good || facts.has_dot_segments) return false;
  if (facts.has_escapes) RewritePath(path);
  char* const base = const_cast<char*>(target.data());  // writable (contract)
  std::memmove(base + path.size(), query.data(), query.size());
  target = std::string_view(base, path.size() + query.size());
  return true;
}

Reason CanonicalizeTarget(RequestHead& head, DesyncMode mode) {
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
    if (const Reason reason = TakeAuthority(head, target, mode); reason != Reason::kNone)
      return reason;
  }
  const size_t mark = target.find('?');
  head.path = target.substr(0, mark);
  if (mark != std::string_view::npos) {
    head.has_query = true;
    head.query = target.substr(mark + 1);
  }
  const PathFacts facts = CheckPath(head.path);
  if (!facts.is_good) return Reason::kBadPath;
  if (facts.has_dot_segments) {
    head.Note(Oddity::kDotSegments);
    if (const Reason reason = Refusal(Oddity::kDotSegments, mode); reason != Reason::kNone)
      return reason;
  }
  if (facts.has_escapes || facts.has_dot_segments) RewritePath(head.path);
  return Reason::kNone;
}

}  // namespace remuda::proxy::http
