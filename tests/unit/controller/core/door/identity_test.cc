// Users, tokens to join with, revocations.
#include "controller/core/door/join_tokens.h"
#include "controller/core/door/read.h"
#include "controller/core/model/limits.h"
#include "tests/unit/controller/core/door/execute_fixture.h"

namespace remuda::core {
namespace {

using absl::StatusCode;

class IdentityTest : public ExecuteTest {
 protected:
  v1::User Make(const std::string& id, const std::string& more) {
    return Do<v1::User>(
        Parse<v1::CreateUserRequest>("user_id: \"" + id + "\" user { " + more + " }"));
  }
  static AddJoinToken TokenFor(v1::IdentityRole role, const std::string& subject, char hash) {
    AddJoinToken command;
    command.token.set_role(role);
    command.token.set_subject(subject);
    command.token.set_token_hash(std::string(32, hash));
    return command;
  }
  static AddJoinToken SharedToken(v1::IdentityRole role, const std::string& subject, char hash,
                                  int uses) {
    AddJoinToken command = TokenFor(role, subject, hash);
    command.token.set_max_uses(uses);
    return command;
  }
  AddJoinToken Timed(AddJoinToken command) const {
    *command.token.mutable_expire_time() = ToProto(now_ + absl::Minutes(15));
    return command;
  }
  static UseJoinToken Use(v1::IdentityRole role, const std::string& subject, char hash) {
    return {std::string(32, hash), role, subject};
  }
  Snapshot Now2() const { return {state_, seen_, now_}; }
};

TEST_F(IdentityTest, AUserIsMadeChangedAndDeleted) {
  Make("ann", "role: USER_ROLE_ADMIN");
  const v1::User bob =
      Make("bob", R"(role: USER_ROLE_DEPLOYER auto_scaling_groups: "autoScalingGroups/blue"
                                      description: "of the shop" labels { key: "team" value: "shop" })");
  EXPECT_EQ(bob.name(), "users/bob");
  EXPECT_EQ(bob.auto_scaling_groups(0), "blue");
  EXPECT_FALSE(bob.etag().empty());
  EXPECT_EQ(LastActivity(), "Created users/bob, deployer | a person asked for it");
  EXPECT_EQ(
      Try(Parse<v1::CreateUserRequest>(R"(user_id: "bob" user { role: USER_ROLE_VIEWER })")).code(),
      StatusCode::kAlreadyExists);
  EXPECT_EQ(
      Try(Parse<v1::UpdateUserRequest>(
              R"(user { name: "users/bob" role: USER_ROLE_VIEWER etag: "0" } update_mask { paths: "role" })"))
          .code(),
      StatusCode::kAborted);
  ExpectError(
      Try(Parse<v1::UpdateUserRequest>(
          R"(user { name: "users/bob" role: USER_ROLE_VIEWER } update_mask { paths: "role" })")),
      StatusCode::kInvalidArgument, "user.auto_scaling_groups", "for deployers");
  const auto viewer = Do<v1::User>(Parse<v1::UpdateUserRequest>(
      R"(user { name: "users/bob" role: USER_ROLE_VIEWER } update_mask { paths: "role" paths: "auto_scaling_groups" })"));
  EXPECT_EQ(viewer.role(), v1::USER_ROLE_VIEWER);
  EXPECT_EQ(viewer.description(), "of the shop");
  Do<Empty>(Parse<v1::DeleteUserRequest>(R"(name: "users/bob")"));
  EXPECT_EQ(Find<v1::User>("bob"), nullptr);
  // What it had is shut out, should another bob come.
  const auto list = Read(Now2(), v1::ListRevocationsRequest());
  ASSERT_TRUE(list.ok());
  ASSERT_EQ(list->revocations_size(), 1);
  EXPECT_EQ(list->revocations(0).identity(), "person/bob");
  EXPECT_EQ(list->revocations(0).creator(), "person/ann");
}

TEST_F(IdentityTest, AWrongUserIsToldWhatIsWrong) {
  ExpectError(
      Try(Parse<v1::CreateUserRequest>(R"(user_id: "Bob" user { role: USER_ROLE_VIEWER })")),
      StatusCode::kInvalidArgument, "user_id", "must be [a-z0-9]");
  ExpectError(Try(Parse<v1::CreateUserRequest>(R"(user_id: "bob" user { })")),
              StatusCode::kInvalidArgument, "user.role", "must be given");
  ExpectError(Try(Parse<v1::CreateUserRequest>(R"(user_id: "bob" user { role: 9 })")),
              StatusCode::kInvalidArgument, "user.role", "9 is not a role");
  ExpectError(
      Try(Parse<v1::CreateUserRequest>(
          R"(user_id: "bob" user { role: USER_ROLE_DEPLOYER auto_scaling_groups: ["blue", "blue"] })")),
      StatusCode::kInvalidArgument, "user.auto_scaling_groups[1]", "twice");
}

TEST_F(IdentityTest, TheLastAdminStays) {
  Make("ann", "role: USER_ROLE_ADMIN");
  Make("bob", "role: USER_ROLE_OPERATOR");
  const auto demote = Parse<v1::UpdateUserRequest>(
      R"(user { name: "users/ann" role: USER_ROLE_OPERATOR } update_mask { paths: "role" })");
  const auto remove = Parse<v1::DeleteUserRequest>(R"(name: "users/ann")");
  ExpectError(Try(demote), StatusCode::kFailedPrecondition, "", "the only admin");
  ExpectError(Try(remove), StatusCode::kFailedPrecondition, "", "the only admin");
  Make("carl", "role: USER_ROLE_ADMIN");
  Do<v1::User>(demote);
  ExpectError(Try(Parse<v1::DeleteUserRequest>(R"(name: "users/carl")")),
              StatusCode::kFailedPrecondition, "", "the only admin");
}

TEST_F(IdentityTest, ATokenLetsOneJoinOnce) {
  const auto made = Do<v1::JoinToken>(Timed(TokenFor(v1::IDENTITY_ROLE_AGENT, "h3", 'x')));
  EXPECT_EQ(made.name(), "joinTokens/t-1");
  EXPECT_EQ(made.creator(), "person/ann");
  EXPECT_TRUE(made.token_hash().empty());
  EXPECT_EQ(LastActivity(), "Made joinTokens/t-1 for agent/h3 | a person asked for it");

  ExpectError(Try(Use(v1::IDENTITY_ROLE_AGENT, "h3", 'y')), StatusCode::kUnauthenticated, "",
              "not known");
  ExpectError(Try(UseJoinToken{"", v1::IDENTITY_ROLE_AGENT, "h3"}), StatusCode::kUnauthenticated,
              "", "not known");
  ExpectError(Try(Use(v1::IDENTITY_ROLE_AGENT, "h4", 'x')), StatusCode::kUnauthenticated, "",
              "for agent/h3 and nobody else");
  ExpectError(Try(Use(v1::IDENTITY_ROLE_PROXY, "h3", 'x')), StatusCode::kUnauthenticated, "",
              "for agent/h3 and nobody else");
  const auto used = Do<v1::JoinToken>(Use(v1::IDENTITY_ROLE_AGENT, "h3", 'x'));
  EXPECT_TRUE(used.has_use_time());
  EXPECT_EQ(LastActivity(), "agent/h3 joined with joinTokens/t-1 | person/ann made the token");
  EXPECT_EQ(state_.All<v1::Activity>().rbegin()->second->actor(), "agent/h3");
  ExpectError(Try(Use(v1::IDENTITY_ROLE_AGENT, "h3", 'x')), StatusCode::kUnauthenticated, "",
              "used already");
}

// Two show it at once: both commands are in one batch, on one draft.
TEST_F(IdentityTest, ATokenIsUsedOnceEvenInOneBatch) {
  Do<v1::JoinToken>(Timed(TokenFor(v1::IDENTITY_ROLE_AGENT, "h3", 'x')));
  Draft draft(state_);
  EXPECT_TRUE(Execute(draft, Use(v1::IDENTITY_ROLE_AGENT, "h3", 'x'), Now()).ok());
  EXPECT_FALSE(Execute(draft, Use(v1::IDENTITY_ROLE_AGENT, "h3", 'x'), Now()).ok());
}

TEST_F(IdentityTest, ATokenEndsAndIsForgotten) {
  Do<v1::JoinToken>(Timed(TokenFor(v1::IDENTITY_ROLE_PROXY, "p1", 'x')));
  now_ += absl::Minutes(15);
  ExpectError(Try(Use(v1::IDENTITY_ROLE_PROXY, "p1", 'x')), StatusCode::kUnauthenticated, "",
              "its time is over");
  now_ += limits::kJoinTokenKeptFor;
  Do<v1::JoinToken>(Timed(TokenFor(v1::IDENTITY_ROLE_PROXY, "p2", 'y')));
  const auto list = Read(Now2(), v1::ListJoinTokensRequest());
  ASSERT_TRUE(list.ok());
  ASSERT_EQ(list->join_tokens_size(), 1);
  EXPECT_EQ(list->join_tokens(0).subject(), "p2");
  EXPECT_TRUE(list->join_tokens(0).token_hash().empty());
}

TEST_F(IdentityTest, ATokenOfSeveralUsesLetsNamesOfOneKindJoin) {
  constexpr auto kAgent = v1::IDENTITY_ROLE_AGENT;
  const auto made = Do<v1::JoinToken>(Timed(SharedToken(kAgent, "node-*", 'x', 3)));
  EXPECT_EQ(made.max_uses(), 3);
  EXPECT_EQ(LastActivity(), "Made joinTokens/t-1 for agent/node-*, 3 uses | a person asked for it");
  for (const char* other : {"node-", "node", "nod-1", "h3", "xnode-1", "node-A", "node-1-"}) {
    ExpectError(Try(Use(kAgent, other, 'x')), StatusCode::kUnauthenticated, "",
                "for agent/node-* and nobody else");
  }
  ExpectError(Try(Use(v1::IDENTITY_ROLE_PROXY, "node-1", 'x')), StatusCode::kUnauthenticated, "",
              "for agent/node-* and nobody else");
  EXPECT_EQ(Do<v1::JoinToken>(Use(kAgent, "node-1", 'x')).uses(), 1);
  EXPECT_EQ(LastActivity(),
            "agent/node-1 joined with joinTokens/t-1 (use 1 of 3) | person/ann made the token");
  EXPECT_EQ(state_.All<v1::Activity>().rbegin()->second->resource(), "hosts/node-1");
  // Again, as one that lost its disk does.
  EXPECT_EQ(Do<v1::JoinToken>(Use(kAgent, "node-1", 'x')).uses(), 2);
  EXPECT_EQ(Do<v1::JoinToken>(Use(kAgent, "node-2", 'x')).uses(), 3);
  ExpectError(Try(Use(kAgent, "node-3", 'x')), StatusCode::kUnauthenticated, "",
              "used 3 times, which is all");
}

// Many show it at once: all commands are in one batch, on one draft.
TEST_F(IdentityTest, ATokenIsNeverUsedMoreOftenThanItMay) {
  Do<v1::JoinToken>(Timed(SharedToken(v1::IDENTITY_ROLE_PROXY, "*", 'x', 2)));
  Draft draft(state_);
  int joined = 0;
  for (const char* name : {"a", "b", "c", "d"})
    joined += Execute(draft, Use(v1::IDENTITY_ROLE_PROXY, name, 'x'), Now()).ok() ? 1 : 0;
  EXPECT_EQ(joined, 2);
}

TEST_F(IdentityTest, AWrongTokenOfSeveralUsesIsToldWhatIsWrong) {
  constexpr auto kAgent = v1::IDENTITY_ROLE_AGENT;
  const auto refuse = [this](const AddJoinToken& command, const char* field, const char* why) {
    ExpectError(Try(Timed(command)), StatusCode::kInvalidArgument, field, why);
  };
  refuse(SharedToken(kAgent, "node-*", 'x', 0), "join_token.subject", "max_uses must be 2 or more");
  refuse(SharedToken(kAgent, "node-*", 'x', 1), "join_token.subject", "max_uses must be 2 or more");
  for (const char* wrong : {"-*", "Node-*", "a*b", "**", "a.*", "", "a*b*"})
    refuse(SharedToken(kAgent, wrong, 'x', 2), "join_token.subject", "must be [a-z0-9]");
  refuse(SharedToken(kAgent, std::string(63, 'a') + "*", 'x', 2), "join_token.subject",
         "must begin a name");
  refuse(SharedToken(kAgent, "a", 'x', -1), "join_token.max_uses", "-1 is not within 1-10000");
  refuse(SharedToken(kAgent, "a", 'x', limits::kMaxJoinTokenUses + 1), "join_token.max_uses",
         "10001 is not within 1-10000");
  refuse(SharedToken(v1::IDENTITY_ROLE_PERSON, "bob", 'x', 2), "join_token.max_uses",
         "a person's token is used once");
  Do<v1::JoinToken>(Timed(SharedToken(kAgent, std::string(62, 'a') + "*", 'x', 2)));
  Do<v1::JoinToken>(Use(kAgent, std::string(63, 'a'), 'x'));
}

// The token lies on every host of its kind: what one of them is shut out for must not be undone by
// it, and what was made afterwards is somebody's decision.
TEST_F(IdentityTest, WhoIsShutOutDoesNotComeBackByATokenThatOthersHave) {
  constexpr auto kAgent = v1::IDENTITY_ROLE_AGENT;
  Do<v1::JoinToken>(Timed(SharedToken(kAgent, "node-*", 'x', 9)));
  Do<v1::JoinToken>(Timed(SharedToken(kAgent, "node-1", 'y', 9)));
  Do<v1::JoinToken>(Use(kAgent, "node-1", 'y'));
  Do<v1::Revocation>(
      Parse<v1::CreateRevocationRequest>(R"(revocation { identity: "agent/node-1" })"));
  EXPECT_EQ(Find<v1::JoinToken>("t-2"), nullptr) << "it was for that one alone";
  ExpectError(Try(Use(kAgent, "node-1", 'x')), StatusCode::kUnauthenticated, "",
              "agent/node-1 is revoked (revocations/r-1) and the token is older");
  Do<v1::JoinToken>(Use(kAgent, "node-2", 'x'));
  now_ += absl::Seconds(1);
  Do<v1::JoinToken>(Timed(SharedToken(kAgent, "node-*", 'z', 9)));
  Do<v1::JoinToken>(Use(kAgent, "node-1", 'z'));
  Do<Empty>(Parse<v1::DeleteRevocationRequest>(R"(name: "revocations/r-1")"));
  Do<v1::JoinToken>(Use(kAgent, "node-1", 'x'));
}

// One that is used up is forgotten a day after its last use, one that is not a day after its end.
TEST_F(IdentityTest, ATokenOfSeveralUsesIsForgottenAfterItsEnd) {
  constexpr auto kAgent = v1::IDENTITY_ROLE_AGENT;
  const auto add = [&](char hash) {
    AddJoinToken command = SharedToken(kAgent, "*", hash, 2);
    *command.token.mutable_expire_time() = ToProto(now_ + absl::Hours(24 * 300));
    Do<v1::JoinToken>(command);
  };
  add('x');
  add('y');
  Do<v1::JoinToken>(Use(kAgent, "a", 'x'));
  for (const char* name : {"a", "b"}) Do<v1::JoinToken>(Use(kAgent, name, 'y'));
  now_ += limits::kJoinTokenKeptFor;
  add('z');
  EXPECT_NE(Find<v1::JoinToken>("t-1"), nullptr) << "it may be used once more";
  EXPECT_EQ(Find<v1::JoinToken>("t-2"), nullptr);
  Do<v1::JoinToken>(Use(kAgent, "c", 'x'));
}

TEST_F(IdentityTest, APersonsTokenNeedsTheUser) {
  ExpectError(Try(Timed(TokenFor(v1::IDENTITY_ROLE_PERSON, "bob", 'x'))),
              StatusCode::kFailedPrecondition, "", "users/bob is not there");
  ExpectError(Try(Timed(TokenFor(v1::IDENTITY_ROLE_CONTROLLER, "c1", 'x'))),
              StatusCode::kInvalidArgument, "join_token.role", "agent, proxy or person");
  Make("ann", "role: USER_ROLE_ADMIN");
  Make("bob", "role: USER_ROLE_VIEWER");
  Do<v1::JoinToken>(Timed(TokenFor(v1::IDENTITY_ROLE_PERSON, "bob", 'x')));
  // With the user goes what it could join with.
  Do<Empty>(Parse<v1::DeleteUserRequest>(R"(name: "users/bob")"));
  EXPECT_TRUE(state_.All<v1::JoinToken>().empty());
}

// The engine's clock follows no step of the wall's, and stands still while the machine sleeps;
// certificates are dated by the wall's.
TEST_F(IdentityTest, WhatConcernsCertificatesIsDatedByTheWallsClock) {
  Context context = Now();
  context.wall = now_ + absl::Hours(20);
  const auto at_wall = [&](const google::protobuf::Timestamp& time) {
    return FromProto(time) == *context.wall;
  };
  Draft draft(state_);
  auto revocation = Execute(
      draft, Parse<v1::CreateRevocationRequest>(R"(revocation { identity: "agent/h3" })"), context);
  ASSERT_TRUE(revocation.ok());
  EXPECT_TRUE(at_wall(revocation->create_time())) << "else all of the last 20 hours are let in";
  AddJoinToken command = TokenFor(v1::IDENTITY_ROLE_AGENT, "h3", 'x');
  *command.token.mutable_expire_time() = ToProto(*context.wall + absl::Minutes(15));
  auto token = Execute(draft, command, context);
  ASSERT_TRUE(token.ok());
  EXPECT_TRUE(at_wall(token->create_time()));
  context.wall = *context.wall + absl::Minutes(15);
  EXPECT_FALSE(Execute(draft, Use(v1::IDENTITY_ROLE_AGENT, "h3", 'x'), context).ok()) << "over";
  context.wall = *context.wall - absl::Minutes(1);
  token = Execute(draft, Use(v1::IDENTITY_ROLE_AGENT, "h3", 'x'), context);
  ASSERT_TRUE(token.ok()) << token.status();
  EXPECT_TRUE(at_wall(token->use_time()));
}

TEST_F(IdentityTest, ARevocationNamesACertificateOrAnIdentity) {
  Do<v1::JoinToken>(Timed(TokenFor(v1::IDENTITY_ROLE_AGENT, "h3", 'x')));
  const auto agent = Do<v1::Revocation>(Parse<v1::CreateRevocationRequest>(
      R"(revocation { identity: "agent/h3" reason: "stolen" })"));
  EXPECT_EQ(agent.name(), "revocations/r-1");
  EXPECT_EQ(LastActivity(), "Shut out agent/h3 | stolen");
  EXPECT_TRUE(state_.All<v1::JoinToken>().empty()) << "it could join anew with it";
  now_ += absl::Seconds(1);
  Do<v1::Revocation>(Parse<v1::CreateRevocationRequest>(R"(revocation { serial: "1f" })"));
  const auto list = Read(Now2(), v1::ListRevocationsRequest());
  ASSERT_TRUE(list.ok());
  ASSERT_EQ(list->revocations_size(), 2);
  EXPECT_EQ(list->revocations(0).serial(), "1f");
  Do<Empty>(Parse<v1::DeleteRevocationRequest>(R"(name: "revocations/r-1")"));
  EXPECT_EQ(Try(Parse<v1::DeleteRevocationRequest>(R"(name: "revocations/r-1")")).code(),
            StatusCode::kNotFound);

  ExpectError(Try(Parse<v1::CreateRevocationRequest>("revocation { }")),
              StatusCode::kInvalidArgument, "revocation", "must be given");
  for (const char* wrong : {"", "0f", "1F", "xyz", "11111111111111111111111111111111111111111"}) {
    v1::CreateRevocationRequest request;
    request.mutable_revocation()->set_serial(wrong);
    ExpectError(Try(request), StatusCode::kInvalidArgument, "revocation.serial", "hex digits");
  }
  for (const char* wrong : {"", "h3", "host/h3", "agent/H3", "agent/"}) {
    v1::CreateRevocationRequest request;
    request.mutable_revocation()->set_identity(wrong);
    ExpectError(Try(request), StatusCode::kInvalidArgument, "revocation.identity", "ROLE/NAME");
  }
}

TEST_F(IdentityTest, NobodyShutsHimselfOut) {
  for (const char* own :
       {R"(revocation { identity: "person/ann" })", R"(revocation { serial: "5e" })"}) {
    ExpectError(Try(Parse<v1::CreateRevocationRequest>(own)), StatusCode::kFailedPrecondition, "",
                "your own");
  }
}

TEST_F(IdentityTest, ARevocationOfWhatIsOverIsForgotten) {
  Do<v1::Revocation>(Parse<v1::CreateRevocationRequest>(R"(revocation { serial: "1f" })"));
  now_ += limits::kCertificateLife;
  Do<v1::Revocation>(Parse<v1::CreateRevocationRequest>(R"(revocation { serial: "2f" })"));
  EXPECT_EQ(state_.All<v1::Revocation>().size(), 1u);
}

// A request_id of another caller is not answered with that one's answer.
TEST_F(IdentityTest, RequestIdsAreEachCallersOwn) {
  const auto digest = [](std::string_view bytes) { return std::string(bytes); };
  const auto request = Parse<v1::CreateRevocationRequest>(
      R"(revocation { identity: "agent/h1" } request_id: "one")");
  const auto run = [&] {
    Draft draft(state_);
    auto answer =
        ExecuteOnce(draft, "remuda.v1.IdentityService/CreateRevocation", request, Now(), digest);
    EXPECT_TRUE(answer.ok()) << answer.status();
    Commit(draft);
    return answer->name();
  };
  EXPECT_EQ(run(), "revocations/r-1");
  EXPECT_EQ(run(), "revocations/r-1");
  actor_ = "person/bob";
  EXPECT_EQ(run(), "revocations/r-2");
}

TEST_F(IdentityTest, UsersAreListedByPageAndFilter) {
  for (const char* id : {"c", "a", "b"}) Make(id, "role: USER_ROLE_VIEWER");
  Make("d", "role: USER_ROLE_ADMIN");
  v1::ListUsersRequest request;
  request.set_page_size(2);
  auto page = Read(Now2(), request);
  ASSERT_TRUE(page.ok());
  ASSERT_EQ(page->users_size(), 2);
  EXPECT_EQ(page->users(0).name(), "users/a");
  request.set_page_token(page->next_page_token());
  page = Read(Now2(), request);
  ASSERT_EQ(page->users_size(), 2);
  EXPECT_EQ(page->users(1).name(), "users/d");
  EXPECT_TRUE(page->next_page_token().empty());
  const auto admins = Read(Now2(), Parse<v1::ListUsersRequest>(R"(filter: "role = ADMIN")"));
  ASSERT_TRUE(admins.ok()) << admins.status();
  EXPECT_EQ(admins->users_size(), 1);
}

}  // namespace
}  // namespace remuda::core
