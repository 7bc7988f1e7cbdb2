#include "common/sensitive.h"

#include <memory>
#include <vector>

#include "remuda/v1/sensitive.pb.h"

namespace remuda {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::Reflection;

void RedactField(Message& message, const FieldDescriptor& field) {
  const Reflection& reflection = *message.GetReflection();
  if (field.is_map()) {
    for (int i = 0; i < reflection.FieldSize(message, &field); ++i) {
      Message& entry = *reflection.MutableRepeatedMessage(&message, &field, i);
      RedactField(entry, *field.message_type()->map_value());
    }
  } else if (field.cpp_type() != FieldDescriptor::CPPTYPE_STRING) {
    reflection.ClearField(&message, &field);
  } else if (!field.is_repeated()) {
    reflection.SetString(&message, &field, kRedacted);
  } else {
    for (int i = 0; i < reflection.FieldSize(message, &field); ++i)
      reflection.SetRepeatedString(&message, &field, i, kRedacted);
  }
}

}  // namespace

bool IsSensitive(const FieldDescriptor& field) {
  return field.options().GetExtension(v1::sensitive);
}

void Redact(Message& message) {
  const Reflection& reflection = *message.GetReflection();
  std::vector<const FieldDescriptor*> set;
  reflection.ListFields(message, &set);
  for (const FieldDescriptor* field : set) {
    if (IsSensitive(*field)) {
      RedactField(message, *field);
    } else if (field->cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE) {
      if (!field->is_repeated()) {
        Redact(*reflection.MutableMessage(&message, field));
        continue;
      }
      for (int i = 0; i < reflection.FieldSize(message, field); ++i)
        Redact(*reflection.MutableRepeatedMessage(&message, field, i));
    }
  }
}

std::string RedactedText(const Message& message) {
  const std::unique_ptr<Message> copy(message.New());
  copy->CopyFrom(message);
  Redact(*copy);
  return copy->ShortDebugString();
}

}  // namespace remuda
