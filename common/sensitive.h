// Fields that hold secrets, by their mark `(remuda.v1.sensitive)`: the one place that honours it.
// Whatever writes a message's content where people read (activities, changes, logs) goes through
// here. Pure.
#pragma once

#include <google/protobuf/message.h>

#include <string>

namespace remuda {

// What stands for a secret.
inline constexpr char kRedacted[] = "***";

bool IsSensitive(const google::protobuf::FieldDescriptor& field);

// Puts `***` for each secret text in the message and the messages in it (of a map: for its values),
// and takes out secrets that are no texts.
void Redact(google::protobuf::Message& message);

// The message in one line, as protobuf's text format, without its secrets.
std::string RedactedText(const google::protobuf::Message& message);

}  // namespace remuda
