// What stays and looks: --wait, --watch and logs of a group, against a controller that changes,
// goes away and comes back.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "tests/component/cli/command_fixture.h"

namespace remuda::testing_cli {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::SizeIs;

v1::AutoScalingGroup Blue(int desired, int in_service) {
  v1::AutoScalingGroup group;
  group.set_name("autoScalingGroups/blue");
  group.set_desired(desired);
  group.mutable_status()->set_in_service(in_service);
  group.mutable_status()->set_pending(desired - in_service);
  return group;
}

v1::Activity Activity(const std::string& number, const std::string& what) {
  v1::Activity activity;
  activity.set_name("activities/" + number);
  activity.set_description(what);
  return activity;
}

class FollowingTest : public CommandTest {
 protected:
  template <typename Change>
  void With(Change change) {
    const std::lock_guard lock(state().mutex);
    change(state());
  }
};

TEST_F(FollowingTest, ScaleWaitsUntilTheGroupHasWhatItWants) {
  state().groups.push_back(Blue(2, 1));
  RemudaProcess scale({"scale", "blue", "--desired", "2", "--wait"}, Environment());
  ASSERT_TRUE(WaitUntil([&] { return scale.err().find("1 of 2 in service") != std::string::npos; }))
      << scale.err();
  EXPECT_EQ(scale.out(), "");
  With([](FakeState& state) { state.groups[0] = Blue(2, 2); });
  const Finished finished = scale.Wait();
  EXPECT_EQ(finished.exit_code, 0) << finished.err;
  EXPECT_THAT(finished.out, HasSubstr("autoScalingGroups/blue min 0, desired 2"));
  EXPECT_THAT(finished.err,
              HasSubstr("waiting: autoScalingGroups/blue: 1 of 2 in service, 1 pending\n"));
}

TEST_F(FollowingTest, AWaitInVainExitsWith3AndSaysWhatIsMissing) {
  state().groups.push_back(Blue(2, 1));
  state().groups[0].mutable_status()->set_waiting("no host has room");
  const Finished finished = Run({"scale", "asg/blue", "--desired", "2", "--wait=1s"});
  EXPECT_EQ(finished.exit_code, 3);
  EXPECT_THAT(finished.err, HasSubstr("remuda: waited 1s in vain"));
  EXPECT_THAT(finished.err, HasSubstr("no host has room"));
  EXPECT_THAT(finished.err, Not(HasSubstr("remuda logs")));
  EXPECT_EQ(Run({"scale", "asg/blue", "--desired", "2", "--wait=soon"}).exit_code, 2);
  EXPECT_EQ(Run({"scale", "asg/blue", "--desired", "2", "--wait=0s"}).exit_code, 2);
  EXPECT_THAT(controller_.Requests("SetDesiredCapacity"), SizeIs(1)) << "nothing was asked for";
}

TEST_F(FollowingTest, DeleteWaitsUntilItIsGoneAndProxiesFollow) {
  state().groups.push_back(Blue(2, 2));
  auto& proxy = state().proxies.emplace_back();
  proxy.set_name("proxies/p1");
  proxy.set_connected(true);
  proxy.mutable_config()->mutable_sent()->set_sequence(2);
  proxy.mutable_config()->mutable_acknowledged()->set_sequence(1);
  RemudaProcess gone({"delete", "asg/blue", "--force", "--wait"}, Environment());
  ASSERT_TRUE(WaitUntil([&] { return gone.err().find("2 instances left") != std::string::npos; }))
      << gone.err();
  With([](FakeState& state) { state.groups.clear(); });
  ASSERT_TRUE(WaitUntil([&] {
    return gone.err().find("proxies/p1 to take the new config") != std::string::npos;
  })) << gone.err();
  With([](FakeState& state) {
    state.proxies[0].mutable_config()->mutable_acknowledged()->set_sequence(2);
  });
  const Finished finished = gone.Wait();
  EXPECT_EQ(finished.exit_code, 0) << finished.err;
  EXPECT_EQ(finished.out, "autoScalingGroups/blue deleted\n");
}

TEST_F(FollowingTest, DrainWaitsUntilTheHostIsEmpty) {
  state().hosts.emplace_back().set_name("hosts/h1");
  state().hosts[0].set_instance_count(1);
  RemudaProcess drain({"host", "drain", "h1", "--wait"}, Environment());
  ASSERT_TRUE(WaitUntil([&] {
    return drain.err().find("hosts/h1 has 1 instance\n") != std::string::npos;
  })) << drain.err();
  With([](FakeState& state) { state.hosts[0].set_instance_count(0); });
  EXPECT_EQ(drain.Wait().exit_code, 0);
}

TEST_F(FollowingTest, AWaitInVainSaysWhatAnInstanceThatIsNotHealthyPrinted) {
  state().groups.push_back(Blue(2, 1));
  auto& instance = state().instances.emplace_back();
  instance.set_name("instances/i-0000000001");
  instance.mutable_start_time();
  state().log_text = "listening on port 3000\n";
  const std::string manifest = testing::TempDir() + "following_test.yaml";
  std::ofstream(manifest)
      << "kind: AutoScalingGroup\nname: blue\nlaunchTemplate: { launchTemplate: shop }\n";
  for (const std::vector<std::string>& words :
       {std::vector<std::string>{"scale", "asg/blue", "--desired", "2", "--wait=1ms"},
        {"apply", "-f", manifest, "--wait=1ms"}}) {
    const Finished finished = Run(words);
    EXPECT_EQ(finished.exit_code, 3);
    EXPECT_THAT(finished.err,
                testing::EndsWith("\ni-0000000001 printed last:\n  listening on port 3000\n"
                                  "all that it printed: `remuda logs i-0000000001`\n"));
  }
}

// Each line of a wait that ends in vain says something.
TEST_F(FollowingTest, AWaitInVainHasNoEmptyLine) {
  state().hosts.emplace_back().set_name("hosts/h1");
  state().hosts[0].set_instance_count(2);
  const Finished finished = RunRemuda({"host", "drain", "h1", "--wait=50ms"}, Environment());
  EXPECT_EQ(finished.exit_code, 3);
  EXPECT_EQ(
      finished.err,
      "waiting: hosts/h1 has 2 instances\nremuda: waited 50ms in vain, and what was asked for "
      "goes on: hosts/h1 has 2 instances\n");
}

TEST_F(FollowingTest, MoreInServiceThanAreWantedIsNoShareOfThem) {
  auto& group = state().groups.emplace_back();
  group.set_name("autoScalingGroups/blue");
  group.mutable_status()->set_in_service(3);
  for (const auto& [desired, text] : std::map<int, std::string>{{0, "3 in service, none is wanted"},
                                                                {1, "3 in service, 1 is wanted"},
                                                                {2, "3 in service, 2 are wanted"},
                                                                {4, "3 of 4 in service"}}) {
    With([&, wanted = desired](FakeState& state) { state.groups[0].set_desired(wanted); });
    const Finished finished = RunRemuda(
        {"scale", "blue", "--desired", std::to_string(desired), "--wait=1ms"}, Environment());
    EXPECT_THAT(finished.err,
                testing::HasSubstr("waiting: autoScalingGroups/blue: " + text + "\n"));
  }
}

// That time goes by, or an agent gave a sign of life, is no change of what is shown.
TEST_F(FollowingTest, GetWatchIsSilentWhileNothingThatItShowsChanges) {
  state().hosts.emplace_back().set_name("hosts/h1");
  RemudaProcess watch({"get", "hosts", "--watch"}, Environment());
  ASSERT_TRUE(WaitUntil([&] { return watch.out().find("h1") != std::string::npos; }))
      << watch.err();
  const std::string first = watch.out();
  for (int i = 1; i <= 3; ++i) {
    With([&](FakeState& state) { state.hosts[0].mutable_last_seen_time()->set_seconds(1000 + i); });
    const size_t reads = controller_.Requests("ListHosts").size();
    ASSERT_TRUE(WaitUntil([&] { return controller_.Requests("ListHosts").size() > reads + 1; }));
  }
  // The first sign of life is one; the later ones are not.
  const std::string out = watch.out();
  EXPECT_LE(std::count(out.begin(), out.end(), '\n'),
            std::count(first.begin(), first.end(), '\n') + 1)
      << out;
}

TEST_F(FollowingTest, ActivitiesWatchGoesOnOverARestartAndMissesNone) {
  auto first = std::make_unique<FakeController>();
  first->state().hold_watch_open = true;
  first->state().activities.push_back(Activity("0001", "before"));
  RemudaProcess watch({"activities", "blue", "--watch", "--controller", first->address()}, {});
  ASSERT_TRUE(WaitUntil([&] { return !first->Requests("WatchActivities").empty(); }));
  const int port = first->port();
  first.reset();
  ASSERT_TRUE(WaitUntil([&] {
    return watch.err().find("the controller is away; trying again") != std::string::npos;
  })) << watch.err();
  FakeController second(port);
  {
    const std::lock_guard lock(second.state().mutex);
    second.state().hold_watch_open = true;
    second.state().activities = {Activity("0003", "newest"), Activity("0002", "meanwhile"),
                                 Activity("0001", "before")};
  }
  ASSERT_TRUE(WaitUntil([&] { return watch.out().find("newest") != std::string::npos; }))
      << watch.err();
  const std::string out = watch.out();
  EXPECT_LT(out.find("meanwhile"), out.find("newest"));
  EXPECT_EQ(out.find("before"), out.rfind("before")) << out;
}

TEST_F(FollowingTest, LogsOfAGroupNameTheInstanceOfEachLine) {
  state().groups.push_back(Blue(2, 2));
  for (const char* id : {"instances/i-1", "instances/i-2"})
    state().instances.emplace_back().set_name(id);
  state().log_text = "one\ntwo";
  const Finished finished = Run({"logs", "asg/blue"});
  EXPECT_EQ(finished.exit_code, 0) << finished.err;
  EXPECT_EQ(finished.out, "i-1 | one\ni-1 | two\ni-2 | one\ni-2 | two\n");
  EXPECT_THAT(controller_.Requests("ListInstances")[0],
              HasSubstr("parent: \"autoScalingGroups/blue\""));
  EXPECT_EQ(Run({"logs", "asg/green"}).exit_code, 1);
  EXPECT_EQ(Run({"logs", "tg/blue"}).exit_code, 2);

  RemudaProcess follow({"logs", "asg/blue", "-f"}, Environment());
  ASSERT_TRUE(WaitUntil([&] { return follow.out().find("i-2 | two") != std::string::npos; }));
  With([](FakeState& state) { state.instances.emplace_back().set_name("instances/i-3"); });
  EXPECT_TRUE(WaitUntil([&] { return follow.out().find("i-3 | two") != std::string::npos; }))
      << follow.err();
}

// The lines from before the break are not repeated, and those from the break are not lost.
TEST_F(FollowingTest, LogsGoOnOverARestart) {
  auto first = std::make_unique<FakeController>();
  first->state().hold_watch_open = true;
  first->state().log_text = "one\ntwo\nthr";
  RemudaProcess one({"logs", "i-1", "-f", "--controller", first->address()}, {});
  first->state().groups.push_back(Blue(1, 1));
  first->state().instances.emplace_back().set_name("instances/i-1");
  RemudaProcess all({"logs", "asg/blue", "-f", "--controller", first->address()}, {});
  ASSERT_TRUE(WaitUntil([&] {
    return one.out() == "one\ntwo\nthr" && all.out() == "i-1 | one\ni-1 | two\n";
  })) << one.err()
      << all.err();
  // Both follow.
  ASSERT_TRUE(WaitUntil([&] { return first->Requests("WatchInstanceLogs").size() == 4; }));
  const int port = first->port();
  first.reset();
  // Away, or broken off: as the connection ends.
  ASSERT_TRUE(WaitUntil([&] { return one.err().find("; trying again\n") != std::string::npos; }))
      << one.err();
  FakeController second(port);
  {
    const std::lock_guard lock(second.state().mutex);
    second.state().hold_watch_open = true;
    second.state().groups.push_back(Blue(1, 1));
    second.state().instances.emplace_back().set_name("instances/i-1");
    second.state().log_text = "one\ntwo\nthree\nfour\n";
  }
  ASSERT_TRUE(WaitUntil([&] { return all.out().find("four") != std::string::npos; })) << all.err();
  ASSERT_TRUE(WaitUntil([&] { return one.out().find("four") != std::string::npos; })) << one.err();
  ASSERT_TRUE(WaitUntil([&] { return second.Requests("WatchInstanceLogs").size() >= 4; }));
  {
    const std::lock_guard lock(second.state().mutex);
    second.state().log_text += "five\n";
    second.state().hold_watch_open = false;  // it has ended
    second.state().changed.notify_all();
  }
  EXPECT_EQ(one.Wait().exit_code, 0);
  EXPECT_EQ(one.out(), "one\ntwo\nthree\nfour\nfive\n");
  EXPECT_TRUE(WaitUntil([&] { return all.out().find("five") != std::string::npos; })) << all.err();
  EXPECT_EQ(all.out(), "i-1 | one\ni-1 | two\ni-1 | three\ni-1 | four\ni-1 | five\n");
}

// The controller is there: what it says is told, and not that it is away.
TEST_F(FollowingTest, LogsThatBreakOffSayWhy) {
  state().hold_watch_open = true;
  state().log_text = "one\n";
  state().instances.emplace_back().set_name("instances/i-1");
  RemudaProcess follow({"logs", "i-1", "-f"}, Environment());
  ASSERT_TRUE(WaitUntil([&] { return follow.out() == "one\n"; })) << follow.err();
  With([](FakeState& state) {
    state.ends = true;
    state.hold_watch_open = false;
  });
  ASSERT_TRUE(WaitUntil([&] { return !follow.err().empty(); }));
  EXPECT_EQ(follow.err(), "remuda: it broke off; trying again\n");
  With([](FakeState& state) {
    state.ends = false;
    state.log_text += "two\n";
  });
  EXPECT_EQ(follow.Wait().exit_code, 0);
  EXPECT_EQ(follow.out(), "one\ntwo\n");
}

// Long lines: a thousand are more than the controller keeps for a reader.
TEST_F(FollowingTest, LogsOfLongLinesAreReadFewerAtATime) {
  state().most_log_lines = 100;
  for (int i = 1; i <= 300; ++i) state().log_text += std::to_string(i) + "\n";
  const Finished few = Run({"logs", "i-1", "-f", "--tail", "2"});
  EXPECT_EQ(few.exit_code, 0) << few.err;
  EXPECT_EQ(few.out, "299\n300\n");
  EXPECT_THAT(controller_.Requests("WatchInstanceLogs"), SizeIs(4)) << "1000, 250, 62; and follows";
  const Finished many = Run({"logs", "i-1", "-f", "--tail", "200"});
  EXPECT_EQ(many.exit_code, 1);
  EXPECT_THAT(many.err, HasSubstr("too far behind"));
}

TEST_F(FollowingTest, LogsThatCannotBeReadAtFirstAreNotWaitedFor) {
  state().failure = absl::UnavailableError("hosts/h1 has no session");
  const Finished finished = Run({"logs", "i-1", "-f"});
  EXPECT_EQ(finished.exit_code, 1);
  EXPECT_THAT(finished.err, HasSubstr("hosts/h1 has no session"));
}

// A connection takes a hundred calls at once, and new instances are asked for on it too.
TEST_F(FollowingTest, LogsOfAVeryLargeGroupLeaveRoomForItsList) {
  constexpr size_t kInstances = 105;
  constexpr size_t kFollowed = 90;
  state().hold_watch_open = true;
  state().log_text = "up\n";
  state().groups.push_back(Blue(kInstances, kInstances));
  for (size_t i = 0; i < kInstances; ++i)
    state().instances.emplace_back().set_name("instances/i-" + std::to_string(i));
  RemudaProcess follow({"logs", "asg/blue", "-f"}, Environment());
  const auto lines = [&] {
    const std::string out = follow.out();
    return static_cast<size_t>(std::count(out.begin(), out.end(), '\n'));
  };
  ASSERT_TRUE(WaitUntil([&] { return lines() == kFollowed; })) << lines() << follow.err();
  const size_t lists = controller_.Requests("ListInstances").size();
  ASSERT_TRUE(WaitUntil([&] { return controller_.Requests("ListInstances").size() > lists + 4; }));
  EXPECT_EQ(lines(), kFollowed);
  EXPECT_EQ(follow.err(), "remuda: only 90 instances are followed at once\n");
}

}  // namespace
}  // namespace remuda::testing_cli
