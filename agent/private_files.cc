#include "agent/private_files.h"

#include <spdlog/spdlog.h>

#include <filesystem>
#include <vector>

#include "agent/instance_dir.h"
#include "common/private_directory.h"

namespace remuda::agent {

absl::Status ClosePrivateFiles(const std::string& data_directory) {
  namespace fs = std::filesystem;
  std::vector<std::string> paths = {data_directory + "/assignment"};
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(data_directory + "/instances", error)) {
    const InstanceDir dir{entry.path().string()};
    paths.push_back(dir.Run());
    paths.push_back(dir.Token());
  }
  for (const std::string& path : paths) {
    const absl::StatusOr<bool> was_open = MakePrivateFile(path);
    if (!was_open.ok()) return was_open.status();
    if (*was_open) {
      spdlog::warn(
          "{} could be read by others: now it cannot. It may hold secrets; if somebody may "
          "have read it, set other values",
          path);
    }
  }
  return absl::OkStatus();
}

}  // namespace remuda::agent
