// Which controller is dialled next, and what is kept of where they are.
#include "common/identity/controller_addresses.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

namespace remuda::identity {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

v1::ControllerAddresses Told(const std::vector<std::string>& addresses) {
  v1::ControllerAddresses told;
  told.mutable_addresses()->Assign(addresses.begin(), addresses.end());
  return told;
}

TEST(ParseControllersTest, TakesEachOnceInItsOrder) {
  const auto parsed = ParseControllers("b.example:7400,10.0.0.1:7400,[::1]:1,b.example:7400");
  ASSERT_TRUE(parsed.ok()) << parsed.status();
  EXPECT_THAT(*parsed, ElementsAre("b.example:7400", "10.0.0.1:7400", "[::1]:1"));
  EXPECT_EQ(ControllersText(*parsed), "b.example:7400,10.0.0.1:7400,[::1]:1");
  EXPECT_EQ(ParseControllers("unix:/run/remuda")->front(), "unix:/run/remuda");
}

TEST(ParseControllersTest, NamesWhatIsWrong) {
  for (const std::string wrong : {"", "a", "a:", ":1", "a:0", "a:65536", "a:1x", "a b:1",
                                  "::1:7400", "[]:1", "a:1/x", "unix:", "http://a:1", "a:+1"}) {
    const auto parsed = ParseControllers("10.0.0.1:7400," + wrong);
    ASSERT_EQ(parsed.status().code(), absl::StatusCode::kInvalidArgument) << wrong;
    EXPECT_THAT(std::string(parsed.status().message()), HasSubstr("\"" + wrong + "\" is not HOST"));
  }
  std::string many = "h0:1";
  for (size_t i = 1; i <= kMaxControllers; ++i) many += ",h" + std::to_string(i) + ":1";
  EXPECT_THAT(std::string(ParseControllers(many).status().message()), HasSubstr("kMaxControllers"));
}

class ControllerAddressesTest : public testing::Test {
 protected:
  ControllerAddressesTest() {
    std::string pattern =
        (std::filesystem::temp_directory_path() / "remuda-addresses-XXXXXX").string();
    directory_ = mkdtemp(pattern.data());
  }
  ~ControllerAddressesTest() override {
    std::error_code ignored;
    std::filesystem::remove_all(directory_, ignored);
  }
  std::string file() const { return directory_ + "/controllers"; }

  std::string directory_;
};

TEST_F(ControllerAddressesTest, OneAloneIsDialledAgainAndAgainWithWaits) {
  ControllerAddresses one({.given = {"a:1"}});
  EXPECT_EQ(one.current(), "a:1");
  EXPECT_FALSE(one.Next(false));
  EXPECT_FALSE(one.Next(true));
  EXPECT_EQ(one.current(), "a:1");
}

TEST_F(ControllerAddressesTest, EachIsTriedOnceBeforeAWait) {
  ControllerAddresses three({.given = {"a:1", "b:1", "c:1"}});
  for (int round = 0; round < 2; ++round) {
    EXPECT_EQ(three.current(), "a:1");
    EXPECT_TRUE(three.Next(false));
    EXPECT_EQ(three.current(), "b:1");
    EXPECT_TRUE(three.Next(false));
    EXPECT_EQ(three.current(), "c:1");
    EXPECT_FALSE(three.Next(false));
  }
}

TEST_F(ControllerAddressesTest, TheEndOfASessionWithTheLeaderLeadsToTheOthersAtOnce) {
  ControllerAddresses three({.given = {"a:1", "b:1", "c:1"}});
  EXPECT_TRUE(three.Next(true));
  EXPECT_EQ(three.current(), "b:1");
  EXPECT_TRUE(three.Next(false));
  EXPECT_EQ(three.current(), "c:1");
  EXPECT_FALSE(three.Next(false)) << "all three were";
  EXPECT_EQ(three.current(), "a:1");
}

TEST_F(ControllerAddressesTest, TheEndOfASessionThroughAStandbyLeadsToTheLeader) {
  ControllerAddresses three({.given = {"a:1", "b:1", "c:1"}});
  EXPECT_TRUE(three.Next(false));
  ASSERT_EQ(three.current(), "b:1");
  three.Learn(Told({"c:1", "a:1", "b:1"}));
  EXPECT_EQ(three.current(), "b:1") << "it stays";
  EXPECT_TRUE(three.Next(true));
  EXPECT_EQ(three.current(), "c:1");
  EXPECT_TRUE(three.Next(false));
  EXPECT_EQ(three.current(), "a:1");
  EXPECT_FALSE(three.Next(false));
  EXPECT_EQ(three.current(), "c:1");
}

// One that lets in and throws out again is not dialled without an end.
TEST_F(ControllerAddressesTest, AMomentOfASessionIsATryOfTheRound) {
  ControllerAddresses two({.given = {"a:1", "b:1"}});
  EXPECT_TRUE(two.Next(false));
  EXPECT_FALSE(two.Next(false));
}

TEST_F(ControllerAddressesTest, WhatWasLearnedIsUsedAtTheNextStartBeforeWhatIsGiven) {
  {
    ControllerAddresses addresses({.given = {"a:1"}, .joined = {"j:1", "b:1"}, .file = file()});
    EXPECT_THAT(addresses.all(), ElementsAre("a:1", "j:1", "b:1"));
    EXPECT_FALSE(std::filesystem::exists(file()));
    addresses.Learn(Told({"c:1", "b:1"}));
    EXPECT_THAT(addresses.all(), ElementsAre("c:1", "b:1", "a:1", "j:1"));
    addresses.Learn(Told({}));
    EXPECT_THAT(addresses.all(), ElementsAre("c:1", "b:1", "a:1", "j:1"));
  }
  const ControllerAddresses later({.given = {"d:1"}, .file = file()});
  EXPECT_THAT(later.all(), ElementsAre("c:1", "b:1", "d:1"));
  EXPECT_EQ(later.current(), "c:1");
}

// One after the other ends: the last word is of the last one, and others may come back first.
TEST_F(ControllerAddressesTest, EarlierOnesAreTriedOneARoundAlsoAfterARestart) {
  {
    ControllerAddresses addresses({.given = {"a:1"}, .file = file()});
    addresses.Learn(Told({"a:1", "b:1", "c:1"}));
    addresses.Learn(Told({"a:1", "b:1"}));
    addresses.Learn(Told({"a:1"}));
    EXPECT_THAT(addresses.all(), ElementsAre("a:1"));
    EXPECT_TRUE(addresses.Next(true));
    EXPECT_EQ(addresses.current(), "b:1");
    EXPECT_FALSE(addresses.Next(false));
  }
  EXPECT_THAT(LearnedControllers(file()), ElementsAre("a:1", "b:1", "c:1"));
  ControllerAddresses later({.given = {"a:1"}, .file = file()});
  for (const char* earlier : {"b:1", "c:1", "b:1"}) {
    EXPECT_EQ(later.current(), "a:1");
    EXPECT_TRUE(later.Next(false));
    EXPECT_EQ(later.current(), earlier);
    EXPECT_FALSE(later.Next(false));
  }
  later.Learn(Told({"c:1", "a:1"}));
  EXPECT_THAT(LearnedControllers(file()), ElementsAre("c:1", "a:1", "b:1"));
}

TEST_F(ControllerAddressesTest, OfEarlierOnesTheNewestAreKept) {
  ControllerAddresses addresses({.given = {"a:1"}, .file = file()});
  for (int i = 0; i < 20; ++i) addresses.Learn(Told({"h" + std::to_string(i) + ":1"}));
  const auto kept = LearnedControllers(file());
  ASSERT_EQ(kept.size(), 1 + kMaxEarlierControllers);
  EXPECT_EQ(kept.front(), "h19:1");
  EXPECT_EQ(kept[1], "h18:1");
  EXPECT_EQ(kept.back(), "h11:1");
}

TEST_F(ControllerAddressesTest, AFileThatIsDamagedCountsAsNothingLearned) {
  for (const std::string content :
       {"", "remuda-controllers 1", "remuda-controllers 1\n", "remuda-controllers 1\na:1",
        "remuda-controllers 1\na:1\nb\n", "remuda-controllers 1\nearlier a:1\n",
        "remuda-controllers 1\na:1\nearlier b\n", "remuda-controllers 2\na:1\n", "a:1\n"}) {
    std::ofstream(file()) << content;
    const ControllerAddresses addresses({.given = {"d:1"}, .file = file()});
    EXPECT_THAT(addresses.all(), ElementsAre("d:1")) << content;
  }
  std::ofstream(file()) << std::string(1 << 20, 'a');
  EXPECT_THAT(ControllerAddresses({.given = {"d:1"}, .file = file()}).all(), ElementsAre("d:1"));
}

TEST_F(ControllerAddressesTest, WhatIsToldIsBounded) {
  std::vector<std::string> many = {"bad", "a:1", "a:1", "unix:/run/x"};
  for (size_t i = 0; i < 2 * kMaxControllers; ++i) many.push_back("h" + std::to_string(i) + ":1");
  ControllerAddresses addresses({.given = {"d:1"}, .file = file()});
  addresses.Learn(Told(many));
  EXPECT_EQ(addresses.all().size(), kMaxControllers + 1);
  EXPECT_EQ(addresses.all().front(), "a:1");
  EXPECT_EQ(addresses.all()[1], "h0:1");
  EXPECT_EQ(addresses.all().back(), "d:1");
  EXPECT_EQ(ControllerAddresses({.given = {"d:1"}, .file = file()}).all(), addresses.all());
}

TEST_F(ControllerAddressesTest, WithoutIdentitiesNothingBeyondThisMachineIsDialled) {
  ControllerAddresses addresses({.given = {"127.0.0.1:1"}, .only_this_machine = true});
  addresses.Learn(Told({"10.0.0.1:7400", "127.0.0.1:2"}));
  EXPECT_THAT(addresses.all(), ElementsAre("127.0.0.1:2", "127.0.0.1:1"));
  addresses.Learn(Told({"127.0.0.1:1"}));
  EXPECT_TRUE(addresses.Next(false));
  EXPECT_EQ(addresses.current(), "127.0.0.1:2") << "of the earlier ones too";
  EXPECT_FALSE(addresses.Next(false));
}

}  // namespace
}  // namespace remuda::identity
