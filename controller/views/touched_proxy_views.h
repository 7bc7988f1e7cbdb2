// What of the proxies' views may have changed since they were last brought up to date. Thread: the
// loop thread.
#pragma once

#include <set>
#include <string>

#include "controller/core/model/votes.h"

namespace remuda {

struct TouchedProxyViews {
  std::set<std::string> target_groups;  // as a whole
  std::set<core::TargetId> targets;
  std::set<std::string> proxies;          // their labels: joined, changed or forgotten
  std::set<std::string> security_groups;  // what they come down to (core::Ingress)
  bool load_balancers = false;            // any of them, or a certificate
  bool empty() const {
    return target_groups.empty() && targets.empty() && proxies.empty() && security_groups.empty() &&
           !load_balancers;
  }
};

}  // namespace remuda
