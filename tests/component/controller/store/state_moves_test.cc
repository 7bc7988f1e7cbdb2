// The state of a real controller on its ways: backups of one on etcd, restores into etcd, and
// migrations, each with a controller started on what came of it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <filesystem>
#include <fstream>
#include <functional>
#include <set>
#include <string>

#include "remuda/v1/apply.grpc.pb.h"
#include "remuda/v1/backup.grpc.pb.h"
#include "remuda/v1/target_group.grpc.pb.h"
#include "tests/component/controller/store/testing/etcd_cluster.h"
#include "tests/component/controller/store/testing/rows.h"
#include "tests/component/controller/testing/controller_process.h"
#include "tests/wait.h"

namespace remuda {
namespace {

using testing::HasSubstr;
using Names = std::set<std::string>;

void SetDeadline(grpc::ClientContext& context) {
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(60));
}

// It is ready as one that stands by, and then leads: calls at that moment are UNAVAILABLE.
grpc::Status WhileItComesToLead(const std::function<grpc::Status(grpc::ClientContext&)>& call) {
  grpc::Status status;
  WaitUntil([&] {
    grpc::ClientContext context;
    SetDeadline(context);
    status = call(context);
    return status.error_code() != grpc::StatusCode::UNAVAILABLE;
  });
  return status;
}

void Write(const ControllerProcess& controller, const std::string& name) {
  v1::ApplyResourcesRequest request;
  request.add_resources()->mutable_target_group()->set_name(name);
  v1::ApplyResourcesResponse response;
  const grpc::Status status = WhileItComesToLead([&](grpc::ClientContext& context) {
    return v1::ApplyService::NewStub(controller.Channel())
        ->ApplyResources(&context, request, &response);
  });
  EXPECT_TRUE(status.ok()) << status.error_message() << controller.Log();
}

Names GroupsOf(const ControllerProcess& controller) {
  v1::ListTargetGroupsResponse response;
  const grpc::Status status = WhileItComesToLead([&](grpc::ClientContext& context) {
    return v1::TargetGroupService::NewStub(controller.Channel())
        ->ListTargetGroups(&context, {}, &response);
  });
  EXPECT_TRUE(status.ok()) << status.error_message();
  Names out;
  for (const auto& group : response.target_groups()) out.insert(group.name());
  return out;
}

v1::BackupHeader BackUp(const ControllerProcess& controller, const std::string& file) {
  v1::BackupHeader header;
  v1::CreateBackupResponse chunk;
  grpc::ClientContext context;
  SetDeadline(context);
  const auto service = v1::BackupService::NewStub(controller.Channel());
  const auto stream = service->CreateBackup(&context, {});
  std::ofstream out(file, std::ios::binary);
  while (stream->Read(&chunk)) {
    if (chunk.has_header()) header = chunk.header();
    out << chunk.chunk();
  }
  const grpc::Status status = stream->Finish();
  EXPECT_TRUE(status.ok()) << status.error_message() << controller.Log();
  return header;
}

TEST(StateMovesTest, ABackupOfEtcdComesBackInEither) {
  const TemporaryDirectory dir;
  EtcdCluster etcd;
  const std::string store = "--store=etcd://" + etcd.endpoint(0) + "/t";
  const std::string elsewhere = "--store=etcd://" + etcd.endpoint(0) + "/u";
  ControllerProcess first;
  first.Start({store});
  Write(first, "before");
  const v1::BackupHeader header = BackUp(first, dir / "backup.tar");
  EXPECT_EQ(header.cluster_id().size(), 36U);
  EXPECT_GT(header.commit(), 0);
  Write(first, "after");
  const std::string key = first.data_dir() + "/sealing.key";
  const auto restore = [&](const std::string& to, std::vector<std::string> more,
                           std::string* output) {
    std::vector<std::string> flags = {
        "restore", "--from", dir / "backup.tar", "--data-dir", to, "--sealing-key-file", key};
    flags.insert(flags.end(), more.begin(), more.end());
    return ControllerProcess::RunToEnd(flags, output);
  };
  std::string output;
  // Where the cluster still is.
  EXPECT_EQ(restore(dir / "r", {store}, &output), 1);
  EXPECT_THAT(output, HasSubstr("is not empty: it holds cluster " + header.cluster_id()));
  EXPECT_EQ(restore(dir / "r", {"--store=sqlite:" + (dir / "x.db")}, &output), 2);

  ControllerProcess in_sqlite;
  ASSERT_EQ(restore(in_sqlite.data_dir(), {}, &output), 0) << output;
  in_sqlite.Start({"--sealing-key-file=" + key});
  EXPECT_EQ(GroupsOf(in_sqlite), Names({"targetGroups/before"}));

  ControllerProcess in_etcd;
  ASSERT_EQ(restore(in_etcd.data_dir(), {elsewhere}, &output), 0) << output;
  EXPECT_THAT(output, HasSubstr("restored cluster " + header.cluster_id() + " as of commit " +
                                std::to_string(header.commit()) + " into etcd://"));
  EXPECT_FALSE(std::filesystem::exists(in_etcd.data_dir() + "/state.db"));
  in_etcd.Start({elsewhere, "--sealing-key-file=" + key});
  EXPECT_EQ(GroupsOf(in_etcd), Names({"targetGroups/before"}));
  Write(in_etcd, "more");
  EXPECT_EQ(GroupsOf(first), Names({"targetGroups/after", "targetGroups/before"}));
  // Epochs go on above all that were.
  EXPECT_GT(BackUp(in_etcd, dir / "again.tar").epoch(), header.epoch() + 1'000'000);
}

TEST(StateMovesTest, ToEtcdAndBack) {
  const TemporaryDirectory dir;
  EtcdCluster etcd;
  const std::string store = "etcd://" + etcd.endpoint(0) + "/t";
  ControllerProcess first;
  first.Start();
  Write(first, "one");
  const std::string state = "sqlite:" + first.data_dir() + "/state.db";
  std::string output;
  EXPECT_EQ(ControllerProcess::RunToEnd({"migrate", "--from", state, "--to", store}, &output), 1);
  EXPECT_THAT(output, HasSubstr("another controller (process "));
  ASSERT_EQ(first.Stop(SIGTERM), 0) << first.Log();
  ASSERT_EQ(ControllerProcess::RunToEnd({"migrate", "--from", state, "--to", store}, &output), 0)
      << output;
  EXPECT_THAT(output, testing::AllOf(HasSubstr("  1 TargetGroup, SHA-256 "),
                                     HasSubstr("read back and found the same")));

  const std::string key = first.data_dir() + "/sealing.key";
  ControllerProcess second;
  second.Start({"--store=" + store, "--sealing-key-file=" + key});
  EXPECT_EQ(GroupsOf(second), Names({"targetGroups/one"}));
  Write(second, "two");
  ControllerProcess third;
  const std::string back = "sqlite:" + third.data_dir() + "/state.db";
  std::filesystem::create_directories(third.data_dir());
  std::filesystem::permissions(third.data_dir(), std::filesystem::perms::owner_all);
  const std::vector<std::string> return_flags = {
      "migrate", "--from", store, "--to", back, "--from-sealing-key", key, "--to-sealing-key", key};
  EXPECT_EQ(ControllerProcess::RunToEnd(return_flags, &output), 1);
  EXPECT_THAT(output, HasSubstr("leads, as /t/leader says"));
  ASSERT_EQ(second.Stop(SIGTERM), 0) << second.Log();
  ASSERT_EQ(ControllerProcess::RunToEnd(return_flags, &output), 0) << output;
  third.Start({"--sealing-key-file=" + key});
  EXPECT_EQ(GroupsOf(third), Names({"targetGroups/one", "targetGroups/two"}));
  Write(third, "three");
}

TEST(StateMovesTest, FlagsThatAreWrongAreNamed) {
  const struct {
    std::vector<std::string> flags;
    const char* says;
  } cases[] = {
      {{"--from", "sqlite:/x/y.db"}, "--to is required"},
      {{"--from", "file", "--to", "etcd://127.0.0.1:1"}, "--from: \"file\" is neither sqlite:"},
      {{"--from", "sqlite:/x/y.db", "--to", "etcd://a:1"}, "Give --to-ca, or --to-insecure"},
      {{"--from", "etcd://127.0.0.1:1", "--to", "etcd://127.0.0.1:2"},
       "--from-sealing-key is needed"},
  };
  for (const auto& one : cases) {
    std::vector<std::string> flags = {"migrate"};
    flags.insert(flags.end(), one.flags.begin(), one.flags.end());
    std::string output;
    EXPECT_EQ(ControllerProcess::RunToEnd(flags, &output), 2) << output;
    EXPECT_THAT(output, HasSubstr(one.says));
  }
}

TEST(StateMovesTest, ALeaseMayHaveItsUnit) {
  const auto say = [](const std::string& lease) {
    std::string output;
    EXPECT_EQ(
        ControllerProcess::RunToEnd(
            {"--data-dir=/x", "--store=etcd://127.0.0.1:1", "--store-lease=" + lease}, &output),
        2);
    return output;
  };
  EXPECT_THAT(say("1s"), HasSubstr("--store-lease: 1 is not within 2-60 seconds"));
  EXPECT_THAT(say("61"), HasSubstr("--store-lease: 61 is not within 2-60 seconds"));
}

}  // namespace
}  // namespace remuda
