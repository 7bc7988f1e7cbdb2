#include "proxy/control/told_targets.h"

#include <gtest/gtest.h>

#include <map>
#include <string>

namespace remuda::proxy {
namespace {

class ToldTargetsTest : public ::testing::Test {
 protected:
  std::shared_ptr<TargetState> Make(int number) {
    return std::make_shared<TargetState>(group_, std::to_string(number), "10.0.0.1",
                                         static_cast<uint16_t>(1), 1);
  }
  std::map<std::string, int64_t> Take() {
    std::map<std::string, int64_t> out;
    for (const auto& told : told_.Take()) out[told.target->id()] = told.numbers.requests;
    return out;
  }

  const std::shared_ptr<GroupState> group_ = std::make_shared<GroupState>("blue", 1);
  ToldTargets told_;
};

using Told = std::map<std::string, int64_t>;

TEST_F(ToldTargetsTest, OnlyWhatIsNotAsItWasTold) {
  const auto a = Make(1), b = Make(2);
  told_.Add(a, {5, 0});
  told_.Add(b, {0, 0});
  EXPECT_EQ(Take(), (Told{{"1", 5}})) << "nothing is what is known without a word";
  told_.Add(a, {5, 0});
  told_.Add(b, {0, 1});
  EXPECT_EQ(Take(), (Told{{"2", 0}}));
  told_.Add(a, {5, 0});
  told_.Add(b, {1, 0});
  EXPECT_EQ(Take(), (Told{{"2", 1}}));
  told_.Forget();
  told_.Add(a, {5, 0});
  told_.Add(b, {1, 0});
  EXPECT_EQ(Take(), (Told{{"1", 5}, {"2", 1}})) << "all again in a new session";
}

TEST_F(ToldTargetsTest, ThoseThatAreGoneAreForgotten) {
  auto a = Make(1);
  told_.Add(a, {5, 0});
  Take();
  EXPECT_EQ(a.use_count(), 2);
  EXPECT_EQ(Take(), Told());
  EXPECT_EQ(a.use_count(), 1);
}

TEST_F(ToldTargetsTest, OfTooManyThoseToldLongestAgoComeFirst) {
  constexpr int kCount = 2500;
  std::vector<std::shared_ptr<TargetState>> targets;
  for (int i = 0; i < kCount; ++i) targets.push_back(Make(i));
  std::map<std::string, int64_t> newest;
  for (int report = 1; report <= 9; ++report) {
    for (const auto& target : targets) told_.Add(target, {report, 0});
    const Told told = Take();
    EXPECT_EQ(told.size(), ToldTargets::kMaxTargetsAReport);
    for (const auto& [id, requests] : told) newest[id] = requests;
    if (report < 3) continue;
    EXPECT_EQ(newest.size(), kCount);
    for (const auto& [id, requests] : newest) EXPECT_GE(requests, report - 2) << id;
  }
}

}  // namespace
}  // namespace remuda::proxy
