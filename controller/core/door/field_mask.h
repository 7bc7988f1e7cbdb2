// Update masks as AIP-134 has them, and what differs between two values of a resource. Pure.
#pragma once

#include <google/protobuf/field_mask.pb.h>
#include <google/protobuf/message.h>

#include <string>
#include <string_view>
#include <vector>

#include "controller/core/door/validate.h"

namespace remuda::core {

// Whether the mask takes all that can be written: none given, or `*`.
bool TakesAll(const google::protobuf::FieldMask& mask);

// Whether the mask takes `field` (a path) or a part of it.
bool Takes(const google::protobuf::FieldMask& mask, std::string_view field);

// Each path names a field of `message`'s type, not one of `read_only` (first parts of paths) nor
// one behind a list or a map.
void CheckMask(Violations& out, const FieldPath& at, const google::protobuf::FieldMask& mask,
               const google::protobuf::Message& message,
               const std::vector<std::string_view>& read_only);

// Sets the fields that the (checked) mask names in `to` as they are in `from`; what is not set
// there is cleared. Lists and maps are replaced as wholes.
void CopyMasked(const google::protobuf::FieldMask& mask, const google::protobuf::Message& from,
                google::protobuf::Message& to);

// Each field that differs, `health_check.interval: 1s -> 2s`, in the order of the type's fields;
// entries of lists and maps by themselves. At most limits::kChangesTold.
std::vector<std::string> Differences(const google::protobuf::Message& before,
                                     const google::protobuf::Message& after);

}  // namespace remuda::core
