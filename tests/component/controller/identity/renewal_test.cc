// How agents and proxies whose certificates are over come back, over real sockets.
#include <gmock/gmock.h>

#include <functional>
#include <string>

#include "common/identity/controller_addresses.h"
#include "common/identity/renewal_proof.h"
#include "controller/identity/join_limits.h"
#include "tests/component/controller/identity/join_cluster.h"

namespace remuda {
namespace {

using identity::Join;
using testing::HasSubstr;

TEST(Renewal, AnAgentWhoseCertificateIsOverComesBack) {
  Cluster cluster("c1");
  const OldIdentity old(cluster, v1::IDENTITY_ROLE_AGENT, "h1", absl::Hours(48));
  const std::string before = old.Load().key_pem;
  ASSERT_TRUE(old.Renew().ok()) << old.Renew();
  EXPECT_GT(old.Load().peer.expire_time, absl::Now());
  EXPECT_EQ(identity::Text(old.Load().peer.id), "spiffe://c1/agent/h1");
  EXPECT_NE(old.Load().key_pem, before);
}

TEST(Renewal, AnAgentComesBackThroughAnotherControllerWhereTheOneThatItJoinedAtIsGone) {
  Cluster cluster("c1");
  const OldIdentity old(cluster, v1::IDENTITY_ROLE_AGENT, "h1", absl::Hours(48), Elsewhere(cluster),
                        {"127.0.0.77:7400", "127.0.0.1:7400"});
  EXPECT_THAT(identity::JoinedControllers(identity::FilesIn(old.path())),
              testing::ElementsAre("127.0.0.77:7400", "127.0.0.1:7400"));
  ASSERT_TRUE(old.Renew().ok()) << old.Renew();
  EXPECT_GT(old.Load().peer.expire_time, absl::Now());
  EXPECT_THAT(identity::JoinedControllers(identity::FilesIn(old.path())),
              testing::ElementsAre("c.example:7400"))
      << "what the one that answered says";
}

// All have moved since it was joined.
TEST(Renewal, AnAgentComesBackThroughControllersThatItHasLearnedOfSince) {
  Cluster cluster("c1");
  const OldIdentity old(cluster, v1::IDENTITY_ROLE_AGENT, "h1", absl::Hours(48), Elsewhere(cluster),
                        {"127.0.0.77:7400"});
  EXPECT_TRUE(absl::IsUnavailable(old.Renew()));
  identity::ControllerAddresses addresses(
      {.given = {"127.0.0.77:7400"}, .file = old.path() + "/controllers"});
  v1::ControllerAddresses told;
  told.add_addresses("127.0.0.1:7400");
  addresses.Learn(told);
  const identity::RenewalPlaces learned{.file = old.path() + "/controllers"};
  ASSERT_TRUE(old.Renew(learned).ok()) << old.Renew(learned);
  const OldIdentity other(cluster, v1::IDENTITY_ROLE_AGENT, "h2", absl::Hours(48),
                          Elsewhere(cluster), {});
  EXPECT_TRUE(other.Renew({.given = {"127.0.0.1:7400"}}).ok()) << "or is given";
}

TEST(Renewal, AnAgentComesBackThoughWhereItJoinedIsAnotherClusterNow) {
  Cluster cluster("c1");
  const std::string join = cluster.server().address();
  Cluster other("c1", {.address = "127.0.0.77",
                       .port = static_cast<uint16_t>(std::stoi(join.substr(join.rfind(':') + 1))),
                       .is_loopback = true});
  const OldIdentity old(cluster, v1::IDENTITY_ROLE_AGENT, "h1", absl::Hours(48),
                        other.server().address(), {});
  EXPECT_TRUE(absl::IsUnauthenticated(old.Renew()));
  EXPECT_TRUE(old.Renew({.given = {"127.0.0.1:7400"}}).ok());
  EXPECT_TRUE(other.events().empty()) << "it was asked nothing";
}

TEST(Renewal, WhoStopsIsNotKeptByControllersThatAreGone) {
  Cluster cluster("c1");
  const OldIdentity old(cluster, v1::IDENTITY_ROLE_AGENT, "h1", absl::Hours(48), Elsewhere(cluster),
                        {"127.0.0.1:7400"});
  int asked = 0;
  EXPECT_TRUE(absl::IsCancelled(old.Renew({}, [&asked] { return ++asked == 2; })));
  EXPECT_TRUE(cluster.events().empty());
}

// Who is shut out after it was asked whether he may, and before he has his certificate, is shut out
// with it.
TEST(Renewal, ACertificateIsNoYoungerThanTheQuestionWhetherOneMay) {
  Cluster cluster("c1");
  cluster.set_takes(absl::Seconds(30));
  const std::string token = cluster.AddToken(v1::IDENTITY_ROLE_AGENT, "h1");
  const auto joined = Join(cluster.Options(token, "h1"));
  ASSERT_TRUE(joined.ok()) << joined.status();
  EXPECT_LE(joined->peer.issue_time, absl::Now());
  cluster.set_ahead(absl::ZeroDuration());
  const OldIdentity old(cluster, v1::IDENTITY_ROLE_AGENT, "h1", absl::Hours(48));
  ASSERT_TRUE(old.Renew().ok());
  EXPECT_LE(old.Load().peer.issue_time, absl::Now());
}

// One host may not use up what all may ask together; once it is refused often, it is not looked at.
TEST(Renewal, OneIdentityIsRenewedOnlySoOften) {
  Cluster cluster("c1");
  const OldIdentity greedy(cluster, v1::IDENTITY_ROLE_AGENT, "h1", absl::Hours(48));
  for (int i = 0; i < static_cast<int>(limits::kJoinFailures); ++i)
    ASSERT_TRUE(greedy.Renew().ok()) << i;
  EXPECT_EQ(greedy.Renew().code(), absl::StatusCode::kResourceExhausted);
  EXPECT_TRUE(OldIdentity(cluster, v1::IDENTITY_ROLE_AGENT, "h2", absl::Hours(48)).Renew().ok());
  cluster.set_ahead(absl::Seconds(30));
  EXPECT_TRUE(greedy.Renew().ok()) << "it is forgiven with time";
}

TEST(Renewal, NotEverybodyComesBack) {
  Cluster cluster("c1");
  const auto refusal = [&cluster](v1::IdentityRole role, absl::Duration ago) {
    return std::string(OldIdentity(cluster, role, "n1", ago).Renew().message());
  };
  EXPECT_THAT(refusal(v1::IDENTITY_ROLE_AGENT, limits::kMaxExpiredFor + absl::Hours(25)),
              HasSubstr("join anew"));
  EXPECT_THAT(refusal(v1::IDENTITY_ROLE_PERSON, limits::kMaxExpiredFor + absl::Hours(48)),
              HasSubstr("only agents and proxies"));
  cluster.set_may_renew(absl::PermissionDeniedError("hosts/n1 is not there"));
  EXPECT_THAT(refusal(v1::IDENTITY_ROLE_AGENT, absl::Hours(48)), HasSubstr("is not there"));
}

TEST(Renewal, ACertificateWithoutItsKeyIsNoProof) {
  Cluster cluster("c1");
  const OldIdentity old(cluster, v1::IDENTITY_ROLE_AGENT, "h1", absl::Hours(48));
  const auto thief = *identity::MakeKey();
  join::v1::RenewRequest request;
  request.set_certificate_pem(old.Load().certificate_pem);
  request.set_certificate_request_pem(*identity::MakeCertificateRequest(thief.get()));
  request.set_proof(*identity::MakeRenewalProof(thief.get(), request.certificate_pem(),
                                                request.certificate_request_pem()));
  EXPECT_EQ(cluster.Ask("/v1/renew", JsonOf(request)), 403);
}

TEST(Renewal, ACertificateOfAnotherClusterDoesNotComeBack) {
  Cluster cluster("c1");
  Cluster same_name("c1");
  const OldIdentity old(same_name, v1::IDENTITY_ROLE_AGENT, "h1", absl::Hours(48));
  join::v1::RenewRequest request;
  request.set_certificate_pem(old.Load().certificate_pem);
  const auto key = *identity::ReadKey(old.Load().key_pem);
  request.set_certificate_request_pem(*identity::MakeCertificateRequest(key.get()));
  request.set_proof(*identity::MakeRenewalProof(key.get(), request.certificate_pem(),
                                                request.certificate_request_pem()));
  EXPECT_EQ(cluster.Ask("/v1/renew", JsonOf(request)), 403);
}

}  // namespace
}  // namespace remuda
