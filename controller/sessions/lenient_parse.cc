#include "controller/sessions/lenient_parse.h"

#include <google/protobuf/descriptor.h>
#include <google/protobuf/unknown_field_set.h>

#include <string>

#include "common/utf8.h"

namespace remuda {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::UnknownField;
using google::protobuf::UnknownFieldSet;

// As deep as protobuf's own parser goes.
constexpr int kMaxDepth = 100;
constexpr char kReplacement[] = "\xEF\xBF\xBD";  // U+FFFD

std::string Mended(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    const size_t length = Utf8Length(text);
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
