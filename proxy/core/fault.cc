#include "proxy/core/fault.h"

#include <charconv>

#include "common/ids.h"
#include "proxy/http/chars.h"

namespace remuda::proxy {

using std::chrono::milliseconds;

std::string Quote(std::string_view text) { return "'" + std::string(text.substr(0, 128)) + "'"; }

std::string LowerCase(std::string_view text) {
  std::string out(text);
  for (char& c : out) c = http::Lower(c);
  return out;
}

bool ParseInt(std::string_view text, int& out) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  return error == std::errc() && end == text.data() + text.size();
}

Fault CheckText(std::string_view field, std::string_view text, size_t max_bytes) {
  if (text.size() > max_bytes) {
    return std::string(field) + ": " + std::to_string(text.size()) + " bytes, at most " +
           std::to_string(max_bytes);
  }
  if (!http::AllOf(text, http::kFieldValueChar)) return std::string(field) + ": control characters";
  return std::nullopt;
}

Fault Prefix(const std::string& prefix, Fault fault) {
  if (fault) *fault = prefix + *fault;
  return fault;
}

bool NormalizeId(std::string_view name, std::string_view collection, std::string& id) {
  if (name.size() > collection.size() && name.substr(0, collection.size()) == collection &&
      name[collection.size()] == '/') {
    name.remove_prefix(collection.size() + 1);
  }
  id = name;
  return IsId(name);
}

Fault CheckRange(std::string_view field, int64_t value, int64_t min, int64_t max) {
  if (value >= min && value <= max) return std::nullopt;
  return std::string(field) + ": " + std::to_string(value) + " is not within " +
         std::to_string(min) + "-" + std::to_string(max);
}

Fault TakeDuration(bool is_set, const google::protobuf::Duration& value, const DurationRule& rule,
                   milliseconds& out) {
  if (!is_set) return std::nullopt;
  const bool is_sane = value.seconds() >= 0 && value.seconds() <= 1000000 && value.nanos() >= 0;
  const milliseconds got =
      is_sane ? milliseconds(value.seconds() * 1000 + value.nanos() / 1000000) : milliseconds(-1);
  if (got < rule.min || got > rule.max) {
    return std::string(rule.field) + ": " + std::to_string(value.seconds()) + "." +
           std::to_string(value.nanos()) + "s is not within " + std::to_string(rule.min.count()) +
           "ms-" + std::to_string(rule.max.count()) + "ms";
  }
  out = got;
  return std::nullopt;
}

}  // namespace remuda::proxy
