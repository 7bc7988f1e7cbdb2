// Images of real controllers on a real etcd: a directory that they share, and copies between
// controllers that show who they are.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include "common/grpc_channel.h"
#include "common/identity/channel_credentials.h"
#include "common/identity/identity_files.h"
#include "common/identity/key.h"
#include "common/sha256.h"
#include "controller/identity/authority_files.h"
#include "remuda/controller/v1/peer.grpc.pb.h"
#include "remuda/v1/identity.grpc.pb.h"
#include "tests/component/controller/images/image_calls.h"
#include "tests/component/controller/store/testing/etcd_cluster.h"
#include "tests/component/controller/testing/controller_process.h"
#include "tests/component/controller/testing/tar.h"
#include "tests/wait.h"

namespace remuda {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

// Whether the bytes come through it, by itself or from the one that leads.
bool HasBytes(const std::shared_ptr<grpc::Channel>& channel, const std::string& bytes) {
  std::string fetched;
  return FetchImage(channel, DigestOf(bytes), fetched).ok() && fetched == bytes;
}

class RealControllersTest : public testing::Test {
 protected:
  RealControllersTest() {
    char path[] = "/tmp/remuda-images-XXXXXX";
    directory_ = mkdtemp(path);
  }
  ~RealControllersTest() override { fs::remove_all(directory_); }
  void SetUp() override { ASSERT_TRUE(etcd_.AwaitWritable()); }

  // Of a controller that is called so; all have the first one's keys.
  std::vector<std::string> Flags(const std::string& name,
                                 std::vector<std::string> more = {}) const {
    more.insert(more.end(),
                {"--store=etcd://" + etcd_.endpoint(0) + "/t", "--controller-name", name});
    if (name != "one") more.push_back("--sealing-key-file=" + one_.data_dir() + "/sealing.key");
    return more;
  }

  EtcdCluster etcd_;
  std::string directory_;
  ControllerProcess one_, two_;
  const std::string app_ = TarOf(std::string(3'000'000, 'x'));
  const std::string next_ = TarOf("the next");
};

TEST_F(RealControllersTest, ADirectoryThatTheyShareOutlivesEachOfThem) {
  const std::string shared = directory_ + "/shared";
  const std::string blobs = "--blobs=" + shared;
  one_.Start(Flags("one", {blobs}));
  ASSERT_TRUE(WaitUntil([&] { return PushImage(one_.Channel(), "app", app_).ok(); })) << one_.Log();
  two_.Start(Flags("two", {blobs}));
  EXPECT_TRUE(HasBytes(two_.Channel(), app_)) << two_.Log();
  // Passed on to the leader, which needs no second copy.
  ASSERT_TRUE(PushImage(two_.Channel(), "next", next_).ok()) << one_.Log();

  // One host is gone for good, with an upload that it was at.
  one_.Stop(SIGKILL);
  std::ofstream(shared + "/tmp/one/1") << "half of an image";
  EXPECT_TRUE(WaitUntil([&] { return HasBytes(two_.Channel(), app_); })) << two_.Log();
  EXPECT_TRUE(HasBytes(two_.Channel(), next_));
  const std::string third = TarOf("the third");
  ASSERT_TRUE(PushImage(two_.Channel(), "third", third).ok()) << two_.Log();
  EXPECT_TRUE(fs::exists(shared + "/tmp/one/1")) << "it may be at it yet";

  // What nothing names goes when it is old, and only that.
  const fs::path old = shared + "/sha256/" + Sha256Hex(app_);
  fs::last_write_time(old, fs::file_time_type::clock::now() - std::chrono::hours(2));
  DeleteImage(two_.Channel(), "app");
  EXPECT_TRUE(WaitUntil([&] { return !fs::exists(old); }));

  // It comes back, and leads again.
  one_.Start(Flags("one", {blobs}));
  two_.Stop(SIGKILL);
  EXPECT_TRUE(WaitUntil([&] { return HasBytes(one_.Channel(), third); })) << one_.Log();
  EXPECT_TRUE(HasBytes(one_.Channel(), next_));
  EXPECT_FALSE(fs::exists(shared + "/tmp/one/1"));
}

TEST_F(RealControllersTest, AControllerWhoseSharedDirectoryIsNotMountedIsNone) {
  const std::string shared = directory_ + "/shared";
  one_.Start(Flags("one", {"--blobs=" + shared}));
  ASSERT_TRUE(WaitUntil([&] { return PushImage(one_.Channel(), "app", app_).ok(); })) << one_.Log();
  const std::string mount = directory_ + "/mount";
  fs::create_directory(mount);
  const std::vector<std::string> flags =
      Flags("two", {"--blobs=" + mount, "--insecure", "--listen=127.0.0.1:0", "--http=127.0.0.1:0",
                    "--data-dir=" + two_.data_dir()});
  std::string said;
  EXPECT_EQ(ControllerProcess::RunToEnd(flags, &said), 1);
  EXPECT_THAT(said, HasSubstr(mount + " has neither the mark nor the images"));
  EXPECT_TRUE(fs::is_empty(mount));

  // Nor one from which it vanishes, once it would lead.
  two_.Start(Flags("two", {"--blobs=" + shared}));
  fs::rename(shared, directory_ + "/elsewhere");
  one_.Stop(SIGKILL);
  EXPECT_TRUE(WaitUntil([&] { return !two_.IsAlive(); }));
  EXPECT_THAT(two_.Log(), HasSubstr(shared + " has neither the mark nor the images"));
  EXPECT_FALSE(fs::exists(shared));
}

// Controllers with identities. An admin, ann, is there.
class KnownControllersTest : public RealControllersTest {
 protected:
  void SetUp() override {
    RealControllersTest::SetUp();
    one_.Start(Flags("one"));
    v1::CreateUserRequest request;
    request.set_user_id("ann");
    request.mutable_user()->set_role(v1::USER_ROLE_ADMIN);
    ASSERT_TRUE(WaitUntil([&] {
      grpc::ClientContext context;
      v1::User user;
      return v1::IdentityService::NewStub(one_.Channel())
          ->CreateUser(&context, request, &user)
          .ok();
    })) << one_.Log();
    EXPECT_EQ(one_.Stop(SIGTERM), 0);
    one_.UseIdentities();
    two_.UseIdentities();
    one_.Start(Flags("one"));
    ASSERT_TRUE(WaitUntil([&] { return fs::exists(Identity(one_) + "/ca.key"); })) << one_.Log();
    two_.Start(Flags("two"));
  }
  static std::string Identity(const ControllerProcess& controller) {
    return controller.data_dir() + "/identity";
  }
  static bool HasCopy(const ControllerProcess& controller, const std::string& bytes) {
    return fs::exists(controller.data_dir() + "/images/sha256/" + Sha256Hex(bytes));
  }
  // To `controller`, by whoever has that role and name.
  std::shared_ptr<grpc::Channel> Channel(const ControllerProcess& controller, v1::IdentityRole role,
                                         const std::string& name) {
    const auto authority = LoadAuthority(AuthorityFilesIn(Identity(one_)));
    const auto own = identity::LoadIdentity(identity::FilesIn(Identity(one_)));
    EXPECT_TRUE(authority.ok() && own.ok()) << authority.status() << own.status();
    const std::string& cluster = own->peer.id.cluster;
    const auto files = identity::FilesIn(directory_ + "/of-" + name);
    const auto key = identity::MakeKey();
    const auto certificate = authority->Issue(
        key->get(), {.id = {.cluster = cluster, .role = role, .name = name}, .now = absl::Now()});
    EXPECT_TRUE(identity::SaveIdentity(files, *identity::KeyPem(key->get()), *certificate,
                                       authority->bundle_pem())
                    .ok());
    return grpc::CreateCustomChannel(controller.grpc_address(),
                                     identity::ChannelCredentials(files, cluster),
                                     ClientChannelArguments());
  }
  // Says that it is controller `name`, and answers how the call ends.
  static grpc::Status StandBy(const std::shared_ptr<grpc::Channel>& channel,
                              const std::string& name) {
    const auto stub = controller::v1::PeerService::NewStub(channel);
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + kWaitDeadline);
    const auto stream = stub->ReplicateImages(&context);
    controller::v1::ReplicateImagesRequest request;
    request.mutable_hello()->set_controller(name);
    stream->Write(request);
    controller::v1::ReplicateImagesResponse response;
    while (stream->Read(&response)) continue;
    return stream->Finish();
  }
};

TEST_F(KnownControllersTest, KeepCopiesForEachOther) {
  const auto at_one = Channel(one_, v1::IDENTITY_ROLE_PERSON, "ann");
  grpc::Status status;
  ASSERT_TRUE(WaitUntil([&] {
    status = PushImage(at_one, "app", app_);
    return status.ok();
  })) << status.error_message()
      << two_.Log();
  EXPECT_TRUE(HasCopy(one_, app_));
  EXPECT_TRUE(HasCopy(two_, app_));

  // Its disk is lost, and what comes in its place has them from the other.
  one_.Stop(SIGKILL);
  fs::remove_all(one_.data_dir() + "/images");
  // By a new channel for each try: a handshake of one that has failed goes on in calls alone.
  ASSERT_TRUE(WaitUntil([&] {
    return HasBytes(Channel(two_, v1::IDENTITY_ROLE_PERSON, "ann"), app_);
  })) << two_.Log();
  const auto at_two = Channel(two_, v1::IDENTITY_ROLE_PERSON, "ann");
  one_.Start(Flags("one"));
  EXPECT_TRUE(WaitUntil([&] { return HasCopy(one_, app_); })) << one_.Log();
  ASSERT_TRUE(WaitUntil([&] { return PushImage(at_two, "next", next_).ok(); })) << two_.Log();
  EXPECT_TRUE(HasCopy(one_, next_));

  // Nobody else is one of them.
  const grpc::Status of_agent = StandBy(Channel(two_, v1::IDENTITY_ROLE_AGENT, "h1"), "h1");
  EXPECT_EQ(of_agent.error_code(), grpc::StatusCode::PERMISSION_DENIED) << of_agent.error_message();
  const grpc::Status of_person = StandBy(at_two, "one");
  EXPECT_EQ(of_person.error_code(), grpc::StatusCode::PERMISSION_DENIED);
  const grpc::Status of_another =
      StandBy(Channel(two_, v1::IDENTITY_ROLE_CONTROLLER, "three"), "one");
  EXPECT_EQ(of_another.error_code(), grpc::StatusCode::PERMISSION_DENIED);
  EXPECT_THAT(of_another.error_message(), HasSubstr("may not say that it is controller/one"));
}

}  // namespace
}  // namespace remuda
