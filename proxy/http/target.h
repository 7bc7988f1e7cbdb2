// The request target and Host: one canonical path is both matched and forwarded (docs/proxy.md,
// "Paths").
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "proxy/http/head_parser.h"
#include "proxy/http/reason.h"

namespace remuda::proxy::http {

// What a load balancer says of paths that targets may read in another way than the proxy
// (LoadBalancer.path_normalization). The default is the strictest.
struct PathRules {
  enum class EscapedSlashes : uint8_t {
    kRefuse,  // %2F and %5C
    kKeep,    // they stay
    kDecode,  // %2F is a slash like any other; %5C is a backslash, which is refused
  };
  // What follows a ';' in a segment (RFC 3986 section 3.3).
  enum class Parameters : uint8_t {
    kRefuseHiding,  // where the segment is "." or ".." without them, or empty and not the last
    kRefuse,
    kStrip,
    kKeep,
  };
  bool merges_slashes = true;
  EscapedSlashes escaped_slashes = EscapedSlashes::kRefuse;
  Parameters parameters = Parameters::kRefuseHiding;
};

// Checks the request target against the method and Host, and sets head.path, head.query,
// head.has_query and head.host. `head` must have been parsed from a writable buffer: the path is
// made canonical in place, which never lengthens it. Rules:
//  - one Host, required in HTTP/1.1 (RFC 9112 section 3.2); an absolute-form target must name the
//  same authority, but for a port that is its scheme's own; its empty path is "/" ("*" for OPTIONS,
//  RFC 9112 section 3.2.4);
//  - CONNECT and TRACE are refused; "*" is for OPTIONS only;
//  - percent-encoded unreserved characters are decoded and other escapes get upper-case digits (RFC
//  3986 6.2.2);
//    a bad escape, %00 and a backslash are refused;
//  - slashes, escaped ones and parameters are as `rules` say, in every mode;
//  - what classify.h says that `mode` lets pass is made plain: the target's authority counts, "."
//    and ".." segments (after decoding) are resolved, never above the root.
Reason CanonicalizeTarget(RequestHead& head, DesyncMode mode = DesyncMode::kStrictest,
                          const PathRules& rules = {});

// Whether a client may send that as Host: a name or an [address], and perhaps a colon and up to
// five digits. More colons are refused: parsers differ on which of them ends the name.
bool IsHost(std::string_view host);

// Makes the escapes of a path, or of a pattern for paths, as CanonicalizeTarget does, so that they
// can be compared. False if one could not be sent: "%" without two hex digits, or %00.
bool CanonicalizeEscapes(std::string& path);

// "/path?query" in a writable buffer, by the rules of CanonicalizeTarget: made canonical in place;
// false if a client could not send it.
bool CanonicalizeOrigin(std::string_view& target, const PathRules& rules = {});

}  // namespace remuda::proxy::http
