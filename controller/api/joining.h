// Joining: the join endpoint of this controller, with its store behind it.
//
// Owns: the endpoint. Does not own: the controller, the cluster's identity, which outlive it.
// Thread: the main one; its endpoint has its own.
#pragma once

#include <absl/status/status.h>

#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "common/endpoint.h"
#include "controller/api/admin_token.h"
#include "controller/api/controller.h"
#include "controller/identity/cluster_identity.h"
#include "controller/identity/join_desk.h"
#include "controller/identity/join_server.h"

namespace remuda {

class Joining {
 public:
  // Before identity.Start: it is told there what to show.
  Joining(Controller& controller, ClusterIdentity& identity, AdminToken& admin_token);
  ~Joining();  // stops
  Joining(const Joining&) = delete;
  Joining& operator=(const Joining&) = delete;

  // Listens; after that the controller's addresses are known.
  absl::Status Start(const Endpoint& endpoint, const std::string& api_address);
  void Stop();  // may be called twice
  // See JoinServer.
  void Take(int fd, const std::string& address) { server_->Take(fd, address); }

  const std::string& address() const { return server_->address(); }
  const JoinCounts& counts() const { return server_->counts(); }

 private:
  using Decision = decltype(Command::decide);

  JoinDesk::Options DeskOptions();
  // Where the controllers' API is, the leader's first: what who joins is told. Any thread.
  std::vector<std::string> ControllerAddresses() const;
  // Asks the controller where they all are. On the loop thread.
  void NoteControllers();
  // Among the writes, in their order: what it says of who is shut out holds for all that are
  // decided later.
  void Decide(Decision decide, JoinDesk::Done done);
  void UseToken(const ShownToken& shown, JoinDesk::Done done);
  void MayRenew(const identity::Peer& peer, JoinDesk::Done done);
  void Note(const JoinEvent& event);

  Controller& controller_;
  ClusterIdentity& identity_;
  AdminToken& admin_token_;
  mutable std::mutex mutex_;
  std::vector<std::string> known_;        // as of the last question; guarded by mutex_
  const std::shared_ptr<JoinDesk> desk_;  // shared with answers on their way
  const std::shared_ptr<JoinServer> server_;
};

}  // namespace remuda
