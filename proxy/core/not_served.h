// What the API knows and this proxy does not serve yet: refused, never ignored. A feature that
// lands takes its line out.
#pragma once

#include "proxy/core/config_check.h"

namespace remuda::proxy {

Fault NotServedYet(const remuda::v1::LoadBalancer& config);

}  // namespace remuda::proxy
