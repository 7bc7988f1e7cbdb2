// The admin page /bad-messages: what clients and targets sent that was refused, newest first.
//
// Thread: any.
#pragma once

#include <string>

#include "proxy/control/coordinator.h"

namespace remuda::proxy {

// JSON, a message a line.
std::string RenderBadMessages(const Coordinator& coordinator);

}  // namespace remuda::proxy
