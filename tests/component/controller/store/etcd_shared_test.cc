// What controllers share beside the rows, in a real etcd: agreed once, sealed, refused to who does
// not lead.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <string>
#include <thread>

#include "tests/component/controller/store/testing/etcd_fixture.h"

namespace remuda {
namespace {

using testing::HasSubstr;
using testing::Not;

TEST(EtcdSharedTest, TheFirstValueStandsForAllLeaders) {
  const TemporaryDirectory dir;
  EtcdCluster etcd;
  auto first = OpenEtcd(EtcdOptions(dir, etcd.endpoints()));
  EXPECT_EQ(first->ClusterId().value(), std::nullopt);
  EXPECT_EQ(first->ReadShared("authority").value(), std::nullopt);
  const auto won = first->Campaign();
  ASSERT_TRUE(won.ok()) << won.status();
  EXPECT_EQ(first->AgreeShared("authority", "plain-first").value(), "plain-first");
  EXPECT_EQ(first->AgreeShared("authority", "plain-again").value(), "plain-first");

  auto second = OpenEtcd(EtcdOptions(dir, etcd.endpoints()));
  EXPECT_EQ(second->ClusterId().value(), won->cluster_id);
  EXPECT_EQ(second->ReadShared("authority").value(), "plain-first");
  EXPECT_TRUE(IsStale(second->AgreeShared("authority", "x").status()));
  first.reset();
  ASSERT_TRUE(second->Campaign().ok());
  EXPECT_EQ(second->AgreeShared("authority", "plain-second").value(), "plain-first");
  EXPECT_EQ(second->AgreeShared("other", "plain-other").value(), "plain-other");
  // Beside the rows, and no commit.
  EXPECT_TRUE(LoadRows(*second).empty());

  std::string all;
  ASSERT_TRUE(etcd.Ctl("get --prefix /remuda/", &all));
  EXPECT_THAT(all, HasSubstr("/remuda/shared/authority"));
  EXPECT_THAT(all, Not(HasSubstr("plain-")));
}

// A standby takes the authority up while it campaigns, on another thread.
TEST(EtcdSharedTest, ValuesAreReadWhileTheStoreIsBusy) {
  const TemporaryDirectory dir;
  EtcdCluster etcd;
  auto store = OpenEtcd(EtcdOptions(dir, etcd.endpoints()));
  ASSERT_TRUE(store->Campaign().ok());
  ASSERT_TRUE(store->AgreeShared("authority", "of all").ok());
  store = OpenEtcd(EtcdOptions(dir, etcd.endpoints()));
  std::atomic<bool> is_over = false;
  std::thread reader([&] {
    while (!is_over) EXPECT_EQ(store->ReadShared("authority").value(), "of all");
  });
  for (int i = 0; i < 20; ++i) {
    const auto won = store->Campaign();
    const absl::Status committed =
        won.ok() ? store->Commit({{PutSecret("s", "value")}}, won->epoch).status() : won.status();
    EXPECT_TRUE(committed.ok()) << committed;
    EXPECT_EQ(LoadRows(*store).size(), 1U);
  }
  is_over = true;
  reader.join();
}

TEST(EtcdSharedTest, WhatIsElsewhereDoesNotOpen) {
  const TemporaryDirectory dir;
  EtcdCluster etcd;
  auto store = OpenEtcd(EtcdOptions(dir, etcd.endpoints()));
  ASSERT_TRUE(store->Campaign().ok());
  ASSERT_TRUE(store->AgreeShared("a", "of a").ok());
  ASSERT_TRUE(etcd.Ctl("put /remuda/shared/b plain"));
  EXPECT_EQ(store->ReadShared("b").status().code(), absl::StatusCode::kDataLoss);
}

TEST(EtcdSharedTest, ADeposedLeaderAgreesNothing) {
  const TemporaryDirectory dir;
  EtcdCluster etcd;
  auto store = OpenEtcd(EtcdOptions(dir, etcd.endpoints()));
  ASSERT_TRUE(store->Campaign().ok());
  ASSERT_TRUE(etcd.Ctl("del /remuda/leader"));
  EXPECT_TRUE(IsStale(store->AgreeShared("a", "late").status()));
  EXPECT_EQ(store->ReadShared("a").value(), std::nullopt);
}

TEST(EtcdSharedTest, AnAnswerThatIsLostIsFoundOut) {
  const TemporaryDirectory dir;
  EtcdCluster etcd;
  Relay relay(etcd.port(0));
  auto options = EtcdOptions(dir, {relay.endpoint(), etcd.endpoint(0)});
  options.write_timeout = EtcdClient::Duration(300);
  auto store = OpenEtcd(options);
  ASSERT_TRUE(store->Campaign().ok());
  relay.Hold(Relay::Way::kToClient);
  EXPECT_EQ(store->AgreeShared("a", "one").value(), "one");
  relay.Release();
}

TEST(EtcdSharedTest, KeysAndSizesHaveRules) {
  const TemporaryDirectory dir;
  EtcdCluster etcd;
  auto store = OpenEtcd(EtcdOptions(dir, etcd.endpoints()));
  ASSERT_TRUE(store->Campaign().ok());
  const std::string long_key(Store::kMaxSharedKeyBytes + 1, 'a');
  for (const std::string& key : {std::string(), std::string("a/b"), std::string("A"), long_key}) {
    EXPECT_TRUE(absl::IsInvalidArgument(store->ReadShared(key).status())) << key;
    EXPECT_TRUE(absl::IsInvalidArgument(store->AgreeShared(key, "x").status())) << key;
  }
  const auto large = store->AgreeShared("a", std::string(Store::kMaxSharedBytes + 1, 'x'));
  EXPECT_THAT(std::string(large.status().message()), HasSubstr("262145 bytes"));
  EXPECT_TRUE(absl::IsInvalidArgument(store->AgreeShared("a", "").status()));
  const std::string most(Store::kMaxSharedBytes, 'x');
  EXPECT_EQ(store->AgreeShared("a", most).value(), most);
}

}  // namespace
}  // namespace remuda
