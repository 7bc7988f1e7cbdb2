// The real controller with its state in a real etcd.
#include <gmock/gmock.h>
#include <grpcpp/create_channel.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <filesystem>
#include <fstream>
#include <future>
#include <string>
#include <vector>

#include "common/identity/channel_credentials.h"
#include "common/identity/identity_files.h"
#include "common/identity/peer.h"
#include "remuda/v1/apply.grpc.pb.h"
#include "remuda/v1/cluster.grpc.pb.h"
#include "remuda/v1/target_group.grpc.pb.h"
#include "tests/component/controller/store/testing/etcd_cluster.h"
#include "tests/component/controller/testing/controller_process.h"
#include "tests/wait.h"

namespace remuda {
namespace {

using testing::HasSubstr;

void SetDeadline(grpc::ClientContext& context) {
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(60));
}

grpc::Status Write(const ControllerProcess& controller, const std::string& name = "blue") {
  v1::ApplyResourcesRequest request;
  request.add_resources()->mutable_target_group()->set_name(name);
  v1::ApplyResourcesResponse response;
  grpc::ClientContext context;
  SetDeadline(context);
  return v1::ApplyService::NewStub(controller.Channel())
      ->ApplyResources(&context, request, &response);
}

std::string NamesAt(const ControllerProcess& controller) {
  v1::ListTargetGroupsResponse groups;
  grpc::ClientContext context;
  SetDeadline(context);
  const grpc::Status status = v1::TargetGroupService::NewStub(controller.Channel())
                                  ->ListTargetGroups(&context, {}, &groups);
  if (!status.ok()) return status.error_message();
  std::string names;
  for (const v1::TargetGroup& group : groups.target_groups()) names += group.name() + " ";
  return names;
}

TEST(ControllerOnEtcd, KeepsItsStateThereAndEndsWhenAskedWhileAnotherLeads) {
  EtcdCluster etcd;
  ASSERT_TRUE(etcd.AwaitWritable());
  const std::string store = "--store=etcd://" + etcd.endpoint(0) + "/t";
  ControllerProcess first;
  first.Start({store});
  // It is ready as one that stands by, and then leads.
  ASSERT_TRUE(WaitUntil([&] { return Write(first).ok(); })) << first.Log();

  // Killed, and another one, with the same keys, waits for its lease and leads.
  const std::string key = "--sealing-key-file=" + first.data_dir() + "/sealing.key";
  first.Stop(SIGKILL);
  ControllerProcess second;
  second.Start({store, key, "--controller-name=second"});
  EXPECT_TRUE(WaitUntil([&] { return NamesAt(second) == "targetGroups/blue "; }))
      << NamesAt(second);

  // A third one only waits; it ends all the same, and well.
  ControllerProcess third;
  third.Begin({store, key, "--controller-name=third"});
  EXPECT_TRUE(WaitUntil([&] {
    return third.Log().find("another controller leads") != std::string::npos;
  })) << third.Log();
  EXPECT_EQ(third.Stop(SIGTERM), 0) << third.Log();
  EXPECT_TRUE(second.IsAlive()) << second.Log();
}

// "NAME:STATE:LAG", of each that `controller` knows.
std::string ControllersAt(const ControllerProcess& controller) {
  v1::ListControllersResponse all;
  grpc::ClientContext context;
  SetDeadline(context);
  const grpc::Status status =
      v1::ClusterService::NewStub(controller.Channel())->ListControllers(&context, {}, &all);
  if (!status.ok()) return status.error_message();
  std::string text;
  for (const v1::Controller& one : all.controllers()) {
    text += one.name() + ":" + v1::ControllerState_Name(one.state()).substr(17) + ":" +
            std::to_string(one.lag_commits()) + " ";
  }
  return text;
}

TEST(ControllerOnEtcd, StandbysPassCallsOnAndTakeOver) {
  EtcdCluster etcd;
  ASSERT_TRUE(etcd.AwaitWritable());
  const std::string store = "--store=etcd://" + etcd.endpoint(0) + "/t";
  ControllerProcess one, two, three;
  one.Start({store, "--controller-name=one"});
  const std::string key = "--sealing-key-file=" + one.data_dir() + "/sealing.key";
  two.Start({store, key, "--controller-name=two"});
  three.Start({store, key, "--controller-name=three"});
  ASSERT_TRUE(WaitUntil([&] { return Write(three, "a").ok(); })) << three.Log();
  for (const ControllerProcess* each : {&one, &two, &three})
    EXPECT_TRUE(WaitUntil([&] { return NamesAt(*each) == "targetGroups/a "; })) << each->Log();
  EXPECT_TRUE(WaitUntil([&] {
    return ControllersAt(two) ==
           "controllers/one:LEADER:0 controllers/three:STANDBY:0 controllers/two:STANDBY:0 ";
  })) << ControllersAt(two);

  // It hears and says nothing; the two others go on without it.
  one.Signal(SIGSTOP);
  EXPECT_TRUE(WaitUntil([&] { return Write(two, "b").ok(); })) << two.Log();
  EXPECT_TRUE(WaitUntil([&] { return NamesAt(three) == "targetGroups/a targetGroups/b "; }))
      << NamesAt(three);
  // It wakes up, sees that it leads no more, and stands by in the same process, on the same port.
  one.Signal(SIGCONT);
  EXPECT_TRUE(WaitUntil([&] { return NamesAt(one) == "targetGroups/a targetGroups/b "; }))
      << NamesAt(one) << one.Log();
  EXPECT_TRUE(one.IsAlive());
  EXPECT_THAT(one.Log(), HasSubstr("standing by"));
  EXPECT_TRUE(WaitUntil([&] {
    return ControllersAt(one).find("one:STANDBY:0") != std::string::npos;
  })) << ControllersAt(one);

  // And again, with one that is killed: whichever leads.
  ControllerProcess* const leader =
      ControllersAt(one).find("two:LEADER") != std::string::npos ? &two : &three;
  ControllerProcess* const other = leader == &two ? &three : &two;
  leader->Stop(SIGKILL);
  EXPECT_TRUE(WaitUntil([&] { return Write(*other, "c").ok(); })) << other->Log();
  EXPECT_TRUE(WaitUntil([&] {
    return NamesAt(one) == "targetGroups/a targetGroups/b targetGroups/c ";
  })) << NamesAt(one);
  EXPECT_EQ(one.Stop(SIGTERM), 0) << one.Log();
  EXPECT_EQ(other->Stop(SIGTERM), 0) << other->Log();
}

TEST(ControllerOnEtcd, ACallIsToldThatNobodyLeads) {
  EtcdCluster etcd;
  ASSERT_TRUE(etcd.AwaitWritable());
  const std::string store = "--store=etcd://" + etcd.endpoint(0) + "/t";
  ControllerProcess one, two;
  one.Start({store, "--controller-name=one"});
  two.Start(
      {store, "--sealing-key-file=" + one.data_dir() + "/sealing.key", "--controller-name=two"});
  etcd.Signal(0, SIGSTOP);
  one.Stop(SIGKILL);
  const grpc::Status status = Write(two);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::UNAVAILABLE) << status.error_message();
  EXPECT_THAT(status.error_message(), HasSubstr("no controller leads just now")) << two.Log();
  // So is who has several to try, and waits for no connection for as long as a take-over may take.
  EXPECT_TRUE(WaitUntil([&] {
    grpc::ChannelArguments arguments;
    arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, 1500);
    arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
    const auto channel = grpc::CreateCustomChannel(two.grpc_address(),
                                                   grpc::InsecureChannelCredentials(), arguments);
    grpc::ClientContext context;
    SetDeadline(context);
    v1::ListControllersResponse all;
    const grpc::Status told =
        v1::ClusterService::NewStub(channel)->ListControllers(&context, {}, &all);
    return told.error_message().find("no controller leads just now") != std::string::npos;
  })) << two.Log();
  etcd.Signal(0, SIGCONT);
  EXPECT_TRUE(WaitUntil([&] { return Write(two).ok(); })) << two.Log();
  EXPECT_EQ(two.Stop(SIGTERM), 0) << two.Log();
}

// What waits to be decided when leadership is lost is answered, and keeps nobody from standing by.
TEST(ControllerOnEtcd, WritesThatWaitEndWithLeadership) {
  EtcdCluster etcd;
  ASSERT_TRUE(etcd.AwaitWritable());
  ControllerProcess one;
  one.Start({"--store=etcd://" + etcd.endpoint(0) + "/t"});
  ASSERT_TRUE(Write(one, "a").ok()) << one.Log();
  etcd.Signal(0, SIGSTOP);
  std::vector<std::future<grpc::Status>> writes;
  for (int i = 0; i < 8; ++i) {
    writes.push_back(
        std::async(std::launch::async, [&one, i] { return Write(one, "b" + std::to_string(i)); }));
  }
  for (auto& write : writes) {
    const grpc::Status status = write.get();
    EXPECT_FALSE(status.ok());
    EXPECT_NE(status.error_code(), grpc::StatusCode::DEADLINE_EXCEEDED) << status.error_message();
  }
  // Nor does who comes while the store is away wait for it.
  std::string said;
  EXPECT_TRUE(WaitUntil([&] {
    said = Write(one, "x").error_message();
    return said.find("no controller leads just now: the store does not") != std::string::npos;
  })) << said
      << one.Log();
  etcd.Signal(0, SIGCONT);
  EXPECT_TRUE(WaitUntil([&] { return Write(one, "c").ok(); })) << one.Log();
  EXPECT_EQ(one.Stop(SIGTERM), 0) << one.Log();
}

TEST(ControllerOnEtcd, WhoIsStartedWithoutTheStoreSaysSoToThoseOfItsCluster) {
  EtcdCluster etcd;
  ASSERT_TRUE(etcd.AwaitWritable());
  const std::string store = "--store=etcd://" + etcd.endpoint(0) + "/t";
  ControllerProcess one;
  one.UseIdentities();
  one.Start({store});
  EXPECT_EQ(one.Stop(SIGTERM), 0) << one.Log();
  etcd.Signal(0, SIGSTOP);
  one.Begin({store});

  const identity::IdentityFiles files = identity::FilesIn(one.data_dir() + "/identity");
  const auto certificate = identity::ReadSmallFile(files.identity, identity::kMaxIdentityFileBytes);
  ASSERT_TRUE(certificate.ok());
  const auto peer = identity::ReadPeer(std::string_view(*certificate));
  ASSERT_TRUE(peer.ok());
  const auto channel = grpc::CreateChannel(one.grpc_address(),
                                           identity::ChannelCredentials(files, peer->id.cluster));
  const auto said = [&channel] {
    v1::ListTargetGroupsResponse groups;
    grpc::ClientContext context;
    SetDeadline(context);
    context.set_wait_for_ready(true);  // for its port to be there
    return v1::TargetGroupService::NewStub(channel)
        ->ListTargetGroups(&context, {}, &groups)
        .error_message();
  };
  EXPECT_TRUE(WaitUntil([&] {
    return said().find("no controller leads just now: the store does not") != std::string::npos;
  })) << said()
      << one.Log();
  etcd.Signal(0, SIGCONT);
  // A controller's own certificate may not list; but somebody is there to say so.
  EXPECT_TRUE(WaitUntil([&] { return said().find("no controller leads") == std::string::npos; }))
      << said() << one.Log();
  EXPECT_EQ(one.Stop(SIGTERM), 0) << one.Log();
}

// The key of who leads is deleted by hand, while its lease lives on: another one may lead at once.
TEST(ControllerOnEtcd, LeadsNoMoreWhereItsKeyIsGone) {
  EtcdCluster etcd;
  ASSERT_TRUE(etcd.AwaitWritable());
  const std::string store = "--store=etcd://" + etcd.endpoint(0) + "/t";
  ControllerProcess one, two;
  one.Start({store, "--controller-name=one"});
  ASSERT_TRUE(WaitUntil([&] { return Write(one, "a").ok(); })) << one.Log();
  two.Start(
      {store, "--sealing-key-file=" + one.data_dir() + "/sealing.key", "--controller-name=two"});
  ASSERT_TRUE(etcd.Ctl("del /t/leader"));
  // Nothing is written, by which it would see it.
  EXPECT_TRUE(WaitUntil([&] {
    return one.Log().find("leadership is lost: it was taken away in etcd") != std::string::npos;
  })) << one.Log();
  EXPECT_TRUE(WaitUntil([&] { return NamesAt(one) == "targetGroups/a "; })) << NamesAt(one);
  EXPECT_TRUE(WaitUntil([&] { return Write(two, "b").ok(); })) << two.Log();
  EXPECT_TRUE(one.IsAlive()) << one.Log();
}

// Whoever forgets to migrate is told so, and has no new cluster.
TEST(ControllerOnEtcd, ADataDirectoryOfAnotherStoreIsRefused) {
  EtcdCluster etcd;
  ASSERT_TRUE(etcd.AwaitWritable());
  ControllerProcess one;
  one.UseIdentities();
  one.Start();
  EXPECT_EQ(one.Stop(SIGTERM), 0);
  std::string said;
  EXPECT_EQ(ControllerProcess::RunToEnd(
                {"--store=etcd://" + etcd.endpoint(0) + "/t", "--listen=127.0.0.1:0",
                 "--http=127.0.0.1:0", "--join-listen=127.0.0.1:0", "--data-dir", one.data_dir()},
                &said),
            1);
  EXPECT_THAT(said, HasSubstr("holds no cluster"));
  one.Start();  // where its state is
}

// One that was left by a controller that ran alone before, or whose use nobody remembers: the
// cluster has its admin.
TEST(ControllerOnEtcd, AnAdminsTokenThatTheStoreDoesNotKnowIsNotMadeAnew) {
  EtcdCluster etcd;
  ASSERT_TRUE(etcd.AwaitWritable());
  const std::string store = "--store=etcd://" + etcd.endpoint(0) + "/t";
  ControllerProcess first, second;
  first.UseIdentities();
  first.Start({store, "--controller-name=first"});
  ASSERT_TRUE(WaitUntil([&] { return first.Log().find("an admin joins") != std::string::npos; }))
      << first.Log();
  first.Stop(SIGKILL);

  const std::string left = second.data_dir() + "/admin-token";
  std::filesystem::create_directory(second.data_dir());
  std::filesystem::permissions(second.data_dir(), std::filesystem::perms::owner_all);
  std::ofstream(left) << "of-another-cluster\n";
  second.UseIdentities();
  second.Start({store, "--sealing-key-file=" + first.data_dir() + "/sealing.key",
                "--controller-name=second"});
  EXPECT_TRUE(WaitUntil([&] { return !std::filesystem::exists(left); })) << second.Log();
  EXPECT_EQ(second.Stop(SIGTERM), 0) << second.Log();
  EXPECT_THAT(second.Log(), HasSubstr("admin-token: is not (or no more) a token of this cluster"));
  EXPECT_THAT(second.Log(), testing::Not(HasSubstr("an admin joins")));
}

// A port that another program has is said, and ends the program; it is not tried again and again.
TEST(ControllerOnEtcd, APortInUseEndsIt) {
  EtcdCluster etcd;
  ASSERT_TRUE(etcd.AwaitWritable());
  const std::string store = "--store=etcd://" + etcd.endpoint(0) + "/t";
  ControllerProcess one, two;
  one.Start({store, "--controller-name=one"});
  std::string said;
  EXPECT_EQ(ControllerProcess::RunToEnd(
                {store, "--controller-name=two", "--listen", one.grpc_address(), "--http",
                 "127.0.0.1:0", "--insecure", "--data-dir", two.data_dir()},
                &said),
            1);
  EXPECT_THAT(said, HasSubstr("cannot be listened on"));
}

}  // namespace
}  // namespace remuda
