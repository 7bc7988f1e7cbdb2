// Each method × each role, with real certificates at the real program, against the table; and what
// identities change for agents, proxies and people.
#include "controller/identity/roles.h"

#include <google/protobuf/descriptor.h>
#include <google/protobuf/dynamic_message.h>
#include <grpcpp/generic/generic_stub.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "common/grpc_channel.h"
#include "common/identity/channel_credentials.h"
#include "common/identity/identity_files.h"
#include "common/identity/key.h"
#include "controller/core/model/draft.h"
#include "controller/identity/authority_files.h"
#include "controller/store/sqlite_store.h"
#include "remuda/agent/v1/agent.grpc.pb.h"
#include "remuda/controller/v1/peer.pb.h"
#include "remuda/proxy/v1/proxy.grpc.pb.h"
#include "remuda/v1/activity.pb.h"
#include "remuda/v1/apply.pb.h"
#include "remuda/v1/audit.grpc.pb.h"
#include "remuda/v1/backup.pb.h"
#include "remuda/v1/cluster.grpc.pb.h"
#include "remuda/v1/deployment.pb.h"
#include "remuda/v1/identity.grpc.pb.h"
#include "remuda/v1/image.grpc.pb.h"
#include "remuda/v1/lifecycle.pb.h"
#include "remuda/v1/metrics.pb.h"
#include "remuda/v1/scaling_policy.pb.h"
#include "remuda/v1/secret.pb.h"
#include "remuda/v1/security_group.pb.h"
#include "remuda/v1/target_group.grpc.pb.h"
#include "tests/component/controller/testing/controller_process.h"
#include "tests/component/controller/testing/fake_receivers.h"
#include "tests/wait.h"

namespace remuda {
namespace {

using google::protobuf::DescriptorPool;
using google::protobuf::Message;
using google::protobuf::MessageFactory;
using google::protobuf::MethodDescriptor;

// Mentioned, so that the linker keeps every file of the API.
const google::protobuf::Descriptor* const kLinked[] = {v1::Activity::descriptor(),
                                                       v1::ApplyResourcesRequest::descriptor(),
                                                       v1::AuditRecord::descriptor(),
                                                       v1::CreateBackupRequest::descriptor(),
                                                       v1::Cluster::descriptor(),
                                                       v1::Deployment::descriptor(),
                                                       v1::User::descriptor(),
                                                       v1::Image::descriptor(),
                                                       agent::v1::Hello::descriptor(),
                                                       proxy::v1::Hello::descriptor(),
                                                       v1::GroupMetrics::descriptor(),
                                                       v1::ScalingPolicy::descriptor(),
                                                       v1::Secret::descriptor(),
                                                       v1::SecurityGroup::descriptor(),
                                                       v1::EnterStandbyRequest::descriptor(),
                                                       controller::v1::HoldImage::descriptor()};

// A stream that says nothing, because there is nothing to say, is left after so long.
constexpr std::chrono::milliseconds kQuietStream{300};

class IdentitiesTest : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_NE(kLinked[0], nullptr);
    // The store is made, then given the users.
    controller_.Start();
    controller_.Stop(SIGTERM);
    core::Draft draft(state_);
    Put(draft, "vera", v1::USER_ROLE_VIEWER);
    Put(draft, "dan", v1::USER_ROLE_DEPLOYER);
    Put(draft, "olga", v1::USER_ROLE_OPERATOR);
    Put(draft, "ann", v1::USER_ROLE_ADMIN);
    const core::Changes changes = draft.Take();
    state_.Apply(changes, 1);
    {
      auto store = SqliteStore::Open({.path = controller_.data_dir() + "/state.db",
                                      .sealing_key_file = controller_.data_dir() + "/sealing.key"});
      ASSERT_TRUE(store.ok()) << store.status();
      const auto leadership = (*store)->Campaign();
      ASSERT_TRUE(leadership.ok());
      ASSERT_TRUE((*store)->Commit(changes, leadership->epoch).ok());
    }
    controller_.UseIdentities();
    controller_.Start();
    const std::string directory = controller_.data_dir() + "/identity";
    auto authority = LoadAuthority(AuthorityFilesIn(directory));
    ASSERT_TRUE(authority.ok()) << authority.status();
    authority_.emplace(*std::move(authority));
    const auto own = identity::LoadIdentity(identity::FilesIn(directory));
    ASSERT_TRUE(own.ok()) << own.status();
    cluster_ = own->peer.id.cluster;
  }

  static void Put(core::Draft& draft, const std::string& name, v1::UserRole role) {
    v1::User user;
    user.set_name("users/" + name);
    user.set_role(role);
    if (role == v1::USER_ROLE_DEPLOYER) user.add_auto_scaling_groups("blue");
    draft.Put(name, std::move(user));
  }

  identity::SpiffeId Id(v1::IdentityRole role, const std::string& name) const {
    return {.cluster = cluster_, .role = role, .name = name};
  }
  identity::SpiffeId Person(const std::string& name) const {
    return Id(v1::IDENTITY_ROLE_PERSON, name);
  }
  // A channel whose end shows a new certificate of that identity, by this or another authority.
  std::shared_ptr<grpc::Channel> Channel(const identity::SpiffeId& id,
                                         const identity::Authority* authority = nullptr) {
    if (authority == nullptr) authority = &*authority_;
    const auto files =
        identity::FilesIn(controller_.data_dir() + "/of-" + std::to_string(++directories_));
    const auto key = identity::MakeKey();
    EXPECT_TRUE(
        identity::SaveIdentity(files, *identity::KeyPem(key->get()),
                               *authority->Issue(key->get(), {.id = id, .now = absl::Now()}),
                               authority_->bundle_pem())
            .ok());
    return grpc::CreateCustomChannel(controller_.grpc_address(),
                                     identity::ChannelCredentials(files, cluster_),
                                     ClientChannelArguments());
  }

  // One message up, half-closed, all answers read: how the call ended.
  static grpc::Status CallRaw(const std::shared_ptr<grpc::Channel>& channel,
                              const std::string& method, const std::string& bytes,
                              std::chrono::milliseconds patience) {
    grpc::GenericStub stub(channel);
    grpc::CompletionQueue queue;
    const auto next = [&queue] {
      void* tag = nullptr;
      bool ok = false;
      return queue.Next(&tag, &ok) && ok;
    };
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + patience);
    const auto call = stub.PrepareCall(&context, "/" + method, &queue);
    call->StartCall(nullptr);
    bool ok = next();
    const grpc::Slice slice(bytes);
    if (ok) {
      call->Write(grpc::ByteBuffer(&slice, 1), nullptr);
      ok = next();
    }
    if (ok) {
      call->WritesDone(nullptr);
      next();
    }
    grpc::ByteBuffer answer;
    do {
      call->Read(&answer, nullptr);
    } while (next());
    grpc::Status status;
    call->Finish(&status, nullptr);
    next();
    queue.Shutdown();
    while (next()) continue;
    return status;
  }

  template <class Service, class Request, class Response>
  static grpc::Status Call(const std::shared_ptr<grpc::Channel>& channel,
                           grpc::Status (Service::Stub::*method)(grpc::ClientContext*,
                                                                 const Request&, Response*),
                           const Request& request, Response* response) {
    const auto stub = Service::NewStub(channel);
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + kPatience);
    return (stub.get()->*method)(&context, request, response);
  }

  ControllerProcess controller_;
  core::State state_;
  std::optional<identity::Authority> authority_;
  std::string cluster_;
  int directories_ = 0;
};

TEST_F(IdentitiesTest, EachMethodAndEachRoleAreAsTheTableSays) {
  const identity::SpiffeId ids[] = {
      Person("vera"),
      Person("dan"),
      Person("olga"),
      Person("ann"),
      Id(v1::IDENTITY_ROLE_AGENT, "h1"),
      Id(v1::IDENTITY_ROLE_PROXY, "p1"),
      Id(v1::IDENTITY_ROLE_CONTROLLER, "c"),
  };
  int calls = 0;
  for (const identity::SpiffeId& id : ids) {
    const auto channel = Channel(id);
    Caller caller;
    caller.peer.id = id;
    const auto* user = state_.Find<v1::User>(id.name);
    const v1::UserRole role = user == nullptr ? v1::USER_ROLE_UNSPECIFIED : (*user)->role();
    for (const MethodNeed& row : MethodNeeds()) {
      const std::string name(row.method);
      const bool is_ours = name.starts_with("remuda.");
      std::string dotted = name;
      std::replace(dotted.begin(), dotted.end(), '/', '.');
      const MethodDescriptor* method =
          is_ours ? DescriptorPool::generated_pool()->FindMethodByName(dotted) : nullptr;
      ASSERT_EQ(is_ours, method != nullptr) << name << " is not linked into the test";
      bool may = false;
      if (is_ours) {
        const Message* request =
            MessageFactory::generated_factory()->GetPrototype(method->input_type());
        may =
            !absl::IsPermissionDenied(Authorize(core::Draft(state_), caller, row.method, *request));
      } else {
        may = AuthorizeMethod(caller, role, row.method).ok();
      }
      const bool streams = is_ours ? method->server_streaming() : name.ends_with("Watch");
      const auto patience = may && streams
                                ? kQuietStream
                                : std::chrono::duration_cast<std::chrono::milliseconds>(kPatience);
      // A push says what it pushes before anything is asked.
      v1::PushImageRequest push;
      push.mutable_header()->set_image_id("x");
      const grpc::Status status = CallRaw(
          channel, name, row.need == Need::kPushImage ? push.SerializeAsString() : "", patience);
      ++calls;
      const bool was_denied = status.error_code() == grpc::StatusCode::PERMISSION_DENIED ||
                              (!is_ours && status.error_code() == grpc::StatusCode::CANCELLED);
      // What a part of this program does not serve, nobody is served.
      if (status.error_code() == grpc::StatusCode::UNIMPLEMENTED) continue;
      EXPECT_EQ(was_denied, !may) << identity::ActorText(id) << " " << name << ": "
                                  << status.error_code() << " " << status.error_message();
      EXPECT_NE(status.error_code(), grpc::StatusCode::UNAUTHENTICATED) << name;
    }
  }
  EXPECT_GT(calls, 700);
}

TEST_F(IdentitiesTest, APersonWithoutAUserIsNotLetIn) {
  v1::Cluster cluster;
  const grpc::Status status =
      Call<v1::ClusterService>(Channel(Person("gone")), &v1::ClusterService::Stub::GetCluster,
                               v1::GetClusterRequest(), &cluster);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::UNAVAILABLE) << status.error_message();
}

TEST_F(IdentitiesTest, AnAgentAndAProxySpeakForThemselvesAlone) {
  const auto agent = Channel(Id(v1::IDENTITY_ROLE_AGENT, "h1"));
  for (const char* host : {"h2", "h1"}) {
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + kPatience);
    const auto stream = agent::v1::AgentService::NewStub(agent)->Connect(&context);
    agent::v1::ConnectRequest request;
    request.mutable_hello()->set_host(host);
    request.mutable_hello()->set_address("10.0.0.1");
    stream->Write(request);
    agent::v1::ConnectResponse response;
    const bool is_own = std::string(host) == "h1";
    EXPECT_EQ(stream->Read(&response), is_own) << host;
    if (is_own) context.TryCancel();
    const grpc::Status status = stream->Finish();
    if (!is_own) {
      EXPECT_EQ(status.error_code(), grpc::StatusCode::PERMISSION_DENIED);
      EXPECT_EQ(status.error_message(), "agent/h1 may not speak for host \"h2\"");
    }
  }
  const auto proxy = Channel(Id(v1::IDENTITY_ROLE_PROXY, "p1"));
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + kPatience);
  const auto stream = proxy::v1::ProxyService::NewStub(proxy)->Connect(&context);
  proxy::v1::ConnectRequest request;
  request.mutable_hello()->set_proxy("p2");
  stream->Write(request);
  proxy::v1::ConnectResponse response;
  EXPECT_FALSE(stream->Read(&response));
  EXPECT_EQ(stream->Finish().error_message(), "proxy/p1 may not speak for proxy \"p2\"");
}

TEST_F(IdentitiesTest, TheAuditLogAndActivitiesSayWho) {
  v1::CreateTargetGroupRequest create;
  create.set_target_group_id("blue");
  create.mutable_target_group();
  create.set_request_id("one");
  v1::TargetGroup group;
  const auto make = [&](const std::string& name) {
    return Call<v1::TargetGroupService>(
        Channel(Person(name)), &v1::TargetGroupService::Stub::CreateTargetGroup, create, &group);
  };
  EXPECT_EQ(make("vera").error_code(), grpc::StatusCode::PERMISSION_DENIED);
  ASSERT_TRUE(make("olga").ok());
  // Her request_id is hers alone: another one's is another request.
  EXPECT_TRUE(make("olga").ok());
  EXPECT_EQ(make("ann").error_code(), grpc::StatusCode::ALREADY_EXISTS);

  v1::ListAuditRecordsRequest list;
  list.set_filter("method = \"remuda.v1.TargetGroupService/CreateTargetGroup\"");
  v1::ListAuditRecordsResponse page;
  ASSERT_TRUE(Call<v1::AuditService>(Channel(Person("ann")),
                                     &v1::AuditService::Stub::ListAuditRecords, list, &page)
                  .ok());
  ASSERT_EQ(page.audit_records_size(), 4);
  const v1::AuditRecord& refused = page.audit_records(3);
  EXPECT_EQ(refused.actor(), "person/vera");
  EXPECT_EQ(refused.user_role(), "viewer");
  EXPECT_EQ(refused.code(), static_cast<int>(grpc::StatusCode::PERMISSION_DENIED));
  EXPECT_EQ(refused.resources(0), "targetGroups/blue");
  EXPECT_FALSE(refused.certificate_serial().empty());
  EXPECT_TRUE(refused.peer().starts_with("127.0.0.1:")) << refused.peer();
  const v1::AuditRecord& done = page.audit_records(2);
  EXPECT_EQ(done.actor(), "person/olga");
  EXPECT_EQ(done.code(), 0);
  EXPECT_EQ(done.request_id(), "one");
  EXPECT_EQ(done.revision_before(), 0);
  EXPECT_GT(done.revision_after(), 0);
  EXPECT_EQ(page.audit_records(1).revision_after(), 0) << "a repeat writes nothing";
}

TEST_F(IdentitiesTest, ARoleChangesWithTheNextCallAndARevocationEndsWhatIsOpen) {
  const auto ann = Channel(Person("ann"));
  const auto vera = Channel(Person("vera"));
  v1::CreateTargetGroupRequest create;
  create.set_target_group_id("blue");
  create.mutable_target_group();
  v1::TargetGroup group;
  const auto make = [&] {
    return Call<v1::TargetGroupService>(vera, &v1::TargetGroupService::Stub::CreateTargetGroup,
                                        create, &group);
  };
  EXPECT_EQ(make().error_code(), grpc::StatusCode::PERMISSION_DENIED);
  v1::UpdateUserRequest update;
  update.mutable_user()->set_name("users/vera");
  update.mutable_user()->set_role(v1::USER_ROLE_OPERATOR);
  update.mutable_update_mask()->add_paths("role");
  v1::User user;
  ASSERT_TRUE(
      Call<v1::IdentityService>(ann, &v1::IdentityService::Stub::UpdateUser, update, &user).ok());
  EXPECT_TRUE(make().ok());

  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + kPatience);
  v1::WatchTargetsRequest watch;
  const auto stream = v1::TargetGroupService::NewStub(vera)->WatchTargets(&context, watch);
  v1::WatchTargetsResponse response;
  ASSERT_TRUE(stream->Read(&response));
  v1::CreateRevocationRequest revoke;
  revoke.mutable_revocation()->set_identity("person/vera");
  v1::Revocation revocation;
  ASSERT_TRUE(Call<v1::IdentityService>(ann, &v1::IdentityService::Stub::CreateRevocation, revoke,
                                        &revocation)
                  .ok());
  EXPECT_FALSE(stream->Read(&response));
  EXPECT_NE(stream->Finish().error_code(), grpc::StatusCode::DEADLINE_EXCEEDED);
  EXPECT_FALSE(make().ok());
  // Nobody shuts himself out.
  revoke.mutable_revocation()->set_identity("person/ann");
  EXPECT_EQ(Call<v1::IdentityService>(ann, &v1::IdentityService::Stub::CreateRevocation, revoke,
                                      &revocation)
                .error_code(),
            grpc::StatusCode::FAILED_PRECONDITION);
}

// While it is being revoked, a host renews as fast as it can: nothing that it gets is let in.
TEST_F(IdentitiesTest, ARenewalDoesNotOutrunARevocation) {
  controller_.Stop(SIGTERM);
  controller_.Start({"--failpoint", "commit-after@*=delay:2500"});
  const identity::SpiffeId id = Id(v1::IDENTITY_ROLE_AGENT, "h1");
  const auto agent = Channel(id);
  const auto ann = Channel(Person("ann"));
  const auto key = identity::MakeKey();
  v1::RenewCertificateRequest renew;
  renew.set_certificate_request_pem(*identity::MakeCertificateRequest(key->get()));
  v1::RenewCertificateResponse newest;
  const auto renew_once = [&] {
    v1::RenewCertificateResponse renewed;
    const bool is_good = Call<v1::IdentityService>(
                             agent, &v1::IdentityService::Stub::RenewCertificate, renew, &renewed)
                             .ok();
    if (is_good) newest = renewed;
    return is_good;
  };
  ASSERT_TRUE(renew_once());
  std::atomic<bool> is_revoked = false;
  std::thread revoking([&] {
    v1::CreateRevocationRequest revoke;
    revoke.mutable_revocation()->set_identity("agent/h1");
    v1::Revocation revocation;
    EXPECT_TRUE(Call<v1::IdentityService>(ann, &v1::IdentityService::Stub::CreateRevocation, revoke,
                                          &revocation)
                    .ok());
    is_revoked = true;
  });
  while (!is_revoked) renew_once();
  revoking.join();
  const auto files = identity::FilesIn(controller_.data_dir() + "/renewed");
  ASSERT_TRUE(identity::SaveIdentity(files, *identity::KeyPem(key->get()), newest.certificate_pem(),
                                     authority_->bundle_pem())
                  .ok());
  v1::Caller caller;
  EXPECT_FALSE(Call<v1::IdentityService>(
                   grpc::CreateCustomChannel(controller_.grpc_address(),
                                             identity::ChannelCredentials(files, cluster_),
                                             ClientChannelArguments()),
                   &v1::IdentityService::Stub::GetCaller, v1::GetCallerRequest(), &caller)
                   .ok());
  // Each is in the audit log.
  v1::ListAuditRecordsRequest list;
  list.set_filter("method = \"remuda.v1.IdentityService/RenewCertificate\" AND code = 0");
  v1::ListAuditRecordsResponse page;
  ASSERT_TRUE(
      Call<v1::AuditService>(ann, &v1::AuditService::Stub::ListAuditRecords, list, &page).ok());
  ASSERT_GT(page.audit_records_size(), 0);
  const v1::AuditRecord& renewal = page.audit_records(page.audit_records_size() - 1);
  EXPECT_EQ(renewal.actor(), "agent/h1");
  EXPECT_FALSE(renewal.certificate_serial().empty());
}

// A stranger with a certificate of another authority leaves a record, within bounds.
TEST_F(IdentitiesTest, ARefusedHandshakeIsRecorded) {
  const auto other = identity::Authority::Make(cluster_, absl::Now());
  ASSERT_TRUE(other.ok());
  v1::Cluster cluster;
  EXPECT_FALSE(Call<v1::ClusterService>(Channel(Person("ann"), &*other),
                                        &v1::ClusterService::Stub::GetCluster,
                                        v1::GetClusterRequest(), &cluster)
                   .ok());
  v1::ListAuditRecordsRequest list;
  list.set_filter("method = handshake");
  v1::ListAuditRecordsResponse page;
  const auto ann = Channel(Person("ann"));
  EXPECT_TRUE(WaitUntil(
      [&] {
        return Call<v1::AuditService>(ann, &v1::AuditService::Stub::ListAuditRecords, list, &page)
                   .ok() &&
               page.audit_records_size() > 0;
      },
      kPatience));
  EXPECT_TRUE(page.audit_records(0).actor().empty());
}

}  // namespace
}  // namespace remuda
