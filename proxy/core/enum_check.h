// Values of enums that this program does not know: a newer controller says something by them, and
// taking them for a default would be another config than was asked for. Pure.
#pragma once

#include "proxy/core/fault.h"

namespace google::protobuf {
class Message;
}

namespace remuda::proxy {

// The first one anywhere in `message`: "health_check.protocol: 9 is not a value that this version
// of the proxy knows".
Fault FindUnknownEnum(const google::protobuf::Message& message);

}  // namespace remuda::proxy
