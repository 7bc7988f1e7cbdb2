// Views as receivers get them: deltas and whole updates, applied one after the other, always give
// what core::ConfigFor says.
#include <gmock/gmock.h>
#include <google/protobuf/util/message_differencer.h>
#include <gtest/gtest.h>

#include <map>
#include <random>

#include "controller/core/model/draft.h"
#include "controller/core/views/proxy_config.h"
#include "controller/core/views/target_group_view.h"
#include "controller/engine/touched.h"
#include "controller/limits.h"
#include "controller/sessions/follower.h"
#include "controller/views/proxy_views.h"
#include "controller/views/view_log.h"
#include "remuda/proxy/v1/proxy.pb.h"

namespace remuda {
namespace {

using google::protobuf::util::MessageDifferencer;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::Optional;

ViewLog::Resource Text(const std::string& name) {
  auto target = std::make_shared<proxy::v1::Target>();
  target->set_id(name);
  return target;
}

TEST(ViewLogTest, CoversCommitsUntilTheViewChanges) {
  ViewLog view;
  view.Set("a", Text("a"));
  EXPECT_TRUE(view.Publish(10, 5));
  EXPECT_EQ(view.CoveredBy(10), 5);
  EXPECT_FALSE(view.Publish(11, 7)) << "nothing changed";
  EXPECT_EQ(view.sequence(), 10);
  EXPECT_EQ(view.CoveredBy(10), 7)
      << "commits that change nothing here are covered by the newest revision";
  view.Set("b", Text("b"));
  EXPECT_TRUE(view.Publish(12, 8));
  EXPECT_FALSE(view.Publish(13, 9));
  EXPECT_EQ(view.CoveredBy(10), 7) << "commit 8 is in revision 12 only";
  EXPECT_EQ(view.CoveredBy(12), 9);
  EXPECT_EQ(view.CoveredBy(11), 0) << "never published";
}

TEST(ViewLogTest, KnowsWhatChangedSinceARevision) {
  ViewLog view;
  EXPECT_TRUE(view.Publish(1, 0)) << "the first is a revision even when empty";
  view.Set("a", Text("a"));
  view.Publish(2, 0);
  view.Set("b", Text("b"));
  view.Remove("a");
  view.Remove("never");
  view.Publish(3, 0);
  EXPECT_THAT(view.ChangedSince(1), Optional(ElementsAre("b"))) << "a came and went since";
  EXPECT_THAT(view.ChangedSince(2), Optional(ElementsAre("a", "b")));
  EXPECT_THAT(view.ChangedSince(3), Optional(IsEmpty()));
  EXPECT_EQ(view.ChangedSince(4), std::nullopt);
}

TEST(ViewLogTest, ForgetsWholeRevisionsWhenItsLogIsFull) {
  ViewLog view;
  for (size_t i = 1; i <= limits::kMaxViewLog + 10; ++i) {
    view.Set("a", Text(std::to_string(i)));
    view.Publish(static_cast<int64_t>(i), 1);
  }
  const auto last = static_cast<int64_t>(limits::kMaxViewLog + 10);
  EXPECT_EQ(view.ChangedSince(1), std::nullopt);
  EXPECT_THAT(view.ChangedSince(last - 5), Optional(ElementsAre("a")));
}

TEST(ViewLogTest, ItsDigestIsOfWhatIsInItAlone) {
  ViewLog view;
  view.Set("a", Text("first"));
  view.Set("b", Text("b"));
  view.Publish(1, 0);
  view.Set("a", Text("second"));
  view.Set("c", Text("c"));
  view.Remove("c");
  view.Remove("never");
  view.Publish(2, 0);
  ViewLog other;  // of another process, on another way
  other.Set("b", Text("b"));
  other.Set("a", Text("second"));
  EXPECT_EQ(view.digest().bytes(), other.digest().bytes());
  EXPECT_EQ(view.digest().bytes().size(), ContentDigest::kBytes);
  other.Set("a", Text("first"));
  EXPECT_NE(view.digest().bytes(), other.digest().bytes()) << "another value";
  ViewLog exchanged;
  exchanged.Set("a", Text("b"));
  exchanged.Set("b", Text("second"));
  EXPECT_NE(view.digest().bytes(), exchanged.digest().bytes()) << "the same under other keys";
  view.Remove("a");
  view.Remove("b");
  EXPECT_EQ(view.digest().bytes(), ViewLog().digest().bytes()) << "nothing";
}

TEST(ContentDigestTest, DoesNotHangOnTheOrderInWhichAMapHasItsEntries) {
  const auto digest = [](bool from_the_end) {
    v1::Proxy proxy;
    for (int i = 0; i < 50; ++i) {
      const std::string key = std::to_string(from_the_end ? 49 - i : i);
      (*proxy.mutable_labels())[key] = key;
    }
    ContentDigest out;
    out.Add("p", proxy);
    return out.bytes();
  };
  EXPECT_EQ(digest(false), digest(true));
}

ViewLog ThreeRevisions() {
  ViewLog view;
  for (int i = 1; i <= 3; ++i) {
    view.Set("a", Text(std::to_string(i)));
    view.Publish(i, i);
  }
  return view;
}

TEST(FollowerTest, SendsOneUpdateAtATime) {
  ViewLog view = ThreeRevisions();
  Follower follower;
  const auto first = follower.Next(view);
  ASSERT_TRUE(first.has_value());
  EXPECT_EQ(first->base, std::nullopt) << "whole, for one that holds nothing";
  view.Set("b", Text("b"));
  view.Publish(4, 4);
  EXPECT_FALSE(follower.Next(view).has_value()) << "the first is not answered yet";
  EXPECT_FALSE(follower.OnAck(2)) << "about another revision";
  EXPECT_TRUE(follower.OnAck(3));
  const auto second = follower.Next(view);
  ASSERT_TRUE(second.has_value());
  EXPECT_EQ(second->base, 3);
  EXPECT_TRUE(follower.OnAck(4));
  EXPECT_FALSE(follower.Next(view).has_value()) << "it has it all";
}

TEST(FollowerTest, OneThatHasTheContentIsToldItsNewNameAndIfItRefusesThatTheWhole) {
  ViewLog view = ThreeRevisions();
  Follower follower;
  const auto first = follower.Next(view, /*has_content=*/true);
  ASSERT_TRUE(first.has_value());
  EXPECT_TRUE(first->is_renaming);
  EXPECT_EQ(first->base, std::nullopt) << "no revision of this view";
  EXPECT_TRUE(follower.OnAck(3));
  EXPECT_EQ(follower.in_force(), 3);
  view.Set("b", Text("b"));
  view.Publish(4, 4);
  EXPECT_EQ(follower.Next(view)->base, 3) << "then deltas";

  Follower other;
  EXPECT_TRUE(other.Next(view, true)->is_renaming);
  EXPECT_TRUE(other.OnNack(4)) << "it had another base";
  const auto whole = other.Next(view, true);
  ASSERT_TRUE(whole.has_value());
  EXPECT_FALSE(whole->is_renaming);
  EXPECT_EQ(whole->base, std::nullopt);

  Follower third;
  third.Begin(2);
  const auto delta = third.Next(view, true);
  EXPECT_FALSE(delta->is_renaming) << "a delta says the same, and what was under way before";
  EXPECT_EQ(delta->base, 2);
}

TEST(FollowerTest, ARefusedDeltaIsFollowedByTheWholeAndARefusedWholeByNothingUntilTheViewChanges) {
  ViewLog view = ThreeRevisions();
  Follower follower;
  follower.Begin(2);
  EXPECT_EQ(follower.Next(view)->base, 2);
  EXPECT_TRUE(follower.OnNack(3));
  const auto whole = follower.Next(view);
  ASSERT_TRUE(whole.has_value());
  EXPECT_EQ(whole->base, std::nullopt);
  EXPECT_TRUE(follower.OnNack(3));
  EXPECT_FALSE(follower.Next(view).has_value());
  EXPECT_EQ(follower.in_force(), 2) << "what it had stays in force";
  view.Set("a", Text("better"));
  view.Publish(4, 4);
  EXPECT_EQ(follower.Next(view)->base, std::nullopt);
}

TEST(FollowerTest, OneThatHoldsTheNewestGetsNothing) {
  const ViewLog view = ThreeRevisions();
  Follower follower;
  follower.Begin(3);
  EXPECT_FALSE(follower.Next(view).has_value());
  EXPECT_EQ(follower.in_force(), 3);
}

// A proxy that applies what it is sent, as proxies do.
struct ModelProxy {
  Follower follower;
  std::map<std::string, std::string> resources;  // by set and name
  int64_t sequence = 0;

  void Apply(const proxy::v1::ConfigUpdate& update) {
    EXPECT_GT(update.revision().sequence(), sequence) << "a revision went back";
    if (update.has_base()) {
      EXPECT_EQ(update.base().sequence(), sequence);
    } else {
      resources.clear();
    }
    sequence = update.revision().sequence();
    Put(update.upserts(), resources);
    for (const auto& name : update.removed_load_balancers()) Remove("b" + name);
    for (const auto& name : update.removed_security_groups()) Remove("i" + name);
    for (const auto& name : update.removed_target_groups()) Remove("g" + name);
    for (const auto& name : update.removed_targets()) Remove("t" + name);
    for (const auto& name : update.removed_traffic_splits()) Remove("s" + name);
  }
  void Remove(const std::string& key) {
    EXPECT_EQ(resources.erase(key), 1U) << key << " was not there";
  }
  static void Put(const proxy::v1::ProxyConfig& config, std::map<std::string, std::string>& out) {
    const auto id = [](const std::string& name) { return name.substr(name.find('/') + 1); };
    for (const auto& r : config.load_balancers()) out["b" + id(r.name())] = r.ShortDebugString();
    for (const auto& r : config.security_groups()) out["i" + id(r.name())] = r.ShortDebugString();
    for (const auto& r : config.target_groups()) out["g" + id(r.name())] = r.ShortDebugString();
    for (const auto& r : config.targets())
      out["t" + r.target_group() + "/" + r.id()] = r.ShortDebugString();
    for (const auto& r : config.traffic_splits())
      out["s" + r.target_group()] = r.ShortDebugString();
  }
};

class ViewsTest : public testing::Test {
 protected:
  template <class Edits>
  void Commit(Edits edits) {
    core::Draft draft(state_);
    edits(draft);
    const core::Changes changes = draft.Take();
    if (changes.empty()) return;
    Touched touched;
    TouchEdits(state_, changes, touched);
    state_.Apply(changes, state_.commit() + 1);
    TouchEdits(state_, changes, touched);
    core::Ingress::Told told = ingress_.Refresh(
        state_, {.groups = touched.security_groups || touched.proxy_views.load_balancers,
                 .proxies = !touched.proxy_views.proxies.empty(),
                 .instances = &touched.instances,
                 .hosts = &touched.hosts});
    touched.proxy_views.security_groups.merge(told.security_groups);
    views_.Refresh(state_, seen_, ingress_, admission_, touched.proxy_views);
    for (const std::string& name : views_.TakeReplaced()) {
      const auto it = proxies_.find(name);
      if (it != proxies_.end()) it->second.follower.Restart();
    }
  }
  void PutProxy(const std::string& id, const std::string& site) {
    Commit([&](core::Draft& draft) {
      v1::Proxy row;
      row.set_name("proxies/" + id);
      (*row.mutable_labels())["site"] = site;
      draft.Put(id, row);
    });
  }
  void PutLoadBalancer(const std::string& id, const std::string& group, const std::string& site) {
    Commit([&](core::Draft& draft) {
      v1::LoadBalancer row;
      row.set_name("loadBalancers/" + id);
      row.add_listeners()
          ->mutable_default_action()
          ->mutable_forward()
          ->add_target_groups()
          ->set_target_group(group);
      if (!site.empty()) (*row.mutable_proxy_selector())["site"] = site;
      draft.Put(id, row);
    });
  }
  void PutGroup(const std::string& id, int delay_seconds) {
    Commit([&](core::Draft& draft) {
      v1::TargetGroup row;
      row.set_name("targetGroups/" + id);
      row.mutable_deregistration_delay()->set_seconds(delay_seconds);
      draft.Put(id, row);
    });
  }
  void PutTarget(const std::string& group, int port, bool draining) {
    Commit([&](core::Draft& draft) {
      const std::string id = "10.0.0.1:" + std::to_string(port);
      v1::Target row;
      row.set_name("targetGroups/" + group + "/targets/" + id);
      row.set_address("10.0.0.1");
      row.set_port(port);
      if (draining) row.set_state(v1::TARGET_STATE_DRAINING);
      draft.Put(core::TargetKey(group, id), row);
    });
  }
  template <class T>
  void Delete(const std::string& key) {
    Commit([&](core::Draft& draft) { draft.Delete<T>(key); });
  }

  // Sends the proxy what it lacks; the size of the update, 0 if none.
  size_t Send(const std::string& name) {
    const ViewLog* view = views_.ViewOf(name);
    if (view == nullptr) return 0;
    ModelProxy& proxy = proxies_[name];
    const auto update = proxy.follower.Next(*view);
    if (!update.has_value()) return 0;
    const Frame frame = views_.UpdateFor(name, update->base);
    proxy::v1::ConnectResponse response;
    EXPECT_TRUE(response.ParseFromString(*frame));
    proxy.Apply(response.update());
    EXPECT_TRUE(proxy.follower.OnAck(response.update().revision().sequence()));
    return frame->size();
  }
  void ExpectAsConfigFor(const std::string& name) {
    std::map<std::string, std::string> wanted;
    ModelProxy::Put(core::ConfigFor(state_, seen_, name), wanted);
    EXPECT_EQ(proxies_[name].resources, wanted) << name;
  }

  core::State state_;
  core::Observations seen_;
  int64_t sequence_ = 0;
  core::Ingress ingress_;
  const ProxyAdmission admission_;
  ProxyViews views_{1, "secret", [this] { return ++sequence_; }};
  std::map<std::string, ModelProxy> proxies_;
};

TEST_F(ViewsTest, OneTargetsChangeIsOneSmallDeltaMadeOnceForAllProxies) {
  PutGroup("blue", 10);
  PutLoadBalancer("shop", "blue", "");
  for (int port = 1; port <= 2000; ++port) {
    core::Draft draft(state_);
    v1::Target row;
    row.set_address("10.0.0.1");
    row.set_port(port);
    draft.Put(core::TargetKey("blue", "10.0.0.1:" + std::to_string(port)), row);
    state_.Apply(draft.Take(), state_.commit() + 1);
  }
  PutProxy("p1", "a");
  PutProxy("p2", "b");
  EXPECT_GT(Send("p1"), 40'000U);
  EXPECT_GT(Send("p2"), 40'000U);
  PutTarget("blue", 7, /*draining=*/true);
  const int64_t base = proxies_["p1"].sequence;
  EXPECT_EQ(views_.UpdateFor("p1", base).get(), views_.UpdateFor("p2", base).get())
      << "serialized once";
  EXPECT_LT(Send("p1"), 150U) << "one change among 2,000 targets";
  EXPECT_LT(Send("p2"), 150U);
  ExpectAsConfigFor("p1");
}

TEST_F(ViewsTest, TellsWhichTargetsChangedAndOfAGroupThatNobodyShowsAllThatMayHave) {
  using Id = core::TargetId;
  PutProxy("p1", "a");
  PutGroup("blue", 10);
  PutGroup("green", 10);
  PutLoadBalancer("shop", "blue", "");
  for (const char* group : {"blue", "green"}) {
    PutTarget(group, 1, false);
    PutTarget(group, 2, false);
  }
  views_.TakeChanged();
  PutTarget("blue", 2, true);
  EXPECT_THAT(views_.TakeChanged(), ElementsAre(Id("blue", "10.0.0.1:2")));
  EXPECT_THAT(views_.TakeChanged(), IsEmpty());
  Delete<v1::Target>(core::TargetKey("blue", "10.0.0.1:1"));
  EXPECT_THAT(views_.TakeChanged(), ElementsAre(Id("blue", "10.0.0.1:1")));
  PutTarget("green", 2, true);
  EXPECT_THAT(views_.TakeChanged(),
              ElementsAre(Id("green", "10.0.0.1:1"), Id("green", "10.0.0.1:2")));
}

TEST_F(ViewsTest, AProxyThatMovesToOtherLoadBalancersGetsThemWhole) {
  PutGroup("blue", 10);
  PutGroup("green", 10);
  PutLoadBalancer("a", "blue", "a");
  PutLoadBalancer("b", "green", "b");
  PutProxy("p1", "a");
  PutProxy("p2", "b");
  Send("p1");
  Send("p2");
  PutTarget("green", 80, false);
  Send("p2");
  PutTarget("blue", 80, false);
  Send("p1");
  PutProxy("p2", "a");
  Send("p1");
  Send("p2");
  ExpectAsConfigFor("p1");
  ExpectAsConfigFor("p2");
}

TEST_F(ViewsTest, ANewLoadBalancerForAllIsADeltaForAll) {
  PutGroup("blue", 10);
  PutLoadBalancer("a", "blue", "");
  PutProxy("p1", "a");
  PutProxy("p2", "a");
  Send("p1");
  Send("p2");
  PutLoadBalancer("b", "blue", "");
  for (const char* name : {"p1", "p2"}) {
    const auto update = proxies_[name].follower.Next(*views_.ViewOf(name));
    ASSERT_TRUE(update.has_value());
    EXPECT_TRUE(update->base.has_value()) << name << " got everything anew";
  }
}

TEST_F(ViewsTest, ARevisionOfAnotherViewIsSurpassed) {
  PutGroup("blue", 10);
  PutProxy("p1", "a");
  const int64_t held = ++sequence_;  // given out for a view that is gone
  ASSERT_FALSE(views_.CanBuildOn("p1", held));
  const int64_t covered = state_.commit();
  core::Draft draft(state_);
  draft.Delete<v1::TargetGroup>("blue");
  state_.Apply(draft.Take(), covered + 1);  // which no view shows yet
  views_.Surpass("p1", held);
  const ViewLog& view = *views_.ViewOf("p1");
  EXPECT_GT(view.sequence(), held);
  EXPECT_EQ(view.CoveredBy(view.sequence()), covered);
}

TEST_F(ViewsTest, WhateverHappensReceiversHaveWhatConfigForSays) {
  std::mt19937 random(20261122);
  const auto pick = [&random](int n) {
    return static_cast<int>(random() % static_cast<unsigned>(n));
  };
  for (int step = 0; step < 1500; ++step) {
    const std::string group = "g" + std::to_string(pick(3));
    const std::string site = std::string(1, static_cast<char>('a' + pick(2)));
    const std::string balancer = "lb" + std::to_string(pick(3));
    switch (pick(8)) {
      case 0:
        PutGroup(group, pick(3));
        break;
      case 1:
        Delete<v1::TargetGroup>(group);
        break;
      case 2:
        PutLoadBalancer(balancer, group, pick(2) == 0 ? site : "");
        break;
      case 3:
        Delete<v1::LoadBalancer>(balancer);
        break;
      case 4:
        PutProxy("p" + std::to_string(pick(3)), site);
        break;
      case 5:
        Delete<v1::Target>(core::TargetKey(group, "10.0.0.1:" + std::to_string(1 + pick(5))));
        break;
      default:
        PutTarget(group, 1 + pick(5), pick(3) == 0);
    }
    // Some lag behind for a while.
    for (const char* name : {"p0", "p1", "p2"}) {
      if (pick(3) == 0) Send(name);
    }
    if (step % 10 != 9) continue;
    for (const char* name : {"p0", "p1", "p2"}) {
      if (views_.ViewOf(name) == nullptr) continue;
      Send(name);
      ExpectAsConfigFor(name);
      EXPECT_EQ(views_.ViewOf(name)->CoveredBy(proxies_[name].sequence), state_.commit());
    }
    if (HasFailure()) FAIL() << "step " << step;
  }
}

// Groups whose instances are targets of blue and green.
class InstancesTest : public ViewsTest {
 protected:
  int Below(int bound) { return static_cast<int>(random_() % static_cast<unsigned>(bound)); }
  bool OneIn(int n) { return Below(n) == 0; }
  static std::string HostOf(int number) { return "h" + std::to_string(number % 3); }
  static std::string GroupOf(int number) { return "asg" + std::to_string(number % 2); }

  void PutScalingGroup(const std::string& id, const std::vector<std::string>& target_groups,
                       bool rests_at_zero = false) {
    Commit([&](core::Draft& draft) {
      v1::AutoScalingGroup row;
      row.set_name("autoScalingGroups/" + id);
      for (const std::string& target_group : target_groups) row.add_target_groups(target_group);
      if (rests_at_zero) row.mutable_from_zero();
      draft.Put(id, row);
    });
  }
  void PutHost(int number, const std::string& zone) {
    Commit([&](core::Draft& draft) {
      v1::Host row;
      row.set_name("hosts/" + HostOf(number));
      row.set_zone(zone);
      draft.Put(HostOf(number), row);
    });
  }
  // Of any version, in any state.
  void PutInstances(int number, int count, int versions) {
    Commit([&](core::Draft& draft) {
      for (int i = number; i < number + count; ++i) {
        constexpr v1::InstanceState kStates[] = {
            v1::INSTANCE_STATE_PENDING,    v1::INSTANCE_STATE_IN_SERVICE,
            v1::INSTANCE_STATE_IN_SERVICE, v1::INSTANCE_STATE_UNKNOWN,
            v1::INSTANCE_STATE_DRAINING,   v1::INSTANCE_STATE_TERMINATED};
        v1::Instance row;
        row.set_auto_scaling_group(GroupOf(i));
        row.mutable_launch_template()->set_launch_template("shop");
        row.mutable_launch_template()->set_resolved_version(1 + Below(versions));
        row.set_host(HostOf(i));
        row.set_address("10.0.0." + std::to_string(i));
        row.set_port(80);
        row.set_state(kStates[Below(6)]);
        if (OneIn(3)) row.set_withheld_by("d1");
        if (!OneIn(4)) row.mutable_start_time()->set_seconds(1);
        draft.Put("i-" + std::to_string(i), row);
      }
    });
  }
  // By the host's word.
  void EndProcess(int number) {
    const std::string id = "i-" + std::to_string(number);
    core::HostObservation& host = seen_.hosts[HostOf(number)];
    host.connected = host.reported = true;
    host.instances[id].set_state(OneIn(2) ? agent::v1::PROCESS_STATE_EXITED
                                          : agent::v1::PROCESS_STATE_RUNNING);
    Touched touched;
    TouchHost(state_, HostOf(number), touched);
    views_.Refresh(state_, seen_, ingress_, admission_, touched.proxy_views);
  }
  void Change(int versions) {
    const int number = Below(12);
    switch (Below(12)) {
      case 0:
        return PutScalingGroup(
            GroupOf(number),
            OneIn(2) ? std::vector<std::string>{"blue", "green"} : std::vector<std::string>{"blue"},
            OneIn(3));
      case 1:
        return PutHost(number, OneIn(2) ? "a" : "b");
      case 2:
        return Delete<v1::Instance>("i-" + std::to_string(number));
      case 3:
        if (OneIn(4)) Delete<v1::AutoScalingGroup>(GroupOf(number));
        return;
      case 4:
        return PutTarget("blue", 1 + Below(3), OneIn(3));
      case 5:
        return EndProcess(number);
      default:
        return PutInstances(number, 1 + Below(3), versions);
    }
  }

  std::mt19937 random_{20261130};
};

// What is counted target by target is what a count of all would give.
TEST_F(InstancesTest, WhateverHappensToThemReceiversHaveWhatConfigForSays) {
  PutGroup("blue", 10);
  PutGroup("green", 10);
  PutLoadBalancer("lb0", "blue", "");
  PutLoadBalancer("lb1", "green", "b");
  PutProxy("p0", "a");
  PutProxy("p1", "b");
  PutScalingGroup("asg0", {"blue", "green"});
  PutScalingGroup("asg1", {"blue"});
  // Few versions for a while, then more than a split can name, then few again.
  for (int step = 0; step < 3000; ++step) {
    Change(step / 1000 == 1 ? 40 : 2);
    for (const char* name : {"p0", "p1"}) {
      if (OneIn(2)) Send(name);
      if (step % 5 != 4) continue;
      Send(name);
      ExpectAsConfigFor(name);
    }
    if (HasFailure()) FAIL() << "step " << step;
  }
}

TEST_F(InstancesTest, RequestsWaitWhereAGroupRestsAtZero) {
  for (const char* id : {"blue", "green"}) PutGroup(id, 10);
  Commit([&](core::Draft& draft) {
    v1::TargetGroup row;
    row.set_protocol(v1::PROTOCOL_TCP);
    draft.Put("bytes", row);
    row.Clear();
    row.mutable_request_hold()->set_max_requests(7);
    draft.Put("own", row);
  });
  PutLoadBalancer("lb0", "blue", "");
  PutProxy("p0", "a");
  const auto hold_of = [&](const char* id) {
    return core::TargetGroupViewOf(state_, seen_, id).target_group->request_hold();
  };
  PutScalingGroup("asg0", {"blue", "bytes", "own"});
  EXPECT_EQ(hold_of("blue").ByteSizeLong(), 0U);
  Send("p0");
  PutScalingGroup("asg0", {"blue", "bytes", "own"}, true);
  EXPECT_EQ(hold_of("blue").max_requests(), 100);
  EXPECT_EQ(hold_of("blue").max_bytes(), 16 * 1024 * 1024);
  EXPECT_EQ(hold_of("blue").timeout().seconds(), 30);
  EXPECT_EQ(hold_of("bytes").ByteSizeLong(), 0U);
  EXPECT_EQ(hold_of("own").max_requests(), 7);
  EXPECT_EQ(hold_of("green").ByteSizeLong(), 0U);
  EXPECT_GT(Send("p0"), 0U);
  ExpectAsConfigFor("p0");
  PutScalingGroup("asg0", {"blue"});
  EXPECT_EQ(hold_of("blue").ByteSizeLong(), 0U);
  EXPECT_GT(Send("p0"), 0U);
  ExpectAsConfigFor("p0");
}

TEST_F(InstancesTest, OneInstancesChangeTouchesItsTargetsAndNoTargetGroupAsAWhole) {
  PutScalingGroup("asg0", {"blue", "green"});
  PutInstances(0, 1, 1);
  core::Draft draft(state_);
  v1::Instance row = *draft.Find<v1::Instance>("i-0");
  row.set_state_reason("another");
  draft.Put("i-0", row);
  Touched touched;
  TouchEdits(state_, draft.Take(), touched);
  EXPECT_THAT(touched.proxy_views.target_groups, IsEmpty());
  EXPECT_THAT(touched.proxy_views.targets,
              ElementsAre(core::TargetId("blue", "i-0"), core::TargetId("green", "i-0")));
  PutScalingGroup("asg1", {"blue"});
  v1::AutoScalingGroup group = **state_.Find<v1::AutoScalingGroup>("asg1");
  group.set_target_groups(0, "red");
  draft.Put("asg1", group);
  TouchEdits(state_, draft.Take(), touched);
  EXPECT_THAT(touched.proxy_views.target_groups, ElementsAre("blue", "red"));
}

}  // namespace
}  // namespace remuda
