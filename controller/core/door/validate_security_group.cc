// What a security group may say, and what it may be attached to.
#include <absl/strings/str_cat.h>

#include <algorithm>
#include <set>
#include <string>

#include "common/traffic/ingress.h"
#include "controller/core/door/validate_resources.h"
#include "controller/core/model/limits.h"
#include "controller/core/model/names.h"

namespace remuda::core {
namespace {

// Replaces each by its id. `own`: the id of the group itself, which may name itself before it is
// there; empty: none.
void CheckNamed(Violations& out, const FieldPath& at, const References& references, int max,
                std::string_view own, google::protobuf::RepeatedPtrField<std::string>& ids) {
  CheckCount(out, at, ids.size(), 0, max);
  std::set<std::string> seen;
  for (int i = 0; i < ids.size(); ++i) {
    std::string& id = *ids.Mutable(i);
    if (!NormalizeReference(out, at[i], kSecurityGroups, id)) continue;
    const std::string full = FullName(kSecurityGroups, id);
    if (id != own && !references.Exists<v1::SecurityGroup>(full, id)) {
      out.Add(at[i], absl::StrCat("there is no ", full));
    }
    if (!seen.insert(id).second) out.Add(at[i], absl::StrCat(full, " is named twice"));
  }
}

int CidrsOf(const v1::SecurityGroup& group) {
  int count = 0;
  for (const v1::IngressRule& rule : group.ingress()) count += rule.cidrs_size();
  return count;
}

// CIDRs of all groups of a list, `changed` in place of the row of its id.
int CidrsOf(const Draft& draft, const google::protobuf::RepeatedPtrField<std::string>& ids,
            std::string_view changed_id, const v1::SecurityGroup* changed) {
  int count = 0;
  for (const std::string& id : ids) {
    if (changed != nullptr && id == changed_id) {
      count += CidrsOf(*changed);
    } else if (const auto row = draft.Find<v1::SecurityGroup>(id); row != nullptr) {
      count += CidrsOf(*row);
    }
  }
  return count;
}

bool Names(const google::protobuf::RepeatedPtrField<std::string>& ids, std::string_view id) {
  return std::find(ids.begin(), ids.end(), id) != ids.end();
}

// That whoever has the group attached has not too many CIDRs with it.
void CheckUsersFit(Violations& out, const FieldPath& at, const Draft& draft, std::string_view id,
                   const v1::SecurityGroup& value) {
  const auto check = [&](std::string_view collection, const std::string& user,
                         const google::protobuf::RepeatedPtrField<std::string>& ids) {
    if (!Names(ids, id)) return;
    const int count = CidrsOf(draft, ids, id, &value);
    if (count <= limits::kCidrsAttached) return;
    out.Add(at,
            absl::StrCat(FullName(collection, user), " would have ", count,
                         " CIDRs with all its security groups, at most ", limits::kCidrsAttached));
  };
  draft.ForEach<v1::LoadBalancer>([&](const std::string& user, const v1::LoadBalancer& row) {
    check(kLoadBalancers, user, row.security_groups());
  });
  draft.ForEach<v1::AutoScalingGroup>(
      [&](const std::string& user, const v1::AutoScalingGroup& row) {
        check(kAutoScalingGroups, user, row.security_groups());
      });
}

}  // namespace

void Check(Violations& out, const FieldPath& at, const References& references,
           v1::SecurityGroup& value) {
  const size_t wrong = out.size();
  const std::string id(IdOf(value.name()));
  Tell(out, at, traffic::CheckIngress(value, traffic::kCidrsARule));
  for (int i = 0; i < value.ingress_size() && i < traffic::kRulesASecurityGroup; ++i) {
    const FieldPath here = (at / "ingress")[i];
    v1::IngressRule& rule = *value.mutable_ingress(i);
    CheckNamed(out, here / "security_groups", references, traffic::kSourceGroupsARule, id,
               *rule.mutable_security_groups());
    if (rule.cidrs().empty() && rule.security_groups().empty()) {
      out.Add(here / "cidrs", "a rule needs a source: cidrs or security_groups");
    }
  }
  CheckLabels(out, at / "labels", value.labels());
  if (out.size() == wrong) CheckUsersFit(out, at / "ingress", references.draft, id, value);
}

void CheckAttached(Violations& out, const FieldPath& at, const References& references,
                   google::protobuf::RepeatedPtrField<std::string>& security_groups) {
  CheckNamed(out, at, references, traffic::kSecurityGroupsAttached, "", security_groups);
  const int count = CidrsOf(references.draft, security_groups, "", nullptr);
  if (count > limits::kCidrsAttached) {
    out.Add(at, absl::StrCat("the groups have ", count, " CIDRs in all, at most ",
                             limits::kCidrsAttached));
  }
}

}  // namespace remuda::core
