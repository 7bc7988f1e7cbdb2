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

// Else it would be thought busy for as long as its instance lives.
TEST_F(ToldTargetsTest, OneThatGoesHasNothingInFlight) {
  const auto gone = Make(1), again = Make(1), other = Make(2);
  told_.Add(gone, {5, 3});
  told_.Add(other, {1, 1});
  EXPECT_EQ(Take(), (Told{{"1", 5}, {"2", 1}}));
  told_.Add(other, {1, 1});
  auto told = told_.Take();
  ASSERT_EQ(told.size(), 1U);
  EXPECT_EQ(told[0].target, gone);
  EXPECT_EQ(told[0].numbers, (ToldTargets::Numbers{5, 0}));
  told.clear();
  told_.Add(other, {1, 1});
  EXPECT_EQ(Take(), Told()) << "once";
  EXPECT_EQ(gone.use_count(), 1);
  told_.Add(other, {1, 1});
  told_.Add(again, {0, 0});
  EXPECT_EQ(Take(), Told()) << "back, and idle";
}

// However many there are: what is said of one that has its name now holds.
TEST_F(ToldTargetsTest, ThoseThatGoComeBeforeThoseThatCome) {
  constexpr int kCount = 1500;
  std::vector<std::shared_ptr<TargetState>> targets;
  for (int i = 0; i < 2 * kCount; ++i) targets.push_back(Make(i % kCount));
  std::map<std::string, int64_t> in_flight;
  const auto take = [&] {
    for (const auto& told : told_.Take()) in_flight[told.target->id()] = told.numbers.in_flight;
  };
  for (int report = 0; report < 8; ++report) {
    const size_t first = report < 3 ? 0 : kCount;
    for (size_t i = first; i < first + kCount; ++i) told_.Add(targets[i], {1, report < 3 ? 3 : 2});
    take();
  }
  EXPECT_EQ(in_flight.size(), kCount);
  for (const auto& [id, number] : in_flight) EXPECT_EQ(number, 2) << id;
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
