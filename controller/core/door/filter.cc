#include "controller/core/door/filter.h"

#include <absl/strings/ascii.h>
#include <absl/strings/match.h>
#include <absl/strings/numbers.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>

#include <algorithm>
#include <cassert>
#include <optional>

#include "common/status.h"
#include "controller/core/door/validate.h"
#include "remuda/v1/reference.pb.h"

namespace remuda::core {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::EnumDescriptor;
using google::protobuf::EnumValueDescriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::Reflection;

constexpr char kExample[] =
    "a filter is comparisons such as labels.env = \"prod\" with AND or OR between them";

bool IsWordByte(char c) {
  const auto byte = static_cast<unsigned char>(c);
  return absl::ascii_isalnum(byte) || byte >= 0x80 || c == '_' || c == '-' || c == '.' ||
         c == '/' || c == '*' || c == '+' || c == '@';
}

}  // namespace

struct FilterToken {
  enum class Kind { kEnd, kWord, kText, kEqual, kNotEqual, kColon } kind = Kind::kEnd;
  std::string text;  // of a word or a text
};

// The tokens of a filter; a word ends where a colon is, so `10.0.0.1:80` is written in quotes.
class FilterLexer {
 public:
  explicit FilterLexer(std::string_view text) : rest_(text) {}

  absl::StatusOr<FilterToken> Next() {
    while (!rest_.empty() && absl::ascii_isspace(static_cast<unsigned char>(rest_.front())))
      rest_.remove_prefix(1);
    if (rest_.empty()) return FilterToken{};
    if (Take("!=")) return FilterToken{FilterToken::Kind::kNotEqual, "!="};
    if (Take("=")) return FilterToken{FilterToken::Kind::kEqual, "="};
    if (Take(":")) return FilterToken{FilterToken::Kind::kColon, ":"};
    if (rest_.front() == '"') return Text();
    const auto end = std::find_if_not(rest_.begin(), rest_.end(), IsWordByte);
    if (end == rest_.begin()) {
      return InvalidField("filter", absl::StrCat(Quoted(rest_.substr(0, 1)),
                                                 " is not understood here; ", kExample));
    }
    const auto size = static_cast<size_t>(end - rest_.begin());
    FilterToken word{FilterToken::Kind::kWord, std::string(rest_.substr(0, size))};
    rest_.remove_prefix(size);
    return word;
  }

 private:
  bool Take(std::string_view mark) {
    if (rest_.substr(0, mark.size()) != mark) return false;
    rest_.remove_prefix(mark.size());
    return true;
  }

  absl::StatusOr<FilterToken> Text() {
    FilterToken token{FilterToken::Kind::kText, ""};
    for (size_t i = 1; i < rest_.size(); ++i) {
      char c = rest_[i];
      if (c == '"') {
        rest_.remove_prefix(i + 1);
        return token;
      }
      if (c == '\\' && ++i < rest_.size()) c = rest_[i];
      token.text += c;
    }
    return InvalidField("filter", absl::StrCat(Quoted(rest_), " has no closing quote"));
  }

  std::string_view rest_;
};

namespace {

// "TARGET_STATE_" of TargetState: its first value is TARGET_STATE_UNSPECIFIED.
std::string_view PrefixOf(const EnumDescriptor& type) {
  const std::string_view first = type.value(0)->name();
  return first.substr(0, first.rfind('_') + 1);
}

const EnumValueDescriptor* FindEnumValue(const EnumDescriptor& type, std::string_view word) {
  const std::string name = absl::AsciiStrToUpper(std::string(word));
  const EnumValueDescriptor* found = type.FindValueByName(name);
  return found != nullptr ? found : type.FindValueByName(std::string(PrefixOf(type)) + name);
}

std::string EnumWords(const EnumDescriptor& type) {
  std::vector<std::string> words;
  for (int i = 1; i < type.value_count(); ++i)
    words.push_back(type.value(i)->name().substr(PrefixOf(type).size()));
  return absl::StrJoin(words, ", ");
}

// What a field that is no list and no message holds, as text; an entry of a list with `index`.
std::string TextOf(const Message& message, const FieldDescriptor& field,
                   std::optional<int> index = std::nullopt) {
  const Reflection& reflection = *message.GetReflection();
  if (index.has_value()) return reflection.GetRepeatedString(message, &field, *index);
  switch (field.cpp_type()) {
    case FieldDescriptor::CPPTYPE_STRING:
      return reflection.GetString(message, &field);
    case FieldDescriptor::CPPTYPE_ENUM:
      return absl::StrCat(reflection.GetEnumValue(message, &field));
    case FieldDescriptor::CPPTYPE_BOOL:
      return reflection.GetBool(message, &field) ? "true" : "false";
    case FieldDescriptor::CPPTYPE_INT32:
      return absl::StrCat(reflection.GetInt32(message, &field));
    case FieldDescriptor::CPPTYPE_INT64:
      return absl::StrCat(reflection.GetInt64(message, &field));
    default:
      assert(false);
      return "";
  }
}

std::string_view WithoutPrefix(std::string_view text, std::string_view prefix) {
  if (text.substr(0, prefix.size()) == prefix) text.remove_prefix(prefix.size());
  return text;
}

bool IsSet(const Message& message, const FieldDescriptor& field) {
  const Reflection& reflection = *message.GetReflection();
  return field.is_repeated() ? reflection.FieldSize(message, &field) > 0
                             : reflection.HasField(message, &field);
}

// A map's value under `key`; null if there is none.
std::optional<std::string> ValueUnder(const Message& message, const FieldDescriptor& map,
                                      const std::string& key) {
  const Reflection& reflection = *message.GetReflection();
  for (int i = 0; i < reflection.FieldSize(message, &map); ++i) {
    const Message& entry = reflection.GetRepeatedMessage(message, &map, i);
    const Descriptor& type = *entry.GetDescriptor();
    if (entry.GetReflection()->GetString(entry, type.map_key()) == key)
      return entry.GetReflection()->GetString(entry, type.map_value());
  }
  return std::nullopt;
}

}  // namespace

// Recursive descent, one token ahead.
class FilterParser {
 public:
  FilterParser(const Descriptor& type, const std::vector<FilterField>& fields,
               std::string_view text)
      : type_(type), fields_(fields), lexer_(text) {}

  absl::StatusOr<Filter> Run() {
    if (absl::Status first = Advance(); !first.ok()) return first;
    Filter filter;
    if (token_.kind == FilterToken::Kind::kEnd) return filter;
    filter.clauses_.emplace_back();
    while (true) {
      Filter::Comparison comparison;
      if (absl::Status read = Read(comparison); !read.ok()) return read;
      filter.clauses_.back().push_back(std::move(comparison));
      if (token_.kind == FilterToken::Kind::kEnd) return filter;
      if (++count_ >= kFilterComparisons)
        return Wrong(absl::StrCat("more than ", kFilterComparisons, " comparisons"));
      const bool is_and = token_.kind == FilterToken::Kind::kWord && token_.text == "AND";
      const bool is_or = token_.kind == FilterToken::Kind::kWord && token_.text == "OR";
      if (!is_and && !is_or) {
        return Wrong(absl::StrCat(Quoted(token_.text), " follows ", Quoted(said_),
                                  "; AND or OR must stand between two comparisons"));
      }
      if (is_and) filter.clauses_.emplace_back();
      if (absl::Status next = Advance(); !next.ok()) return next;
    }
  }

 private:
  static absl::Status Wrong(std::string_view what) { return InvalidField("filter", what); }

  absl::Status Advance() {
    absl::StatusOr<FilterToken> next = lexer_.Next();
    if (!next.ok()) return next.status();
    token_ = *std::move(next);
    return absl::OkStatus();
  }

  absl::Status Read(Filter::Comparison& out) {
    if (token_.kind != FilterToken::Kind::kWord) {
      return Wrong(token_.kind == FilterToken::Kind::kEnd
                       ? absl::StrCat("it ends where a field belongs; ", kExample)
                       : absl::StrCat(Quoted(token_.text), " is no field; there are ", Fields()));
    }
    const std::string field = token_.text;
    if (absl::Status found = FindField(field, out); !found.ok()) return found;
    if (absl::Status next = Advance(); !next.ok()) return next;
    switch (token_.kind) {
      case FilterToken::Kind::kEqual:
        out.relation = Filter::Relation::kEqual;
        break;
      case FilterToken::Kind::kNotEqual:
        out.relation = Filter::Relation::kNotEqual;
        break;
      case FilterToken::Kind::kColon:
        out.relation = Filter::Relation::kHas;
        break;
      default:
        return Wrong(absl::StrCat("one of =, !=, : must follow ", Quoted(field),
                                  token_.text.empty() ? "" : ", not ",
                                  token_.text.empty() ? "" : Quoted(token_.text)));
    }
    said_ = absl::StrCat(field, " ", token_.text);
    if (absl::Status next = Advance(); !next.ok()) return next;
    if (token_.kind != FilterToken::Kind::kWord && token_.kind != FilterToken::Kind::kText)
      return Wrong(absl::StrCat("a value must follow ", Quoted(said_)));
    absl::StrAppend(&said_, " ", token_.text);
    if (absl::Status value = TakeValue(out); !value.ok()) return value;
    return Advance();
  }

  // labels.KEY, state, status.deployment: those that the list names, and no other.
  absl::Status FindField(std::string_view field, Filter::Comparison& out) {
    for (const FilterField& known : fields_) {
      const bool is_whole = field == known.path;
      const bool is_within = field.size() > known.path.size() + 1 &&
                             field.substr(0, known.path.size()) == known.path &&
                             field[known.path.size()] == '.';
      if (!is_whole && !is_within) continue;
      std::vector<const FieldDescriptor*> path = PathOf(known.path);
      if (is_within && !path.back()->is_map()) continue;
      out.path = std::move(path);
      const std::string& collection = out.path.back()->options().GetExtension(v1::reference);
      if (!collection.empty()) out.collection = collection + "/";
      if (is_within) {
        out.key = std::string(field.substr(known.path.size() + 1));
        out.has_key = true;
      }
      return absl::OkStatus();
    }
    return Wrong(absl::StrCat(Quoted(field), " is no field that this list can be filtered by; ",
                              "there are ", Fields()));
  }

  std::vector<const FieldDescriptor*> PathOf(std::string_view path) const {
    std::vector<const FieldDescriptor*> out;
    const Descriptor* type = &type_;
    while (!path.empty()) {
      const size_t dot = path.find('.');
      out.push_back(type->FindFieldByName(std::string(path.substr(0, dot))));
      assert(out.back() != nullptr);
      type = out.back()->message_type();
      path.remove_prefix(dot == std::string_view::npos ? path.size() : dot + 1);
    }
    return out;
  }

  std::string Fields() const {
    return absl::StrJoin(fields_, ", ", [this](std::string* out, const FilterField& field) {
      absl::StrAppend(out, std::string(field.path),
                      PathOf(field.path).back()->is_map() ? ".KEY" : "");
    });
  }

  absl::Status TakeValue(Filter::Comparison& out) {
    const FieldDescriptor& field = *out.path.back();
    const bool is_list = field.is_repeated() && !out.has_key;
    out.value = token_.text;
    out.is_any = out.relation == Filter::Relation::kHas &&
                 token_.kind == FilterToken::Kind::kWord && token_.text == "*";
    if (out.is_any) return absl::OkStatus();
    if (is_list && out.relation != Filter::Relation::kHas) {
      return Wrong(field.is_map()
                       ? absl::StrCat(Quoted(said_), ": name one of them, as in ", field.name(),
                                      ".KEY = VALUE, or ask with : whether there is one")
                       : absl::StrCat(Quoted(said_), ": it is a list; write ", field.name(),
                                      ":VALUE for those that hold the value"));
    }
    if (!is_list && out.relation == Filter::Relation::kHas) {
      return Wrong(absl::StrCat(Quoted(said_), ": it is no list; write = or !=, or :* for those ",
                                "that have it"));
    }
    out.value = std::string(WithoutPrefix(out.value, out.collection));
    return field.is_repeated() ? absl::OkStatus() : TakeScalar(field, out);
  }

  // Numbers and enums as TextOf says them.
  absl::Status TakeScalar(const FieldDescriptor& field, Filter::Comparison& out) const {
    int64_t number = 0;
    switch (field.cpp_type()) {
      case FieldDescriptor::CPPTYPE_ENUM: {
        const EnumValueDescriptor* value = FindEnumValue(*field.enum_type(), out.value);
        if (value == nullptr) {
          return Wrong(absl::StrCat(Quoted(said_), ": there is no ", Quoted(out.value),
                                    "; there are ", EnumWords(*field.enum_type())));
        }
        out.value = absl::StrCat(value->number());
        return absl::OkStatus();
      }
      case FieldDescriptor::CPPTYPE_BOOL:
        if (out.value == "true" || out.value == "false") return absl::OkStatus();
        return Wrong(absl::StrCat(Quoted(said_), ": it is true or false"));
      case FieldDescriptor::CPPTYPE_INT32:
      case FieldDescriptor::CPPTYPE_INT64:
        if (!absl::SimpleAtoi(out.value, &number))
          return Wrong(absl::StrCat(Quoted(said_), ": ", Quoted(out.value), " is no number"));
        out.value = absl::StrCat(number);
        return absl::OkStatus();
      default:
        return absl::OkStatus();
    }
  }

  const Descriptor& type_;
  const std::vector<FilterField>& fields_;
  FilterLexer lexer_;
  FilterToken token_;
  std::string said_;  // the comparison that is read, for errors
  size_t count_ = 0;
};

absl::StatusOr<Filter> Filter::Parse(const Descriptor& type, const std::vector<FilterField>& fields,
                                     std::string_view text) {
  if (text.size() > kFilterBytes)
    return InvalidField("filter", absl::StrCat(text.size(), " bytes; at most ", kFilterBytes));
  return FilterParser(type, fields, text).Run();
}

bool Filter::Holds(const Comparison& comparison, const Message& row) {
  const Message* message = &row;
  for (size_t i = 0; i + 1 < comparison.path.size(); ++i)
    message = &message->GetReflection()->GetMessage(*message, comparison.path[i]);
  const FieldDescriptor& field = *comparison.path.back();
  const auto is_value = [&](std::string_view text) {
    return WithoutPrefix(text, comparison.collection) == comparison.value;
  };
  if (comparison.has_key) {
    const std::optional<std::string> value = ValueUnder(*message, field, comparison.key);
    if (comparison.is_any) return value.has_value();
    return (value.value_or("") == comparison.value) == (comparison.relation == Relation::kEqual);
  }
  if (comparison.is_any) return IsSet(*message, field);
  if (field.is_map()) return ValueUnder(*message, field, comparison.value).has_value();
  if (field.is_repeated()) {
    for (int i = 0; i < message->GetReflection()->FieldSize(*message, &field); ++i) {
      if (is_value(TextOf(*message, field, i))) return true;
    }
    return false;
  }
  return is_value(TextOf(*message, field)) == (comparison.relation == Relation::kEqual);
}

bool Filter::Matches(const Message& row) const {
  return std::all_of(clauses_.begin(), clauses_.end(), [&row](const auto& clause) {
    return std::any_of(clause.begin(), clause.end(),
                       [&row](const Comparison& comparison) { return Holds(comparison, row); });
  });
}

}  // namespace remuda::core
