// The config file of a proxy that has no controller (`--config=FILE`).
#pragma once

#include <absl/status/status.h>

#include <string>

#include "common/message_yaml.h"
#include "remuda/proxy/v1/config.pb.h"

namespace remuda::proxy {

// Reads `path` (YAML), and the files that its certificates name: relative ones lie beside it. The
// config then holds what was in them and names no file any more. The error says which file.
// `places` may be null; it learns where each field is written.
absl::Status ReadConfigFile(const std::string& path, v1::ProxyConfig* config,
                            SourceMap* places = nullptr);

}  // namespace remuda::proxy
