#include "proxy/config_file.h"

#include <filesystem>
#include <fstream>
#include <sstream>

#include "common/message_yaml.h"

namespace remuda::proxy {
namespace {

absl::Status ReadFile(const std::string& path, std::string& out) {
  std::ifstream in(path, std::ios::binary);
  std::stringstream text;
  text << in.rdbuf();
  if (!in) return absl::NotFoundError(path + ": cannot be read");
  out = text.str();
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
