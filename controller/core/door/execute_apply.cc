// ApplyResources: a manifest's resources as one edit, all or nothing, in the order in which they
// may refer to each other.
#include "controller/core/deployment/begins_from.h"
#include "controller/core/door/begin_deployment.h"
#include "controller/core/door/defaults.h"
#include "controller/core/door/done.h"
#include "controller/core/door/field_mask.h"
#include "controller/core/door/follow_targets.h"
#include "controller/core/door/prepare.h"
#include "controller/core/door/secrets.h"
#include "controller/core/door/templates.h"
#include "controller/core/model/deployment_row.h"
#include "controller/core/model/launch_ref.h"
#include "controller/core/model/shift_row.h"

namespace remuda::core {
namespace {

// ABORTED unless the manifest gives no etag or the one of what it is about to change: it was edited
// from an older reading, and would undo what was done since.
template <class T>
absl::Status CheckEtagOf(const std::string& id, const std::shared_ptr<const T>& before,
                         const std::string& given) {
  if (before != nullptr) return CheckEtag(Row<T>{id, before}, given);
  return given.empty() ? absl::OkStatus() : EtagMismatch(NameOf<T>(id), given, "");
}

class Apply {
 public:
  Apply(Draft& draft, const v1::ApplyResourcesRequest& request, const Context& context)
      : draft_(draft),
        request_(request),
        context_(context),
        references_{draft, {}, context.check_authorities, context.analysis_commands} {}

  absl::StatusOr<v1::ApplyResourcesResponse> Run();

 private:
  using KindCase = v1::Resource::KindCase;

  // Where the resource is, and the name that it gives; violations if it gives none, or one twice.
  void ReadNames();
  template <class T>
  void ReadName(int index, const std::string& name);
  // Each resource of one kind.
  void ApplyTemplate(int index, v1::LaunchTemplateVersion value);
  template <class T>
  void ApplyNamed(int index, T value);
  void CheckPorts();
  void Tell(int index, std::string name, v1::AppliedResource::Outcome outcome,
            std::vector<std::string> changes);
  // What a deployment decided stays, unless the request says otherwise.
  void KeepDeployed(int index, const std::shared_ptr<const v1::AutoScalingGroup>& before,
                    v1::AutoScalingGroup& value);
  void KeepDeployed(int index, const std::shared_ptr<const v1::LoadBalancer>& before,
                    v1::LoadBalancer& value);
  template <class T>
  void KeepDeployed(int, const std::shared_ptr<const T>&, T&) {}
  // The version that the manifest names, or the newest where it names none, is to be deployed by
  // the group's own settings, instead of being what new instances run.
  void DeployInstead(int index, const std::shared_ptr<const v1::AutoScalingGroup>& before,
                     v1::AutoScalingGroup& value);
  template <class T>
  void DeployInstead(int, const std::shared_ptr<const T>&, T&) {}
  // Once all resources are as they shall be.
  void BeginDeployments();
  // What a person should know of the resource as it is now.
  void Warn(int index, const v1::AutoScalingGroup& value);
  template <class T>
  void Warn(int, const T&) {}
  void Fail(const absl::Status& status) {
    if (failure_.ok()) failure_ = status;
  }

  template <class T>
  FieldPath At(int index) const {
    return FieldPath("resources")[index] / Traits<T>::kField;
  }

  Draft& draft_;
  const v1::ApplyResourcesRequest& request_;
  const Context& context_;
  References references_;
  Violations violations_;
  absl::Status failure_;                            // the first that is not about one field
  std::vector<std::string> ids_;                    // by index; empty if it has no valid name
  std::map<int, v1::LaunchTemplateRef> to_deploy_;  // by index
  v1::ApplyResourcesResponse response_;
};

template <class T>
void Apply::ReadName(int index, const std::string& name) {
  const FieldPath at = At<T>(index) / "name";
  std::string id = name;
  if (name.empty()) {
    violations_.Add(at, "must be given");
    return;
  }
  if (!NormalizeReference(violations_, at, Traits<T>::kCollection, id)) return;
  if (!references_.declared.insert(NameOf<T>(id)).second) {
    violations_.Add(at, absl::StrCat(NameOf<T>(id), " is given twice"));
    return;
  }
  ids_[static_cast<size_t>(index)] = std::move(id);
}

void Apply::ReadNames() {
  ids_.resize(static_cast<size_t>(request_.resources_size()));
  for (int i = 0; i < request_.resources_size(); ++i) {
    response_.add_results();
    const v1::Resource& resource = request_.resources(i);
    switch (resource.kind_case()) {
      case KindCase::kLaunchTemplate:
        ReadName<v1::LaunchTemplateVersion>(i, WithoutVersion(resource.launch_template().name()));
        break;
      case KindCase::kTargetGroup:
        ReadName<v1::TargetGroup>(i, resource.target_group().name());
        break;
      case KindCase::kAutoScalingGroup:
        ReadName<v1::AutoScalingGroup>(i, resource.auto_scaling_group().name());
        break;
      case KindCase::kLoadBalancer:
        ReadName<v1::LoadBalancer>(i, resource.load_balancer().name());
        break;
      case KindCase::kCertificate:
        ReadName<v1::Certificate>(i, resource.certificate().name());
        break;
      case KindCase::kSecurityGroup:
        ReadName<v1::SecurityGroup>(i, resource.security_group().name());
        break;
      case KindCase::KIND_NOT_SET:
        violations_.Add(FieldPath("resources")[i],
                        "must be one of launch_template, target_group, auto_scaling_group, "
                        "load_balancer, certificate, security_group");
        break;
    }
  }
}

void Apply::Tell(int index, std::string name, v1::AppliedResource::Outcome outcome,
                 std::vector<std::string> changes) {
  auto& result = *response_.mutable_results(index);
  if (outcome != v1::AppliedResource::OUTCOME_UNCHANGED) {
    const char* verb = outcome == v1::AppliedResource::OUTCOME_CREATED ? "Created " : "Updated ";
    NoteDone(draft_, context_,
             {.resource = WithoutVersion(name),
              .description = absl::StrCat(verb, name, changes.empty() ? "" : ": ", Joined(changes)),
              .cause = "a person applied a manifest"});
  }
  result.set_name(std::move(name));
  result.set_outcome(outcome);
  for (std::string& change : changes) result.add_changes(std::move(change));
}

void Apply::ApplyTemplate(int index, v1::LaunchTemplateVersion value) {
  const std::string& id = ids_[static_cast<size_t>(index)];
  const std::string etag = value.etag();
  ClearOutputOnly(value);
  const size_t wrong = violations_.size();
  KeepSecrets(violations_, At<v1::LaunchTemplateVersion>(index), NewestOf(draft_, id).get(), value);
  ApplyDefaults(value);
  Check(violations_, At<v1::LaunchTemplateVersion>(index), references_, value);
  if (violations_.size() > wrong || id.empty()) return;
  Fail(CheckTemplateQuota(draft_, id));
  const int newest = NewestVersion(draft_, id);
  const bool existed = newest > 0;
  Fail(
      CheckEtagOf(id, draft_.Find<v1::LaunchTemplateVersion>(LaunchTemplateKey(id, newest)), etag));
  TemplateResult put = PutTemplate(draft_, id, std::move(value), context_);
  Tell(index, draft_.Find<v1::LaunchTemplateVersion>(put.key)->name(),
       !put.is_new ? v1::AppliedResource::OUTCOME_UNCHANGED
                   : (existed ? v1::AppliedResource::OUTCOME_UPDATED
                              : v1::AppliedResource::OUTCOME_CREATED),
       std::move(put.changes));
}

void Apply::KeepDeployed(int index, const std::shared_ptr<const v1::AutoScalingGroup>& before,
                         v1::AutoScalingGroup& value) {
  if (before == nullptr || request_.overwrite_deployed_template()) return;
  const std::string& deployment = before->launch_template_set_by();
  if (deployment.empty() || IsSame(before->launch_template(), value.launch_template())) return;
  const std::string group(IdOf(value.name()));
  const std::string wanted = TextOf(value.launch_template());
  response_.mutable_results(index)->add_warnings(
      absl::StrCat("launch_template stays ", TextOf(before->launch_template()), ", which ",
                   NameOf<v1::Deployment>(deployment), " set, and does not become ", wanted,
                   ": `remuda deploy asg/", group, " --template ", wanted,
                   "` moves the group, `remuda apply --overwrite-deployed-template` changes new "
                   "instances only"));
  *value.mutable_launch_template() = before->launch_template();
  value.set_launch_template_set_by(deployment);
}

void Apply::KeepDeployed(int index, const std::shared_ptr<const v1::LoadBalancer>& before,
                         v1::LoadBalancer& value) {
  if (before == nullptr || request_.overwrite_deployed_template()) return;
  for (const std::string& id : ShiftsOf(draft_, IdOf(value.name()))) {
    const auto row = draft_.Find<v1::Deployment>(id);
    const v1::TrafficShift& shift = row->shift();
    if (StageOf(*row) != Stage::kSucceeded) continue;
    const v1::ForwardAction* is = ForwardOf(*before, shift);
    v1::ForwardAction* wish = ForwardOf(value, shift);
    const std::string& from = shift.from_target_group();
    const std::string& to = shift.to_target_group();
    // As the shift left it, and back as it was before.
    if (is == nullptr || wish == nullptr || WeightIn(*is, from) > 0 || WeightIn(*is, to) == 0 ||
        WeightIn(*wish, from) == 0 || WeightIn(*wish, to) > 0) {
      continue;
    }
    response_.mutable_results(index)->add_warnings(absl::StrCat(
        ActionName(shift), " stays with target group ", to, ", to which ",
        NameOf<v1::Deployment>(id), " shifted it, and does not go back to ", from,
        ": `remuda deployment rollback ", id,
        "` shifts it back, `remuda apply --overwrite-deployed-template` moves it at once"));
    *wish = *is;
  }
}

void Apply::DeployInstead(int index, const std::shared_ptr<const v1::AutoScalingGroup>& before,
                          v1::AutoScalingGroup& value) {
  if (before == nullptr || !value.has_deployment() || request_.overwrite_deployed_template())
    return;
  const v1::LaunchTemplateRef& given =
      request_.resources(index).auto_scaling_group().launch_template();
  v1::LaunchTemplateRef wanted = value.launch_template();
  if (given.version().empty()) {
    const std::string& name = wanted.launch_template();
    wanted = Numbered(name, NewestVersion(draft_, name));
  }
  *value.mutable_launch_template() = before->launch_template();
  value.set_launch_template_set_by(before->launch_template_set_by());
  to_deploy_.emplace(index, Numbered(wanted));
}

void Apply::BeginDeployments() {
  for (auto& [index, wanted] : to_deploy_) {
    const std::string& group_id = ids_[static_cast<size_t>(index)];
    auto& result = *response_.mutable_results(index);
    const auto group = draft_.Find<v1::AutoScalingGroup>(group_id);
    if (const auto active = FindActiveDeployment(draft_, group_id); active.has_value()) {
      const std::string name = NameOf<v1::Deployment>(active->id);
      const bool goes_there =
          !IsRollback(StageOf(*active->value)) && IsSame(active->value->to(), wanted);
      if (goes_there) {
        result.set_deployment(active->id);
      } else {
        result.add_warnings(absl::StrCat(
            name, " is under way and goes to ", TextOf(active->value->to()), ": ", TextOf(wanted),
            " is not deployed; apply again when it has ended, or `remuda deploy asg/", group_id,
            " --template ", TextOf(wanted), " --supersede`"));
      }
      continue;
    }
    if (IsSame(RunsBeside(draft_, group_id, *group, wanted), wanted)) continue;  // it runs, alone
    v1::Deployment wish;
    *wish.mutable_to() = wanted;
    CompleteWish(*group, wish);
    const auto id =
        BeginDeployment(draft_, group_id, std::move(wish),
                        {.refuse_failed = true, .cause = "a person applied a manifest"}, context_);
    if (id.ok()) {
      result.set_deployment(*id);
      for (const std::string& warning : draft_.Find<v1::Deployment>(*id)->warnings()) {
        result.add_warnings(absl::StrCat("deployment to ", TextOf(wanted), ": ", warning));
      }
    } else {
      result.add_warnings(absl::StrCat(
          TextOf(wanted), " is not deployed: ", std::string(id.status().message()),
          "; `remuda deploy asg/", group_id, " --template ", TextOf(wanted), "` tries it again"));
    }
  }
}

void Apply::Warn(int index, const v1::AutoScalingGroup& value) {
  auto& result = *response_.mutable_results(index);
  const v1::LaunchTemplateRef& runs = value.launch_template();
  const int newest = NewestVersion(draft_, runs.launch_template());
  if (!to_deploy_.contains(index) &&
      request_.resources(index).auto_scaling_group().launch_template().version().empty() &&
      newest > runs.resolved_version()) {
    result.add_warnings(absl::StrCat(
        "launch_template stays ", TextOf(runs), ", as no version is named; the newest is ", newest,
        ": `remuda deploy asg/", std::string(IdOf(value.name())), " --template ",
        runs.launch_template(), ":", newest, "` moves the group to it"));
  }
  const v1::AutoScalingGroup shown = Describe(draft_, context_.seen, GatesNow(), value);
  for (const std::string& warning : shown.status().warnings()) result.add_warnings(warning);
}

absl::Status CheckApplied(const Draft& draft, const std::string& id,
                          const v1::AutoScalingGroup& before, const v1::AutoScalingGroup& after) {
  return CheckGroupChange(draft, id, before, after);
}
template <class T>
absl::Status CheckApplied(const Draft&, const std::string&, const T&, const T&) {
  return absl::OkStatus();
}

template <class T>
void Apply::ApplyNamed(int index, T value) {
  const std::string& id = ids_[static_cast<size_t>(index)];
  const std::shared_ptr<const T> before = id.empty() ? nullptr : draft_.Find<T>(id);
  const size_t wrong = violations_.size();
  const std::string etag = value.etag();
  KeepSecrets(violations_, At<T>(index), before.get(), value);
  Prepare(violations_, At<T>(index), references_, id, before.get(), context_, value);
  if (violations_.size() > wrong || id.empty()) return;
  Fail(CheckEtagOf(id, before, etag));
  DeployInstead(index, before, value);
  KeepDeployed(index, before, value);
  std::string name = value.name();
  Warn(index, value);
  if (before == nullptr) {
    Fail(CheckQuota<T>(draft_));
    draft_.Put(id, std::move(value));
    Tell(index, std::move(name), v1::AppliedResource::OUTCOME_CREATED, {});
    return;
  }
  std::vector<std::string> changes = Differences(*before, value);
  if (changes.empty())
    return Tell(index, std::move(name), v1::AppliedResource::OUTCOME_UNCHANGED, {});
  Fail(CheckApplied(draft_, id, *before, value));
  DropFollowed(draft_, id, value, context_);
  draft_.Put(id, std::move(value));
  Tell(index, std::move(name), v1::AppliedResource::OUTCOME_UPDATED, std::move(changes));
}

// Only when all load balancers are as they shall be: two of them may have swapped their ports.
void Apply::CheckPorts() {
  for (int i = 0; i < request_.resources_size(); ++i) {
    if (request_.resources(i).kind_case() != KindCase::kLoadBalancer) continue;
    const std::string& id = ids_[static_cast<size_t>(i)];
    const auto value = draft_.Find<v1::LoadBalancer>(id);
    if (value != nullptr) CheckPortsFree(violations_, At<v1::LoadBalancer>(i), draft_, id, *value);
  }
}

absl::StatusOr<v1::ApplyResourcesResponse> Apply::Run() {
  CheckCount(violations_, FieldPath("resources"), request_.resources_size(), 1,
             limits::kResourcesAnApply);
  if (!violations_.empty()) return violations_.ToStatus();
  ReadNames();
  constexpr KindCase kOrder[] = {KindCase::kSecurityGroup, KindCase::kLaunchTemplate,
                                 KindCase::kTargetGroup,   KindCase::kAutoScalingGroup,
                                 KindCase::kCertificate,   KindCase::kLoadBalancer};
  for (const KindCase kind : kOrder) {
    for (int i = 0; i < request_.resources_size(); ++i) {
      const v1::Resource& resource = request_.resources(i);
      if (resource.kind_case() != kind) continue;
      if (kind == KindCase::kSecurityGroup) ApplyNamed(i, resource.security_group());
      if (kind == KindCase::kLaunchTemplate) ApplyTemplate(i, resource.launch_template());
      if (kind == KindCase::kTargetGroup) ApplyNamed(i, resource.target_group());
      if (kind == KindCase::kAutoScalingGroup) ApplyNamed(i, resource.auto_scaling_group());
      if (kind == KindCase::kCertificate) ApplyNamed(i, resource.certificate());
      if (kind == KindCase::kLoadBalancer) ApplyNamed(i, resource.load_balancer());
    }
  }
  if (violations_.empty()) CheckPorts();
  if (!violations_.empty()) return violations_.ToStatus();
  if (!failure_.ok()) return failure_;
  BeginDeployments();
  return response_;
}

}  // namespace

absl::StatusOr<v1::ApplyResourcesResponse> Execute(Draft& draft,
                                                   const v1::ApplyResourcesRequest& request,
                                                   const Context& context) {
  Draft::Savepoint before = draft.Save();
  absl::StatusOr<v1::ApplyResourcesResponse> response = Apply(draft, request, context).Run();
  if (!response.ok()) draft.Restore(std::move(before));
  return response;
}

}  // namespace remuda::core
