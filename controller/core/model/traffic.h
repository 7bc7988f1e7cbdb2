// Traffic: what the proxies count of each subset's requests, added up over all of them since the
// controller began. Pure.
//
// Owns: how reports that begin anew, repeat themselves or end become totals that never go back.
// Does not own: whose a subset is (analysis/side_traffic.h). Thread: the loop thread.
#pragma once

#include <google/protobuf/repeated_field.h>

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "controller/core/model/flow.h"
#include "controller/core/model/time.h"
#include "remuda/proxy/v1/proxy.pb.h"
#include "remuda/v1/deployment.pb.h"

namespace remuda::core {

class State;

struct Traffic {
  std::map<SubsetId, v1::SideCounts> totals;
  // Beyond so many totals, those that nothing needs are dropped: twice what was needed last time.
  size_t most = kFewest;

  static constexpr size_t kFewest = 64;
};

// What one process of a proxy has said last: what it says next is counted from there.
struct CountedProcess {
  std::string incarnation;  // see Hello; empty: nothing was said yet, or an older proxy's
  // From where its next report counts. kNowhere: that one only says where.
  enum class From { kNowhere, kZero, kSaid } from = From::kNowhere;
  std::map<SubsetId, proxy::v1::SubsetStats> said;
  static constexpr size_t kMostSaid = 10'000;
  ProxyFlows flows;
};

// A session has begun. The same process goes on from what it said. Another one is counted from zero
// if it can have had no request before this controller began: one was known before it under the
// same name, or it holds no config yet. Of any other the past is not known: its first report says
// where it stands. (So a restart of the controller counts no proxy's past as new.)
void BeginProcess(const proxy::v1::Hello& hello, CountedProcess& process);

// Adds what the report has beyond the one before. A subset whose numbers have gone back has
// begun from zero; one that a report leaves out stands where it stood. Those of target groups that
// the state does not have are not kept. Costs what the report has. Whether anything was added.
bool AddReport(const State& state,
               google::protobuf::RepeatedPtrField<proxy::v1::SubsetStats>&& report,
               CountedProcess& process, Traffic& traffic);

// Drops totals of what nothing needs: target groups that are gone; versions that no instance runs,
// while no deployment that has not ended is of their group or moves the target group's traffic.
// AddReport does so by itself, each time that there are more than traffic.most.
void DropUnneeded(const State& state, Traffic& traffic);

// Totals of those subsets of the target groups (ids) of which `is_counted` says so by their name.
v1::SideCounts CountsOf(const Traffic& traffic,
                        const google::protobuf::RepeatedPtrField<std::string>& target_groups,
                        const std::function<bool(std::string_view subset)>& is_counted);

// What has been added from `base` to `now`; nothing below 0.
v1::SideCounts Since(const v1::SideCounts& now, const v1::SideCounts& base);

// Adds `more` to `to`.
void Add(const v1::SideCounts& more, v1::SideCounts& to);

// The latency that so many of the answers (0 to 1) are not above, see Quantile; nullopt if there
// are none.
std::optional<Duration> LatencyOf(const v1::SideCounts& counts, double fraction);

}  // namespace remuda::core
