#include "proxy/core/tls_resources.h"

#include <algorithm>
#include <utility>

#include "proxy/core/routing_table.h"
#include "remuda/proxy/v1/proxy.pb.h"

namespace remuda::proxy {
namespace {

bool IsTls(remuda::v1::Protocol protocol) {
  return protocol == remuda::v1::PROTOCOL_HTTPS || protocol == remuda::v1::PROTOCOL_TLS;
}

bool Refuse(std::string resource, std::string reason, ConfigError& error) {
  error = {std::move(resource), std::move(reason)};
  return false;
}

bool IsSame(const remuda::v1::Certificate& a, const remuda::v1::Certificate& b) {
  return a.certificate_pem() == b.certificate_pem() && a.private_key_pem() == b.private_key_pem();
}

// The update's certificates into `resources`; those that have to be parsed into `to_parse`.
bool TakeCertificates(const TlsResources& previous, const v1::ConfigUpdate& update,
                      TlsResources& resources,
                      std::vector<const remuda::v1::Certificate*>& to_parse, ConfigError& error) {
  for (const std::string& name : update.removed_certificates()) {
    std::string id;
    if (!NormalizeId(name, "certificates", id))
      return Refuse(name, "not a certificate's name", error);
    resources.certificates.erase(id);
  }
  std::set<std::string> seen;
  for (const auto& config : update.upserts().certificates()) {
    std::string id;
    if (!NormalizeId(config.name(), "certificates", id)) {
      return Refuse(config.name(),
                    "name: " + Quote(config.name()) + " is not an id ([a-z0-9-], at most 63)",
                    error);
    }
    const std::string name = "certificates/" + id;
    if (!seen.insert(id).second) return Refuse(name, "name: there are two of it", error);
    if (!config.certificate_file().empty())
      return Refuse(name, "certificate_file: is only for a proxy's config file", error);
    if (!config.private_key_file().empty())
      return Refuse(name, "private_key_file: is only for a proxy's config file", error);
    auto stored = std::make_shared<remuda::v1::Certificate>(config);
    stored->set_name(id);
    TlsResources::Entry& entry = resources.certificates[id];
    entry = {std::move(stored), nullptr};
    const auto before = previous.certificates.find(id);
    if (before != previous.certificates.end() && IsSame(*before->second.config, config)) {
      entry.parsed = before->second.parsed;
    } else {
      to_parse.push_back(entry.config.get());
    }
  }
  if (auto f = CheckRange("certificates", static_cast<int64_t>(resources.certificates.size()), 0,
                          kMaxCertificates)) {
    return Refuse("certificates", *f, error);
  }
  return true;
}

void NoteChanges(const TlsResources& previous, TlsUpdate& out) {
  for (const auto& [id, entry] : out.resources->certificates) {
    const auto before = previous.certificates.find(id);
    if (before == previous.certificates.end() || before->second.parsed != entry.parsed)
      out.changed.insert(id);
  }
  for (const auto& [id, entry] : previous.certificates) {
    if (out.resources->certificates.count(id) == 0) out.changed.insert(id);
  }
}

// The certificates that a listener names, in its order.
Fault FindCertificates(const remuda::v1::Listener& config, const TlsResources& resources,
                       std::vector<std::shared_ptr<const remuda::tls::Certificate>>& out) {
  if (auto f =
          CheckRange("certificates", config.certificates_size(), 1, kMaxListenerCertificates)) {
    return f;
  }
  std::set<std::string> seen;
  for (const std::string& name : config.certificates()) {
    std::string id;
    if (!NormalizeId(name, "certificates", id))
      return "certificates: " + Quote(name) + " is not a certificate's name";
    const auto it = resources.certificates.find(id);
    if (it == resources.certificates.end())
      return "certificates: there is no certificate " + Quote(id);
    if (!seen.insert(id).second) return "certificates: " + Quote(id) + " is there twice";
    out.push_back(it->second.parsed);
  }
  return std::nullopt;
}

Fault RefuseTls(const remuda::v1::Listener& config) {
  for (const auto& [is_set, field] :
       {std::pair<bool, const char*>{config.certificates_size() > 0, "certificates"},
        {config.tls_policy() != 0, "tls_policy"},
        {config.has_mutual_authentication(), "mutual_authentication"}}) {
    if (is_set) return std::string(field) + ": is only for HTTPS and TLS listeners";
  }
  return std::nullopt;
}

}  // namespace

bool UpdateTls(const TlsResources& previous, const v1::ConfigUpdate& update, TlsCompiler* compiler,
               TlsUpdate& out, ConfigError& error) {
  const bool is_untouched = update.has_base() && update.upserts().certificates().empty() &&
                            update.removed_certificates().empty();
  if (is_untouched) return true;
  auto resources = std::make_shared<TlsResources>();
  if (update.has_base()) *resources = previous;
  std::vector<const remuda::v1::Certificate*> to_parse;
  if (!TakeCertificates(previous, update, *resources, to_parse, error)) return false;
  if (compiler == nullptr && !to_parse.empty())
    return Refuse("certificates/" + to_parse.front()->name(), "TLS is not served here", error);
  if (compiler != nullptr) {
    std::vector<TlsCompiler::Parsed> parsed = compiler->ParseCertificates(to_parse);
    for (size_t i = 0; i < parsed.size(); ++i) {
      if (parsed[i].fault)
        return Refuse("certificates/" + to_parse[i]->name(), *parsed[i].fault, error);
      resources->certificates[to_parse[i]->name()].parsed = std::move(parsed[i].certificate);
    }
  }
  out.resources = std::move(resources);
  NoteChanges(previous, out);
  return true;
}

Fault AttachTls(const remuda::v1::LoadBalancer& config, const TlsResources& resources,
                TlsCompiler* compiler, LoadBalancer& balancer) {
  for (int i = 0; i < config.listeners_size(); ++i) {
    const remuda::v1::Listener& listener = config.listeners(i);
    const std::string where = "listener " + std::to_string(listener.port()) + ": ";
    if (listener.has_http2() && listener.protocol() != remuda::v1::PROTOCOL_HTTPS)
      return where + "http2: is only for HTTPS listeners";
    if (!IsTls(listener.protocol())) {
      if (auto f = RefuseTls(listener)) return Prefix(where, f);
      continue;
    }
    if (compiler == nullptr) return where + "protocol: TLS is not served here";
    std::vector<std::shared_ptr<const remuda::tls::Certificate>> certificates;
    if (auto f = FindCertificates(listener, resources, certificates)) return Prefix(where, f);
    if (auto f = compiler->MakeServerContext({listener, balancer.id, std::move(certificates)},
                                             balancer.listeners[static_cast<size_t>(i)].tls)) {
      return Prefix(where, f);
    }
  }
  return std::nullopt;
}

bool IsTouched(const remuda::v1::LoadBalancer& config, const TlsUpdate& update) {
  if (update.changed.empty()) return false;
  for (const remuda::v1::Listener& listener : config.listeners()) {
    if (!IsTls(listener.protocol())) continue;
    for (const std::string& name : listener.certificates()) {
      std::string id;
      if (NormalizeId(name, "certificates", id) && update.changed.count(id) > 0) return true;
    }
  }
  return false;
}

Fault AttachTls(const remuda::v1::TargetGroup& config, const TargetGroup* before,
                TlsCompiler* compiler, TargetGroup& group) {
  if (!IsTls(config.protocol())) {
    if (config.has_target_tls()) return "target_tls: is only for HTTPS and TLS groups";
    return std::nullopt;
  }
  if (compiler == nullptr) return "protocol: TLS is not served here";
  if (before != nullptr && before->tls != nullptr &&
      before->config->target_tls().SerializeAsString() == config.target_tls().SerializeAsString()) {
    group.tls = before->tls;
    return std::nullopt;
  }
  return compiler->MakeClientContext(config.target_tls(), group.tls);
}

}  // namespace remuda::proxy
