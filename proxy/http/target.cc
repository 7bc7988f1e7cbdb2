#include "proxy/http/target.h"

#include <algorithm>
#include <cstring>

#include "proxy/http/chars.h"

namespace remuda::proxy::http {
namespace {

constexpr size_t kMaxPortDigits = 5;

char UpperHex(int value) { return "0123456789ABCDEF"[value]; }

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

// Looks at a path without changing anything: what is refused is logged as it came.
class PathCheck {
 public:
  PathCheck(std::string_view path, const PathRules& rules) : path_(path), rules_(rules) {
    Run();
    EndSegment(/*is_last=*/true);
  }

  bool is_good() const { return is_good_; }  // may be forwarded, once it is canonical
  bool has_dot_segments() const { return has_dot_segments_; }
  bool needs_rewrite() const { return needs_rewrite_ || has_dot_segments_; }

 private:
  void Run() {
    for (size_t at = 1; at < path_.size(); ++at) {  // behind the first slash
      const char c = path_[at];
      if (c == '/') {
        EndSegment(false);
      } else if (c == '%') {
        const int byte = Unescape(path_, at);
        if (byte < 0) {
          is_good_ = false;
          return;
        }
        needs_rewrite_ = true;
        TakeEscaped(static_cast<char>(byte));
        at += 2;
      } else if (c == ';') {
        BeginParameter(rules_.parameters == PathRules::Parameters::kStrip);
      } else {
        is_good_ &= c != '\\';
        TakeChar(c);
      }
    }
  }

  void TakeEscaped(char byte) {
    using Slashes = PathRules::EscapedSlashes;
    if (byte == '/' && rules_.escaped_slashes == Slashes::kDecode) return EndSegment(false);
    if (byte == '/' || byte == '\\') is_good_ &= rules_.escaped_slashes == Slashes::kKeep;
    // Some targets look for parameters behind the decoding.
    if (byte == ';') return BeginParameter(false);
    TakeChar(byte);
  }

  void TakeChar(char c) {
    if (is_cut_) return;
    ++size_;
    is_all_dots_ &= c == '.';
    if (has_parameter_) return;
    ++name_size_;
    is_name_all_dots_ &= c == '.';
  }

  void BeginParameter(bool is_cut) {
    if (rules_.parameters == PathRules::Parameters::kRefuse) is_good_ = false;
    if (is_cut) {
      is_cut_ = needs_rewrite_ = true;
      return;
    }
    has_parameter_ = true;
    TakeChar(';');
  }

  // A ".." above the root is bad whatever the mode.
  void EndSegment(bool is_last) {
    const bool is_dots = size_ > 0 && size_ <= 2 && is_all_dots_;
    const bool hides = has_parameter_ && rules_.parameters != PathRules::Parameters::kKeep &&
                       (name_size_ == 0 ? !is_last : name_size_ <= 2 && is_name_all_dots_);
    is_good_ &= !hides;
    has_dot_segments_ |= is_dots;
    const bool is_merged = size_ == 0 && rules_.merges_slashes;
    needs_rewrite_ |= is_merged && !is_last;
    if (is_dots && size_ == 2) {
      is_good_ &= depth_ > 0;
      depth_ -= depth_ > 0 ? 1 : 0;
    } else if (!is_dots && !is_merged) {
      ++depth_;
    }
    size_ = name_size_ = 0;
    is_all_dots_ = is_name_all_dots_ = true;
    has_parameter_ = is_cut_ = false;
  }

  const std::string_view path_;
  const PathRules& rules_;
  bool is_good_ = true;
  bool has_dot_segments_ = false;
  bool needs_rewrite_ = false;
  size_t depth_ = 0;  // segments before this one that ".." can take away
  // Of the segment, decoded.
  size_t size_ = 0;
  size_t name_size_ = 0;  // before its parameters
  bool is_all_dots_ = true;
  bool is_name_all_dots_ = true;
  bool has_parameter_ = false;
  bool is_cut_ = false;  // the rest of it is taken off
};

// Makes a good path canonical in place, which never lengthens it.
class PathRewrite {
 public:
  PathRewrite(std::string_view path, const PathRules& rules)
      : rules_(rules),
        base_(const_cast<char*>(path.data())) {  // parsed from a writable buffer (contract)
    Run(path);
    EndSegment(/*is_last=*/true);
  }

  std::string_view path() const { return {base_, out_}; }

 private:
  void Run(std::string_view path) {
    const bool strips = rules_.parameters == PathRules::Parameters::kStrip;
    const bool decodes = rules_.escaped_slashes == PathRules::EscapedSlashes::kDecode;
    bool is_cut = false;
    for (size_t in = 1; in < path.size(); ++in) {
      const char c = path[in];
      const int byte = c == '%' ? Unescape(path, in) : -1;
      if (c == '%') in += 2;
      if (c == '/' || (byte == '/' && decodes)) {
        EndSegment(false);
        is_cut = false;
      } else if (is_cut || (c == ';' && strips)) {
        is_cut = true;
      } else if (c == '%') {
        out_ += WriteEscape(static_cast<char>(byte), base_ + out_);
      } else {
        base_[out_++] = c;
      }
    }
  }

  void EndSegment(bool is_last) {
    const std::string_view text(base_ + segment_, out_ - segment_);
    if (text == ".") {
      out_ = segment_;
    } else if (text == "..") {
      out_ = segment_ - 1;  // the slash before it; PathCheck saw that a segment lies before that
      while (base_[out_ - 1] != '/') --out_;
    } else if (!is_last && !(text.empty() && rules_.merges_slashes)) {
      base_[out_++] = '/';
    }
    segment_ = out_;
  }

  const PathRules& rules_;
  char* const base_;
  size_t out_ = 1;      // behind the first slash
  size_t segment_ = 1;  // where the present one begins
};

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

// Without the port, if it is the scheme's own, said or not (RFC 9110 section 4.2.3).
std::string_view WithoutOwnPort(std::string_view authority, std::string_view own_port) {
  for (const std::string_view port : {own_port, std::string_view(":")}) {
    if (authority.size() > port.size() && authority.substr(authority.size() - port.size()) == port)
      return authority.substr(0, authority.size() - port.size());
  }
  return authority;
}

struct Scheme {
  std::string_view prefix;
  std::string_view own_port;
};
constexpr Scheme kSchemes[] = {{"http://", ":80"}, {"https://", ":443"}};

// Cuts "scheme://authority" off an absolute-form target; what is left of it is empty, or begins
// with '/' or '?'.
Reason TakeAuthority(RequestHead& head, std::string_view& target, DesyncMode mode) {
  for (const Scheme& scheme : kSchemes) {
    if (!EqualsIgnoreCase(target.substr(0, scheme.prefix.size()), scheme.prefix)) continue;
    const std::string_view rest = target.substr(scheme.prefix.size());
    const size_t end = std::min(rest.find_first_of("/?"), rest.size());
    const std::string_view authority = rest.substr(0, end);
    if (!IsHost(authority)) return Reason::kBadTarget;
    if (!head.host.empty() && !EqualsIgnoreCase(WithoutOwnPort(authority, scheme.own_port),
                                                WithoutOwnPort(head.host, scheme.own_port))) {
      head.Note(Oddity::kHostMismatch);
      if (const Reason reason = Refusal(Oddity::kHostMismatch, mode); reason != Reason::kNone)
        return reason;
    }
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

bool CanonicalizeOrigin(std::string_view& target, const PathRules& rules) {
  if (target.empty() || target.front() != '/' || !AllOf(target, kTargetChar)) return false;
  const size_t mark = std::min(target.find('?'), target.size());
  std::string_view path = target.substr(0, mark);
  const std::string_view query = target.substr(mark);
  const PathCheck check(path, rules);
  if (!check.is_good() || check.has_dot_segments()) return false;
  if (check.needs_rewrite()) path = PathRewrite(path, rules).path();
  char* const base = const_cast<char*>(target.data());  // writable (contract)
  std::memmove(base + path.size(), query.data(), query.size());
  target = std::string_view(base, path.size() + query.size());
  return true;
}

Reason CanonicalizeTarget(RequestHead& head, DesyncMode mode, const PathRules& rules) {
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
  if (target.empty() && head.method == Method::kOptions) {
    head.path = "*";
    return Reason::kNone;
  }
  const size_t mark = target.find('?');
  head.path = target.substr(0, mark);
  if (mark != std::string_view::npos) {
    head.has_query = true;
    head.query = target.substr(mark + 1);
  }
  if (head.path.empty()) head.path = "/";  // of an absolute form (RFC 9110 section 4.2.3)
  const PathCheck check(head.path, rules);
  if (!check.is_good()) return Reason::kBadPath;
  if (check.has_dot_segments()) {
    head.Note(Oddity::kDotSegments);
    if (const Reason reason = Refusal(Oddity::kDotSegments, mode); reason != Reason::kNone)
      return reason;
  }
  if (check.needs_rewrite()) head.path = PathRewrite(head.path, rules).path();
  return Reason::kNone;
}

}  // namespace remuda::proxy::http
