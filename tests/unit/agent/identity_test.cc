// What of a data directory's place is judged by.
#include "agent/identity.h"

#include <gtest/gtest.h>
#include <linux/magic.h>
#include <unistd.h>

#include <filesystem>

namespace remuda::agent {
namespace {

TEST(Identity, ACopyIsToldByInodesOfTheSameBoot) {
  const Place written{.boot_id = "b", .directory = 1, .lock = 2};
  EXPECT_TRUE(IsCopy(written, {.boot_id = "b", .directory = 3, .lock = 4}));
  EXPECT_FALSE(IsCopy(written, {.boot_id = "c", .directory = 3, .lock = 4})) << "another boot";
  EXPECT_FALSE(IsCopy(written, {.boot_id = "b", .directory = 1, .lock = 4})) << "a new lock";
  EXPECT_FALSE(IsCopy(written, {.boot_id = "b", .directory = 3, .lock = 2})) << "it was renamed";
  EXPECT_FALSE(IsCopy({.boot_id = "b"}, {.boot_id = "b", .directory = 3, .lock = 4}));
  EXPECT_FALSE(IsCopy(written, {.boot_id = "b"})) << "here is no place to tell";
}

TEST(Identity, ARecordOfEarlierAgentsMakesRoomForKeyAndCertificate) {
  const std::string directory = testing::TempDir() + "/machine-" + std::to_string(getpid());
  std::filesystem::create_directories(directory);
  Identity written;
  written.machine_id = "m";
  written.host = "h1";
  ASSERT_EQ(WriteIdentity(directory + "/identity", written), 0);
  MoveOldRecord(directory);
  EXPECT_FALSE(std::filesystem::exists(directory + "/identity"));
  EXPECT_EQ(ReadIdentity(MachinePath(directory)).machine_id, "m");
  // The directory of key and certificate stays.
  std::filesystem::create_directories(directory + "/identity");
  MoveOldRecord(directory);
  EXPECT_TRUE(std::filesystem::is_directory(directory + "/identity"));
  EXPECT_EQ(ReadIdentity(MachinePath(directory)).host, "h1");
  std::filesystem::remove_all(directory);
}

TEST(Identity, SomeFileSystemsMakeInodesUp) {
  for (const uint32_t magic : {uint32_t{FUSE_SUPER_MAGIC}, uint32_t{MSDOS_SUPER_MAGIC},
                               uint32_t{SMB_SUPER_MAGIC}, uint32_t{SMB2_SUPER_MAGIC}})
    EXPECT_FALSE(HasStableInodes(magic)) << magic;
  for (const uint32_t magic :
       {uint32_t{EXT4_SUPER_MAGIC}, uint32_t{XFS_SUPER_MAGIC}, uint32_t{TMPFS_MAGIC}})
    EXPECT_TRUE(HasStableInodes(magic)) << magic;
}

}  // namespace
}  // namespace remuda::agent
