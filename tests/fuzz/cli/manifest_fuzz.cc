// Any bytes as a manifest, and as the field path of an objection to it: no crash.
#include <cstdint>
#include <string>
#include <string_view>

#include "cli/manifest.h"
#include "common/status.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto manifest = remuda::cli::ParseManifests({{"fuzz.yaml", std::string(text)}});
  // The last line doubles as a path.
  const std::string_view path =
      text.substr(text.rfind('\n') == std::string_view::npos ? 0 : text.rfind('\n') + 1);
  remuda::cli::ExplainApplyError(manifest.ok() ? *manifest : remuda::cli::Manifest(),
                                 remuda::InvalidField(path, "no"));
  return 0;
}
