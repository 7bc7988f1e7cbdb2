// Where in a config file something is wrong that only the compiler sees. Thread: pure functions.
#pragma once

#include <string>

#include "common/message_yaml.h"
#include "proxy/core/routing_table.h"
#include "remuda/proxy/v1/config.pb.h"

namespace remuda::proxy {

// What the compiler refused, with the place of the field that it names, or of the nearest one
// around it that is written: "proxy.yaml:12:9: loadBalancers[0].idleTimeout: loadBalancers/shop:
// idle_timeout: ...".
std::string Explain(const std::string& path, const v1::ProxyConfig& config, const SourceMap& places,
                    const ConfigError& error);

// `--check`: prints "FILE: ok ..." or what is wrong. The exit code: 0 or 2.
int CheckConfigFile(const std::string& path);

}  // namespace remuda::proxy
