#include "agent/site_path.h"

#include <algorithm>
#include <limits>
#include <vector>

namespace remuda::agent {
namespace {

int HexDigit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

// nullopt: an escape that is none, or a control character.
std::optional<std::string> Unescape(std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    char c = text[i];
    if (c == '%') {
      const int high = i + 1 < text.size() ? HexDigit(text[i + 1]) : -1;
      const int low = i + 2 < text.size() ? HexDigit(text[i + 2]) : -1;
      if (high < 0 || low < 0) return std::nullopt;
      c = static_cast<char>(high * 16 + low);
      i += 2;
    }
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) return std::nullopt;
    out += c;
  }
  return out;
}

std::string_view Trim(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

// nullopt: not digits alone. What is too large for the type is its largest value.
std::optional<uint64_t> Number(std::string_view text) {
  if (text.empty()) return std::nullopt;
  constexpr uint64_t kMost = std::numeric_limits<uint64_t>::max();
  uint64_t value = 0;
  for (const char c : text) {
    if (c < '0' || c > '9') return std::nullopt;
    const auto digit = static_cast<uint64_t>(c - '0');
    value = value > (kMost - digit) / 10 ? kMost : value * 10 + digit;
  }
  return value;
}

bool EqualsWithoutCase(std::string_view a, std::string_view b) {
  const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; };
  return a.size() == b.size() && std::equal(a.begin(), a.end(), b.begin(),
                                            [&](char x, char y) { return lower(x) == lower(y); });
}

struct ContentType {
  std::string_view end, type;
};
constexpr ContentType kTypes[] = {
    {"html", "text/html; charset=utf-8"},
    {"htm", "text/html; charset=utf-8"},
    {"css", "text/css; charset=utf-8"},
    {"js", "text/javascript; charset=utf-8"},
    {"mjs", "text/javascript; charset=utf-8"},
    {"json", "application/json"},
    {"map", "application/json"},
    {"webmanifest", "application/manifest+json"},
    {"xml", "application/xml"},
    {"txt", "text/plain; charset=utf-8"},
    {"md", "text/markdown; charset=utf-8"},
    {"csv", "text/csv; charset=utf-8"},
    {"svg", "image/svg+xml"},
    {"png", "image/png"},
    {"jpg", "image/jpeg"},
    {"jpeg", "image/jpeg"},
    {"gif", "image/gif"},
    {"webp", "image/webp"},
    {"avif", "image/avif"},
    {"ico", "image/x-icon"},
    {"woff", "font/woff"},
    {"woff2", "font/woff2"},
    {"ttf", "font/ttf"},
    {"otf", "font/otf"},
    {"wasm", "application/wasm"},
    {"pdf", "application/pdf"},
    {"mp3", "audio/mpeg"},
    {"ogg", "audio/ogg"},
    {"wav", "audio/wav"},
    {"mp4", "video/mp4"},
    {"webm", "video/webm"},
    {"zip", "application/zip"},
    {"gz", "application/gzip"},
};

}  // namespace

SitePath SitePathOf(std::string_view target) {
  if (target.size() > kMaxSitePathBytes) return {.status = 414};
  target = target.substr(0, target.find_first_of("?#"));
  if (target.empty() || target[0] != '/') return {.status = 400};
  const auto text = Unescape(target);
  if (!text) return {.status = 400};
  SitePath out;
  out.is_directory = text->back() == '/';
  for (size_t begin = 1; begin < text->size();) {
    const size_t end = std::min(text->find('/', begin), text->size());
    const std::string part = text->substr(begin, end - begin);
    begin = end + 1;
    if (part.empty() || part == ".") {
      out.is_directory = out.is_directory || (part == "." && end == text->size());
      continue;
    }
    if (part == "..") return {.status = 400};
    if (part[0] == '.' && part != ".well-known") return {.status = 404};
    out.path += (out.path.empty() ? "" : "/") + part;
  }
  return out;
}

std::string_view ContentTypeOf(std::string_view path) {
  const std::string_view name = path.substr(path.rfind('/') + 1);
  const size_t dot = name.rfind('.');
  if (dot != std::string_view::npos) {
    for (const ContentType& known : kTypes) {
      if (EqualsWithoutCase(name.substr(dot + 1), known.end)) return known.type;
    }
  }
  return "application/octet-stream";
}

RangeWanted RangeOf(std::string_view header, uint64_t size) {
  constexpr std::string_view kUnit = "bytes=";
  header = Trim(header);
  if (header.size() < kUnit.size() || !EqualsWithoutCase(header.substr(0, kUnit.size()), kUnit))
    return {};
  const std::string_view range = Trim(header.substr(kUnit.size()));
  const size_t dash = range.find('-');
  if (dash == std::string_view::npos || range.find(',') != std::string_view::npos) return {};
  const auto first = Number(range.substr(0, dash)), last = Number(range.substr(dash + 1));
  if (dash == 0) {
    // The last so many bytes.
    if (!last) return {};
    if (*last == 0 || size == 0) return {.is_unsatisfiable = true};
    const uint64_t bytes = std::min(*last, size);
    return {.range = ByteRange{size - bytes, bytes}};
  }
  if (!first || (!last && dash + 1 != range.size()) || (last && *last < *first)) return {};
  if (*first >= size) return {.is_unsatisfiable = true};
  const uint64_t end = last ? std::min(*last, size - 1) : size - 1;
  return {.range = ByteRange{*first, end - *first + 1}};
}

bool HasTag(std::string_view list, std::string_view tag) {
  if (Trim(list) == "*") return true;
  for (size_t begin = 0; begin <= list.size();) {
    const size_t end = std::min(list.find(',', begin), list.size());
    std::string_view one = Trim(list.substr(begin, end - begin));
    if (one.substr(0, 2) == "W/") one.remove_prefix(2);
    if (!one.empty() && one == tag) return true;
    begin = end + 1;
  }
  return false;
}

}  // namespace remuda::agent
