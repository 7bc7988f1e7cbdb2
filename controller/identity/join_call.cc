#include "controller/identity/join_call.h"

#include <google/protobuf/util/json_util.h>

#include "common/identity/spiffe_id.h"
#include "common/utf8.h"
#include "controller/identity/join_limits.h"

namespace remuda {
namespace {

constexpr size_t kMaxTokenBytes = 128;

template <class Request>
absl::StatusOr<Request> Parse(const std::string& body) {
  Request request;
  google::protobuf::util::JsonParseOptions options;
  // Enums by number and by name; a field that is not known is an error.
  options.ignore_unknown_fields = false;
  if (!IsUtf8(body)) return absl::InvalidArgumentError("the body is no UTF-8");
  const auto status = google::protobuf::util::JsonStringToMessage(body, &request, options);
  // Its words repeat parts of the body, and so of a token.
  if (!status.ok())
    return absl::InvalidArgumentError("the body is no JSON of a " +
                                      Request::descriptor()->full_name());
  return request;
}

absl::Status Check(const join::v1::JoinRequest& request) {
  if (request.token().empty()) return absl::InvalidArgumentError("token: is missing");
  if (request.token().size() > kMaxTokenBytes)
    return absl::InvalidArgumentError("token: is over " + std::to_string(kMaxTokenBytes) +
                                      " bytes");
  if (request.role() != v1::IDENTITY_ROLE_AGENT && request.role() != v1::IDENTITY_ROLE_PROXY &&
      request.role() != v1::IDENTITY_ROLE_PERSON)
    return absl::InvalidArgumentError("role: must be agent, proxy or person");
  if (!identity::IsIdentityName(request.subject()))
    return absl::InvalidArgumentError("subject: must match [a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?");
  return absl::OkStatus();
}

absl::Status Check(const join::v1::RenewRequest& request) {
  if (request.certificate_pem().empty())
    return absl::InvalidArgumentError("certificatePem: is missing");
  if (request.proof().empty()) return absl::InvalidArgumentError("proof: is missing");
  return absl::OkStatus();
}

template <class Request>
absl::StatusOr<JoinWish> Read(const std::string& body) {
  auto request = Parse<Request>(body);
  if (!request.ok()) return request.status();
  if (absl::Status status = Check(*request); !status.ok()) return status;
  return JoinWish(*std::move(request));
}

std::string Json(const google::protobuf::Message& message) {
  std::string out;
  // It cannot fail: all texts in it are ours.
  (void)google::protobuf::util::MessageToJsonString(message, &out);
  return out + "\n";
}

int HttpStatusOf(absl::StatusCode code) {
  switch (code) {
    case absl::StatusCode::kInvalidArgument:
      return 400;
    case absl::StatusCode::kUnauthenticated:
    case absl::StatusCode::kPermissionDenied:
      return 403;
    case absl::StatusCode::kNotFound:
      return 404;
    case absl::StatusCode::kUnimplemented:
      return 405;
    case absl::StatusCode::kFailedPrecondition:
      return 409;
    case absl::StatusCode::kOutOfRange:
      return 413;
    case absl::StatusCode::kResourceExhausted:
      return 429;
    case absl::StatusCode::kUnavailable:
      return 503;
    default:
      return 500;
  }
}

}  // namespace

absl::StatusOr<JoinWish> ReadJoinCall(const JoinCall& call) {
  const bool is_join = call.target == "/v1/join";
  if (!is_join && call.target != "/v1/renew")
    return absl::NotFoundError("there are /v1/join and /v1/renew");
  if (call.method != "POST") return absl::UnimplementedError("only POST is served here");
  if (call.content_type != "application/json")
    return absl::InvalidArgumentError("content-type: must be application/json");
  if (call.body.size() > limits::kMaxJoinBodyBytes)
    return absl::OutOfRangeError("the body is over " + std::to_string(limits::kMaxJoinBodyBytes) +
                                 " bytes");
  return is_join ? Read<join::v1::JoinRequest>(call.body) : Read<join::v1::RenewRequest>(call.body);
}

JoinAnswer AnswerOf(const join::v1::JoinResponse& response) {
  return {.status = 200, .body = Json(response)};
}

JoinAnswer AnswerOf(const absl::Status& status) {
  join::v1::JoinError error;
  error.set_error(std::string(status.message()));
  return {.status = HttpStatusOf(status.code()), .body = Json(error)};
}

}  // namespace remuda
