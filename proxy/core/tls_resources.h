// Certificates and what listeners and groups make of them: the part of a routing table
// that is about TLS. Immutable, shared by the tables in which none of it changed.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "proxy/core/tls_compiler.h"

namespace remuda::proxy {

struct ConfigError;
struct LoadBalancer;
struct TargetGroup;

inline constexpr int kMaxCertificates = 20000;
inline constexpr int kMaxListenerCertificates = 10000;

struct TlsResources {
  struct Entry {
    std::shared_ptr<const remuda::v1::Certificate> config;  // its name is the id alone
    std::shared_ptr<const remuda::tls::Certificate> parsed;
  };
  std::map<std::string, Entry> certificates;  // by id
};

// What an update makes of `previous`.
struct TlsUpdate {
  std::shared_ptr<const TlsResources> resources;
  std::set<std::string> changed;  // ids of certificates that are new, other, or gone
};

// `compiler` may be null: then a certificate is an error. `out` holds what was before if nothing
// changes; on an error it means nothing.
bool UpdateTls(const TlsResources& previous, const v1::ConfigUpdate& update, TlsCompiler* compiler,
               TlsUpdate& out, ConfigError& error);

// Makes what the HTTPS and TLS listeners of `balancer`, compiled from `config`, need.
Fault AttachTls(const remuda::v1::LoadBalancer& config, const TlsResources& resources,
                TlsCompiler* compiler, LoadBalancer& balancer);

// Whether a load balancer must be attached anew.
bool IsTouched(const remuda::v1::LoadBalancer& config, const TlsUpdate& update);

// Makes what connections to the group's targets need; what `before` (may be null) has is kept if it
// still holds, and with it the connections that were made with it.
Fault AttachTls(const remuda::v1::TargetGroup& config, const TargetGroup* before,
                TlsCompiler* compiler, TargetGroup& group);

}  // namespace remuda::proxy
