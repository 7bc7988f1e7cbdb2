// Following the store in etcd: every commit, whole and in order, whatever is missed on the way.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <mutex>
#include <random>

#include "tests/component/controller/store/testing/etcd_fixture.h"

namespace remuda {
namespace {

using core::Kind;

// A copy that is kept by a follower.
class Copy {
 public:
  Store::FollowFns fns() {
    return {.reset =
                [this] {
                  const std::lock_guard lock(mutex_);
                  rows_.clear();
                  ++resets_;
                  number_ = -1;
                },
            .row =
                [this](Kind kind, std::string_view key, std::string_view value, int64_t commit) {
                  const std::lock_guard lock(mutex_);
                  rows_[{kind, std::string(key)}] = {std::string(value), commit};
                  return absl::OkStatus();
                },
            .loaded =
                [this](int64_t commit) {
                  const std::lock_guard lock(mutex_);
                  number_ = commit;
                },
            .commit =
                [this](int64_t commit, const std::vector<RowChange>& changes) {
                  const std::lock_guard lock(mutex_);
                  EXPECT_EQ(commit, number_ + 1);
                  number_ = commit;
                  for (const RowChange& change : changes) {
                    rows_.erase({change.kind, change.key});
                    if (change.value.has_value())
                      rows_[{change.kind, change.key}] = {*change.value, commit};
                  }
                  return absl::OkStatus();
                },
            .contact =
                [this](const absl::Status& status) {
                  const std::lock_guard lock(mutex_);
                  ++(status.ok() ? contacts_ : troubles_);
                }};
  }
  bool Has(int64_t number) const {
    const std::lock_guard lock(mutex_);
    return number_ == number;
  }
  Rows rows() const {
    const std::lock_guard lock(mutex_);
    return rows_;
  }
  int resets() const {
    const std::lock_guard lock(mutex_);
    return resets_;
  }
  int contacts() const {
    const std::lock_guard lock(mutex_);
    return contacts_;
  }
  int troubles() const {
    const std::lock_guard lock(mutex_);
    return troubles_;
  }

 private:
  mutable std::mutex mutex_;
  Rows rows_;
  int64_t number_ = -1;
  int resets_ = 0;
  int contacts_ = 0;
  int troubles_ = 0;
};

core::Changes Many(int edits, int64_t value) {
  core::Changes changes;
  for (int i = 0; i < edits; ++i) changes.edits.push_back(PutCounter(std::to_string(i), value));
  changes.edits.push_back(PutSecret("s", std::to_string(value)));
  return changes;
}

TEST(EtcdFollowTest, EveryCommitComesWholeAndInOrder) {
  const TemporaryDirectory dir;
  EtcdCluster etcd;
  auto leader = OpenEtcd(EtcdOptions(dir, etcd.endpoints()));
  const int64_t epoch = leader->Campaign()->epoch;
  Rows expected;
  int64_t number = 0;
  const auto commit = [&](const core::Changes& changes) {
    const auto done = leader->Commit(changes, epoch);
    ASSERT_TRUE(done.ok()) << done.status();
    ASSERT_EQ(*done, ++number);
    ApplyTo(expected, changes, number);
  };
  commit(Many(300, 1));
  commit({{PutCounter("a", 1)}});
  auto standby = OpenEtcd(EtcdOptions(dir, etcd.endpoints()));
  Copy copy;
  auto following = standby->Follow(copy.fns());
  ASSERT_TRUE(following.ok());
  ASSERT_TRUE(WaitUntil([&] { return copy.Has(number); }));
  EXPECT_EQ(copy.rows(), expected);
  std::mt19937 random(3);
  for (int i = 0; i < 40; ++i) {
    commit(i % 10 == 3 ? Many(400, i) : Many(static_cast<int>(random() % 10), i));
    if (i % 7 == 0) commit({{Delete(Kind::kCounter, std::to_string(i))}});
  }
  ASSERT_TRUE(WaitUntil([&] { return copy.Has(number); }));
  EXPECT_EQ(copy.rows(), expected);
  EXPECT_EQ(copy.resets(), 1);
}

TEST(EtcdFollowTest, CutConnectionsMissNothing) {
  const TemporaryDirectory dir;
  EtcdCluster etcd;
  Relay relay(etcd.port(0));
  auto leader = OpenEtcd(EtcdOptions(dir, etcd.endpoints()));
  const int64_t epoch = leader->Campaign()->epoch;
  auto standby = OpenEtcd(EtcdOptions(dir, {relay.endpoint()}));
  Copy copy;
  auto following = standby->Follow(copy.fns());
  ASSERT_TRUE(WaitUntil([&] { return copy.Has(0); }));
  Rows expected;
  std::mt19937 random(4);
  for (int64_t number = 1; number <= 30; ++number) {
    relay.CutAfter(Relay::Way::kToClient, static_cast<int64_t>(1 + random() % 3000));
    const core::Changes changes = Many(number % 5 == 0 ? 400 : 5, number);
    ASSERT_EQ(leader->Commit(changes, epoch).value(), number);
    ApplyTo(expected, changes, number);
  }
  ASSERT_TRUE(WaitUntil([&] { return copy.Has(30); }));
  EXPECT_EQ(copy.rows(), expected);
  EXPECT_EQ(copy.resets(), 1);
}

TEST(EtcdFollowTest, WhatEtcdHasForgottenIsLoadedAnew) {
  const TemporaryDirectory dir;
  EtcdCluster etcd;
  Relay relay(etcd.port(0));
  auto leader = OpenEtcd(EtcdOptions(dir, etcd.endpoints()));
  const int64_t epoch = leader->Campaign()->epoch;
  ASSERT_TRUE(leader->Commit(Many(300, 1), epoch).ok());
  auto standby = OpenEtcd(EtcdOptions(dir, {relay.endpoint()}));
  Copy copy;
  auto following = standby->Follow(copy.fns());
  ASSERT_TRUE(WaitUntil([&] { return copy.Has(1); }));
  // The watch that goes on from here reaches etcd when that has forgotten.
  relay.Hold(Relay::Way::kToServer);
  ASSERT_TRUE(WaitUntil([&] { return copy.troubles() > 0; }));
  ASSERT_TRUE(leader->Commit(Many(10, 2), epoch).ok());
  ASSERT_TRUE(leader->Commit({{Delete(Kind::kCounter, "5")}}, epoch).ok());
  ASSERT_TRUE(etcd.Ctl("put test/x 1"));
  std::string status;
  ASSERT_TRUE(etcd.Ctl("get test/x -w json", &status));
  const size_t at = status.find("\"revision\":");
  ASSERT_NE(at, std::string::npos);
  ASSERT_TRUE(etcd.Ctl("compact " + std::to_string(std::stoll(status.substr(at + 11)))));
  relay.Release();
  ASSERT_TRUE(WaitUntil([&] { return copy.Has(3); }));
  EXPECT_EQ(copy.rows(), LoadRows(*leader));
  EXPECT_GE(copy.resets(), 2);
}

// As after a restore from a snapshot: what is told from now on has revisions that were told before.
TEST(EtcdFollowTest, AnEtcdThatHasGoneBackIsLoadedAnew) {
  const TemporaryDirectory dir;
  EtcdCluster etcd;
  Copy copy;
  auto standby = OpenEtcd(EtcdOptions(dir, etcd.endpoints()));
  auto following = standby->Follow(copy.fns());
  {
    auto leader = OpenEtcd(EtcdOptions(dir, etcd.endpoints(), kShortLease));
    const int64_t epoch = leader->Campaign()->epoch;
    for (int i = 1; i <= 20; ++i) ASSERT_TRUE(leader->Commit(Many(1, i), epoch).ok());
  }
  ASSERT_TRUE(WaitUntil([&] { return copy.Has(20); }));
  etcd.Kill(0);
  std::filesystem::remove_all(etcd.file("data-0"));
  etcd.Start(0);
  ASSERT_TRUE(etcd.AwaitWritable());
  auto leader = OpenEtcd(EtcdOptions(dir, etcd.endpoints()));
  const int64_t epoch = leader->Campaign()->epoch;
  ASSERT_TRUE(leader->Commit(Many(1, 100), epoch).ok());
  ASSERT_TRUE(WaitUntil([&] { return copy.Has(1); }));
}

// The same, seen by one that was cut off until all revisions and numbers that it has seen had come
// again, with another content.
TEST(EtcdFollowTest, WhatWasPutBackIsLoadedAnew) {
  const TemporaryDirectory dir;
  EtcdCluster etcd;
  auto leader = OpenEtcd(EtcdOptions(dir, etcd.endpoints()));
  int64_t epoch = leader->Campaign()->epoch;
  ASSERT_TRUE(leader->Commit(Many(5, 1), epoch).ok());
  Relay relay(etcd.port(0));
  auto standby = OpenEtcd(EtcdOptions(dir, {relay.endpoint()}));
  Copy copy;
  auto following = standby->Follow(copy.fns());
  const auto start = [&] {
    etcd.Start(0);
    ASSERT_TRUE(etcd.AwaitWritable());
    // What was put back has a lease of then.
    ASSERT_TRUE(etcd.Ctl("del /remuda/leader"));
    const auto won = leader->Campaign();
    ASSERT_TRUE(won.ok()) << won.status();
    epoch = won->epoch;
  };
  etcd.Kill(0);
  etcd.Save(0);
  start();
  for (int i = 2; i <= 6; ++i) {
    const std::string counter = "lost" + std::to_string(i);
    ASSERT_EQ(leader->Commit({{PutCounter(counter, i)}}, epoch).value(), i);
  }
  ASSERT_TRUE(WaitUntil([&] { return copy.Has(6); }));
  relay.Hold(Relay::Way::kToServer);
  etcd.Kill(0);
  etcd.PutBack(0);
  start();
  for (int i = 2; i <= 30; ++i) {
    const std::string counter = "new" + std::to_string(i);
    ASSERT_EQ(leader->Commit({{PutCounter(counter, i)}}, epoch).value(), i);
  }
  relay.Release();
  ASSERT_TRUE(WaitUntil([&] { return copy.Has(30); }));
  EXPECT_EQ(copy.rows(), LoadRows(*leader));
}

TEST(EtcdFollowTest, WhoFollowsTakesOverWithWhatItHas) {
  const TemporaryDirectory dir;
  EtcdCluster etcd;
  auto leader = OpenEtcd(EtcdOptions(dir, etcd.endpoints()));
  const int64_t epoch = leader->Campaign()->epoch;
  ASSERT_TRUE(leader->Commit(Many(5, 1), epoch).ok());
  auto standby = OpenEtcd(EtcdOptions(dir, etcd.endpoints()));
  Copy copy;
  auto following = standby->Follow(copy.fns());
  ASSERT_TRUE(leader->Commit(Many(300, 2), epoch).ok());
  leader.reset();
  const auto won = standby->Campaign();
  ASSERT_TRUE(won.ok()) << won.status();
  ASSERT_TRUE(WaitUntil([&] { return copy.Has(won->commit); }));
  following->reset();
  EXPECT_EQ(copy.rows(), LoadRows(*standby));
}

TEST(EtcdFollowTest, ContactIsTold) {
  const TemporaryDirectory dir;
  EtcdCluster etcd;
  auto leader = OpenEtcd(EtcdOptions(dir, etcd.endpoints()));
  ASSERT_TRUE(leader->Campaign().ok());
  Copy copy;
  auto following = leader->Follow(copy.fns());
  ASSERT_TRUE(WaitUntil([&] { return copy.contacts() > 0; }));
  etcd.Kill(0);
  const int before = copy.troubles();
  ASSERT_TRUE(WaitUntil([&] { return copy.troubles() > before; }));
  etcd.Start(0);
  const int contacts = copy.contacts();
  ASSERT_TRUE(WaitUntil([&] { return copy.contacts() > contacts; }));
}

}  // namespace
}  // namespace remuda
