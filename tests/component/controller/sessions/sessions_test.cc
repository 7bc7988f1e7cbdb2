// Sessions of proxies and agents with the real controller: how they begin, come back and end.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include "remuda/v1/target_group.grpc.pb.h"
#include "tests/component/controller/testing/cluster_fixture.h"

namespace remuda {
namespace {

using testing::HasSubstr;

class SessionsTest : public ClusterTest {};

TEST_F(SessionsTest, AReceiverThatComesBackInTheSameEpochGetsADelta) {
  StartController();
  agent_.Connect(channel_);
  proxy_.Connect(channel_);
  ApplyShop(1);
  ASSERT_TRUE(WaitForInService(1));
  ASSERT_TRUE(proxy_.WaitFor([](const auto& had) { return HasActive(had, 1); }));
  proxy_.Disconnect();
  ASSERT_TRUE(WaitForProxy("p1", [](const v1::Proxy& proxy) { return !proxy.connected(); }));
  v1::RegisterTargetsRequest request;
  request.set_target_group("targetGroups/blue");
  request.add_targets()->set_address("10.9.9.9");
  request.mutable_targets(0)->set_port(80);
  v1::RegisterTargetsResponse response;
  ASSERT_TRUE((Call<v1::TargetGroupService>(&v1::TargetGroupService::Stub::RegisterTargets, request,
                                            &response)
                   .ok()));
  proxy_.Connect(channel_);
  ASSERT_TRUE(
      proxy_.WaitFor([](const auto& had) { return had.targets.contains("blue/10.9.9.9:80"); }));
  for (const auto& update : proxy_.had().updates)
    EXPECT_TRUE(update.has_base()) << update.ShortDebugString();
}

TEST_F(SessionsTest, ReceiversThatHoldWhatARestartedControllerWouldSendAreSentNothingOfIt) {
  StartController();
  agent_.Connect(channel_);
  proxy_.Connect(channel_);
  ApplyShop(3);
  ASSERT_TRUE(WaitForInService(3));
  // What the proxy has is what the controller says last: nothing more is on its way.
  const auto is_settled = [](const v1::ReceiverStatus& status) {
    return status.acknowledged().sequence() > 0 &&
           status.acknowledged().sequence() == status.sent().sequence();
  };
  ASSERT_TRUE(WaitForProxy("p1", [&](const v1::Proxy& p) { return is_settled(p.config()); }));
  ASSERT_TRUE(WaitForHost("h1", [&](const v1::Host& h) { return is_settled(h.assignment()); }));
  ASSERT_TRUE(proxy_.WaitFor([](const auto& had) { return HasActive(had, 3); }));
  proxy_.Disconnect();
  agent_.Disconnect();
  EXPECT_EQ(controller_.Stop(SIGKILL), -SIGKILL);
  StartController();
  agent_.Connect(channel_);
  proxy_.Connect(channel_);
  const auto is_of_new_epoch = [](const auto& had) {
    return had.welcome.has_value() && had.revision.epoch() == had.welcome->epoch();
  };
  ASSERT_TRUE(proxy_.WaitFor(is_of_new_epoch));
  ASSERT_TRUE(agent_.WaitFor(is_of_new_epoch));
  ASSERT_EQ(proxy_.had().updates.size(), 1u);
  const proxy::v1::ConfigUpdate update = proxy_.had().updates.front();
  EXPECT_TRUE(update.has_base()) << "a whole view";
  EXPECT_EQ(update.upserts().ByteSizeLong(), 0u);
  EXPECT_LT(update.ByteSizeLong(), 100u);
  EXPECT_EQ(agent_.had().whole_updates, 0);
  EXPECT_EQ(agent_.had().updates, 1);
  EXPECT_TRUE(HasActive(proxy_.had(), 3));
  // It counts as any acknowledgement does, and changes come on top of it.
  ASSERT_TRUE(WaitForProxy("p1", [&](const v1::Proxy& p) {
    return is_settled(p.config()) && p.config().confirmed_commit() > 0;
  }));
  const std::string victim = agent_.had().running.begin()->first;
  agent_.Kill(victim, 9);
  ASSERT_TRUE(WaitForInService(3)) << controller_.Log();
  ASSERT_TRUE(proxy_.WaitFor([&](const auto& had) {
    return HasActive(had, 3) && !had.targets.contains("blue/" + victim);
  }));
  for (const auto& each : proxy_.had().updates) EXPECT_TRUE(each.has_base());
  EXPECT_EQ(agent_.had().whole_updates, 0);
}

TEST_F(SessionsTest, AReceiverThatHoldsSomethingElseIsToldTheWholeByARestartedController) {
  StartController();
  proxy_.Connect(channel_);
  ApplyShop(0);
  ASSERT_TRUE(proxy_.WaitFor([](const auto& had) { return had.load_balancers.contains("shop"); }));
  proxy_.Disconnect();
  v1::RegisterTargetsRequest request;
  request.set_target_group("targetGroups/blue");
  request.add_targets()->set_address("10.9.9.9");
  request.mutable_targets(0)->set_port(80);
  v1::RegisterTargetsResponse response;
  ASSERT_TRUE((Call<v1::TargetGroupService>(&v1::TargetGroupService::Stub::RegisterTargets, request,
                                            &response)
                   .ok()));
  EXPECT_EQ(controller_.Stop(SIGKILL), -SIGKILL);
  StartController();
  proxy_.Connect(channel_);
  ASSERT_TRUE(
      proxy_.WaitFor([](const auto& had) { return had.targets.contains("blue/10.9.9.9:80"); }));
  EXPECT_FALSE(proxy_.had().updates.front().has_base());
}

TEST_F(SessionsTest, WhatAProxyComesBackWithIsConfirmedOnceItsBusyTargetsAreKnown) {
  StartController();
  proxy_.Connect(channel_);
  ApplyShop(0);
  ASSERT_TRUE(proxy_.WaitFor([](const auto& had) { return had.load_balancers.contains("shop"); }));
  const auto is_confirmed = [](const v1::Proxy& p) { return p.config().confirmed_commit() > 0; };
  ASSERT_TRUE(WaitForProxy("p1", is_confirmed));
  proxy_.Disconnect();
  ASSERT_TRUE(WaitForProxy("p1", [](const v1::Proxy& p) { return !p.connected(); }));
  proxy_.set_answer(FakeProxy::Answer::kNothing);
  proxy_.Connect(channel_);
  ASSERT_TRUE(WaitForProxy("p1", [](const v1::Proxy& p) { return p.connected(); }));
  EXPECT_FALSE(is_confirmed(GetProxy("p1"))) << "what is in flight there is not known yet";
  proxy::v1::ConnectRequest report;
  report.mutable_drain();
  proxy_.Send(report);
  EXPECT_TRUE(WaitForProxy("p1", is_confirmed));
}

// A proxy knows by it that the controller still counts on it.
TEST_F(SessionsTest, EachStatsReportRenewsTheLease) {
  StartController();
  proxy_.Connect(channel_);
  ASSERT_TRUE(proxy_.WaitFor([](const auto& had) { return had.welcome.has_value(); }));
  const proxy::v1::Welcome welcome = *proxy_.had().welcome;
  EXPECT_GT(welcome.lease().seconds(), 0);
  EXPECT_LE(welcome.stats_interval().seconds() * 3, welcome.lease().seconds());
  proxy::v1::ConnectRequest report;
  report.mutable_stats()->set_requests(1);
  for (int64_t i = 1; i <= 3; ++i) {
    proxy_.Send(report);
    EXPECT_TRUE(proxy_.WaitFor([&](const auto& had) { return had.lease_renewal == i; }));
  }
}

TEST_F(SessionsTest, ANackIsShownUntilALaterAck) {
  StartController();
  proxy_.Connect(channel_);
  ASSERT_TRUE(proxy_.WaitFor([](const auto& had) { return had.revision.sequence() > 0; }));
  proxy_.set_answer(FakeProxy::Answer::kNack);
  ApplyShop(0);
  ASSERT_TRUE(WaitForProxy("p1", [](const v1::Proxy& p) {
    return p.config().rejected_reason() == "port 8080 is taken";
  }));
  EXPECT_EQ(GetProxy("p1").config().rejected_resource(), "loadBalancers/shop");
  EXPECT_LT(GetProxy("p1").config().acknowledged().sequence(),
            GetProxy("p1").config().rejected().sequence());
  // A refused delta is tried once more as a whole view, then no more until something changes.
  ASSERT_TRUE(proxy_.WaitFor([](const auto& had) { return !had.updates.back().has_base(); }));
  proxy_.set_answer(FakeProxy::Answer::kAck);
  v1::ApplyResourcesRequest change;
  change.add_resources()->mutable_target_group()->set_name("blue");
  change.mutable_resources(0)->mutable_target_group()->mutable_deregistration_delay()->set_seconds(
      7);
  ASSERT_TRUE(Apply(change).ok());
  ASSERT_TRUE(WaitForProxy("p1", [](const v1::Proxy& p) { return !p.config().has_rejected(); }));
  EXPECT_EQ(GetProxy("p1").config().rejected_reason(), "");
  EXPECT_TRUE(proxy_.had().load_balancers.contains("shop"));
}

TEST_F(SessionsTest, AllProxiesGetTheSameTicketKeysAndTheyAreNotStored) {
  StartController();
  FakeProxy other("p2");
  proxy_.Connect(channel_);
  other.Connect(channel_);
  const auto has_keys = [](const auto& had) { return had.ticket_keys.has_value(); };
  ASSERT_TRUE(proxy_.WaitFor(has_keys));
  ASSERT_TRUE(other.WaitFor(has_keys));
  const proxy::v1::TicketKeys keys = *proxy_.had().ticket_keys;
  ASSERT_EQ(keys.keys_size(), 2) << "the present one, and the next";
  EXPECT_EQ(keys.keys(0).size(), 80u);
  EXPECT_NE(keys.keys(0), keys.keys(1));
  EXPECT_EQ(keys.SerializeAsString(), other.had().ticket_keys->SerializeAsString());
}

// Of proxies from before processes had names of their own; names_test.cc has the others.
TEST_F(SessionsTest, ASecondSessionOfAnOlderProxyEndsTheFirst) {
  StartController();
  proxy_.Connect(channel_);
  // A view comes when the proxy's row is committed.
  ASSERT_TRUE(proxy_.WaitFor([](const auto& had) { return had.revision.sequence() > 0; }));
  FakeProxy twin("p1");
  twin.Connect(channel_);
  ASSERT_TRUE(twin.WaitFor([](const auto& had) { return had.welcome.has_value(); }));
  const auto end = proxy_.stream().WaitForEnd();
  ASSERT_TRUE(end.has_value());
  EXPECT_EQ(end->error_code(), grpc::StatusCode::ABORTED) << end->error_message();
  EXPECT_TRUE(GetProxy("p1").connected());
}

TEST_F(SessionsTest, WrongHellosAreRefusedWithTheField) {
  StartController();
  const struct {
    const char* what;
    std::function<void(proxy::v1::Hello&)> spoil;
    grpc::StatusCode code;
    const char* says;
  } cases[] = {
      {"name", [](auto& h) { h.set_proxy("Not A Name"); }, grpc::INVALID_ARGUMENT, "hello.proxy"},
      {"no name", [](auto& h) { h.clear_proxy(); }, grpc::INVALID_ARGUMENT, "hello.proxy"},
      {"cluster", [](auto& h) { h.set_cluster_id("another"); }, grpc::FAILED_PRECONDITION,
       "another"},
      {"zone", [](auto& h) { h.set_zone(std::string(300, 'z')); }, grpc::INVALID_ARGUMENT,
       "hello.zone"},
      {"future", [](auto& h) { h.mutable_held()->set_epoch(99); }, grpc::FAILED_PRECONDITION, "99"},
  };
  for (const auto& c : cases) {
    FakeProxy proxy("p1");
    c.spoil(proxy.hello());
    proxy.Connect(channel_);
    const auto end = proxy.stream().WaitForEnd();
    ASSERT_TRUE(end.has_value()) << c.what;
    EXPECT_EQ(end->error_code(), c.code) << c.what << ": " << end->error_message();
    EXPECT_THAT(end->error_message(), HasSubstr(c.says)) << c.what;
  }
  FakeAgent agent("h1", "not-an-address");
  agent.Connect(channel_);
  EXPECT_THAT(agent.stream().WaitForEnd()->error_message(), HasSubstr("hello.address"));
  FakeAgent wordy("h1", "10.0.0.1");
  wordy.hello().set_machine_id("first");
  wordy.hello().set_boot_id(std::string(10'000, 'b'));
  wordy.Connect(channel_);
  EXPECT_THAT(wordy.stream().WaitForEnd()->error_message(), HasSubstr("hello.boot_id"));
}

TEST_F(SessionsTest, ASecondMachineOfOneNameIsRefusedLoudlyUntilTheHostIsDeleted) {
  StartController({"--host-lost-after=1s"});
  agent_.hello().set_machine_id("first");
  agent_.hello().set_boot_id("boot-1");
  agent_.Connect(channel_);
  ASSERT_TRUE(agent_.WaitFor([](const auto& had) { return had.revision.sequence() > 0; }));
  const auto refused = [&](const std::string& machine, const std::string& boot) {
    FakeAgent agent("h1", "10.0.0.9");
    agent.hello().set_machine_id(machine);
    agent.hello().set_boot_id(boot);
    agent.Connect(channel_);
    const auto end = agent.stream().WaitForEnd();
    ASSERT_TRUE(end.has_value());
    EXPECT_EQ(end->error_code(), grpc::FAILED_PRECONDITION) << machine << "/" << boot;
    EXPECT_THAT(end->error_message(), HasSubstr("delete host h1"));
  };
  refused("second", "boot-2");
  refused("first", "boot-of-a-copy");
  refused("", "");
  EXPECT_THAT(GetHost("h1").refused_agent(), HasSubstr("asks to join under this name"));
  EXPECT_EQ(GetHost("h1").state(), v1::HOST_STATE_CONNECTED) << "the first is not disturbed";
  EXPECT_EQ(GetHost("h1").machine_id(), "first");
  // The name belongs to the first though it is away, and after its reboot it comes back.
  agent_.Disconnect();
  ASSERT_TRUE(
      WaitForHost("h1", [](const v1::Host& h) { return h.state() == v1::HOST_STATE_LOST; }));
  refused("second", "boot-2");
  agent_.hello().set_boot_id("boot-3");
  agent_.Connect(channel_);
  ASSERT_TRUE(
      WaitForHost("h1", [](const v1::Host& h) { return h.state() == v1::HOST_STATE_CONNECTED; }));
  agent_.Disconnect();
  ASSERT_TRUE(
      WaitForHost("h1", [](const v1::Host& h) { return h.state() == v1::HOST_STATE_LOST; }));
  v1::DeleteHostRequest request;
  request.set_name("hosts/h1");
  google::protobuf::Empty response;
  ASSERT_TRUE(
      (Call<v1::ClusterService>(&v1::ClusterService::Stub::DeleteHost, request, &response).ok()));
  FakeAgent anew("h1", "10.0.0.9");
  anew.hello().set_machine_id("second");
  anew.Connect(channel_);
  EXPECT_TRUE(anew.WaitFor([](const auto& had) { return had.welcome.has_value(); }));
}

// They are kept and shown: an agent says no more of itself than names.
TEST_F(SessionsTest, AnAgentsIdsAreBounded) {
  StartController();
  const auto end = [&](const std::string& machine, const std::string& boot) {
    FakeAgent agent("h2", "10.0.0.9");
    agent.hello().set_machine_id(machine);
    agent.hello().set_boot_id(boot);
    agent.Connect(channel_);
    return agent.stream().WaitForEnd();
  };
  const std::string most(64, 'x');
  for (const auto& [machine, boot, field] :
       {std::tuple{most + "x", most, "hello.machine_id"}, {most, most + "x", "hello.boot_id"}}) {
    const auto refused = end(machine, boot);
    ASSERT_TRUE(refused.has_value()) << field;
    EXPECT_EQ(refused->error_code(), grpc::INVALID_ARGUMENT);
    EXPECT_THAT(refused->error_message(), HasSubstr(field));
  }
  FakeAgent taken("h2", "10.0.0.9");
  taken.hello().set_machine_id(most);
  taken.hello().set_boot_id(most);
  taken.Connect(channel_);
  EXPECT_TRUE(taken.WaitFor([](const auto& had) { return had.welcome.has_value(); }));
}

TEST_F(SessionsTest, ATextThatIsNoUtf8CostsNoSession) {
  StartController();
  agent_.Connect(channel_);
  ApplyShop(1);
  ASSERT_TRUE(WaitForInService(1));
  const std::string id = agent_.had().running.begin()->first;
  agent::v1::ConnectRequest report;
  auto& status = *report.mutable_report()->add_instances();
  status = agent_.had().running.begin()->second;
  status.set_message("caf\xE9");
  agent_.Send(report);
  ASSERT_TRUE(WaitForInstances([&](const auto& rows) {
    const auto it = rows.find("instances/" + id);
    return it != rows.end() && it->second.process().status() == "running: caf\xEF\xBF\xBD";
  }));
  // Nor does it in the hello, which it would come back with each time.
  *agent_.hello().add_instances() = status;
  agent_.Connect(channel_);
  EXPECT_TRUE(agent_.WaitFor([](const auto& had) { return had.welcome.has_value(); }));
  EXPECT_EQ(GetHost("h1").state(), v1::HOST_STATE_CONNECTED);
}

// One host's word about itself must not cost the others their config: proxies refuse an update as a
// whole.
TEST_F(SessionsTest, APortThatIsNoneReachesNoProxyAndEndsTheSession) {
  StartController();
  proxy_.Connect(channel_);
  agent_.Connect(channel_);
  ApplyShop(1);
  ASSERT_TRUE(WaitForInService(1));
  agent::v1::ConnectRequest report;
  auto& status = *report.mutable_report()->add_instances();
  status = agent_.had().running.begin()->second;
  status.set_port(70'000);
  agent_.Send(report);
  const auto end = agent_.stream().WaitForEnd();
  ASSERT_TRUE(end.has_value());
  EXPECT_EQ(end->error_code(), grpc::INVALID_ARGUMENT);
  EXPECT_THAT(end->error_message(), HasSubstr("report.instances[0].port: 70000"));
  for (const auto& [key, target] : proxy_.had().targets) EXPECT_LE(target.port(), 65'535) << key;
}

TEST_F(SessionsTest, InstancesThatNobodyAssignedAreBounded) {
  StartController();
  agent_.Connect(channel_);
  ASSERT_TRUE(agent_.WaitFor([](const auto& had) { return had.welcome.has_value(); }));
  for (int first = 0; first < 20'000; first += 10'000) {
    agent::v1::ConnectRequest report;
    for (int i = first; i < first + 10'000; ++i)
      report.mutable_report()->add_instances()->set_instance("i-" + std::to_string(i));
    agent_.Send(report);
  }
  const auto end = agent_.stream().WaitForEnd();
  ASSERT_TRUE(end.has_value());
  EXPECT_EQ(end->error_code(), grpc::RESOURCE_EXHAUSTED);
  EXPECT_THAT(end->error_message(), HasSubstr("at most 16384 instances"));
  agent_.Connect(channel_);
  EXPECT_TRUE(agent_.WaitFor([](const auto& had) { return had.welcome.has_value(); }));
}

TEST_F(SessionsTest, SigtermEndsSessionsAndExitsZero) {
  StartController();
  proxy_.Connect(channel_);
  ASSERT_TRUE(proxy_.WaitFor([](const auto& had) { return had.welcome.has_value(); }));
  EXPECT_EQ(controller_.Stop(SIGTERM), 0) << controller_.Log();
  EXPECT_EQ(proxy_.stream().WaitForEnd()->error_code(), grpc::UNAVAILABLE);
}

}  // namespace
}  // namespace remuda
