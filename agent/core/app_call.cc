#include "agent/core/app_call.h"

#include <absl/status/status.h>
#include <absl/strings/str_cat.h>
#include <google/protobuf/struct.pb.h>
#include <google/protobuf/util/json_util.h>

#include <algorithm>
#include <initializer_list>
#include <optional>
#include <utility>

#include "common/ids.h"
#include "common/utf8.h"

namespace remuda::agent {
namespace {

using google::protobuf::Struct;
using google::protobuf::Value;

// Text as JSON, in quotes.
std::string Quoted(std::string_view text) {
  Value value;
  value.set_string_value(ValidUtf8(text));
  std::string json;
  return google::protobuf::util::MessageToJsonString(value, &json).ok() ? json : "\"\"";
}

// Nothing is an object without members.
std::optional<Struct> ParseObject(const std::string& body) {
  Struct object;
  if (body.find_first_not_of(" \t\r\n") == std::string::npos) return object;
  if (!IsUtf8(body) || !google::protobuf::util::JsonStringToMessage(body, &object).ok())
    return std::nullopt;
  return object;
}

const Value* Find(const Struct& object, const std::string& name) {
  const auto it = object.fields().find(name);
  return it == object.fields().end() ? nullptr : &it->second;
}

std::optional<std::string> OtherMember(const Struct& object,
                                       std::initializer_list<std::string_view> known) {
  for (const auto& [name, value] : object.fields()) {
    if (std::find(known.begin(), known.end(), name) == known.end())
      return absl::StrCat("\"", name, "\": there is no such member");
  }
  return std::nullopt;
}

// What is wrong with the body; nullopt: nothing, and it is in the call.
std::optional<std::string> TakeProtection(const Struct& object, v1::AppCall& call) {
  if (auto wrong = OtherMember(object, {"protected"})) return wrong;
  const Value* wanted = Find(object, "protected");
  if (wanted == nullptr || !wanted->has_bool_value()) return "\"protected\": must be true or false";
  call.set_set_protection(wanted->bool_value());
  return std::nullopt;
}

std::optional<std::string> TakeHook(const Struct& object, v1::AppHook& hook) {
  const Value* name = Find(object, "hook");
  if (name == nullptr) return std::nullopt;
  if (!name->has_string_value() || !IsId(name->string_value()))
    return "\"hook\": must be the name of a hook; left out: the only one that it waits for";
  hook.set_hook(name->string_value());
  return std::nullopt;
}

std::optional<std::string> TakeComplete(const Struct& object, v1::AppCall& call) {
  if (auto wrong = OtherMember(object, {"hook", "result"})) return wrong;
  const Value* result = Find(object, "result");
  const std::string text = result == nullptr ? "" : result->string_value();
  if (text != "CONTINUE" && text != "ABANDON")
    return "\"result\": must be \"CONTINUE\" or \"ABANDON\"";
  call.mutable_complete()->set_abandon(text == "ABANDON");
  return TakeHook(object, *call.mutable_complete());
}

std::optional<std::string> TakeHeartbeat(const Struct& object, v1::AppCall& call) {
  if (auto wrong = OtherMember(object, {"hook"})) return wrong;
  return TakeHook(object, *call.mutable_heartbeat());
}

// Of a google.rpc.Code.
int StatusOf(int code) {
  switch (static_cast<absl::StatusCode>(code)) {
    case absl::StatusCode::kInvalidArgument:
      return 400;
    case absl::StatusCode::kPermissionDenied:
      return 403;
    case absl::StatusCode::kNotFound:
      return 404;
    case absl::StatusCode::kFailedPrecondition:
    case absl::StatusCode::kAborted:
    case absl::StatusCode::kAlreadyExists:
      return 409;
    case absl::StatusCode::kResourceExhausted:
      return 429;
    case absl::StatusCode::kUnimplemented:
      return 501;
    case absl::StatusCode::kUnavailable:
      return 503;
    case absl::StatusCode::kDeadlineExceeded:
      return 504;
    default:
      return 500;
  }
}

}  // namespace

AppReply AppError(int status, std::string_view error) {
  return {.status = status, .body = absl::StrCat("{\"error\":", Quoted(error), "}\n")};
}

std::string BearerToken(std::string_view authorization) {
  constexpr std::string_view kScheme = "bearer ";
  if (authorization.size() <= kScheme.size()) return {};
  for (size_t i = 0; i < kScheme.size(); ++i) {
    const char c = authorization[i];
    if ((c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c) != kScheme[i]) return {};
  }
  authorization.remove_prefix(kScheme.size());
  authorization.remove_prefix(std::min(authorization.find_first_not_of(' '), authorization.size()));
  return std::string(authorization);
}

std::variant<v1::AppCall, AppReply> ParseAppCall(std::string_view method, std::string_view path,
                                                 const std::string& body) {
  const bool is_describe = path == "/v1/instance";
  const bool is_protection = path == "/v1/instance/protection";
  const std::string_view allowed = is_describe ? "GET" : is_protection ? "PUT" : "POST";
  if (method != allowed) {
    AppReply reply = AppError(405, absl::StrCat(std::string(method), " ", std::string(path),
                                                ": the method is ", std::string(allowed)));
    reply.allow = std::string(allowed);
    return reply;
  }
  v1::AppCall call;
  if (is_describe) {
    call.set_describe(true);
    return call;
  }
  const auto object = ParseObject(body);
  if (!object) return AppError(400, "the body must be a JSON object");
  const auto take = is_protection                               ? TakeProtection
                    : path == "/v1/instance/lifecycle/complete" ? TakeComplete
                                                                : TakeHeartbeat;
  if (const auto wrong = take(*object, call)) return AppError(400, *wrong);
  return call;
}

AppReply ReplyTo(const v1::AppCall& call, const std::string& group, const v1::AppAnswer& answer) {
  if (answer.code() != 0) return AppError(StatusOf(answer.code()), answer.message());
  if (!call.describe()) return {};
  std::string hooks;
  for (const std::string& hook : answer.hooks())
    absl::StrAppend(&hooks, hooks.empty() ? "" : ",", Quoted(hook));
  return {
      .status = 200,
      .body = absl::StrCat("{\"instance\":", Quoted(call.instance()), ",\"group\":", Quoted(group),
                           ",\"state\":", Quoted(answer.state()), ",\"hooks\":[", hooks,
                           "],\"protected\":", answer.is_protected() ? "true" : "false", "}\n")};
}

}  // namespace remuda::agent
