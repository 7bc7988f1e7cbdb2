#include "common/references.h"

#include <vector>

#include "remuda/v1/reference.pb.h"

namespace remuda {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::Reflection;

std::string FullNameOf(const std::string& collection, const std::string& text) {
  if (text.empty() || text.find('/') != std::string::npos) return text;
  return collection + "/" + text;
}

void NameInFull(Message& message, const FieldDescriptor& field, const std::string& collection) {
  const Reflection& reflection = *message.GetReflection();
  if (!field.is_repeated()) {
    reflection.SetString(&message, &field,
                         FullNameOf(collection, reflection.GetString(message, &field)));
    return;
  }
  for (int i = 0; i < reflection.FieldSize(message, &field); ++i) {
    reflection.SetRepeatedString(
        &message, &field, i,
        FullNameOf(collection, reflection.GetRepeatedString(message, &field, i)));
  }
}

}  // namespace

const std::string& CollectionOf(const FieldDescriptor& field) {
  return field.options().GetExtension(v1::reference);
}

void ToFullNames(Message& message) {
  const Reflection& reflection = *message.GetReflection();
  std::vector<const FieldDescriptor*> set;
  reflection.ListFields(message, &set);
  for (const FieldDescriptor* field : set) {
    if (field->cpp_type() == FieldDescriptor::CPPTYPE_STRING) {
      if (const std::string& collection = CollectionOf(*field); !collection.empty())
        NameInFull(message, *field, collection);
    } else if (field->cpp_type() != FieldDescriptor::CPPTYPE_MESSAGE || field->is_map()) {
      continue;
    } else if (!field->is_repeated()) {
      ToFullNames(*reflection.MutableMessage(&message, field));
    } else {
      for (int i = 0; i < reflection.FieldSize(message, field); ++i)
        ToFullNames(*reflection.MutableRepeatedMessage(&message, field, i));
    }
  }
}

}  // namespace remuda
