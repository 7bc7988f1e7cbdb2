// Backups through the API while others write, put back with the real program.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <thread>

#include "remuda/v1/apply.grpc.pb.h"
#include "remuda/v1/backup.grpc.pb.h"
#include "remuda/v1/launch_template.grpc.pb.h"
#include "remuda/v1/secret.grpc.pb.h"
#include "remuda/v1/target_group.grpc.pb.h"
#include "tests/component/cli/remuda_process.h"
#include "tests/component/controller/testing/cluster_fixture.h"

namespace remuda {
namespace {

namespace fs = std::filesystem;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

constexpr int kGroups = 10;

class BackupTest : public ClusterTest {
 protected:
  BackupTest() {
    char path[] = "/tmp/remuda-backups-XXXXXX";
    if (mkdtemp(path) == nullptr) std::abort();
    directory_ = path;
  }
  ~BackupTest() override { fs::remove_all(directory_); }

  std::string file() const { return directory_ + "/backup.tar"; }

  // Into file().
  grpc::Status Backup(v1::BackupHeader* header, bool without_images = false) {
    const auto stub = v1::BackupService::NewStub(channel_);
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + kPatience);
    v1::CreateBackupRequest request;
    request.set_without_images(without_images);
    const auto stream = stub->CreateBackup(&context, request);
    std::ofstream out(file(), std::ios::binary);
    v1::CreateBackupResponse response;
    int64_t bytes = 0;
    while (stream->Read(&response)) {
      if (response.has_header()) *header = response.header();
      out << response.chunk();
      bytes += static_cast<int64_t>(response.chunk().size());
    }
    const grpc::Status status = stream->Finish();
    if (status.ok()) {
      EXPECT_EQ(bytes, header->size_bytes());
    }
    return status;
  }

  // Every group at once, with this number.
  grpc::Status WriteAll(int64_t number) {
    v1::ApplyResourcesRequest request;
    for (int i = 0; i < kGroups; ++i) {
      v1::TargetGroup& group = *request.add_resources()->mutable_target_group();
      group.set_name("g" + std::to_string(i));
      group.set_protocol(v1::PROTOCOL_HTTP);
      (*group.mutable_labels())["n"] = std::to_string(number);
    }
    return Apply(request);
  }

  // What the restored controller has: the number that all groups have, or a fault.
  static std::string NumberOf(const ControllerProcess& controller) {
    const auto stub = v1::TargetGroupService::NewStub(controller.Channel());
    grpc::ClientContext context;
    v1::ListTargetGroupsResponse groups;
    const grpc::Status status =
        stub->ListTargetGroups(&context, v1::ListTargetGroupsRequest(), &groups);
    if (!status.ok()) return status.error_message();
    if (groups.target_groups_size() != kGroups) return "not all are there";
    const std::string number = groups.target_groups(0).labels().at("n");
    for (const auto& group : groups.target_groups()) {
      if (group.labels().at("n") != number) return "they are of several commits";
    }
    return number;
  }

  int RunRestore(const std::string& to, std::vector<std::string> more, std::string* output) const {
    std::vector<std::string> flags = {"restore", "--from", file(), "--data-dir", to};
    flags.insert(flags.end(), more.begin(), more.end());
    return ControllerProcess::RunToEnd(flags, output);
  }

  static std::string TextOf(const std::string& path) {
    std::ifstream in(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
  }

  std::string directory_;
};

TEST_F(BackupTest, OfABusyControllerIsTheStateOfOneCommitAndGoesOn) {
  StartController();
  ASSERT_TRUE(WriteAll(0).ok());
  v1::SetSecretRequest secret;
  secret.set_secret_id("db");
  secret.mutable_secret()->set_value("hunter1");
  v1::Secret made;
  ASSERT_TRUE(Call<v1::SecretService>(&v1::SecretService::Stub::SetSecret, secret, &made).ok());
  EXPECT_EQ(made.value(), "");
  v1::Image image;
  const std::string bytes = TarOf("app");
  ASSERT_TRUE(Push("app", bytes, {}, &image).ok());

  std::atomic<int64_t> acknowledged = 0;
  std::atomic<bool> stop = false;
  std::thread writer([&] {
    for (int64_t number = 1; !stop && WriteAll(number).ok(); ++number) acknowledged = number;
  });
  for (int round = 0; round < 3; ++round) {
    ASSERT_TRUE(WaitUntil([&] { return acknowledged > 5 * (round + 1); }));
    const int64_t before = acknowledged;
    v1::BackupHeader header;
    const grpc::Status status = Backup(&header);
    ASSERT_TRUE(status.ok()) << status.error_message();
    const int64_t after = acknowledged;

    ControllerProcess second;
    fs::create_directory(second.data_dir());
    fs::permissions(second.data_dir(), fs::perms(0700));
    fs::copy(controller_.data_dir() + "/sealing.key", second.data_dir() + "/sealing.key");
    std::string output;
    ASSERT_EQ(RunRestore(second.data_dir(), {}, &output), 0) << output;
    EXPECT_THAT(output, HasSubstr(header.cluster_id()));
    second.Start();
    const std::string number = NumberOf(second);
    EXPECT_GE(std::atoll(number.c_str()), before) << number;
    EXPECT_LE(std::atoll(number.c_str()), after + 1) << number;
    EXPECT_TRUE(fs::exists(second.data_dir() + "/images/sha256/" + image.digest().substr(7)));
    // Whoever has seen the first controller's epoch follows this one.
    const auto stub = v1::ClusterService::NewStub(second.Channel());
    grpc::ClientContext context;
    v1::Cluster cluster;
    ASSERT_TRUE(stub->GetCluster(&context, v1::GetClusterRequest(), &cluster).ok());
    EXPECT_EQ(cluster.cluster_id(), header.cluster_id());
    EXPECT_GT(cluster.epoch(), header.epoch() + 1000);
  }
  stop = true;
  writer.join();
}

TEST_F(BackupTest, IsRefusedByNameWhereItCannotBePutBack) {
  StartController();
  v1::BackupHeader header;
  ASSERT_TRUE(Backup(&header, /*without_images=*/true).ok());
  std::string output;
  // A directory that is in use.
  EXPECT_EQ(RunRestore(controller_.data_dir(), {"--force"}, &output), 1);
  EXPECT_THAT(output, HasSubstr("a controller runs in it"));
  EXPECT_EQ(RunRestore(directory_ + "/to", {}, &output), 1);
  EXPECT_THAT(output, HasSubstr(directory_ + "/to/sealing.key"));
  const std::string key = controller_.data_dir() + "/sealing.key";
  EXPECT_EQ(RunRestore(directory_ + "/to", {"--sealing-key-file", key}, &output), 0) << output;
  EXPECT_THAT(output, HasSubstr("without images"));
  EXPECT_EQ(RunRestore(directory_ + "/to", {"--sealing-key-file", key}, &output), 1);
  EXPECT_THAT(output, HasSubstr("is not empty"));
  EXPECT_EQ(RunRestore(directory_ + "/to", {"--sealing-key-file", key, "--force"}, &output), 0);
  EXPECT_THAT(output, HasSubstr("before-restore-"));
  fs::resize_file(file(), fs::file_size(file()) / 2);
  EXPECT_EQ(RunRestore(directory_ + "/other", {"--sealing-key-file", key}, &output), 1);
  EXPECT_THAT(output, HasSubstr("is cut"));
  EXPECT_EQ(ControllerProcess::RunToEnd({"restore"}, &output), 2);
}

// Its authority comes back with it: everybody that the cluster knew still knows it.
TEST_F(BackupTest, OfAClusterWithIdentitiesIsOneWhereItIsPutBack) {
  {
    ControllerProcess first;
    first.UseIdentities();
    first.Start();
    ASSERT_EQ(first.Stop(SIGTERM), 0);
    fs::copy(first.data_dir(), controller_.data_dir(), fs::copy_options::recursive);
  }
  StartController();
  v1::BackupHeader header;
  ASSERT_TRUE(Backup(&header).ok());
  ControllerProcess second;
  second.UseIdentities();
  const std::string key = controller_.data_dir() + "/sealing.key";
  std::string output;
  const mode_t before = umask(022);
  const int code = RunRestore(second.data_dir(), {"--sealing-key-file", key}, &output);
  umask(before);
  ASSERT_EQ(code, 0) << output;
  second.Start({"--sealing-key-file", key});
  for (const char* name : {"/identity/ca.pem", "/identity/ca.key"})
    EXPECT_EQ(TextOf(second.data_dir() + name), TextOf(controller_.data_dir() + name)) << name;
}

TEST_F(BackupTest, AControllerDoesNotBeginOnHalfARestore) {
  ControllerProcess controller;
  fs::create_directory(controller.data_dir());
  fs::permissions(controller.data_dir(), fs::perms(0700));
  fs::create_directory(controller.data_dir() + "/.restore");
  EXPECT_FALSE(controller.TryStart());
  EXPECT_THAT(controller.Log(), HasSubstr("was cut off"));
  EXPECT_FALSE(fs::exists(controller.data_dir() + "/state.db"));
}

TEST_F(BackupTest, ByTheCommandIsAFileForItsOwnerAndTakesNoDevicesPlace) {
  StartController();
  const std::map<std::string, std::string> environment = {
      {"REMUDA_CONTROLLER", controller_.grpc_address()}};
  const std::string device = directory_ + "/device";
  fs::create_symlink("/dev/null", device);
  auto done = testing_cli::RunRemuda({"backup", device}, environment);
  EXPECT_EQ(done.exit_code, 0) << done.err;
  EXPECT_TRUE(fs::is_symlink(device));
  done = testing_cli::RunRemuda({"backup", file()}, environment);
  EXPECT_EQ(done.exit_code, 0) << done.err;
  struct stat info {};
  ASSERT_EQ(stat(file().c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 07777, 0600U);
  EXPECT_EQ(std::distance(fs::directory_iterator(directory_), fs::directory_iterator()), 2);
  done = testing_cli::RunRemuda({"restore", file(), "--data-dir", directory_ + "/to",
                                 "--sealing-key-file", controller_.data_dir() + "/sealing.key"},
                                environment);
  EXPECT_EQ(done.exit_code, 0) << done.err;
  EXPECT_TRUE(fs::exists(directory_ + "/to/state.db"));
}

TEST_F(BackupTest, AReaderThatGoesAwayLeavesNothing) {
  StartController();
  v1::Image image;
  ASSERT_TRUE(Push("app", TarOf(std::string(8 << 20, 'x')), {}, &image).ok());
  {
    const auto stub = v1::BackupService::NewStub(channel_);
    grpc::ClientContext context;
    const auto stream = stub->CreateBackup(&context, v1::CreateBackupRequest());
    v1::CreateBackupResponse response;
    ASSERT_TRUE(stream->Read(&response));
    // Only one at a time.
    v1::BackupHeader header;
    EXPECT_EQ(Backup(&header).error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
    context.TryCancel();
    EXPECT_FALSE(stream->Finish().ok());
  }
  EXPECT_TRUE(WaitUntil([&] { return !fs::exists(controller_.data_dir() + "/backup"); }));
  v1::BackupHeader header;
  EXPECT_TRUE(WaitUntil([&] { return Backup(&header).ok(); }));
}

// A value goes in, and is nowhere: not in an answer, a log, the store's files or a backup.
TEST_F(BackupTest, ASecretIsNowhereInTheClear) {
  StartController({"--log-level", "trace"});
  v1::SetSecretRequest secret;
  secret.set_secret_id("db");
  secret.set_request_id("once");
  secret.mutable_secret()->set_value("hunter1");
  v1::Secret made;
  ASSERT_TRUE(Call<v1::SecretService>(&v1::SecretService::Stub::SetSecret, secret, &made).ok());
  ASSERT_TRUE(Call<v1::SecretService>(&v1::SecretService::Stub::SetSecret, secret, &made).ok());
  EXPECT_EQ(made.version(), 1);
  v1::ListSecretsResponse list;
  ASSERT_TRUE(Call<v1::SecretService>(&v1::SecretService::Stub::ListSecrets,
                                      v1::ListSecretsRequest(), &list)
                  .ok());
  secret.mutable_secret()->set_etag("wrong-hunter2");
  secret.mutable_secret()->set_value("hunter1");
  secret.set_request_id("twice");
  const grpc::Status refused =
      Call<v1::SecretService>(&v1::SecretService::Stub::SetSecret, secret, &made);
  EXPECT_EQ(refused.error_code(), grpc::StatusCode::ABORTED);
  v1::BackupHeader header;
  ASSERT_TRUE(Backup(&header).ok());
  std::string all = made.DebugString() + list.DebugString() + refused.error_message() +
                    refused.error_details() + controller_.Log();
  for (const std::string& path :
       {file(), controller_.data_dir() + "/state.db", controller_.data_dir() + "/state.db-wal"}) {
    std::ifstream in(path, std::ios::binary);
    all.append(std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>());
  }
  EXPECT_THAT(all, AllOf(HasSubstr("secrets/db"), Not(HasSubstr("hunter1"))));
}

}  // namespace
}  // namespace remuda
