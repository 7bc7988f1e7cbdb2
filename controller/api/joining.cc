#include "controller/api/joining.h"

#include <absl/time/clock.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <utility>

#include "common/status.h"
#include "controller/core/door/execute.h"
#include "controller/limits.h"

namespace remuda {
namespace {

absl::Status CheckNotRevoked(const core::Draft& draft, const identity::Peer& peer) {
  const std::string actor = identity::ActorText(peer.id);
  std::string by;
  draft.ForEach<v1::Revocation>([&](const std::string&, const v1::Revocation& one) {
    if (one.serial() == peer.serial ||
        (one.identity() == actor && peer.issue_time <= core::FromProto(one.create_time())))
      by = one.name();
  });
  if (by.empty()) return absl::OkStatus();
  return absl::PermissionDeniedError(actor + " is revoked (" + by + ")");
}

// The record of the host or proxy that has come back.
absl::Status CheckKnown(const core::Draft& draft, const identity::SpiffeId& id) {
  const bool is_known = id.role == v1::IDENTITY_ROLE_AGENT
                            ? draft.Find<v1::Host>(id.name) != nullptr
                            : draft.Find<v1::Proxy>(id.name) != nullptr;
  if (is_known) return absl::OkStatus();
  return absl::PermissionDeniedError(identity::ActorText(id) +
                                     " is not known here (any more): join anew with a token");
}

}  // namespace

Joining::Joining(Controller& controller, ClusterIdentity& identity, AdminToken& admin_token)
    : controller_(controller),
      identity_(identity),
      admin_token_(admin_token),
      desk_(std::make_shared<JoinDesk>(DeskOptions(), identity)),
      server_(std::make_shared<JoinServer>(
          [desk = desk_](const JoinCall& call, JoinServer::Answer answer) {
            desk->Handle(call, std::move(answer));
          })) {
  identity.AddListener([server = std::weak_ptr(server_)](const ShownIdentity& shown) {
    const auto held = server.lock();
    if (held == nullptr) return;
    const absl::Status status =
        held->SetIdentity(shown.certificate_pem, shown.key_pem, shown.authorities_pem);
    if (!status.ok())
      spdlog::error("the join endpoint's new certificate: {}", std::string(status.message()));
  });
}

Joining::~Joining() { Stop(); }

JoinDesk::Options Joining::DeskOptions() {
  return {.controllers = [this] { return ControllerAddresses(); },
          .use_token = [this](const ShownToken& shown,
                              JoinDesk::Done done) { UseToken(shown, std::move(done)); },
          .may_renew = [this](const identity::Peer& peer,
                              JoinDesk::Done done) { MayRenew(peer, std::move(done)); },
          .on_event = [this](const JoinEvent& event) { Note(event); },
          .now = [] { return absl::Now(); }};
}

absl::Status Joining::Start(const Endpoint& endpoint, const std::string& api_address) {
  const ShownIdentityPtr shown = identity_.current();
  if (absl::Status status =
          server_->SetIdentity(shown->certificate_pem, shown->key_pem, shown->authorities_pem);
      !status.ok())
    return status;
  if (absl::Status status = server_->Start(endpoint); !status.ok()) return status;
  identity_.SetListening(api_address, server_->address());
  return absl::OkStatus();
}

void Joining::Stop() { server_->Stop(); }

void Joining::NoteControllers() {
  if (controller_.list_controllers == nullptr) return;
  std::vector<std::string> known;
  const v1::ListControllersResponse list = controller_.list_controllers();
  for (const v1::Controller& one : list.controllers()) {
    if (one.address().empty()) continue;
    const bool leads = one.state() == v1::CONTROLLER_STATE_LEADER;
    known.insert(leads ? known.begin() : known.end(), one.address());
  }
  const std::lock_guard lock(mutex_);
  known_ = std::move(known);
}

std::vector<std::string> Joining::ControllerAddresses() const {
  std::vector<std::string> all;
  {
    const std::lock_guard lock(mutex_);
    all = known_;
  }
  for (std::string& own : identity_.api_addresses()) {
    if (std::find(all.begin(), all.end(), own) == all.end()) all.push_back(std::move(own));
  }
  return all;
}

void Joining::Decide(Decision decide, JoinDesk::Done done) {
  const auto refused = controller_.loop.PostRequest([this, decide = std::move(decide), done] {
    NoteControllers();
    if (controller_.engine.queued() >= limits::kMaxQueuedRequests)
      return done(Unavailable("the store is slow: try again later"));
    controller_.engine.Add(
        {.decide = decide,
         .done = [done](const absl::Status& status, const core::State&) { done(status); }});
  });
  if (!refused.ok()) done(Unavailable("the controller is busy: try again later"));
}

void Joining::UseToken(const ShownToken& shown, JoinDesk::Done done) {
  Decide(
      [shown](core::Draft& draft, const core::Context& context) -> absl::Status {
        const std::string actor =
            identity::ActorText({.cluster = {}, .role = shown.role, .name = shown.subject});
        core::Context asked = context;
        asked.who = {.actor = actor, .serial = {}};
        asked.wall = absl::Now();
        return core::Execute(
                   draft,
                   core::UseJoinToken{
                       .token_hash = shown.hash, .role = shown.role, .subject = shown.subject},
                   asked)
            .status();
      },
      std::move(done));
}

void Joining::MayRenew(const identity::Peer& peer, JoinDesk::Done done) {
  Decide(
      [peer](core::Draft& draft, const core::Context&) {
        absl::Status status = CheckNotRevoked(draft, peer);
        return status.ok() ? CheckKnown(draft, peer.id) : status;
      },
      std::move(done));
}

void Joining::Note(const JoinEvent& event) {
  const char* const method = event.is_renewal ? "renew" : "join";
  if (!event.status.ok()) {
    spdlog::warn("{} of {} from {} refused: {}", method,
                 event.actor.empty() ? "somebody" : event.actor, event.address,
                 std::string(event.status.message()));
    if (controller_.audit != nullptr) {
      controller_.audit->WriteRefused(method, event.address, std::string(event.status.message()));
    }
    return;
  }
  if (controller_.audit != nullptr) {
    v1::AuditRecord record;
    record.set_actor(event.actor);
    record.set_certificate_serial(event.serial);
    record.set_peer(event.address);
    record.set_method(method);
    // Who comes back may do so again and again; a token joins once.
    event.is_renewal ? controller_.audit->WriteUndone(std::move(record))
                     : controller_.audit->Write(std::move(record));
  }
  spdlog::info("{} of {} from {}: certificate {}", method, event.actor, event.address,
               event.serial);
  admin_token_.NoteJoined(event.actor);
}

}  // namespace remuda
