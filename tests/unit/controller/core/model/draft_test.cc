#include "controller/core/model/draft.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <optional>
#include <random>
#include <string>
#include <utility>

namespace remuda::core {
namespace {

using testing::ElementsAre;

v1::Instance InstanceOf(const std::string& group, const std::string& host) {
  v1::Instance out;
  out.set_auto_scaling_group(group);
  out.set_host(host);
  return out;
}

v1::Host HostOf(const std::string& address) {
  v1::Host out;
  out.set_address(address);
  return out;
}

// A state with instances a1, a2 in group a, b1 in group b, and hosts h1, h3.
State Base() {
  State state;
  Draft draft(state);
  draft.Put("a1", InstanceOf("a", "h1"));
  draft.Put("a2", InstanceOf("a", "h3"));
  draft.Put("b1", InstanceOf("b", "h1"));
  draft.Put("h1", HostOf("10.0.0.1"));
  draft.Put("h3", HostOf("10.0.0.3"));
  const Changes changes = draft.Take();
  state.Apply(changes, 1);
  return state;
}

std::vector<std::string> HostKeys(const Draft& draft) {
  std::vector<std::string> keys;
  draft.ForEach<v1::Host>([&](const std::string& key, const v1::Host&) { keys.push_back(key); });
  return keys;
}

std::vector<std::string> Ids(const InstanceList& list) {
  std::vector<std::string> ids;
  for (const auto& [id, instance] : list) ids.push_back(id);
  return ids;
}

TEST(DraftTest, ReadsTheStateThroughTheEdits) {
  const State state = Base();
  Draft draft(state);
  draft.Put("h2", HostOf("10.0.0.2"));
  draft.Delete<v1::Host>("h3");
  draft.Put("h4", HostOf("10.0.0.4"));
  draft.Put("h1", HostOf("10.0.0.99"));

  EXPECT_THAT(HostKeys(draft), ElementsAre("h1", "h2", "h4"));
  EXPECT_EQ(draft.Find<v1::Host>("h1")->address(), "10.0.0.99");
  EXPECT_EQ(draft.Find<v1::Host>("h3"), nullptr);
  EXPECT_EQ(state.Find<v1::Host>("h1")->value->address(), "10.0.0.1")
      << "the state must not change";
}

TEST(DraftTest, InstancesFollowTheirGroupThroughEdits) {
  const State state = Base();
  Draft draft(state);
  draft.Put("a0", InstanceOf("a", "h1"));
  draft.Put("a3", InstanceOf("a", "h1"));
  draft.Put("b1", InstanceOf("a", "h1"));  // moved
  draft.Delete<v1::Instance>("a2");

  EXPECT_THAT(Ids(draft.InstancesOfGroup("a").list()), ElementsAre("a0", "a1", "a3", "b1"));
  EXPECT_THAT(Ids(draft.InstancesOfGroup("b").list()), ElementsAre());
  EXPECT_THAT(Ids(draft.InstancesOnHost("h3")), ElementsAre());
}

// What the lists of groups and hosts are by a look at every row.
std::string ByLooking(const Draft& draft) {
  std::map<std::string, std::string> lists;
  draft.ForEach<v1::Instance>([&](const std::string& id, const v1::Instance& row) {
    lists["group " + row.auto_scaling_group()] += " " + id + "@" + std::to_string(row.port());
    lists["host " + row.host()] += " " + id + "@" + std::to_string(row.port());
  });
  std::string out;
  for (const auto& [name, list] : lists) out += name + ":" + list + "\n";
  return out;
}

std::string TextOf(const HostUse& use) {
  std::string out = std::to_string(use.instances) + " failed " + std::to_string(use.failed);
  for (const auto& [port, count] : use.ports) {
    out += " :" + std::to_string(port) + "*" + std::to_string(count);
  }
  for (const auto& [version, count] : use.launches) {
    out += " " + version.first + ":" + std::to_string(version.second) + "*" + std::to_string(count);
  }
  return out + "\n";
}

// What the hosts' instances take up by a look at every row, and as it is kept.
std::string UseByLooking(const Draft& draft) {
  std::map<std::string, HostUse> uses;
  for (int i = 0; i < 4; ++i) uses["h" + std::to_string(i)];
  draft.ForEach<v1::Instance>([&](const std::string&, const v1::Instance& row) {
    HostUse& use = uses[row.host()];
    const bool failed = row.unhealthy() && (row.state() == v1::INSTANCE_STATE_DRAINING ||
                                            row.state() == v1::INSTANCE_STATE_TERMINATED);
    use.failed += failed;
    if (row.state() == v1::INSTANCE_STATE_TERMINATED) return;
    ++use.instances;
    if (row.port() != 0) ++use.ports[row.port()];
    ++use.launches[{row.launch_template().launch_template(),
                    row.launch_template().resolved_version()}];
  });
  std::string out;
  for (const auto& [host, use] : uses) out += host + ": " + TextOf(use);
  return out;
}

std::string UseAsKept(const Draft& draft) {
  std::string out;
  for (int i = 0; i < 4; ++i) {
    const std::string host = "h" + std::to_string(i);
    out += host + ": " + TextOf(draft.UseOfHost(host));
  }
  return out;
}

std::string ByIndex(const Draft& draft) {
  std::map<std::string, std::string> lists;
  const auto add = [&](const std::string& name, const InstanceList& list) {
    for (const auto& [id, row] : list) {
      lists[name] += " " + id + "@" + std::to_string(row->port());
    }
  };
  for (int i = 0; i < 4; ++i) {
    const std::string n = std::to_string(i);
    add("group g" + n, draft.InstancesOfGroup("g" + n).list());
    add("host h" + n, draft.InstancesOnHost("h" + n));
  }
  std::string out;
  for (const auto& [name, list] : lists) out += name + ":" + list + "\n";
  return out;
}

TEST(DraftTest, ListsAreWhatALookAtEveryRowFindsWhateverIsEdited) {
  std::mt19937 random(1);
  const auto below = [&](unsigned bound) { return static_cast<int>(random() % bound); };
  State state;
  for (int commit = 1; commit <= 60; ++commit) {
    Draft draft(state);
    std::optional<Draft::Savepoint> savepoint;
    for (int edit = 0; edit < 20; ++edit) {
      const std::string id = "i" + std::to_string(below(12));
      v1::Instance row = InstanceOf("g" + std::to_string(below(4)), "h" + std::to_string(below(4)));
      row.set_port(below(2));
      row.set_unhealthy(below(2) == 0);
      constexpr v1::InstanceState kStates[] = {
          v1::INSTANCE_STATE_PENDING, v1::INSTANCE_STATE_DRAINING, v1::INSTANCE_STATE_TERMINATED};
      row.set_state(kStates[below(3)]);
      row.mutable_launch_template()->set_launch_template("shop");
      row.mutable_launch_template()->set_resolved_version(below(2));
      const int kind = below(10);
      if (kind < 6) {
        draft.Put(id, row);
      } else if (kind < 8) {
        draft.Delete<v1::Instance>(id);
      } else if (kind == 8) {
        savepoint = draft.Save();
      } else if (savepoint.has_value()) {
        draft.Restore(*std::exchange(savepoint, std::nullopt));
      }
      ASSERT_EQ(ByIndex(draft), ByLooking(draft)) << "commit " << commit << ", edit " << edit;
      ASSERT_EQ(UseAsKept(draft), UseByLooking(draft)) << "commit " << commit << ", edit " << edit;
    }
    state.Apply(draft.Take(), commit);
    ASSERT_EQ(ByIndex(draft), ByLooking(Draft(state))) << "after commit " << commit;
    ASSERT_EQ(UseAsKept(Draft(state)), UseByLooking(Draft(state))) << "after commit " << commit;
  }
}

TEST(DraftTest, AListStaysAsItWasWhileItIsWalked) {
  const State state = Base();
  Draft draft(state);
  std::string walked;
  for (const auto& [id, row] : draft.InstancesOfGroup("a")) {
    draft.Delete<v1::Instance>("a2");
    draft.Put("a9", InstanceOf("a", "h1"));
    EXPECT_EQ(draft.InstancesOfGroup("a").size(), 2U);
    walked += id;
  }
  EXPECT_EQ(walked, "a1a2");
}

TEST(DraftTest, TakenChangesMakeTheStateWhatTheDraftSaid) {
  State state = Base();
  Draft draft(state);
  draft.Put("b1", InstanceOf("a", "h3"));
  draft.Delete<v1::Instance>("a1");
  const Changes changes = draft.Take();
  EXPECT_TRUE(draft.empty());
  state.Apply(changes, 7);

  EXPECT_THAT(state.InstancesOfGroup("a"), ElementsAre("a2", "b1"));
  EXPECT_TRUE(state.InstancesOfGroup("b").empty());
  EXPECT_THAT(state.InstancesOnHost("h3"), ElementsAre("a2", "b1"));
  EXPECT_EQ(state.Find<v1::Instance>("b1")->commit, 7);
  EXPECT_EQ(state.Find<v1::Instance>("a2")->commit, 1) << "an untouched row keeps its commit";
}

TEST(DraftTest, WritingWhatIsThereIsNoEdit) {
  const State state = Base();
  Draft draft(state);
  draft.Put("h1", HostOf("10.0.0.99"));
  EXPECT_EQ(draft.CommitOf<v1::Host>("h1"), std::nullopt)
      << "changed, so nobody can have confirmed it";
  draft.Put("h1", HostOf("10.0.0.1"));
  draft.Delete<v1::Host>("h9");
  EXPECT_TRUE(draft.empty());
  EXPECT_EQ(draft.CommitOf<v1::Host>("h1"), 1);
}

TEST(DraftTest, RestoreForgetsEditsSinceTheSavepoint) {
  const State state = Base();
  Draft draft(state);
  draft.Put("h2", HostOf("10.0.0.2"));
  const auto savepoint = draft.Save();
  draft.Delete<v1::Host>("h1");
  draft.Put("h5", HostOf("10.0.0.5"));
  draft.Restore(savepoint);
  EXPECT_THAT(HostKeys(draft), ElementsAre("h1", "h2", "h3"));
}

TEST(DraftTest, CountersNeverGoBack) {
  State state;
  {
    Draft draft(state);
    EXPECT_EQ(draft.Next("instance"), 1);
    EXPECT_EQ(draft.Next("instance"), 2);
    EXPECT_EQ(draft.Next("launchTemplate/shop"), 1);
    const Changes changes = draft.Take();
    state.Apply(changes, 1);
  }
  Draft draft(state);
  EXPECT_EQ(draft.Next("instance"), 3);
}

TEST(DraftTest, ActivitiesSortByTime) {
  State state;
  Draft draft(state);
  std::string last;
  for (int i = 0; i < 12; ++i) {
    const std::string key = draft.Note({});
    EXPECT_LT(last, key);
    EXPECT_EQ(draft.Find<v1::Activity>(key)->name(), "activities/" + key);
    last = key;
  }
}

TEST(StateTest, LoadsWhatWasSerializedAndNamesWhatCannotBeRead) {
  const State base = Base();
  State loaded;
  for (const auto& [key, entry] : base.All<v1::Instance>()) {
    ASSERT_TRUE(loaded.Load(Kind::kInstance, key, entry->SerializeAsString(), entry.commit).ok());
  }
  EXPECT_THAT(loaded.InstancesOfGroup("a"), ElementsAre("a1", "a2"));
  const absl::Status status = loaded.Load(Kind::kHost, "h7", "\xff\xff", 3);
  EXPECT_EQ(status.code(), absl::StatusCode::kInternal);
  EXPECT_NE(std::string(status.message()).find("h7"), std::string::npos);
}

}  // namespace
}  // namespace remuda::core
