// Words that stand in what a person reads, and that what the controller writes keeps to them.
#include "controller/core/model/words.h"

#include "controller/core/reconcile/health.h"
#include "tests/unit/controller/core/deploy_fixture.h"

namespace remuda::core {
namespace {

using ::testing::ContainsRegex;
using ::testing::Not;

TEST(Words, NumbersAgreeWithTheirNouns) {
  struct Case {
    int64_t count;
    const char* noun;
    const char* want;
  };
  const Case cases[] = {
      {0, "instance", "0 instances"}, {1, "instance", "1 instance"}, {2, "instance", "2 instances"},
      {1, "launch", "1 launch"},      {2, "launch", "2 launches"},   {2, "proxy", "2 proxies"},
      {2, "key", "2 keys"},           {2, "process", "2 processes"}, {2, "prefix", "2 prefixes"},
  };
  for (const Case& c : cases) EXPECT_EQ(Counted(c.count, c.noun), c.want);
  EXPECT_STREQ(IsOrAre(1), "is");
  EXPECT_STREQ(IsOrAre(0), "are");
}

TEST(Words, TimesAreWholeAndDurationsShort) {
  const Time time =
      absl::FromCivil(absl::CivilSecond(2026, 11, 29, 20, 55, 12), absl::UTCTimeZone());
  EXPECT_EQ(MomentText(time), "2026-11-29 20:55:12 UTC");
  EXPECT_EQ(MomentText(time + absl::Nanoseconds(1)), "2026-11-29 20:55:13 UTC");
  EXPECT_EQ(DurationText(absl::Seconds(90) + absl::Nanoseconds(17)), "1m30s");
  EXPECT_EQ(DurationText(absl::Milliseconds(1500)), "1.5s");
  EXPECT_EQ(DurationText(absl::Nanoseconds(5)), "5ns");
  EXPECT_EQ(DurationText(absl::ZeroDuration()), "0");
}

TEST(Words, AnEndOfWhichNothingIsSaidHasNoEmptyReason) {
  agent::v1::InstanceStatus status;
  status.set_state(agent::v1::PROCESS_STATE_FAILED);
  EXPECT_EQ(EndOf({Process::kEnded, &status}, {}), "it could not be started");
  status.set_message("no such program");
  EXPECT_EQ(EndOf({Process::kEnded, &status}, {}), "it could not be started: no such program");
}

// A deployment that comes out and one that does not, with everything that happens on the way: what
// is told of them reads well.
class Told : public Deploy {
 protected:
  void Look() {
    for (const auto& [id, row] : state.All<v1::Activity>()) {
      Check(row->description());
      Check(row->cause());
    }
    for (const auto& [id, row] : state.All<v1::Instance>()) Check(row->state_reason());
    for (const auto& [id, row] : state.All<v1::AutoScalingGroup>()) {
      Check(Describe(Draft(state), seen, now, *row).status().waiting());
    }
    for (const auto& [id, row] : state.All<v1::Deployment>()) Check(row->rollback_reason());
    Check(Waiting());
  }
  static void Check(const std::string& text) {
    EXPECT_THAT(text, Not(ContainsRegex("(^| )1 (new |old )?(instances|launches|hosts|proxies)")))
        << "one of many";
    EXPECT_THAT(text, Not(ContainsRegex("(^| )([02-9]|[0-9]{2,}) (new |old )?"
                                        "(instance|launch|host|proxy)( |;|,|$)")))
        << "many of one";
    EXPECT_THAT(text, Not(ContainsRegex("\\(e?s\\)"))) << "(s)";
    EXPECT_THAT(text, Not(ContainsRegex("\\.[0-9]{4}"))) << "nanoseconds";
    EXPECT_THAT(text, Not(ContainsRegex("[A-Z]+_[A-Z]+|nanos:|seconds:|\\{"))) << "protobuf text";
    EXPECT_THAT(text, Not(ContainsRegex("  |;;|; ;|: ;|; $|: $"))) << "an empty part";
  }
};

TEST_F(Told, OfEachPhase) {
  for (const int desired : {1, 2}) {
    SCOPED_TRACE(desired);
    now += absl::Nanoseconds(123'456'789);
    Desired("blue", desired);
    Settle();
    Create(2);
    Look();
    for (const auto stage :
         {Stage::kShifting, Stage::kBaking, Stage::kDraining, Stage::kSucceeded}) {
      UntilStage(stage);
      Look();
    }
    Refer(1);
    Create(1);
    UntilStage(Stage::kSucceeded);
    Advance(absl::Hours(2));
  }
}

TEST_F(Told, OfFailuresAndWaiting) {
  now += absl::Nanoseconds(123'456'789);
  Create(3, [](auto& row) { row.set_automatic_rollback(false); });
  for (int i = 0; i < 6; ++i) {
    for (const std::string& id : Pending("blue")) {
      Runs(id);
      Step();
      Killed(id, 6);
      Step();
      Look();
    }
    Advance(absl::Milliseconds(1700));
    Look();
  }
  for (const std::string& id : Pending("blue")) Runs(id);
  Step();
  FindsAll(v1::TARGET_STATE_UNHEALTHY);
  Look();
  Silence("h1");
  Advance(absl::Seconds(10));
  Look();
  Advance(absl::Seconds(600));
  Look();
  Desired("blue", 1);
  Step();
  Look();
}

}  // namespace
}  // namespace remuda::core
