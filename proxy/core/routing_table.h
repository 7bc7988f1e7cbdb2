// What a proxy serves, compiled from the config message: immutable, shared by all workers, and
// sharing with the table before it everything that did not change. The request path reads this and
// never a protobuf message.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "proxy/core/config_fwd.h"
#include "proxy/core/goodbye.h"
#include "proxy/core/group_policy.h"
#include "proxy/core/hash_ring.h"
#include "proxy/core/preview.h"
#include "proxy/core/rule.h"
#include "proxy/core/subset_state.h"
#include "proxy/core/target_state.h"
#include "proxy/core/tls_resources.h"
#include "proxy/http/head_parser.h"
#include "proxy/http/head_writer.h"
#include "proxy/http/proxy_protocol.h"
#include "proxy/http/target.h"

namespace remuda::proxy {

// The bounds of a config, with the names that errors use.
inline constexpr int kMaxListeners = 50;
inline constexpr int kMaxSubsets = 16;
inline constexpr int kMaxSubsetWeight = 10000;
inline constexpr size_t kMaxPastSubsets = 4;
inline constexpr int kMaxTargets = 10000;
inline constexpr int kMaxSharedSecrets = 2;
inline constexpr size_t kMinSecretBytes = 32;

struct HealthCheckSpec {
  bool is_tcp = false;
  bool is_tls = false;           // HTTPS
  std::string server_name = {};  // to ask for by SNI, or empty
  std::string host = {};         // for the Host field; empty: the target's address and port
  std::string path = "/";
  uint16_t port = 0;  // 0: the port of the traffic
  std::chrono::milliseconds interval{30000};
  std::chrono::milliseconds timeout{5000};
  int healthy_threshold = 5;
  int unhealthy_threshold = 2;
  std::string greeting = {};  // sent first: a PROXY protocol header that names nobody
  std::vector<std::pair<int, int>> matcher{{200, 200}};  // inclusive ranges
  std::string matcher_text = "200";

  bool Passes(int status) const {
    for (const auto& [low, high] : matcher) {
      if (status >= low && status <= high) return true;
    }
    return false;
  }
  bool operator==(const HealthCheckSpec&) const = default;
};

struct Member {
  std::shared_ptr<TargetState> target;
  std::shared_ptr<const v1::Target> config;
  AdminState admin = AdminState::kActive;
  int32_t weight = 1;
  size_t subset = 0;         // index
  bool is_own_zone = false;  // it is in the proxy's own zone
};

struct SubsetSpec {
  std::string name;
  int32_t weight = 0;
  std::shared_ptr<SubsetState> state = nullptr;
};

// What clients speak on a listener, or targets of a group; kTls: bytes under TLS.
enum class ListenerProtocol : uint8_t { kHttp, kHttps, kTcp, kTls };

// Bytes, not messages.
constexpr bool IsBytes(ListenerProtocol protocol) {
  return protocol == ListenerProtocol::kTcp || protocol == ListenerProtocol::kTls;
}

struct TargetGroup {
  std::string id;
  ListenerProtocol protocol = ListenerProtocol::kHttp;
  http::ProxyVersion proxy_protocol = http::ProxyVersion::kNone;
  uint64_t serial = 0;  // of this compiled form, unique in the process
  std::shared_ptr<GroupState> state;
  HealthCheckSpec health_check;
  std::chrono::milliseconds deregistration_delay{300000};
  WebSocketClose web_socket_close = WebSocketClose::kNearEnd;
  GroupPolicy policy;
  std::vector<Member> members;  // by target id
  std::vector<SubsetSpec> subsets;
  // Subsets that it had, the latest first: their counts go on if they come back.
  std::vector<SubsetSpec> past_subsets;
  std::vector<Preview> previews;  // in order
  MirrorSpec mirror;
  // The subsets of these, each once, as indexes into `subsets`.
  std::vector<size_t> direct_subsets;
  std::shared_ptr<const HashRing> hash_ring;      // null unless requests are spread by hash
  std::vector<uint32_t> members_by_hash;          // of their ids; empty unless clients are sticky
  std::shared_ptr<const tls::ClientContext> tls;  // of HTTPS and TLS groups, else null
  // Sources, for the last good config and /config.
  std::shared_ptr<const remuda::v1::TargetGroup> config;
  std::shared_ptr<const v1::TrafficSplit> split;  // may be null

  // The member of that target id, or null.
  const Member* Find(std::string_view target_id) const;
};

class IngressSet;
class RuleIndex;
struct LoadBalancer;

struct ListenerSpec {
  ListenerProtocol protocol = ListenerProtocol::kHttp;
  std::string address;  // empty: all
  uint16_t port = 0;
  std::vector<Rule> rules;                        // by priority, the default last
  std::shared_ptr<const RuleIndex> index;         // over `rules`
  const LoadBalancer* load_balancer = nullptr;    // that holds it
  std::shared_ptr<const tls::ServerContext> tls;  // of kHttps and kTls, else null
  // Who begins connections with a PROXY protocol header.
  std::vector<Cidr> proxy_protocol_sources;
  // Who may connect: the socket's own peer counts, before a PROXY header or TLS. Null: everybody.
  std::shared_ptr<const IngressSet> ingress;
  std::chrono::milliseconds tcp_idle_timeout{350000};  // of kTcp and kTls

  // Listeners of one key share a socket over tables. Each of port 0 is one of its own.
  std::string Key() const;
};

struct LoadBalancer {
  std::string id;
  uint64_t serial = 0;  // unique in the process: tells a changed one from the one before it
  std::chrono::milliseconds idle_timeout{60000};
  std::chrono::milliseconds client_keep_alive{3600000};
  http::HeaderRules headers;
  http::DesyncMode desync_mode = http::DesyncMode::kStrictest;
  http::PathRules paths;
  std::vector<ListenerSpec> listeners;
  std::shared_ptr<BalancerState> state;  // the same over its changes
  std::shared_ptr<const remuda::v1::LoadBalancer> config;
};

// By id, as the config says them.
using SecurityGroups = std::map<std::string, std::shared_ptr<const remuda::v1::SecurityGroup>>;

struct Revision {
  int64_t epoch = 0;
  int64_t sequence = 0;
  auto operator<=>(const Revision&) const = default;
};

// A target that ceased to be active, and what its group says of such.
struct LeavingTarget {
  std::shared_ptr<TargetState> target;
  bool is_gone = false;
  std::chrono::milliseconds delay{0};
  WebSocketClose web_socket_close = WebSocketClose::kNearEnd;
};

struct RoutingTable {
  Revision revision;  // 0.0 for a config file
  std::string
      digest;  // as the controller names the content (ConfigUpdate.digest); empty: not known
  std::map<std::string, std::shared_ptr<const TargetGroup>> groups;
  std::map<std::string, std::shared_ptr<const LoadBalancer>> load_balancers;
  SecurityGroups security_groups;
  std::vector<std::string> shared_secrets;  // the newest first; empty: each process has its own
  std::shared_ptr<const TlsResources> tls = std::make_shared<const TlsResources>();

  // What changed from the table before it, so that adopting it costs only that.
  std::vector<std::shared_ptr<const TargetGroup>> changed_groups;
  std::vector<std::shared_ptr<GroupState>> removed_groups;
  // Targets that ceased to be active (draining, gone, removed) with this table.
  std::vector<LeavingTarget> leaving;
  // Admin states that come into force when it is published.
  std::vector<std::pair<std::shared_ptr<TargetState>, AdminState>> admin_changes;
};

// Why a config was refused.
struct ConfigError {
  std::string resource;  // full name
  std::string reason;    // field, value and rule
};

using CompileResult = std::variant<std::shared_ptr<const RoutingTable>, ConfigError>;

struct CompileOptions {
  size_t workers = 1;
  std::string zone = "";         // the proxy's own
  bool allow_port_zero = false;  // config files only
  TlsCompiler* tls = nullptr;    // null: nothing that needs TLS is served
  // Says where new turns of shares begin: each proxy has its own, so that several are right
  // together over short windows.
  uint64_t seed = 0;
};

// Applies an update to `previous` (not null; an empty table at first) and compiles the result.
// Nothing of `previous` changes, and nothing outside it: an error leaves no trace. The base of a
// delta must have been checked by the caller.
CompileResult CompileUpdate(const RoutingTable& previous, const v1::ConfigUpdate& update,
                            const CompileOptions& options);

// Brings the admin states of a table into force; called once, by the coordinator, before any worker
// adopts it.
void Publish(const RoutingTable& table);

// The config message that `table` was compiled from.
v1::ProxyConfig ConfigOf(const RoutingTable& table);

}  // namespace remuda::proxy
