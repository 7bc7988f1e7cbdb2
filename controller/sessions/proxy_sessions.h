// ProxySessions: the proxies' side of ReceiverSessions: their reports become observations.
#pragma once

#include <deque>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <utility>

#include "controller/sessions/receiver_sessions.h"
#include "controller/sessions/ticket_keys.h"
#include "controller/views/proxy_views.h"
#include "remuda/proxy/v1/proxy.pb.h"

namespace remuda {

class ProxySessions final : public ReceiverSessions {
 public:
  ProxySessions(Identity identity, Engine& engine, ProxyViews& views, Loop& loop, Metrics& metrics)
      : ReceiverSessions(std::move(identity), engine, views, loop, metrics), proxy_views_(views) {}

  // Proxies whose view was replaced get a whole one. Call after the views were refreshed, before
  // Flush.
  void RestartReplaced();

  // Gives all proxies new keys for session tickets if it is time. Answers when it is the next time.
  absl::Time RenewTicketKeys();

  // These left views, by the newest revision of each: what a proxy said of them goes when it has
  // taken that up, for it says nothing of their end.
  void Removed(const std::set<core::TargetId>& targets);

 protected:
  absl::Status Handle(Session& session, std::string_view bytes) override;
  void Lost(const std::string& name) override;
  v1::ReceiverStatus& StatusOf(const std::string& name) override { return Seen(name).config; }
  void Confirm(const std::string& name, int64_t before, int64_t commit) override;
  std::atomic<int64_t>& session_count() override { return metrics_.proxy_sessions; }
  Frame PingFrame(int64_t ping_id) const override;
  Frame ControllersFrame() const override;
  absl::Status RefuseSecond(const Session& second, const Session& first,
                            const std::string& why) override;

 private:
  core::ProxyObservation& Seen(const std::string& name) { return engine_.observe().proxies[name]; }
  absl::Status OnHello(Session& session, proxy::v1::Hello hello);
  void OnAckMessage(Session& session, const proxy::v1::Ack& ack);
  void SetListeners(const std::string& name,
                    const google::protobuf::RepeatedPtrField<proxy::v1::ListenerStatus>& listeners);
  void Note(core::NoteListener note);
  // One came or went.
  void TouchProxies();
  // Whoever waits for something of the target looks at it again.
  void TouchTarget(const core::TargetId& target);
  // Whether the state has such a target.
  bool IsThere(const core::TargetId& target) const;
  void OnHealth(const std::string& name, const proxy::v1::HealthReport& report);
  // Requests wait for a first target: groups that rest at none wake.
  void OnWake(const proxy::v1::Wake& wake);
  // How often proxies are to count.
  absl::Duration StatsInterval() const;
  void OnStats(Session& session, proxy::v1::StatsReport& report);
  void SetInFlight(const std::string& name, const core::TargetId& target, int64_t in_flight);
  void SetBusy(Session& session,
               const google::protobuf::RepeatedPtrField<proxy::v1::BusyTarget>& busy);

  // What the proxy says of the target goes when it has taken up the newest revision of its view.
  void Leaves(const std::string& name, const core::TargetId& target);
  // Counts what it has said since, and touches whatever that turns.
  void CountNew(const std::string& name);
  // Forgets what the proxy said of targets that it does not have at `sequence` any more: if it gets
  // them again, that would count as what it finds then.
  void Prune(const std::string& name, int64_t sequence);

  ProxyViews& proxy_views_;
  TicketKeys ticket_keys_;
  // Targets that leave a proxy's view, with the sequence that has them no more: oldest first, each
  // once.
  struct Leaving {
    std::deque<std::pair<int64_t, core::TargetId>> queue;
    std::set<core::TargetId> targets;
  };
  std::map<std::string, Leaving> leaving_;  // by proxy with a session
};

}  // namespace remuda
