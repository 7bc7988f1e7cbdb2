// MessageToYaml and MessageToJson: one walk over the set fields, two ways to write it down.
#include <absl/strings/escaping.h>
#include <absl/strings/str_cat.h>
#include <google/protobuf/descriptor.h>
#include <google/protobuf/field_mask.pb.h>
#include <google/protobuf/util/field_mask_util.h>
#include <yaml-cpp/emitter.h>
#include <yaml-cpp/emittermanip.h>

#include <algorithm>
#include <cmath>
#include <cstdio>

#include "common/duration_text.h"
#include "common/logging.h"
#include "common/message_yaml.h"

namespace remuda {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::Reflection;

// What both forms are written through.
class Sink {
 public:
  Sink() = default;
  Sink(const Sink&) = delete;
  Sink& operator=(const Sink&) = delete;
  virtual ~Sink() = default;
  virtual void BeginMap() = 0;
  virtual void Key(const std::string& key) = 0;
  virtual void EndMap() = 0;
  virtual void BeginList() = 0;
  virtual void EndList() = 0;
  virtual void Text(const std::string& text) = 0;
  virtual void Bare(const std::string& literal) = 0;  // a number, true, false
};

class YamlSink : public Sink {
 public:
  void BeginMap() override { emitter_ << YAML::BeginMap; }
  void Key(const std::string& key) override { emitter_ << YAML::Key << Quoted(key) << YAML::Value; }
  void EndMap() override { emitter_ << YAML::EndMap; }
  void BeginList() override { emitter_ << YAML::BeginSeq; }
  void EndList() override { emitter_ << YAML::EndSeq; }
  void Text(const std::string& text) override { emitter_ << Quoted(text); }
  void Bare(const std::string& literal) override { emitter_ << literal; }
  std::string Take() { return std::string(emitter_.c_str(), emitter_.size()) + "\n"; }

 private:
  // Text that a YAML reader could take for a number, a bool or nothing is quoted; the rest is the
  // emitter's choice.
  const std::string& Quoted(const std::string& text) {
    static constexpr std::string_view kWords[] = {"true", "false", "yes", "no", "on",
                                                  "off",  "null",  "~",   "y",  "n"};
    std::string lower = text;
    std::transform(lower.begin(), lower.end(), lower.begin(), [](unsigned char c) {
      return static_cast<char>(c < 128 ? std::tolower(c) : c);
    });
    const bool is_word = std::find(std::begin(kWords), std::end(kWords), lower) != std::end(kWords);
    const bool is_numeric =
        text.find_first_not_of("0123456789+-.eExXoabcdefABCDEF_:") == std::string::npos &&
        text.find_first_of("0123456789.") != std::string::npos;
    const bool is_plain = !is_word && !is_numeric && !text.empty() &&
                          text.find_first_of("\n\r\t") == std::string::npos;
    if (!is_plain) emitter_ << YAML::DoubleQuoted;
    return text;
  }

  YAML::Emitter emitter_;
};

class JsonSink : public Sink {
 public:
  void BeginMap() override { Begin('{'); }
  void Key(const std::string& key) override {
    Item();
    absl::StrAppend(&out_, "\"", JsonEscape(key), "\": ");
    after_key_ = true;
  }
  void EndMap() override { End('}'); }
  void BeginList() override { Begin('['); }
  void EndList() override { End(']'); }
  void Text(const std::string& text) override {
    Item();
    absl::StrAppend(&out_, "\"", JsonEscape(text), "\"");
  }
  void Bare(const std::string& literal) override {
    Item();
    out_ += literal;
  }
  std::string Take() { return out_ + "\n"; }

 private:
  void Item() {
    if (after_key_ || is_empty_.empty()) {
      after_key_ = false;
      return;
    }
    if (!is_empty_.back()) out_ += ",";
    is_empty_.back() = false;
    absl::StrAppend(&out_, "\n", std::string(2 * is_empty_.size(), ' '));
  }
  void Begin(char bracket) {
    Item();
    out_ += bracket;
    is_empty_.push_back(true);
  }
  void End(char bracket) {
    const bool was_empty = is_empty_.back();
    is_empty_.pop_back();
    if (!was_empty) absl::StrAppend(&out_, "\n", std::string(2 * is_empty_.size(), ' '));
    out_ += bracket;
  }

  std::string out_;
  std::vector<bool> is_empty_;  // of each open map or list
  bool after_key_ = false;
};

std::string FormatDouble(double value) {
  if (!std::isfinite(value)) return "null";  // missing, in a list of values; JSON has no NaN
  char text[32];
  for (const int digits : {6, 15, 17}) {
    std::snprintf(text, sizeof text, "%.*g", digits, value);
    if (std::strtod(text, nullptr) == value) break;
  }
  return text;
}

class Walker {
 public:
  explicit Walker(Sink* sink) : sink_(*sink) {}

  void Root(const Message& message, const ExtraFields& extra) {
    sink_.BeginMap();
    for (const auto& [key, value] : extra) {
      sink_.Key(key);
      sink_.Text(value);
    }
    Fields(message);
    sink_.EndMap();
  }

 private:
  void Fields(const Message& message) {
    std::vector<const FieldDescriptor*> fields;
    message.GetReflection()->ListFields(message, &fields);
    for (const FieldDescriptor* field : fields) {
      sink_.Key(field->json_name());
      if (field->is_map()) {
        Map(message, field);
      } else if (field->is_repeated()) {
        sink_.BeginList();
        const int size = message.GetReflection()->FieldSize(message, field);
        for (int i = 0; i < size; ++i) Value(message, field, i);
        sink_.EndList();
      } else {
        Value(message, field, -1);
      }
    }
  }

  void Map(const Message& message, const FieldDescriptor* field) {
    const FieldDescriptor* key_field = field->message_type()->map_key();
    const FieldDescriptor* value_field = field->message_type()->map_value();
    const int size = message.GetReflection()->FieldSize(message, field);
    std::vector<std::pair<std::string, const Message*>>
        entries;  // sorted: a map has no order of its own
    for (int i = 0; i < size; ++i) {
      const Message& entry = message.GetReflection()->GetRepeatedMessage(message, field, i);
      entries.emplace_back(Scalar(entry, key_field, -1), &entry);
    }
    std::sort(entries.begin(), entries.end());
    sink_.BeginMap();
    for (const auto& [key, entry] : entries) {
      sink_.Key(key);
      Value(*entry, value_field, -1);
    }
    sink_.EndMap();
  }

  // `index` -1: not repeated.
  void Value(const Message& message, const FieldDescriptor* field, int index) {
    if (field->cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE) {
      const Reflection* reflection = message.GetReflection();
      const Message& inner = index < 0 ? reflection->GetMessage(message, field)
                                       : reflection->GetRepeatedMessage(message, field, index);
      if (WellKnown(inner)) return;
      sink_.BeginMap();
      Fields(inner);
      sink_.EndMap();
      return;
    }
    const std::string text = Scalar(message, field, index);
    const bool is_text = field->cpp_type() == FieldDescriptor::CPPTYPE_STRING ||
                         field->cpp_type() == FieldDescriptor::CPPTYPE_ENUM;
    is_text ? sink_.Text(text) : sink_.Bare(text);
  }

  bool WellKnown(const Message& message) {
    const std::string& type = message.GetDescriptor()->full_name();
    if (type == "google.protobuf.Duration") {
      sink_.Text(FormatDuration(static_cast<const google::protobuf::Duration&>(message)));
    } else if (type == "google.protobuf.Timestamp") {
      sink_.Text(FormatTimestamp(static_cast<const google::protobuf::Timestamp&>(message)));
    } else if (type == "google.protobuf.FieldMask") {
      sink_.Text(google::protobuf::util::FieldMaskUtil::ToString(
          static_cast<const google::protobuf::FieldMask&>(message)));
    } else {
      return false;
    }
    return true;
  }

  static std::string Scalar(const Message& message, const FieldDescriptor* field, int index) {
    const Reflection* r = message.GetReflection();
    const bool one = index < 0;
    switch (field->cpp_type()) {
      case FieldDescriptor::CPPTYPE_INT32:
        return std::to_string(one ? r->GetInt32(message, field)
                                  : r->GetRepeatedInt32(message, field, index));
      case FieldDescriptor::CPPTYPE_INT64:
        return std::to_string(one ? r->GetInt64(message, field)
                                  : r->GetRepeatedInt64(message, field, index));
      case FieldDescriptor::CPPTYPE_UINT32:
        return std::to_string(one ? r->GetUInt32(message, field)
                                  : r->GetRepeatedUInt32(message, field, index));
      case FieldDescriptor::CPPTYPE_UINT64:
        return std::to_string(one ? r->GetUInt64(message, field)
                                  : r->GetRepeatedUInt64(message, field, index));
      case FieldDescriptor::CPPTYPE_DOUBLE:
        return FormatDouble(one ? r->GetDouble(message, field)
                                : r->GetRepeatedDouble(message, field, index));
      case FieldDescriptor::CPPTYPE_FLOAT:
        return FormatDouble(one ? r->GetFloat(message, field)
                                : r->GetRepeatedFloat(message, field, index));
      case FieldDescriptor::CPPTYPE_BOOL:
        return (one ? r->GetBool(message, field) : r->GetRepeatedBool(message, field, index))
                   ? "true"
                   : "false";
      case FieldDescriptor::CPPTYPE_ENUM:
        return ShortEnumName(
            field->enum_type(),
            one ? r->GetEnumValue(message, field) : r->GetRepeatedEnumValue(message, field, index));
      case FieldDescriptor::CPPTYPE_STRING: {
        const std::string text =
            one ? r->GetString(message, field) : r->GetRepeatedString(message, field, index);
        return field->type() == FieldDescriptor::TYPE_BYTES ? absl::Base64Escape(text) : text;
      }
      case FieldDescriptor::CPPTYPE_MESSAGE:
        break;
    }
    return "";
  }

  Sink& sink_;
};

}  // namespace

std::string MessageToYaml(const Message& message, const ExtraFields& extra) {
  YamlSink sink;
  Walker(&sink).Root(message, extra);
  return sink.Take();
}

std::string MessageToJson(const Message& message, const ExtraFields& extra) {
  JsonSink sink;
  Walker(&sink).Root(message, extra);
  return sink.Take();
}

}  // namespace remuda
