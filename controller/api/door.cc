#include "controller/api/door.h"

#include <google/protobuf/unknown_field_set.h>

#include <string>
#include <vector>

#include "common/status.h"
#include "controller/core/model/limits.h"
#include "controller/limits.h"

namespace remuda {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;

void FindUnknown(const Message& message, const std::string& at, std::vector<FieldViolation>& out) {
  const auto* reflection = message.GetReflection();
  const auto& unknown = reflection->GetUnknownFields(message);
  for (int i = 0; i < unknown.field_count(); ++i) {
    if (out.size() >= core::limits::kViolationsTold) return;
    out.push_back({at.empty() ? message.GetDescriptor()->name() : at,
                   "field " + std::to_string(unknown.field(i).number()) +
                       " is not known to this controller; is the caller of a newer version?"});
  }
  std::vector<const FieldDescriptor*> set;
  reflection->ListFields(message, &set);
  for (const FieldDescriptor* field : set) {
    if (field->cpp_type() != FieldDescriptor::CPPTYPE_MESSAGE) continue;
    const std::string here = at.empty() ? field->name() : at + "." + field->name();
    if (!field->is_repeated()) {
      FindUnknown(reflection->GetMessage(message, field), here, out);
      continue;
    }
    for (int i = 0; i < reflection->FieldSize(message, field); ++i) {
      FindUnknown(reflection->GetRepeatedMessage(message, field, i),
                  here + "[" + std::to_string(i) + "]", out);
    }
  }
}

}  // namespace

absl::Status CheckRequest(const Message& request) {
  const size_t bytes = request.ByteSizeLong();
  if (bytes > static_cast<size_t>(limits::kMaxRequestBytes)) {
    return LimitExceeded("kMaxRequestBytes",
                         "the request has " + std::to_string(bytes) + " bytes, more than " +
                             std::to_string(limits::kMaxRequestBytes) + "; split it");
  }
  std::vector<FieldViolation> unknown;
  FindUnknown(request, "", unknown);
  return unknown.empty() ? absl::OkStatus() : InvalidFields(unknown);
}

}  // namespace remuda
