// What every store does: the same cases for SQLite and for a real etcd.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <random>

#include "controller/store/etcd_plan.h"
#include "controller/store/etcd_store.h"
#include "controller/store/sqlite_store.h"
#include "tests/component/controller/store/testing/etcd_cluster.h"
#include "tests/component/controller/store/testing/rows.h"

namespace remuda {
namespace {

using core::Kind;
using testing::HasSubstr;

// One store that can be opened again.
class Place {
 public:
  virtual ~Place() = default;
  virtual std::unique_ptr<Store> Open() = 0;
};

class SqlitePlace final : public Place {
 public:
  std::unique_ptr<Store> Open() override {
    auto store =
        SqliteStore::Open({.path = dir_ / "state.db", .sealing_key_file = dir_ / "sealing.key"});
    EXPECT_TRUE(store.ok()) << store.status();
    return *std::move(store);
  }

 private:
  const TemporaryDirectory dir_;
};

class EtcdPlace final : public Place {
 public:
  std::unique_ptr<Store> Open() override {
    EtcdStore::Options options;
    options.address.endpoints = cluster_.endpoints();
    options.sealing_key_file = dir_ / "sealing.key";
    options.time_to_live = std::chrono::seconds(30);  // of a loaded machine
    auto store = EtcdStore::Open(options);
    EXPECT_TRUE(store.ok()) << store.status();
    return *std::move(store);
  }

 private:
  const TemporaryDirectory dir_;
  EtcdCluster cluster_;
};

struct Maker {
  const char* name;
  std::unique_ptr<Place> (*make)();
};

class StoreTest : public testing::TestWithParam<Maker> {
 protected:
  const std::unique_ptr<Place> place_ = GetParam().make();
};

TEST_P(StoreTest, CommitsNumberRowsAndSurviveReopening) {
  std::string cluster_id;
  std::string secret;
  int64_t first_epoch = 0;
  {
    auto store = place_->Open();
    const auto won = store->Campaign();
    ASSERT_TRUE(won.ok()) << won.status();
    EXPECT_EQ(won->commit, 0);
    EXPECT_EQ(won->cluster_id.size(), 36U);
    EXPECT_EQ(won->secret.size(), 32U);
    cluster_id = won->cluster_id;
    secret = won->secret;
    first_epoch = won->epoch;
    const int64_t epoch = won->epoch;
    EXPECT_EQ(store->Commit({{PutCounter("a", 1), PutCounter("b", 2)}}, epoch).value(), 1);
    EXPECT_EQ(store->Commit({{PutCounter("b", 3), PutImage("empty", 0)}}, epoch).value(), 2);
    EXPECT_EQ(store->Commit({{Delete(Kind::kCounter, "a"), Delete(Kind::kCounter, "never")}}, epoch)
                  .value(),
              3);
  }
  auto store = place_->Open();
  const auto won = store->Campaign();
  ASSERT_TRUE(won.ok()) << won.status();
  EXPECT_GT(won->epoch, first_epoch);
  EXPECT_EQ(won->commit, 3);
  EXPECT_EQ(won->cluster_id, cluster_id);
  EXPECT_EQ(won->secret, secret);
  Rows expected;
  ApplyTo(expected, {{PutCounter("b", 3), PutImage("empty", 0)}}, 2);
  EXPECT_EQ(LoadRows(*store), expected);
}

TEST_P(StoreTest, AnOlderEpochCommitsNothing) {
  auto store = place_->Open();
  const int64_t first = store->Campaign()->epoch;
  ASSERT_TRUE(store->Commit({{PutCounter("a", 1)}}, first).ok());
  const int64_t second = store->Campaign()->epoch;
  ASSERT_GT(second, first);
  const auto late = store->Commit({{PutCounter("a", 2)}}, first);
  EXPECT_EQ(late.status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(late.status().message()), HasSubstr("epoch " + std::to_string(first)));
  Rows expected;
  ApplyTo(expected, {{PutCounter("a", 1)}}, 1);
  EXPECT_EQ(LoadRows(*store), expected);
  EXPECT_EQ(store->Commit({{PutCounter("a", 3)}}, second).value(), 2);
}

TEST_P(StoreTest, OfSeveralEditsOfARowTheLastCounts) {
  auto store = place_->Open();
  const int64_t epoch = store->Campaign()->epoch;
  const core::Changes changes{{PutCounter("a", 1), PutCounter("b", 1), PutCounter("a", 2),
                               Delete(Kind::kCounter, "b"), PutCounter("c", 1)}};
  ASSERT_TRUE(store->Commit(changes, epoch).ok());
  Rows expected;
  ApplyTo(expected, changes, 1);
  EXPECT_EQ(LoadRows(*store), expected);
}

TEST_P(StoreTest, AnEmptyCommitHasANumber) {
  auto store = place_->Open();
  const int64_t epoch = store->Campaign()->epoch;
  EXPECT_EQ(store->Commit({}, epoch).value(), 1);
  EXPECT_EQ(store->Commit({{PutCounter("a", 1)}}, epoch).value(), 2);
}

TEST_P(StoreTest, KeysMayHaveAnythingThatNamesHave) {
  auto store = place_->Open();
  const int64_t epoch = store->Campaign()->epoch;
  core::Changes changes;
  for (const std::string key :
       {"a", "a/b", "a/versions/00000001", "[::1]:80", "~", "z z", "0", "-"})
    changes.edits.push_back(PutCounter(key, 1));
  ASSERT_TRUE(store->Commit(changes, epoch).ok());
  Rows expected;
  ApplyTo(expected, changes, 1);
  EXPECT_EQ(LoadRows(*store), expected);
}

TEST_P(StoreTest, SealedRowsAreReadAgain) {
  const core::Changes changes{{PutSecret("password", "secrets/password")}};
  {
    auto store = place_->Open();
    const int64_t epoch = store->Campaign()->epoch;
    ASSERT_TRUE(store->Commit(changes, epoch).ok());
  }
  Rows expected;
  ApplyTo(expected, changes, 1);
  EXPECT_EQ(LoadRows(*place_->Open()), expected);
}

// By rows, and by bytes.
TEST_P(StoreTest, ALargeCommitIsOne) {
  auto store = place_->Open();
  const int64_t epoch = store->Campaign()->epoch;
  Rows expected;
  for (int64_t number = 1; number <= 2; ++number) {
    core::Changes changes;
    for (int i = 0; i < 1000; ++i)
      changes.edits.push_back(PutCounter(std::to_string(i), i + number));
    for (int i = 0; i < 20; ++i)
      changes.edits.push_back(PutImage(std::to_string(i), 300'000 + static_cast<size_t>(number)));
    changes.edits.push_back(PutImage("large", 1 << 20));
    changes.edits.push_back(Delete(Kind::kCounter, "17"));
    ApplyTo(expected, changes, number);
    ASSERT_EQ(store->Commit(changes, epoch).value(), number);
    ASSERT_EQ(LoadRows(*store), expected);
  }
  EXPECT_EQ(store->Commit({{PutCounter("17", 1)}}, epoch).value(), 3);
  ApplyTo(expected, {{PutCounter("17", 1)}}, 3);
  EXPECT_EQ(LoadRows(*store), expected);
}

TEST_P(StoreTest, AnErrorOfTheReaderEndsTheLoad) {
  auto store = place_->Open();
  const int64_t epoch = store->Campaign()->epoch;
  ASSERT_TRUE(store->Commit({{PutCounter("a", 1), PutCounter("b", 1)}}, epoch).ok());
  int rows = 0;
  const absl::Status status = store->Load([&](Kind, std::string_view, std::string_view, int64_t) {
    ++rows;
    return absl::DataLossError("no");
  });
  EXPECT_EQ(status, absl::DataLossError("no"));
  EXPECT_EQ(rows, 1);
}

TEST_P(StoreTest, RandomCommitsAreThereAsTheyWereMade) {
  std::mt19937 random(12);
  const auto pick = [&](int below) {
    return static_cast<int>(random() % static_cast<unsigned>(below));
  };
  Rows expected;
  int64_t number = 0;
  for (int opening = 0; opening < 3; ++opening) {
    auto store = place_->Open();
    const auto won = store->Campaign();
    ASSERT_TRUE(won.ok()) << won.status();
    ASSERT_EQ(won->commit, number);
    ASSERT_EQ(LoadRows(*store), expected);
    for (int i = 0; i < 30; ++i) {
      core::Changes changes;
      const int edits = pick(10) == 0 ? pick(500) : pick(8);
      for (int j = 0; j < edits; ++j) {
        const std::string key = std::to_string(pick(200));
        switch (pick(4)) {
          case 0:
            changes.edits.push_back(Delete(Kind::kCounter, key));
            break;
          case 1:
            changes.edits.push_back(PutImage(key, static_cast<size_t>(pick(3000))));
            break;
          case 2:
            changes.edits.push_back(PutSecret(key, "secrets/" + std::to_string(number)));
            break;
          default:
            changes.edits.push_back(PutCounter(key, number));
        }
      }
      const auto commit = store->Commit(changes, won->epoch);
      ASSERT_TRUE(commit.ok()) << commit.status();
      ASSERT_EQ(*commit, ++number);
      ApplyTo(expected, changes, number);
    }
    ASSERT_EQ(LoadRows(*store), expected);
  }
}

INSTANTIATE_TEST_SUITE_P(
    Stores, StoreTest,
    testing::Values(
        Maker{"Sqlite", []() -> std::unique_ptr<Place> { return std::make_unique<SqlitePlace>(); }},
        Maker{"Etcd", []() -> std::unique_ptr<Place> { return std::make_unique<EtcdPlace>(); }}),
    [](const testing::TestParamInfo<Maker>& one) { return std::string(one.param.name); });

}  // namespace
}  // namespace remuda
