// What a listener's protocol asks for and rules out, and the rewrites of its rules.
#include <absl/strings/str_cat.h>

#include "controller/core/door/validate_resources.h"
#include "controller/core/model/limits.h"
#include "controller/core/model/names.h"

namespace remuda::core {
namespace {

bool IsBytes(v1::Protocol protocol) {
  return protocol == v1::PROTOCOL_TCP || protocol == v1::PROTOCOL_TLS;
}

bool IsTls(v1::Protocol protocol) {
  return protocol == v1::PROTOCOL_HTTPS || protocol == v1::PROTOCOL_TLS;
}

std::string NameOfProtocol(v1::Protocol protocol) {
  return v1::Protocol_Name(protocol).substr(std::string_view("PROTOCOL_").size());
}

// The groups of an action speak what the listener can carry.
void CheckGroupsOf(Violations& out, const FieldPath& at, const References& references,
                   v1::Protocol listener, const v1::Action& action) {
  for (int i = 0; i < action.forward().target_groups_size(); ++i) {
    const std::string& id = action.forward().target_groups(i).target_group();
    const auto group = references.draft.Find<v1::TargetGroup>(id);
    if (group == nullptr || IsBytes(group->protocol()) == IsBytes(listener)) continue;
    out.Add((at / "forward" / "target_groups")[i] / "target_group",
            absl::StrCat(FullName(kTargetGroups, id), " speaks ", NameOfProtocol(group->protocol()),
                         "; a ", NameOfProtocol(listener), " listener needs ",
                         IsBytes(listener) ? "TCP or TLS" : "HTTP or HTTPS"));
  }
  const auto& sticky = action.forward();
  if (!sticky.has_stickiness_duration()) return;
  const FieldPath here = at / "forward" / "stickiness_duration";
  if (IsBytes(listener)) out.Add(here, "is by a cookie; for HTTP and HTTPS listeners only");
  CheckDuration(out, here, sticky.stickiness_duration(), limits::kMinStickiness,
                limits::kMaxStickiness);
}

void CheckTls(Violations& out, const FieldPath& at, const References& references,
              v1::Listener& value) {
  CheckCount(out, at / "certificates", value.certificates_size(), 1,
             limits::kCertificatesAListener);
  std::set<std::string> seen;
  for (int i = 0; i < value.certificates_size(); ++i) {
    const FieldPath here = (at / "certificates")[i];
    std::string& id = *value.mutable_certificates(i);
    if (!NormalizeReference(out, here, kCertificates, id)) continue;
    const std::string full = FullName(kCertificates, id);
    if (!references.Exists<v1::Certificate>(full, id))
      out.Add(here, absl::StrCat("there is no ", full));
    if (!seen.insert(id).second) out.Add(here, absl::StrCat(full, " is named twice"));
  }
  CheckKnown(out, at / "tls_policy", value.tls_policy(), "a policy");
  const v1::MutualAuthentication& mutual = value.mutual_authentication();
  const FieldPath here = at / "mutual_authentication";
  CheckKnown(out, here / "mode", mutual.mode(), "a mode");
  CheckAuthorities(out, here / "ca_pem", references, mutual.ca_pem());
  const bool verifies = mutual.mode() == v1::MutualAuthentication::MODE_VERIFY;
  if (verifies && mutual.ca_pem().empty()) out.Add(here / "ca_pem", "is needed to verify");
  if (!verifies && !mutual.ca_pem().empty()) out.Add(here / "ca_pem", "is for MODE_VERIFY only");
}

void CheckNoTls(Violations& out, const FieldPath& at, const v1::Listener& value) {
  const std::pair<const char*, bool> fields[] = {
      {"certificates", value.certificates_size() > 0},
      {"tls_policy", value.tls_policy() != v1::TLS_POLICY_UNSPECIFIED},
      {"mutual_authentication", value.has_mutual_authentication()}};
  for (const auto& [field, is_set] : fields) {
    if (is_set) out.Add(at / field, "is for HTTPS and TLS listeners only");
  }
}

void CheckRewrite(Violations& out, const FieldPath& at, bool ignore_case,
                  const v1::Rewrite& value) {
  const int groups = CheckRegex(out, at / "regex", value.regex(),
                                {.max_bytes = limits::kRewriteBytes, .ignore_case = ignore_case});
  CheckText(out, at / "replace", value.replace(), limits::kRewriteBytes);
  if (groups < 0) return;
  const std::string& text = value.replace();
  for (size_t i = text.find('$'); i != std::string::npos; i = text.find('$', i + 2)) {
    const char next = i + 1 < text.size() ? text[i + 1] : '\0';
    if (next == '$' || (next >= '1' && next <= '9' && next - '0' <= groups)) continue;
    out.Add(at / "replace",
            absl::StrCat(Quoted(text.substr(i, 2)), " is neither $$ nor one of the ", groups,
                         " groups of the regex"));
    return;
  }
}

}  // namespace

void CheckListenerProtocol(Violations& out, const FieldPath& at, const References& references,
                           v1::Listener& value) {
  const v1::Protocol protocol = value.protocol();
  if (IsTls(protocol)) {
    CheckTls(out, at, references, value);
  } else {
    CheckNoTls(out, at, value);
  }
  if (protocol != v1::PROTOCOL_HTTPS && value.has_http2())
    out.Add(at / "http2", "is for HTTPS listeners only");
  CheckCount(out, at / "proxy_protocol_sources", value.proxy_protocol_sources_size(), 0,
             limits::kProxyProtocolSources);
  for (int i = 0; i < value.proxy_protocol_sources_size(); ++i) {
    if (IsCidr(value.proxy_protocol_sources(i))) continue;
    out.Add((at / "proxy_protocol_sources")[i],
            absl::StrCat(Quoted(value.proxy_protocol_sources(i)),
                         " is not a CIDR block such as 10.0.0.0/8"));
  }
  CheckGroupsOf(out, at / "default_action", references, protocol, value.default_action());
  for (int i = 0; i < value.rules_size(); ++i)
    CheckGroupsOf(out, (at / "rules")[i] / "action", references, protocol, value.rules(i).action());
  if (!IsBytes(protocol)) {
    if (value.has_tcp_idle_timeout())
      out.Add(at / "tcp_idle_timeout", "is for TCP and TLS listeners only");
    return;
  }
  CheckDuration(out, at / "tcp_idle_timeout", value.tcp_idle_timeout(), limits::kMinTcpIdleTimeout,
                limits::kMaxTcpIdleTimeout);
  if (value.rules_size() > 0)
    out.Add(at / "rules", absl::StrCat(NameOfProtocol(protocol), " listeners have no rules"));
  if (value.default_action().kind_case() != v1::Action::kForward &&
      value.default_action().kind_case() != v1::Action::KIND_NOT_SET) {
    out.Add(at / "default_action",
            absl::StrCat(NameOfProtocol(protocol), " can only be forwarded"));
  }
}

void CheckTransforms(Violations& out, const FieldPath& at, const v1::Rule& value) {
  CheckCount(out, at / "transforms", value.transforms_size(), 0, limits::kTransformsARule);
  if (value.transforms_size() > 0 && value.action().kind_case() != v1::Action::kForward)
    out.Add(at / "transforms", "are for rules that forward only");
  std::set<int> kinds;
  for (int i = 0; i < value.transforms_size(); ++i) {
    const FieldPath here = (at / "transforms")[i];
    const v1::Transform& transform = value.transforms(i);
    if (!kinds.insert(transform.kind_case()).second)
      out.Add(here, "there is one of this kind already");
    switch (transform.kind_case()) {
      case v1::Transform::kHostHeaderRewrite:
        CheckRewrite(out, here / "host_header_rewrite", /*ignore_case=*/true,
                     transform.host_header_rewrite());
        break;
      case v1::Transform::kUrlRewrite:
        CheckRewrite(out, here / "url_rewrite", /*ignore_case=*/false, transform.url_rewrite());
        break;
      case v1::Transform::KIND_NOT_SET:
        out.Add(here, "must be one of host_header_rewrite, url_rewrite");
        break;
    }
  }
}

}  // namespace remuda::core
