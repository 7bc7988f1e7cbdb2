#include "controller/views/agent_views.h"

#include <google/protobuf/util/message_differencer.h>

#include <memory>
#include <utility>
#include <vector>

#include "controller/core/views/assignment.h"

namespace remuda {

using google::protobuf::util::MessageDifferencer;

void AgentViews::Bring(View& view, core::Wishes now) {
  for (const auto& [id, wish] : view.wishes) {
    if (!now.contains(id)) view.log.Remove(id);
  }
  for (const auto& [id, wish] : now) {
    const auto known = view.wishes.find(id);
    if (known != view.wishes.end() && known->second == wish) continue;
    agent::v1::InstanceAssignment value = core::AssignmentOf(id, wish);
    // A launch template that was written again may say the same.
    const auto it = view.log.resources().find(id);
    if (it != view.log.resources().end() && MessageDifferencer::Equals(*it->second, value))
      continue;
    view.log.Set(id, std::make_shared<const agent::v1::InstanceAssignment>(std::move(value)));
  }
  view.wishes = std::move(now);
}

void AgentViews::Refresh(const core::State& state, const core::Observations& seen,
                         const core::Ingress& ingress, const std::set<std::string>& touched) {
  std::vector<ViewLog*> published;
  for (const std::string& host : touched) {
    if (state.Find<v1::Host>(host) == nullptr) {
      views_.erase(host);
      continue;
    }
    View& view = views_[host];
    view.log.Cover(commit_);
    published.push_back(&view.log);
    Bring(view, core::WishesFor(state, seen, ingress, host));
  }
  const int64_t sequence = next_sequence_();
  for (ViewLog* view : published) view->Publish(sequence, state.commit());
  commit_ = state.commit();
}

const ViewLog* AgentViews::ViewOf(std::string_view host) const {
  const auto it = views_.find(host);
  return it == views_.end() ? nullptr : &it->second.log;
}

int64_t AgentViews::CoveredBy(std::string_view host, int64_t sequence) const {
  const ViewLog* view = ViewOf(host);
  if (view == nullptr || sequence == 0) return 0;
  return sequence == view->sequence() ? commit_ : view->CoveredBy(sequence);
}

bool AgentViews::CanBuildOn(std::string_view host, int64_t held) const {
  const ViewLog* view = ViewOf(host);
  return view != nullptr && view->Knows(held);
}

void AgentViews::Surpass(std::string_view host, int64_t held) {
  const auto it = views_.find(host);
  if (it == views_.end() || it->second.log.sequence() > held) return;
  ViewLog& view = it->second.log;
  view.Publish(next_sequence_(), CoveredBy(host, view.sequence()), /*force=*/true);
}

std::string AgentViews::DigestOf(std::string_view host) const {
  const ViewLog* view = ViewOf(host);
  return view == nullptr ? "" : view->digest().bytes();
}

void AgentViews::Name(const ViewLog& view, agent::v1::AssignmentUpdate& update) const {
  update.mutable_revision()->set_epoch(epoch_);
  update.mutable_revision()->set_sequence(view.sequence());
  update.set_digest(view.digest().bytes());
}

Frame AgentViews::RenamingOf(std::string_view host, const v1::Revision& held) const {
  const ViewLog* view = ViewOf(host);
  if (view == nullptr) return nullptr;
  agent::v1::ConnectResponse response;
  Name(*view, *response.mutable_update());
  *response.mutable_update()->mutable_base() = held;
  return MakeFrame(response);
}

Frame AgentViews::UpdateFor(std::string_view host, std::optional<int64_t> base) {
  const ViewLog* view = ViewOf(host);
  if (view == nullptr) return nullptr;
  agent::v1::ConnectResponse response;
  agent::v1::AssignmentUpdate& update = *response.mutable_update();
  Name(*view, update);
  const auto add = [&update](const ViewLog::Resource& value) {
    *update.add_upserts() = static_cast<const agent::v1::InstanceAssignment&>(*value);
  };
  if (!base.has_value()) {
    for (const auto& [id, value] : view->resources()) add(value);
    return MakeFrame(response);
  }
  update.mutable_base()->set_epoch(epoch_);
  update.mutable_base()->set_sequence(*base);
  for (const std::string& id : view->ChangedSince(*base).value_or(std::set<std::string>())) {
    const auto it = view->resources().find(id);
    if (it == view->resources().end()) {
      update.add_removed(id);
    } else {
      add(it->second);
    }
  }
  return MakeFrame(response);
}

}  // namespace remuda
