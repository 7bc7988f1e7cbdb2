#include "controller/core/model/draft.h"

#include <google/protobuf/util/message_differencer.h>

#include <cstdio>
#include <type_traits>

namespace remuda::core {
namespace {

using google::protobuf::util::MessageDifferencer;

// Instances that `base` lists as the overlay leaves them, and those that the overlay adds:
// `belongs` tells.
template <class Overlay, class Belongs>
InstanceList Merge(const State& state, const IdSet& base, const Overlay& overlay, Belongs belongs) {
  InstanceList out;
  auto top = overlay.begin();
  const auto take_top = [&] {
    if (top->second != nullptr && belongs(*top->second)) out.emplace_back(top->first, top->second);
    ++top;
  };
  for (const std::string& id : base) {
    while (top != overlay.end() && top->first < id) take_top();
    if (top != overlay.end() && top->first == id) {
      take_top();
      continue;
    }
    out.emplace_back(id, state.Find<v1::Instance>(id)->value);
  }
  while (top != overlay.end()) take_top();
  return out;
}

}  // namespace

InstanceList Draft::InstancesOfGroup(std::string_view group) const {
  return Merge(state_, state_.InstancesOfGroup(group), std::get<Overlay<v1::Instance>>(overlays_),
               [group](const v1::Instance& i) { return i.auto_scaling_group() == group; });
}

InstanceList Draft::InstancesOnHost(std::string_view host) const {
  return Merge(state_, state_.InstancesOnHost(host), std::get<Overlay<v1::Instance>>(overlays_),
               [host](const v1::Instance& i) { return i.host() == host; });
}

template <class T>
void Draft::Put(std::string_view key, T value) {
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
  return changes;
}

bool Draft::empty() const {
  return std::apply([](const auto&... overlay) { return (overlay.empty() && ...); }, overlays_);
}

Draft::Savepoint Draft::Save() const { return Savepoint(overlays_); }

void Draft::Restore(Savepoint savepoint) { overlays_ = std::move(savepoint.overlays_); }

// One explicit instantiation a kind keeps the bodies out of the header.
template void Draft::Put(std::string_view, v1::Image);
template void Draft::Put(std::string_view, v1::LaunchTemplate);
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
template void Draft::Delete<v1::Image>(std::string_view);
template void Draft::Delete<v1::LaunchTemplate>(std::string_view);
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

}  // namespace remuda::core
