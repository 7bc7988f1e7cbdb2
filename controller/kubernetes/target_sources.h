// TargetSources: which target groups follow a source, what it said last, and that their targets are
// made so.
//
// Owns: what is followed, by target group. Does not own: the following (EndpointWatcher), what the
// targets become (core/door/follow_targets.h). The targets are committed: whatever is not known,
// after a start or while the source is silent, leaves them as they are. Thread: the loop thread.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "controller/core/model/state.h"
#include "controller/engine/engine.h"
#include "controller/kubernetes/endpoint_watcher.h"

namespace remuda {

class TargetSources {
 public:
  // Both outlive it, and it outlives the reports. `watcher` null: nothing is followed.
  TargetSources(Engine& engine, EndpointWatcher* watcher);
  TargetSources(const TargetSources&) = delete;
  TargetSources& operator=(const TargetSources&) = delete;

  // What these change is looked at by the next Turn.
  void OnCommit(const core::Changes& changes);

  // Asks the engine for what is to change, of kMaxAsked groups at a time. Answers when it has
  // something to do again by time alone.
  absl::Time Turn();
  // Whether what the engine has answered since leaves room for those that wait: a turn is due.
  bool has_room() const { return was_answered_ && !due_.empty(); }

  // Fills targets_status in, where the group follows a source.
  void Show(v1::TargetGroup& group) const;
  void Show(v1::ListTargetGroupsResponse& response) const;

 private:
  struct Source {
    v1::TargetSource wish;
    int64_t id = 0;                                                // 0: not followed
    std::optional<std::vector<core::FollowedEndpoint>> endpoints;  // nullopt: nothing said yet
    std::string error;
    size_t left_out = 0;
    absl::Time contact = absl::InfinitePast();
    bool is_under_way = false;  // a command
    absl::Time not_before = absl::InfinitePast();
  };

  // Brings what is followed for the group up to date.
  void Look(const std::string& group);
  void Begin(const std::string& group, Source& source);
  void End(const std::string& group);
  void Take(const std::string& group, int64_t id, EndpointReport report);
  void Ask(const std::string& group, Source& source);
  void OnAnswered(const std::string& group, int64_t id, const absl::Status& status,
                  const core::FollowedTargets& became);

  Engine& engine_;
  EndpointWatcher* const watcher_;
  int64_t last_id_ = 0;
  std::map<std::string, Source, std::less<>> sources_;  // by target group
  std::set<std::string> changed_;                       // target groups whose rows did
  std::set<std::string> due_;                           // whose targets may have to change
  std::string last_asked_;                              // the one after it has its turn
  size_t under_way_ = 0;                                // commands
  bool was_answered_ = false;                           // one, since the last turn
};

}  // namespace remuda
