// Whose a name is: two processes that ask the real controller for one.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "remuda/v1/activity.grpc.pb.h"
#include "tests/component/controller/testing/cluster_fixture.h"

namespace remuda {
namespace {

using testing::HasSubstr;

class NamesTest : public ClusterTest {
 protected:
  void SetUp() override {
    StartController(Flags());
    proxy_.hello().set_incarnation("first");
    second_proxy_.hello().set_incarnation("second");
    for (FakeAgent* agent : {&agent_, &second_agent_}) {
      agent->hello().set_machine_id("machine");
      agent->hello().set_boot_id("boot");
    }
    agent_.hello().set_incarnation("first");
    agent_.hello().set_lock("1:1");
    second_agent_.hello().set_incarnation("second");
    second_agent_.hello().set_lock("1:2");
  }
  virtual std::vector<std::string> Flags() const { return {}; }
  template <class Receiver>
  void Join(Receiver& receiver) {
    receiver.Connect(channel_);
    // A view comes when the row is committed.
    ASSERT_TRUE(receiver.WaitFor([](const auto& had) { return had.revision.sequence() > 0; }));
  }
  template <class Receiver>
  static bool IsWelcome(Receiver& receiver) {
    return receiver.WaitFor([](const auto& had) { return had.welcome.has_value(); });
  }
  template <class Receiver>
  static void ExpectRefused(Receiver& receiver, const char* resource) {
    const auto end = receiver.stream().WaitForEnd();
    ASSERT_TRUE(end.has_value());
    EXPECT_EQ(end->error_code(), grpc::FAILED_PRECONDITION) << end->error_message();
    EXPECT_THAT(end->error_message(), HasSubstr(resource));
    EXPECT_THAT(end->error_message(), HasSubstr("is connected from"));
    EXPECT_FALSE(receiver.had().welcome.has_value());
  }
  template <class Receiver>
  static void ExpectPushedOut(Receiver& receiver) {
    const auto end = receiver.stream().WaitForEnd();
    ASSERT_TRUE(end.has_value());
    EXPECT_EQ(end->error_code(), grpc::ABORTED) << end->error_message();
  }
  // The newest activity of a resource that tells of a refusal.
  std::string ToldOf(const std::string& resource) {
    std::string cause;
    WaitUntil(
        [&] {
          v1::ListActivitiesResponse response;
          Call<v1::ActivityService>(&v1::ActivityService::Stub::ListActivities, {}, &response);
          for (const v1::Activity& activity : response.activities()) {
            if (activity.resource() == resource && activity.description().starts_with("Refused"))
              cause = activity.cause();
          }
          return !cause.empty();
        },
        kPatience);
    return cause;
  }

  FakeProxy second_proxy_{"p1"};
  FakeAgent second_agent_{"h1", "10.0.0.1"};
};

TEST_F(NamesTest, ASecondProxyIsRefusedLoudlyAndTheFirstGoesOn) {
  Join(proxy_);
  EXPECT_EQ(GetProxy("p1").refused_proxy(), "");
  second_proxy_.Connect(channel_);
  ExpectRefused(second_proxy_, "proxies/p1");
  EXPECT_THAT(GetProxy("p1").refused_proxy(), HasSubstr("a second proxy asks to join"));
  EXPECT_THAT(ToldOf("proxies/p1"), HasSubstr("p1 is connected from"));
  ApplyShop(0);
  EXPECT_TRUE(proxy_.WaitFor([](const auto& had) { return had.load_balancers.contains("shop"); }));
}

TEST_F(NamesTest, ASecondAgentWithACopyOfTheDirectoryIsRefusedLoudlyAndTheFirstGoesOn) {
  Join(agent_);
  ApplyShop(1);
  ASSERT_TRUE(WaitForInService(1));
  second_agent_.Connect(channel_);
  ExpectRefused(second_agent_, "hosts/h1");
  EXPECT_THAT(GetHost("h1").refused_agent(), HasSubstr("copy of the data directory"));
  EXPECT_THAT(ToldOf("hosts/h1"), HasSubstr("h1 is connected from"));
  // Also one on another machine, with the boot of its own.
  second_agent_.hello().set_boot_id("another boot");
  second_agent_.hello().set_lock("1:1");
  second_agent_.Connect(channel_);
  ExpectRefused(second_agent_, "hosts/h1");
  EXPECT_EQ(GetHost("h1").state(), v1::HOST_STATE_CONNECTED);
  EXPECT_TRUE(WaitForInService(1));
}

TEST_F(NamesTest, OneThatComesBackNeedNotWaitForTheEndOfItsFirstSession) {
  Join(proxy_);
  second_proxy_.hello().set_incarnation("first");
  second_proxy_.Connect(channel_);
  EXPECT_TRUE(IsWelcome(second_proxy_));
  ExpectPushedOut(proxy_);
  EXPECT_EQ(proxy_.had().pings, 0);
}

TEST_F(NamesTest, AnAgentThatHasTheLockOfTheFirstNeedNotWaitForItsEnd) {
  Join(agent_);
  second_agent_.hello().set_lock("1:1");
  second_agent_.Connect(channel_);
  EXPECT_TRUE(IsWelcome(second_agent_));
  ExpectPushedOut(agent_);
  EXPECT_EQ(agent_.had().pings, 0);
}

TEST_F(NamesTest, ANewProcessGetsTheNameWhenTheSessionOfADeadOneEnds) {
  proxy_.set_pong(FakeProxy::Pong::kNothing);
  Join(proxy_);
  second_proxy_.Connect(channel_);
  ASSERT_TRUE(proxy_.WaitFor([](const auto& had) { return had.pings == 1; }));
  EXPECT_FALSE(second_proxy_.had().welcome.has_value()) << "the first may be alive";
  proxy_.Disconnect();
  EXPECT_TRUE(IsWelcome(second_proxy_));
  EXPECT_EQ(GetProxy("p1").refused_proxy(), "");
  // The one that woke up is the second one now.
  proxy_.Connect(channel_);
  ExpectRefused(proxy_, "proxies/p1");
}

TEST_F(NamesTest, ManyThatWaitAskTheFirstOnceAndOnlyOneOfThemGetsTheName) {
  proxy_.set_pong(FakeProxy::Pong::kNothing);
  Join(proxy_);
  constexpr size_t kMany = 9;  // one more than may wait
  std::vector<std::unique_ptr<FakeProxy>> many;
  for (size_t i = 0; i < kMany; ++i) {
    many.push_back(std::make_unique<FakeProxy>("p1"));
    many.back()->hello().set_incarnation("one of many " + std::to_string(i));
    many.back()->Connect(channel_);
  }
  const auto count = [&](const auto& condition) {
    size_t sum = 0;
    for (const auto& proxy : many) sum += condition(*proxy) ? 1 : 0;
    return sum;
  };
  const auto has_ended = [](FakeProxy& proxy) { return proxy.stream().end().has_value(); };
  // The last to come is refused at once: the others are there.
  ASSERT_TRUE(WaitUntil([&] { return count(has_ended) >= 1; }, kPatience));
  EXPECT_EQ(count(has_ended), 1u);
  for (const auto& proxy : many) {
    if (!has_ended(*proxy)) continue;
    ExpectRefused(*proxy, "proxies/p1");
    EXPECT_THAT(proxy->stream().end()->error_message(), HasSubstr("kMaxWaitingForName"));
  }
  EXPECT_EQ(proxy_.had().pings, 1);
  proxy_.Disconnect();
  // The one that gets it answers, by which the others are refused.
  EXPECT_TRUE(WaitUntil([&] { return count(has_ended) == kMany - 1; }, kPatience));
  EXPECT_EQ(count([](FakeProxy& proxy) { return proxy.had().welcome.has_value(); }), 1u);
  EXPECT_EQ(count([](FakeProxy& proxy) { return proxy.had().pings > 0; }), 1u);
}

TEST_F(NamesTest, AHelloThatIsTooLargeToBeKeptDoesNotWait) {
  proxy_.set_pong(FakeProxy::Pong::kNothing);
  Join(proxy_);
  second_proxy_.hello().set_version(std::string(2 << 20, 'v'));
  second_proxy_.Connect(channel_);
  ExpectRefused(second_proxy_, "proxies/p1");
  EXPECT_THAT(second_proxy_.stream().end()->error_message(), HasSubstr("kMaxWaitingHelloBytes"));
}

TEST_F(NamesTest, ASessionThatKeepaliveFindsAliveKeepsTheNameThoughItDoesNotAnswer) {
  proxy_.set_pong(FakeProxy::Pong::kNothing);
  Join(proxy_);
  second_proxy_.Connect(channel_);
  ExpectRefused(second_proxy_, "proxies/p1");
  EXPECT_TRUE(GetProxy("p1").connected());
}

class BriefLeaseTest : public NamesTest {
 protected:
  std::vector<std::string> Flags() const override { return {"--proxy-lease=1s"}; }
};

TEST_F(BriefLeaseTest, NothingWaitsForAProxyThatHasDrained) {
  Join(agent_);
  Join(proxy_);
  ApplyShop(1);
  ASSERT_TRUE(WaitForInService(1));
  proxy::v1::ConnectRequest farewell;
  farewell.mutable_pong()->set_is_leaving(true);
  proxy_.Send(farewell);
  proxy_.stream().WritesDone();
  const auto end = proxy_.stream().WaitForEnd();
  ASSERT_TRUE(end.has_value());
  EXPECT_TRUE(end->ok()) << end->error_message();
  ASSERT_TRUE(WaitForProxy("p1", [](const auto& proxy) { return !proxy.live(); }));
  // The only one, so its silence would hold everything.
  ApplyShop(0);
  EXPECT_TRUE(WaitForInstances([](const auto& instances) {
    return std::all_of(instances.begin(), instances.end(), [](const auto& entry) {
      return entry.second.state() == v1::INSTANCE_STATE_TERMINATED;
    });
  }));
}

class LongLeaseTest : public NamesTest {
 protected:
  std::vector<std::string> Flags() const override { return {"--proxy-lease=1h"}; }
};

// It drains: what it has in flight may be at instances that its successor knows nothing of.
TEST_F(LongLeaseTest, WhileTheFormerOneIsThereNothingIsConfirmedForTheNameOfAProxyThatDrains) {
  proxy_.set_pong(FakeProxy::Pong::kLeaving);
  Join(proxy_);
  ASSERT_TRUE(
      WaitForProxy("p1", [](const auto& proxy) { return proxy.config().confirmed_commit() > 0; }));
  Join(second_proxy_);
  EXPECT_EQ(GetProxy("p1").refused_proxy(), "");
  // The successor serves, and says so.
  ApplyShop(0);
  EXPECT_TRUE(
      second_proxy_.WaitFor([](const auto& had) { return had.load_balancers.contains("shop"); }));
  ASSERT_TRUE(WaitForProxy("p1", [&](const auto& proxy) {
    return proxy.config().acknowledged().sequence() == second_proxy_.had().revision.sequence();
  }));
  proxy::v1::ConnectRequest report;
  report.mutable_stats();
  second_proxy_.Send(report);
  ASSERT_TRUE(second_proxy_.WaitFor([](const auto& had) { return had.lease_renewal == 1; }));
  EXPECT_EQ(GetProxy("p1").config().confirmed_commit(), 0);
  EXPECT_FALSE(proxy_.stream().end().has_value());
  EXPECT_FALSE(proxy_.had().load_balancers.contains("shop"));
  proxy_.Disconnect();
  EXPECT_TRUE(
      WaitForProxy("p1", [](const auto& proxy) { return proxy.config().confirmed_commit() > 0; }));
}

TEST_F(BriefLeaseTest, AFormerProxyThatDrainsForLongIsWaitedForNoLongerThanALease) {
  proxy_.set_pong(FakeProxy::Pong::kLeaving);
  Join(proxy_);
  second_proxy_.Connect(channel_);
  EXPECT_TRUE(IsWelcome(second_proxy_));
  ExpectPushedOut(proxy_);
  EXPECT_TRUE(WaitForProxy("p1", [](const auto& proxy) {
    return proxy.connected() && proxy.config().confirmed_commit() > 0;
  }));
}

}  // namespace
}  // namespace remuda
