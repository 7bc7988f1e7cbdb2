// The store in etcd where etcd, or the way to it, fails: a commit is acknowledged and there, or
// neither; nobody writes whose lease is over.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <atomic>
#include <random>
#include <thread>

#include "tests/component/controller/store/testing/etcd_fixture.h"

namespace remuda {
namespace {

using core::Kind;
using testing::HasSubstr;

struct Led {
  std::unique_ptr<EtcdStore> store;
  int64_t epoch = 0;
};

Led Lead(EtcdStore::Options options) {
  Led led;
  led.store = OpenEtcd(std::move(options));
  const auto won = led.store->Campaign();
  EXPECT_TRUE(won.ok()) << won.status();
  if (won.ok()) led.epoch = won->epoch;
  return led;
}

EtcdStore::Options Impatient(EtcdStore::Options options) {
  options.write_timeout = EtcdClient::Duration(300);
  return options;
}

TEST(EtcdFaultsTest, AnAnswerThatIsLostIsFoundOut) {
  const TemporaryDirectory dir;
  EtcdCluster etcd;
  Relay relay(etcd.port(0));
  Led led = Lead(Impatient(EtcdOptions(dir, {relay.endpoint(), etcd.endpoint(0)})));
  ASSERT_EQ(led.store->Commit({{PutCounter("a", 1)}}, led.epoch).value(), 1);
  relay.Hold(Relay::Way::kToClient);
  const auto commit = led.store->Commit({{PutCounter("a", 2)}}, led.epoch);
  ASSERT_TRUE(commit.ok()) << commit.status();
  EXPECT_EQ(*commit, 2);
  relay.Release();
  EXPECT_EQ(led.store->Commit({{PutCounter("a", 3)}}, led.epoch).value(), 3);
  Rows expected;
  ApplyTo(expected, {{PutCounter("a", 3)}}, 3);
  EXPECT_EQ(LoadRows(*led.store), expected);
}

TEST(EtcdFaultsTest, ARequestThatIsLateIsShutOut) {
  const TemporaryDirectory dir;
  EtcdCluster etcd;
  Relay relay(etcd.port(0));
  Led led = Lead(Impatient(EtcdOptions(dir, {relay.endpoint(), etcd.endpoint(0)})));
  ASSERT_EQ(led.store->Commit({{PutCounter("a", 1)}}, led.epoch).value(), 1);
  relay.Hold(Relay::Way::kToServer);
  // It was not done, and is tried again on the other way.
  ASSERT_EQ(led.store->Commit({{PutCounter("a", 2), PutCounter("b", 2)}}, led.epoch).value(), 2);
  ASSERT_EQ(led.store->Commit({{Delete(Kind::kCounter, "b")}}, led.epoch).value(), 3);
  relay.Release();
  ASSERT_EQ(led.store->Commit({{PutCounter("c", 4)}}, led.epoch).value(), 4);
  Rows expected;
  ApplyTo(expected, {{PutCounter("a", 2)}}, 2);
  ApplyTo(expected, {{PutCounter("c", 4)}}, 4);
  EXPECT_EQ(LoadRows(*led.store), expected);
}

// Whatever byte is the last: who was told "done" is right, and who was told "not" too.
TEST(EtcdFaultsTest, ConnectionsThatAreCutAnywhere) {
  const TemporaryDirectory dir;
  EtcdCluster etcd;
  Relay relay(etcd.port(0));
  Led led = Lead(EtcdOptions(dir, {relay.endpoint()}));
  std::mt19937 random(5);
  Rows expected;
  int64_t number = 0;
  for (int round = 0; round < 60; ++round) {
    core::Changes changes{{PutCounter(std::to_string(random() % 20), round)}};
    if (round % 10 == 0) {
      for (int i = 0; i < 300; ++i) changes.edits.push_back(PutCounter(std::to_string(i), round));
    }
    relay.CutAfter(round % 2 == 0 ? Relay::Way::kToClient : Relay::Way::kToServer,
                   static_cast<int64_t>(1 + random() % (round % 10 == 0 ? 20'000 : 500)));
    const auto commit = led.store->Commit(changes, led.epoch);
    if (commit.ok()) {
      ASSERT_EQ(*commit, ++number);
      ApplyTo(expected, changes, number);
    } else {
      ASSERT_FALSE(IsStale(commit.status())) << commit.status();
    }
    ASSERT_EQ(LoadRows(*led.store), expected) << "round " << round;
  }
  EXPECT_GT(number, 0);
}

TEST(EtcdFaultsTest, KilledAndStartedAgain) {
  const TemporaryDirectory dir;
  EtcdCluster etcd;
  Led led = Lead(EtcdOptions(dir, etcd.endpoints()));
  Rows expected;
  for (int64_t round = 1; round <= 3; ++round) {
    ASSERT_EQ(led.store->Commit({{PutCounter("a", round)}}, led.epoch).value(), round);
    ApplyTo(expected, {{PutCounter("a", round)}}, round);
    etcd.Kill(0);
    etcd.Start(0);
    EXPECT_EQ(LoadRows(*led.store), expected);
  }
}

TEST(EtcdFaultsTest, WhenTheLeaseIsOverNothingIsWritten) {
  const TemporaryDirectory dir;
  EtcdCluster etcd;
  Relay relay(etcd.port(0));
  std::atomic<int> losses = 0;
  auto options = EtcdOptions(dir, {relay.endpoint()}, kShortLease);
  options.on_lost = [&losses](const absl::Status& why) {
    EXPECT_THAT(std::string(why.message()), HasSubstr("the lease in etcd is lost"));
    ++losses;
  };
  Led led = Lead(options);
  ASSERT_EQ(led.store->Commit({{PutCounter("a", 1)}}, led.epoch).value(), 1);
  relay.Hold(Relay::Way::kToServer);
  relay.Hold(Relay::Way::kToClient);
  // Before anything was heard from the network.
  ASSERT_TRUE(WaitUntil([&] { return losses == 1; }));
  EXPECT_EQ(led.store->lease_deadline(), std::chrono::steady_clock::time_point());
  const auto late = led.store->Commit({{PutCounter("a", 2)}}, led.epoch);
  EXPECT_TRUE(IsStale(late.status())) << late.status();

  Led next = Lead(EtcdOptions(dir, etcd.endpoints()));
  EXPECT_GT(next.epoch, led.epoch);
  EXPECT_EQ(next.store->Commit({{PutCounter("a", 3)}}, next.epoch).value(), 2);
  relay.Release();
  EXPECT_TRUE(IsStale(led.store->Commit({{PutCounter("a", 4)}}, led.epoch).status()));
  Rows expected;
  ApplyTo(expected, {{PutCounter("a", 3)}}, 2);
  EXPECT_EQ(LoadRows(*next.store), expected);
  EXPECT_EQ(losses, 1);
}

// The lease is taken away in etcd, which the store has not heard of.
TEST(EtcdFaultsTest, ADeposedLeaderIsRefusedByEtcd) {
  const TemporaryDirectory dir;
  EtcdCluster etcd;
  Led led = Lead(EtcdOptions(dir, etcd.endpoints()));
  ASSERT_EQ(led.store->Commit({{PutCounter("a", 1)}}, led.epoch).value(), 1);
  ASSERT_TRUE(etcd.Ctl("del /remuda/leader"));
  Led next = Lead(EtcdOptions(dir, etcd.endpoints()));
  ASSERT_EQ(next.store->Commit({{PutCounter("b", 1)}}, next.epoch).value(), 2);
  core::Changes large;
  for (int i = 0; i < 300; ++i) large.edits.push_back(PutCounter(std::to_string(i), 1));
  EXPECT_TRUE(IsStale(led.store->Commit(large, led.epoch).status()));
  EXPECT_TRUE(IsStale(led.store->Commit({{PutCounter("a", 2)}}, led.epoch).status()));
  EXPECT_EQ(LoadRows(*next.store).size(), 2U);
}

TEST(EtcdFaultsTest, AFullEtcdIsNamedAndTakesNothing) {
  const TemporaryDirectory dir;
  EtcdCluster etcd({.flags = {"--quota-backend-bytes=4000000"}});
  Led led = Lead(EtcdOptions(dir, etcd.endpoints()));
  Rows expected;
  int64_t number = 0;
  absl::Status full;
  for (int i = 0; i < 40; ++i) {
    const core::Changes changes{{PutImage(std::to_string(i), 300'000)}};
    const auto commit = led.store->Commit(changes, led.epoch);
    if (commit.ok()) {
      ASSERT_EQ(*commit, ++number);
      ApplyTo(expected, changes, number);
    } else {
      full = commit.status();
      ASSERT_FALSE(IsStale(full)) << full;
    }
    if (i % 8 == 0) {
      ASSERT_EQ(LoadRows(*led.store), expected);
    }
  }
  EXPECT_THAT(std::string(full.message()), HasSubstr("etcd is full"));
  EXPECT_EQ(LoadRows(*led.store), expected);
  // Room is made, and it goes on.
  std::string revision;
  ASSERT_TRUE(etcd.Ctl("del --prefix test/"));
  ASSERT_TRUE(etcd.Ctl("alarm disarm"));
  const auto del = led.store->Commit({{Delete(Kind::kImage, "0")}}, led.epoch);
  if (del.ok()) {
    EXPECT_EQ(*del, number + 1);
  } else {
    EXPECT_THAT(std::string(del.status().message()), HasSubstr("etcd is full"));
  }
}

TEST(EtcdFaultsTest, TheLeaderOfThreeEtcdsDies) {
  const TemporaryDirectory dir;
  EtcdCluster etcd({.members = 3});
  Led led = Lead(EtcdOptions(dir, etcd.endpoints()));
  Rows expected;
  int64_t number = 0;
  for (int round = 0; round < 3; ++round) {
    int leader = -1;
    ASSERT_TRUE(WaitUntil([&] { return (leader = etcd.Leader()) >= 0; }));
    if (round == 1) {
      etcd.Signal(leader, SIGSTOP);
    } else {
      etcd.Kill(leader);
    }
    ASSERT_TRUE(WaitUntil([&] {
      const core::Changes changes{{PutCounter("a", round)}};
      const auto commit = led.store->Commit(changes, led.epoch);
      if (!commit.ok()) {
        EXPECT_FALSE(IsStale(commit.status())) << commit.status();
        return IsStale(commit.status());
      }
      EXPECT_EQ(*commit, ++number);
      ApplyTo(expected, changes, number);
      return true;
    }));
    EXPECT_EQ(LoadRows(*led.store), expected);
    if (round == 1) {
      etcd.Signal(leader, SIGCONT);
    } else {
      etcd.Start(leader);
    }
    ASSERT_TRUE(etcd.AwaitWritable());
  }
}

// More than comes in one try of the client: fewer keys are asked for then.
TEST(EtcdFaultsTest, ASlowWayIsLoadedOver) {
  const TemporaryDirectory dir;
  EtcdCluster etcd;
  auto store = OpenEtcd(EtcdOptions(dir, etcd.endpoints()));
  const auto won = store->Campaign();
  ASSERT_TRUE(won.ok()) << won.status();
  core::Changes changes;
  for (int i = 0; i < 100; ++i)
    changes.edits.push_back(PutImage("i" + std::to_string(i), 64 * 1024));
  ASSERT_TRUE(store->Commit(changes, won->epoch).ok());
  Relay relay(etcd.port(0));
  auto reader = OpenEtcd(EtcdOptions(dir, {relay.endpoint()}));
  relay.Slow(Relay::Way::kToClient, 2 << 20);
  EXPECT_EQ(LoadRows(*reader), LoadRows(*store));
}

TEST(EtcdFaultsTest, HistoryIsForgotten) {
  const TemporaryDirectory dir;
  EtcdCluster etcd;
  auto options = EtcdOptions(dir, etcd.endpoints());
  options.history = EtcdClient::Duration(200);
  Led led = Lead(options);
  ASSERT_EQ(led.store->Commit({{PutCounter("a", 1)}}, led.epoch).value(), 1);
  ASSERT_EQ(led.store->Commit({{PutCounter("a", 2)}}, led.epoch).value(), 2);
  // The first revision of all cannot be read any more.
  EXPECT_TRUE(WaitUntil([&] { return !etcd.Ctl("get --rev=1 test/writable"); }));
  EXPECT_EQ(led.store->Commit({{PutCounter("a", 3)}}, led.epoch).value(), 3);
}

}  // namespace
}  // namespace remuda
