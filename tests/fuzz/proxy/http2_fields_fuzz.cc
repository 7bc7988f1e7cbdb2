// The fields of HTTP/2 requests: lines "name\\0value\\n", the first byte says what is known of the
// body. The text that is made of accepted ones is one head to the HTTP/1.1 parser, and says no more
// than the fields did.
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "proxy/http/chars.h"
#include "proxy/http/framing.h"
#include "proxy/http/head_parser.h"
#include "proxy/http/http2_fields.h"
#include "proxy/http/target.h"
#include "tests/fuzz/require.h"

namespace http = remuda::proxy::http;
using remuda::Require;

namespace {

using FieldList = std::vector<std::pair<std::string, std::string>>;

FieldList Split(std::string_view bytes) {
  FieldList fields;
  while (!bytes.empty()) {
    const std::string_view line = bytes.substr(0, bytes.find('\n'));
    const std::string_view name = line.substr(0, line.find('\0'));
    const std::string_view value = line.substr(std::min(line.size(), name.size() + 1));
    fields.emplace_back(name, value);
    bytes.remove_prefix(std::min(bytes.size(), line.size() + 1));
  }
  return fields;
}

const std::string* Find(const FieldList& fields, std::string_view name) {
  for (const auto& field : fields) {
    if (field.first == name) return &field.second;
  }
  return nullptr;
}

// Every field of the text was given, but for those that are made.
void CheckFields(const http::RequestHead& head, const FieldList& given) {
  for (const http::Field& field : head.fields) {
    if (field.id == http::FieldId::kHost || field.id == http::FieldId::kCookie ||
        field.id == http::FieldId::kContentLength || field.id == http::FieldId::kTransferEncoding) {
      continue;
    }
    bool is_given = false;
    for (const auto& [name, value] : given) is_given |= name == field.name && value == field.value;
    Require(is_given);
  }
  Require(head.fields.size() <= given.size());  // of the pseudo fields only one becomes a field
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const FieldList given =
      Split(std::string_view(reinterpret_cast<const char*>(data) + 1, size - 1));
  http::Http2Fields fields;
  fields.Reset();
  for (const auto& [name, value] : given) fields.Add(name, value);
  const auto body = static_cast<http::Http2Fields::Body>(data[0] % 3);
  const uint64_t length = body == http::Http2Fields::Body::kWhole ? data[0] / 3 : 0;
  if (fields.Finish(body, length) != http::Reason::kNone) return 0;

  std::string text(fields.text());
  http::RequestParser parser;
  http::RequestHead head;
  const http::ParseStatus status = parser.Parse(text.data(), text.size(), head);
  if (status == http::ParseStatus::kError) {
    // What HTTP/1.1's parser judges for both: sizes and counts.
    Require(http::StatusOf(parser.reason()) == 431 || http::StatusOf(parser.reason()) == 414);
    return 0;
  }
  Require(status == http::ParseStatus::kDone && parser.head_size() == text.size());
  Require(head.method_name == *Find(given, ":method"));
  const std::string& path = *Find(given, ":path");
  if (head.target != path) {  // Host names another than :authority: both are said
    const std::string* const authority = Find(given, ":authority");
    const std::string* const host = Find(given, "host");
    Require(authority != nullptr && host != nullptr && !http::EqualsIgnoreCase(*host, *authority));
    Require(head.target == "https://" + *authority + path);
  }
  CheckFields(head, given);
  http::Framing framing;
  if (http::DecideRequestFraming(head, framing) != http::Reason::kNone) return 0;
  Require((framing.kind == http::BodyKind::kChunked) == fields.is_chunked());
  Require(framing.has_length == fields.has_declared_length());
  if (framing.has_length) Require(framing.length == fields.declared_length());
  if (body == http::Http2Fields::Body::kWhole) Require(framing.length == length);
  if (body == http::Http2Fields::Body::kNone) Require(framing.kind == http::BodyKind::kNone);
  if (http::CanonicalizeTarget(head) != http::Reason::kNone) return 0;
  if (const std::string* authority = Find(given, ":authority")) Require(head.host == *authority);
  return 0;
}
