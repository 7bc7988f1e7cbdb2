#include "agent/app_users.h"

#include <gtest/gtest.h>
#include <pwd.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <set>
#include <string>

#include "agent/record_file.h"

namespace remuda::agent {
namespace {

namespace fs = std::filesystem;

TEST(ParseUserRange, ByTable) {
  UserRange range;
  EXPECT_EQ(ParseUserRange("2000-2999", range), "");
  EXPECT_EQ(range.first, 2000u);
  EXPECT_EQ(range.last, 2999u);
  EXPECT_EQ(ParseUserRange("5000-5000", range), "");
  for (const char* bad : {"", "-", "2000", "2000-", "-2000", "3000-2000", "a-b", "999-2000", "0-1",
                          "2000-4294967295", "2000-4294967296", "2000-3000-4000"}) {
    EXPECT_NE(ParseUserRange(bad, range), "") << bad;
    EXPECT_EQ(range.first, 5000u) << bad << ": a wrong text changes nothing";
  }
}

TEST(FindUser, ByTable) {
  const auto missing = FindUser("no-such-user-here", /*allow_root=*/true);
  EXPECT_EQ(missing.status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_NE(missing.status().message().find("no-such-user-here"), absl::string_view::npos);
  const passwd* self = getpwuid(geteuid());
  ASSERT_NE(self, nullptr);
  EXPECT_TRUE(FindUser(self->pw_name, /*allow_root=*/true).ok());
  if (geteuid() != 0) return;
  const auto root = FindUser("root", /*allow_root=*/false);
  EXPECT_EQ(root.status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_NE(root.status().message().find("--allow-root-apps"), absl::string_view::npos);
}

class AppUsersTest : public testing::Test {
 protected:
  void SetUp() override {
    if (geteuid() != 0) GTEST_SKIP() << "only root has other users";
    std::string pattern = (fs::temp_directory_path() / "remuda-users-XXXXXX").string();
    root_ = mkdtemp(pattern.data());
  }
  void TearDown() override {
    if (!root_.empty()) fs::remove_all(root_);
  }
  InstanceDir Dir(const std::string& id) const { return {root_ / "instances" / id}; }
  AppUsers::Options Range(uint32_t first, uint32_t last) const {
    return {.range = {first, last}, .counter = root_ / "last-user"};
  }
  uint32_t Own(AppUsers& users, const std::string& id) const {
    const auto user = users.Ensure(id, Dir(id), "");
    EXPECT_TRUE(user.ok()) << user.status();
    return user.ok() ? (*user)->uid : 0;
  }

  fs::path root_;
};

TEST_F(AppUsersTest, EachInstanceHasOneOfItsOwnThatALaterAgentKnows) {
  AppUsers users(Range(710'000, 710'009));
  EXPECT_EQ(users.KeyOf("i-a", ""), "#") << "files of one that has none yet are nobody's";
  const uint32_t a = Own(users, "i-a"), b = Own(users, "i-b");
  EXPECT_NE(a, b);
  EXPECT_EQ(Own(users, "i-a"), a);
  EXPECT_EQ(users.KeyOf("i-a", ""), "#" + std::to_string(a));
  EXPECT_EQ(users.KeyOf("i-a", "nobody"), "nobody");
  // Even with another range.
  AppUsers later(Range(720'000, 720'009));
  later.Load("i-a", Dir("i-a"));
  EXPECT_EQ(Own(later, "i-a"), a);
  EXPECT_TRUE(UserRange({720'000, 720'009}).Has(Own(later, "i-c")));
}

TEST_F(AppUsersTest, AnIdThatWasGivenBackIsTheLastToBeGivenAgain) {
  AppUsers users(Range(710'000, 710'004));
  const uint32_t first = Own(users, "i-0");
  users.Forget("i-0");
  std::set<uint32_t> others;
  for (int i = 1; i <= 4; ++i) others.insert(Own(users, "i-" + std::to_string(i)));
  EXPECT_EQ(others.size(), 4u);
  EXPECT_EQ(others.count(first), 0u);
  EXPECT_EQ(Own(users, "i-5"), first);
  const auto none = users.Ensure("i-6", Dir("i-6"), "");
  EXPECT_TRUE(absl::IsUnavailable(none.status()));
  EXPECT_NE(none.status().message().find("710000-710004"), absl::string_view::npos);
  // Nor does a later agent begin with it.
  AppUsers later(Range(710'000, 710'004));
  for (int i = 2; i <= 5; ++i) {
    const std::string id = "i-" + std::to_string(i);
    later.Load(id, Dir(id));
  }
  const auto freed = *ReadWholeFile(Dir("i-1").User());
  EXPECT_EQ(std::to_string(Own(later, "i-7")), freed);
}

TEST_F(AppUsersTest, ADirectoryCannotSayThatItsUserIsRoot) {
  AppUsers users(Range(710'000, 710'004));
  fs::create_directories(Dir("i-a").path);
  for (const char* text : {"0", "999", "x", "", "-1"}) {
    std::ofstream(Dir("i-a").User()) << text;
    users.Load("i-a", Dir("i-a"));
    EXPECT_EQ(users.KeyOf("i-a", ""), "#") << text;
  }
}

}  // namespace
}  // namespace remuda::agent
