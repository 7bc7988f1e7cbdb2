// JoinDesk: answers who wishes to join, or has come back with a certificate that is over. It asks
// the store (through what it is given), has the certificate issued, and says what became of it.
//
// Whatever is wrong with a token is answered with the same words. Owns no sockets (join_server.h).
// Thread: Handle on one; what it is given may answer on any.
#pragma once

#include <absl/time/time.h>

#include <functional>
#include <mutex>
#include <string>
#include <vector>

#include "controller/identity/cluster_identity.h"
#include "controller/identity/join_call.h"
#include "controller/identity/join_rates.h"

namespace remuda {

// What is used when somebody joins: see core::UseJoinToken.
struct ShownToken {
  std::string hash;  // SHA-256 of the token, as bytes
  v1::IdentityRole role = v1::IDENTITY_ROLE_UNSPECIFIED;
  std::string subject;
};

// What became of a request, for the audit log.
struct JoinEvent {
  bool is_renewal = false;
  std::string address;
  std::string actor;   // who it says to be: "agent/h1"; empty if that was not read
  std::string serial;  // of the certificate that was issued; empty if none was
  absl::Status status;
};

class JoinDesk {
 public:
  using Done = std::function<void(absl::Status)>;
  struct Options {
    // How the API is reached: JoinResponse.controllers.
    std::function<std::vector<std::string>()> controllers;
    // Uses a token once, durably. UNAUTHENTICATED, FAILED_PRECONDITION or NOT_FOUND: it is not good
    // for this; others say why it could not be looked at.
    std::function<void(ShownToken, Done)> use_token;
    // Whether one whose certificate is over may have another: its host or proxy is there, and it is
    // not shut out, by anything that was decided before.
    std::function<void(identity::Peer, Done)> may_renew;
    // Thread: any. May be empty.
    std::function<void(const JoinEvent&)> on_event;
    std::function<absl::Time()> now;
  };
  // `identity` outlives it.
  JoinDesk(Options options, const ClusterIdentity& identity)
      : options_(std::move(options)), identity_(identity) {}

  // An answer is made on the thread that asked, as certificates are signed for it.
  using MakeAnswer = std::function<JoinAnswer()>;
  using Answer = std::function<void(MakeAnswer)>;
  void Handle(const JoinCall& call, Answer answer);

  // What stands for a token in the store: SHA-256, as bytes.
  static std::string HashOf(std::string_view token);

 private:
  struct Wanted {
    bool is_renewal = false;
    std::string address;
    // Its certificate is of before it was asked whether it may: who is shut out at any time from
    // then on is so with that certificate.
    absl::Time now = {};
    identity::SpiffeId id = {};
    std::string request_pem = {};
  };

  absl::StatusOr<identity::Peer> CheckRenewal(const join::v1::RenewRequest& request,
                                              absl::Time now) const;
  void Join(const join::v1::JoinRequest& request, Wanted wanted, Answer answer);
  void Renew(const join::v1::RenewRequest& request, Wanted wanted, Answer answer);
  JoinAnswer Finish(const Wanted& wanted, const absl::Status& status);
  JoinAnswer Refuse(const Wanted& wanted, const absl::Status& status);

  const Options options_;
  const ClusterIdentity& identity_;
  std::mutex mutex_;  // guards rates_
  JoinRates rates_;
};

}  // namespace remuda
