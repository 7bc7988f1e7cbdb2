// What is asked outside, and what its answers mean.
#include "controller/core/analysis/probe.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "controller/core/analysis/answer.h"
#include "controller/core/model/limits.h"

namespace remuda::core {
namespace {

constexpr auto kPassed = v1::AnalysisEvaluation::VERDICT_PASSED;
constexpr auto kFailed = v1::AnalysisEvaluation::VERDICT_FAILED;
constexpr auto kInconclusive = v1::AnalysisEvaluation::VERDICT_INCONCLUSIVE;

v1::Analysis AnalysisOf(const std::string& name) {
  v1::Analysis analysis;
  *analysis.mutable_interval() = ToProto(absl::Seconds(5));
  analysis.add_checks()->mutable_error_rate();
  v1::AnalysisCheck& check = *analysis.add_checks();
  check.set_name(name);
  check.mutable_webhook()->set_url("http://check.example:8080/ask?x=1");
  check.mutable_webhook()->set_authorization("Bearer secret");
  *check.mutable_webhook()->mutable_timeout() = ToProto(absl::Seconds(3));
  return analysis;
}

v1::Deployment Row() {
  v1::Deployment row;
  row.set_name("deployments/web-3");
  row.set_auto_scaling_group("web");
  row.set_state(v1::DEPLOYMENT_STATE_IN_PROGRESS);
  row.mutable_from()->set_launch_template("shop");
  row.mutable_from()->set_resolved_version(1);
  row.mutable_to()->set_launch_template("shop");
  row.mutable_to()->set_resolved_version(2);
  row.add_steps()->set_traffic(5);
  *row.add_steps()->mutable_analysis() = AnalysisOf("step");
  *row.mutable_analysis() = AnalysisOf("own");
  row.set_current_step(2);
  row.set_traffic_percent(5);
  return row;
}

std::vector<std::string> NamesOf(const v1::Deployment& row) {
  std::vector<std::string> names;
  for (const auto& [id, probe] : ProbesOf("web-3", row))
    names.push_back(std::to_string(id.step) + " " + id.check);
  return names;
}

TEST(ProbesTest, AreWantedWhileTheyBear) {
  using ::testing::ElementsAre;
  using ::testing::IsEmpty;
  v1::Deployment row = Row();
  EXPECT_THAT(NamesOf(row), ElementsAre("0 own", "2 step"));
  row.set_paused(true);
  EXPECT_THAT(NamesOf(row), ElementsAre("0 own"));
  row.set_paused(false);
  row.set_current_step(1);
  EXPECT_THAT(NamesOf(row), ElementsAre("0 own"));
  row.set_traffic_percent(0);
  EXPECT_THAT(NamesOf(row), IsEmpty());
  row.clear_traffic_percent();
  EXPECT_THAT(NamesOf(row), ElementsAre("0 own"));
  row.set_state(v1::DEPLOYMENT_STATE_ROLLING_BACK);
  EXPECT_THAT(NamesOf(row), IsEmpty());
  row.set_state(v1::DEPLOYMENT_STATE_SUCCEEDED);
  EXPECT_THAT(NamesOf(row), IsEmpty());
}

TEST(ProbesTest, SayWhatToAsk) {
  v1::Deployment row = Row();
  v1::AnalysisCheck& check = *row.mutable_analysis()->add_checks();
  check.set_name("prometheus");
  check.mutable_prometheus()->set_url("http://[::1]:9090/prom/");
  check.mutable_prometheus()->set_query(
      "rate({g=\"{{group}}\",v=~\"{{old_version}}|{{new_version}}\"})");
  v1::AnalysisCheck& command = *row.mutable_analysis()->add_checks();
  command.set_name("command");
  command.mutable_command()->add_argv("/bin/check");
  command.mutable_command()->add_argv("-v");
  const auto probes = ProbesOf("web-3", row);
  const Probe& own = probes.at({"web-3", 0, "own"});
  EXPECT_EQ(own.url.authority(), "check.example:8080");
  EXPECT_EQ(own.url.target, "/ask?x=1");
  EXPECT_EQ(own.authorization, "Bearer secret");
  EXPECT_EQ(own.timeout, absl::Seconds(3));
  EXPECT_EQ(own.interval, absl::Seconds(5));
  const Probe& query = probes.at({"web-3", 0, "prometheus"});
  EXPECT_EQ(query.url.authority(), "[::1]:9090");
  EXPECT_EQ(query.url.target,
            "/prom/api/v1/query?query=rate%28%7Bg%3D%22web%22%2Cv%3D~%221%7C2%22%7D%29");
  EXPECT_THAT(probes.at({"web-3", 0, "command"}).argv, ::testing::ElementsAre("/bin/check", "-v"));
}

TEST(ProbesTest, TheBodySaysHowThingsAre) {
  State state;
  Draft draft(state);
  v1::AutoScalingGroup group;
  group.add_target_groups("tg");
  draft.Put("web", group);
  state.Apply(draft.Take(), 1);
  Observations seen;
  seen.start = absl::FromUnixSeconds(100);
  auto& counts = seen.traffic.totals[{"tg", "web/shop:2"}];
  counts.set_requests(60);
  counts.set_errors(3);
  counts.add_latency(57);
  seen.traffic.totals[{"tg", "web/shop:1"}].set_requests(1000);
  v1::Deployment row = Row();
  row.mutable_shift_confirmed_time()->set_seconds(200);
  row.mutable_new_base()->set_requests(10);
  row.mutable_old_base()->set_requests(100);
  v1::AnalysisCheck check = row.analysis().checks(1);
  (*check.mutable_webhook()->mutable_metadata())["team"] = "a \"b\"\n";
  (*check.mutable_webhook()->mutable_metadata())["env"] = "x";
  EXPECT_EQ(ProbeBody(state, seen, {"web-3", 0, "own"}, row, check),
            R"({"deployment":"deployments/web-3","autoScalingGroup":"autoScalingGroups/web",)"
            R"("oldVersion":"shop:1","newVersion":"shop:2","step":2,"check":"own",)"
            R"("trafficPercent":5,"old":{"requests":900,"errors":0},)"
            R"("new":{"requests":50,"errors":3,"latencyP50Seconds":0.000008,)"
            R"("latencyP99Seconds":0.000016},"metadata":{"env":"x","team":"a \"b\"\u000a"}})");
  // An earlier controller's numbers say nothing of this one's.
  seen.start = absl::FromUnixSeconds(300);
  EXPECT_THAT(ProbeBody(state, seen, {"web-3", 2, "step"}, row, check),
              ::testing::HasSubstr(R"("old":{"requests":1000,"errors":0})"));
}

TEST(ProbesTest, AnswersOfOneAnalysis) {
  ProbeAnswers answers;
  answers[{"web-3", 0, "own"}].description = "a";
  answers[{"web-3", 2, "own"}].description = "b";
  answers[{"web-30", 2, "own"}].description = "c";
  const auto of_step = AnswersOf(answers, "web-3", 2);
  ASSERT_EQ(of_step.size(), 1u);
  EXPECT_EQ(of_step.at("own").description, "b");
}

TEST(HttpUrlTest, Table) {
  struct Case {
    const char* text;
    const char* authority;  // null: refused
    const char* target;
  };
  const std::vector<Case> cases = {
      {"http://a", "a", "/"},
      {"http://a/", "a", "/"},
      {"http://a?x=1", "a", "/?x=1"},
      {"http://a.b-c_d:8080/p/q?r=%20", "a.b-c_d:8080", "/p/q?r=%20"},
      {"http://127.0.0.1:80/", "127.0.0.1", "/"},
      {"http://[::1]/x", "[::1]", "/x"},
      {"http://[::1]:9/x", "[::1]:9", "/x"},
      {"https://a/", nullptr, nullptr},
      {"HTTP://a/", nullptr, nullptr},
      {"a", nullptr, nullptr},
      {"http://", nullptr, nullptr},
      {"http:///x", nullptr, nullptr},
      {"http://:80/", nullptr, nullptr},
      {"http://a:/", nullptr, nullptr},
      {"http://a:0/", nullptr, nullptr},
      {"http://a:65536/", nullptr, nullptr},
      {"http://a:8 0/", nullptr, nullptr},
      {"http://u:p@a/", nullptr, nullptr},
      {"http://[::1/", nullptr, nullptr},
      {"http://[x]/", nullptr, nullptr},
      {"http://[::1]x/", nullptr, nullptr},
      {"http://a/x#y", nullptr, nullptr},
      {"http://a/x y", nullptr, nullptr},
      {"http://a/x\r\nHost: b", nullptr, nullptr},
      {"http://a\xc3\xa9/", nullptr, nullptr},
  };
  for (const Case& one : cases) {
    HttpUrl url;
    const std::string fault = ParseHttpUrl(one.text, url);
    EXPECT_EQ(fault.empty(), one.authority != nullptr) << one.text << ": " << fault;
    if (one.authority == nullptr || !fault.empty()) continue;
    EXPECT_EQ(url.authority(), one.authority) << one.text;
    EXPECT_EQ(url.target, one.target) << one.text;
  }
  HttpUrl url;
  EXPECT_NE(ParseHttpUrl("http://a/" + std::string(limits::kUrlBytes, 'x'), url), "");
}

struct AnswerCase {
  ProbeOutcome outcome;
  AnalysisVerdict verdict;
  std::optional<double> value;
  std::string description;
};

void Expect(const Probe& probe, const std::vector<AnswerCase>& cases) {
  for (const AnswerCase& one : cases) {
    const ProbeAnswer answer = AnswerTo(probe, one.outcome);
    EXPECT_EQ(answer.verdict, one.verdict) << one.outcome.body << ": " << answer.description;
    EXPECT_EQ(answer.value, one.value) << one.outcome.body;
    EXPECT_EQ(answer.description, one.description);
  }
}

TEST(AnswerTest, Webhooks) {
  const std::string deep(10'000, '[');
  Expect(
      {.kind = Probe::Kind::kWebhook},
      {
          {{.status = 200}, kPassed, {}, "the webhook answered 200"},
          {{.status = 204, .body = " \r\n"}, kPassed, {}, "the webhook answered 204"},
          {{.status = 200, .body = R"({"verdict":"passed"})"},
           kPassed,
           {},
           "the webhook says passed"},
          {{.status = 200, .body = R"({"verdict":"failed","value":3.5,"description":"too\nslow"})"},
           kFailed,
           3.5,
           "the webhook says failed: too"},
          {{.status = 201, .body = R"({"verdict":"inconclusive","description":"soon"})"},
           kInconclusive,
           {},
           "the webhook says inconclusive: soon"},
          {{.status = 200, .body = R"({"verdict":"PASSED"})"},
           kInconclusive,
           {},
           "the webhook answered 200 without a verdict of passed, failed or inconclusive"},
          {{.status = 200, .body = R"({"verdict":{"a":1},"value":"7"})"},
           kInconclusive,
           {},
           "the webhook answered 200 without a verdict of passed, failed or inconclusive"},
          {{.status = 200, .body = "<html>"},
           kInconclusive,
           {},
           "the webhook answered 200 without a verdict of passed, failed or inconclusive"},
          {{.status = 200, .body = "\xff\xfe"},
           kInconclusive,
           {},
           "the webhook answered 200 without a verdict of passed, failed or inconclusive"},
          {{.status = 200, .body = R"({"verdict":)" + deep},
           kInconclusive,
           {},
           "the webhook answered 200 without a verdict of passed, failed or inconclusive"},
          {{.status = 302, .body = R"({"verdict":"passed"})"},
           kFailed,
           {},
           "the webhook answered 302"},
          {{.status = 500}, kFailed, {}, "the webhook answered 500"},
          {{.trouble = "connection refused"}, kInconclusive, {}, "no answer: connection refused"},
      });
}

TEST(AnswerTest, ALongOrOddDescriptionIsCutAndMadeReadable) {
  const ProbeAnswer answer =
      AnswerTo({.kind = Probe::Kind::kCommand},
               {.status = 0, .body = "\x1b[31mred\t" + std::string(1000, 'x') + "\nsecond"});
  EXPECT_LE(answer.description.size(), limits::kProbeDescriptionBytes + 64);
  EXPECT_THAT(answer.description, ::testing::HasSubstr(":  [31mred x"));
}

TEST(AnswerTest, Prometheus) {
  Probe probe{.kind = Probe::Kind::kPrometheus};
  probe.check.mutable_prometheus()->set_max(0.5);
  probe.check.mutable_prometheus()->set_min(0.1);
  const auto vector = [](const std::string& series) {
    return R"({"status":"success","data":{"resultType":"vector","result":[)" + series + "]}}";
  };
  Expect(
      probe,
      {
          {{.status = 200, .body = vector(R"({"metric":{},"value":[1.5,"0.5"]})")},
           kPassed,
           0.5,
           "the query says 0.5, not above 0.5, not below 0.1"},
          {{.status = 200, .body = vector(R"({"metric":{},"value":[1.5,"0.51"]})")},
           kFailed,
           0.51,
           "the query says 0.51, above 0.5, not below 0.1"},
          {{.status = 200, .body = vector(R"({"metric":{},"value":[1.5,"+Inf"]})")},
           kFailed,
           std::numeric_limits<double>::infinity(),
           "the query says inf, above 0.5, not below 0.1"},
          {{.status = 200,
            .body = R"({"status":"success","data":{"resultType":"scalar","result":[1,"0.05"]}})"},
           kFailed,
           0.05,
           "the query says 0.05, not above 0.5, below 0.1"},
          {{.status = 200, .body = vector(R"({"metric":{},"value":[1.5,"NaN"]})")},
           kInconclusive,
           {},
           "the query's answer is no number"},
          {{.status = 200, .body = vector("")}, kInconclusive, {}, "the query's answer is empty"},
          {{.status = 200, .body = vector(R"({"value":[1,"1"]},{"value":[1,"2"]})")},
           kInconclusive,
           {},
           "the query's answer has 2 series, not one"},
          {{.status = 200, .body = vector("7")},
           kInconclusive,
           {},
           "the query's answer is no number"},
          {{.status = 200, .body = R"({"status":"success","data":{"resultType":"matrix"}})"},
           kInconclusive,
           {},
           "the query's answer is no number"},
          {{.status = 400, .body = R"({"status":"error","error":"parse error"})"},
           kInconclusive,
           {},
           "Prometheus says: parse error"},
          {{.status = 503, .body = "no"}, kInconclusive, {}, "Prometheus answered 503"},
          {{.status = 200, .body = "<html>"},
           kInconclusive,
           {},
           "Prometheus answered 200 with what is no JSON"},
          {{.trouble = "timed out after 10s"}, kInconclusive, {}, "no answer: timed out after 10s"},
      });
}

TEST(AnswerTest, Commands) {
  Expect(
      {.kind = Probe::Kind::kCommand},
      {
          {{.status = 0}, kPassed, {}, "the command ended with status 0"},
          {{.status = 1, .body = "2 of 3 failed\nmore"},
           kFailed,
           {},
           "the command ended with status 1: 2 of 3 failed"},
          {{.status = 2}, kInconclusive, {}, "the command ended with status 2"},
          {{.trouble = "timed out after 1s"}, kInconclusive, {}, "no answer: timed out after 1s"},
      });
}

}  // namespace
}  // namespace remuda::core
