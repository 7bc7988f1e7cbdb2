// What is measured of a cluster, one function each. All throw Overdue when the row's time is over.
#pragma once

#include "tests/bench/control/cluster.h"
#include "tests/bench/control/report.h"

namespace remuda::bench {

struct Effort {
  int changes = 200;                          // of one kind at most
  std::chrono::milliseconds seconds{15'000};  // for them
  std::chrono::milliseconds idle{10'000};     // how long it is watched doing nothing
  Clock::time_point deadline;                 // of the row
};

// All receivers dial at once: until each has a session, and its row is committed.
void MeasureJoining(Cluster& cluster, const Effort& effort, Row& row);
// From nothing to all instances: assigned, and in service.
void MeasurePlacement(Cluster& cluster, const Effort& effort, Row& row);
// What it has and uses when nothing happens.
void MeasureRest(Cluster& cluster, const Effort& effort, Row& row);
// A target registered by hand, until every proxy that has its group acknowledges it. Of several
// load balancers: in the group that all of them have.
void MeasureRegister(Cluster& cluster, const Effort& effort, Row& row);
// A process that dies, until it is out of rotation everywhere, and until another one is healthy.
void MeasureDeath(Cluster& cluster, const Effort& effort, Row& row);
// The controller ends as by a crash and is started anew: until it serves, and until every receiver
// has acknowledged a config or an assignment of the new one.
void MeasureRestart(Cluster& cluster, const Effort& effort, Row& row);
// A third of the hosts is gone at once: until all that ran there runs elsewhere. Not counted is the
// time that silence is given. The last measure of a row: the hosts do not come back.
void MeasureLoss(Cluster& cluster, const Effort& effort, Row& row);

// Deployments of the first group, each in many shifts of the traffic: from a step's
// decision to that of the next, for which every proxy had confirmed it.
void MeasureShifts(Cluster& cluster, const Effort& effort, int deployments, Row& row);

}  // namespace remuda::bench
