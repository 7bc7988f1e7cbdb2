// ProxyPlayer: does at once what a proxy would: acknowledges each config, and finds each new target
// healthy. Thread: any.
#pragma once

#include <absl/container/flat_hash_set.h>

#include <functional>
#include <memory>
#include <mutex>
#include <string>

#include "remuda/proxy/v1/proxy.pb.h"
#include "tests/bench/control/link.h"
#include "tests/bench/control/tally.h"

namespace remuda::bench {

class ProxyPlayer final : public LinkHandler {
 public:
  struct Options {
    std::string name;
    std::string shard;  // label for proxy_selector
  };
  ProxyPlayer(Options options, Tally& tally) : options_(std::move(options)), tally_(tally) {}

  using Dial = std::function<std::unique_ptr<Link>(LinkHandler&)>;
  void Connect(const Dial& dial);
  void Disconnect();

  // What is said every few seconds: no target had traffic.
  void ReportStats();

  void OnMessage(Link& link, const Frame& message) override;
  void OnEnd(const std::string& why) override;

 private:
  void Send(Link& link, const proxy::v1::ConnectRequest& message);
  void Take(Link& link, const proxy::v1::ConfigUpdate& update);
  // What each session begins with: all targets are healthy.
  void ReportAll(Link& link);
  // Puts new targets into `report`.
  void Find(const proxy::v1::ConfigUpdate& update, proxy::v1::HealthReport& report);

  const Options options_;
  Tally& tally_;
  std::mutex mutex_;  // guards what follows
  absl::flat_hash_set<const TargetName*> targets_;
  v1::Revision held_;
  std::string digest_;  // of that
  std::unique_ptr<Link> link_;
};

}  // namespace remuda::bench
