// Routing tables for tests, made as the proxy makes them: from config messages.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "common/message_yaml.h"
#include "proxy/core/routing_table.h"
#include "remuda/proxy/v1/proxy.pb.h"

namespace remuda::proxy::testing {

// Load balancer `shop` (port 8080) with `rules` (YAML) before a default that forwards to group
// `blue`, whose targets are given as "id:weight".
inline v1::ProxyConfig Config(const std::vector<std::string>& targets,
                              const std::string& rules = "[]") {
  v1::ProxyConfig config;
  const std::string text =
      "load_balancers: [{name: shop, listeners: [{port: 8080, rules: " + rules +
      ", default_action: {forward: {target_groups: [{target_group: blue}]}}}]}]\n"
      "target_groups: [{name: blue}]\n";
  const absl::Status status = ParseMessageYaml(text, "test", &config);
  EXPECT_TRUE(status.ok()) << status;
  int port = 1000;
  for (const std::string& target : targets) {
    auto* added = config.add_targets();
    added->set_target_group("blue");
    added->set_id(target.substr(0, target.find(':')));
    added->set_weight(std::stoi(target.substr(target.find(':') + 1)));
    added->set_address("127.0.0.1");
    added->set_port(++port);
  }
  return config;
}

inline void AddSplit(v1::ProxyConfig& config,
                     const std::vector<std::pair<std::string, int>>& weights) {
  auto* split = config.add_traffic_splits();
  split->set_target_group("blue");
  for (const auto& [subset, weight] : weights) {
    split->add_subsets()->set_subset(subset);
    split->mutable_subsets(split->subsets_size() - 1)->set_weight(weight);
  }
}

inline CompileResult TryCompile(const v1::ConfigUpdate& update,
                                std::shared_ptr<const RoutingTable> previous = nullptr) {
  static const RoutingTable empty;
  return CompileUpdate(previous == nullptr ? empty : *previous, update,
                       {.workers = 2, .zone = "z1"});
}

inline std::shared_ptr<const RoutingTable> Compile(
    const v1::ProxyConfig& config, std::shared_ptr<const RoutingTable> previous = nullptr) {
  v1::ConfigUpdate update;
  *update.mutable_upserts() = config;
  CompileResult result = TryCompile(update, std::move(previous));
  const auto* error = std::get_if<ConfigError>(&result);
  EXPECT_EQ(error, nullptr) << error->resource << ": " << error->reason;
  return error != nullptr ? nullptr : std::get<std::shared_ptr<const RoutingTable>>(result);
}

}  // namespace remuda::proxy::testing
