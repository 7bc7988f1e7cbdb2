#include "controller/api/watchers.h"

namespace remuda {

absl::Status Watchers::Add(std::shared_ptr<Watcher> watcher) {
  if (closing_) return Unavailable("the controller is stopping");
  if (watchers_.size() >= limits::kMaxWatchers) {
    return LimitExceeded("kMaxWatchers", "there are " + std::to_string(limits::kMaxWatchers) +
                                             " watch streams already");
  }
  watchers_.emplace(watcher.get(), watcher);
  metrics_.watchers = static_cast<int64_t>(watchers_.size());
  return absl::OkStatus();
}

void Watchers::Remove(const Watcher* watcher) {
  watchers_.erase(watcher);
  metrics_.watchers = static_cast<int64_t>(watchers_.size());
}

void Watchers::Look(const Touched& touched) {
  // Watchers remove themselves from inside: on to the next before that.
  for (auto it = watchers_.begin(); it != watchers_.end();) {
    const std::shared_ptr<Watcher> watcher = (it++)->second;
    watcher->Look(touched);
  }
}

void Watchers::OnCommit(const core::Changes& changes) {
  for (auto it = watchers_.begin(); it != watchers_.end();) {
    const std::shared_ptr<Watcher> watcher = (it++)->second;
    watcher->OnCommit(changes);
  }
}

void Watchers::CloseAll() {
  closing_ = true;
  for (const auto& [raw, watcher] : std::exchange(watchers_, {})) {
    watcher->Close(Unavailable("the controller is stopping"));
  }
  metrics_.watchers = 0;
}

void MetricsWatcher::Begin(Watchers& watchers, Stream stream, core::MetricsWanted wanted) {
  auto watcher = std::make_shared<MetricsWatcher>(watchers, stream, std::move(wanted));
  if (absl::Status status = watchers.Add(watcher); !status.ok()) return stream->Close(status);
  stream->set_on_closed([&watchers, raw = watcher.get()] { watchers.Remove(raw); });
  stream->set_on_drained([raw = watcher.get()] { raw->Next(); });
  watcher->Next();
}

void MetricsWatcher::Look(const Touched& touched) {
  is_new_ = is_new_ || touched.metrics;
  Next();
}

void MetricsWatcher::Next() {
  if (!is_new_ || stream_->queued() != 0) return;
  is_new_ = false;
  const core::Snapshot from = watchers_.engine().snapshot();
  if (from.state.Find<v1::AutoScalingGroup>(wanted_.group) == nullptr) {
    stream_->CloseAfterSent(NotFound("autoScalingGroups/" + wanted_.group));
    watchers_.Remove(this);
    return;
  }
  v1::WatchMetricsResponse response;
  *response.mutable_metrics() = core::MetricsAfter(from, wanted_.group, sent_, wanted_.points);
  const auto history = from.seen.metrics.histories.find(wanted_.group);
  if (history != from.seen.metrics.histories.end() && !history->second.points.empty()) {
    sent_ = history->second.points.back().time;
  }
  stream_->Send(std::move(response));
}

void ActivityWatcher::Begin(Watchers& watchers, Stream stream, std::string resource) {
  auto watcher = std::make_shared<ActivityWatcher>(watchers, stream, std::move(resource));
  if (absl::Status status = watchers.Add(watcher); !status.ok()) return stream->Close(status);
  stream->set_on_closed([&watchers, raw = watcher.get()] { watchers.Remove(raw); });
  stream->set_on_drained([raw = watcher.get()] { raw->Next(); });
}

void ActivityWatcher::OnCommit(const core::Changes& changes) {
  for (const core::Edit& edit : changes.edits) {
    if (edit.kind != core::Kind::kActivity || edit.value == nullptr) continue;
    auto activity = std::static_pointer_cast<const v1::Activity>(edit.value);
    if (!resource_.empty() && activity->resource() != resource_) continue;
    waiting_[edit.key] = std::move(activity);
  }
  if (waiting_.size() > limits::kMaxWatchBacklog) {
    stream_->Close(
        LimitExceeded("kMaxWatchBacklog", "this watcher is more than " +
                                              std::to_string(limits::kMaxWatchBacklog) +
                                              " activities behind; list them and watch again"));
    watchers_.Remove(this);
    return;
  }
  Next();
}

void ActivityWatcher::Next() {
  if (waiting_.empty() || stream_->queued() != 0) return;
  v1::WatchActivitiesResponse response;
  for (const auto& [key, activity] : waiting_) *response.add_activities() = *activity;
  waiting_.clear();
  stream_->Send(std::move(response));
}

}  // namespace remuda
