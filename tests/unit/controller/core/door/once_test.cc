// request_id and validate_only, for every write at one place.
#include "controller/core/model/limits.h"
#include "tests/unit/controller/core/door/execute_fixture.h"

namespace remuda::core {
namespace {

using absl::StatusCode;

constexpr char kMethod[] = "remuda.v1.TargetGroupService/CreateTargetGroup";

// Not a hash, but different for different requests, which is all that is asked here.
std::string Same(std::string_view bytes) { return std::string(bytes); }

class OnceTest : public ExecuteTest {
 protected:
  absl::StatusOr<v1::TargetGroup> Create(const std::string& request,
                                         std::string_view method = kMethod) {
    Draft draft(state_);
    auto answer =
        ExecuteOnce(draft, method, Parse<v1::CreateTargetGroupRequest>(request), Now(), Same);
    changed_ = !draft.empty();
    Commit(draft);
    return answer;
  }
  bool changed_ = false;
};

TEST_F(OnceTest, ARepeatAnswersAsTheFirstDid) {
  const std::string request =
      R"(target_group_id: "a" target_group { labels { key: "x" value: "1" } labels { key: "y" value: "2" } } request_id: "r1")";
  const auto first = Create(request);
  ASSERT_TRUE(first.ok()) << first.status();
  Do<v1::TargetGroup>(Parse<v1::UpdateTargetGroupRequest>(R"(target_group { name: "a" })"));
  const auto repeat = Create(request);
  ASSERT_TRUE(repeat.ok()) << repeat.status();
  EXPECT_EQ(repeat->SerializeAsString().size(), first->SerializeAsString().size());
  EXPECT_EQ(repeat->etag(), first->etag());
  EXPECT_EQ(repeat->labels().size(), 2U);
  EXPECT_FALSE(changed_);
}

TEST_F(OnceTest, AnIdIsForOneRequest) {
  ASSERT_TRUE(Create(R"(target_group_id: "a" request_id: "r1")").ok());
  ExpectError(Create(R"(target_group_id: "b" request_id: "r1")").status(),
              StatusCode::kInvalidArgument, "request_id", "other content");
  ExpectError(Create(R"(target_group_id: "a" request_id: "r1")", "remuda.v1.Other/Method").status(),
              StatusCode::kInvalidArgument, "request_id", kMethod);
  ExpectError(
      Create("target_group_id: \"c\" request_id: \"" + std::string(129, 'x') + "\"").status(),
      StatusCode::kInvalidArgument, "request_id", "at most 128");
}

TEST_F(OnceTest, AnIdIsForgottenAfterAnHour) {
  ASSERT_TRUE(Create(R"(target_group_id: "a" request_id: "r1")").ok());
  now_ += absl::Hours(1) - absl::Seconds(1);
  EXPECT_TRUE(Create(R"(target_group_id: "a" request_id: "r1")").ok());
  now_ += absl::Seconds(1);
  EXPECT_EQ(Create(R"(target_group_id: "a" request_id: "r1")").status().code(),
            StatusCode::kAlreadyExists);
}

TEST_F(OnceTest, AnErrorIsNotKept) {
  EXPECT_EQ(Create(R"(target_group_id: "A" request_id: "r1")").status().code(),
            StatusCode::kInvalidArgument);
  EXPECT_FALSE(changed_);
  EXPECT_TRUE(Create(R"(target_group_id: "a" request_id: "r1")").ok());
}

TEST_F(OnceTest, ValidateOnlyAnswersAndChangesNothing) {
  const auto answer = Create(R"(target_group_id: "a" request_id: "r1" validate_only: true)");
  ASSERT_TRUE(answer.ok()) << answer.status();
  EXPECT_EQ(answer->deregistration_delay().seconds(), 300);
  EXPECT_FALSE(changed_);
  EXPECT_EQ(Create(R"(target_group_id: "A" validate_only: true)").status().code(),
            StatusCode::kInvalidArgument);
}

TEST_F(OnceTest, OldIdsGoAsNewOnesCome) {
  for (int i = 0; i < 50; ++i)
    ASSERT_TRUE(Create("target_group_id: \"a" + std::to_string(i) + "\" request_id: \"r" +
                       std::to_string(i) + "\"")
                    .ok());
  now_ += absl::Hours(2);
  for (int i = 0; i < 50; ++i)
    ASSERT_TRUE(Create("target_group_id: \"b" + std::to_string(i) + "\" request_id: \"s" +
                       std::to_string(i) + "\"")
                    .ok());
  EXPECT_EQ(state_.All<store::v1::RequestRecord>().size(), 50U);
}

TEST_F(OnceTest, AtMostSoManyAreKeptTheNewest) {
  Draft draft(state_);
  for (size_t i = 0; i < limits::kRequestRecordsKept; ++i) {
    store::v1::RequestRecord record;
    *record.mutable_time() = ToProto(now_ - absl::Seconds(static_cast<int64_t>(i % 1000)));
    draft.Put("old-" + std::to_string(i), std::move(record));
  }
  Commit(draft);
  ASSERT_TRUE(Create(R"(target_group_id: "a" request_id: "new")").ok());
  const auto& kept = state_.All<store::v1::RequestRecord>();
  EXPECT_EQ(kept.size(), limits::kRequestRecordsKept * 9 / 10 + 1);
  EXPECT_NE(state_.Find<store::v1::RequestRecord>(actor_ + "\nnew"), nullptr);
  EXPECT_NE(state_.Find<store::v1::RequestRecord>("old-0"), nullptr);
  EXPECT_EQ(state_.Find<store::v1::RequestRecord>("old-999"), nullptr);
}

}  // namespace
}  // namespace remuda::core
