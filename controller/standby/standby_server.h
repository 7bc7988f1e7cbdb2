// StandbyServer: the ports of a controller that does not lead. Who comes to them is passed on to
// the one that does.
//
// Owns: the listening sockets, the gate, what is passed on. Does not own: who leads (Roster).
// Thread: public functions any, one at a time.
#pragma once

#include <absl/status/statusor.h>

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "common/endpoint.h"
#include "controller/api/acceptor.h"
#include "controller/identity/cluster_identity.h"
#include "controller/identity/gate.h"
#include "controller/standby/no_leader.h"
#include "controller/standby/relay.h"
#include "remuda/store/v1/etcd.pb.h"

namespace remuda {

class StandbyServer {
 public:
  // Of the join endpoint, whose callers have proved nothing; the leader keeps fewer.
  static constexpr size_t kMaxJoins = 256;

  // Binds and listens: from then on the addresses are known. Who comes before Serve waits. No
  // `join`: there is no join endpoint.
  static absl::StatusOr<std::unique_ptr<StandbyServer>> Listen(const Endpoint& api,
                                                               std::optional<Endpoint> join);
  StandbyServer(const StandbyServer&) = delete;
  StandbyServer& operator=(const StandbyServer&) = delete;
  ~StandbyServer();  // closes everything

  struct Options {
    ClusterIdentity* cluster = nullptr;  // null: there are no identities. Started; outlives it
    Callers* callers = nullptr;          // outlives it
    Metrics* metrics = nullptr;          // outlives it
    size_t max_descriptors = 0;          // see Acceptor::Bound
    std::function<std::string()> why_no_leader;
    // See Gate::Options.
    std::function<void(const std::string& address, const std::string& why)> on_refused;
  };
  // Once.
  absl::Status Serve(const Options& options);

  // Who leads now; null: nobody. After Serve.
  void SetLeader(const store::v1::EtcdController* leader, int64_t epoch);

  // "ADDRESS:PORT", as they listen; the second is empty where there is none.
  const std::string& api_address() const { return api_->address(); }
  std::string join_address() const { return join_ == nullptr ? "" : join_->address(); }

 private:
  StandbyServer(std::unique_ptr<Acceptor> api, std::unique_ptr<Acceptor> join)
      : api_(std::move(api)), join_(std::move(join)) {}

  ClusterIdentity* cluster_ = nullptr;
  // In the order in which they are made; those that hand over end first.
  std::unique_ptr<NoLeader> no_leader_;
  std::unique_ptr<Relay> calls_;
  std::unique_ptr<Relay> joins_;
  std::unique_ptr<Gate> gate_;
  std::unique_ptr<Acceptor> api_;
  std::unique_ptr<Acceptor> join_;
};

}  // namespace remuda
