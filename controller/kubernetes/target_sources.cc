#include "controller/kubernetes/target_sources.h"

#include <absl/strings/str_cat.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <memory>
#include <utility>

#include "common/words.h"
#include "controller/core/model/limits.h"
#include "controller/core/model/names.h"
#include "controller/kubernetes/limits.h"
#include "controller/limits.h"

namespace remuda {
namespace {

constexpr char kNothingHeard[] = "nothing was heard yet";

bool IsSame(const v1::TargetSource& a, const v1::TargetSource& b) {
  return core::SourceText(a) == core::SourceText(b);
}

}  // namespace

TargetSources::TargetSources(Engine& engine, EndpointWatcher* watcher)
    : engine_(engine), watcher_(watcher) {
  for (const auto& [id, group] : engine.state().All<v1::TargetGroup>()) {
    if (group->has_targets()) changed_.insert(id);
  }
}

void TargetSources::OnCommit(const core::Changes& changes) {
  bool has_place = false;
  for (const core::Edit& edit : changes.edits) {
    if (edit.kind == core::Kind::kTargetGroup) changed_.insert(edit.key);
    if (edit.kind != core::Kind::kTarget) continue;
    // What a source has brought is as it should be. One that somebody deregistered, or that drains
    // because the group had no source for a moment, may be an endpoint; one that is gone leaves its
    // place to others.
    const auto* row = static_cast<const v1::Target*>(edit.value.get());
    if (row != nullptr && core::IsFollowed(*row) && !row->has_drain_start_time()) continue;
    std::string group = edit.key.substr(0, edit.key.find('/'));
    if (sources_.contains(group)) due_.insert(std::move(group));
    has_place |= row == nullptr;
  }
  if (!has_place) return;
  for (const auto& [group, source] : sources_) {
    if (source.left_out > 0) due_.insert(group);
  }
}

absl::Time TargetSources::Turn() {
  for (const std::string& group : std::exchange(changed_, {})) Look(group);
  was_answered_ = false;
  const absl::Time now = engine_.Now();
  absl::Time next = absl::InfiniteFuture();
  // From the one after the last on, and round.
  std::vector<std::string> groups(due_.upper_bound(last_asked_), due_.end());
  groups.insert(groups.end(), due_.begin(), due_.upper_bound(last_asked_));
  for (const std::string& group : groups) {
    if (under_way_ >= kubernetes::limits::kMaxAsked) break;
    const auto it = sources_.find(group);
    const bool is_known = it != sources_.end() && it->second.endpoints.has_value();
    if (is_known && it->second.is_under_way) continue;
    if (is_known && it->second.not_before > now) {
      next = std::min(next, it->second.not_before);
      continue;
    }
    due_.erase(group);
    if (is_known) Ask(group, it->second);
  }
  return next;
}

void TargetSources::Look(const std::string& group) {
  const auto* row = engine_.state().Find<v1::TargetGroup>(group);
  const auto it = sources_.find(group);
  const bool is_wanted = row != nullptr && (*row)->has_targets();
  if (it != sources_.end() && is_wanted && IsSame(it->second.wish, (*row)->targets())) return;
  if (it != sources_.end()) End(group);
  if (!is_wanted) return;
  Source& source = sources_[group];
  source.wish = (*row)->targets();
  Begin(group, source);
}

void TargetSources::Begin(const std::string& group, Source& source) {
  if (watcher_ == nullptr) {
    source.error = "this controller follows no sources";
    return;
  }
  const auto followed = std::count_if(sources_.begin(), sources_.end(),
                                      [](const auto& one) { return one.second.id != 0; });
  if (static_cast<size_t>(followed) >= kubernetes::limits::kMaxFollowed) {
    source.error = absl::StrCat(kubernetes::limits::kMaxFollowed,
                                " other target groups follow a source already (kMaxFollowed)");
    return;
  }
  source.error = kNothingHeard;
  source.id = ++last_id_;
  watcher_->Follow(
      source.id, source.wish.kubernetes(),
      [this, group, id = source.id](EndpointReport report) { Take(group, id, std::move(report)); });
}

void TargetSources::End(const std::string& group) {
  const auto it = sources_.find(group);
  if (it->second.id != 0) watcher_->Forget(it->second.id);
  sources_.erase(it);
  // One that found no place has it now.
  const auto waits = std::find_if(sources_.begin(), sources_.end(),
                                  [](const auto& source) { return source.second.id == 0; });
  if (watcher_ != nullptr && waits != sources_.end()) Begin(waits->first, waits->second);
}

void TargetSources::Take(const std::string& group, int64_t id, EndpointReport report) {
  const auto it = sources_.find(group);
  if (it == sources_.end() || it->second.id != id) return;  // forgotten since
  Source& source = it->second;
  if (report.error != source.error) {
    if (report.error.empty()) {
      spdlog::info("targetGroups/{}: it follows {}", group, core::SourceText(source.wish));
    } else {
      spdlog::warn("targetGroups/{}: its source {}: {}", group, core::SourceText(source.wish),
                   report.error);
    }
  }
  source.error = std::move(report.error);
  if (report.is_heard) source.contact = engine_.Now();
  if (!report.endpoints.has_value() || report.endpoints == source.endpoints) return;
  source.endpoints = std::move(report.endpoints);
  due_.insert(group);
}

void TargetSources::Ask(const std::string& group, Source& source) {
  source.is_under_way = true;
  ++under_way_;
  last_asked_ = group;
  const auto became = std::make_shared<core::FollowedTargets>();
  core::FollowTargets wish{.target_group = group,
                           .source = core::SourceText(source.wish),
                           .endpoints = *source.endpoints};
  engine_.Add({.decide = [wish = std::move(wish), became](
                             core::Draft& draft, const core::Context& context) -> absl::Status {
                 auto done = core::Execute(draft, wish, context);
                 if (done.ok()) *became = *done;
                 return done.status();
               },
               .done = [this, group, id = source.id, became](
                           const absl::Status& status,
                           const core::State&) { OnAnswered(group, id, status, *became); }});
}

void TargetSources::OnAnswered(const std::string& group, int64_t id, const absl::Status& status,
                               const core::FollowedTargets& became) {
  --under_way_;
  was_answered_ = true;
  const auto it = sources_.find(group);
  if (it == sources_.end() || it->second.id != id) return;
  Source& source = it->second;
  source.is_under_way = false;
  if (status.ok()) {
    source.left_out = became.left_out;
    if (became.is_complete) return;
  } else {
    source.not_before = engine_.Now() + limits::kCommitRetryDelay;
  }
  due_.insert(group);
}

void TargetSources::Show(v1::TargetGroup& group) const {
  if (!group.has_targets()) return;
  v1::TargetSourceStatus& status = *group.mutable_targets_status();
  const auto it = sources_.find(core::IdOf(group.name()));
  // Committed in this turn.
  if (it == sources_.end() || !IsSame(it->second.wish, group.targets()))
    return status.set_error(kNothingHeard);
  const Source& source = it->second;
  status.set_error(source.error);
  if (source.error.empty() && source.left_out > 0) {
    status.set_error(absl::StrCat(Counted(static_cast<int64_t>(source.left_out), "endpoint"),
                                  " found no place: a target group has at most ",
                                  core::limits::kTargetsAGroup, " targets, a cluster ",
                                  core::limits::kTargetsByHand, " that are not instances"));
  }
  if (source.contact != absl::InfinitePast())
    *status.mutable_contact_time() = core::ToProto(source.contact);
  status.set_endpoints(source.endpoints.has_value() ? static_cast<int>(source.endpoints->size())
                                                    : 0);
}

void TargetSources::Show(v1::ListTargetGroupsResponse& response) const {
  for (v1::TargetGroup& group : *response.mutable_target_groups()) Show(group);
}

}  // namespace remuda
