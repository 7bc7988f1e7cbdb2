#include "controller/core/model/draft.h"

#include <google/protobuf/util/message_differencer.h>

#include <algorithm>
#include <cstdio>
#include <iterator>
#include <type_traits>

namespace remuda::core {
namespace {

using google::protobuf::util::MessageDifferencer;

const IdSet* FindEdited(const IdIndex& index, std::string_view key) {
  const auto it = index.find(key);
  return it == index.end() ? nullptr : &it->second;
}

void Insert(IdIndex& index, const std::string& key, std::string_view id) { index[key].emplace(id); }

}  // namespace

Instances Draft::InstancesOfGroup(std::string_view group) const {
  const IdSet* edited = FindEdited(edited_.by_group, group);
  const Instances base = state_.ListOfGroup(group);
  if (edited == nullptr) return base;
  if (const auto it = lists_by_group_.find(group); it != lists_by_group_.end()) return it->second;
  auto list = std::make_shared<InstanceList>();
  list->reserve(base.size() + edited->size());
  const auto take = [&](const InstanceList::value_type& member) {
    if (member.second != nullptr && member.second->auto_scaling_group() == group) {
      list->push_back(member);
    }
  };
  auto top = edited->begin();
  const auto take_top = [&] {
    take({*top, Find<v1::Instance>(*top)});
    ++top;
  };
  for (const auto& member : base) {
    while (top != edited->end() && *top < member.first) take_top();
    if (top != edited->end() && *top == member.first) {
      take_top();
    } else {
      take(member);
    }
  }
  while (top != edited->end()) take_top();
  return lists_by_group_.emplace(group, Instances(std::move(list))).first->second;
}

InstanceList Draft::InstancesOnHost(std::string_view host) const {
  const IdSet& base = state_.InstancesOnHost(host);
  const IdSet* edited = FindEdited(edited_.by_host, host);
  InstanceList out;
  const auto take = [&](const std::string& id) {
    auto row = Find<v1::Instance>(id);
    if (row != nullptr && row->host() == host) out.emplace_back(id, std::move(row));
  };
  if (edited == nullptr) {
    for (const std::string& id : base) take(id);
    return out;
  }
  std::vector<std::string> both;
  std::set_union(base.begin(), base.end(), edited->begin(), edited->end(),
                 std::back_inserter(both));
  for (const std::string& id : both) take(id);
  return out;
}

const HostUse& Draft::UseOfHost(std::string_view host) const {
  const auto it = edited_.use.find(host);
  return it == edited_.use.end() ? state_.UseOfHost(host) : it->second;
}

HostUse& Draft::UseToEdit(const std::string& host) {
  const auto it = edited_.use.find(host);
  if (it != edited_.use.end()) return it->second;
  return edited_.use.emplace(host, state_.UseOfHost(host)).first->second;
}

void Draft::CountUse(const v1::Instance* before, const v1::Instance* now) {
  // What a host is known for changes with rows that take up the same.
  if (before != nullptr) host_log_.hosts.push_back(before->host());
  if (now != nullptr && (before == nullptr || before->host() != now->host())) {
    host_log_.hosts.push_back(now->host());
  }
  if (before != nullptr && now != nullptr && HasSameUse(*before, *now)) return;
  if (before != nullptr) UseToEdit(before->host()).Remove(*before);
  if (now != nullptr) UseToEdit(now->host()).Add(*now);
}

template <class T>
void Draft::Follow(std::string_view key, const T* now) {
  if constexpr (std::is_same_v<T, v1::Instance>) {
    Reindex(key, now);
  } else if constexpr (std::is_same_v<T, v1::Host> ||
                       std::is_same_v<T, v1::LaunchTemplateVersion>) {
    BeginEdition();
  }
}

void Draft::BeginEdition() {
  ++host_log_.edition;
  host_log_.hosts.clear();
}

void Draft::Reindex(std::string_view id, const v1::Instance* now) {
  const auto add = [&](const v1::Instance& row) {
    Insert(edited_.by_group, row.auto_scaling_group(), id);
    Insert(edited_.by_host, row.host(), id);
    lists_by_group_.erase(row.auto_scaling_group());
  };
  const auto before = Find<v1::Instance>(id);
  CountUse(before.get(), now);
  if (before != nullptr) add(*before);
  if (const auto* entry = state_.Find<v1::Instance>(id); entry != nullptr) add(**entry);
  if (now != nullptr) add(*now);
}

template <class T>
void Draft::Put(std::string_view key, T value) {
  Follow<T>(key, &value);
  auto& overlay = std::get<Overlay<T>>(overlays_);
  const Entry<T>* entry = state_.Find<T>(key);
  if (entry != nullptr && MessageDifferencer::Equals(*entry->value, value)) {
    // Back to what is committed: no edit at all.
    overlay.erase(std::string(key));
    return;
  }
  overlay[std::string(key)] = std::make_shared<const T>(std::move(value));
}

template <class T>
void Draft::Delete(std::string_view key) {
  Follow<T>(key, nullptr);
  auto& overlay = std::get<Overlay<T>>(overlays_);
  if (state_.Find<T>(key) == nullptr) {
    overlay.erase(std::string(key));
  } else {
    overlay[std::string(key)] = nullptr;
  }
}

int64_t Draft::Next(std::string_view counter) {
  const auto before = Find<store::v1::Counter>(counter);
  store::v1::Counter after;
  after.set_last((before == nullptr ? 0 : before->last()) + 1);
  const int64_t next = after.last();
  Put(counter, std::move(after));
  return next;
}

std::string Draft::Note(v1::Activity activity) {
  char key[32];
  std::snprintf(key, sizeof key, "%020lld", static_cast<long long>(Next("activity")));
  activity.set_name(std::string("activities/") + key);
  if (activity.actor().empty()) activity.set_actor("system");
  Put(key, std::move(activity));
  return key;
}

Changes Draft::Take() {
  Changes changes;
  const auto move_all = [&changes](auto& overlay) {
    using T = std::remove_const_t<
        typename std::remove_reference_t<decltype(overlay)>::mapped_type::element_type>;
    for (auto& [key, value] : overlay) {
      changes.edits.push_back({KindOf<T>::value, key, std::move(value)});
    }
    overlay.clear();
  };
  std::apply([&](auto&... overlay) { (move_all(overlay), ...); }, overlays_);
  edited_ = {};
  lists_by_group_.clear();
  BeginEdition();
  return changes;
}

bool Draft::empty() const {
  return std::apply([](const auto&... overlay) { return (overlay.empty() && ...); }, overlays_);
}

Draft::Savepoint Draft::Save() const { return Savepoint(overlays_, edited_); }

void Draft::Restore(Savepoint savepoint) {
  overlays_ = std::move(savepoint.overlays_);
  edited_ = std::move(savepoint.edited_);
  lists_by_group_.clear();
  BeginEdition();
}

// One explicit instantiation a kind keeps the bodies out of the header.
template void Draft::Put(std::string_view, v1::Image);
template void Draft::Put(std::string_view, v1::LaunchTemplate);
template void Draft::Put(std::string_view, v1::LaunchTemplateVersion);
template void Draft::Put(std::string_view, v1::TargetGroup);
template void Draft::Put(std::string_view, v1::Target);
template void Draft::Put(std::string_view, v1::LoadBalancer);
template void Draft::Put(std::string_view, v1::Certificate);
template void Draft::Put(std::string_view, v1::AutoScalingGroup);
template void Draft::Put(std::string_view, v1::Instance);
template void Draft::Put(std::string_view, v1::Deployment);
template void Draft::Put(std::string_view, v1::Host);
template void Draft::Put(std::string_view, v1::Proxy);
template void Draft::Put(std::string_view, v1::Activity);
template void Draft::Put(std::string_view, store::v1::Counter);
template void Draft::Put(std::string_view, store::v1::RequestRecord);
template void Draft::Put(std::string_view, store::v1::LoadHistory);
template void Draft::Put(std::string_view, v1::User);
template void Draft::Put(std::string_view, v1::JoinToken);
template void Draft::Put(std::string_view, v1::Revocation);
template void Draft::Put(std::string_view, v1::Secret);
template void Draft::Put(std::string_view, v1::SecurityGroup);
template void Draft::Delete<v1::Image>(std::string_view);
template void Draft::Delete<v1::LaunchTemplate>(std::string_view);
template void Draft::Delete<v1::LaunchTemplateVersion>(std::string_view);
template void Draft::Delete<v1::TargetGroup>(std::string_view);
template void Draft::Delete<v1::Target>(std::string_view);
template void Draft::Delete<v1::LoadBalancer>(std::string_view);
template void Draft::Delete<v1::Certificate>(std::string_view);
template void Draft::Delete<v1::AutoScalingGroup>(std::string_view);
template void Draft::Delete<v1::Instance>(std::string_view);
template void Draft::Delete<v1::Deployment>(std::string_view);
template void Draft::Delete<v1::Host>(std::string_view);
template void Draft::Delete<v1::Proxy>(std::string_view);
template void Draft::Delete<v1::Activity>(std::string_view);
template void Draft::Delete<store::v1::Counter>(std::string_view);
template void Draft::Delete<store::v1::RequestRecord>(std::string_view);
template void Draft::Delete<store::v1::LoadHistory>(std::string_view);
template void Draft::Delete<v1::User>(std::string_view);
template void Draft::Delete<v1::JoinToken>(std::string_view);
template void Draft::Delete<v1::Revocation>(std::string_view);
template void Draft::Delete<v1::Secret>(std::string_view);
template void Draft::Delete<v1::SecurityGroup>(std::string_view);

}  // namespace remuda::core
