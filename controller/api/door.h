// What every write is held against before it is queued: that it is not too large, and that all of
// it is understood. Pure.
#pragma once

#include <absl/status/status.h>
#include <google/protobuf/message.h>

namespace remuda {

// INVALID_ARGUMENT naming the place of each field that this program does not know: a newer caller
// means something by it, and to take the rest alone would promise what is not done, and to keep it
// would answer with what was never looked at. RESOURCE_EXHAUSTED: the request is over
// limits::kMaxRequestBytes. (Reads ignore what they do not know, as protobuf has it.)
absl::Status CheckRequest(const google::protobuf::Message& request);

}  // namespace remuda
