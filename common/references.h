// References of the API's messages, by their mark `(remuda.v1.reference)`: inside the controller a
// field that refers to another resource holds its id; callers see its full name. Pure.
#pragma once

#include <google/protobuf/message.h>

#include <string>

namespace remuda {

// The collection that the field's text refers to (`hosts`); empty if the field is no reference.
const std::string& CollectionOf(const google::protobuf::FieldDescriptor& field);

// Makes a full name (`hosts/h1`) of each reference that is an id, in the message and the messages
// in it.
void ToFullNames(google::protobuf::Message& message);

}  // namespace remuda
