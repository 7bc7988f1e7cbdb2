// Which groups follow a source, what of its word is committed and when, and what is shown of it.
#include "controller/kubernetes/target_sources.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <optional>

#include "common/status.h"
#include "controller/core/model/limits.h"
#include "controller/core/model/names.h"
#include "controller/kubernetes/limits.h"
#include "controller/limits.h"
#include "tests/unit/controller/engine/engine_seams.h"

namespace remuda {
namespace {

using core::FollowedEndpoint;
using ::testing::HasSubstr;

// Keeps who is followed; the test says what is heard.
class HeldWatcher final : public EndpointWatcher {
 public:
  void Follow(int64_t id, const v1::KubernetesTargets& whose, Take take) override {
    followed[id] = {whose.service(), std::move(take)};
  }
  void Forget(int64_t id) override { followed.erase(id); }

  // By whoever follows the Service now.
  void Say(const std::string& service, const EndpointReport& report) {
    for (const auto& [id, one] : std::map(followed)) {
      if (one.service == service) one.take(report);
    }
  }
  std::string Services() const {
    std::string out;
    for (const auto& [id, one] : followed) out += (out.empty() ? "" : " ") + one.service;
    return out;
  }

  struct Followed {
    std::string service;
    Take take;
  };
  std::map<int64_t, Followed> followed;
};

class TargetSourcesTest : public ::testing::Test {
 protected:
  TargetSourcesTest() { Start({}, &watcher_); }

  // A controller that starts with what is committed.
  void Start(core::State state, EndpointWatcher* watcher) {
    sources_.reset();
    engine_ = std::make_unique<Engine>(
        Engine::Options{.state = std::move(state), .patience = {}, .on_leadership_lost = nullptr},
        clock_, committer_, metrics_);
    sources_ = std::make_unique<TargetSources>(*engine_, watcher);
    engine_->set_on_commit([this](const core::Changes& changes) { sources_->OnCommit(changes); });
    Settle();
  }
  void Turn() {
    next_ = sources_->Turn();
    engine_->Turn();
  }
  // Until nothing is left to do but by time.
  void Settle() {
    int turns = 0;
    do {
      Turn();
      if (committer_.has_work()) {
        rows_ = std::max(rows_, committer_.rows());
        committer_.Finish(++commit_);
        ++commits_;
      }
      ASSERT_LT(++turns, 2'000) << "it never rests";
    } while (committer_.has_work() || engine_->queued() > 0 || sources_->has_room() ||
             turns % 3 != 0);
  }
  template <class Fn>
  void Edit(Fn fn) {
    engine_->Add({.decide = [fn](core::Draft& draft, const core::Context&) -> absl::Status {
                    fn(draft);
                    return absl::OkStatus();
                  },
                  .done = [](const absl::Status&, const core::State&) {}});
  }
  // `service` empty: without a source.
  static v1::TargetGroup Group(const std::string& id, const std::string& service) {
    v1::TargetGroup group;
    group.set_name("targetGroups/" + id);
    if (service.empty()) return group;
    group.mutable_targets()->mutable_kubernetes()->set_namespace_("shop");
    group.mutable_targets()->mutable_kubernetes()->set_service(service);
    return group;
  }
  void PutGroup(const std::string& id, const std::string& service) {
    Edit([=](core::Draft& draft) { draft.Put(id, Group(id, service)); });
    Settle();
  }
  void DeleteGroup(const std::string& id) {
    Edit([=](core::Draft& draft) { draft.Delete<v1::TargetGroup>(id); });
    Settle();
  }
  static EndpointReport Ready(const std::vector<std::string>& addresses) {
    EndpointReport report{.endpoints = std::vector<FollowedEndpoint>(), .is_heard = true};
    for (const std::string& one : addresses)
      report.endpoints->push_back({.address = one, .port = 80, .zone = ""});
    return report;
  }
  void Say(const std::string& service, const std::vector<std::string>& addresses) {
    watcher_.Say(service, Ready(addresses));
    Settle();
  }
  // "10.0.0.1 10.0.0.2" of a group. Without a proxy those that drain are gone at once.
  std::string Targets(const std::string& group = "web") const {
    std::string out;
    for (const auto& [key, row] : engine_->state().All<v1::Target>()) {
      if (key.rfind(group + "/", 0) != 0) continue;
      out += (out.empty() ? "" : " ") + row->address();
    }
    return out;
  }
  v1::TargetSourceStatus Shown(const std::string& id, const std::string& service = "web") const {
    v1::TargetGroup group = Group(id, service);
    sources_->Show(group);
    return group.targets_status();
  }

  HandClock clock_;
  HeldCommitter committer_;
  Metrics metrics_;
  HeldWatcher watcher_;
  int64_t commit_ = 0;
  int commits_ = 0;  // since it was set back
  size_t rows_ = 0;  // of the largest
  absl::Time next_;
  std::unique_ptr<Engine> engine_;
  std::unique_ptr<TargetSources> sources_;
};

TEST_F(TargetSourcesTest, WhatIsHeardIsCommittedOnceAndShown) {
  PutGroup("web", "web");
  EXPECT_EQ(watcher_.Services(), "web");
  EXPECT_EQ(Shown("web").error(), "nothing was heard yet");
  EXPECT_FALSE(Shown("web").has_contact_time());
  commits_ = 0;
  Say("web", {"10.0.0.1", "10.0.0.2"});
  EXPECT_EQ(Targets(), "10.0.0.1 10.0.0.2");
  EXPECT_EQ(Shown("web").error(), "");
  EXPECT_EQ(Shown("web").endpoints(), 2);
  EXPECT_EQ(core::FromProto(Shown("web").contact_time()), clock_.now);
  Say("web", {"10.0.0.1", "10.0.0.2"});
  EXPECT_EQ(commits_, 1);
  EXPECT_EQ(next_, absl::InfiniteFuture());
  Say("web", {"10.0.0.2"});
  EXPECT_EQ(Targets(), "10.0.0.2");
}

TEST_F(TargetSourcesTest, NothingIsConcludedFromSilence) {
  PutGroup("web", "web");
  Say("web", {"10.0.0.1"});
  clock_.now += absl::Hours(1);
  watcher_.Say("web", {.endpoints = std::nullopt, .error = "it cannot be connected to"});
  Settle();
  EXPECT_EQ(Targets(), "10.0.0.1");
  EXPECT_EQ(Shown("web").error(), "it cannot be connected to");
  EXPECT_EQ(core::FromProto(Shown("web").contact_time()), clock_.now - absl::Hours(1));
  // Another controller takes over: it has heard nothing, and then that the API is away.
  commits_ = 0;
  watcher_.followed.clear();
  Start(engine_->state(), &watcher_);
  EXPECT_EQ(watcher_.Services(), "web");
  watcher_.Say("web", {.endpoints = std::nullopt, .error = "it cannot be connected to"});
  Settle();
  EXPECT_EQ(Targets(), "10.0.0.1");
  EXPECT_EQ(commits_, 0);
  EXPECT_EQ(Shown("web").endpoints(), 0);
  // What went meanwhile goes with the first list.
  Say("web", {"10.0.0.2"});
  EXPECT_EQ(Targets(), "10.0.0.2");
}

TEST_F(TargetSourcesTest, AControllerThatFollowsNothingLeavesAll) {
  PutGroup("web", "web");
  Say("web", {"10.0.0.1"});
  Start(engine_->state(), nullptr);
  EXPECT_EQ(Targets(), "10.0.0.1");
  EXPECT_EQ(Shown("web").error(), "this controller follows no sources");
}

TEST_F(TargetSourcesTest, AnotherServiceIsAnotherSource) {
  PutGroup("web", "web");
  Say("web", {"10.0.0.1"});
  const auto late = watcher_.followed.begin()->second.take;
  PutGroup("web", "web2");
  EXPECT_EQ(watcher_.Services(), "web2");
  // Of the first one, on its way when it was forgotten.
  late(Ready({"10.0.0.9"}));
  Settle();
  EXPECT_EQ(Targets(), "10.0.0.1");
  EXPECT_EQ(Shown("web", "web2").error(), "nothing was heard yet");
  Say("web2", {"10.0.0.2"});
  EXPECT_EQ(Targets(), "10.0.0.2");
  // Other changes of the group are none of its source.
  const int64_t id = watcher_.followed.begin()->first;
  Edit([](core::Draft& draft) {
    v1::TargetGroup group = Group("web", "web2");
    group.set_algorithm(v1::BALANCING_ALGORITHM_LEAST_OUTSTANDING_REQUESTS);
    draft.Put("web", group);
  });
  Settle();
  EXPECT_EQ(watcher_.followed.begin()->first, id);
}

TEST_F(TargetSourcesTest, WhatIsShownIsOfTheSourceThatTheGroupHas) {
  PutGroup("web", "web");
  Say("web", {"10.0.0.1"});
  // Committed, and no turn yet.
  EXPECT_EQ(Shown("web", "web2").error(), "nothing was heard yet");
  EXPECT_EQ(Shown("web", "web2").endpoints(), 0);
  v1::TargetGroup without = Group("web", "");
  sources_->Show(without);
  EXPECT_FALSE(without.has_targets_status());
}

TEST_F(TargetSourcesTest, WithoutItsSourceOrItselfAGroupIsForgotten) {
  PutGroup("web", "web");
  PutGroup("api", "api");
  PutGroup("web", "");
  EXPECT_EQ(watcher_.Services(), "api");
  PutGroup("web", "web");
  EXPECT_EQ(watcher_.Services(), "api web");
  // Deleted while its list is on its way to the store.
  watcher_.Say("api", Ready({"10.0.0.1"}));
  Edit([](core::Draft& draft) { draft.Delete<v1::TargetGroup>("api"); });
  Settle();
  EXPECT_EQ(watcher_.Services(), "web");
  EXPECT_EQ(Targets("api"), "");
  const auto late = watcher_.followed.begin()->second.take;
  DeleteGroup("web");
  late(Ready({"10.0.0.1"}));
  Settle();
  EXPECT_EQ(Targets("web"), "");
}

TEST_F(TargetSourcesTest, ACommitThatFailsIsMadeAgainAfterAWait) {
  PutGroup("web", "web");
  watcher_.Say("web", Ready({"10.0.0.1"}));
  Turn();
  ASSERT_TRUE(committer_.has_work());
  // What comes meanwhile waits for the answer.
  watcher_.Say("web", Ready({"10.0.0.2"}));
  Turn();
  EXPECT_EQ(engine_->queued(), 0U);
  committer_.Finish(Unavailable("disk is full"));
  EXPECT_TRUE(sources_->has_room());
  Turn();
  EXPECT_FALSE(sources_->has_room());
  EXPECT_FALSE(committer_.has_work()) << "tried again at once";
  EXPECT_EQ(next_, clock_.now + limits::kCommitRetryDelay);
  clock_.now = next_;
  Settle();
  EXPECT_EQ(Targets(), "10.0.0.2");
}

TEST_F(TargetSourcesTest, WhatSomebodyDeregisteredIsAnEndpointsAgain) {
  PutGroup("web", "web");
  Say("web", {"10.0.0.1"});
  Edit([](core::Draft& draft) {
    v1::Target row = *draft.Find<v1::Target>("web/targets/10.0.0.1:80");
    row.clear_source();
    row.set_state(v1::TARGET_STATE_DRAINING);
    *row.mutable_drain_start_time() = core::ToProto(absl::UnixEpoch());
    draft.Put("web/targets/10.0.0.1:80", row);
  });
  Settle();
  EXPECT_EQ(Targets(), "10.0.0.1");
  EXPECT_TRUE(
      core::IsFollowed(*engine_->state().Find<v1::Target>("web/targets/10.0.0.1:80")->value));
}

TEST_F(TargetSourcesTest, ASourceThatIsTakenAwayAndGivenBackInOneCommitLosesNothing) {
  PutGroup("web", "web");
  Say("web", {"10.0.0.1"});
  const int64_t id = watcher_.followed.begin()->first;
  for (const char* service : {"", "web"}) {
    Edit([service](core::Draft& draft) {
      const v1::TargetGroup group = Group("web", service);
      const core::Observations seen;
      core::DropFollowed(draft, "web", group, {seen, absl::UnixEpoch()});
      draft.Put("web", group);
    });
  }
  Turn();
  committer_.Finish(++commit_);
  EXPECT_EQ(watcher_.followed.begin()->first, id) << "it was never seen without";
  Turn();
  committer_.Finish(++commit_);
  const auto* row = engine_->state().Find<v1::Target>("web/targets/10.0.0.1:80");
  ASSERT_NE(row, nullptr);
  EXPECT_FALSE((*row)->has_drain_start_time());
}

TEST_F(TargetSourcesTest, ManyGroupsAtOnceMakeSmallCommitsAndAllHaveTheirTurn) {
  const size_t groups = kubernetes::limits::kMaxAsked * 3 + 1;
  for (size_t i = 0; i < groups; ++i) {
    PutGroup("g" + std::to_string(i), "web");
  }
  commits_ = 0;
  rows_ = 0;
  Say("web", {"10.0.0.1", "10.0.0.2"});
  for (size_t i = 0; i < groups; ++i)
    EXPECT_EQ(Targets("g" + std::to_string(i)), "10.0.0.1 10.0.0.2") << i;
  EXPECT_EQ(commits_, 4);
  // Two targets and an activity of each.
  EXPECT_LE(rows_, kubernetes::limits::kMaxAsked * 4);
  // Nothing to commit: the engine answers within its turn, and those that wait go on at once.
  watcher_.followed.clear();
  Start(engine_->state(), &watcher_);
  commits_ = 0;
  watcher_.Say("web", Ready({"10.0.0.1", "10.0.0.2"}));
  Turn();
  EXPECT_TRUE(sources_->has_room());
  for (size_t i = 0; i < 3; ++i) Turn();
  EXPECT_FALSE(sources_->has_room());
  EXPECT_EQ(commits_, 0);
}

TEST_F(TargetSourcesTest, OneThatFoundNoPlaceHasItWhenAnyGroupLeavesIt) {
  // All places of the cluster but one are taken.
  Edit([](core::Draft& draft) {
    v1::Target row;
    row.set_port(80);
    for (size_t i = 1; i < core::limits::kTargetsByHand; ++i)
      draft.Put("other/targets/" + std::to_string(i), row);
  });
  PutGroup("web", "web");
  Say("web", {"10.0.0.1", "10.0.0.2"});
  EXPECT_EQ(Targets(), "10.0.0.1");
  EXPECT_THAT(Shown("web").error(), HasSubstr("1 endpoint found no place"));
  EXPECT_EQ(Shown("web").endpoints(), 2);
  Edit([](core::Draft& draft) { draft.Delete<v1::Target>("other/targets/1"); });
  Settle();
  EXPECT_EQ(Targets(), "10.0.0.1 10.0.0.2");
  EXPECT_EQ(Shown("web").error(), "");
}

TEST_F(TargetSourcesTest, SoManyAreFollowedAndTheNextHasThePlaceOfOneThatGoes) {
  Edit([](core::Draft& draft) {
    for (size_t i = 0; i < kubernetes::limits::kMaxFollowed; ++i) {
      const std::string id = "g" + std::to_string(i);
      draft.Put(id, Group(id, "s" + std::to_string(i)));
    }
  });
  Settle();
  PutGroup("web", "web");
  EXPECT_EQ(watcher_.followed.size(), kubernetes::limits::kMaxFollowed);
  EXPECT_THAT(Shown("web").error(), HasSubstr("kMaxFollowed"));
  DeleteGroup("g7");
  EXPECT_EQ(watcher_.followed.size(), kubernetes::limits::kMaxFollowed);
  Say("web", {"10.0.0.1"});
  EXPECT_EQ(Targets(), "10.0.0.1");
}

}  // namespace
}  // namespace remuda
