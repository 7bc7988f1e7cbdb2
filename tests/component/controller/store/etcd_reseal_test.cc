// What is sealed in etcd comes under a new first key with the next leader.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

#include "tests/component/controller/store/testing/etcd_fixture.h"

namespace remuda {
namespace {

using testing::HasSubstr;

std::string TextOf(const std::string& path) {
  std::ifstream in(path);
  std::ostringstream out;
  out << in.rdbuf();
  return out.str();
}

TEST(EtcdResealTest, ALeaderWithANewFirstKeySealsAllAnew) {
  const TemporaryDirectory dir;
  const TemporaryDirectory made;
  EtcdCluster etcd;
  Rows rows;
  std::string secret;
  {
    auto store = OpenEtcd(EtcdOptions(dir, etcd.endpoints()));
    const auto won = store->Campaign();
    ASSERT_TRUE(won.ok()) << won.status();
    secret = won->secret;
    core::Changes changes{{PutCounter("plain", 1)}};
    for (int i = 0; i < 300; ++i)
      changes.edits.push_back(PutSecret("s" + std::to_string(i), "value of it"));
    ASSERT_EQ(store->Commit(changes, won->epoch).value(), 1);
    ASSERT_TRUE(store->AgreeShared("authority", "of all").ok());
    rows = LoadRows(*store);
  }
  const std::string old_key = TextOf(dir / "sealing.key");
  ASSERT_TRUE(MakeSealingKeys(made / "sealing.key").ok());
  const std::string new_key = TextOf(made / "sealing.key");
  std::ofstream(dir / "sealing.key") << new_key << old_key;
  {
    auto store = OpenEtcd(EtcdOptions(dir, etcd.endpoints()));
    const auto won = store->Campaign();
    ASSERT_TRUE(won.ok()) << won.status();
    EXPECT_EQ(won->commit, 1);
    EXPECT_EQ(LoadRows(*store), rows);
  }
  // The old key is needed no more.
  std::ofstream(dir / "sealing.key") << new_key;
  auto store = OpenEtcd(EtcdOptions(dir, etcd.endpoints()));
  ASSERT_NE(store, nullptr);
  const auto won = store->Campaign();
  ASSERT_TRUE(won.ok()) << won.status();
  EXPECT_EQ(won->secret, secret);
  EXPECT_EQ(LoadRows(*store), rows);
  EXPECT_EQ(store->ReadShared("authority").value(), "of all");
  EXPECT_EQ(store->Commit({{PutSecret("s0", "new")}}, won->epoch).value(), 2);
  // And opens nothing more.
  std::ofstream(dir / "sealing.key") << old_key;
  const auto late = EtcdStore::Open(EtcdOptions(dir, etcd.endpoints()));
  EXPECT_THAT(std::string(late.status().message()), HasSubstr("which is not in"));
}

// Small rows and a large one are more than one request of etcd's.
TEST(EtcdResealTest, LargeRowsAreSealedAnewBesideSmallOnes) {
  const TemporaryDirectory dir;
  const TemporaryDirectory made;
  EtcdCluster etcd;
  Rows rows;
  {
    auto store = OpenEtcd(EtcdOptions(dir, etcd.endpoints()));
    const auto won = store->Campaign();
    ASSERT_TRUE(won.ok()) << won.status();
    core::Changes changes;
    for (int i = 0; i < 4; ++i)
      changes.edits.push_back(PutSecret("a" + std::to_string(i), std::string(120'000, 'x')));
    changes.edits.push_back(PutSecret("b", std::string(1'400'000, 'y')));
    changes.edits.push_back(PutSecret("c", std::string(1'400'000, 'z')));
    ASSERT_TRUE(store->Commit(changes, won->epoch).ok());
    rows = LoadRows(*store);
  }
  const std::string old_key = TextOf(dir / "sealing.key");
  ASSERT_TRUE(MakeSealingKeys(made / "sealing.key").ok());
  const std::string new_key = TextOf(made / "sealing.key");
  std::ofstream(dir / "sealing.key") << new_key << old_key;
  {
    auto store = OpenEtcd(EtcdOptions(dir, etcd.endpoints()));
    const auto won = store->Campaign();
    ASSERT_TRUE(won.ok()) << won.status();
  }
  std::ofstream(dir / "sealing.key") << new_key;
  EXPECT_EQ(LoadRows(*OpenEtcd(EtcdOptions(dir, etcd.endpoints()))), rows);
}

}  // namespace
}  // namespace remuda
