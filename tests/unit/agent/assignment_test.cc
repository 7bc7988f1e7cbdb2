#include "agent/core/assignment.h"

#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <vector>

namespace remuda::agent {
namespace {

v1::InstanceAssignment Runs(const std::string& id) {
  v1::InstanceAssignment a;
  a.set_instance(id);
  a.set_desired(v1::DESIRED_STATE_RUNNING);
  a.mutable_launch_template()->add_command("node");
  a.mutable_launch_template()->set_image_digest("sha256:" + std::string(64, 'a'));
  return a;
}

v1::AssignmentUpdate Update(int64_t epoch, int64_t sequence,
                            const std::vector<v1::InstanceAssignment>& upserts,
                            int64_t base_sequence = 0) {
  v1::AssignmentUpdate update;
  update.mutable_revision()->set_epoch(epoch);
  update.mutable_revision()->set_sequence(sequence);
  if (base_sequence > 0) {
    update.mutable_base()->set_epoch(epoch);
    update.mutable_base()->set_sequence(base_sequence);
  }
  for (const auto& upsert : upserts) *update.add_upserts() = upsert;
  return update;
}

TEST(Assignment, WholeThenDeltas) {
  Assignment held;
  EXPECT_FALSE(held.revision().has_value());
  EXPECT_FALSE(held.Apply(Update(1, 1, {Runs("a"), Runs("b")}), 1));
  auto delta = Update(1, 2, {Runs("c")}, 1);
  delta.add_removed("a");
  EXPECT_FALSE(held.Apply(delta, 1));
  EXPECT_EQ(held.Find("a"), nullptr);
  EXPECT_NE(held.Find("b"), nullptr);
  EXPECT_NE(held.Find("c"), nullptr);
  EXPECT_EQ(held.revision()->sequence(), 2);

  Assignment again;
  EXPECT_FALSE(again.Apply(held.Whole(), 0));
  EXPECT_EQ(again.Whole().SerializeAsString(), held.Whole().SerializeAsString());

  EXPECT_FALSE(held.Apply(Update(1, 9, {Runs("z")}), 1));
  EXPECT_EQ(held.instances().size(), 1u);
}

TEST(Assignment, KeepsTheNameOfItsContentAsLongAsItIsThat) {
  Assignment held;
  EXPECT_EQ(held.digest(), "");
  auto whole = Update(1, 1, {Runs("a")});
  whole.set_digest("one");
  EXPECT_FALSE(held.Apply(whole, 1));
  EXPECT_EQ(held.digest(), "one");
  auto refused = Update(1, 2, {}, 7);
  refused.set_digest("two");
  EXPECT_TRUE(held.Apply(refused, 1));
  EXPECT_EQ(held.digest(), "one");
  auto delta = Update(1, 2, {Runs("b")}, 1);
  delta.set_digest("two");
  EXPECT_FALSE(held.Apply(delta, 1));
  EXPECT_EQ(held.digest(), "two");
  Assignment again;  // from the disk
  EXPECT_FALSE(again.Apply(held.Whole(), 0));
  EXPECT_EQ(again.digest(), "two");
  // The next controller's name for the same.
  v1::AssignmentUpdate renaming = Update(2, 1, {});
  *renaming.mutable_base() = *again.revision();
  renaming.set_digest("two");
  EXPECT_FALSE(again.Apply(renaming, 1));
  EXPECT_EQ(again.revision()->epoch(), 2);
  EXPECT_EQ(again.instances().size(), 2u);
}

TEST(Assignment, DoesNotNameWhatItCouldNotKeep) {
  Assignment held;
  auto newer = Update(1, 1, {Runs("a")});
  newer.set_digest("one");
  newer.GetReflection()->MutableUnknownFields(&newer)->AddVarint(4711, 1);
  EXPECT_FALSE(held.Apply(newer, 1));
  EXPECT_EQ(held.digest(), "");
  auto delta = Update(1, 2, {}, 1);
  delta.set_digest("two");
  EXPECT_FALSE(held.Apply(delta, 1));
  EXPECT_EQ(held.digest(), "") << "it builds on what was not kept";
  auto whole = Update(1, 3, {Runs("a")});
  whole.set_digest("three");
  EXPECT_FALSE(held.Apply(whole, 1));
  EXPECT_EQ(held.digest(), "three");
}

TEST(Assignment, RefusesByTableAndChangesNothing) {
  using Edit = std::function<void(v1::InstanceAssignment&)>;
  struct Case {
    std::string what, reason;
    Edit edit;
  };
  const auto with = [](auto set) {
    return [set](v1::InstanceAssignment& a) { set(*a.mutable_launch_template()); };
  };
  using Template = remuda::v1::LaunchTemplateVersion;
  const std::vector<Case> cases = {
      {"id is a path", "\"../x\" must match", [](auto& a) { a.set_instance("../x"); }},
      {"id is empty", "\"\" must match", [](auto& a) { a.set_instance(""); }},
      {"desired unset", "desired: 0", [](auto& a) { a.clear_desired(); }},
      {"no template", "launch_template: must be set", [](auto& a) { a.clear_launch_template(); }},
      {"no command", "launch_template.command", with([](Template& t) { t.clear_command(); })},
      {"NUL in command", "NUL", with([](Template& t) { t.add_command(std::string("a\0b", 3)); })},
      {"digest", "\"sha256:xyz\"", with([](Template& t) { t.set_image_digest("sha256:xyz"); })},
      {"digest is a path", "image_digest",
       with([](Template& t) { t.set_image_digest("sha256:" + std::string(63, 'a') + "/"); })},
      {"port", "70000", with([](Template& t) { t.set_port(70000); })},
      {"env name", "\"A=B\"", with([](Template& t) { (*t.mutable_env())["A=B"] = "x"; })},
      {"signal", "\"SIGKILL\"", with([](Template& t) { t.set_stop_signal("SIGKILL"); })},
      {"grace", "4000s", with([](Template& t) { t.mutable_stop_grace()->set_seconds(4000); })},
      {"memory", "\"1 pound\"",
       with([](Template& t) { t.mutable_limits()->set_memory("1 pound"); })},
      {"cpu", "\"-1\"", with([](Template& t) { t.mutable_limits()->set_cpu("-1"); })},
      {"disk", "launch_template.limits.disk: \"12\" is below 1Mi",
       with([](Template& t) { t.mutable_limits()->set_disk("12"); })},
      {"open files", "launch_template.limits.open_files: 3",
       with([](Template& t) { t.mutable_limits()->set_open_files(3); })},
      {"writable path", "launch_template.writable_paths: \"/a/../b\"",
       with([](Template& t) { t.add_writable_paths("/a/../b"); })},
      {"command and site", "must be empty with static_site",
       with([](Template& t) { t.mutable_static_site(); })},
      {"site's root", "launch_template.static_site.root: \"../x\"", with([](Template& t) {
         t.clear_command();
         t.mutable_static_site()->set_root("../x");
       })},
      {"pids", "-1", with([](Template& t) { t.mutable_limits()->set_pids(-1); })},
  };
  Assignment held;
  ASSERT_FALSE(held.Apply(Update(3, 1, {Runs("good")}), 3));
  const std::string before = held.Whole().SerializeAsString();
  for (const Case& c : cases) {
    SCOPED_TRACE(c.what);
    auto bad = Runs("bad");
    c.edit(bad);
    const auto refusal = held.Apply(Update(3, 2, {Runs("other"), bad}), 3);
    ASSERT_TRUE(refusal.has_value());
    EXPECT_EQ(refusal->resource, bad.instance());
    EXPECT_NE(refusal->reason.find(c.reason), std::string::npos) << refusal->reason;
    EXPECT_EQ(held.Whole().SerializeAsString(), before);
  }
  const auto old_epoch = held.Apply(Update(2, 99, {}), 3);
  ASSERT_TRUE(old_epoch.has_value());
  EXPECT_NE(old_epoch->reason.find("epoch 3"), std::string::npos);
  const auto wrong_base = held.Apply(Update(3, 5, {}, 4), 3);
  ASSERT_TRUE(wrong_base.has_value());
  EXPECT_NE(wrong_base->reason.find("based on 3.4, held is 3.1"), std::string::npos)
      << wrong_base->reason;
  EXPECT_EQ(held.Whole().SerializeAsString(), before);
}

TEST(Assignment, StoppedNeedsNoTemplate) {
  Assignment held;
  v1::InstanceAssignment stopped;
  stopped.set_instance("i-1");
  stopped.set_desired(v1::DESIRED_STATE_STOPPED);
  EXPECT_FALSE(held.Apply(Update(1, 1, {stopped}), 0));
}

TEST(Assignment, PreparedNeedsATemplateAndIsNoOrderOfAnOlderGeneration) {
  const auto at = [](int generation, v1::DesiredState desired) {
    auto assignment = Runs("i-1");
    assignment.set_generation(generation);
    assignment.set_desired(desired);
    return assignment;
  };
  Assignment held;
  auto bare = at(0, v1::DESIRED_STATE_PREPARED);
  bare.clear_launch_template();
  EXPECT_TRUE(held.Apply(Update(1, 1, {bare}), 0));
  ASSERT_FALSE(held.Apply(Update(1, 1, {at(2, v1::DESIRED_STATE_PREPARED)}), 0));
  // From a controller that was restored from before generation 2.
  ASSERT_FALSE(held.Apply(Update(1, 2, {at(1, v1::DESIRED_STATE_RUNNING)}), 0));
  EXPECT_EQ(held.Find("i-1")->generation(), 2);
  EXPECT_EQ(held.Find("i-1")->desired(), v1::DESIRED_STATE_RUNNING);
  // It knows of no launch from the pool: what serves is not stopped for that.
  ASSERT_FALSE(held.Apply(Update(1, 3, {at(1, v1::DESIRED_STATE_PREPARED)}), 0));
  EXPECT_EQ(held.Find("i-1")->generation(), 2);
  EXPECT_EQ(held.Find("i-1")->desired(), v1::DESIRED_STATE_RUNNING);
  ASSERT_FALSE(held.Apply(Update(1, 4, {at(2, v1::DESIRED_STATE_PREPARED)}), 0));
  EXPECT_EQ(held.Find("i-1")->desired(), v1::DESIRED_STATE_PREPARED);
  ASSERT_FALSE(held.Apply(Update(1, 5, {at(1, v1::DESIRED_STATE_PREPARED)}), 0));
  EXPECT_EQ(held.Find("i-1")->desired(), v1::DESIRED_STATE_PREPARED);
}

TEST(Assignment, AnOlderGenerationChangesNothingButAnEnd) {
  const auto at = [](int generation, const std::string& program) {
    auto assignment = Runs("i-1");
    assignment.set_generation(generation);
    assignment.mutable_launch_template()->set_command(0, program);
    return assignment;
  };
  Assignment held;
  ASSERT_FALSE(held.Apply(Update(1, 1, {at(2, "new")}), 0));
  ASSERT_FALSE(held.Apply(Update(1, 2, {at(1, "old"), Runs("i-2")}), 0));
  EXPECT_EQ(held.Find("i-1")->generation(), 2);
  EXPECT_EQ(held.Find("i-1")->launch_template().command(0), "new");
  EXPECT_NE(held.Find("i-2"), nullptr);
  ASSERT_FALSE(held.Apply(Update(1, 3, {at(3, "newer")}, 2), 0));
  EXPECT_EQ(held.Find("i-1")->generation(), 3);
  auto stop = at(0, "old");
  stop.set_desired(v1::DESIRED_STATE_STOPPED);
  ASSERT_FALSE(held.Apply(Update(1, 4, {stop}, 3), 0));
  EXPECT_EQ(held.Find("i-1")->desired(), v1::DESIRED_STATE_STOPPED);

  const auto refusal = held.Apply(Update(1, 5, {at(-1, "x")}), 0);
  ASSERT_TRUE(refusal.has_value());
  EXPECT_EQ(refusal->reason, "generation: -1 is below 0");
}

}  // namespace
}  // namespace remuda::agent
