// Security groups: what of them is checked and kept, and their end. Create and update take the
// steps that all resources take (execute_resource.cc).
#include <algorithm>

#include "controller/core/door/done.h"
#include "controller/core/door/prepare.h"

namespace remuda::core {
namespace {

// Who names it; empty if nobody else does.
std::string UserOfSecurityGroup(const Draft& draft, std::string_view id) {
  std::string user;
  const auto look = [&](std::string name,
                        const google::protobuf::RepeatedPtrField<std::string>& ids) {
    if (user.empty() && std::find(ids.begin(), ids.end(), id) != ids.end()) user = std::move(name);
  };
  draft.ForEach<v1::LoadBalancer>([&](const std::string& lb, const v1::LoadBalancer& value) {
    look(NameOf<v1::LoadBalancer>(lb), value.security_groups());
  });
  draft.ForEach<v1::AutoScalingGroup>(
      [&](const std::string& group, const v1::AutoScalingGroup& value) {
        look(NameOf<v1::AutoScalingGroup>(group), value.security_groups());
      });
  draft.ForEach<v1::SecurityGroup>([&](const std::string& other, const v1::SecurityGroup& value) {
    if (other == id) return;  // it may go with its own rules
    for (int i = 0; i < value.ingress_size(); ++i) {
      look(absl::StrCat("ingress[", i, "] of ", NameOf<v1::SecurityGroup>(other)),
           value.ingress(i).security_groups());
    }
  });
  return user;
}

}  // namespace

void Prepare(Violations& out, const FieldPath& at, const References& references,
             std::string_view id, const v1::SecurityGroup* before, const Context& context,
             v1::SecurityGroup& value) {
  KeepIdentity(id, before, context, value);
  ApplyDefaults(value);
  Check(out, at, references, value);
}

absl::StatusOr<Empty> Execute(Draft& draft, const v1::DeleteSecurityGroupRequest& request,
                              const Context& context) {
  const auto row = FindRowToWrite<v1::SecurityGroup>(draft, request);
  if (!row.ok()) return row.status();
  if (const std::string user = UserOfSecurityGroup(draft, row->id); !user.empty()) {
    return FailedPrecondition("SECURITY_GROUP_IN_USE",
                              absl::StrCat(row->value->name(), ": ", user, " names it"));
  }
  DeleteRow(draft, context, *row);
  return Empty();
}

}  // namespace remuda::core
