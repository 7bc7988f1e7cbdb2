// Each turn looks at what has changed only. Naming too much there costs time, too little is a bug:
// over random lives of a cluster, whenever the controller is at rest, a look at everything would
// decide nothing, the totals of votes are what counting anew gives, everyone has the newest view,
// and watchers show what is.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "controller/api/controller.h"
#include "controller/core/reconcile.h"
#include "controller/core/reconcile/gates.h"
#include "controller/core/reconcile/limits.h"
#include "controller/core/views/assignment.h"
#include "controller/core/views/proxy_config.h"
#include "remuda/proxy/v1/proxy.pb.h"
#include "tests/unit/controller/api/looks_cluster.h"

namespace remuda {
namespace {

// What a view says, without order.
using Content = std::set<std::string>;
Content ContentOf(const ViewLog& view) {
  Content out;
  for (const auto& [key, resource] : view.resources()) out.insert(resource->ShortDebugString());
  return out;
}
// The same, made anew: all resources of a config.
Content ContentOf(const proxy::v1::ProxyConfig& config) {
  Content out;
  const auto* reflection = config.GetReflection();
  std::vector<const google::protobuf::FieldDescriptor*> fields;
  reflection->ListFields(config, &fields);
  for (const auto* field : fields) {
    if (field->cpp_type() != google::protobuf::FieldDescriptor::CPPTYPE_MESSAGE) continue;
    for (int i = 0; i < reflection->FieldSize(config, field); ++i)
      out.insert(reflection->GetRepeatedMessage(config, field, i).ShortDebugString());
  }
  return out;
}

// A watcher of everything that reads what is touched only: as those of the API do.
class Mirror final : public Watcher {
 public:
  explicit Mirror(Engine& engine) : engine_(engine) {}
  void Look(const Touched& touched) override {
    Read(touched.all_targets ? nullptr : &touched.targets,
         touched.all_instances ? nullptr : &touched.instances);
  }
  void Close(const absl::Status&) override {}

  // What it shows that is not so; empty if all is.
  std::string Wrong() const {
    Mirror whole(engine_);
    whole.Read(nullptr, nullptr);
    for (const auto& [name, text] : whole.shown_) {
      const auto it = shown_.find(name);
      if (it == shown_.end()) return name + " is not shown";
      if (it->second != text) return "shown is " + it->second + ", it is " + text;
    }
    for (const auto& [name, text] : shown_) {
      if (!whole.shown_.contains(name)) return name + " is gone, and shown";
    }
    return "";
  }

 private:
  void Read(const std::set<core::TargetId>* targets, const std::set<std::string>* instances) {
    const core::Snapshot from = engine_.snapshot();
    v1::WatchTargetsRequest everywhere;
    everywhere.set_view(v1::TARGET_VIEW_FULL);
    if (targets == nullptr) {
      std::erase_if(shown_, [](const auto& e) { return e.first.starts_with("targetGroups/"); });
    } else {
      for (const auto& [group, id] : *targets) {
        shown_.erase("targetGroups/" + core::TargetKey(group, id));
      }
    }
    if (instances == nullptr) {
      std::erase_if(shown_, [](const auto& e) { return e.first.starts_with("instances/"); });
    } else {
      for (const std::string& id : *instances) shown_.erase("instances/" + id);
    }
    const auto targets_now = core::TargetsIn(from, everywhere, targets);
    const auto instances_now = core::InstancesIn(from, "", instances);
    ASSERT_TRUE(targets_now.ok() && instances_now.ok());
    for (const auto& [name, row] : *targets_now) shown_[name] = row.ShortDebugString();
    for (const auto& [name, row] : *instances_now) shown_[name] = row.ShortDebugString();
  }

  Engine& engine_;
  std::map<std::string, std::string> shown_;
};

// A life of one.
class Life final : public Cluster {
 public:
  explicit Life(unsigned seed) : Cluster(seed, seed % 2 == 0), watches_zones_(seed % 5 == 0) {}

  std::string Run() {
    EXPECT_TRUE(controller_.watchers.Add(mirror_).ok());
    for (int i = 0; i < kHosts; ++i) Connect(HostName(i));
    for (int i = 0; i < kProxies; ++i) Join(ProxyName(i));
    for (int step = 0; step < 600 && wrong_.empty(); ++step) {
      const std::string what = Act();
      if (OneIn(10)) Check("after step " + std::to_string(step) + " (" + what + ")");
    }
    return wrong_;
  }

 private:
  std::string Act() {
    switch (Below(28)) {
      case 0:
        Kill();
        return "a process ends";
      case 1:
        FindOtherwise();
        return "a proxy finds something else";
      case 2:
        SayBusy();
        return "a proxy says who is busy";
      case 3:
      case 4:
        Command();
        return "a command";
      case 5:
        if (OneIn(3)) Leave(agents_, controller_.agents, HostName(Below(kHosts)));
        return "an agent leaves";
      case 6:
        if (!is_calm_ && OneIn(3)) Leave(proxies_, controller_.proxies, ProxyName(Below(kProxies)));
        return "a proxy leaves";
      case 7:
        Connect(HostName(Below(kHosts)));
        Join(ProxyName(Below(kProxies)));
        return "somebody joins";
      case 8:
      case 9:
      case 10:
        clock_.now += absl::Milliseconds(Below(OneIn(6) ? 20'000 : 500));
        return "time";
      case 11:
      case 12:
      case 13:
        if (committer_.has_work()) committer_.Finish(!is_calm_ && OneIn(20) ? Refusal() : Number());
        return "a commit ends";
      case 14:
      case 15:
      case 16:
        controller_.Turn();
        return "a turn";
      case 17:
      case 18:
      case 19:
        AnswerAsAgent(HostName(Below(kHosts)));
        return "an agent answers";
      case 24:
      case 25:
        Reconfigure();
        return "another command";
      case 26:
      case 27:
        GoOn();
        return "processes go on";
      default:
        AnswerAsProxy(ProxyName(Below(kProxies)));
        return "a proxy answers";
    }
  }
  void Check(const std::string& when) {
    const bool answer = OneIn(2);
    // What is due within one interval, or waits for room, is looked at after it.
    for (int i = 0; i < 3; ++i) {
      Settle();
      for (int j = 0; answer && j < 50; ++j) {
        bool any = false;
        for (int k = 0; k < kHosts; ++k) any = AnswerAsAgent(HostName(k)) || any;
        for (int k = 0; k < kProxies; ++k) any = AnswerAsProxy(ProxyName(k)) || any;
        Settle();
        if (!any) break;
      }
      clock_.now += core::kRoomInterval + absl::Milliseconds(20);
    }
    Settle();
    if (!wrong_.empty()) return;
    wrong_ = Overlooked(when, /*zones=*/false);
    if (watches_zones_) CheckZones(when);
    CheckVotes(when);
    CheckViews(when);
    CheckHeard(when);
    if (const std::string wrong = mirror_->Wrong(); !wrong.empty()) wrong_ = when + ": " + wrong;
  }
  void Settle() {
    if (!Rest()) wrong_ = "it does not come to rest";
  }
  // Zones are balanced one instance at a time, each some time after the one before: once that is
  // over, and nothing is due within the time that one takes.
  void CheckZones(const std::string& when) {
    for (int i = 0; i < 100 && wrong_.empty(); ++i) {
      const absl::Time due = controller_.engine.due();
      if (due > clock_.now + core::kBalanceInterval) break;
      clock_.now = std::max(clock_.now, due);
      Settle();
    }
    if (wrong_.empty()) wrong_ = Overlooked(when, /*zones=*/true);
  }
  // What a look at everything would edit.
  std::string Overlooked(const std::string& when, bool zones) {
    const core::State& state = controller_.engine.state();
    core::Draft draft(state);
    core::Scope all;
    if (!zones) {
      for (const auto& [id, row] : state.All<v1::AutoScalingGroup>()) all.balanced.insert(id);
    }
    core::Observe(draft, controller_.engine.seen(), clock_.now, all);
    core::Reconcile(draft, controller_.engine.seen(), clock_.now, all);
    std::string out;
    for (const core::Edit& edit : draft.Take().edits) {
      if (edit.kind == core::Kind::kCounter || edit.kind == core::Kind::kActivity) continue;
      out += when + ": a look at everything edits " + edit.key + ": " +
             (edit.value == nullptr ? "deleted" : edit.value->ShortDebugString()) + "; ";
    }
    return out;
  }
  void CheckVotes(const std::string& when) {
    const core::Observations& seen = controller_.engine.seen();
    core::Observations copy = seen;
    copy.votes = {};
    const core::Draft draft(controller_.engine.state());
    const core::Gates kept(draft, seen, clock_.now);
    const core::Gates anew(draft, copy, clock_.now);
    for (int i = 0; i < 3; ++i) {
      const std::string target_group = "tg" + std::to_string(i);
      for (const auto& [id, row] : controller_.engine.state().All<v1::Instance>()) {
        core::VoteTotal looked;
        for (const core::LiveProxy* proxy : kept.Serving(target_group)) {
          const auto* health =
              proxy->seen == nullptr ? nullptr : proxy->seen->health.Find({target_group, id});
          if (health == nullptr) continue;
          ++looked.reports;
          looked.healthy += health->state() == v1::TARGET_STATE_HEALTHY;
          looked.unhealthy += health->state() == v1::TARGET_STATE_UNHEALTHY;
          looked.unhealthy_now +=
              health->state() == v1::TARGET_STATE_UNHEALTHY && proxy->IsCurrent();
        }
        for (const core::Gates* gates : {&kept, &anew}) {
          const core::VoteTotal& total = gates->VotesOn(target_group, id);
          if (std::tie(total.reports, total.healthy, total.unhealthy, total.unhealthy_now) ==
              std::tie(looked.reports, looked.healthy, looked.unhealthy, looked.unhealthy_now)) {
            continue;
          }
          wrong_ = when + ": the votes on " + target_group + "/" + id + " are wrong";
        }
      }
    }
  }
  // Nothing is kept of what a proxy does not have any more.
  void CheckHeard(const std::string& when) {
    for (const auto& [name, end] : proxies_) {
      const ViewLog* view = controller_.proxy_views.ViewOf(name);
      if (view == nullptr || !end->updates.empty() || acked_[name] != view->sequence()) continue;
      controller_.engine.seen().proxies.at(name).health.ForEach(
          [&, name = name](const core::TargetId& target, const proxy::v1::TargetHealth&) {
            if (controller_.proxy_views.Knows(name, target)) return;
            wrong_ = when + ": of " + name + " is kept what it said of " + target.first + "/" +
                     target.second;
          });
    }
  }
  // Everyone with a session has the newest view, or it is on its way; who has it confirms all.
  void CheckViews(const std::string& when) {
    const core::State& state = controller_.engine.state();
    for (const auto& [name, end] : proxies_) {
      const ViewLog* view = controller_.proxy_views.ViewOf(name);
      if (view == nullptr || !end->updates.empty()) continue;
      if (ContentOf(*view) != ContentOf(core::ConfigFor(state, controller_.engine.seen(), name)))
        wrong_ = when + ": the view of " + name + " is not what it would be anew";
      const auto& seen = controller_.engine.seen().proxies.at(name);
      if (seen.config.has_rejected() && acked_[name] != view->sequence()) continue;
      if (acked_[name] != view->sequence()) wrong_ = when + ": " + name + " lacks the newest view";
      if (seen.confirmed_commit != controller_.engine.state().commit()) {
        wrong_ = when + ": " + name + " has not confirmed what it has";
      }
    }
    for (const auto& [name, end] : agents_) {
      const ViewLog* view = controller_.agent_views.ViewOf(name);
      if (view == nullptr || !end->updates.empty()) continue;
      if (acked_[name] != view->sequence()) wrong_ = when + ": " + name + " lacks the newest view";
      Content anew;
      for (const auto& [id, one] : core::AssignmentFor(state, controller_.engine.seen(), name))
        anew.insert(one.ShortDebugString());
      if (ContentOf(*view) != anew)
        wrong_ = when + ": the assignment of " + name + " is not what it would be anew";
    }
  }

  const bool watches_zones_;
  const std::shared_ptr<Mirror> mirror_ = std::make_shared<Mirror>(controller_.engine);
  std::string wrong_;
};

TEST(LooksTest, ALookAtEverythingFindsNothingThatTurnsHaveOverlooked) {
  // In every other one nothing happens that makes the controller look at everything: that would
  // cover up what it has overlooked.
  constexpr unsigned kSeeds = 60;
  const char* const text = std::getenv("REMUDA_TEST_SEED");
  const unsigned first = text == nullptr ? 1 : static_cast<unsigned>(std::stoul(text));
  for (unsigned seed = first; seed < first + kSeeds; ++seed) {
    Life life(seed);
    const std::string wrong = life.Run();
    ASSERT_EQ(wrong, "") << "seed " << seed;
  }
}

}  // namespace
}  // namespace remuda
