// What is to be asked outside of this program for the analyses of deployments. Pure.
//
// Owns: which checks, how often, and the words of each question. Does not own: asking
// (controller/probes/), what an answer means (analysis/answer.h). Thread: the loop thread.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "controller/core/analysis/http_url.h"
#include "controller/core/model/draft.h"
#include "controller/core/model/observations.h"
#include "controller/core/model/probe.h"

namespace remuda::core {

// One question, but for what it says of the moment (ProbeBody).
struct Probe {
  enum class Kind { kWebhook, kPrometheus, kCommand };
  Kind kind = Kind::kWebhook;
  HttpUrl url = {};                    // of the first two; a Prometheus's with the query
  std::string authorization = {};      // of a webhook; a secret
  std::vector<std::string> argv = {};  // of a command
  Duration timeout = absl::ZeroDuration();
  Duration interval = absl::ZeroDuration();
  v1::AnalysisCheck check = {};

  bool has_body() const { return kind != Kind::kPrometheus; }
};

// What {{group}}, {{old_version}} and {{new_version}} stand for in a query.
struct QueryWords {
  std::string group = {};
  std::string old_version = {};
  std::string new_version = {};
};
std::string Filled(const std::string& query, const QueryWords& words);

// A query of Prometheus's HTTP API at `url`; nullopt if that is none. Without check and interval.
std::optional<Probe> PrometheusProbe(const std::string& url, const std::string& query,
                                     Duration timeout);

// What the deployment wants asked now: the checks of the analysis step that it is in, and those of
// its own analysis while the new version has a share of the traffic. Nothing once it rolls back or
// has ended.
std::map<ProbeId, Probe> ProbesOf(const std::string& id, const v1::Deployment& deployment);

// The same of all deployments.
std::map<ProbeId, Probe> ProbesWanted(const State& state);

// The JSON that a webhook is sent and a command reads, as things are now (docs/analysis.md).
std::string ProbeBody(const State& state, const Observations& seen, const ProbeId& id,
                      const v1::Deployment& deployment, const v1::AnalysisCheck& check);

// The answers that there are of one analysis, by check. `step` 0: the deployment's own.
std::map<std::string, ProbeAnswer> AnswersOf(const ProbeAnswers& answers,
                                             const std::string& deployment, int step);

}  // namespace remuda::core
