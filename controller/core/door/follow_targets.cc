#include "controller/core/door/follow_targets.h"

#include <absl/strings/str_cat.h>

#include <set>
#include <utility>

#include "common/traffic/address.h"
#include "controller/core/door/done.h"
#include "controller/core/model/limits.h"
#include "controller/core/model/words.h"

namespace remuda::core {
namespace {

// Rows of the group by target id, as the draft has them.
using Rows = std::map<std::string, std::shared_ptr<const v1::Target>>;
Rows RowsOf(const Draft& draft, const std::string& group) {
  const std::string prefix = TargetKey(group, "");
  Rows rows;
  draft.ForEachRowFrom<v1::Target>(
      prefix, [&](const std::string& key, const std::shared_ptr<const v1::Target>& row) {
        if (key.compare(0, prefix.size(), prefix) != 0) return false;
        rows.emplace(key.substr(prefix.size()), row);
        return true;
      });
  return rows;
}

v1::Target Drained(const v1::Target& row, Time now) {
  v1::Target out = row;
  out.set_state(v1::TARGET_STATE_DRAINING);
  *out.mutable_drain_start_time() = ToProto(now);
  return out;
}

// As the source says that it is.
v1::Target AsTold(const std::string& key, const FollowedEndpoint& endpoint,
                  const std::string& source, const v1::Target* before, Time now) {
  v1::Target out;
  if (before != nullptr) {
    out = *before;
  } else {
    out.set_name(FullName(kTargetGroups, key));
    out.set_address(endpoint.address);
    out.set_port(endpoint.port);
    *out.mutable_create_time() = ToProto(now);
  }
  if (before == nullptr || !IsFollowed(*before)) out.set_weight(1);
  out.set_state(v1::TARGET_STATE_INITIAL);
  out.clear_drain_start_time();
  out.set_zone(endpoint.zone);
  out.set_source(source);
  return out;
}

// Edits targets of one group, as many as one commit takes.
class TargetEdits {
 public:
  TargetEdits(Draft& draft, const std::string& group, Time now)
      : draft_(draft), group_(group), now_(now) {}

  // False: it must wait for the next commit.
  bool Register(const std::string& id, const FollowedEndpoint& endpoint, const std::string& source,
                const v1::Target* before) {
    if (!HasRoom()) return false;
    const std::string key = TargetKey(group_, id);
    v1::Target row = AsTold(key, endpoint, source, before, now_);
    const bool is_news = before == nullptr || before->has_drain_start_time();
    if (is_news) registered_.push_back(row.name());
    draft_.Put(key, std::move(row));
    ++edits_;
    return true;
  }
  bool Drain(const std::string& id, const v1::Target& row) {
    if (!HasRoom()) return false;
    drained_.push_back(row.name());
    draft_.Put(TargetKey(group_, id), Drained(row, now_));
    ++edits_;
    return true;
  }

  void Note(const Context& context, const std::string& cause) const {
    std::vector<std::string> parts;
    const auto say = [&parts](const char* what, const std::vector<std::string>& names) {
      if (names.empty()) return;
      parts.push_back(absl::StrCat(what, " ", Counted(static_cast<int64_t>(names.size()), "target"),
                                   names.size() == 1 ? ": " : ", the first: ", names.front()));
    };
    say("Registered", registered_);
    say("Draining", drained_);
    if (parts.empty()) return;
    NoteDone(draft_, context,
             {.resource = FullName(kTargetGroups, group_),
              .description = absl::StrJoin(parts, "; "),
              .cause = cause});
  }

 private:
  bool HasRoom() const { return edits_ < limits::kTargetsARequest; }

  Draft& draft_;
  const std::string& group_;
  const Time now_;
  int edits_ = 0;
  std::vector<std::string> registered_;  // names
  std::vector<std::string> drained_;
};

}  // namespace

std::string SourceText(const v1::TargetSource& source) {
  if (!source.has_kubernetes()) return "";
  const v1::KubernetesTargets& of = source.kubernetes();
  return absl::StrCat("kubernetes/", of.namespace_(), "/", of.service(),
                      of.port().empty() ? "" : "/", of.port());
}

bool IsFollowed(const v1::Target& row) { return !row.source().empty(); }

absl::StatusOr<FollowedTargets> Execute(Draft& draft, const FollowTargets& wish,
                                        const Context& context) {
  FollowedTargets out;
  const auto group = draft.Find<v1::TargetGroup>(wish.target_group);
  if (group == nullptr || SourceText(group->targets()) != wish.source) return out;
  const Rows rows = RowsOf(draft, wish.target_group);
  size_t in_group = rows.size();
  size_t in_cluster = draft.state().All<v1::Target>().size();
  TargetEdits edits(draft, wish.target_group, context.now);
  std::set<std::string, std::less<>> wanted;
  for (const FollowedEndpoint& endpoint : wish.endpoints) {
    const std::string id = traffic::TargetIdOf(endpoint.address, endpoint.port);
    const auto it = rows.find(id);
    const v1::Target* before = it == rows.end() ? nullptr : it->second.get();
    wanted.insert(id);
    if (before == nullptr) {
      const bool has_place = in_group < static_cast<size_t>(limits::kTargetsAGroup) &&
                             in_cluster < limits::kTargetsByHand;
      out.left_out += has_place ? 0 : 1;
      if (!has_place) continue;
      ++in_group;
      ++in_cluster;
    } else if (!before->has_drain_start_time() &&
               (!IsFollowed(*before) ||
                (before->zone() == endpoint.zone && before->source() == wish.source))) {
      continue;
    }
    if (!edits.Register(id, endpoint, wish.source, before)) out.is_complete = false;
  }
  for (const auto& [id, row] : rows) {
    if (!IsFollowed(*row) || row->has_drain_start_time() || wanted.contains(id)) continue;
    if (!edits.Drain(id, *row)) out.is_complete = false;
  }
  edits.Note(context, "so its source says: " + wish.source);
  return out;
}

void DropFollowed(Draft& draft, const std::string& id, const v1::TargetGroup& after,
                  const Context& context) {
  if (after.targets().source_case() != v1::TargetSource::SOURCE_NOT_SET) return;
  std::string first;
  int64_t count = 0;
  for (const auto& [target, row] : RowsOf(draft, id)) {
    if (!IsFollowed(*row) || row->has_drain_start_time()) continue;
    if (count++ == 0) first = row->name();
    draft.Put(TargetKey(id, target), Drained(*row, context.now));
  }
  if (count == 0) return;
  NoteDone(draft, context,
           {.resource = after.name(),
            .description = absl::StrCat("Draining ", Counted(count, "target"),
                                        count == 1 ? ": " : ", the first: ", first),
            .cause = "the group follows no source any more"});
}

}  // namespace remuda::core
