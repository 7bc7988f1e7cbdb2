// What an app asks of the controller through the agent's HTTP port: from a request to the AppCall,
// and from the AppAnswer to the response.
//
// Pure: no clock, no I/O.
#pragma once

#include <string>
#include <string_view>
#include <variant>

#include "remuda/agent/v1/agent.pb.h"

namespace remuda::agent {

inline constexpr const char* kAppPaths[] = {"/v1/instance", "/v1/instance/protection",
                                            "/v1/instance/lifecycle/complete",
                                            "/v1/instance/lifecycle/heartbeat"};

struct AppReply {
  int status = 204;
  std::string body = {};   // JSON with an end of line; empty with 204
  std::string allow = {};  // of 405: the method that the path has
};

// The reply that says what is wrong: {"error": "..."}.
AppReply AppError(int status, std::string_view error);

// The token of an Authorization header; empty: it has none, in the form "Bearer TOKEN".
std::string BearerToken(std::string_view authorization);

// The call without its ids, or what is wrong with the request. `path` is one of kAppPaths.
std::variant<v1::AppCall, AppReply> ParseAppCall(std::string_view method, std::string_view path,
                                                 const std::string& body);

// `group`: id of the instance's group, as this host knows it.
AppReply ReplyTo(const v1::AppCall& call, const std::string& group, const v1::AppAnswer& answer);

}  // namespace remuda::agent
