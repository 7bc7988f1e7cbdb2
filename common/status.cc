#include "common/status.h"

#include <absl/strings/cord.h>

#include <cstdint>
#include <utility>

#include "google/rpc/status.pb.h"

namespace remuda {
namespace {

constexpr char kTypePrefix[] = "type.googleapis.com/";
constexpr char kDomain[] = "remuda";

absl::string_view Absl(std::string_view text) { return {text.data(), text.size()}; }

absl::Status Make(absl::StatusCode code, std::string_view message) {
  return absl::Status(code, Absl(message));
}

void Attach(absl::Status& status, const google::protobuf::Message& detail) {
  status.SetPayload(kTypePrefix + detail.GetTypeName(), absl::Cord(detail.SerializeAsString()));
}

absl::Status WithErrorInfo(absl::StatusCode code, std::string_view reason,
                           std::string_view message) {
  absl::Status status = Make(code, message);
  google::rpc::ErrorInfo info;
  info.set_reason(std::string(reason));
  info.set_domain(kDomain);
  Attach(status, info);
  return status;
}

std::string KindOf(std::string_view name) { return std::string(name.substr(0, name.find('/'))); }

absl::Status WithResource(absl::StatusCode code, std::string_view name, std::string_view message) {
  absl::Status status = Make(code, message);
  google::rpc::ResourceInfo info;
  info.set_resource_type(KindOf(name));
  info.set_resource_name(std::string(name));
  Attach(status, info);
  return status;
}

}  // namespace

absl::Status InvalidField(std::string_view field, std::string_view description) {
  return InvalidFields({{std::string(field), std::string(description)}});
}

absl::Status InvalidFields(const std::vector<FieldViolation>& violations) {
  std::string message;
  google::rpc::BadRequest bad;
  for (const FieldViolation& violation : violations) {
    if (!message.empty()) message += "; ";
    message += violation.field + ": " + violation.description;
    auto* out = bad.add_field_violations();
    out->set_field(violation.field);
    out->set_description(violation.description);
  }
  absl::Status status = Make(absl::StatusCode::kInvalidArgument, message);
  Attach(status, bad);
  return status;
}

absl::Status NotFound(std::string_view name) {
  return WithResource(absl::StatusCode::kNotFound, name, std::string(name) + ": no such resource");
}

absl::Status AlreadyExists(std::string_view name, std::string_view why) {
  return WithResource(absl::StatusCode::kAlreadyExists, name,
                      std::string(name) + ": " + std::string(why));
}

absl::Status FailedPrecondition(std::string_view reason, std::string_view message) {
  return WithErrorInfo(absl::StatusCode::kFailedPrecondition, reason, message);
}

absl::Status EtagMismatch(std::string_view name, std::string_view given, std::string_view current) {
  return WithErrorInfo(absl::StatusCode::kAborted, "ETAG_MISMATCH",
                       std::string(name) + ": etag \"" + std::string(given) +
                           "\" is not the current one, \"" + std::string(current) +
                           "\": read it again and repeat");
}

absl::Status LimitExceeded(std::string_view limit_name, std::string_view message) {
  absl::Status status = Make(absl::StatusCode::kResourceExhausted, message);
  google::rpc::ErrorInfo info;
  info.set_reason("LIMIT_EXCEEDED");
  info.set_domain(kDomain);
  (*info.mutable_metadata())["limit"] = std::string(limit_name);
  Attach(status, info);
  return status;
}

absl::Status Unimplemented(std::string_view message) {
  return Make(absl::StatusCode::kUnimplemented, message);
}
absl::Status Unavailable(std::string_view message) {
  return Make(absl::StatusCode::kUnavailable, message);
}
absl::Status Unavailable(std::string_view reason, std::string_view message) {
  return WithErrorInfo(absl::StatusCode::kUnavailable, reason, message);
}
absl::Status Internal(std::string_view message) {
  return Make(absl::StatusCode::kInternal, message);
}
absl::Status DeadlineExceeded(std::string_view message) {
  return Make(absl::StatusCode::kDeadlineExceeded, message);
}
absl::Status Aborted(std::string_view message) { return Make(absl::StatusCode::kAborted, message); }

std::vector<FieldViolation> ViolationsOf(const absl::Status& status) {
  std::vector<FieldViolation> out;
  const auto payload = status.GetPayload(kTypePrefix + google::rpc::BadRequest().GetTypeName());
  google::rpc::BadRequest bad;
  if (!payload.has_value() || !bad.ParseFromString(std::string(*payload))) return out;
  for (const auto& violation : bad.field_violations()) {
    out.push_back({violation.field(), violation.description()});
  }
  return out;
}

absl::Status WithFieldPrefix(const absl::Status& status, std::string_view prefix) {
  std::vector<FieldViolation> violations = ViolationsOf(status);
  if (violations.empty()) return status;
  for (FieldViolation& violation : violations) {
    violation.field = std::string(prefix) + violation.field;
  }
  return InvalidFields(violations);
}

std::string ToRpcStatusBytes(const absl::Status& status) {
  google::rpc::Status rpc;
  rpc.set_code(static_cast<int32_t>(status.code()));
  rpc.set_message(std::string(status.message()));
  status.ForEachPayload([&rpc](absl::string_view type_url, const absl::Cord& payload) {
    auto* any = rpc.add_details();
    any->set_type_url(std::string(type_url));
    any->set_value(std::string(payload));
  });
  return rpc.SerializeAsString();
}

absl::Status FromRpcStatus(int code, std::string_view message, std::string_view rpc_status_bytes) {
  absl::Status status = Make(static_cast<absl::StatusCode>(code), message);
  google::rpc::Status rpc;
  if (!rpc_status_bytes.empty() && rpc.ParseFromString(std::string(rpc_status_bytes))) {
    for (const auto& any : rpc.details())
      status.SetPayload(any.type_url(), absl::Cord(any.value()));
  }
  return status;
}

namespace {

// Percent-encoding makes at most three bytes of one in the message, Base64 four of three in the
// details: together under 8 KiB.
constexpr size_t kMaxTrailerMessageBytes = 1200;
constexpr size_t kMaxTrailerDetailBytes = 2400;

// The first `limit` bytes or less, never half a UTF-8 character.
std::string Cut(std::string_view text, size_t limit) {
  if (text.size() <= limit) return std::string(text);
  size_t end = limit;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xc0) == 0x80) --end;
  return std::string(text.substr(0, end)) + " ... (cut)";
}

}  // namespace

absl::Status CutToFitTrailers(const absl::Status& status) {
  const std::string_view message(status.message().data(), status.message().size());
  size_t details = 0;
  status.ForEachPayload([&](absl::string_view type, const absl::Cord& value) {
    details += type.size() + value.size();
  });
  if (message.size() <= kMaxTrailerMessageBytes &&
      message.size() + details <= kMaxTrailerDetailBytes)
    return status;

  absl::Status out = Make(status.code(), Cut(message, kMaxTrailerMessageBytes));
  size_t room = kMaxTrailerDetailBytes - out.message().size();
  google::rpc::BadRequest bad;
  for (const FieldViolation& violation : ViolationsOf(status)) {
    google::rpc::BadRequest with_it = bad;
    auto* added = with_it.add_field_violations();
    added->set_field(Cut(violation.field, 200));
    added->set_description(Cut(violation.description, 400));
    if (with_it.ByteSizeLong() + sizeof kTypePrefix + bad.GetTypeName().size() > room) break;
    bad = std::move(with_it);
  }
  if (bad.field_violations_size() > 0) {
    Attach(out, bad);
    room -= bad.ByteSizeLong();
  }
  // Other details as they are, if they fit.
  status.ForEachPayload([&](absl::string_view type, const absl::Cord& value) {
    if (out.GetPayload(type).has_value() || type.size() + value.size() > room) return;
    out.SetPayload(type, value);
    room -= type.size() + value.size();
  });
  return out;
}

}  // namespace remuda
