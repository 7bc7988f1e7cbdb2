// The strings of a message on its way out.
#pragma once

#include <google/protobuf/message.h>

namespace remuda {

// Makes every string field of the message, at any depth, valid UTF-8 (see ValidUtf8). One that is
// not would make the receiver refuse the whole message, and with it the session. `bytes` fields
// stay as they are. Costs a look at every field: not for messages of many thousand.
void MakeTextValid(google::protobuf::Message& message);

}  // namespace remuda
