// What reads read from. Thread: the loop thread.
#pragma once

#include <memory>

#include "controller/core/model/observations.h"
#include "controller/core/model/state.h"

namespace remuda::core {

// What one read needs of the gates, whatever the number of rows.
struct ReadGates;

// What there is to read from, at one moment. For one read.
struct Snapshot {
  const State& state;
  const Observations& seen;
  Time now;
  mutable std::shared_ptr<ReadGates> gates = nullptr;  // of this moment, once a row has asked
};

}  // namespace remuda::core
