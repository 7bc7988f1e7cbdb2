// The config files of the tests: one load balancer `shop` on any port, one group `blue`.
#pragma once

#include <string>
#include <vector>

#include "tests/component/proxy/testing/scripted_target.h"

namespace remuda::proxy::testing {

// For HTTP, with fast checks.
inline std::string ConfigFor(const std::vector<uint16_t>& ports,
                             const std::string& group_extra = "",
                             const std::string& balancer_extra = "",
                             const std::string& rules = "") {
  std::string text =
      "loadBalancers:\n"
      "  - name: shop\n" +
      balancer_extra +
      "    listeners:\n"
      "      - port: 0\n"
      "        address: 127.0.0.1\n" +
      rules +
      "        defaultAction: { forward: { targetGroups: [{ targetGroup: blue }] } }\n"
      "targetGroups:\n"
      "  - name: blue\n" +
      group_extra +
      "    healthCheck: { path: /health, interval: 100ms, timeout: 2s, healthyThreshold: 2, "
      "unhealthyThreshold: 2 }\n";
  if (!ports.empty()) text += "targets:\n";
  for (const uint16_t port : ports) {
    text += "  - { targetGroup: blue, address: 127.0.0.1, port: " + std::to_string(port) + " }\n";
  }
  return text;
}

// The same with checks that do not wait long.
inline std::string WithQuickChecks(std::string config) {
  const std::string timeout = "timeout: 2s";
  const size_t at = config.find(timeout);
  return config.replace(at, timeout.size(), "timeout: 300ms");
}

// Load balancer `shop` with one listener for bytes on any port. Its groups, of equal weights, get
// the targets in turn. Checks are rare: the first finds a target healthy.
struct BytesConfig {
  std::vector<uint16_t> targets;
  std::string listener = "protocol: TCP";  // fields of it
  std::string group = "protocol: TCP";     // fields of each
  std::vector<std::string> groups = {"blue"};
};

inline std::string BytesConfigFor(const BytesConfig& config) {
  std::string names, groups, targets;
  for (const std::string& name : config.groups) {
    names += "{ targetGroup: " + name + " }, ";
    groups += "  - { name: " + name + ", " + config.group +
              ",\n      healthCheck: { interval: 30s, timeout: 2s, unhealthyThreshold: 2 } }\n";
  }
  for (size_t i = 0; i < config.targets.size(); ++i) {
    targets += "  - { targetGroup: " + config.groups[i % config.groups.size()] +
               ", address: 127.0.0.1, port: " + std::to_string(config.targets[i]) + " }\n";
  }
  return "loadBalancers:\n  - name: shop\n    listeners:\n      - { port: 0, address: 127.0.0.1, " +
         config.listener + ",\n          defaultAction: { forward: { targetGroups: [" + names +
         "] } } }\ntargetGroups:\n" + groups + (targets.empty() ? "" : "targets:\n" + targets);
}

inline int StatusOf(const std::string& response) {
  return response.size() > 12 && response.rfind("HTTP/1.1 ", 0) == 0
             ? std::atoi(response.c_str() + 9)
             : 0;
}

inline std::string BodyOf(const std::string& response) {
  const size_t at = response.find("\r\n\r\n");
  return at == std::string::npos ? "" : response.substr(at + 4);
}

// One GET on a connection of its own.
inline std::string Get(uint16_t port, const std::string& path = "/") {
  RawSocket client = RawSocket::Connect(port);
  client.Send("GET " + path + " HTTP/1.1\r\nHost: shop.test\r\n\r\n");
  return client.ReadMessage();
}

}  // namespace remuda::proxy::testing
