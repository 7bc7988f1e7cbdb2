// Previews and mirroring: which requests reach a version of a group besides its share.
#pragma once

#include <cstddef>
#include <cstdint>

#include "common/traffic/field_fault.h"

namespace remuda::v1 {
class Mirror;
class PreviewCookie;
}  // namespace remuda::v1

namespace remuda::traffic {

inline constexpr int kMaxPreviews = 5;
inline constexpr int64_t kMaxMirroredBodyBytes = 1024 * 1024;
inline constexpr int64_t kDefaultMirroredBodyBytes = 64 * 1024;

// Name and value have at most kMaxTextBytes, and are what a Cookie field can carry (RFC 6265
// section 4.1.1).
FieldFaults CheckPreviewCookie(const v1::PreviewCookie& cookie);

FieldFaults CheckMirror(const v1::Mirror& mirror);

}  // namespace remuda::traffic
