// HostRecord: what a host is known for: launches that failed there, and whether it was lost
// together with most others. Computed from committed rows, so that no crash forgets it. Thread: the
// loop thread. Pure.
#pragma once

#include <string>
#include <string_view>

#include "controller/core/model/draft.h"
#include "controller/core/reconcile/pass.h"

namespace remuda::core {

// Failed launches on one host since the last that held.
struct HostRecord {
  int failures = 0;
  // Until when placement prefers other hosts.
  Time avoided_until = absl::InfinitePast();
  std::string last;  // the last one, for a person: "instance i-1 of shop:2: it could not …"
};

// For launches of `launch`: failures of that version; or of any, if several versions fail here one
// after another with none that held between (then it is the host). `on_host` are its instances, of
// any state, by id.
HostRecord HostRecordOf(const InstanceList& on_host, const v1::LaunchTemplateRef& launch, Time now);

// The same for the version that fares worst here.
HostRecord WorstHostRecordOf(const InstanceList& on_host, Time now);

// Notes in the host's row when it was lost, and that it is back.
void FollowLostHost(Pass& pass, std::string_view id);

}  // namespace remuda::core
