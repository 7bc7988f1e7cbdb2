// AgentSessions: the agents' side of ReceiverSessions: their reports become observations, and
// requests for logs and snapshots go to them.
#pragma once

#include <absl/status/statusor.h>

#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <utility>

#include "controller/core/door/execute.h"
#include "controller/sessions/receiver_sessions.h"
#include "controller/views/agent_views.h"
#include "remuda/agent/v1/agent.pb.h"

namespace remuda {

class AgentSessions final : public ReceiverSessions {
 public:
  AgentSessions(Identity identity, Engine& engine, AgentViews& views, Loop& loop, Metrics& metrics)
      : ReceiverSessions(std::move(identity), engine, views, loop, metrics) {}

  // Reads an instance's log through its host's agent. `on_chunk` gets each chunk, the last with
  // `end` set (UNAVAILABLE as its error if the session is lost). UNAVAILABLE: the host has no
  // session; RESOURCE_EXHAUSTED: too many readers.
  using OnChunk = std::function<void(const agent::v1::LogChunk&)>;
  struct LogReader {
    std::string host;
    int64_t stream_id = 0;
  };
  absl::StatusOr<LogReader> ReadLog(const std::string& host, agent::v1::LogRequest request,
                                    OnChunk on_chunk);
  // Stops it; on_chunk is not called any more. No effect if it has ended.
  void CancelLog(const LogReader& reader);

  // Has the host's agent make an image of an instance. `done` is called once: OK when the agent has
  // pushed it.
  void Snapshot(const std::string& host, agent::v1::SnapshotRequest request,
                std::function<void(const absl::Status&)> done, absl::Duration timeout);
  // Whether the host's agent was asked for that image of that instance, and has not made it yet.
  bool IsMaking(const std::string& host, std::string_view instance,
                std::string_view image_id) const;

  // Called when a host has confirmed more than before.
  void set_on_confirmed(std::function<void()> fn) { on_confirmed_ = std::move(fn); }

 protected:
  absl::Status Handle(Session& session, std::string_view bytes) override;
  void Lost(const std::string& name) override;
  v1::ReceiverStatus& StatusOf(const std::string& name) override { return Seen(name).assignment; }
  void Confirm(const std::string& name, int64_t before, int64_t commit) override;
  std::atomic<int64_t>& session_count() override { return metrics_.agent_sessions; }
  Frame PingFrame(int64_t ping_id) const override;
  Frame ControllersFrame() const override;
  absl::Status RefuseSecond(const Session& second, const Session& first,
                            const std::string& why) override;

 private:
  using Key = std::pair<std::string, int64_t>;  // host, id of the request

  core::HostObservation& Seen(const std::string& name) { return engine_.observe().hosts[name]; }
  absl::Status OnHello(Session& session, agent::v1::Hello hello);
  // Refuses an agent of another machine than the host of its name.
  absl::Status CheckMachine(const Session& session, const agent::v1::Hello& hello);
  absl::Status HandleReport(Session& session, const agent::v1::ConnectRequest& request);
  void OnInstances(const std::string& name, const agent::v1::InstanceReport& report);
  void OnUsage(const std::string& name, const agent::v1::UsageReport& report);
  // An app asks for something; it is decided with all other commands, and answered when durable.
  void OnAppCall(const Session& session, const agent::v1::AppCall& call);
  void AnswerApp(const std::string& name, const StreamPtr& stream, int64_t call_id,
                 const absl::Status& status, const core::AppState* state);
  void OnLog(const std::string& name, const agent::v1::LogChunk& chunk);
  void FinishSnapshot(const Key& key, const absl::Status& status);

  std::function<void()> on_confirmed_;
  int64_t next_request_id_ = 1;
  std::map<Key, OnChunk> logs_;
  struct SnapshotCall {
    std::string instance;
    std::string image_id;
    std::function<void(const absl::Status&)> done;
  };
  std::map<Key, SnapshotCall> snapshots_;
};

}  // namespace remuda
