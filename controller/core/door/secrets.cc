#include "controller/core/door/secrets.h"

#include <map>
#include <string>
#include <vector>

#include "common/sensitive.h"

namespace remuda::core {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::Reflection;

constexpr char kNothingToKeep[] = "*** stands for a secret, and there is none to keep: give it";

void KeepText(Violations& out, const FieldPath& at, const Message* before, Message& value,
              const FieldDescriptor& field) {
  const Reflection& reflection = *value.GetReflection();
  if (reflection.GetString(value, &field) != kRedacted) return;
  std::string kept;
  if (before != nullptr) kept = reflection.GetString(*before, &field);
  if (kept.empty()) return out.Add(at, kNothingToKeep);
  reflection.SetString(&value, &field, std::move(kept));
}

// The texts of a map of text to text, by key.
std::map<std::string, std::string> Entries(const Message& message, const FieldDescriptor& field) {
  std::map<std::string, std::string> out;
  const Reflection& reflection = *message.GetReflection();
  const auto& type = *field.message_type();
  for (int i = 0; i < reflection.FieldSize(message, &field); ++i) {
    const Message& entry = reflection.GetRepeatedMessage(message, &field, i);
    out.emplace(entry.GetReflection()->GetString(entry, type.map_key()),
                entry.GetReflection()->GetString(entry, type.map_value()));
  }
  return out;
}

void KeepEntries(Violations& out, const FieldPath& at, const Message* before, Message& value,
                 const FieldDescriptor& field) {
  std::map<std::string, std::string> kept;
  if (before != nullptr) kept = Entries(*before, field);
  const Reflection& reflection = *value.GetReflection();
  const auto& type = *field.message_type();
  for (int i = 0; i < reflection.FieldSize(value, &field); ++i) {
    Message& entry = *reflection.MutableRepeatedMessage(&value, &field, i);
    if (entry.GetReflection()->GetString(entry, type.map_value()) != kRedacted) continue;
    const std::string key = entry.GetReflection()->GetString(entry, type.map_key());
    const auto found = kept.find(key);
    if (found == kept.end()) {
      out.Add(at.Key(key), kNothingToKeep);
    } else {
      entry.GetReflection()->SetString(&entry, type.map_value(), found->second);
    }
  }
}

void KeepSecret(Violations& out, const FieldPath& at, const Message* before, Message& value,
                const FieldDescriptor& field) {
  const Reflection& reflection = *value.GetReflection();
  if (field.is_map()) {
    if (field.message_type()->map_value()->cpp_type() == FieldDescriptor::CPPTYPE_STRING)
      KeepEntries(out, at, before, value, field);
  } else if (field.cpp_type() != FieldDescriptor::CPPTYPE_STRING) {
    return;
  } else if (!field.is_repeated()) {
    KeepText(out, at, before, value, field);
  } else {
    for (int i = 0; i < reflection.FieldSize(value, &field); ++i) {
      if (reflection.GetRepeatedString(value, &field, i) == kRedacted)
        out.Add(at[i], kNothingToKeep);
    }
  }
}

}  // namespace

void KeepSecrets(Violations& out, const FieldPath& at, const Message* before, Message& value) {
  const Reflection& reflection = *value.GetReflection();
  std::vector<const FieldDescriptor*> set;
  reflection.ListFields(value, &set);
  for (const FieldDescriptor* field : set) {
    const FieldPath here = at / field->name();
    if (IsSensitive(*field)) {
      KeepSecret(out, here, before, value, *field);
    } else if (field->cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE) {
      if (!field->is_repeated()) {
        const Message* of = before != nullptr && reflection.HasField(*before, field)
                                ? &reflection.GetMessage(*before, field)
                                : nullptr;
        KeepSecrets(out, here, of, *reflection.MutableMessage(&value, field));
        continue;
      }
      for (int i = 0; i < reflection.FieldSize(value, field); ++i)
        KeepSecrets(out, here[i], nullptr, *reflection.MutableRepeatedMessage(&value, field, i));
    }
  }
}

}  // namespace remuda::core
