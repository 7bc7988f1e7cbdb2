#include "controller/zone_reader.h"

#include <absl/strings/ascii.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <string>

namespace remuda {
namespace {

constexpr size_t kMaxNameBytes = 64;

// "Area/City", "Etc/GMT+1": no path that leaves the directory, none of the names that the library
// takes for something else.
bool IsZoneName(std::string_view name) {
  const auto is_right = [](char c) {
    return absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '/' || c == '_' || c == '-' ||
           c == '+';
  };
  return !name.empty() && name.size() <= kMaxNameBytes && name.front() != '/' &&
         name != "localtime" && std::all_of(name.begin(), name.end(), is_right);
}

}  // namespace

std::optional<absl::TimeZone> ReadZone(std::string_view name) {
  if (name == "UTC") return absl::UTCTimeZone();
  if (!IsZoneName(name)) return std::nullopt;
  // The library remembers each name that it was asked for, also one that it did not find.
  const char* directory = std::getenv("TZDIR");
  std::error_code error;
  const auto file =
      std::filesystem::path(directory == nullptr ? "/usr/share/zoneinfo" : directory) /
      std::string(name);
  if (!std::filesystem::is_regular_file(file, error)) return std::nullopt;
  absl::TimeZone zone;
  if (!absl::LoadTimeZone(std::string(name), &zone)) return std::nullopt;
  return zone;
}

}  // namespace remuda
