#include "controller/core/analysis/answer.h"

#include <absl/strings/numbers.h>
#include <absl/strings/str_cat.h>
#include <google/protobuf/struct.pb.h>
#include <google/protobuf/util/json_util.h>

#include <algorithm>
#include <cmath>
#include <optional>

#include "common/utf8.h"
#include "controller/core/model/limits.h"

namespace remuda::core {
namespace {

using google::protobuf::Struct;
using google::protobuf::Value;
constexpr auto kPassed = v1::AnalysisEvaluation::VERDICT_PASSED;
constexpr auto kFailed = v1::AnalysisEvaluation::VERDICT_FAILED;
constexpr auto kInconclusive = v1::AnalysisEvaluation::VERDICT_INCONCLUSIVE;

bool IsSuccess(int status) { return status >= 200 && status < 300; }

// The first line, as it may be shown.
std::string FirstLine(std::string_view text) {
  text = text.substr(0, text.find_first_of("\r\n"));
  std::string line = ValidUtf8(text, limits::kProbeDescriptionBytes);
  for (char& c : line) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = ' ';
  }
  return line;
}

std::optional<Struct> ParseObject(const std::string& text) {
  Struct object;
  if (!IsUtf8(text)) return std::nullopt;
  if (!google::protobuf::util::JsonStringToMessage(text, &object).ok()) return std::nullopt;
  return object;
}

const Value* FindMember(const Struct& object, const char* name) {
  const auto it = object.fields().find(name);
  return it == object.fields().end() ? nullptr : &it->second;
}

std::string TextIn(const Struct& object, const char* name) {
  const Value* value = FindMember(object, name);
  return value == nullptr ? "" : value->string_value();
}

bool IsEmpty(std::string_view body) {
  return body.find_first_not_of(" \t\r\n") == std::string_view::npos;
}

void TakeWebhook(const ProbeOutcome& outcome, ProbeAnswer& answer) {
  if (!IsSuccess(outcome.status)) {
    answer.verdict = kFailed;
    answer.description = absl::StrCat("the webhook answered ", outcome.status);
    return;
  }
  answer.verdict = kPassed;
  answer.description = absl::StrCat("the webhook answered ", outcome.status);
  if (IsEmpty(outcome.body)) return;
  const std::optional<Struct> object = ParseObject(outcome.body);
  const std::string verdict = object.has_value() ? TextIn(*object, "verdict") : "";
  if (verdict == "failed") {
    answer.verdict = kFailed;
  } else if (verdict != "passed") {
    answer.verdict = kInconclusive;
    if (verdict != "inconclusive") {
      absl::StrAppend(&answer.description, " without a verdict of passed, failed or inconclusive");
      return;
    }
  }
  const Value* value = FindMember(*object, "value");
  if (value != nullptr && value->has_number_value()) answer.value = value->number_value();
  const std::string said = FirstLine(TextIn(*object, "description"));
  answer.description = said.empty() ? absl::StrCat("the webhook says ", verdict)
                                    : absl::StrCat("the webhook says ", verdict, ": ", said);
}

// The number in `[TIME, "NUMBER"]`.
std::optional<double> NumberIn(const Value& sample) {
  double number = 0;
  if (sample.list_value().values_size() != 2 ||
      !absl::SimpleAtod(sample.list_value().values(1).string_value(), &number) ||
      std::isnan(number))
    return std::nullopt;
  return number;
}

// The one number of a query's answer (Prometheus's HTTP API, instant queries); why there is none.
std::optional<double> QueriedNumber(const Struct& object, std::string& why) {
  const Value* data = FindMember(object, "data");
  if (TextIn(object, "status") != "success" || data == nullptr) {
    why = absl::StrCat("Prometheus says: ", FirstLine(TextIn(object, "error")));
    return std::nullopt;
  }
  const std::string type = TextIn(data->struct_value(), "resultType");
  const Value* result = FindMember(data->struct_value(), "result");
  why = "the query's answer is no number";
  if (result == nullptr) return std::nullopt;
  if (type == "scalar") return NumberIn(*result);
  if (type != "vector") return std::nullopt;
  const int series = result->list_value().values_size();
  if (series != 1) {
    why = series == 0 ? "the query's answer is empty"
                      : absl::StrCat("the query's answer has ", series, " series, not one");
    return std::nullopt;
  }
  const Value* sample = FindMember(result->list_value().values(0).struct_value(), "value");
  return sample == nullptr ? std::nullopt : NumberIn(*sample);
}

void TakePrometheus(const v1::PrometheusCheck& check, const ProbeOutcome& outcome,
                    ProbeAnswer& answer) {
  const std::optional<Struct> object = ParseObject(outcome.body);
  if (!object.has_value() ||
      (!IsSuccess(outcome.status) && FindMember(*object, "error") == nullptr)) {
    answer.description = absl::StrCat("Prometheus answered ", outcome.status,
                                      IsSuccess(outcome.status) ? " with what is no JSON" : "");
    return;
  }
  answer.value = QueriedNumber(*object, answer.description);
  if (!answer.value.has_value()) return;
  const double value = *answer.value;
  const bool is_above = check.has_max() && value > check.max();
  const bool is_below = check.has_min() && value < check.min();
  answer.verdict = is_above || is_below ? kFailed : kPassed;
  answer.description = absl::StrCat("the query says ", value);
  if (check.has_max())
    absl::StrAppend(&answer.description, is_above ? ", above " : ", not above ", check.max());
  if (check.has_min())
    absl::StrAppend(&answer.description, is_below ? ", below " : ", not below ", check.min());
}

void TakeCommand(const ProbeOutcome& outcome, ProbeAnswer& answer) {
  if (outcome.status == 0) answer.verdict = kPassed;
  if (outcome.status == 1) answer.verdict = kFailed;
  answer.description = absl::StrCat("the command ended with status ", outcome.status);
  const std::string said = FirstLine(outcome.body);
  if (!said.empty()) absl::StrAppend(&answer.description, ": ", said);
}

}  // namespace

ProbeAnswer AnswerTo(const Probe& probe, const ProbeOutcome& outcome) {
  ProbeAnswer answer;
  if (!outcome.trouble.empty()) {
    answer.description = absl::StrCat("no answer: ", FirstLine(outcome.trouble));
    return answer;
  }
  switch (probe.kind) {
    case Probe::Kind::kWebhook:
      TakeWebhook(outcome, answer);
      break;
    case Probe::Kind::kPrometheus:
      TakePrometheus(probe.check.prometheus(), outcome, answer);
      break;
    case Probe::Kind::kCommand:
      TakeCommand(outcome, answer);
      break;
  }
  return answer;
}

}  // namespace remuda::core
