#include "controller/ready_file.h"

#include <cstdio>
#include <fstream>

#include "common/status.h"

namespace remuda {

absl::Status WriteReadyFile(const std::string& path, const std::string& grpc,
                            const std::string& http, const std::string& join) {
  if (path.empty()) return absl::OkStatus();
  const std::string temporary = path + ".tmp";
  std::ofstream out(temporary, std::ios::trunc);
  out << "{\"grpc\": \"" << grpc << "\", \"http\": \"" << http << "\"";
  if (!join.empty()) out << ", \"join\": \"" << join << "\"";
  out << "}\n";
  out.close();
  if (!out || std::rename(temporary.c_str(), path.c_str()) != 0)
    return Unavailable("--ready-file " + path + ": cannot be written");
  return absl::OkStatus();
}

}  // namespace remuda
