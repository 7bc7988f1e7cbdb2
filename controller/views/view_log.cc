#include "controller/views/view_log.h"

#include <algorithm>

#include "controller/limits.h"

namespace remuda {

void ViewLog::Set(const std::string& key, Resource value) {
  const auto [it, is_new] = resources_.try_emplace(key);
  if (!is_new) digest_.Remove(key, *it->second);
  digest_.Add(key, *value);
  it->second = std::move(value);
  pending_.emplace(key, !is_new);
}

void ViewLog::Remove(const std::string& key) {
  const auto it = resources_.find(key);
  if (it == resources_.end()) return;
  digest_.Remove(key, *it->second);
  resources_.erase(it);
  pending_.emplace(key, true);
}

bool ViewLog::Publish(int64_t sequence, int64_t commit, bool force) {
  if (pending_.empty() && !force && !revisions_.empty()) {
    revisions_.back().covers_commit = commit;
    return false;
  }
  revisions_.push_back({sequence, commit});
  for (const auto& [key, was_there] : pending_) changes_.push_back({sequence, key, was_there});
  pending_.clear();
  // Whole revisions are forgotten, so that what is left is complete from the first revision on.
  while (revisions_.size() > 1 &&
         (changes_.size() > limits::kMaxViewLog || revisions_.size() > limits::kMaxViewRevisions)) {
    revisions_.pop_front();
    while (!changes_.empty() && changes_.front().sequence <= revisions_.front().sequence)
      changes_.pop_front();
  }
  return true;
}

const ViewLog::Revision* ViewLog::Find(int64_t sequence) const {
  const auto it =
      std::lower_bound(revisions_.begin(), revisions_.end(), sequence,
                       [](const Revision& r, int64_t wanted) { return r.sequence < wanted; });
  return it == revisions_.end() || it->sequence != sequence ? nullptr : &*it;
}

int64_t ViewLog::CoveredBy(int64_t sequence) const {
  const Revision* known = Find(sequence);
  return known == nullptr ? 0 : known->covers_commit;
}

std::optional<std::set<std::string>> ViewLog::ChangedSince(int64_t sequence) const {
  if (!Knows(sequence)) return std::nullopt;
  // Backwards, so that the oldest change of a key has the last word on whether it was there then.
  std::map<std::string_view, bool> was_there;
  for (auto it = changes_.rbegin(); it != changes_.rend() && it->sequence > sequence; ++it) {
    was_there[it->key] = it->was_there;
  }
  std::set<std::string> keys;
  for (const auto& [key, was] : was_there) {
    if (was || resources_.find(key) != resources_.end()) keys.emplace(key);
  }
  return keys;
}

}  // namespace remuda
