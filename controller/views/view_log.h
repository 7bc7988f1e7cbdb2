// ViewLog: one view as a set of named resources, what changed at which revision, and which commit
// each revision covers.
//
// A revision covers every commit that was applied when it was published, and every later one that
// changed nothing in this view. Owns no bytes on the wire and knows no receiver. Thread: the loop
// thread. Copying is cheap: resources are shared.
#pragma once

#include <google/protobuf/message.h>

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>

#include "controller/views/content_digest.h"

namespace remuda {

class ViewLog {
 public:
  using Resource = std::shared_ptr<const google::protobuf::Message>;
  using Resources = std::map<std::string, Resource, std::less<>>;

  // One change of the revision that the next Publish makes. The caller has found that it is a
  // change.
  void Set(const std::string& key, Resource value);
  void Remove(const std::string& key);

  // Makes the changes since the last call a revision, if there are any or `force` asks for one
  // without. `sequence` is above every earlier one; `commit` is the newest that is applied. Whether
  // there is a new revision. The first call always makes one.
  bool Publish(int64_t sequence, int64_t commit, bool force = false);

  const Resources& resources() const { return resources_; }
  // Of all of them.
  const ContentDigest& digest() const { return digest_; }
  // The newest revision's; 0 before the first.
  int64_t sequence() const { return revisions_.empty() ? 0 : revisions_.back().sequence; }

  // The newest revision covers commits up to this one, which changed nothing.
  void Cover(int64_t commit) {
    if (!revisions_.empty()) revisions_.back().covers_commit = commit;
  }

  // Whether ChangedSince can tell.
  bool Knows(int64_t sequence) const { return Find(sequence) != nullptr; }

  // The newest commit that a revision covers; 0 for one that was never published or is forgotten.
  int64_t CoveredBy(int64_t sequence) const;

  // Keys that differ from revision `sequence`, or may: what came and went since is not among them.
  // nullopt if that revision is not known any more (then: the whole view).
  std::optional<std::set<std::string>> ChangedSince(int64_t sequence) const;

 private:
  struct Revision {
    int64_t sequence;
    int64_t covers_commit;
  };

  const Revision* Find(int64_t sequence) const;

  Resources resources_;
  ContentDigest digest_;
  struct Change {
    int64_t sequence;
    std::string key;
    bool was_there;  // before this change
  };
  std::map<std::string, bool> pending_;  // key, and whether it was there before
  std::deque<Change> changes_;           // oldest first
  std::deque<Revision> revisions_;       // oldest first
};

}  // namespace remuda
