// `http://HOST[:PORT][/PATH]`: what checks may be asked at. Pure.
#pragma once

#include <string>
#include <string_view>

namespace remuda::core {

struct HttpUrl {
  std::string host;  // a name or an address, without brackets
  int port = 80;
  std::string target;  // path and query (RFC 9112 section 3.2.1), begins with a slash

  // As in the Host field.
  std::string authority() const;
};

// What is wrong with the text, as in "must be ..."; empty: `url` has it.
std::string ParseHttpUrl(std::string_view text, HttpUrl& url);

}  // namespace remuda::core
