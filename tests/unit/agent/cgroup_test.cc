// What can be tested of cgroups depends on the host; what cannot be enforced must be refused on
// every host.
#include "agent/cgroup.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <string>

#include "agent/record_file.h"

namespace remuda::agent {
namespace {

TEST(Cgroups, ALimitIsSetOrRefusedNeverIgnored) {
  Cgroups cgroups = Cgroups::Detect();
  const std::string offered = cgroups.Describe();
  struct Case {
    std::string controller;
    CgroupLimits limits;
  };
  for (const Case& c : {Case{"memory", {.memory_bytes = 64 << 20}},
                        {"cpu", {.cpu_millis = 500}},
                        {"pids", {.pids = 7}}}) {
    SCOPED_TRACE(c.controller);
    const auto made = cgroups.Make("test-" + std::to_string(getpid()), c.limits);
    if (offered.find(c.controller) == std::string::npos) {
      ASSERT_FALSE(made.ok());
      EXPECT_NE(made.status().message().find("limits." + c.controller + ": cannot be enforced"),
                absl::string_view::npos);
      continue;
    }
    ASSERT_TRUE(made.ok()) << made.status();
    std::string values;
    for (const std::string& directory : *made) {
      for (const char* file : {"/memory.limit_in_bytes", "/memory.max", "/cpu.cfs_quota_us",
                               "/cpu.max", "/pids.max"}) {
        values += ReadWholeFile(directory + file).value_or("") + " ";
      }
    }
    const std::string expect = c.controller == "memory" ? "67108864"
                               : c.controller == "cpu"  ? "50000"
                                                        : "7\n";
    EXPECT_NE(values.find(expect), std::string::npos) << values;
    EXPECT_FALSE(Cgroups::End(*made));
    for (const std::string& directory : *made) EXPECT_FALSE(std::filesystem::exists(directory));
  }
}

TEST(Cgroups, ThoseOfRunsAreFoundWhoeverMadeThem) {
  Cgroups cgroups = Cgroups::Detect();
  const auto made = cgroups.Make("i-test-" + std::to_string(getpid()), {.best_effort = true});
  ASSERT_TRUE(made.ok()) << made.status();
  const std::set<std::string> found = Cgroups::Detect().OfRuns();
  for (const std::string& directory : *made) EXPECT_EQ(found.count(directory), 1u) << directory;
  for (const std::string& directory : found)
    EXPECT_FALSE(directory.ends_with(Cgroups::kLeaf)) << directory;
  Cgroups::End(*made);
  for (const std::string& directory : *made)
    EXPECT_EQ(cgroups.OfRuns().count(directory), 0u) << directory;
}

TEST(Cgroups, NothingAskedNeverFails) {
  Cgroups cgroups = Cgroups::Detect();
  const auto made = cgroups.Make("test-none-" + std::to_string(getpid()), {});
  ASSERT_TRUE(made.ok()) << made.status();
  Cgroups::End(*made);
}

// Files in the place of the kernel's, which keep what was written last.
class FakeV2 {
 public:
  FakeV2() {
    std::string pattern =
        (std::filesystem::temp_directory_path() / "remuda-cgroup-XXXXXX").string();
    root_ = mkdtemp(pattern.data());
  }
  ~FakeV2() { std::filesystem::remove_all(root_); }
  std::string Add(const std::string& name, const std::string& processes) {
    const std::string directory = root_ + "/" + name;
    std::filesystem::create_directories(directory);
    std::ofstream(directory + "/cgroup.controllers") << "cpuset cpu io memory pids\n";
    std::ofstream(directory + "/cgroup.procs") << processes;
    std::ofstream(directory + "/cgroup.subtree_control") << "";
    return directory;
  }

 private:
  std::string root_;
};

TEST(CgroupsV2, UnderSystemdInstancesAreInAUnitOfTheirOwn) {
  FakeV2 fake;
  const std::string own = fake.Add("system.slice/remuda-agent.service", "17\n");
  EXPECT_EQ(Cgroups::ParentV2(own), own) << "there is no other";
  const std::string shared = fake.Add("system.slice/remuda-instances.service", "16\n");
  EXPECT_EQ(Cgroups::ParentV2(own), shared);
}

TEST(CgroupsV2, WhatIsInADividedOneMovesIntoALeaf) {
  FakeV2 fake;
  const std::string shared = fake.Add("remuda-instances.service", "16\n");
  const std::string leaf = fake.Add("remuda-instances.service/remuda-agent", "");
  std::map<std::string, std::string> parents = {{"memory", "/another/hierarchy"}};
  ASSERT_TRUE(Cgroups::DivideV2(shared, {"16"}, parents));
  EXPECT_EQ(ReadWholeFile(leaf + "/cgroup.procs").value_or(""), "16");
  EXPECT_EQ(parents, (std::map<std::string, std::string>{
                         {"memory", "/another/hierarchy"}, {"cpu", shared}, {"pids", shared}}));
  EXPECT_EQ(ReadWholeFile(shared + "/cgroup.subtree_control").value_or(""), "+pids");
}

TEST(CgroupsV2, OneThatCannotBeDividedOffersNothing) {
  FakeV2 fake;
  const std::string shared = fake.Add("remuda-instances.service", "16\n");  // no leaf can be made
  std::map<std::string, std::string> parents;
  EXPECT_FALSE(Cgroups::DivideV2(shared, {"16"}, parents));
  EXPECT_TRUE(parents.empty());
}

}  // namespace
}  // namespace remuda::agent
