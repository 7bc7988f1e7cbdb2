// The agent where there are several controllers: which one it dials, and when.
#include <string>
#include <vector>

#include "tests/component/agent/agent_fixture.h"

namespace remuda::agent {
namespace {

// The first is the fixture's.
class AgentControllersTest : public AgentTest {
 protected:
  void SetUp() override {
    AgentTest::SetUp();
    second_.Serve();
    AddImageTo(second_);
  }
  void TearDown() override {
    AgentTest::TearDown();
    second_.StopServing();
  }
  void AddImageTo(FakeController& other) { other.images = controller_.images; }
  static bool HasHello(FakeController& controller) {
    return controller.Wait([&] { return !controller.hellos.empty(); });
  }
  std::string Both() const { return controller_.address() + "," + second_.address(); }

  FakeController second_{2};
};

TEST_F(AgentControllersTest, WhenOneDiesItGoesToTheNextAndFetchesImagesThere) {
  StartAgent(Both());
  ASSERT_TRUE(HasHello(controller_));
  controller_.Assign({Serve("i-1")});
  ASSERT_TRUE(Running("i-1"));
  controller_.StopServing();
  ASSERT_TRUE(HasHello(second_));
  EXPECT_EQ(second_.hellos[0].held().epoch(), 1);
  ASSERT_EQ(second_.hellos[0].instances_size(), 1) << "the app runs on";
  const std::string other = AddImage(second_, {{"serve.sh", kServe}, {"other", "x"}});
  second_.Assign({Serve("i-1"), Runs("i-2", other, {"./serve.sh"})});
  EXPECT_TRUE(second_.WaitState("i-2", v1::PROCESS_STATE_RUNNING));
  EXPECT_EQ(second_.Status("i-1").restarts(), 0);
}

TEST_F(AgentControllersTest, WhatItLearnedIsUsedAfterARestart) {
  controller_.controllers = {controller_.address(), second_.address()};
  StartAgent(controller_.address());
  ASSERT_TRUE(HasHello(controller_));
  controller_.StopServing();
  ASSERT_TRUE(HasHello(second_)) << "it was told of it";
  ASSERT_EQ(EndAgent(), 0);
  StartAgent(controller_.address());
  EXPECT_TRUE(second_.Wait([&] { return second_.hellos.size() == 2; }));
}

TEST_F(AgentControllersTest, ASessionStaysWhereItIsWhenAnotherOneLeads) {
  FakeController third(1);
  third.Serve();
  StartAgent(Both());
  ASSERT_TRUE(HasHello(controller_));
  v1::ConnectResponse told;
  told.mutable_controllers()->add_addresses(third.address());
  told.mutable_controllers()->add_addresses(controller_.address());
  controller_.Send(told);
  v1::ConnectResponse ping;
  ping.mutable_ping()->set_ping_id(7);
  controller_.Send(ping);
  ASSERT_TRUE(controller_.Wait([&] { return controller_.pongs.contains(7); }));
  EXPECT_TRUE(third.hellos.empty());
  controller_.StopServing();
  ASSERT_TRUE(HasHello(third)) << "the leader is dialled first";
  EXPECT_TRUE(second_.hellos.empty());
  KillAgent();
  third.StopServing();
}

// It was the leader once, and does not know that it is not any more.
TEST_F(AgentControllersTest, OneOfAnOlderEpochIsNotFollowedAndTheNextOneTried) {
  StartAgent(second_.address() + "," + controller_.address());
  ASSERT_TRUE(HasHello(second_));
  second_.Assign({Serve("i-1")});
  ASSERT_TRUE(second_.WaitState("i-1", v1::PROCESS_STATE_RUNNING));
  second_.StopServing();
  ASSERT_TRUE(HasHello(controller_));
  controller_.Assign({});
  second_.Serve();
  ASSERT_TRUE(second_.Wait([&] { return second_.hellos.size() == 2; }));
  EXPECT_EQ(second_.hellos[1].held().epoch(), 2);
  ASSERT_EQ(second_.hellos[1].instances_size(), 1);
  EXPECT_EQ(second_.hellos[1].instances(0).state(), v1::PROCESS_STATE_RUNNING);
}

}  // namespace
}  // namespace remuda::agent
