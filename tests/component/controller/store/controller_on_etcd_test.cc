// The real controller with its state in a real etcd.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <string>

#include "remuda/v1/apply.grpc.pb.h"
#include "remuda/v1/backup.grpc.pb.h"
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

grpc::Status Write(const ControllerProcess& controller) {
  v1::ApplyResourcesRequest request;
  request.add_resources()->mutable_target_group()->set_name("blue");
  v1::ApplyResourcesResponse response;
  grpc::ClientContext context;
  SetDeadline(context);
  return v1::ApplyService::NewStub(controller.Channel())
      ->ApplyResources(&context, request, &response);
}

TEST(ControllerOnEtcd, KeepsItsStateThereAndEndsWhenAskedWhileAnotherLeads) {
  EtcdCluster etcd;
  ASSERT_TRUE(etcd.AwaitWritable());
  const std::string store = "--store=etcd://" + etcd.endpoint(0) + "/t";
  ControllerProcess first;
  first.Start({store});
  ASSERT_TRUE(Write(first).ok()) << first.Log();

  v1::CreateBackupResponse chunk;
  grpc::ClientContext context;
  SetDeadline(context);
  const auto backups = v1::BackupService::NewStub(first.Channel());
  const auto stream = backups->CreateBackup(&context, {});
  while (stream->Read(&chunk)) {
  }
  const grpc::Status refused = stream->Finish();
  EXPECT_EQ(refused.error_code(), grpc::StatusCode::FAILED_PRECONDITION);
  EXPECT_THAT(refused.error_message(), HasSubstr("etcdctl snapshot save"));

  // Killed, and another one, with the same keys, waits for its lease and leads.
  const std::string key = "--sealing-key-file=" + first.data_dir() + "/sealing.key";
  first.Stop(SIGKILL);
  ControllerProcess second;
  second.Start({store, key});
  v1::GetTargetGroupRequest get;
  get.set_name("targetGroups/blue");
  v1::TargetGroup group;
  grpc::ClientContext reading;
  SetDeadline(reading);
  const grpc::Status read =
      v1::TargetGroupService::NewStub(second.Channel())->GetTargetGroup(&reading, get, &group);
  EXPECT_TRUE(read.ok()) << read.error_message();

  // A third one only waits; it ends all the same, and well.
  ControllerProcess third;
  third.Begin({store, key});
  EXPECT_TRUE(WaitUntil([&] {
    return third.Log().find("another controller leads") != std::string::npos;
  })) << third.Log();
  EXPECT_EQ(third.Stop(SIGTERM), 0) << third.Log();
  EXPECT_TRUE(second.IsAlive()) << second.Log();
}

}  // namespace
}  // namespace remuda
