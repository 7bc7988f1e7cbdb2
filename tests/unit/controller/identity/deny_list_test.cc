#include "controller/identity/deny_list.h"

#include <gtest/gtest.h>

#include "controller/core/model/draft.h"
#include "controller/core/model/limits.h"

namespace remuda {
namespace {

class DenyListTest : public testing::Test {
 protected:
  template <class T>
  core::Changes Commit(const std::string& key, const T& row) {
    core::Draft draft(state_);
    draft.Put(key, row);
    return Apply(draft);
  }
  core::Changes Apply(core::Draft& draft) {
    core::Changes changes = draft.Take();
    state_.Apply(changes, state_.commit() + 1);
    return changes;
  }
  v1::Revocation OfIdentity(const std::string& identity) const {
    v1::Revocation row;
    row.set_identity(identity);
    *row.mutable_create_time() = core::ToProto(now_ + absl::Milliseconds(300));
    return row;
  }
  identity::Peer Peer(v1::IdentityRole role, const std::string& name, absl::Time issued) const {
    return {.id = {.cluster = "c1", .role = role, .name = name},
            .serial = "1f",
            .issue_time = issued,
            .expire_time = issued + absl::Hours(24)};
  }
  identity::Peer Agent(absl::Time issued) const {
    return Peer(v1::IDENTITY_ROLE_AGENT, "h1", issued);
  }

  core::State state_;
  const absl::Time now_ = absl::FromUnixSeconds(1'800'000'000);
};

TEST_F(DenyListTest, ACertificateIsShutOutByItsSerial) {
  DenyList list(state_);
  EXPECT_TRUE(list.Check(Agent(now_)).ok());
  v1::Revocation row;
  row.set_serial("1f");
  EXPECT_TRUE(list.OnCommit(state_, Commit("r-1", row)));
  EXPECT_TRUE(absl::IsPermissionDenied(list.Check(Agent(now_))));
  // As it is read at the start.
  EXPECT_FALSE(DenyList(state_).Check(Agent(now_)).ok());
  core::Draft draft(state_);
  draft.Delete<v1::Revocation>("r-1");
  EXPECT_FALSE(list.OnCommit(state_, Apply(draft))) << "nobody is shut out by it";
  EXPECT_TRUE(list.Check(Agent(now_)).ok());
}

TEST_F(DenyListTest, AnIdentityIsShutOutWithWhatItHadThen) {
  DenyList list(state_);
  list.OnCommit(state_, Commit("r-1", OfIdentity("agent/h1")));
  EXPECT_FALSE(list.Check(Agent(now_ - absl::Hours(1))).ok());
  EXPECT_FALSE(list.Check(Agent(now_)).ok()) << "issued in the same second";
  EXPECT_TRUE(list.Check(Agent(now_ + absl::Seconds(1))).ok());
  EXPECT_TRUE(list.Check(Peer(v1::IDENTITY_ROLE_PROXY, "h1", now_)).ok());
  EXPECT_TRUE(list.Check(Peer(v1::IDENTITY_ROLE_AGENT, "h2", now_)).ok());
}

TEST_F(DenyListTest, APersonNeedsAUser) {
  DenyList list(state_);
  const auto ann = Peer(v1::IDENTITY_ROLE_PERSON, "ann", now_);
  EXPECT_FALSE(list.Check(ann).ok());
  EXPECT_EQ(list.RoleOf("ann"), v1::USER_ROLE_UNSPECIFIED);
  v1::User user;
  user.set_role(v1::USER_ROLE_ADMIN);
  EXPECT_FALSE(list.OnCommit(state_, Commit("ann", user)));
  EXPECT_TRUE(list.Check(ann).ok());
  EXPECT_EQ(list.RoleOf("ann"), v1::USER_ROLE_ADMIN);
  core::Draft draft(state_);
  draft.Delete<v1::User>("ann");
  EXPECT_TRUE(list.OnCommit(state_, Apply(draft)));
  EXPECT_FALSE(list.Check(ann).ok());
}

// Else it could outlive its revocation.
TEST_F(DenyListTest, ACertificateThatLivesTooLongIsShutOut) {
  const DenyList list(state_);
  auto agent = Agent(now_);
  agent.expire_time = now_ + core::limits::kCertificateLife;
  EXPECT_TRUE(list.Check(agent).ok());
  agent.expire_time += absl::Seconds(1);
  EXPECT_FALSE(list.Check(agent).ok());
}

}  // namespace
}  // namespace remuda
