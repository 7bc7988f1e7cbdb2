#include "proxy/control/config_file.h"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <filesystem>

#include "common/message_yaml.h"

namespace remuda::proxy {
namespace {

// How long a pipe may take to bring all of its bytes: who reads serves signals too.
constexpr std::chrono::milliseconds kPipePatience{5000};

// Reads all of it. A path may be a pipe, as <(command) of a shell is.
absl::Status ReadFile(const std::string& path, std::string& out) {
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) return absl::NotFoundError(path + ": cannot be read: " + std::strerror(errno));
  std::string text;
  char bytes[16384];
  ssize_t got = 1;
  int error = 0;
  const auto deadline = std::chrono::steady_clock::now() + kPipePatience;
  while (got != 0 && error == 0) {
    pollfd wanted{fd, POLLIN, 0};
    const auto left =
        std::chrono::ceil<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
    // Past it nothing more is read, though a writer without an end is always ready.
    const int ready = left.count() > 0 ? poll(&wanted, 1, static_cast<int>(left.count())) : 0;
    got = ready == 0 ? -1 : read(fd, bytes, sizeof bytes);
    if (got > 0) text.append(bytes, static_cast<size_t>(got));
    if (ready == 0) {
      error = ETIMEDOUT;
    } else if (got < 0 && errno != EINTR && errno != EAGAIN) {
      error = errno;
    }
  }
  close(fd);
  if (error == ETIMEDOUT)
    return absl::NotFoundError(path + ": cannot be read: a pipe that does not end in time");
  if (error != 0) return absl::NotFoundError(path + ": cannot be read: " + std::strerror(error));
  out = std::move(text);
  return absl::OkStatus();
}

struct PemField {
  const std::string& certificate;  // name, for errors
  const char* name;
  std::string* file;
  std::string* pem;
};

absl::Status TakeFile(const std::filesystem::path& folder, const PemField& field) {
  if (field.file->empty()) return absl::OkStatus();
  const std::string what = field.certificate + ": " + field.name + "_file: ";
  if (!field.pem->empty())
    return absl::InvalidArgumentError(what + field.name + "_pem is there too");
  const absl::Status status = ReadFile((folder / *field.file).string(), *field.pem);
  if (!status.ok()) return absl::NotFoundError(what + std::string(status.message()));
  field.file->clear();
  return absl::OkStatus();
}

}  // namespace

absl::Status ReadConfigFile(const std::string& path, v1::ProxyConfig* config, SourceMap* places) {
  std::string text;
  if (absl::Status status = ReadFile(path, text); !status.ok()) return status;
  if (absl::Status status = ParseMessageYaml(text, path, config, places); !status.ok())
    return status;
  for (const auto& group : config->target_groups()) {
    if (!group.has_targets()) continue;
    return absl::InvalidArgumentError(
        path + ": target group " + group.name() +
        ": targets: a proxy that has no controller follows nothing; list the targets themselves "
        "under `targets` of the file");
  }
  const std::filesystem::path folder = std::filesystem::path(path).parent_path();
  for (auto& certificate : *config->mutable_certificates()) {
    for (const PemField& field :
         {PemField{certificate.name(), "certificate", certificate.mutable_certificate_file(),
                   certificate.mutable_certificate_pem()},
          PemField{certificate.name(), "private_key", certificate.mutable_private_key_file(),
                   certificate.mutable_private_key_pem()}}) {
      if (absl::Status status = TakeFile(folder, field); !status.ok())
        return absl::Status(status.code(), path + ": " + std::string(status.message()));
    }
  }
  return absl::OkStatus();
}

}  // namespace remuda::proxy
