#include "controller/identity/join_desk.h"

#include <openssl/sha.h>

#include <array>

#include "common/identity/key.h"
#include "common/identity/renewal_proof.h"
#include "common/identity/verify_chain.h"
#include "controller/identity/join_limits.h"

namespace remuda {
namespace {

// The same words whatever was wrong: they tell nobody whether there is such a token.
absl::Status TokenRefused() {
  return absl::PermissionDeniedError(
      "the token is not good for this: it is not known, for another role or name, used or over; "
      "ask for a new one");
}

bool IsOfToken(const absl::Status& status) {
  return status.code() == absl::StatusCode::kUnauthenticated ||
         status.code() == absl::StatusCode::kPermissionDenied ||
         status.code() == absl::StatusCode::kFailedPrecondition ||
         status.code() == absl::StatusCode::kNotFound;
}

}  // namespace

std::string JoinDesk::HashOf(std::string_view token) {
  std::array<unsigned char, SHA256_DIGEST_LENGTH> digest{};
  SHA256(reinterpret_cast<const unsigned char*>(token.data()), token.size(), digest.data());
  return {digest.begin(), digest.end()};
}

void JoinDesk::Handle(const JoinCall& call, Answer answer) {
  Wanted wanted{.address = call.address, .now = options_.now()};
  bool is_admitted = false;
  {
    const std::lock_guard lock(mutex_);
    is_admitted = rates_.Admit(call.address, wanted.now);
  }
  if (!is_admitted) {
    return answer([] {
      return AnswerOf(
          absl::ResourceExhaustedError("too many requests were refused; try again in a minute"));
    });
  }
  const absl::Status can_issue = identity_.CanIssue();
  auto wish = can_issue.ok() ? ReadJoinCall(call) : absl::StatusOr<JoinWish>(can_issue);
  if (!wish.ok()) {
    return answer([this, wanted, status = wish.status()] { return Refuse(wanted, status); });
  }
  if (const auto* join = std::get_if<join::v1::JoinRequest>(&*wish))
    return Join(*join, std::move(wanted), std::move(answer));
  Renew(std::get<join::v1::RenewRequest>(*wish), std::move(wanted), std::move(answer));
}

void JoinDesk::Join(const join::v1::JoinRequest& request, Wanted wanted, Answer answer) {
  wanted.id = {.cluster = identity_.cluster(), .role = request.role(), .name = request.subject()};
  wanted.request_pem = request.certificate_request_pem();
  // Before the token is used up: it would be lost over it.
  const auto key = identity::ReadCertificateRequest(wanted.request_pem);
  if (!key.ok()) {
    return answer([this, wanted, status = key.status()] { return Refuse(wanted, status); });
  }
  options_.use_token(
      {.hash = HashOf(request.token()), .role = request.role(), .subject = request.subject()},
      [this, wanted, answer = std::move(answer)](absl::Status status) {
        answer([this, wanted, status = std::move(status)] {
          return Finish(wanted, IsOfToken(status) ? TokenRefused() : status);
        });
      });
}

absl::StatusOr<identity::Peer> JoinDesk::CheckRenewal(const join::v1::RenewRequest& request,
                                                      absl::Time now) const {
  const auto refused = [](const std::string& why) { return absl::PermissionDeniedError(why); };
  auto peer = identity::ReadPeer(std::string_view(request.certificate_pem()));
  if (!peer.ok()) return refused("certificatePem: " + std::string(peer.status().message()));
  const identity::SpiffeId& id = peer->id;
  if (id.cluster != identity_.cluster())
    return refused(identity::Text(id) + " is of another cluster");
  if (id.role != v1::IDENTITY_ROLE_AGENT && id.role != v1::IDENTITY_ROLE_PROXY)
    return refused(identity::Text(id) + ": only agents and proxies come back; others join anew");
  if (now - peer->expire_time > limits::kMaxExpiredFor)
    return refused("the certificate ended over " + absl::FormatDuration(limits::kMaxExpiredFor) +
                   " ago: join anew with a token");
  // As it was when it was last good.
  const absl::Time then = std::min(now, peer->expire_time - absl::Seconds(1));
  if (absl::Status status =
          identity::VerifyChain(request.certificate_pem(), identity_.current()->authorities_pem,
                                identity::ChainUse::kClient, then);
      !status.ok())
    return refused("certificatePem: " + std::string(status.message()));
  const auto key = identity::PublicKeyOf(request.certificate_pem());
  if (!key.ok()) return refused("certificatePem: " + std::string(key.status().message()));
  if (!identity::IsRenewalProof(key->get(), request.certificate_pem(),
                                request.certificate_request_pem(), request.proof()))
    return refused("proof: is none of the certificate's key");
  return peer;
}

void JoinDesk::Renew(const join::v1::RenewRequest& request, Wanted wanted, Answer answer) {
  wanted.is_renewal = true;
  wanted.request_pem = request.certificate_request_pem();
  auto peer = CheckRenewal(request, wanted.now);
  absl::Status status = peer.status();
  if (peer.ok()) {
    wanted.id = peer->id;
    status = identity::ReadCertificateRequest(wanted.request_pem).status();
  }
  if (status.ok()) {
    // Else who has one host could use up what all together may ask.
    const std::string actor = identity::ActorText(wanted.id);
    const std::lock_guard lock(mutex_);
    if (!rates_.AdmitRenewal(actor, wanted.now))
      status =
          absl::ResourceExhaustedError(actor + " was renewed too often; try again in a minute");
  }
  if (!status.ok()) return answer([this, wanted, status] { return Refuse(wanted, status); });
  options_.may_renew(*peer, [this, wanted, answer = std::move(answer)](absl::Status may) {
    answer([this, wanted, may = std::move(may)] { return Finish(wanted, may); });
  });
}

JoinAnswer JoinDesk::Finish(const Wanted& wanted, const absl::Status& status) {
  if (!status.ok()) return Refuse(wanted, status);
  auto issued = identity_.Issue(wanted.request_pem, wanted.id.role, wanted.id.name, wanted.now);
  if (!issued.ok()) return Refuse(wanted, issued.status());
  if (options_.on_event) {
    options_.on_event({.is_renewal = wanted.is_renewal,
                       .address = wanted.address,
                       .actor = identity::ActorText(wanted.id),
                       .serial = issued->peer.serial,
                       .status = absl::OkStatus()});
  }
  join::v1::JoinResponse response;
  response.set_certificate_pem(issued->certificate_pem);
  response.set_authorities_pem(issued->authorities_pem);
  for (const std::string& controller : options_.controllers()) response.add_controllers(controller);
  response.set_cluster_id(identity_.cluster());
  return AnswerOf(response);
}

JoinAnswer JoinDesk::Refuse(const Wanted& wanted, const absl::Status& status) {
  JoinAnswer answer = AnswerOf(status);
  // What is our own fault is none of who asks.
  constexpr int kServerError = 500;
  if (answer.status < kServerError) {
    const std::lock_guard lock(mutex_);
    rates_.NoteFailure(wanted.address, options_.now());
  }
  if (options_.on_event) {
    options_.on_event(
        {.is_renewal = wanted.is_renewal,
         .address = wanted.address,
         .actor = wanted.id.name.empty() ? std::string() : identity::ActorText(wanted.id),
         .serial = {},
         .status = status});
  }
  return answer;
}

}  // namespace remuda
