#include "controller/core/model/names.h"

#include "common/ids.h"
#include "controller/core/model/limits.h"

namespace remuda::core {
namespace {

// "GROUP-N": a group's id, a hyphen and a number of up to 19 digits.
constexpr size_t kDeploymentIdBytes = limits::kIdBytes + 20;
constexpr std::string_view kVersions = "/versions/";

}  // namespace

std::string FullName(std::string_view collection, std::string_view id) {
  std::string name(collection);
  name += '/';
  name += id;
  return name;
}

bool IsValidId(std::string_view id) { return IsId(id, limits::kIdBytes); }

std::optional<std::string> IdIn(std::string_view collection, std::string_view name) {
  const size_t slash = name.find('/');
  if (slash != std::string_view::npos) {
    if (name.substr(0, slash) != collection) return std::nullopt;
    name.remove_prefix(slash + 1);
  }
  const size_t max_bytes = collection == kDeployments ? kDeploymentIdBytes : limits::kIdBytes;
  if (!IsId(name, max_bytes)) return std::nullopt;
  return std::string(name);
}

std::string VersionName(std::string_view launch_template, int version) {
  return FullName(kLaunchTemplates, launch_template) + std::string(kVersions) +
         std::to_string(version);
}

std::optional<VersionNameParts> VersionIn(std::string_view name) {
  const size_t at = name.find(kVersions);
  if (at == std::string_view::npos) return std::nullopt;
  std::optional<std::string> id = IdIn(kLaunchTemplates, name.substr(0, at));
  if (!id.has_value()) return std::nullopt;
  return VersionNameParts{*std::move(id), std::string(name.substr(at + kVersions.size()))};
}

std::string WithoutVersion(std::string_view name) {
  return std::string(name.substr(0, name.find(kVersions)));
}

std::string_view IdOf(std::string_view full_name) {
  const size_t slash = full_name.rfind('/');
  return slash == std::string_view::npos ? full_name : full_name.substr(slash + 1);
}

}  // namespace remuda::core
