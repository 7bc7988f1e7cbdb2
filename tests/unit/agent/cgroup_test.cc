// What can be tested of cgroups depends on the host; what cannot be enforced must be refused on
// every host.
#include "agent/cgroup.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
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

TEST(Cgroups, NothingAskedNeverFails) {
  Cgroups cgroups = Cgroups::Detect();
  const auto made = cgroups.Make("test-none-" + std::to_string(getpid()), {});
  ASSERT_TRUE(made.ok()) << made.status();
  Cgroups::End(*made);
}

}  // namespace
}  // namespace remuda::agent
