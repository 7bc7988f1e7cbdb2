// The real controller with a scripted agent and a scripted proxy: from a resource to a target in
// rotation and out of it; images, logs, the store.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>

#include <algorithm>
#include <filesystem>
#include <thread>

#include "common/sha256.h"
#include "remuda/v1/activity.grpc.pb.h"
#include "remuda/v1/target_group.grpc.pb.h"
#include "tests/component/controller/testing/cluster_fixture.h"

namespace remuda {
namespace {

using testing::HasSubstr;

TEST_F(ClusterTest, FromResourcesToRotationAndADeadProcessOutOfItAtOnce) {
  StartController();
  agent_.Connect(channel_);
  proxy_.Connect(channel_);
  ApplyShop(2);
  ASSERT_TRUE(WaitForInService(2)) << controller_.Log();
  ASSERT_TRUE(proxy_.WaitFor([](const auto& had) { return HasActive(had, 2); }));
  EXPECT_TRUE(proxy_.had().load_balancers.contains("shop"));
  EXPECT_GE(proxy_.had().welcome->epoch(), 1);

  const std::string victim = agent_.had().running.begin()->first;
  const size_t updates = proxy_.had().updates.size();
  agent_.Kill(victim, 9);
  ASSERT_TRUE(proxy_.WaitFor([&](const auto& had) {
    const auto it = had.targets.find("blue/" + victim);
    return it == had.targets.end() || it->second.state() == proxy::v1::Target::STATE_GONE;
  }));
  const proxy::v1::ConfigUpdate update = proxy_.had().updates.at(updates);
  EXPECT_TRUE(update.has_base()) << "one target's change was sent as a whole view";
  EXPECT_LT(update.ByteSizeLong(), 200U);
  // Launched instead.
  ASSERT_TRUE(WaitForInService(2)) << controller_.Log();
  EXPECT_TRUE(proxy_.WaitFor([&](const auto& had) {
    return HasActive(had, 2) && !had.targets.contains("blue/" + victim);
  }));

  EXPECT_TRUE(WaitForProxy("p1", [](const v1::Proxy& seen) {
    return seen.connected() && seen.config().confirmed_commit() > 0 &&
           seen.config().acknowledged().sequence() == seen.config().sent().sequence();
  }));
}

TEST_F(ClusterTest, ReferencesAreAnsweredAsFullNamesAndTakenAsIdsToo) {
  StartController();
  agent_.is_slow = true;  // an instance names its activity until it is in service
  agent_.Connect(channel_);
  ApplyShop(1);  // by ids
  EXPECT_TRUE(WaitForInstances([](const auto& instances) {
    if (instances.size() != 1) return false;
    const v1::Instance& one = instances.begin()->second;  // of a watch
    return one.host() == "hosts/h1" && one.auto_scaling_group() == "autoScalingGroups/blue" &&
           one.launch_template().launch_template() == "launchTemplates/shop" &&
           one.activity().rfind("activities/", 0) == 0;
  }));
  v1::GetAutoScalingGroupRequest get;
  get.set_name("blue");
  v1::AutoScalingGroup group;
  ASSERT_TRUE(
      (Call<v1::AutoScalingService>(&v1::AutoScalingService::Stub::GetAutoScalingGroup, get, &group)
           .ok()));
  EXPECT_THAT(group.target_groups(), testing::ElementsAre("targetGroups/blue"));
  EXPECT_EQ(group.launch_template().version(), "1");
  // What was answered goes back as it came.
  v1::UpdateAutoScalingGroupRequest update;
  *update.mutable_auto_scaling_group() = group;
  v1::AutoScalingGroup again;
  const auto status = Call<v1::AutoScalingService>(
      &v1::AutoScalingService::Stub::UpdateAutoScalingGroup, update, &again);
  EXPECT_TRUE(status.ok()) << status.error_message();
  EXPECT_EQ(again.etag(), group.etag());
  v1::ListInstancesRequest list;
  v1::ListInstancesResponse listed;
  for (const char* filter : {"host = h1", "host = hosts/h1"}) {
    list.set_filter(filter);
    ASSERT_TRUE(
        (Call<v1::AutoScalingService>(&v1::AutoScalingService::Stub::ListInstances, list, &listed)
             .ok()));
    EXPECT_EQ(listed.instances_size(), 1) << filter;
  }
  v1::ListActivitiesResponse activities;
  ASSERT_TRUE((Call<v1::ActivityService>(&v1::ActivityService::Stub::ListActivities,
                                         v1::ListActivitiesRequest(), &activities)
                   .ok()));
  EXPECT_THAT(activities.activities(0).instance(), testing::StartsWith("instances/i-"));
}

TEST_F(ClusterTest, AKilledControllerComesBackWithEverythingAndAHigherEpoch) {
  StartController();
  agent_.Connect(channel_);
  proxy_.Connect(channel_);
  ApplyShop(1);
  ASSERT_TRUE(WaitForInService(1));
  v1::CreateTargetGroupRequest create;
  create.set_target_group_id("green");
  create.mutable_target_group();
  create.set_request_id("r1");
  v1::TargetGroup first, again;
  ASSERT_TRUE((
      Call<v1::TargetGroupService>(&v1::TargetGroupService::Stub::CreateTargetGroup, create, &first)
          .ok()));
  v1::Cluster before, after;
  ASSERT_TRUE((Call<v1::ClusterService>(&v1::ClusterService::Stub::GetCluster,
                                        v1::GetClusterRequest(), &before)
                   .ok()));
  const std::string instance = agent_.had().running.begin()->first;

  EXPECT_EQ(controller_.Stop(SIGKILL), -SIGKILL);
  StartController();
  ASSERT_TRUE((Call<v1::ClusterService>(&v1::ClusterService::Stub::GetCluster,
                                        v1::GetClusterRequest(), &after)
                   .ok()));
  EXPECT_EQ(after.cluster_id(), before.cluster_id());
  EXPECT_EQ(after.epoch(), before.epoch() + 1);
  EXPECT_GE(after.commit(), before.commit());
  const auto repeat = Call<v1::TargetGroupService>(&v1::TargetGroupService::Stub::CreateTargetGroup,
                                                   create, &again);
  EXPECT_TRUE(repeat.ok()) << repeat.error_message();
  EXPECT_EQ(again.SerializeAsString(), first.SerializeAsString())
      << "a repeat answers as the first did";

  // The receivers come back with what they held, and nothing changes for them.
  agent_.Connect(channel_);
  proxy_.Connect(channel_);
  ASSERT_TRUE(
      proxy_.WaitFor([&](const auto& had) { return had.revision.epoch() == after.epoch(); }));
  EXPECT_TRUE(HasActive(proxy_.had(), 1)) << "the view was emptied for want of reports";
  ASSERT_TRUE(
      agent_.WaitFor([&](const auto& had) { return had.revision.epoch() == after.epoch(); }));
  EXPECT_EQ(agent_.had().assigned.at(instance).desired(), agent::v1::DESIRED_STATE_RUNNING);
  EXPECT_TRUE(WaitForInService(1));
}

TEST_F(ClusterTest, OneControllerAloneListsItself) {
  StartController();
  v1::ListControllersResponse list;
  v1::Cluster cluster;
  ASSERT_TRUE((Call<v1::ClusterService>(&v1::ClusterService::Stub::ListControllers,
                                        v1::ListControllersRequest(), &list)
                   .ok()));
  ASSERT_TRUE((Call<v1::ClusterService>(&v1::ClusterService::Stub::GetCluster,
                                        v1::GetClusterRequest(), &cluster)
                   .ok()));
  ASSERT_EQ(list.controllers_size(), 1);
  const v1::Controller& self = list.controllers(0);
  EXPECT_EQ(self.state(), v1::CONTROLLER_STATE_LEADER);
  EXPECT_THAT(self.name(), testing::StartsWith("controllers/"));
  EXPECT_EQ(self.epoch(), cluster.epoch());
  EXPECT_EQ(self.version(), cluster.version());
  EXPECT_EQ(self.lag_commits(), 0);
  EXPECT_EQ(self.error(), "");
}

TEST_F(ClusterTest, ImagesAreVerifiedResumedAndForgotten) {
  StartController({"--image-limit", "3Mi"});
  const std::string bytes = TarOf(std::string(2'500'000, 'i'));
  v1::Image image;
  v1::ImageHeader wrong;
  wrong.set_digest("sha256:" + std::string(64, '0'));
  EXPECT_EQ(Push("app", bytes, wrong, &image).error_code(), grpc::INVALID_ARGUMENT);
  EXPECT_EQ(Push("app", std::string(4'000'000, 'x'), {}, &image).error_code(),
            grpc::RESOURCE_EXHAUSTED);
  EXPECT_EQ(Push("app", "", {}, &image).error_code(), grpc::INVALID_ARGUMENT);
  EXPECT_EQ(Push("App!", bytes, {}, &image).error_code(), grpc::INVALID_ARGUMENT);
  const std::string blobs = controller_.data_dir() + "/images/sha256";
  EXPECT_TRUE(std::filesystem::is_empty(blobs));
  ASSERT_TRUE(Push("app", bytes, {}, &image).ok());
  EXPECT_EQ(image.digest(), "sha256:" + Sha256Hex(bytes));
  EXPECT_TRUE(Push("app", bytes, {}, &image).ok()) << "the same bytes again are no error";
  EXPECT_EQ(Push("app", TarOf("other"), {}, &image).error_code(), grpc::ALREADY_EXISTS);

  const auto stub = v1::ImageService::NewStub(channel_);
  for (const int64_t offset :
       {int64_t{0}, int64_t{1'000'001}, static_cast<int64_t>(bytes.size())}) {
    grpc::ClientContext context;
    v1::FetchImageRequest request;
    request.set_digest("sha256:" + Sha256Hex(bytes));
    request.set_offset(offset);
    const auto reader = stub->FetchImage(&context, request);
    std::string got;
    v1::FetchImageResponse response;
    int64_t size = 0;
    while (reader->Read(&response)) {
      size = std::max(size, response.size_bytes());
      got += response.chunk();
    }
    EXPECT_TRUE(reader->Finish().ok());
    EXPECT_EQ(got, bytes.substr(static_cast<size_t>(offset)));
    EXPECT_EQ(size, static_cast<int64_t>(bytes.size()));
  }
  v1::DeleteImageRequest remove;
  remove.set_name("images/app");
  google::protobuf::Empty empty;
  ASSERT_TRUE((Call<v1::ImageService>(&v1::ImageService::Stub::DeleteImage, remove, &empty).ok()));
  EXPECT_TRUE(WaitUntil([&] { return std::filesystem::is_empty(blobs); }))
      << "the bytes of a deleted image stay";
}

TEST_F(ClusterTest, LogsAndSnapshotsGoThroughTheAgentsSession) {
  StartController();
  agent_.Connect(channel_);
  ApplyShop(1);
  ASSERT_TRUE(agent_.WaitFor([](const auto& had) { return !had.running.empty(); }));
  const std::string instance = agent_.had().running.begin()->first;
  const auto stub = v1::AutoScalingService::NewStub(channel_);
  grpc::ClientContext context;
  v1::WatchInstanceLogsRequest request;
  request.set_name("instances/" + instance);
  request.set_follow(true);
  const auto reader = stub->WatchInstanceLogs(&context, request);
  ASSERT_TRUE(agent_.WaitFor([](const auto& had) { return had.requests.size() == 1; }));
  agent::v1::ConnectRequest chunk;
  chunk.mutable_log()->set_stream_id(agent_.had().requests[0].log().stream_id());
  chunk.mutable_log()->set_data("hello\n");
  agent_.Send(chunk);
  v1::WatchInstanceLogsResponse line;
  ASSERT_TRUE(reader->Read(&line));
  EXPECT_EQ(line.data(), "hello\n");
  context.TryCancel();
  reader->Finish();
  ASSERT_TRUE(agent_.WaitFor([](const auto& had) { return had.requests.size() == 2; }))
      << "the reading is not cancelled";
  EXPECT_TRUE(agent_.had().requests[1].has_log_cancel());

  std::thread create([&] {
    v1::CreateImageRequest wish;
    wish.set_image_id("made");
    wish.set_instance(instance);
    v1::Image made;
    const auto status = Call<v1::ImageService>(&v1::ImageService::Stub::CreateImage, wish, &made);
    EXPECT_EQ(status.error_code(), grpc::FAILED_PRECONDITION);
    EXPECT_THAT(status.error_message(), HasSubstr("no space"));
  });
  EXPECT_TRUE(agent_.WaitFor([](const auto& had) { return had.requests.size() == 3; }));
  agent::v1::ConnectRequest failed;
  failed.mutable_snapshot()->set_snapshot_id(agent_.had().requests.back().snapshot().snapshot_id());
  failed.mutable_snapshot()->set_error("no space");
  agent_.Send(failed);
  create.join();
}

TEST_F(ClusterTest, EveryAnswerWithATargetGroupSaysHowItsSourceIsFollowed) {
  StartController();
  v1::CreateTargetGroupRequest create;
  create.set_target_group_id("web");
  v1::KubernetesTargets& whose =
      *create.mutable_target_group()->mutable_targets()->mutable_kubernetes();
  whose.set_namespace_("shop");
  whose.set_service("web");
  v1::TargetGroup group;
  ASSERT_TRUE((
      Call<v1::TargetGroupService>(&v1::TargetGroupService::Stub::CreateTargetGroup, create, &group)
          .ok()));
  EXPECT_NE(group.targets_status().error(), "");
  v1::GetTargetGroupRequest get;
  get.set_name("targetGroups/web");
  EXPECT_TRUE(WaitUntil([&] {
    Call<v1::TargetGroupService>(&v1::TargetGroupService::Stub::GetTargetGroup, get, &group);
    return group.targets_status().error().find("no access to Kubernetes") != std::string::npos;
  })) << group.targets_status().error();
  v1::UpdateTargetGroupRequest update;
  *update.mutable_target_group() = group;
  update.mutable_target_group()->set_cross_zone(v1::CROSS_ZONE_PREFER_OWN);
  ASSERT_TRUE((
      Call<v1::TargetGroupService>(&v1::TargetGroupService::Stub::UpdateTargetGroup, update, &group)
          .ok()));
  EXPECT_THAT(group.targets_status().error(), HasSubstr("no access to Kubernetes"));
}

TEST_F(ClusterTest, AFullStoreFailsWritesOnlyAndOnlyWhileItIsFull) {
  StartController();
  v1::CreateTargetGroupRequest create;
  v1::TargetGroup group;
  const auto put = [&](const std::string& id) {
    create.set_target_group_id(id);
    create.mutable_target_group();
    return Call<v1::TargetGroupService>(&v1::TargetGroupService::Stub::CreateTargetGroup, create,
                                        &group);
  };
  ASSERT_TRUE(put("before").ok());
  rlimit unlimited{};
  rlimit full{};
  ASSERT_EQ(prlimit(controller_.pid(), RLIMIT_FSIZE, nullptr, &unlimited), 0);
  full = unlimited;
  full.rlim_cur = 4096;
  ASSERT_EQ(prlimit(controller_.pid(), RLIMIT_FSIZE, &full, nullptr), 0);
  const grpc::Status failed = put("during");
  EXPECT_FALSE(failed.ok());
  EXPECT_THAT(failed.error_message(), HasSubstr("state.db"));
  v1::ListTargetGroupsResponse list;
  ASSERT_TRUE((Call<v1::TargetGroupService>(&v1::TargetGroupService::Stub::ListTargetGroups,
                                            v1::ListTargetGroupsRequest(), &list)
                   .ok()));
  EXPECT_EQ(list.target_groups_size(), 1) << "nothing half-applied, and reads go on";
  ASSERT_EQ(prlimit(controller_.pid(), RLIMIT_FSIZE, &unlimited, nullptr), 0);
  EXPECT_TRUE(put("after").ok());
  EXPECT_EQ(controller_.Stop(SIGKILL), -SIGKILL);
  StartController();
  ASSERT_TRUE((Call<v1::TargetGroupService>(&v1::TargetGroupService::Stub::ListTargetGroups,
                                            v1::ListTargetGroupsRequest(), &list)
                   .ok()));
  ASSERT_EQ(list.target_groups_size(), 2);
  EXPECT_EQ(list.target_groups(0).name(), "targetGroups/after");
}

}  // namespace
}  // namespace remuda
