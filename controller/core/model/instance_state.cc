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

v1::InstanceState LifeOf(const v1::Instance& instance) {
  return instance.state() == v1::INSTANCE_STATE_UNKNOWN ? instance.state_before_unknown()
                                                        : instance.state();
}

bool IsApart(const v1::Instance& instance) {
  return instance.in_warm_pool() || LifeOf(instance) == v1::INSTANCE_STATE_STANDBY ||
         DrainsToStay(instance);
}

bool IsServing(const v1::Instance& instance) {
  return !IsWithheld(instance) && !instance.unhealthy() && !IsApart(instance) &&
         (instance.state() == v1::INSTANCE_STATE_IN_SERVICE ||
          instance.state() == v1::INSTANCE_STATE_UNKNOWN);
}

}  // namespace remuda::core
