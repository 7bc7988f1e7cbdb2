// The command where there are several controllers.
#include <absl/strings/cord.h>
#include <gmock/gmock.h>

#include <filesystem>
#include <memory>
#include <string>

#include "tests/component/cli/command_fixture.h"

namespace remuda::testing_cli {
namespace {

using testing::HasSubstr;
using testing::Not;
using testing::SizeIs;

class ControllersTest : public CommandTest {
 protected:
  ControllersTest() {
    v1::Controller leader;
    leader.set_name("controllers/c1");
    leader.set_state(v1::CONTROLLER_STATE_LEADER);
    leader.set_address("10.0.0.1:7400");
    leader.set_epoch(41);
    state().controllers = {leader};
  }
  // Of a controller that is gone.
  static std::string Nobody() { return FakeController().address(); }
  Finished RunAt(const std::string& controllers, const std::vector<std::string>& arguments) const {
    return RunRemuda(arguments, {{"REMUDA_CONTROLLER", controllers}});
  }
};

TEST_F(ControllersTest, AreListedAndShownOneByOne) {
  const Finished list = Run({"get", "controllers"});
  EXPECT_EQ(list.exit_code, 0) << list.err;
  EXPECT_THAT(list.out, HasSubstr("LEADS-SINCE"));
  EXPECT_THAT(list.out, HasSubstr("10.0.0.1:7400"));
  EXPECT_THAT(Run({"get", "controller", "c1", "-o", "json"}).out, HasSubstr("\"epoch\": 41"));
  EXPECT_EQ(Run({"describe", "controller/c1"}).exit_code, 0);
  const Finished other = Run({"get", "controller", "c2"});
  EXPECT_EQ(other.exit_code, 1);
  EXPECT_THAT(other.err, HasSubstr("there is no controllers/c2"));
  EXPECT_THAT(Run({"delete", "controller", "c1"}).err, HasSubstr("controllers cannot be deleted"));
}

TEST_F(ControllersTest, TheFirstThatCanBeReachedIsAsked) {
  const std::string all = Nobody() + ",localhost:" + std::to_string(controller_.port());
  const Finished got = RunAt(all, {"get", "controllers"});
  EXPECT_EQ(got.exit_code, 0) << got.err;
  EXPECT_THAT(got.out, HasSubstr("c1"));
  const Finished scaled = RunAt(all, {"host", "drain", "h1"});
  EXPECT_EQ(scaled.exit_code, 0) << scaled.err;
  EXPECT_THAT(controller_.Requests("DrainHost"), SizeIs(1));
}

TEST_F(ControllersTest, OneThatTakesOverIsWaitedFor) {
  int port = 0;
  std::string address;
  {
    FakeController earlier;
    port = earlier.port();
    address = earlier.address();
  }
  RemudaProcess command({"host", "drain", "h1"}, {{"REMUDA_CONTROLLER", Nobody() + "," + address}});
  FakeController later(port);
  const Finished done = command.Wait();
  EXPECT_EQ(done.exit_code, 0) << done.err;
  EXPECT_THAT(later.Requests("DrainHost"), SizeIs(1));
}

// Reached, and none leads: also where one address is all that is known.
TEST_F(ControllersTest, ALeaderThatIsToComeIsWaitedFor) {
  absl::Status none = absl::UnavailableError("no controller leads just now");
  google::rpc::ErrorInfo info;
  info.set_reason("NO_LEADER");
  none.SetPayload("type.googleapis.com/google.rpc.ErrorInfo", absl::Cord(info.SerializeAsString()));
  state().Fail(none);
  RemudaProcess command({"host", "drain", "h1"}, Environment());
  ASSERT_TRUE(WaitUntil([&] { return !controller_.Requests("DrainHost").empty(); }));
  state().Fail(absl::OkStatus());
  EXPECT_EQ(command.Wait().exit_code, 0) << command.err();
  EXPECT_GE(controller_.Requests("DrainHost").size(), 2U);
}

TEST_F(ControllersTest, NothingButDataIsOnTheStandardOutput) {
  std::filesystem::create_directories(root_ + "/id");
  WriteAll(root_ + "/id/controllers", "damaged");
  const std::string config =
      File("config.yaml",
           "current-context: lab\ncontexts:\n  - {name: lab, cluster: lab, user: lab}\n"
           "clusters:\n  - {name: lab, controller: 'a:1'}\nusers:\n  - {name: lab, "
           "identity-dir: " +
               root_ + "/id}\n");
  const Finished named = RunRemuda({"config", "current-context"},
                                   {{"REMUDA_INSECURE", ""}, {"REMUDA_CLI_CONFIG", config}});
  EXPECT_EQ(named.out, "lab\n");
  EXPECT_EQ(named.err, "");
}

TEST_F(ControllersTest, WhenAllAreGoneAllAreNamed) {
  const std::string one = Nobody();
  const std::string other = Nobody();
  const Finished got = RunAt(one + "," + other, {"--timeout", "4s", "get", "controllers"});
  EXPECT_EQ(got.exit_code, 1);
  EXPECT_THAT(got.err, HasSubstr("cannot reach the controllers at " + one + "," + other));
  EXPECT_THAT(got.err, HasSubstr("/readyz"));
  EXPECT_THAT(got.err, Not(HasSubstr("remuda dev")));
}

// A standby's reason quotes what failed between it and etcd: that is not the command's connection.
TEST_F(ControllersTest, ThatNoneLeadsIsToldAsTheControllerSaysIt) {
  absl::Status none = absl::UnavailableError(
      "no controller leads just now: the store does not answer: etcd 10.0.0.9:2379: cannot watch: "
      "failed to connect to all addresses; last error: Connection refused");
  google::rpc::ErrorInfo info;
  info.set_reason("NO_LEADER");
  none.SetPayload("type.googleapis.com/google.rpc.ErrorInfo", absl::Cord(info.SerializeAsString()));
  state().Fail(none);
  const Finished got = Run({"--timeout", "500ms", "get", "controllers"});
  EXPECT_EQ(got.exit_code, 1);
  EXPECT_THAT(got.err,
              HasSubstr("remuda: no controller leads just now: the store does not answer"));
  EXPECT_THAT(got.err, Not(HasSubstr("cannot reach the controller")));
}

}  // namespace
}  // namespace remuda::testing_cli
