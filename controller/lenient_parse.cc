#include "controller/lenient_parse.h"

#include <google/protobuf/descriptor.h>
#include <google/protobuf/unknown_field_set.h>

#include <string>

namespace remuda {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::UnknownField;
using google::protobuf::UnknownFieldSet;

// As deep as protobuf's own parser goes.
constexpr int kMaxDepth = 100;
constexpr char kReplacement[] = "\xEF\xBF\xBD";  // U+FFFD

// Length of the UTF-8 character that `text` begins with (RFC 3629 section 4); 0 if it is none.
size_t CharacterAt(std::string_view text) {
  const auto at = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
  const auto continues = [&](size_t i) { return i < text.size() && (at(i) & 0xC0) == 0x80; };
  const unsigned char first = at(0);
  if (first < 0x80) return 1;
  if (first >= 0xC2 && first < 0xE0) return continues(1) ? 2 : 0;
  if (first >= 0xE0 && first < 0xF0) {
    if (!continues(1) || !continues(2)) return 0;
    const bool is_overlong = first == 0xE0 && at(1) < 0xA0;
    const bool is_surrogate = first == 0xED && at(1) >= 0xA0;
    return is_overlong || is_surrogate ? 0 : 3;
  }
  if (first >= 0xF0 && first < 0xF5) {
    if (!continues(1) || !continues(2) || !continues(3)) return 0;
    const bool is_overlong = first == 0xF0 && at(1) < 0x90;
    const bool is_too_high = first == 0xF4 && at(1) >= 0x90;
    return is_overlong || is_too_high ? 0 : 4;
  }
  return 0;
}

std::string Mended(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    const size_t length = CharacterAt(text);
    if (length == 0) {
      out += kReplacement;
      text.remove_prefix(1);
    } else {
      out += text.substr(0, length);
      text.remove_prefix(length);
    }
  }
  return out;
}

// Mends every text of the message whose fields are `fields`. False: it is no message of the type.
bool MendTexts(const Descriptor& type, UnknownFieldSet& fields, int depth) {
  if (depth > kMaxDepth) return false;
  for (int i = 0; i < fields.field_count(); ++i) {
    UnknownField& field = *fields.mutable_field(i);
    if (field.type() != UnknownField::TYPE_LENGTH_DELIMITED) continue;
    const FieldDescriptor* known = type.FindFieldByNumber(field.number());
    if (known == nullptr) continue;
    if (known->type() == FieldDescriptor::TYPE_STRING) {
      field.set_length_delimited(Mended(field.length_delimited()));
    } else if (known->type() == FieldDescriptor::TYPE_MESSAGE) {
      UnknownFieldSet inner;
      if (!inner.ParseFromString(field.length_delimited()) ||
          !MendTexts(*known->message_type(), inner, depth + 1)) {
        return false;
      }
      std::string bytes;
      inner.SerializeToString(&bytes);
      field.set_length_delimited(bytes);
    }
  }
  return true;
}

}  // namespace

Parsed LenientParse(std::string_view bytes, google::protobuf::Message& out) {
  const int size = static_cast<int>(bytes.size());
  if (out.ParseFromArray(bytes.data(), size)) return Parsed::kWell;
  UnknownFieldSet fields;
  std::string mended;
  if (!fields.ParseFromArray(bytes.data(), size) || !MendTexts(*out.GetDescriptor(), fields, 0) ||
      !fields.SerializeToString(&mended)) {
    return Parsed::kNot;
  }
  return out.ParseFromString(mended) ? Parsed::kMended : Parsed::kNot;
}

}  // namespace remuda
