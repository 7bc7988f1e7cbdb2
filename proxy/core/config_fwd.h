// The config's messages by name alone: what only passes them on does not read their headers, which
// cost more to compile than the rest of a file.
#pragma once

namespace remuda::v1 {
class Certificate;
class LoadBalancer;
class Listener;
class SecurityGroup;
class TargetGroup;
class TargetTls;
}  // namespace remuda::v1

namespace remuda::proxy::v1 {
class ConfigUpdate;
class ProxyConfig;
class Target;
class TrafficSplit;
}  // namespace remuda::proxy::v1
