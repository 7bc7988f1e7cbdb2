#include "controller/core/model/state.h"

#include <cstdio>
#include <type_traits>
#include <utility>

#include "common/status.h"

namespace remuda::core {
namespace {

const IdSet& SetOf(const IdIndex& index, std::string_view key) {
  static const auto* const kNone = new IdSet();
  const auto it = index.find(key);
  return it == index.end() ? *kNone : it->second;
}

void Drop(IdIndex& index, const std::string& key, const std::string& id) {
  const auto it = index.find(key);
  if (it == index.end()) return;
  it->second.erase(id);
  if (it->second.empty()) index.erase(it);
}

}  // namespace

std::string LaunchTemplateKey(std::string_view id, int version) {
  char number[16];
  std::snprintf(number, sizeof number, "%08d", version);
  return std::string(id) + "/versions/" + number;
}

std::string TargetKey(std::string_view group, std::string_view target) {
  return std::string(group) + "/targets/" + std::string(target);
}

std::string LoadHistoryKey(std::string_view group, v1::ScalingMetric metric) {
  return std::string(group) + "/" + std::to_string(static_cast<int>(metric));
}

const IdSet& State::InstancesOfGroup(std::string_view group) const {
  return SetOf(instances_by_group_, group);
}

const IdSet& State::InstancesOnHost(std::string_view host) const {
  return SetOf(instances_by_host_, host);
}

const HostUse& State::UseOfHost(std::string_view host) const {
  static const auto* const kNone = new HostUse();
  const auto it = use_by_host_.find(host);
  return it == use_by_host_.end() ? *kNone : it->second;
}

Instances State::ListOfGroup(std::string_view group) const {
  if (const auto it = lists_by_group_.find(group); it != lists_by_group_.end()) return it->second;
  const auto& table = All<v1::Instance>();
  const IdSet& ids = InstancesOfGroup(group);
  // Nothing would end the list of a group that is gone.
  if (ids.empty()) return Instances(std::make_shared<InstanceList>());
  auto list = std::make_shared<InstanceList>();
  list->reserve(ids.size());
  for (const std::string& id : ids) list->emplace_back(id, table.find(id)->second.value);
  return lists_by_group_.emplace(group, Instances(std::move(list))).first->second;
}

void State::CountUse(const v1::Instance* before, const v1::Instance* after) {
  if (before != nullptr && after != nullptr && HasSameUse(*before, *after)) return;
  if (before != nullptr) {
    if (const auto it = use_by_host_.find(before->host()); it != use_by_host_.end()) {
      it->second.Remove(*before);
      if (it->second.empty()) use_by_host_.erase(it);
    }
  }
  if (after != nullptr) {
    HostUse& use = use_by_host_[after->host()];
    use.Add(*after);
    if (use.empty()) use_by_host_.erase(after->host());  // one that ended well
  }
}

void State::Reindex(const std::string& key, const v1::Instance* before, const v1::Instance* after) {
  CountUse(before, after);
  if (before != nullptr && after != nullptr && before->host() == after->host() &&
      before->auto_scaling_group() == after->auto_scaling_group()) {
    lists_by_group_.erase(after->auto_scaling_group());
    return;
  }
  if (before != nullptr) {
    Drop(instances_by_group_, before->auto_scaling_group(), key);
    Drop(instances_by_host_, before->host(), key);
    lists_by_group_.erase(before->auto_scaling_group());
  }
  if (after != nullptr) {
    instances_by_group_[after->auto_scaling_group()].insert(key);
    instances_by_host_[after->host()].insert(key);
    lists_by_group_.erase(after->auto_scaling_group());
  }
}

template <class T>
void State::Put(const std::string& key, std::shared_ptr<const T> value, int64_t commit) {
  auto& table = std::get<Table<T>>(tables_);
  const auto it = table.find(key);
  if constexpr (std::is_same_v<T, v1::Instance>) {
    Reindex(key, it == table.end() ? nullptr : it->second.value.get(), value.get());
  }
  if (value == nullptr) {
    if (it != table.end()) table.erase(it);
  } else if (it == table.end()) {
    table.emplace(key, Entry<T>{std::move(value), commit});
  } else {
    it->second = Entry<T>{std::move(value), commit};
  }
}

void State::Apply(const Changes& changes, int64_t commit) {
  for (const Edit& edit : changes.edits) {
    VisitKind(edit.kind, [&](auto* tag) {
      using T = std::remove_pointer_t<decltype(tag)>;
      Put<T>(edit.key, std::static_pointer_cast<const T>(edit.value), commit);
    });
  }
  commit_ = commit;
}

absl::Status State::Load(Kind kind, std::string_view key, std::string_view bytes, int64_t commit) {
  if (kind < Kind::kImage || kind > kLastKind) {
    // Without it this program would decide as if it were not there.
    return FailedPrecondition("SCHEMA_TOO_NEW",
                              "store: row " + std::string(key) + " is of kind " +
                                  std::to_string(static_cast<int>(kind)) +
                                  ", which this program does not know: a newer one wrote it; start "
                                  "that one, or restore a backup from before");
  }
  return VisitKind(kind, [&](auto* tag) -> absl::Status {
    using T = std::remove_pointer_t<decltype(tag)>;
    auto value = std::make_shared<T>();
    if (!value->ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
      return Internal("store: row " + std::string(key) + " of kind " +
                      std::to_string(static_cast<int>(kind)) + " (" + std::to_string(bytes.size()) +
                      " bytes) is not a " + value->GetTypeName());
    }
    Put<T>(std::string(key), std::move(value), commit);
    return absl::OkStatus();
  });
}

}  // namespace remuda::core
