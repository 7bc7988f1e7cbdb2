// Roles: who may call what. One table of every method that the server serves; what is not in it
// nobody may call.
//
// Owns: the table and how it is applied to a request. Does not own: who calls (Callers) and who is
// shut out (DenyList). Pure. Thread: those that read state, the loop thread; the rest any.
#pragma once

#include <absl/status/status.h>
#include <google/protobuf/message.h>

#include <string>
#include <string_view>
#include <vector>

#include "controller/core/model/draft.h"
#include "controller/identity/caller.h"

namespace remuda {

// What a method needs. The order is that of docs/security.md.
enum class Need {
  kIdentity,     // any identity
  kView,         // viewer
  kViewOrServe,  // viewer; or the controller itself, which calls its own port
  kFetchImage,   // viewer; an agent, the images of its own instances; a controller
  kPushImage,    // deployer; an agent, the image that it was asked to make of its own instance
  kDeployAny,    // deployer of whatever groups
  kDeploy,       // deployer of the groups that the request is about
  kApply,        // operator; deployer: launch templates alone; admin: security groups as well
  kOperate,      // operator
  kAdminister,   // admin
  kAgent,        // an agent, as its own host
  kProxy,        // a proxy, as itself
  kController,   // a controller, as itself
};

struct MethodNeed {
  std::string_view method;  // "remuda.v1.TargetGroupService/CreateTargetGroup"
  Need need;
};
// By service, in the order of docs/security.md.
const std::vector<MethodNeed>& MethodNeeds();

// Null: it is not in the table.
const MethodNeed* FindMethod(std::string_view method);

// For people: "deployer of the groups that it is about".
std::string_view NeedText(Need need);

// Whether the caller may: OK, or PERMISSION_DENIED with who, method and what it needs (NOT_FOUND: a
// deployer names what is not there). A request that streams is held against its first message;
// Connect against nothing: whose host or proxy it is, is said by its hello.
absl::Status Authorize(const core::Draft& draft, const Caller& caller, std::string_view method,
                       const google::protobuf::Message& request);

// As far as it can be said without the request; `role` is that of a person (of none: no user). For
// gRPC's own services, whose requests nobody else sees.
absl::Status AuthorizeMethod(const Caller& caller, v1::UserRole role, std::string_view method);

// The table as docs/security.md has it.
std::string RolesAsMarkdown();

}  // namespace remuda
