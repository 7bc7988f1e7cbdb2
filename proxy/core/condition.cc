#include "proxy/core/condition.h"

#include <algorithm>

#include "proxy/core/query.h"
#include "proxy/core/regex.h"
#include "proxy/core/wildcard.h"
#include "proxy/http/chars.h"

namespace remuda::proxy {
namespace {

bool AnyMatches(const Condition& condition, std::string_view text, bool lower) {
  return std::any_of(
             condition.values.begin(), condition.values.end(),
             [&](const std::string& value) { return MatchesWildcard(value, text, lower); }) ||
         std::any_of(condition.regexes.begin(), condition.regexes.end(),
                     [&](const auto& regex) { return regex->MatchesWhole(text); });
}

bool MatchesQuery(const Condition& condition, std::string_view query) {
  QueryReader reader(query);
  QueryPair pair;
  while (reader.Next(pair)) {
    for (const auto& [key, value] : condition.queries) {
      if ((key.empty() || MatchesWildcard(key, pair.key, true)) &&
          MatchesWildcard(value, pair.value, true)) {
        return true;
      }
    }
  }
  return false;
}

constexpr int kMappedBits = 96;

bool IsMapped(const IpBytes& address) {
  return std::all_of(address.begin(), address.begin() + 10, [](uint8_t b) { return b == 0; }) &&
         address[10] == 0xff && address[11] == 0xff;
}

}  // namespace

bool Contains(const Cidr& cidr, const IpBytes& source) {
  if (cidr.prefix_bits < kMappedBits && IsMapped(source)) return false;
  const size_t whole = static_cast<size_t>(cidr.prefix_bits) / 8;
  const int rest = cidr.prefix_bits % 8;
  if (!std::equal(source.begin(), source.begin() + static_cast<ptrdiff_t>(whole),
                  cidr.address.begin()))
    return false;
  if (rest == 0) return true;
  const int mask = (0xff << (8 - rest)) & 0xff;
  return (source[whole] & mask) == (cidr.address[whole] & mask);
}

std::string_view HostName(std::string_view host) {
  // One colon at most, but in brackets (http::IsHost).
  const size_t colon = host.rfind(':');
  if (colon != std::string_view::npos && host.back() != ']') host = host.substr(0, colon);
  if (host.size() > 1 && host.back() == '.') host.remove_suffix(1);
  return host;
}

bool Holds(const Condition& condition, const http::RequestHead& head, const IpBytes& source) {
  switch (condition.kind) {
    case Condition::Kind::kHost:
      return AnyMatches(condition, HostName(head.host), true);
    case Condition::Kind::kPath:
      return AnyMatches(condition, head.path, false);
    case Condition::Kind::kMethod:
      return std::find(condition.values.begin(), condition.values.end(), head.method_name) !=
             condition.values.end();
    case Condition::Kind::kQuery:
      return head.has_query && MatchesQuery(condition, head.query);
    case Condition::Kind::kHeader:
      return std::any_of(head.fields.begin(), head.fields.end(), [&](const http::Field& field) {
        return http::EqualsIgnoreCase(field.name, condition.header_name) &&
               AnyMatches(condition, field.value, true);
      });
    case Condition::Kind::kSourceIp:
      return std::any_of(condition.sources.begin(), condition.sources.end(),
                         [&](const Cidr& cidr) { return Contains(cidr, source); });
  }
  return false;
}

}  // namespace remuda::proxy
