#include "common/tls/dns_name.h"

namespace remuda::tls {

bool NormalizeDnsName(std::string_view name, bool allow_wildcard, std::string& out) {
  if (!name.empty() && name.back() == '.') name.remove_suffix(1);
  if (name.empty() || name.size() > kMaxDnsNameBytes) return false;
  out.assign(name);
  size_t label = 0;       // bytes of the label so far
  bool is_digits = true;  // the last label: an address, no name
  for (size_t i = 0; i < out.size(); ++i) {
    char& c = out[i];
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    if (c == '.') {
      if (label == 0) return false;
      label = 0;
      is_digits = true;
      continue;
    }
    const bool is_star = c == '*' && i == 0 && allow_wildcard && out.size() > 2 && out[1] == '.';
    const bool is_digit = c >= '0' && c <= '9';
    if (!is_star && !is_digit && !(c >= 'a' && c <= 'z') && c != '-' && c != '_') return false;
    is_digits = is_digits && is_digit;
    if (++label > 63) return false;
  }
  return label > 0 && !is_digits;
}

}  // namespace remuda::tls
