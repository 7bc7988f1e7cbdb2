#include "common/message_yaml.h"

#include <absl/strings/escaping.h>
#include <absl/strings/numbers.h>
#include <absl/strings/str_join.h>
#include <google/protobuf/descriptor.h>
#include <google/protobuf/field_mask.pb.h>
#include <google/protobuf/util/field_mask_util.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <optional>
#include <utility>

#include "common/duration_text.h"
#include "common/sensitive.h"
#include "common/words.h"

namespace remuda {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::EnumDescriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::Reflection;

constexpr size_t kMaxShownValue = 64;
constexpr size_t kMaxSuggestDistance = 3;

// A path twice: for the SourceMap, and as the file spells it.
struct Path {
  std::string proto;
  std::string written;

  Path Field(const std::string& proto_name, const std::string& written_name) const {
    return {proto.empty() ? proto_name : proto + "." + proto_name,
            written.empty() ? written_name : written + "." + written_name};
  }
  Path Index(const std::string& index) const {
    return {proto + "[" + index + "]", written + "[" + index + "]"};
  }
};

std::string Shown(const YamlNode& node) {
  switch (node.kind) {
    case YamlNode::Kind::kNull:
      return "nothing";
    case YamlNode::Kind::kSequence:
      return "a list";
    case YamlNode::Kind::kMap:
      return "a map";
    case YamlNode::Kind::kScalar:
      break;
  }
  return "\"" + node.scalar.substr(0, kMaxShownValue) + "\"";
}

// The same where a field's value is wrong; errors end in logs.
std::string Shown(const YamlNode& node, const FieldDescriptor& field) {
  const bool is_secret = node.kind == YamlNode::Kind::kScalar && IsSensitive(field);
  return is_secret ? "a text, which is not shown as it may be secret" : Shown(node);
}

std::string EnumPrefix(const EnumDescriptor* type) {
  static constexpr std::string_view kZero = "UNSPECIFIED";
  const std::string& first = type->value(0)->name();
  if (first.size() <= kZero.size() || !std::string_view(first).ends_with(kZero)) return "";
  return first.substr(0, first.size() - kZero.size());
}

// A whole number written plainly: no sign but -, no leading zero, no fraction.
bool IsPlainInteger(std::string_view text) {
  if (!text.empty() && text.front() == '-') text.remove_prefix(1);
  if (text.empty() || (text.size() > 1 && text.front() == '0')) return false;
  return std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

class Converter {
 public:
  Converter(const MessageYamlOptions& options, SourceMap* source_map)
      : options_(options), source_map_(source_map) {}

  void Root(const YamlNode& root, Message* out) {
    const Path path{options_.path_prefix, ""};
    if (source_map_ != nullptr && !path.proto.empty()) {
      source_map_->Add(path.proto, {root.position, ""});
    }
    Fields(root, path, out, &options_.ignored_keys);
  }

  absl::Status Result() const {
    if (errors_.empty()) return absl::OkStatus();
    return absl::InvalidArgumentError(absl::StrJoin(errors_, "\n"));
  }

 private:
  bool Full() const { return errors_.size() >= kMaxReportedYamlErrors || node_budget_ == 0; }

  void Error(SourcePosition position, const Path& path, const std::string& why) {
    if (errors_.size() >= kMaxReportedYamlErrors) return;
    std::string line = FormatPosition(options_.file_name, position) + ": ";
    if (!path.written.empty()) line += path.written + ": ";
    errors_.push_back(line + why);
  }

  // Aliases make a small file large: what is visited is counted here, not what was written.
  bool Spend(const YamlNode& node, const Path& path) {
    if (node_budget_ == 0) return false;
    if (--node_budget_ > 0) return true;
    Error(node.position, path,
          "more than " + std::to_string(kMaxYamlNodes) + " values after aliases are followed");
    return false;
  }

  void Fields(const YamlNode& node, const Path& path, Message* out,
              const std::set<std::string>* ignored_keys = nullptr) {
    if (node.kind != YamlNode::Kind::kMap) {
      Error(node.position, path, "expected a map of fields, found " + Shown(node));
      return;
    }
    if (depth_ >= kMaxYamlDepth) {
      Error(node.position, path, "nested deeper than " + std::to_string(kMaxYamlDepth));
      return;
    }
    ++depth_;
    std::map<int, std::string> seen;         // field number → as written
    std::map<int, std::string> seen_oneofs;  // oneof index → as written
    for (const auto& [key, value] : node.entries) {
      if (Full()) break;
      if (ignored_keys != nullptr && ignored_keys->contains(key->scalar)) continue;
      const FieldDescriptor* field = FindField(out->GetDescriptor(), key->scalar);
      if (field == nullptr) {
        UnknownField(*key, path, out->GetDescriptor(), ignored_keys);
        continue;
      }
      const Path inner = path.Field(field->name(), key->scalar);
      if (const auto [it, is_new] = seen.emplace(field->number(), key->scalar); !is_new) {
        Error(key->position, inner, "is set twice, also as " + it->second);
        continue;
      }
      if (const auto* oneof = field->real_containing_oneof(); oneof != nullptr) {
        if (const auto [it, is_new] = seen_oneofs.emplace(oneof->index(), key->scalar); !is_new) {
          Error(key->position, inner,
                "only one of " + it->second + " and " + key->scalar + " may be set");
          continue;
        }
      }
      if (source_map_ != nullptr) source_map_->Add(inner.proto, {key->position, inner.written});
      if (value->kind == YamlNode::Kind::kNull) {
        // The parser places a missing value after it, on another line.
        Error(key->position, inner, "has no value: give it one, or leave the field out");
        continue;
      }
      Field(*value, inner, field, out);
    }
    --depth_;
  }

  static const FieldDescriptor* FindField(const Descriptor* type, const std::string& name) {
    if (const FieldDescriptor* field = type->FindFieldByName(name)) return field;
    for (int i = 0; i < type->field_count(); ++i) {
      if (type->field(i)->json_name() == name) return type->field(i);
    }
    return nullptr;
  }

  void UnknownField(const YamlNode& key, const Path& path, const Descriptor* type,
                    const std::set<std::string>* ignored_keys) {
    std::vector<std::string> names;
    names.reserve(static_cast<size_t>(type->field_count()));
    for (int i = 0; i < type->field_count(); ++i) names.push_back(type->field(i)->json_name());
    if (ignored_keys != nullptr)
      names.insert(names.end(), ignored_keys->begin(), ignored_keys->end());
    const std::string shown = key.scalar.substr(0, kMaxShownValue);
    const std::string nearest = NearestWord(shown, names);
    Error(key.position, path.Field(shown, shown),
          nearest.empty() ? "unknown field; there are " + absl::StrJoin(names, ", ")
                          : "unknown field; did you mean " + nearest + "?");
  }

  void Field(const YamlNode& node, const Path& path, const FieldDescriptor* field, Message* out) {
    if (!Spend(node, path)) return;
    if (field->is_map()) {
      Map(node, path, field, out);
    } else if (field->is_repeated()) {
      List(node, path, field, out);
    } else {
      Value(node, path, field, out);
    }
  }

  void List(const YamlNode& node, const Path& path, const FieldDescriptor* field, Message* out) {
    if (node.kind != YamlNode::Kind::kSequence) {
      Error(node.position, path, "expected a list, found " + Shown(node, *field));
      return;
    }
    for (size_t i = 0; i < node.items.size() && !Full(); ++i) {
      const YamlNode& item = *node.items[i];
      const Path inner = path.Index(std::to_string(i));
      if (!Spend(item, inner)) return;
      if (source_map_ != nullptr) source_map_->Add(inner.proto, {item.position, inner.written});
      Value(item, inner, field, out);
    }
  }

  void Map(const YamlNode& node, const Path& path, const FieldDescriptor* field, Message* out) {
    if (node.kind != YamlNode::Kind::kMap) {
      Error(node.position, path, "expected a map, found " + Shown(node, *field));
      return;
    }
    const FieldDescriptor* key_field = field->message_type()->map_key();
    const FieldDescriptor* value_field = field->message_type()->map_value();
    for (const auto& [key, value] : node.entries) {
      if (Full()) return;
      const Path inner = path.Index(key->scalar.substr(0, kMaxShownValue));
      if (!Spend(*value, inner)) return;
      if (source_map_ != nullptr) source_map_->Add(inner.proto, {key->position, inner.written});
      Message* entry = out->GetReflection()->AddMessage(out, field);
      Value(*key, inner, key_field, entry);
      Value(*value, inner, value_field, entry);
    }
  }

  // A value of a field, or an item of a repeated one (then it is added).
  void Value(const YamlNode& node, const Path& path, const FieldDescriptor* field, Message* out) {
    const Reflection* reflection = out->GetReflection();
    if (field->cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE) {
      Message* inner = field->is_repeated() ? reflection->AddMessage(out, field)
                                            : reflection->MutableMessage(out, field);
      if (!WellKnown(node, path, inner)) Fields(node, path, inner);
      return;
    }
    if (node.kind != YamlNode::Kind::kScalar) {
      Error(node.position, path,
            "expected " + std::string(TypeName(field)) + ", found " + Shown(node));
      return;
    }
    switch (field->cpp_type()) {
      case FieldDescriptor::CPPTYPE_INT32:
        Integer<int32_t>(node, path, field, [&](int32_t v) {
          field->is_repeated() ? reflection->AddInt32(out, field, v)
                               : reflection->SetInt32(out, field, v);
        });
        return;
      case FieldDescriptor::CPPTYPE_INT64:
        Integer<int64_t>(node, path, field, [&](int64_t v) {
          field->is_repeated() ? reflection->AddInt64(out, field, v)
                               : reflection->SetInt64(out, field, v);
        });
        return;
      case FieldDescriptor::CPPTYPE_UINT32:
        Integer<uint32_t>(node, path, field, [&](uint32_t v) {
          field->is_repeated() ? reflection->AddUInt32(out, field, v)
                               : reflection->SetUInt32(out, field, v);
        });
        return;
      case FieldDescriptor::CPPTYPE_UINT64:
        Integer<uint64_t>(node, path, field, [&](uint64_t v) {
          field->is_repeated() ? reflection->AddUInt64(out, field, v)
                               : reflection->SetUInt64(out, field, v);
        });
        return;
      case FieldDescriptor::CPPTYPE_DOUBLE:
      case FieldDescriptor::CPPTYPE_FLOAT:
        return Number(node, path, field, out);
      case FieldDescriptor::CPPTYPE_BOOL:
        return Bool(node, path, field, out);
      case FieldDescriptor::CPPTYPE_ENUM:
        return Enum(node, path, field, out);
      case FieldDescriptor::CPPTYPE_STRING:
        return Text(node, path, field, out);
      case FieldDescriptor::CPPTYPE_MESSAGE:
        return;
    }
  }

  // Durations, timestamps and field masks are written as text. False: not one of those.
  bool WellKnown(const YamlNode& node, const Path& path, Message* out) {
    const std::string& type = out->GetDescriptor()->full_name();
    const bool is_duration = type == "google.protobuf.Duration";
    const bool is_timestamp = type == "google.protobuf.Timestamp";
    const bool is_mask = type == "google.protobuf.FieldMask";
    if (!is_duration && !is_timestamp && !is_mask) return false;
    if (node.kind != YamlNode::Kind::kScalar) {
      const char* what = is_duration    ? "a duration like 10s"
                         : is_timestamp ? "a time"
                                        : "field names";
      Error(node.position, path, std::string("expected ") + what + ", found " + Shown(node));
      return true;
    }
    std::optional<std::string> wrong;
    if (is_duration) {
      wrong = ParseDuration(node.scalar, static_cast<google::protobuf::Duration*>(out));
    } else if (is_timestamp) {
      wrong = ParseTimestamp(node.scalar, static_cast<google::protobuf::Timestamp*>(out));
    } else {
      google::protobuf::util::FieldMaskUtil::FromString(
          node.scalar, static_cast<google::protobuf::FieldMask*>(out));
    }
    if (wrong.has_value()) Error(node.position, path, *wrong);
    return true;
  }

  template <typename T, typename Set>
  void Integer(const YamlNode& node, const Path& path, const FieldDescriptor* field, Set set) {
    if (!IsPlainInteger(node.scalar)) {
      Error(node.position, path,
            "expected " + std::string(TypeName(field)) + ", found " + Shown(node));
      return;
    }
    T value = 0;
    if (!absl::SimpleAtoi(node.scalar, &value)) {
      Error(node.position, path,
            Shown(node) + " is outside " + std::to_string(std::numeric_limits<T>::min()) + " to " +
                std::to_string(std::numeric_limits<T>::max()));
      return;
    }
    set(value);
  }

  void Number(const YamlNode& node, const Path& path, const FieldDescriptor* field, Message* out) {
    double value = 0;
    if (!absl::SimpleAtod(node.scalar, &value) || !std::isfinite(value)) {
      Error(node.position, path, "expected a number, found " + Shown(node));
      return;
    }
    const Reflection* reflection = out->GetReflection();
    if (field->cpp_type() == FieldDescriptor::CPPTYPE_FLOAT) {
      const auto narrow = static_cast<float>(value);
      field->is_repeated() ? reflection->AddFloat(out, field, narrow)
                           : reflection->SetFloat(out, field, narrow);
      return;
    }
    field->is_repeated() ? reflection->AddDouble(out, field, value)
                         : reflection->SetDouble(out, field, value);
  }

  void Bool(const YamlNode& node, const Path& path, const FieldDescriptor* field, Message* out) {
    if (node.quoted || (node.scalar != "true" && node.scalar != "false")) {
      Error(node.position, path, "expected true or false, found " + Shown(node));
      return;
    }
    const bool value = node.scalar == "true";
    const Reflection* reflection = out->GetReflection();
    field->is_repeated() ? reflection->AddBool(out, field, value)
                         : reflection->SetBool(out, field, value);
  }

  void Enum(const YamlNode& node, const Path& path, const FieldDescriptor* field, Message* out) {
    const EnumDescriptor* type = field->enum_type();
    const std::string prefix = EnumPrefix(type);
    const auto* value = type->FindValueByName(node.scalar);
    if (value == nullptr) value = type->FindValueByName(prefix + node.scalar);
    // "UNSPECIFIED" alone says nothing a person could mean; the full name is taken, since printers
    // write it.
    if (value == nullptr || (value->number() == 0 && value->name() != node.scalar)) {
      std::vector<std::string> names;
      for (int i = 0; i < type->value_count(); ++i) {
        if (type->value(i)->number() != 0)
          names.push_back(ShortEnumName(type, type->value(i)->number()));
      }
      Error(node.position, path, Shown(node) + " is not one of " + absl::StrJoin(names, ", "));
      return;
    }
    const Reflection* reflection = out->GetReflection();
    field->is_repeated() ? reflection->AddEnum(out, field, value)
                         : reflection->SetEnum(out, field, value);
  }

  void Text(const YamlNode& node, const Path& path, const FieldDescriptor* field, Message* out) {
    std::string value = node.scalar;
    if (field->type() == FieldDescriptor::TYPE_BYTES &&
        !absl::Base64Unescape(node.scalar, &value)) {
      Error(node.position, path, "expected base64, found " + Shown(node, *field));
      return;
    }
    const Reflection* reflection = out->GetReflection();
    field->is_repeated() ? reflection->AddString(out, field, value)
                         : reflection->SetString(out, field, value);
  }

  static std::string_view TypeName(const FieldDescriptor* field) {
    switch (field->cpp_type()) {
      case FieldDescriptor::CPPTYPE_INT32:
      case FieldDescriptor::CPPTYPE_INT64:
      case FieldDescriptor::CPPTYPE_UINT32:
      case FieldDescriptor::CPPTYPE_UINT64:
        return "a whole number";
      case FieldDescriptor::CPPTYPE_DOUBLE:
      case FieldDescriptor::CPPTYPE_FLOAT:
        return "a number";
      case FieldDescriptor::CPPTYPE_BOOL:
        return "true or false";
      case FieldDescriptor::CPPTYPE_ENUM:
        return "a name";
      default:
        return "text";
    }
  }

  const MessageYamlOptions& options_;
  SourceMap* const source_map_;
  std::vector<std::string> errors_;
  size_t node_budget_ = kMaxYamlNodes;
  size_t depth_ = 0;
};

size_t EditDistance(std::string_view a, std::string_view b) {
  std::vector<size_t> row(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t diagonal = row[0];
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t above = row[j];
      row[j] = std::min({above + 1, row[j - 1] + 1, diagonal + (a[i - 1] == b[j - 1] ? 0 : 1)});
      diagonal = above;
    }
  }
  return row[b.size()];
}

}  // namespace

SourceMap::Place SourceMap::Find(std::string_view path) const {
  std::string_view around = path;
  while (true) {
    if (const auto it = places_.find(around); it != places_.end()) {
      Place place = it->second;
      std::string_view rest = path.substr(around.size());
      if (place.path.empty() && rest.starts_with(".")) rest.remove_prefix(1);
      place.path += rest;
      return place;
    }
    const size_t cut = around.find_last_of(".[");
    if (cut == std::string_view::npos) return {{}, std::string(path)};
    around = around.substr(0, cut);
  }
}

absl::Status MessageFromYaml(const YamlNode& root, const MessageYamlOptions& options, Message* out,
                             SourceMap* source_map) {
  Converter converter(options, source_map);
  converter.Root(root, out);
  return converter.Result();
}

absl::Status ParseMessageYaml(std::string_view text, std::string_view file_name, Message* out,
                              SourceMap* source_map) {
  const YamlFile file = ReadYaml(text);
  std::vector<std::string> errors;
  for (const YamlMistake& mistake : file.mistakes)
    errors.push_back(FormatPosition(file_name, mistake.position) + ": " + mistake.why);
  if (file.documents.empty() && errors.empty()) {
    return absl::InvalidArgumentError(FormatPosition(file_name, {}) + ": the file is empty");
  }
  if (file.documents.size() > 1) {
    errors.push_back(FormatPosition(file_name, file.documents[1].root->position) +
                     ": a second document; only one is expected");
  }
  if (!file.documents.empty()) {
    const absl::Status status = MessageFromYaml(
        *file.documents.front().root,
        {.file_name = file_name, .path_prefix = "", .ignored_keys = {}}, out, source_map);
    if (!status.ok()) errors.emplace_back(status.message());
  }
  if (errors.empty()) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrJoin(errors, "\n"));
}

std::string ShortEnumName(const EnumDescriptor* type, int number) {
  const auto* value = type->FindValueByNumber(number);
  if (value == nullptr) return std::to_string(number);
  if (number == 0) return value->name();
  const std::string prefix = EnumPrefix(type);
  return value->name().starts_with(prefix) ? value->name().substr(prefix.size()) : value->name();
}

std::string NearestWord(std::string_view word, const std::vector<std::string>& candidates) {
  const std::string folded = Folded(word);
  std::string best;
  size_t best_distance = std::min(kMaxSuggestDistance, std::max<size_t>(1, folded.size() / 2)) + 1;
  for (const std::string& candidate : candidates) {
    const size_t distance = EditDistance(folded, Folded(candidate));
    if (distance >= best_distance) continue;
    best_distance = distance;
    best = candidate;
  }
  return best;
}

}  // namespace remuda
