// ProxyViews: what each proxy shall serve, kept up to date piece by piece. Proxies with the same
// load balancers share one view (a class), its log of changes and its serialized updates.
//
// Owns: the views. Does not own: what is in them (core::TargetGroupViewOf), nor who has which
// revision (ProxySessions). Thread: the loop thread.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "controller/core/model/observations.h"
#include "controller/core/model/state.h"
#include "controller/core/views/ingress.h"
#include "controller/core/views/target_group_view.h"
#include "controller/views/proxy_admission.h"
#include "controller/views/receiver_views.h"
#include "controller/views/touched_proxy_views.h"
#include "remuda/proxy/v1/proxy.pb.h"

namespace remuda {

class ProxyViews final : public ReceiverViews {
 public:
  // `next_sequence` answers a number above all before, over all views of this epoch.
  // `shared_secret`: ProxyConfig.shared_secrets of every proxy.
  ProxyViews(int64_t epoch, std::string shared_secret, std::function<int64_t()> next_sequence)
      : epoch_(epoch),
        shared_secret_(std::move(shared_secret)),
        next_sequence_(std::move(next_sequence)) {}

  // Brings the views up to date and publishes: afterwards each newest revision covers
  // state.commit(). `ingress` and `admission` are up to date: proxies that wait there have an empty
  // view.
  void Refresh(const core::State& state, const core::Observations& seen,
               const core::Ingress& ingress, const ProxyAdmission& admission,
               const TouchedProxyViews& touched);

  const ViewLog* ViewOf(std::string_view proxy) const override;
  int64_t CoveredBy(std::string_view proxy, int64_t sequence) const override;
  bool CanBuildOn(std::string_view proxy, int64_t held) const override;
  void Surpass(std::string_view proxy, int64_t held) override;
  // Made once for all proxies of the class.
  Frame UpdateFor(std::string_view proxy, std::optional<int64_t> base) override;
  std::string DigestOf(std::string_view proxy) const override;
  Frame RenamingOf(std::string_view proxy, const v1::Revision& held) const override;

  // Targets that left some view since the last call; others may have them still.
  std::set<core::TargetId> TakeRemoved();
  // Targets that came, went or changed since the last call; of a group that no view shows, all that
  // may have.
  std::set<core::TargetId> TakeChanged();
  // Whether the proxy's view has the target now.
  bool Knows(std::string_view proxy, const core::TargetId& target) const;

  // Proxies whose view was replaced by another one since the last call: they need a whole one.
  std::set<std::string> TakeReplaced();

 private:
  using LoadBalancers = std::vector<std::string>;

  // What a target group puts into views, by resource key.
  struct Group {
    core::TargetGroupView view;
    ViewLog::Resources resources;
  };

  struct Class {
    LoadBalancers load_balancers;
    std::set<std::string> target_groups;
    ViewLog log;
    std::map<int64_t, Frame> frames;  // by base; -1: whole. Of the newest revision.
  };

  struct Member {
    std::shared_ptr<Class> of;
    int64_t since = 0;  // revisions from here on are of this view
  };

  void Reclassify(const core::State& state, const core::Observations& seen,
                  const core::Ingress& ingress, const ProxyAdmission& admission,
                  const std::set<std::string>& proxies);
  void Renew(Class& view, int64_t commit);
  std::string DigestOf(const ViewLog& log) const;
  // What the update brings the receiver to.
  void Name(const ViewLog& log, proxy::v1::ConfigUpdate& update) const;
  void Compose(Class& view, const core::State& state, const core::Observations& seen,
               const core::Ingress& ingress);
  // The security groups of the view that are among these.
  static void BringSecurityGroups(const std::set<std::string>& changed,
                                  const core::Ingress& ingress, Class& view);
  using Keys = std::set<std::string>;
  // The group's keys whose resource changed, appeared or went.
  Keys RefreshGroup(const std::string& id, const core::State& state,
                    const core::Observations& seen);
  // The same if only these targets may have changed.
  Keys RefreshTargets(const std::string& id, const std::set<std::string>& targets,
                      const core::State& state, const core::Observations& seen);
  // By target group.
  std::map<std::string, Keys> RefreshGroups(const core::State& state,
                                            const core::Observations& seen,
                                            const TouchedProxyViews& touched);
  const Group& GroupOf(const std::string& id, const core::State& state,
                       const core::Observations& seen);
  void DropUnused();

  const int64_t epoch_;
  const std::string shared_secret_;
  const std::function<int64_t()> next_sequence_;
  std::map<std::string, Group, std::less<>> groups_;  // those that some class shows
  std::map<LoadBalancers, std::shared_ptr<Class>> classes_;
  std::map<std::string, Member, std::less<>> members_;
  std::set<std::string> replaced_;
  std::set<core::TargetId> removed_;
  std::set<core::TargetId> changed_;
};

}  // namespace remuda
