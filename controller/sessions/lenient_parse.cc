#include "controller/sessions/lenient_parse.h"

#include <google/protobuf/descriptor.h>
#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/unknown_field_set.h>

#include <map>
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

using google::protobuf::Message;
using google::protobuf::MessageFactory;
using google::protobuf::io::CodedInputStream;

// A string with its allocation, a field that is not known, what a map or a list has for an entry.
constexpr size_t kPartBytes = 48;

class Scale {
 public:
  explicit Scale(size_t limit) : limit_(limit) {}

  // Adds what the fields of `type` take that `in` holds up to its limit. False: there is enough, or
  // the rest is no message.
  bool Weigh(const Descriptor& type, CodedInputStream& in, int depth) {
    bytes_ += SizeOf(type);
    if (depth > kMaxDepth) return false;
    while (bytes_ < limit_) {
      const uint32_t tag = in.ReadTag();
      if (tag == 0) return in.ConsumedEntireMessage() || in.BytesUntilLimit() == 0;
      const FieldDescriptor* known = type.FindFieldByNumber(static_cast<int>(tag >> 3U));
      if (!WeighField(known, tag & 7U, in, depth)) return false;
    }
    return false;
  }

  size_t bytes() const { return bytes_; }

 private:
  // See google/protobuf/wire_format_lite.h.
  enum Wire : uint32_t { kVarint, kFixed64, kDelimited, kStartGroup, kEndGroup, kFixed32 };

  bool WeighField(const FieldDescriptor* known, uint32_t wire, CodedInputStream& in, int depth) {
    uint64_t value = 0;
    if (known == nullptr) bytes_ += kPartBytes;
    switch (wire) {
      case kVarint:
        return in.ReadVarint64(&value);
      case kFixed64:
        return in.Skip(sizeof(uint64_t));
      case kFixed32:
        return in.Skip(sizeof(uint32_t));
      case kStartGroup:
      case kEndGroup:
        // No message of ours has any; they are kept as what is not known.
        return true;
      case kDelimited:
        break;
      default:
        return false;
    }
    int size = 0;
    if (!in.ReadVarintSizeAsInt(&size)) return false;
    if (known == nullptr || known->type() != FieldDescriptor::TYPE_MESSAGE) {
      // A list of numbers takes eight times its bytes at most.
      const bool is_text = known == nullptr || known->type() == FieldDescriptor::TYPE_STRING ||
                           known->type() == FieldDescriptor::TYPE_BYTES;
      bytes_ += kPartBytes + static_cast<size_t>(size) * (is_text ? 1 : sizeof(uint64_t));
      return in.Skip(size);
    }
    const CodedInputStream::Limit before = in.PushLimit(size);
    const bool went_on = Weigh(*known->message_type(), in, depth + 1);
    in.PopLimit(before);
    return went_on;
  }

  size_t SizeOf(const Descriptor& type) {
    const auto [it, is_new] = sizes_.try_emplace(&type, kPartBytes);
    if (is_new) {
      const Message* const empty = MessageFactory::generated_factory()->GetPrototype(&type);
      if (empty != nullptr) it->second += empty->SpaceUsedLong();
    }
    return it->second;
  }

  const size_t limit_;
  size_t bytes_ = 0;
  std::map<const Descriptor*, size_t> sizes_;
};

}  // namespace

size_t ParsedBytes(const Descriptor& type, std::string_view bytes, size_t limit) {
  CodedInputStream in(reinterpret_cast<const uint8_t*>(bytes.data()),
                      static_cast<int>(bytes.size()));
  Scale scale(limit);
  scale.Weigh(type, in, 0);
  return scale.bytes();
}

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
