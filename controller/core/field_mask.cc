#include "controller/core/field_mask.h"

#include <absl/strings/str_cat.h>
#include <google/protobuf/duration.pb.h>
#include <google/protobuf/text_format.h>
#include <google/protobuf/timestamp.pb.h>
#include <google/protobuf/util/message_differencer.h>

#include <algorithm>

#include "controller/core/limits.h"
#include "controller/core/time.h"

namespace remuda::core {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::Reflection;
using google::protobuf::util::MessageDifferencer;

// "a.b.c" -> "a" and "b.c"; the rest is empty at the end.
std::string_view FirstPart(std::string_view path, std::string_view* rest) {
  const size_t dot = path.find('.');
  *rest = dot == std::string_view::npos ? std::string_view() : path.substr(dot + 1);
  return path.substr(0, dot);
}

bool IsPlainMessage(const FieldDescriptor* field) {
  return field->cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE && !field->is_repeated();
}

// What is wrong with a path, or empty.
std::string FaultOf(std::string_view path, const Descriptor* type) {
  std::string_view rest = path;
  while (true) {
    const std::string_view part = FirstPart(rest, &rest);
    const FieldDescriptor* field = type->FindFieldByName(std::string(part));
    if (field == nullptr) {
      return absl::StrCat(Quoted(path), ": ", type->name(), " has no field ", Quoted(part));
    }
    if (rest.empty())
      return path.back() == '.' ? absl::StrCat(Quoted(path), " ends with a dot") : "";
    if (!IsPlainMessage(field)) {
      return absl::StrCat(Quoted(path), ": ", Quoted(part),
                          " is replaced as a whole; name it alone");
    }
    type = field->message_type();
  }
}

void CopyPath(std::string_view path, const Message& from, Message& to) {
  std::string_view rest;
  const std::string_view part = FirstPart(path, &rest);
  const FieldDescriptor* field = to.GetDescriptor()->FindFieldByName(std::string(part));
  const Reflection* reflection = to.GetReflection();
  if (!rest.empty()) {
    CopyPath(rest, reflection->GetMessage(from, field), *reflection->MutableMessage(&to, field));
    return;
  }
  std::unique_ptr<Message> taken(from.New());
  taken->CopyFrom(from);
  reflection->ClearField(&to, field);
  reflection->SwapFields(taken.get(), &to, {field});
}

std::string Text(const Message& message, const FieldDescriptor* field, int index);

std::string TextOf(const Message& value) {
  if (const auto* duration = dynamic_cast<const google::protobuf::Duration*>(&value)) {
    return absl::FormatDuration(FromProto(*duration));
  }
  if (const auto* time = dynamic_cast<const google::protobuf::Timestamp*>(&value)) {
    return absl::FormatTime(FromProto(*time), absl::UTCTimeZone());
  }
  return "{" + value.ShortDebugString() + "}";
}

// One value as a person reads it. index -1: a field that is no list.
std::string Text(const Message& message, const FieldDescriptor* field, int index) {
  const Reflection* reflection = message.GetReflection();
  if (field->cpp_type() == FieldDescriptor::CPPTYPE_STRING) {
    std::string scratch;
    return Quoted(index < 0
                      ? reflection->GetStringReference(message, field, &scratch)
                      : reflection->GetRepeatedStringReference(message, field, index, &scratch));
  }
  if (field->cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE) {
    return TextOf(index < 0 ? reflection->GetMessage(message, field)
                            : reflection->GetRepeatedMessage(message, field, index));
  }
  std::string text;
  google::protobuf::TextFormat::PrintFieldValueToString(message, field, index, &text);
  return text;
}

class Differ {
 public:
  void Compare(const FieldPath& at, const Message& before, const Message& after);
  std::vector<std::string> Take() { return std::move(changes_); }

 private:
  void Tell(const FieldPath& at, const std::string& before, const std::string& after) {
    if (changes_.size() < limits::kChangesTold) {
      changes_.push_back(absl::StrCat(at.text(), ": ", before, " -> ", after));
    } else if (changes_.size() == limits::kChangesTold) {
      changes_.push_back("and more");
    }
  }
  void CompareOne(const FieldPath& at, const FieldDescriptor* field, const Message& before,
                  const Message& after);
  void CompareList(const FieldPath& at, const FieldDescriptor* field, const Message& before,
                   const Message& after);
  void CompareMap(const FieldPath& at, const FieldDescriptor* field, const Message& before,
                  const Message& after);

  std::vector<std::string> changes_;
};

constexpr char kNone[] = "none";

void Differ::CompareOne(const FieldPath& at, const FieldDescriptor* field, const Message& before,
                        const Message& after) {
  const Reflection* reflection = before.GetReflection();
  const bool is_message = field->cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE;
  const bool had = reflection->HasField(before, field);
  const bool has = reflection->HasField(after, field);
  const bool is_value = is_message && field->message_type()->file()->package() == "google.protobuf";
  if (is_message && !is_value && had && has) {
    return Compare(at, reflection->GetMessage(before, field), reflection->GetMessage(after, field));
  }
  const auto text = [&](const Message& message, bool set) {
    return set || !field->has_presence() ? Text(message, field, -1) : std::string(kNone);
  };
  if (field->name() == "private_key_pem") {
    if (reflection->GetString(before, field) != reflection->GetString(after, field))
      Tell(at, "a key", "another key");
    return;
  }
  const std::string old_text = text(before, had);
  const std::string new_text = text(after, has);
  if (old_text != new_text) Tell(at, old_text, new_text);
}

void Differ::CompareList(const FieldPath& at, const FieldDescriptor* field, const Message& before,
                         const Message& after) {
  const Reflection* reflection = before.GetReflection();
  const int old_size = reflection->FieldSize(before, field);
  const int new_size = reflection->FieldSize(after, field);
  for (int i = 0; i < std::max(old_size, new_size); ++i) {
    if (i < old_size && i < new_size && field->cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE) {
      Compare(at[i], reflection->GetRepeatedMessage(before, field, i),
              reflection->GetRepeatedMessage(after, field, i));
      continue;
    }
    const std::string old_text = i < old_size ? Text(before, field, i) : kNone;
    const std::string new_text = i < new_size ? Text(after, field, i) : kNone;
    if (old_text != new_text) Tell(at[i], old_text, new_text);
  }
}

void Differ::CompareMap(const FieldPath& at, const FieldDescriptor* field, const Message& before,
                        const Message& after) {
  // The API's maps are from string to string.
  const auto read = [field](const Message& message) {
    std::map<std::string, std::string> out;
    const Reflection* reflection = message.GetReflection();
    const FieldDescriptor* key = field->message_type()->map_key();
    const FieldDescriptor* value = field->message_type()->map_value();
    for (int i = 0; i < reflection->FieldSize(message, field); ++i) {
      const Message& entry = reflection->GetRepeatedMessage(message, field, i);
      out[entry.GetReflection()->GetString(entry, key)] = Text(entry, value, -1);
    }
    return out;
  };
  const auto old_map = read(before);
  const auto new_map = read(after);
  for (const auto& [key, old_text] : old_map) {
    const auto now = new_map.find(key);
    if (now == new_map.end()) {
      Tell(at.Key(key), old_text, kNone);
    } else if (now->second != old_text) {
      Tell(at.Key(key), old_text, now->second);
    }
  }
  for (const auto& [key, new_text] : new_map) {
    if (old_map.find(key) == old_map.end()) Tell(at.Key(key), kNone, new_text);
  }
}

void Differ::Compare(const FieldPath& at, const Message& before, const Message& after) {
  if (MessageDifferencer::Equals(before, after)) return;
  const Descriptor* type = before.GetDescriptor();
  for (int i = 0; i < type->field_count(); ++i) {
    const FieldDescriptor* field = type->field(i);
    const FieldPath here = at / field->name();
    if (field->is_map()) {
      CompareMap(here, field, before, after);
    } else if (field->is_repeated()) {
      CompareList(here, field, before, after);
    } else {
      CompareOne(here, field, before, after);
    }
  }
}

}  // namespace

bool TakesAll(const google::protobuf::FieldMask& mask) {
  return mask.paths().empty() || (mask.paths_size() == 1 && mask.paths(0) == "*");
}

bool Takes(const google::protobuf::FieldMask& mask, std::string_view field) {
  if (TakesAll(mask)) return true;
  return std::any_of(mask.paths().begin(), mask.paths().end(), [field](const std::string& path) {
    return path == field ||
           (path.size() > field.size() && path[field.size()] == '.' &&
            path.compare(0, field.size(), field) == 0) ||
           (field.size() > path.size() && field[path.size()] == '.' &&
            field.compare(0, path.size(), path) == 0);
  });
}

void CheckMask(Violations& out, const FieldPath& at, const google::protobuf::FieldMask& mask,
               const Message& message, const std::vector<std::string_view>& read_only) {
  if (TakesAll(mask)) return;
  CheckCount(out, at, mask.paths_size(), 0, limits::kMaskPaths);
  for (const std::string& path : mask.paths()) {
    if (path == "*") {
      out.Add(at, "* takes every field and stands alone");
      continue;
    }
    std::string_view rest;
    const std::string_view first = FirstPart(path, &rest);
    std::string fault = FaultOf(path, message.GetDescriptor());
    if (fault.empty() && std::find(read_only.begin(), read_only.end(), first) != read_only.end()) {
      fault = absl::StrCat(Quoted(path), " cannot be written");
    }
    if (!fault.empty()) out.Add(at, std::move(fault));
  }
}

void CopyMasked(const google::protobuf::FieldMask& mask, const Message& from, Message& to) {
  for (const std::string& path : mask.paths()) CopyPath(path, from, to);
}

std::vector<std::string> Differences(const Message& before, const Message& after) {
  Differ differ;
  differ.Compare(FieldPath(), before, after);
  return differ.Take();
}

}  // namespace remuda::core
