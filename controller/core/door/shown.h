// A row as callers see it: with the output-only fields that are computed when it is read, without
// what nobody may read. Pure.
#pragma once

#include "controller/core/door/parts.h"
#include "controller/core/door/templates.h"
#include "controller/core/model/draft.h"
#include "controller/core/model/observations.h"
#include "controller/core/views/describe.h"

namespace remuda::core {

// With the output-only fields that are computed when they are read.
template <class T>
T Shown(const Draft&, const Observations&, Time, const T& row) {
  return row;
}
// Keys stay here and at the proxies.
inline v1::Certificate Shown(const Draft&, const Observations&, Time, const v1::Certificate& row) {
  v1::Certificate out = row;
  out.clear_private_key_pem();
  return out;
}
inline v1::LaunchTemplate Shown(const Draft& draft, const Observations&, Time,
                                const v1::LaunchTemplate& row) {
  v1::LaunchTemplate out = row;
  out.set_latest_version(NewestVersion(draft, IdOf(row.name())));
  return out;
}
inline v1::AutoScalingGroup Shown(const Draft& draft, const Observations& seen, Time now,
                                  const v1::AutoScalingGroup& row) {
  return Describe(draft, seen, now, row);
}
inline v1::LoadBalancer Shown(const Draft& draft, const Observations& seen, Time now,
                              const v1::LoadBalancer& row) {
  v1::LoadBalancer out = Describe(draft, seen, now, row);
  ShowPartEtags(out);
  return out;
}
inline v1::Deployment Shown(const Draft& draft, const Observations& seen, Time now,
                            const v1::Deployment& row) {
  return Describe(draft, seen, now, row);
}

}  // namespace remuda::core
