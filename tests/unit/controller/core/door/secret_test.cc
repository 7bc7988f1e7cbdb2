// Secrets at the door: values come in and are never answered; who may name them, and how.
#include <gmock/gmock.h>

#include "controller/core/door/read.h"
#include "controller/core/door/secret_calls.h"
#include "controller/core/door/secret_limits.h"
#include "controller/core/views/assignment.h"
#include "tests/unit/controller/core/door/execute_fixture.h"

namespace remuda::core {
namespace {

using absl::StatusCode;
using testing::HasSubstr;
using testing::Not;

class SecretTest : public ExecuteTest {
 protected:
  v1::SetSecretRequest Set(const std::string& id, const std::string& value) {
    v1::SetSecretRequest request;
    request.set_secret_id(id);
    request.mutable_secret()->set_value(value);
    return request;
  }
  v1::CreateLaunchTemplateVersionRequest Template(const std::string& rest) {
    return Parse<v1::CreateLaunchTemplateVersionRequest>(
        R"(launch_template_version { name: "shop" image: "shop-v1" command: "node" )" + rest + "}");
  }
  void ExpectWrong(const std::string& rest, const std::string& field, const std::string& fragment) {
    ExpectError(Try(Template(rest)), StatusCode::kInvalidArgument,
                "launch_template_version." + field, fragment);
  }
};

TEST_F(SecretTest, ItsValueIsKeptAndNeverAnswered) {
  const auto made = Do<v1::Secret>(Set("db", "hunter1"));
  EXPECT_EQ(made.name(), "secrets/db");
  EXPECT_EQ(made.version(), 1);
  EXPECT_TRUE(made.has_create_time());
  EXPECT_EQ(Find<v1::Secret>("db")->value(), "hunter1");
  now_ += absl::Seconds(10);
  auto again = Set("secrets/db", "hunter2");
  again.clear_secret_id();
  again.mutable_secret()->set_name("secrets/db");
  again.mutable_secret()->set_etag(made.etag());
  again.mutable_secret()->set_description("of the shop");
  const auto changed = Do<v1::Secret>(again);
  EXPECT_EQ(changed.version(), 2);
  EXPECT_NE(changed.etag(), made.etag());
  EXPECT_EQ(changed.create_time().seconds() + 10, changed.update_time().seconds());
  EXPECT_EQ(Find<v1::Secret>("db")->value(), "hunter2");
  EXPECT_EQ(Do<v1::Secret>(Set("db", "hunter3")).description(), "of the shop");

  const Snapshot snapshot{state_, seen_, now_};
  const auto got = Read(snapshot, Parse<v1::GetSecretRequest>(R"(name: "secrets/db")"));
  ASSERT_TRUE(got.ok()) << got.status();
  const auto list = Read(snapshot, v1::ListSecretsRequest());
  ASSERT_TRUE(list.ok()) << list.status();
  ASSERT_EQ(list->secrets_size(), 1);
  std::string told =
      made.DebugString() + changed.DebugString() + got->DebugString() + list->DebugString();
  for (const auto& [key, activity] : state_.All<v1::Activity>()) told += activity->DebugString();
  EXPECT_THAT(told, HasSubstr("Gave secrets/db another value, version 2"));
  EXPECT_THAT(told, Not(HasSubstr("hunter")));
}

// An etag that a value went into would tell who guesses when the guess is right.
TEST_F(SecretTest, ItsEtagSaysNothingOfItsValue) {
  const auto one = Do<v1::Secret>(Set("db", "hunter1"));
  Do<Empty>(Parse<v1::DeleteSecretRequest>(R"(name: "secrets/db")"));
  EXPECT_EQ(Do<v1::Secret>(Set("db", "hunter2")).etag(), one.etag());
}

TEST_F(SecretTest, WhatIsNoValueIsRefused) {
  const auto refused = [&](const std::string& value, const std::string& fragment) {
    ExpectError(Try(Set("db", value)), StatusCode::kInvalidArgument, "secret.value", fragment);
  };
  refused("", "must be given");
  refused("***", "stands for a secret");
  refused(std::string(limits::kSecretBytes + 1, 'x'), "at most 65536");
  EXPECT_TRUE(Try(Set("db", std::string(limits::kSecretBytes, '\0'))).ok());
  ExpectError(Try(Set("No Id", "x")), StatusCode::kInvalidArgument, "secret_id", "No Id");
  auto stale = Set("db", "x");
  stale.mutable_secret()->set_etag("0123");
  EXPECT_EQ(Try(stale).code(), StatusCode::kNotFound);
  Do<v1::Secret>(Set("db", "hunter1"));
  EXPECT_EQ(Try(stale).code(), StatusCode::kAborted);
}

TEST_F(SecretTest, ATemplateNamesThemByVariableOrFile) {
  PushImage("shop-v1");
  Do<v1::Secret>(Set("db", "x"));
  const std::string db = R"(secrets { secret: "secrets/db" )";
  const auto made = Do<v1::LaunchTemplateVersion>(
      Template(db + R"(env: "PASSWORD" } )" + db + R"(file: "db.pw" })"));
  ASSERT_EQ(made.secrets_size(), 2);
  EXPECT_EQ(Find<v1::LaunchTemplateVersion>("shop/versions/00000001")->secrets(0).secret(), "db");

  ExpectWrong(R"(secrets { env: "A" })", "secrets[0].secret", "must name a secret");
  ExpectWrong(R"(secrets { secret: "none" env: "A" })", "secrets[0].secret",
              "there is no secrets/none");
  ExpectWrong(db + "}", "secrets[0]", "must say env or file");
  ExpectWrong(db + R"(env: "1A" })", "secrets[0].env", "[A-Za-z_]");
  ExpectWrong(db + R"(env: "PORT" })", "secrets[0].env", "set by the agent");
  ExpectWrong(db + R"(env: "REMUDA_SECRETS" })", "secrets[0].env", "set by the agent");
  ExpectWrong(db + R"(env: "A" } env { key: "A" value: "b" })", "secrets[0].env",
              "among the template's env");
  ExpectWrong(db + R"(env: "A" } )" + db + R"(env: "A" })", "secrets[1].env", "another secret");
  ExpectWrong(db + R"(file: "a" } )" + db + R"(file: "a" })", "secrets[1].file", "another secret");
  for (const std::string& file :
       std::vector<std::string>{"", ".", "..", "a/b", "../a", "a b", std::string(65, 'a')})
    ExpectWrong(db + "file: \"" + file + "\" }", "secrets[0].file", "letters, digits");
  std::string many;
  for (int i = 0; i < 51; ++i) many += db + "file: \"f" + std::to_string(i) + "\" }";
  ExpectWrong(many, "secrets", "at most 50");
}

TEST_F(SecretTest, TogetherTheyAreBounded) {
  PushImage("shop-v1");
  std::string all;
  for (int i = 0; i < 5; ++i) {
    const std::string id = "s" + std::to_string(i);
    Do<v1::Secret>(Set(id, std::string(i == 4 ? 1 : limits::kSecretBytes, 'x')));
    if (i < 4) all += "secrets { secret: \"" + id + "\" file: \"" + id + "\" } ";
  }
  ExpectWrong(all + R"(secrets { secret: "s4" file: "s4" })", "secrets", "at most 262144");
  Do<v1::LaunchTemplateVersion>(Template(all));
  // One that is named twice counts once, and one that is named may not outgrow the rest.
  Do<v1::Secret>(Set("s0", "x"));
  Do<v1::LaunchTemplateVersion>(
      Template(all + R"(secrets { secret: "s4" file: "s4" } secrets { secret: "s4" env: "A" })"));
  ExpectError(Try(Set("s0", std::string(limits::kSecretBytes, 'x'))), StatusCode::kInvalidArgument,
              "secret.value", "secrets of launchTemplates/shop/versions/2");
}

TEST_F(SecretTest, OneThatIsNamedIsNotDeleted) {
  PushImage("shop-v1");
  Do<v1::Secret>(Set("db", "x"));
  Do<v1::LaunchTemplateVersion>(Template(R"(secrets { secret: "db" env: "A" })"));
  const auto request = Parse<v1::DeleteSecretRequest>(R"(name: "secrets/db")");
  ExpectError(Try(request), StatusCode::kFailedPrecondition, "",
              "launchTemplates/shop/versions/1 names it");
  Do<Empty>(Parse<v1::DeleteLaunchTemplateRequest>(R"(name: "shop")"));
  Do<Empty>(request);
  EXPECT_EQ(Find<v1::Secret>("db"), nullptr);
}

// Values go to the host that runs what names them, to no other, and not with what shall end.
TEST_F(SecretTest, OnlyAssignmentsOfWhatNamesThemHoldValues) {
  PlayLab();
  Do<v1::Secret>(Set("db", "hunter1"));
  Do<v1::Secret>(Set("other", "hunter2"));
  Do<v1::LaunchTemplateVersion>(
      Template(R"(secrets { secret: "db" env: "A" } secrets { secret: "db" file: "b" })"));
  const auto put = [&](const std::string& id, const std::string& host, int version,
                       const std::string& state) {
    Put<v1::Instance>(id, "name: \"instances/" + id + "\" auto_scaling_group: \"blue\" host: \"" +
                              host + "\" state: INSTANCE_STATE_" + state +
                              " launch_template { launch_template: \"shop\" resolved_version: " +
                              std::to_string(version) + " }");
  };
  put("i-1", "h1", 2, "IN_SERVICE");
  put("i-2", "h2", 1, "IN_SERVICE");
  put("i-3", "h2", 2, "STOPPING");
  const Assignment first = AssignmentFor(state_, seen_, "h1");
  ASSERT_EQ(first.at("i-1").secrets_size(), 1);
  EXPECT_EQ(first.at("i-1").secrets(0).ShortDebugString(),
            R"(secret: "db" version: 1 value: "hunter1")");
  for (const auto& [id, assigned] : AssignmentFor(state_, seen_, "h2"))
    EXPECT_EQ(assigned.secrets_size(), 0) << id;
  // Another value makes another wish, so that it is sent.
  const Ingress ingress;
  const Wishes before = WishesFor(state_, seen_, ingress, "h1");
  Do<v1::Secret>(Set("db", "hunter3"));
  EXPECT_FALSE(WishesFor(state_, seen_, ingress, "h1") == before);
}

}  // namespace
}  // namespace remuda::core
