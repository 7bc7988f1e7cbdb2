#include "controller/core/door/field_mask.h"

#include <absl/strings/str_cat.h>
#include <google/protobuf/duration.pb.h>
#include <google/protobuf/text_format.h>
#include <google/protobuf/timestamp.pb.h>
#include <google/protobuf/util/message_differencer.h>

#include <algorithm>

#include "common/sensitive.h"
#include "controller/core/model/launch_ref.h"
#include "controller/core/model/limits.h"
#include "controller/core/model/time.h"
#include "controller/core/model/words.h"
#include "remuda/v1/scaling_policy.pb.h"

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

// The fields that are set, as a person reads them: `{name: "a", interval: 5s, tags: ["b"]}`.
std::string Readable(const Message& value) {
  const Reflection* reflection = value.GetReflection();
  std::vector<const FieldDescriptor*> fields;
  reflection->ListFields(value, &fields);
  std::string out;
  for (const FieldDescriptor* field : fields) {
    absl::StrAppend(&out, out.empty() ? "" : ", ", field->name(), ": ");
    if (!field->is_repeated()) {
      out += Text(value, field, -1);
      continue;
    }
    out += "[";
    for (int i = 0; i < reflection->FieldSize(value, field); ++i) {
      absl::StrAppend(&out, i == 0 ? "" : ", ", Text(value, field, i));
    }
    out += "]";
  }
  return absl::StrCat("{", out, "}");
}

std::string MessageText(const Message& value) {
  if (const auto* duration = dynamic_cast<const google::protobuf::Duration*>(&value)) {
    return absl::FormatDuration(FromProto(*duration));
  }
  if (const auto* time = dynamic_cast<const google::protobuf::Timestamp*>(&value)) {
    return MomentText(FromProto(*time));
  }
  std::unique_ptr<Message> shown(value.New());
  shown->CopyFrom(value);
  Redact(*shown);
  return Readable(*shown);
}

// One value as a person reads it. index -1: a field that is no list.
std::string Text(const Message& message, const FieldDescriptor* field, int index) {
  if (IsSensitive(*field)) return kRedacted;
  const Reflection* reflection = message.GetReflection();
  if (field->cpp_type() == FieldDescriptor::CPPTYPE_STRING) {
    std::string scratch;
    return Quoted(index < 0
                      ? reflection->GetStringReference(message, field, &scratch)
                      : reflection->GetRepeatedStringReference(message, field, index, &scratch));
  }
  if (field->cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE) {
    return MessageText(index < 0 ? reflection->GetMessage(message, field)
                                 : reflection->GetRepeatedMessage(message, field, index));
  }
  std::string text;
  google::protobuf::TextFormat::PrintFieldValueToString(message, field, index, &text);
  return text;
}

constexpr char kNone[] = "none";
// A secret that differs from the one before.
constexpr char kAnother[] = "*** (another)";
// A text that differs from the one before where it is not shown any more.
constexpr char kFurtherOn[] = " (it differs further on)";

// A string's or bytes' value; empty for other fields, which Text tells in full.
std::string Content(const Message& message, const FieldDescriptor* field, int index) {
  if (field->cpp_type() != FieldDescriptor::CPPTYPE_STRING) return {};
  const Reflection* reflection = message.GetReflection();
  return index < 0 ? reflection->GetString(message, field)
                   : reflection->GetRepeatedString(message, field, index);
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
  // Two values as text and, as a text may show only the beginning of a long one, as they are.
  struct Value {
    std::string text;
    std::string content = {};
  };
  void TellIfOther(const FieldPath& at, const Value& before, const Value& after) {
    if (before.text != after.text) return Tell(at, before.text, after.text);
    if (before.content != after.content) Tell(at, before.text, after.text + kFurtherOn);
  }
  void CompareOne(const FieldPath& at, const FieldDescriptor* field, const Message& before,
                  const Message& after);
  void CompareSecret(const FieldPath& at, const FieldDescriptor* field, const Message& before,
                     const Message& after);
  void CompareList(const FieldPath& at, const FieldDescriptor* field, const Message& before,
                   const Message& after);
  void CompareMap(const FieldPath& at, const FieldDescriptor* field, const Message& before,
                  const Message& after);

  std::vector<std::string> changes_;
};

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
  if (IsSensitive(*field)) return CompareSecret(at, field, before, after);
  const auto read = [&](const Message& message, bool set) {
    return set || !field->has_presence()
               ? Value{Text(message, field, -1), Content(message, field, -1)}
               : Value{kNone};
  };
  TellIfOther(at, read(before, had), read(after, has));
}

// A secret is told of, never told.
void Differ::CompareSecret(const FieldPath& at, const FieldDescriptor* field, const Message& before,
                           const Message& after) {
  MessageDifferencer differencer;
  if (differencer.CompareWithFields(before, after, {field}, {field})) return;
  const auto is_set = [field](const Message& message) {
    const Reflection* reflection = message.GetReflection();
    return field->is_repeated() ? reflection->FieldSize(message, field) > 0
                                : reflection->HasField(message, field);
  };
  const bool had = is_set(before);
  const bool has = is_set(after);
  Tell(at, had ? kRedacted : kNone, !has ? kNone : had ? kAnother : kRedacted);
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
    const auto read = [&](const Message& message, int size) {
      return i < size ? Value{Text(message, field, i), Content(message, field, i)} : Value{kNone};
    };
    TellIfOther(at[i], read(before, old_size), read(after, new_size));
  }
}

void Differ::CompareMap(const FieldPath& at, const FieldDescriptor* field, const Message& before,
                        const Message& after) {
  const bool secret = IsSensitive(*field);
  // The API's maps are from string to string.
  const auto read = [field, secret](const Message& message) {
    std::map<std::string, Value> out;
    const Reflection* reflection = message.GetReflection();
    const FieldDescriptor* key = field->message_type()->map_key();
    const FieldDescriptor* value = field->message_type()->map_value();
    for (int i = 0; i < reflection->FieldSize(message, field); ++i) {
      const Message& entry = reflection->GetRepeatedMessage(message, field, i);
      out[entry.GetReflection()->GetString(entry, key)] = {
          secret ? kRedacted : Text(entry, value, -1), Content(entry, value, -1)};
    }
    return out;
  };
  const auto old_map = read(before);
  const auto new_map = read(after);
  for (const auto& [key, old_value] : old_map) {
    const auto now = new_map.find(key);
    if (now == new_map.end()) {
      Tell(at.Key(key), old_value.text, kNone);
    } else if (!secret) {
      TellIfOther(at.Key(key), old_value, now->second);
    } else if (old_value.content != now->second.content) {
      Tell(at.Key(key), kRedacted, kAnother);
    }
  }
  for (const auto& [key, new_value] : new_map) {
    if (old_map.find(key) == old_map.end()) Tell(at.Key(key), kNone, new_value.text);
  }
}

void Differ::Compare(const FieldPath& at, const Message& before, const Message& after) {
  if (MessageDifferencer::Equals(before, after)) return;
  const Descriptor* type = before.GetDescriptor();
  for (int i = 0; i < type->field_count(); ++i) {
    const FieldDescriptor* field = type->field(i);
    const FieldPath here = at / field->name();
    // Follows from what a person changed, or is none of a person's.
    if (field->message_type() == v1::GroupCapacity::descriptor()) continue;
    if (field->is_map()) {
      CompareMap(here, field, before, after);
    } else if (field->is_repeated() && IsSensitive(*field)) {
      CompareSecret(here, field, before, after);
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
    const auto is_read_only = [&](std::string_view name) {
      return std::find(read_only.begin(), read_only.end(), name) != read_only.end();
    };
    if (fault.empty() && (is_read_only(first) || is_read_only(path))) {
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
