#include "proxy/core/query.h"

#include "proxy/http/chars.h"

namespace remuda::proxy {

bool QueryReader::Next(QueryPair& pair) {
  while (!rest_.empty()) {
    const size_t end = rest_.find('&');
    const std::string_view part = rest_.substr(0, end);
    rest_ = end == std::string_view::npos ? std::string_view() : rest_.substr(end + 1);
    if (part.empty()) continue;
    const size_t equals = part.find('=');
    size_t used = 0;
    pair.key = Decode(part.substr(0, equals), used);
    pair.value = equals == std::string_view::npos ? std::string_view()
                                                  : Decode(part.substr(equals + 1), used);
    return true;
  }
  return false;
}

std::string_view QueryReader::Decode(std::string_view text, size_t& used) {
  if (text.find_first_of("%+") == std::string_view::npos) return text;
  if (text.size() > decoded_.size() - used) return text;  // longer than any request line
  char* const out = decoded_.data() + used;
  size_t size = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    char c = text[i] == '+' ? ' ' : text[i];
    if (c == '%' && i + 2 < text.size()) {
      const int high = http::HexValue(text[i + 1]);
      const int low = http::HexValue(text[i + 2]);
      if (high >= 0 && low >= 0) {
        c = static_cast<char>(high * 16 + low);
        i += 2;
      }
    }
    out[size++] = c;
  }
  used += size;
  return {out, size};
}

}  // namespace remuda::proxy
