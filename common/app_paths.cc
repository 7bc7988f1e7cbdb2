#include "common/app_paths.h"

#include <algorithm>

#include "common/quantity.h"

namespace remuda {
namespace {

std::string Quoted(std::string_view text) { return "\"" + std::string(text) + "\""; }

// Parts between slashes, none of them special.
std::string WrongWithParts(std::string_view path, std::string_view shown) {
  if (path.size() > kMaxAppPathBytes) {
    return std::to_string(path.size()) + " bytes; at most " + std::to_string(kMaxAppPathBytes);
  }
  if (path.find('\0') != std::string_view::npos) return "must not contain a NUL byte";
  for (size_t begin = 0; begin <= path.size();) {
    const size_t end = std::min(path.find('/', begin), path.size());
    const std::string_view part = path.substr(begin, end - begin);
    if (part.empty() || part == "." || part == "..")
      return Quoted(shown) + " must have no empty part, no . and no .. in it";
    begin = end + 1;
  }
  return "";
}

}  // namespace

std::string WrongWithHostPath(std::string_view path) {
  if (path.size() < 2 || path[0] != '/')
    return Quoted(path) + " must be the absolute path of a directory below /";
  return WrongWithParts(path.substr(1), path);
}

std::string WrongWithImagePath(std::string_view path) {
  return path.empty() ? "" : WrongWithParts(path, path);
}

std::string WrongWithFileName(std::string_view name) {
  if (name.find('/') != std::string_view::npos)
    return Quoted(name) + " must be a file's name, without a directory";
  return WrongWithImagePath(name);
}

std::string WrongWithCacheControl(std::string_view value) {
  if (value.size() > kMaxCacheControlBytes) {
    return std::to_string(value.size()) + " bytes; at most " +
           std::to_string(kMaxCacheControlBytes);
  }
  const bool is_printable =
      std::all_of(value.begin(), value.end(), [](char c) { return c >= ' ' && c <= '~'; });
  return is_printable ? "" : "must be printable ASCII, for it is a header's value";
}

std::string WrongWithOpenFiles(int64_t files) {
  if (files == 0 || (files >= kMinOpenFiles && files <= kMaxOpenFiles)) return "";
  return std::to_string(files) + " is not within " + std::to_string(kMinOpenFiles) + " and " +
         std::to_string(kMaxOpenFiles);
}

std::string WrongWithDisk(std::string_view text) {
  if (text.empty()) return "";
  const auto bytes = ParseMemoryBytes(std::string(text));
  if (!bytes.ok()) return std::string(bytes.status().message());
  return *bytes >= kMinDiskBytes ? "" : Quoted(text) + " is below 1Mi";
}

}  // namespace remuda
