// What launch templates may say of paths, static sites and limits that hosts enforce: the
// controller's door and the agent hold a template against the same rules.
//
// Pure. Each answers what is wrong, for a person, or nothing.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace remuda {

inline constexpr int kMaxWritablePaths = 20;
inline constexpr size_t kMaxAppPathBytes = 1024;
inline constexpr int64_t kMinDiskBytes = int64_t{1} << 20;
inline constexpr int kMinOpenFiles = 16;
inline constexpr int kMaxOpenFiles = 1'048'576;
inline constexpr size_t kMaxCacheControlBytes = 255;

// A directory of the host, absolute, as it is written: no `.`, `..` or empty part, and not `/`.
std::string WrongWithHostPath(std::string_view path);
// A file or directory of an image, below its top, as it is written. Empty is right.
std::string WrongWithImagePath(std::string_view path);
// A file's name without a directory. Empty is right.
std::string WrongWithFileName(std::string_view name);
// The value of a header. Empty is right.
std::string WrongWithCacheControl(std::string_view value);
// 0 is right: no number is named.
std::string WrongWithOpenFiles(int64_t files);
// ResourceLimits.disk. Empty is right.
std::string WrongWithDisk(std::string_view text);

}  // namespace remuda
