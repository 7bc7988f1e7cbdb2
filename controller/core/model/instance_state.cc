#include "controller/core/model/instance_state.h"

namespace remuda::core {

bool IsUp(v1::InstanceState state) {
  return state == v1::INSTANCE_STATE_PENDING || state == v1::INSTANCE_STATE_PENDING_WAIT ||
         state == v1::INSTANCE_STATE_IN_SERVICE || state == v1::INSTANCE_STATE_STANDBY;
}

bool IsLeavingState(v1::InstanceState state) {
  return state == v1::INSTANCE_STATE_DRAINING || state == v1::INSTANCE_STATE_TERMINATING_WAIT ||
         state == v1::INSTANCE_STATE_STOPPING || state == v1::INSTANCE_STATE_TERMINATED;
}

bool IsServing(const v1::Instance& instance) {
  return !IsWithheld(instance) && !instance.unhealthy() &&
         (instance.state() == v1::INSTANCE_STATE_IN_SERVICE ||
          instance.state() == v1::INSTANCE_STATE_UNKNOWN);
}

}  // namespace remuda::core
