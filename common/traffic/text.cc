#include "common/traffic/text.h"

#include <algorithm>

namespace remuda::traffic {

void CheckText(const char* field, std::string_view text, size_t max_bytes, FieldFaults& out) {
  if (text.size() > max_bytes) {
    out.push_back(
        {field, {}, std::to_string(text.size()) + " bytes; at most " + std::to_string(max_bytes)});
  }
  const auto bad = std::find_if(text.begin(), text.end(), [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return byte < 0x20 || byte == 0x7f;
  });
  if (bad != text.end()) {
    out.push_back({field, std::string(text),
                   "has a control character at byte " + std::to_string(bad - text.begin())});
  }
}

}  // namespace remuda::traffic
