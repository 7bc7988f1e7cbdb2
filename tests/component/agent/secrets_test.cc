// Secrets that an app is given: variables, and files in memory that go with its process.
#include <gmock/gmock.h>
#include <linux/magic.h>
#include <pwd.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/statfs.h>

#include <fstream>
#include <string>

#include "tests/component/agent/agent_fixture.h"

namespace remuda::agent {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

class SecretsTest : public AgentTest {
 protected:
  void SetUp() override {
    AgentTest::SetUp();
    // Mounts of the agent, which is a child of this process, are gone with this namespace.
    may_mount_ =
        unshare(CLONE_NEWNS) == 0 && mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0;
  }
  void TearDown() override {
    AgentTest::TearDown();
    umount2(Secrets().c_str(), MNT_DETACH);
    fs::remove_all(root_);
  }
  std::string Secrets() const { return (data_ / "secrets").string(); }

  static void Give(v1::InstanceAssignment& assigned, const std::string& secret,
                   const std::string& value, int version = 1) {
    auto& sent = *assigned.add_secrets();
    sent.set_secret(secret);
    sent.set_version(version);
    sent.set_value(value);
  }
  static void AsEnv(v1::InstanceAssignment& assigned, const std::string& secret,
                    const std::string& name) {
    auto& reference = *assigned.mutable_launch_template()->add_secrets();
    reference.set_secret(secret);
    reference.set_env(name);
  }
  static void AsFile(v1::InstanceAssignment& assigned, const std::string& secret,
                     const std::string& name) {
    auto& reference = *assigned.mutable_launch_template()->add_secrets();
    reference.set_secret(secret);
    reference.set_file(name);
  }
  // What an instance that cannot be started says.
  std::string Failure(const std::string& id) {
    EXPECT_TRUE(controller_.WaitState(id, v1::PROCESS_STATE_FAILED)) << id;
    return controller_.Status(id).message();
  }
  bool HasLog(const std::string& id, const std::string& text) {
    return WaitUntil([&] { return Log(id).find(text) != std::string::npos; });
  }

  bool may_mount_ = false;
};

TEST_F(SecretsTest, AreVariablesAndFilesOfTheUserInMemory) {
  if (!may_mount_) GTEST_SKIP() << "only root mounts";
  Begin();
  auto app = Shell("i-1",
                   "echo pw=$PASSWORD; cd $REMUDA_SECRETS && stat -c '%n %a %U' . db.key && "
                   "cat db.key && echo end; id -un; echo x 2>/dev/null > more || echo closed; "
                   "exec sleep 1000");
  app.mutable_launch_template()->set_user("nobody");
  Give(app, "db", "hunter1");
  Give(app, "key", std::string("two\nlines\n"));
  AsEnv(app, "db", "PASSWORD");
  AsFile(app, "key", "db.key");
  AsFile(app, "db", "again");
  controller_.Assign({app});
  ASSERT_TRUE(Running("i-1"));
  ASSERT_TRUE(HasLog("i-1", "closed"));
  EXPECT_THAT(Log("i-1"), AllOf(HasSubstr("pw=hunter1\n"), HasSubstr(". 500 nobody\n"),
                                HasSubstr("db.key 400 nobody\ntwo\nlines\nend\nnobody\n")));
  struct statfs system {};
  ASSERT_EQ(statfs((Secrets() + "/i-1").c_str(), &system), 0);
  EXPECT_EQ(system.f_type, TMPFS_MAGIC);
  // Of the agent's own files only its own user's hold values.
  for (const auto& entry : fs::recursive_directory_iterator(data_)) {
    if (!entry.is_regular_file() || entry.path().string().starts_with(Secrets())) continue;
    std::ifstream in(entry.path(), std::ios::binary);
    const std::string text((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
    if (text.find("hunter1") == std::string::npos) continue;
    if (entry.path().parent_path().filename() == "logs") continue;  // the app printed it
    EXPECT_EQ(static_cast<int>(entry.status().permissions() & fs::perms::all), 0600)
        << entry.path();
  }
  // Nothing is left of them when the process has ended, nor of the file system.
  controller_.Change({Stops(app)}, {});
  ASSERT_TRUE(Exited("i-1"));
  EXPECT_TRUE(WaitUntil([&] { return !fs::exists(Secrets()); }));
}

TEST_F(SecretsTest, AnotherValueIsThereFromTheNextStart) {
  if (!may_mount_) GTEST_SKIP() << "only root mounts";
  Begin();
  const auto app = [&](const std::string& value, int version) {
    auto out = Shell("i-1", "echo $PASSWORD $(cat $REMUDA_SECRETS/f); exec sleep 1000");
    Give(out, "db", value, version);
    AsEnv(out, "db", "PASSWORD");
    AsFile(out, "db", "f");
    return out;
  };
  controller_.Assign({app("one", 1)});
  ASSERT_TRUE(HasLog("i-1", "one one"));
  controller_.Assign({app("two", 2)});
  // It runs on with what it has; a new process has the new one.
  auto next = app("two", 2);
  next.set_generation(1);
  EXPECT_TRUE(fs::exists(Secrets() + "/i-1/f"));
  controller_.Assign({next});
  ASSERT_TRUE(HasLog("i-1", "two two"));
  EXPECT_THAT(Log("i-1"), Not(HasSubstr("one two")));
}

TEST_F(SecretsTest, SurviveTheAgentAndGoWithoutTheProcess) {
  if (!may_mount_) GTEST_SKIP() << "only root mounts";
  Begin();
  auto app = Shell("i-1", "exec sleep 1000");
  Give(app, "db", "x");
  AsFile(app, "db", "f");
  controller_.Assign({app});
  ASSERT_TRUE(Running("i-1"));
  KillAgent();
  EXPECT_TRUE(fs::exists(Secrets() + "/i-1/f"));
  fs::create_directory(Secrets() + "/i-ended");
  StartAgent(controller_.address());
  EXPECT_TRUE(WaitUntil([&] { return !fs::exists(Secrets() + "/i-ended"); }));
  EXPECT_TRUE(fs::exists(Secrets() + "/i-1/f"));
}

TEST_F(SecretsTest, FilesThatWereOpenedAreClosedAtTheStart) {
  Begin();
  auto app = Shell("i-1", "exec sleep 1000");
  Give(app, "db", "x");
  AsEnv(app, "db", "X");
  controller_.Assign({app});
  ASSERT_TRUE(Running("i-1"));
  EXPECT_EQ(EndAgent(), 0);
  const fs::path paths[] = {data_ / "assignment", data_ / "instances" / "i-1" / "run"};
  for (const fs::path& path : paths) fs::permissions(path, fs::perms(0644));
  StartAgent(controller_.address());
  for (const fs::path& path : paths) {
    EXPECT_TRUE(WaitUntil([&] {
      return (fs::status(path).permissions() & fs::perms::all) == fs::perms(0600);
    })) << path;
  }
}

TEST_F(SecretsTest, WhatCannotBeAVariableIsAFailedLaunchThatSaysSo) {
  Begin();
  auto nul = Serve("i-1");
  Give(nul, "db", std::string("hun\0ter", 7), 3);
  AsEnv(nul, "db", "PASSWORD");
  auto bytes = Serve("i-2");
  Give(bytes, "db", "hunter\xff");
  AsEnv(bytes, "db", "PASSWORD");
  auto missing = Serve("i-3");
  AsEnv(missing, "db", "PASSWORD");
  controller_.Assign({nul, bytes, missing});
  EXPECT_THAT(Failure("i-1"),
              AllOf(HasSubstr("secret \"db\" version 3: cannot be the environment variable "
                              "PASSWORD: it holds a NUL byte"),
                    Not(HasSubstr("hun"))));
  EXPECT_THAT(Failure("i-2"), HasSubstr("not UTF-8"));
  EXPECT_THAT(Failure("i-3"), HasSubstr("sent no value"));
}

TEST_F(SecretsTest, AHostThatCannotMountSaysSoAndRefusesFilesOnly) {
  // A file where the directory would be: nothing can be mounted there.
  fs::create_directories(data_);
  std::ofstream(Secrets()) << "in the way";
  Begin();
  EXPECT_THAT(controller_.hellos.back().lacks().at("secret_files"), HasSubstr("secret"));
  auto file = Serve("i-1");
  Give(file, "db", "x");
  AsFile(file, "db", "f");
  auto variable = Serve("i-2");
  Give(variable, "db", "x");
  AsEnv(variable, "db", "X");
  controller_.Assign({file, variable});
  EXPECT_THAT(Failure("i-1"), HasSubstr("secret files"));
  EXPECT_TRUE(Running("i-2"));
}

}  // namespace
}  // namespace remuda::agent
