#include "controller/identity/audit_record.h"

#include <algorithm>
#include <cctype>

#include "common/references.h"
#include "common/utf8.h"
#include "controller/core/door/shut_out.h"
#include "controller/core/model/names.h"

namespace remuda {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;

void Add(std::vector<std::string>& out, const std::string& name) {
  if (name.empty() || out.size() >= static_cast<size_t>(kMaxAuditResources)) return;
  std::string text = ValidUtf8(name, kMaxAuditNameBytes);
  if (std::find(out.begin(), out.end(), text) == out.end()) out.push_back(std::move(text));
}

// "TargetGroup" -> "targetGroups".
std::string CollectionOfType(const std::string& type) {
  if (type == "LaunchTemplateVersion") return std::string(core::kLaunchTemplates);
  std::string out = type;
  out.front() = static_cast<char>(std::tolower(static_cast<unsigned char>(out.front())));
  return out + "s";
}

bool IsText(const FieldDescriptor& field) {
  return !field.is_repeated() && field.cpp_type() == FieldDescriptor::CPPTYPE_STRING &&
         field.type() == FieldDescriptor::TYPE_STRING;
}

std::string TextOf(const Message& message, const std::string& name) {
  const FieldDescriptor* field = message.GetDescriptor()->FindFieldByName(name);
  return field == nullptr || !IsText(*field) ? ""
                                             : message.GetReflection()->GetString(message, field);
}

void AddOwnName(const Message& message, const std::string& id, std::vector<std::string>& out) {
  const std::string name = TextOf(message, "name").empty() ? id : TextOf(message, "name");
  if (name.empty()) return;
  const bool is_full = name.find('/') != std::string::npos;
  Add(out, is_full ? name : CollectionOfType(message.GetDescriptor()->name()) + "/" + name);
}

// The resources that it holds: `target_group` with `target_group_id`, a manifest's `resources`.
void AddHeld(const Message& message, std::vector<std::string>& out) {
  const auto* reflection = message.GetReflection();
  std::vector<const FieldDescriptor*> fields;
  reflection->ListFields(message, &fields);
  for (const FieldDescriptor* field : fields) {
    if (field->cpp_type() != FieldDescriptor::CPPTYPE_MESSAGE || field->is_map()) continue;
    if (!field->is_repeated()) {
      const Message& held = reflection->GetMessage(message, field);
      AddOwnName(held, TextOf(message, field->name() + "_id"), out);
      continue;
    }
    for (int i = 0; i < reflection->FieldSize(message, field); ++i) {
      const Message& held = reflection->GetRepeatedMessage(message, field, i);
      AddOwnName(held, "", out);
      if (held.GetDescriptor()->name() == "Resource") AddHeld(held, out);
    }
  }
}

// What it refers to, itself and in what it holds.
void AddReferences(const Message& message, int depth, std::vector<std::string>& out) {
  const auto* reflection = message.GetReflection();
  std::vector<const FieldDescriptor*> fields;
  reflection->ListFields(message, &fields);
  for (const FieldDescriptor* field : fields) {
    const std::string& collection = CollectionOf(*field);
    if (IsText(*field) && !collection.empty()) {
      const std::string& text = reflection->GetString(message, field);
      Add(out,
          text.empty() || text.find('/') != std::string::npos ? text : collection + "/" + text);
    }
    if (depth > 0 && !field->is_repeated() && field->cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE)
      AddReferences(reflection->GetMessage(message, field), depth - 1, out);
  }
}

template <class T>
int64_t CommitOfRow(const core::State& state, std::string_view key) {
  const auto* entry = state.Find<T>(key);
  return entry == nullptr ? 0 : entry->commit;
}

}  // namespace

std::vector<std::string> NamesIn(const Message& message) {
  std::vector<std::string> out;
  Add(out, TextOf(message, "name"));
  AddHeld(message, out);
  Add(out, TextOf(message, "parent"));
  AddReferences(message, 1, out);
  return out;
}

int64_t CommitOf(const core::State& state, std::string_view name) {
  const size_t slash = name.find('/');
  if (slash == std::string_view::npos) return 0;
  const std::string_view collection = name.substr(0, slash);
  const std::string_view rest = name.substr(slash + 1);
  const std::string_view id = rest.substr(0, rest.find('/'));
  if (collection == core::kLaunchTemplates) {
    const auto version = core::VersionIn(name);
    if (!version.has_value()) return CommitOfRow<v1::LaunchTemplate>(state, id);
    return CommitOfRow<v1::LaunchTemplateVersion>(
        state,
        core::LaunchTemplateKey(version->launch_template, std::atoi(version->version.c_str())));
  }
  if (collection == core::kTargetGroups) return CommitOfRow<v1::TargetGroup>(state, id);
  if (collection == core::kLoadBalancers) return CommitOfRow<v1::LoadBalancer>(state, id);
  if (collection == core::kAutoScalingGroups) return CommitOfRow<v1::AutoScalingGroup>(state, id);
  if (collection == core::kCertificates) return CommitOfRow<v1::Certificate>(state, id);
  if (collection == core::kInstances) return CommitOfRow<v1::Instance>(state, id);
  if (collection == core::kDeployments) return CommitOfRow<v1::Deployment>(state, id);
  if (collection == core::kImages) return CommitOfRow<v1::Image>(state, id);
  if (collection == core::kHosts) return CommitOfRow<v1::Host>(state, id);
  if (collection == core::kProxies) return CommitOfRow<v1::Proxy>(state, id);
  if (collection == core::kUsers) return CommitOfRow<v1::User>(state, id);
  if (collection == core::kJoinTokens) return CommitOfRow<v1::JoinToken>(state, id);
  if (collection == core::kRevocations) return CommitOfRow<v1::Revocation>(state, id);
  if (collection == "secrets") return CommitOfRow<v1::Secret>(state, id);
  if (collection == "securityGroups") return CommitOfRow<v1::SecurityGroup>(state, id);
  return 0;
}

AuditedWrite::AuditedWrite(const core::State& state, const Caller* caller, std::string_view method,
                           const Message& request)
    : commit_(state.commit()) {
  record_.set_method(std::string(method));
  if (caller != nullptr) {
    record_.set_actor(caller->actor());
    record_.set_certificate_serial(caller->peer.serial);
    record_.set_peer(caller->address);
    if (caller->peer.id.role == v1::IDENTITY_ROLE_PERSON) {
      const auto* user = state.Find<v1::User>(caller->peer.id.name);
      if (user != nullptr) record_.set_user_role(core::RoleText((*user)->role()));
    }
  }
  for (std::string& name : NamesIn(request)) record_.add_resources(std::move(name));
  if (record_.resources_size() > 0)
    record_.set_revision_before(CommitOf(state, record_.resources(0)));
  record_.set_request_id(ValidUtf8(TextOf(request, "request_id"), kMaxAuditNameBytes));
  const FieldDescriptor* check = request.GetDescriptor()->FindFieldByName("validate_only");
  is_check_ = check != nullptr && request.GetReflection()->GetBool(request, check);
}

v1::AuditRecord AuditedWrite::Failed(const absl::Status& status) const {
  v1::AuditRecord record = record_;
  record.set_code(static_cast<int>(status.code()));
  record.set_error(ValidUtf8(std::string(status.message()), kMaxAuditErrorBytes));
  return record;
}

v1::AuditRecord AuditedWrite::Done(const core::State& state, const absl::Status& status,
                                   const Message* answer) const {
  if (!status.ok()) return Failed(status);
  v1::AuditRecord record = record_;
  if (answer != nullptr) {
    std::vector<std::string> names = NamesIn(*answer);
    // What was made has its name only now.
    const bool is_new = record.resources_size() == 0;
    for (std::string& name : names) {
      if (record.resources_size() >= kMaxAuditResources) break;
      const auto& has = record.resources();
      if (std::find(has.begin(), has.end(), name) == has.end())
        record.add_resources(std::move(name));
      if (!is_new) break;
    }
  }
  if (is_check_ || record.resources_size() == 0) return record;
  const int64_t now = CommitOf(state, record.resources(0));
  if (now == 0 && record.revision_before() != 0) {
    record.set_revision_after(state.commit());  // it is gone
  } else if (now > commit_) {
    record.set_revision_after(now);
  }
  return record;
}

}  // namespace remuda
