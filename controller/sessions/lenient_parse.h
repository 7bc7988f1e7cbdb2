// LenientParse: reads a receiver's message although a text of it is not valid UTF-8.
// ParsedBytes: how much memory it would take.
//
// Protobuf refuses such a message as a whole, and a receiver that says the same in each hello would
// never get a session again. Thread: any.
#pragma once

#include <google/protobuf/message.h>

#include <cstddef>
#include <string_view>

namespace remuda {

enum class Parsed {
  kWell,
  kMended,  // bytes of its texts that were no UTF-8 are now U+FFFD
  kNot,     // it is no such message
};

// About how much memory `bytes` takes as a message of `type`, `limit` or more if it is more than
// that: an empty message is two bytes on the wire and a hundred in memory. What is no message of
// the type counts as far as it is one.
size_t ParsedBytes(const google::protobuf::Descriptor& type, std::string_view bytes, size_t limit);

Parsed LenientParse(std::string_view bytes, google::protobuf::Message& out);

}  // namespace remuda
