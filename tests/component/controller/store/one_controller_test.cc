// A name and a data directory are one controller's, with its state in a real etcd.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <fstream>
#include <string>

#include "controller/store/roster.h"
#include "remuda/v1/backup.grpc.pb.h"
#include "tests/component/controller/store/testing/etcd_cluster.h"
#include "tests/component/controller/store/testing/rows.h"
#include "tests/component/controller/testing/controller_process.h"
#include "tests/wait.h"

namespace remuda {
namespace {

using testing::HasSubstr;

grpc::Status BackUp(const ControllerProcess& controller, const std::string& file) {
  v1::CreateBackupResponse chunk;
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(60));
  const auto service = v1::BackupService::NewStub(controller.Channel());
  const auto stream = service->CreateBackup(&context, {});
  std::ofstream out(file, std::ios::binary);
  while (stream->Read(&chunk)) out << chunk.chunk();
  return stream->Finish();
}

// Who has no name does not lead: it would serve nobody, and keep others from it meanwhile.
TEST(OneControllerTest, WhoseNameIsTakenDoesNotLead) {
  EtcdCluster etcd;
  ASSERT_TRUE(etcd.AwaitWritable());
  const std::string store = "--store=etcd://" + etcd.endpoint(0) + "/t";
  std::atomic<bool> has_led = false;
  Roster::Options options;
  options.address.endpoints = etcd.endpoints();
  options.address.prefix = "/t/";
  options.self.set_name("one");
  options.self.set_address("127.0.0.1:1");
  options.on_change = [&has_led](const Roster::ViewPtr& view) {
    if (view->leader.has_value()) has_led = true;
  };
  auto other = Roster::Open(std::move(options));
  ASSERT_TRUE(other.ok()) << other.status();
  ControllerProcess one;
  std::string said;
  EXPECT_EQ(ControllerProcess::RunToEnd(
                {store, "--controller-name=one", "--listen=127.0.0.1:0", "--http=127.0.0.1:0",
                 "--insecure", "--data-dir", one.data_dir()},
                &said),
            1);
  EXPECT_THAT(said, HasSubstr("another process has this name"));
  EXPECT_FALSE(has_led);
}

TEST(OneControllerTest, NoOtherUsesItsDataDirectory) {
  const TemporaryDirectory dir;
  EtcdCluster etcd;
  ASSERT_TRUE(etcd.AwaitWritable());
  const std::string store = "--store=etcd://" + etcd.endpoint(0) + "/t";
  ControllerProcess one;
  one.Start({store, "--controller-name=one"});
  std::string said;
  EXPECT_EQ(ControllerProcess::RunToEnd(
                {store, "--controller-name=two", "--listen=127.0.0.1:0", "--http=127.0.0.1:0",
                 "--insecure", "--data-dir", one.data_dir()},
                &said),
            1);
  EXPECT_THAT(said, HasSubstr("another controller (process " + std::to_string(one.pid()) + ")"));
  // Nor is it restored into.
  const std::string file = dir / "backup.tar";
  ASSERT_TRUE(WaitUntil([&] { return BackUp(one, file).ok(); })) << one.Log();
  EXPECT_EQ(ControllerProcess::RunToEnd(
                {"restore", "--from", file, "--data-dir", one.data_dir(), "--force"}, &said),
            1);
  EXPECT_THAT(said, HasSubstr("a controller runs in it"));
}

}  // namespace
}  // namespace remuda
