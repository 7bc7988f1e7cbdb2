// AgentViews: the assignment of each host, with its log of changes.
//
// Owns: the views. Does not own: what is in them (core::WishesFor), nor who has which revision
// (AgentSessions). Thread: the loop thread.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>

#include "controller/core/model/observations.h"
#include "controller/core/model/state.h"
#include "controller/core/views/assignment.h"
#include "controller/views/receiver_views.h"
#include "remuda/agent/v1/agent.pb.h"

namespace remuda {

class AgentViews final : public ReceiverViews {
 public:
  // As ProxyViews.
  AgentViews(int64_t epoch, std::function<int64_t()> next_sequence)
      : epoch_(epoch), next_sequence_(std::move(next_sequence)) {}

  // Brings the views of `touched` up to date, and publishes: afterwards the newest revision of
  // every view covers state.commit(). Costs nothing for the others.
  void Refresh(const core::State& state, const core::Observations& seen,
               const core::Ingress& ingress, const std::set<std::string>& touched);

  const ViewLog* ViewOf(std::string_view host) const override;
  int64_t CoveredBy(std::string_view host, int64_t sequence) const override;
  bool CanBuildOn(std::string_view host, int64_t held) const override;
  void Surpass(std::string_view host, int64_t held) override;
  Frame UpdateFor(std::string_view host, std::optional<int64_t> base) override;
  std::string DigestOf(std::string_view host) const override;
  Frame RenamingOf(std::string_view host, const v1::Revision& held) const override;

 private:
  struct View {
    core::Wishes wishes;
    ViewLog log;  // says the same
  };
  // What the update brings the receiver to.
  void Name(const ViewLog& view, agent::v1::AssignmentUpdate& update) const;
  // Brings it up to what the host shall have now.
  static void Bring(View& view, core::Wishes now);

  const int64_t epoch_;
  const std::function<int64_t()> next_sequence_;
  std::map<std::string, View, std::less<>> views_;
  int64_t commit_ = 0;  // that the newest revision of each view covers
};

}  // namespace remuda
