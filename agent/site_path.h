// From a request to a file of a static site: which path it names, which part of the file it asks
// for, and what is said of it. No I/O.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace remuda::agent {

struct SitePath {
  // 0; or 400: no path (a wrong escape, a control character, `..`), 404: a name that begins with a
  // dot, which is not served (but `.well-known`), 414: too long.
  int status = 0;
  std::string path =
      {};  // below the site's root, without a slash at its begin or end; may be empty
  bool is_directory = false;  // it ended with a slash: `path` is the directory, not its index
};

inline constexpr size_t kMaxSitePathBytes = 4096;

// `target`: of the request line, as it came.
SitePath SitePathOf(std::string_view target);

// By the end of the name; application/octet-stream for what is not known.
std::string_view ContentTypeOf(std::string_view path);

struct ByteRange {
  uint64_t first = 0;
  uint64_t bytes = 0;
};
struct RangeWanted {
  bool is_unsatisfiable = false;
  std::optional<ByteRange> range = {};  // unset: all of it
};
// The value of a Range header, of a file of `size` bytes. More than one range, other units and
// whatever else is not understood mean all of it (RFC 9110 section 14.2).
RangeWanted RangeOf(std::string_view header, uint64_t size);

// Whether a list of entity tags (If-None-Match) has this one, or is `*`. Weakly compared.
bool HasTag(std::string_view list, std::string_view tag);

}  // namespace remuda::agent
