// LenientParse: reads a receiver's message although a text of it is not valid UTF-8.
//
// Protobuf refuses such a message as a whole, and a receiver that says the same in each hello would
// never get a session again. Thread: any.
#pragma once

#include <google/protobuf/message.h>

#include <string_view>

namespace remuda {

enum class Parsed {
  kWell,
  kMended,  // bytes of its texts that were no UTF-8 are now U+FFFD
  kNot,     // it is no such message
};

Parsed LenientParse(std::string_view bytes, google::protobuf::Message& out);

}  // namespace remuda
