// Several controllers with identities: who joins is told where all are, and a person's command
// learns of those that have come since.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <filesystem>
#include <string>
#include <vector>

#include "common/identity/authority.h"
#include "common/identity/controller_addresses.h"
#include "common/identity/join_client.h"
#include "tests/component/cli/remuda_process.h"
#include "tests/component/controller/store/testing/etcd_cluster.h"
#include "tests/component/controller/testing/controller_process.h"
#include "tests/wait.h"

namespace remuda {
namespace {

using testing::ElementsAre;
using testing_cli::Finished;
using testing_cli::ReadAll;
using testing_cli::RunRemuda;

std::string TextOf(const std::string& json, const std::string& key) {
  const std::string before = "\"" + key + "\": \"";
  const size_t at = json.find(before);
  if (at == std::string::npos) return "";
  const size_t begin = at + before.size();
  return json.substr(begin, json.find('"', begin) - begin);
}

class JoinedControllers : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(etcd_.AwaitWritable());
    const std::string store = "--store=etcd://" + etcd_.endpoint(0) + "/t";
    one_.UseIdentities();
    two_.UseIdentities();
    one_.Start({store, "--controller-name=one"});
    const std::string token = one_.data_dir() + "/admin-token";
    ASSERT_TRUE(WaitUntil([&] { return std::filesystem::exists(token); })) << one_.Log();
    two_.Start(
        {store, "--sealing-key-file=" + one_.data_dir() + "/sealing.key", "--controller-name=two"});
    pin_ = *identity::PinOf(ReadAll(one_.data_dir() + "/identity/ca.pem"));
    std::string said = ReadAll(token);
    said.resize(said.find('\n'));
    const auto joined = JoinAt(one_.join_address(), said, v1::IDENTITY_ROLE_PERSON, "admin");
    ASSERT_TRUE(joined.ok()) << joined.status();
    ASSERT_TRUE(identity::SaveJoined(root_ + "/id", *joined).ok());
    ASSERT_TRUE(WaitUntil([&] {
      return At(one_.grpc_address(), {"get", "controllers", "-o", "name"}).out ==
             "controllers/one\ncontrollers/two\n";
    })) << At(one_.grpc_address(), {"get", "controllers"}).err
        << one_.Log() << two_.Log();
  }
  void TearDown() override { std::filesystem::remove_all(root_); }

  absl::StatusOr<identity::Joined> JoinAt(const std::string& address, const std::string& token,
                                          v1::IdentityRole role, const std::string& name) const {
    return identity::Join(
        {.address = address, .pin = pin_, .token = token, .role = role, .name = name});
  }
  // What the admin's command says there.
  Finished At(const std::string& controllers, const std::vector<std::string>& words) const {
    return RunRemuda(words, {{"REMUDA_INSECURE", ""},
                             {"REMUDA_CONTROLLER", controllers},
                             {"REMUDA_IDENTITY_DIR", root_ + "/id"}});
  }

  EtcdCluster etcd_;
  ControllerProcess one_, two_;
  const std::string root_ = testing_cli::MakeTempDir();
  std::string pin_;
};

TEST_F(JoinedControllers, WhoJoinsIsToldWhereAllAreTheLeaderFirst) {
  for (const ControllerProcess* through : {&one_, &two_}) {
    const std::string name = through == &one_ ? "h1" : "h2";
    const Finished made = At(two_.grpc_address(), {"token", "create", "--role", "agent", "--name",
                                                   name, "-o", "json", "--show-secrets"});
    ASSERT_EQ(made.exit_code, 0) << made.err;
    const auto joined =
        JoinAt(through->join_address(), TextOf(made.out, "token"), v1::IDENTITY_ROLE_AGENT, name);
    ASSERT_TRUE(joined.ok()) << joined.status();
    EXPECT_THAT(joined->controllers, ElementsAre(one_.grpc_address(), two_.grpc_address()));
  }
}

TEST_F(JoinedControllers, ACommandLearnsOfThoseThatHaveComeSinceItsPersonLoggedIn) {
  testing_cli::WriteAll(
      root_ + "/config.yaml",
      "current-context: lab\ncontexts:\n  - {name: lab, cluster: lab, user: lab}\n"
      "clusters:\n  - {name: lab, controller: '" +
          one_.grpc_address() + "'}\nusers:\n  - {name: lab, identity-dir: " + root_ + "/id}\n");
  const auto run = [this](const std::vector<std::string>& words) {
    return RunRemuda(words,
                     {{"REMUDA_INSECURE", ""}, {"REMUDA_CLI_CONFIG", root_ + "/config.yaml"}});
  };
  const Finished first = run({"get", "hosts"});
  ASSERT_EQ(first.exit_code, 0) << first.err;
  EXPECT_THAT(identity::LearnedControllers(root_ + "/id/controllers"),
              ElementsAre(one_.grpc_address(), two_.grpc_address()));
  one_.Stop(SIGKILL);
  const Finished later = run({"get", "hosts"});
  EXPECT_EQ(later.exit_code, 0) << later.err;
}

}  // namespace
}  // namespace remuda
