#include "common/identity/spiffe_id.h"

#include <algorithm>
#include <array>
#include <utility>

namespace remuda::identity {
namespace {

constexpr std::string_view kScheme = "spiffe://";
constexpr size_t kMaxNameBytes = 63;
constexpr size_t kMaxClusterBytes = 63;
constexpr std::array<std::pair<v1::IdentityRole, std::string_view>, 4> kRoles{{
    {v1::IDENTITY_ROLE_CONTROLLER, "controller"},
    {v1::IDENTITY_ROLE_AGENT, "agent"},
    {v1::IDENTITY_ROLE_PROXY, "proxy"},
    {v1::IDENTITY_ROLE_PERSON, "person"},
}};

bool IsLetterOrDigit(char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); }

bool IsCluster(std::string_view text) {
  return !text.empty() && text.size() <= kMaxClusterBytes &&
         std::all_of(text.begin(), text.end(),
                     [](char c) { return IsLetterOrDigit(c) || c == '-' || c == '.' || c == '_'; });
}

absl::Status Wrong(std::string_view text, const std::string& rule) {
  // A certificate of a stranger may hold anything.
  const bool is_plain =
      std::all_of(text.begin(), text.end(), [](char c) { return c > ' ' && c < 127; });
  return absl::InvalidArgumentError(
      "identity '" + (is_plain ? std::string(text.substr(0, kMaxSpiffeIdBytes)) : "?") +
      "': " + rule);
}

}  // namespace

std::string_view RoleText(v1::IdentityRole role) {
  for (const auto& [value, text] : kRoles) {
    if (value == role) return text;
  }
  return "";
}

v1::IdentityRole RoleOf(std::string_view text) {
  for (const auto& [value, name] : kRoles) {
    if (name == text) return value;
  }
  return v1::IDENTITY_ROLE_UNSPECIFIED;
}

std::string Text(const SpiffeId& id) {
  return std::string(kScheme) + id.cluster + "/" + ActorText(id);
}

std::string ActorText(const SpiffeId& id) { return std::string(RoleText(id.role)) + "/" + id.name; }

bool IsIdentityName(std::string_view name) {
  return !name.empty() && name.size() <= kMaxNameBytes && IsLetterOrDigit(name.front()) &&
         IsLetterOrDigit(name.back()) && std::all_of(name.begin(), name.end(), [](char c) {
           return IsLetterOrDigit(c) || c == '-';
         });
}

absl::StatusOr<SpiffeId> ParseSpiffeId(std::string_view text) {
  static const char kForm[] = "must be spiffe://CLUSTER/ROLE/NAME";
  if (text.size() > kMaxSpiffeIdBytes || text.substr(0, kScheme.size()) != kScheme)
    return Wrong(text, kForm);
  const std::string_view rest = text.substr(kScheme.size());
  const size_t first = rest.find('/');
  if (first == std::string_view::npos) return Wrong(text, kForm);
  const size_t second = rest.find('/', first + 1);
  if (second == std::string_view::npos) return Wrong(text, kForm);
  SpiffeId id;
  id.cluster = rest.substr(0, first);
  id.role = RoleOf(rest.substr(first + 1, second - first - 1));
  id.name = rest.substr(second + 1);
  if (!IsCluster(id.cluster)) return Wrong(text, "its cluster is no cluster's id");
  if (id.role == v1::IDENTITY_ROLE_UNSPECIFIED)
    return Wrong(text, "its role must be controller, agent, proxy or person");
  if (!IsIdentityName(id.name))
    return Wrong(text, "its name must match [a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?");
  return id;
}

}  // namespace remuda::identity
