#include "controller/core/analysis/evaluate.h"

#include <absl/strings/str_cat.h>
#include <absl/strings/str_format.h>

#include <algorithm>
#include <numeric>
#include <optional>

#include "controller/core/analysis/wilson.h"
#include "controller/core/model/traffic.h"
#include "controller/core/model/words.h"

namespace remuda::core {
namespace {

// "0.25", "12.5", "100": three digits. Shares are measured no better.
std::string ShareText(double percent) { return absl::StrFormat("%.3g", percent); }

// "480ms", "1.234s", "90us": what three digits tell.
std::string LatencyText(Duration latency) {
  return latency >= absl::Milliseconds(10)
             ? DurationText(absl::Trunc(latency, absl::Milliseconds(1)))
             : DurationText(absl::Trunc(latency, absl::Microseconds(10)));
}

v1::AnalysisEvaluation Begin(const v1::AnalysisCheck& check, Time now) {
  v1::AnalysisEvaluation out;
  *out.mutable_time() = ToProto(now);
  out.set_check(check.name());
  return out;
}

void Conclude(AnalysisVerdict verdict, std::string description, v1::AnalysisEvaluation& out) {
  out.set_verdict(verdict);
  out.set_description(std::move(description));
}

AnalysisVerdict FailedIf(bool has_failed) {
  return has_failed ? v1::AnalysisEvaluation::VERDICT_FAILED
                    : v1::AnalysisEvaluation::VERDICT_PASSED;
}

std::string TooFew(int64_t count, const char* what, const char* side, int64_t needed) {
  return absl::StrCat(count, " ", what, " of the ", side, " version so far: ", needed,
                      " are needed");
}

// Errors of a side, never more than its requests: a report may be cut between the two.
struct ErrorShare {
  explicit ErrorShare(const v1::SideCounts& counts)
      : requests(counts.requests()),
        errors(std::clamp<int64_t>(counts.errors(), 0, counts.requests())),
        interval(Wilson95(errors, requests)) {}

  double percent() const {
    return requests == 0 ? 0 : 100 * static_cast<double>(errors) / static_cast<double>(requests);
  }
  double low_percent() const { return 100 * interval.low; }
  double high_percent() const { return 100 * interval.high; }
  // "0.25 % of 1200 requests (0.09-0.73 %)".
  std::string Text() const {
    return absl::StrCat(ShareText(percent()), " % of ", requests, " requests (",
                        ShareText(low_percent()), "-", ShareText(high_percent()), " %)");
  }

  int64_t requests;
  int64_t errors;
  Interval interval;
};

void EvaluateErrors(const v1::ErrorRateCheck& check, const v1::SideCounts& old_side,
                    const v1::SideCounts& new_side, v1::AnalysisEvaluation& out) {
  const ErrorShare now(new_side);
  const ErrorShare old(old_side);
  out.set_new_requests(now.requests);
  out.set_new_value(now.percent());
  if (check.has_max_increase_percent()) {
    out.set_old_requests(old.requests);
    out.set_old_value(old.percent());
  }
  if (now.requests < check.min_requests()) {
    return Conclude(v1::AnalysisEvaluation::VERDICT_INCONCLUSIVE,
                    TooFew(now.requests, "requests", "new", check.min_requests()), out);
  }
  bool has_failed = false;
  std::string text = absl::StrCat("errors are ", now.Text());
  if (check.has_max_percent()) {
    const bool is_above = now.low_percent() > check.max_percent();
    has_failed = is_above;
    absl::StrAppend(&text, is_above ? ", surely above " : ", not surely above ",
                    check.max_percent(), " %");
  }
  if (check.has_max_increase_percent()) {
    const bool is_above = now.low_percent() - old.high_percent() > check.max_increase_percent();
    has_failed = has_failed || is_above;
    absl::StrAppend(&text, is_above ? ", surely more than " : ", not surely more than ",
                    check.max_increase_percent(), " points above the old version's ", old.Text());
  }
  Conclude(FailedIf(has_failed), std::move(text), out);
}

int64_t AnswersIn(const v1::SideCounts& counts) {
  return std::accumulate(counts.latency().begin(), counts.latency().end(), int64_t{0});
}

Duration PercentileOf(const v1::SideCounts& counts, double percentile) {
  return LatencyOf(counts, percentile / 100).value_or(absl::ZeroDuration());
}

void EvaluateLatency(const v1::LatencyCheck& check, const v1::SideCounts& old_side,
                     const v1::SideCounts& new_side, v1::AnalysisEvaluation& out) {
  const int64_t new_answers = AnswersIn(new_side);
  const int64_t old_answers = AnswersIn(old_side);
  const Duration now = PercentileOf(new_side, check.percentile());
  const Duration old = PercentileOf(old_side, check.percentile());
  out.set_new_requests(new_side.requests());
  out.set_new_value(absl::ToDoubleSeconds(now));
  if (check.has_max_ratio()) {
    out.set_old_requests(old_side.requests());
    out.set_old_value(absl::ToDoubleSeconds(old));
  }
  const int64_t needed = std::max<int64_t>(1, check.min_requests());
  const bool has_new = new_answers >= needed;
  if (!has_new || (check.has_max_ratio() && old_answers < needed)) {
    return Conclude(v1::AnalysisEvaluation::VERDICT_INCONCLUSIVE,
                    has_new ? TooFew(old_answers, "answers", "old", needed)
                            : TooFew(new_answers, "answers", "new", needed),
                    out);
  }
  bool has_failed = false;
  std::string text =
      absl::StrCat("p", check.percentile(), " of ", new_answers, " answers is ", LatencyText(now));
  if (check.has_max()) {
    const Duration max = FromProto(check.max());
    has_failed = now > max;
    absl::StrAppend(&text, has_failed ? ", above " : ", not above ", DurationText(max));
  }
  if (check.has_max_ratio()) {
    const bool is_above = now > check.max_ratio() * old;
    has_failed = has_failed || is_above;
    absl::StrAppend(&text, is_above ? ", more than " : ", not more than ", check.max_ratio(),
                    " times the old version's ", LatencyText(old), " (of ", old_answers, ")");
  }
  Conclude(FailedIf(has_failed), std::move(text), out);
}

void TakeAnswer(const std::map<std::string, ProbeAnswer>& answers, v1::AnalysisEvaluation& out) {
  const auto it = answers.find(out.check());
  if (it == answers.end()) {
    return Conclude(v1::AnalysisEvaluation::VERDICT_INCONCLUSIVE, "it has not been answered yet",
                    out);
  }
  const ProbeAnswer& answer = it->second;
  if (answer.value.has_value()) out.set_new_value(*answer.value);
  Conclude(answer.verdict, answer.description, out);
}

// The worse it is, the higher.
int Rank(AnalysisVerdict verdict) {
  switch (verdict) {
    case v1::AnalysisEvaluation::VERDICT_FAILED:
      return 2;
    case v1::AnalysisEvaluation::VERDICT_PASSED:
      return 0;
    default:
      return 1;
  }
}

}  // namespace

bool IsProbe(const v1::AnalysisCheck& check) {
  return check.has_webhook() || check.has_prometheus() || check.has_command();
}

std::vector<v1::AnalysisEvaluation> Evaluate(const v1::Analysis& analysis,
                                             const v1::SideCounts& old_side,
                                             const v1::SideCounts& new_side,
                                             const std::map<std::string, ProbeAnswer>& answers,
                                             Time now) {
  std::vector<v1::AnalysisEvaluation> evaluations;
  for (const v1::AnalysisCheck& check : analysis.checks()) {
    v1::AnalysisEvaluation& out = evaluations.emplace_back(Begin(check, now));
    if (check.has_error_rate()) {
      EvaluateErrors(check.error_rate(), old_side, new_side, out);
    } else if (check.has_latency()) {
      EvaluateLatency(check.latency(), old_side, new_side, out);
    } else {
      TakeAnswer(answers, out);
    }
  }
  return evaluations;
}

AnalysisVerdict Worst(const std::vector<v1::AnalysisEvaluation>& evaluations) {
  AnalysisVerdict worst = v1::AnalysisEvaluation::VERDICT_PASSED;
  for (const v1::AnalysisEvaluation& evaluation : evaluations) {
    if (Rank(evaluation.verdict()) > Rank(worst)) worst = evaluation.verdict();
  }
  return worst;
}

Time EvaluationDue(const v1::Analysis& analysis, const std::map<std::string, ProbeAnswer>& answers,
                   Time last) {
  for (const v1::AnalysisCheck& check : analysis.checks()) {
    if (!IsProbe(check)) continue;
    const auto it = answers.find(check.name());
    if (it == answers.end() || it->second.finished <= last) return absl::InfiniteFuture();
  }
  return last + FromProto(analysis.interval());
}

}  // namespace remuda::core
