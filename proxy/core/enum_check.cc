#include "proxy/core/enum_check.h"

#include <google/protobuf/descriptor.h>
#include <google/protobuf/message.h>

#include <string>
#include <vector>

namespace remuda::proxy {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;

Fault CheckNumber(const FieldDescriptor& field, int number) {
  if (field.enum_type()->FindValueByNumber(number) != nullptr) return std::nullopt;
  return field.name() + ": " + std::to_string(number) +
         " is not a value that this version of the proxy knows";
}

}  // namespace

Fault FindUnknownEnum(const Message& message) {
  const auto& reflection = *message.GetReflection();
  std::vector<const FieldDescriptor*> fields;
  reflection.ListFields(message, &fields);
  for (const FieldDescriptor* field : fields) {
    const bool is_enum = field->cpp_type() == FieldDescriptor::CPPTYPE_ENUM;
    const bool is_message = field->cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE;
    if (!is_enum && !is_message) continue;
    const int count = field->is_repeated() ? reflection.FieldSize(message, field) : 1;
    for (int i = 0; i < count; ++i) {
      if (is_enum) {
        const int number = field->is_repeated() ? reflection.GetRepeatedEnumValue(message, field, i)
                                                : reflection.GetEnumValue(message, field);
        if (Fault f = CheckNumber(*field, number)) return f;
        continue;
      }
      const Message& part = field->is_repeated() ? reflection.GetRepeatedMessage(message, field, i)
                                                 : reflection.GetMessage(message, field);
      if (Fault f = FindUnknownEnum(part)) return Prefix(field->name() + ".", f);
    }
  }
  return std::nullopt;
}

}  // namespace remuda::proxy
