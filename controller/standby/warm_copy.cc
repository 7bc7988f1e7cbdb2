#include "controller/standby/warm_copy.h"

#include <utility>

namespace remuda {

Store::FollowFns WarmCopy::Fns() {
  return {
      .reset =
          [this] {
            const std::lock_guard lock(mutex_);
            is_loaded_ = false;
            if (!is_taken_) state_ = core::State();
          },
      .row = [this](core::Kind kind, std::string_view key, std::string_view value,
                    int64_t commit) -> absl::Status {
        const std::lock_guard lock(mutex_);
        return is_taken_ ? absl::OkStatus() : state_.Load(kind, key, value, commit);
      },
      .loaded =
          [this](int64_t commit) {
            const std::lock_guard lock(mutex_);
            if (is_taken_) return;
            state_.SetCommit(commit);
            is_loaded_ = true;
            moved_.notify_all();
          },
      .commit = [this](int64_t commit,
                       const std::vector<RowChange>& changes) { return Apply(commit, changes); },
      .contact =
          [this](const absl::Status& status) {
            const std::lock_guard lock(mutex_);
            error_ = std::string(status.message());
          }};
}

absl::Status WarmCopy::Apply(int64_t commit, const std::vector<RowChange>& changes) {
  const std::lock_guard lock(mutex_);
  if (is_taken_) return absl::OkStatus();
  for (const RowChange& change : changes) {
    if (change.value.has_value()) {
      absl::Status status = state_.Load(change.kind, change.key, *change.value, commit);
      if (!status.ok()) return status;
    } else {
      state_.Apply({.edits = {{.kind = change.kind, .key = change.key, .value = nullptr}}}, commit);
    }
  }
  state_.SetCommit(commit);
  moved_.notify_all();
  return absl::OkStatus();
}

std::optional<std::set<std::string>> WarmCopy::ImageDigests() const {
  const std::lock_guard lock(mutex_);
  if (!is_loaded_ || is_taken_ || !error_.empty()) return std::nullopt;
  std::set<std::string> digests;
  for (const auto& [id, image] : state_.All<v1::Image>()) digests.insert(image->digest());
  for (const auto& [key, version] : state_.All<v1::LaunchTemplateVersion>())
    digests.insert(version->image_digest());
  digests.erase("");
  return digests;
}

int64_t WarmCopy::commit() const {
  const std::lock_guard lock(mutex_);
  return is_loaded_ ? state_.commit() : 0;
}

std::string WarmCopy::error() const {
  const std::lock_guard lock(mutex_);
  return error_;
}

std::optional<core::State> WarmCopy::Take(int64_t commit, absl::Duration patience) {
  std::unique_lock lock(mutex_);
  const bool is_there = moved_.wait_for(lock, absl::ToChronoMilliseconds(patience),
                                        [&] { return is_loaded_ && state_.commit() == commit; });
  is_taken_ = true;
  if (!is_there) return std::nullopt;
  return std::move(state_);
}

}  // namespace remuda
