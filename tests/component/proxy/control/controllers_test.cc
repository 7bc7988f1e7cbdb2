// The proxy where there are several controllers: which one it dials, and when.
#include <gtest/gtest.h>
#include <signal.h>

#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include "tests/component/proxy/testing/configs.h"
#include "tests/component/proxy/testing/fake_controller.h"
#include "tests/component/proxy/testing/proxy_process.h"
#include "tests/component/proxy/testing/updates.h"

namespace remuda::proxy::testing {
namespace {

bool IsHello(const v1::ConnectRequest& message) { return message.has_hello(); }

class ControllersTest : public ::testing::Test {
 protected:
  ~ControllersTest() override {
    std::error_code ignored;
    std::filesystem::remove_all(data_dir_, ignored);
  }
  static std::string MakeDirectory() {
    std::string pattern =
        (std::filesystem::temp_directory_path() / "remuda-controllers-XXXXXX").string();
    return mkdtemp(pattern.data());
  }
  // With these controllers, and the directory of the test.
  std::vector<std::string> Flags(const std::string& controllers) const {
    return {"--controller=" + controllers, "--name=p1", "--workers=1", "--data-dir=" + data_dir_};
  }
  // What the controller of this epoch sends first.
  v1::ConfigUpdate FirstOf(int64_t epoch) const {
    v1::ConfigUpdate update = First(port_, {{"i-1", target_.port()}});
    update.mutable_revision()->set_epoch(epoch);
    return update;
  }
  // The highest that was seen, as it is on the disk.
  std::string StoredEpoch() const {
    std::ifstream in(data_dir_ + "/config");
    std::string line;
    for (int i = 0; i < 4; ++i) std::getline(in, line);
    return line;
  }
  // A session that has begun, with the first config in force.
  void BeginSession(FakeController& controller, int64_t epoch) const {
    controller.Begin(FirstOf(epoch));
    ASSERT_EQ(controller.ExpectAck(1).revision().epoch(), epoch);
  }

  const std::string data_dir_ = MakeDirectory();
  ScriptedTarget target_{ScriptedTarget::Answers("one")};
  const uint16_t port_ = FreePort();
};

TEST_F(ControllersTest, WhenOneDiesItGoesToTheNextWithWhatItHolds) {
  auto first = std::make_unique<FakeController>(1);
  FakeController second(2);
  ProxyProcess proxy("", Flags(first->address() + "," + second.address()));
  ASSERT_NO_FATAL_FAILURE(BeginSession(*first, 1));
  first.reset();
  const auto hello = second.Expect(IsHello).hello();
  EXPECT_EQ(hello.proxy(), "p1");
  EXPECT_EQ(hello.held().epoch(), 1);
  second.Send(FirstOf(2));
  EXPECT_EQ(second.ExpectAck(1).revision().epoch(), 2);
  EXPECT_EQ(BodyOf(Get(port_)), "one");
}

TEST_F(ControllersTest, OneThatIsNotThereIsPassedOver) {
  FakeController there(1);
  ProxyProcess proxy("", Flags("127.0.0.1:" + std::to_string(FreePort()) + "," + there.address()));
  ASSERT_NO_FATAL_FAILURE(BeginSession(there, 1));
}

TEST_F(ControllersTest, WhatItLearnedIsUsedAfterARestart) {
  auto first = std::make_unique<FakeController>(1);
  FakeController second(2);
  const std::string gone = first->address();
  first->set_controllers({first->address(), second.address()});
  second.set_controllers({second.address(), first->address()});
  {
    ProxyProcess proxy("", Flags(gone));
    ASSERT_NO_FATAL_FAILURE(BeginSession(*first, 1));
    first.reset();
    ASSERT_TRUE(second.Expect(IsHello).has_hello()) << "it was told of it";
    second.Send(FirstOf(2));
    second.ExpectAck(1);
    proxy.Signal(SIGTERM);
    EXPECT_EQ(proxy.WaitExit(), 0);
  }
  ProxyProcess later("", Flags(gone));
  EXPECT_EQ(second.Expect(IsHello).hello().held().epoch(), 2);
}

TEST_F(ControllersTest, ASessionStaysWhereItIsWhenAnotherOneLeads) {
  auto first = std::make_unique<FakeController>(1);
  FakeController second(1);
  FakeController third(1);
  const std::vector<std::string> all = {first->address(), second.address(), third.address()};
  first->set_controllers(all);
  ProxyProcess proxy("", Flags(first->address()));
  ASSERT_NO_FATAL_FAILURE(BeginSession(*first, 1));
  first->SendControllers({all[2], all[1], all[0]});
  first->SendPing(7);
  EXPECT_EQ(first->Expect([](const auto& m) { return m.has_pong(); }).pong().ping_id(), 7);
  first.reset();
  ASSERT_TRUE(third.Expect(IsHello).has_hello()) << "the leader is dialled first";
  third.SendPing(8);
  EXPECT_EQ(third.Expect([](const auto& m) { return m.has_pong(); }).pong().ping_id(), 8);
}

// It was the leader once, and does not know that it is not any more.
TEST_F(ControllersTest, OneOfAnOlderEpochIsRefusedAndTheNextOneTried) {
  FakeController deposed(1);
  auto leader = std::make_unique<FakeController>(3);
  const std::string address = leader->address();
  const int port = leader->port();
  ProxyProcess proxy("", Flags(address + "," + deposed.address()));
  ASSERT_NO_FATAL_FAILURE(BeginSession(*leader, 3));
  leader.reset();
  ASSERT_TRUE(deposed.Expect(IsHello).has_hello());
  FakeController next(4, port);
  ASSERT_EQ(next.Expect(IsHello).hello().held().epoch(), 3) << proxy.Log();
  next.Send(FirstOf(4));
  EXPECT_EQ(next.ExpectAck(1).revision().epoch(), 4);
  EXPECT_NE(proxy.Log().find("STALE_EPOCH"), std::string::npos);
}

// It has welcomed the proxy and sent it nothing yet.
TEST_F(ControllersTest, TheEpochOfANewLeaderIsKeptBeforeItsFirstUpdate) {
  auto deposed = std::make_unique<FakeController>(1);
  const int port = deposed->port();
  FakeController leader(3);
  {
    ProxyProcess proxy("", Flags(deposed->address() + "," + leader.address()));
    ASSERT_NO_FATAL_FAILURE(BeginSession(*deposed, 1));
    deposed.reset();
    ASSERT_TRUE(leader.Expect(IsHello).has_hello());
    ASSERT_TRUE(WaitUntil([&] { return StoredEpoch() == "3"; })) << StoredEpoch();
    proxy.Signal(SIGKILL);
    proxy.WaitExit();
  }
  FakeController again(1, port);
  ProxyProcess later("", Flags(again.address()));
  EXPECT_EQ(again.Expect(IsHello).hello().held().epoch(), 1);
  EXPECT_TRUE(WaitUntil([&] { return later.Log().find("STALE_EPOCH") != std::string::npos; }))
      << later.Log();
}

TEST_F(ControllersTest, WhatIsSaidBeforeTheWelcomeIsNotLearned) {
  FakeController controller(1);
  controller.set_controllers_before_welcome({"127.0.0.1:1"});
  ProxyProcess proxy("", Flags(controller.address()));
  ASSERT_NO_FATAL_FAILURE(BeginSession(controller, 1));
  EXPECT_FALSE(std::filesystem::exists(data_dir_ + "/controllers"));
}

TEST_F(ControllersTest, AnAddressThatIsNoneIsRefusedByName) {
  ProxyProcess proxy("", Flags("127.0.0.1:7400,nowhere"));
  EXPECT_EQ(proxy.WaitExit(), 2);
  EXPECT_NE(proxy.Log().find("--controller: \"nowhere\" is not HOST:PORT"), std::string::npos)
      << proxy.Log();
}

}  // namespace
}  // namespace remuda::proxy::testing
