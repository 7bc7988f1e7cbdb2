#include "controller/api/identity_service.h"

#include <absl/strings/escaping.h>
#include <absl/time/clock.h>

#include <string>

#include "common/random_bytes.h"
#include "common/status.h"
#include "controller/core/door/join_tokens.h"
#include "controller/core/model/limits.h"
#include "controller/identity/join_desk.h"
#include "remuda/v1/identity.grpc.pb.h"

namespace remuda {
namespace {

using google::protobuf::Empty;

constexpr size_t kTokenBytes = 32;

absl::Status NoIdentities() {
  return FailedPrecondition(
      "NO_IDENTITIES",
      "this controller runs with --insecure: it has no identities, and issues none");
}

// How long a token may be used.
absl::StatusOr<absl::Duration> LifeOf(const v1::CreateJoinTokenRequest& request) {
  if (!request.has_time_to_live()) return core::limits::kJoinTokenLife;
  const absl::Duration life = core::FromProto(request.time_to_live());
  const bool is_shared = request.join_token().max_uses() > 1;
  const absl::Duration longest =
      is_shared ? core::limits::kMaxSharedJoinTokenLife : core::limits::kMaxJoinTokenLife;
  if (life < core::limits::kMinJoinTokenLife || life > longest) {
    return InvalidField("time_to_live",
                        absl::FormatDuration(life) + " is not within 10s-" +
                            (is_shared ? "8760h (of a token of several uses)" : "24h"));
  }
  return life;
}

class IdentityService final : public v1::IdentityService::CallbackService {
 public:
  using Api = v1::IdentityService;
  explicit IdentityService(Calls& calls) : calls_(calls) {}

#define REMUDA_WRITE(Method, Answer)                                                              \
  grpc::ServerUnaryReactor* Method(grpc::CallbackServerContext* context,                          \
                                   const v1::Method##Request* request, Answer* answer) override { \
    static const std::string name = std::string(Api::service_full_name()) + "/" #Method;          \
    return calls_.Write(context, name, request, answer);                                          \
  }
#define REMUDA_READ(Method, Answer)                                                               \
  grpc::ServerUnaryReactor* Method(grpc::CallbackServerContext* context,                          \
                                   const v1::Method##Request* request, Answer* answer) override { \
    static const std::string name = std::string(Api::service_full_name()) + "/" #Method;          \
    return calls_.ReadAs(context, name, request, [this, request, answer]() -> absl::Status {      \
      auto found = core::Read(calls_.controller().engine.snapshot(), *request);                   \
      if (!found.ok()) return found.status();                                                     \
      *answer = *std::move(found);                                                                \
      ToFullNames(*answer);                                                                       \
      return absl::OkStatus();                                                                    \
    });                                                                                           \
  }
  REMUDA_WRITE(DeleteJoinToken, Empty)
  REMUDA_WRITE(CreateUser, v1::User)
  REMUDA_WRITE(UpdateUser, v1::User)
  REMUDA_WRITE(DeleteUser, Empty)
  REMUDA_WRITE(CreateRevocation, v1::Revocation)
  REMUDA_WRITE(DeleteRevocation, Empty)
  REMUDA_READ(ListJoinTokens, v1::ListJoinTokensResponse)
  REMUDA_READ(GetUser, v1::User)
  REMUDA_READ(ListUsers, v1::ListUsersResponse)
  REMUDA_READ(ListRevocations, v1::ListRevocationsResponse)
#undef REMUDA_WRITE
#undef REMUDA_READ

  grpc::ServerUnaryReactor* GetCaller(grpc::CallbackServerContext* context,
                                      const v1::GetCallerRequest* request,
                                      v1::Caller* answer) override {
    return calls_.ReadAs(context, "remuda.v1.IdentityService/GetCaller", request,
                         [this, caller = calls_.CallerOf(context), answer] {
                           Fill(*caller, *answer);
                           return absl::OkStatus();
                         });
  }

  grpc::ServerUnaryReactor* GetTrustBundle(grpc::CallbackServerContext* context,
                                           const v1::GetTrustBundleRequest* request,
                                           v1::TrustBundle* answer) override {
    return calls_.ReadAs(context, "remuda.v1.IdentityService/GetTrustBundle", request,
                         [this, answer]() -> absl::Status {
                           const ClusterIdentity* const identity = calls_.cluster_identity;
                           if (identity == nullptr) return NoIdentities();
                           answer->set_authorities_pem(identity->current()->authorities_pem);
                           answer->set_authority_pin(identity->authority_pin());
                           answer->set_cluster_id(identity->cluster());
                           return absl::OkStatus();
                         });
  }

  grpc::ServerUnaryReactor* RenewCertificate(grpc::CallbackServerContext* context,
                                             const v1::RenewCertificateRequest* request,
                                             v1::RenewCertificateResponse* answer) override {
    static constexpr std::string_view kMethod = "remuda.v1.IdentityService/RenewCertificate";
    grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
    CallerPtr caller = calls_.CallerOf(context);
    // Signed here rather than on the loop; handed out only if the caller may.
    auto issued = IssueFor(caller.get(), *request);
    return calls_.Post(reactor, [this, reactor, request, answer, caller = std::move(caller),
                                 issued = std::move(issued)] {
      const auto finish = [this, reactor, answer, issued,
                           write = AuditedWrite(calls_.controller().engine.state(), caller.get(),
                                                kMethod, *request)](const absl::Status& status) {
        if (status.ok()) HandOut(*issued, *answer);
        NoteRenewal(write, status);
        Calls::Finish(reactor, status);
      };
      if (absl::Status queue = calls_.CheckQueue(); !queue.ok()) return finish(queue);
      // In the order of the writes: one that shuts the caller out is either decided before, and
      // known here, or after this certificate's time of issue, which it then holds for.
      calls_.controller().engine.Add({
          .decide =
              [this, request, caller, issued](core::Draft& draft, const core::Context&) {
                absl::Status may =
                    calls_.controller().MayCall(draft, caller.get(), kMethod, *request);
                return may.ok() ? issued.status() : may;
              },
          .done = [finish](const absl::Status& status, const core::State&) { finish(status); },
      });
    });
  }

  grpc::ServerUnaryReactor* CreateJoinToken(grpc::CallbackServerContext* context,
                                            const v1::CreateJoinTokenRequest* request,
                                            v1::JoinToken* answer) override {
    return calls_.WriteAs(
        context, "remuda.v1.IdentityService/CreateJoinToken", request, answer,
        [this, request, answer](core::Draft& draft, const core::Context& asked) -> absl::Status {
          const ClusterIdentity* const identity = calls_.cluster_identity;
          if (identity == nullptr) return NoIdentities();
          if (absl::Status status = identity->CanIssue(); !status.ok())
            return FailedPrecondition("ISSUED_ELSEWHERE", std::string(status.message()));
          const auto life = LifeOf(*request);
          if (!life.ok()) return life.status();
          const std::string text = MakeTokenText();
          core::AddJoinToken command;
          command.token.set_role(request->join_token().role());
          command.token.set_subject(request->join_token().subject());
          command.token.set_max_uses(request->join_token().max_uses());
          *command.token.mutable_expire_time() = core::ToProto(asked.WallNow() + *life);
          command.token.set_token_hash(JoinDesk::HashOf(text));
          core::Draft::Savepoint before = draft.Save();
          auto added = core::Execute(draft, command, asked);
          if (!added.ok()) return added.status();
          if (request->validate_only()) draft.Restore(std::move(before));
          *answer = *std::move(added);
          if (!request->validate_only()) answer->set_token(text);
          answer->set_authority_pin(identity->authority_pin());
          answer->set_join_address(identity->join_address());
          return absl::OkStatus();
        });
  }

 private:
  void Fill(const Caller& caller, v1::Caller& answer) {
    if (caller.is_local()) return;
    const identity::Peer& peer = caller.peer;
    answer.set_spiffe_id(identity::Text(peer.id));
    answer.set_identity_role(peer.id.role);
    answer.set_identity(peer.id.name);
    answer.set_certificate_serial(peer.serial);
    *answer.mutable_expire_time() = core::ToProto(peer.expire_time);
    if (peer.id.role != v1::IDENTITY_ROLE_PERSON) return;
    v1::GetUserRequest request;
    request.set_name("users/" + peer.id.name);
    auto user = core::Read(calls_.controller().engine.snapshot(), request);
    if (user.ok()) *answer.mutable_user() = *std::move(user);
  }

  void HandOut(const ClusterIdentity::Issued& issued, v1::RenewCertificateResponse& answer) {
    answer.set_certificate_pem(issued.certificate_pem);
    answer.set_authorities_pem(issued.authorities_pem);
    if (calls_.gate != nullptr) calls_.gate->Extend(issued.peer.id, issued.peer.expire_time);
  }

  void NoteRenewal(const AuditedWrite& write, const absl::Status& status) {
    AuditLog* const audit = calls_.controller().audit;
    if (audit == nullptr) return;
    // It changes nothing of the cluster, and may be asked for again and again.
    audit->WriteUndone(write.Done(calls_.controller().engine.state(), status, nullptr));
  }

  absl::StatusOr<ClusterIdentity::Issued> IssueFor(const Caller* caller,
                                                   const v1::RenewCertificateRequest& request) {
    if (caller == nullptr)
      return absl::UnauthenticatedError("nobody is known behind this connection");
    if (calls_.cluster_identity == nullptr || caller->is_local()) return NoIdentities();
    auto issued = calls_.cluster_identity->Issue(
        request.certificate_request_pem(), caller->peer.id.role, caller->peer.id.name, absl::Now());
    if (issued.ok()) return issued;
    const std::string why(issued.status().message());
    switch (issued.status().code()) {
      case absl::StatusCode::kInvalidArgument:
        return InvalidField("certificate_request_pem", why);
      case absl::StatusCode::kFailedPrecondition:
        return FailedPrecondition("ISSUED_ELSEWHERE", why);
      default:
        return issued.status();
    }
  }

  Calls& calls_;
};

}  // namespace

std::string MakeTokenText() {
  const std::string bytes = RandomBytes(kTokenBytes);
  return absl::WebSafeBase64Escape(bytes);
}

std::unique_ptr<grpc::Service> MakeIdentityService(Calls& calls) {
  return std::make_unique<IdentityService>(calls);
}

}  // namespace remuda
