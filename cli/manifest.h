// Manifests: YAML documents of `kind`, `name` and fields, as one ApplyResources request; and the
// controller's objections put back to file and line. Pure, but for ReadManifestFiles.
#pragma once

#include <absl/status/statusor.h>

#include <string>
#include <string_view>
#include <vector>

#include "common/message_yaml.h"
#include "remuda/v1/apply.pb.h"

namespace remuda::cli {

inline constexpr size_t kMaxManifestFiles = 1000;
inline constexpr int kMaxManifestResources = 500;  // of one apply; the controller's limit

struct ManifestFile {
  std::string name;
  std::string text;
};

// The files that paths name: a file, a directory (its *.yaml, *.yml and *.json, by name), `-` for
// standard input.
absl::StatusOr<std::vector<ManifestFile>> ReadManifestFiles(const std::vector<std::string>& paths);

struct Manifest {
  struct Origin {
    std::string file;
    std::string kind;
    std::string name;
    SourceMap fields;  // `resource` is the whole, `resource.listeners[0].port` a field
  };
  v1::ApplyResourcesRequest request;
  std::vector<Origin> origins;  // of each resource of the request
};

// INVALID_ARGUMENT lists the mistakes of all files, a line each: "FILE:LINE:COLUMN: FIELD: RULE".
absl::StatusOr<Manifest> ParseManifests(const std::vector<ManifestFile>& files);

// The controller's answer in the same form, where it names fields (`resources[2].max`); else its
// message.
std::string ExplainApplyError(const Manifest& manifest, const absl::Status& status);

}  // namespace remuda::cli
