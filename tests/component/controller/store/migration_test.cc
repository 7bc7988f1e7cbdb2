// All of a store to another one, SQLite and a real etcd, both ways.
#include "controller/backup/migration.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <thread>

#include "controller/store/authority_text.h"
#include "controller/store/roster.h"
#include "controller/store/sqlite_store.h"
#include "tests/component/controller/store/testing/etcd_fixture.h"

namespace remuda {
namespace {

using core::Kind;
using testing::HasSubstr;

constexpr char kCertificates[] =
    "-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n"
    "-----BEGIN CERTIFICATE-----\nBB==\n-----END CERTIFICATE-----\n";
constexpr char kKey[] = "-----BEGIN PRIVATE KEY-----\nCC==\n-----END PRIVATE KEY-----\n";

std::string ReadAll(const std::string& path) {
  std::ifstream in(path);
  std::ostringstream out;
  out << in.rdbuf();
  return out.str();
}

void WriteAll(const std::string& path, const std::string& text) {
  std::filesystem::create_directories(std::filesystem::path(path).parent_path());
  std::ofstream(path) << text;
  std::filesystem::permissions(
      path, std::filesystem::perms::owner_read | std::filesystem::perms::owner_write);
}

MigrationSide InSqlite(const TemporaryDirectory& dir) {
  MigrationSide side;
  side.store.sqlite_path = dir / "state.db";
  side.sealing_key_file = dir / "sealing.key";
  side.data_directory = dir / ".";
  side.name = "sqlite:" + side.store.sqlite_path;
  return side;
}

MigrationSide InEtcd(const TemporaryDirectory& dir, const EtcdCluster& etcd) {
  MigrationSide side;
  side.store.kind = StoreOptions::Kind::kEtcd;
  side.store.etcd.endpoints = etcd.endpoints();
  side.sealing_key_file = dir / "sealing.key";
  side.name = "etcd://" + etcd.endpoint(0);
  return side;
}

std::unique_ptr<SqliteStore> OpenSqlite(const TemporaryDirectory& dir) {
  auto store =
      SqliteStore::Open({.path = dir / "state.db", .sealing_key_file = dir / "sealing.key"});
  EXPECT_TRUE(store.ok()) << store.status();
  return store.ok() ? *std::move(store) : nullptr;
}

// Some commits, one of which is larger than one transaction of etcd; what they leave.
struct Written {
  Leadership leadership;
  Rows rows;
};
Written Write(Store& store) {
  Written out;
  const auto won = store.Campaign();
  EXPECT_TRUE(won.ok()) << won.status();
  out.leadership = *won;
  core::Changes many;
  for (int i = 0; i < 500; ++i) many.edits.push_back(PutCounter("many/" + std::to_string(i), i));
  const core::Changes commits[] = {
      {{PutCounter("a", 1), PutSecret("password", "plain-name"), PutImage("large", 300'000)}},
      many,
      {{PutCounter("a", 2), Delete(Kind::kCounter, "many/7"), PutImage("empty", 0)}}};
  for (const core::Changes& changes : commits) {
    const auto commit = store.Commit(changes, won->epoch);
    EXPECT_TRUE(commit.ok()) << commit.status();
    ApplyTo(out.rows, changes, *commit);
    out.leadership.commit = *commit;
  }
  return out;
}

bool HasReason(const absl::Status& status, const std::string& reason) {
  const auto payload = status.GetPayload("type.googleapis.com/google.rpc.ErrorInfo");
  return payload.has_value() && std::string(*payload).find(reason) != std::string::npos;
}

TEST(MigrationTest, ThereAndBackIsTheSame) {
  const TemporaryDirectory here;
  const TemporaryDirectory keys;
  const TemporaryDirectory back;
  EtcdCluster etcd;
  const Written written = Write(*OpenSqlite(here));
  WriteAll(here / "identity/ca.pem", kCertificates);
  WriteAll(here / "identity/ca.key", kKey);

  const auto there = Migrate(InSqlite(here), InEtcd(keys, etcd));
  ASSERT_TRUE(there.ok()) << there.status();
  EXPECT_EQ(there->head.cluster_id, written.leadership.cluster_id);
  EXPECT_EQ(there->head.commit, written.leadership.commit);
  EXPECT_TRUE(there->has_authority);
  EXPECT_EQ(there->rows.at(Kind::kCounter).rows, 500);
  std::string all;
  ASSERT_TRUE(etcd.Ctl("get --prefix /remuda/", &all));
  EXPECT_THAT(all, Not(HasSubstr("plain-name")));
  EXPECT_THAT(all, Not(HasSubstr("CC==")));
  EXPECT_THAT(all, Not(HasSubstr("/remuda/leader")));
  int64_t epoch = 0;
  Rows rows = written.rows;
  {
    auto store = OpenEtcd(EtcdOptions(keys, etcd.endpoints()));
    const auto won = store->Campaign();
    ASSERT_TRUE(won.ok()) << won.status();
    EXPECT_EQ(won->cluster_id, written.leadership.cluster_id);
    EXPECT_EQ(won->secret, written.leadership.secret);
    EXPECT_EQ(won->commit, written.leadership.commit);
    EXPECT_GT(won->epoch, there->head.epoch);
    EXPECT_EQ(LoadRows(*store), rows);
    EXPECT_EQ(store->ReadShared(kAuthorityKey).value(), std::string(kCertificates) + kKey);
    ASSERT_TRUE(store->AgreeShared("other", "value").ok());
    const core::Changes more{{PutCounter("in etcd", 1)}};
    ASSERT_EQ(store->Commit(more, won->epoch).value(), won->commit + 1);
    ApplyTo(rows, more, won->commit + 1);
    epoch = won->epoch;
  }
  const auto again = Migrate(InEtcd(keys, etcd), InSqlite(back));
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_THAT(again->left, testing::ElementsAre("other"));
  EXPECT_EQ(ReadAll(back / "identity/ca.pem"), kCertificates);
  EXPECT_EQ(ReadAll(back / "identity/ca.key"), kKey);
  auto store = OpenSqlite(back);
  const auto won = store->Campaign();
  ASSERT_TRUE(won.ok()) << won.status();
  EXPECT_EQ(won->cluster_id, written.leadership.cluster_id);
  EXPECT_EQ(won->secret, written.leadership.secret);
  EXPECT_EQ(won->commit, written.leadership.commit + 1);
  EXPECT_GT(won->epoch, epoch);
  EXPECT_EQ(LoadRows(*store), rows);
  EXPECT_EQ(store->Commit({{PutCounter("a", 3)}}, won->epoch).value(), won->commit + 1);
}

TEST(MigrationTest, NothingIsPutWhereSomethingIs) {
  const TemporaryDirectory here;
  const TemporaryDirectory there;
  EtcdCluster etcd;
  Write(*OpenSqlite(here));
  const Rows before = [&] {
    const Written beside = Write(*OpenEtcd(EtcdOptions(there, etcd.endpoints())));
    return beside.rows;
  }();
  const auto full = Migrate(InSqlite(here), InEtcd(there, etcd));
  EXPECT_TRUE(HasReason(full.status(), "NOT_EMPTY")) << full.status();
  EXPECT_THAT(std::string(full.status().message()),
              testing::AllOf(HasSubstr("it holds cluster "), HasSubstr("del --prefix /remuda/")));
  EXPECT_EQ(LoadRows(*OpenEtcd(EtcdOptions(there, etcd.endpoints()))), before);
  const auto back = Migrate(InEtcd(there, etcd), InSqlite(here));
  EXPECT_TRUE(HasReason(back.status(), "NOT_EMPTY")) << back.status();
  EXPECT_THAT(std::string(back.status().message()), HasSubstr("rows as of commit 3"));
  // Keys that are not a cluster's.
  ASSERT_TRUE(etcd.Ctl("del --prefix /remuda/"));
  ASSERT_TRUE(etcd.Ctl("put /remuda/controllers/x y"));
  const auto runs = Migrate(InSqlite(here), InEtcd(there, etcd));
  EXPECT_THAT(std::string(runs.status().message()), HasSubstr("controllers run on it"));
}

TEST(MigrationTest, NobodyElseMayUseEither) {
  const TemporaryDirectory here;
  const TemporaryDirectory there;
  EtcdCluster etcd;
  auto sqlite = OpenSqlite(here);
  Write(*sqlite);
  const auto open = Migrate(InSqlite(here), InEtcd(there, etcd));
  EXPECT_TRUE(HasReason(open.status(), "STORE_IN_USE")) << open.status();
  auto options = EtcdOptions(there, etcd.endpoints());
  options.self.set_name("c1");
  auto leader = OpenEtcd(options);
  Write(*leader);
  const TemporaryDirectory empty;
  const auto led = Migrate(InEtcd(there, etcd), InSqlite(empty));
  EXPECT_TRUE(HasReason(led.status(), "STORE_IN_USE")) << led.status();
  EXPECT_THAT(std::string(led.status().message()), HasSubstr("controller \"c1\""));
}

// Root does it, and somebody else runs the controller.
TEST(MigrationTest, WhatItMakesIsTheDirectorysOwners) {
  if (geteuid() != 0) GTEST_SKIP() << "only root gives files away";
  const TemporaryDirectory there;
  const TemporaryDirectory keys;
  EtcdCluster etcd;
  {
    auto store = OpenEtcd(EtcdOptions(keys, etcd.endpoints()));
    Write(*store);
    ASSERT_TRUE(store->AgreeShared(kAuthorityKey, std::string(kCertificates) + kKey).ok());
  }
  constexpr uid_t kSomebody = 12345;
  ASSERT_EQ(chown((there / "").c_str(), kSomebody, kSomebody), 0);
  const auto migrated = Migrate(InEtcd(keys, etcd), InSqlite(there));
  ASSERT_TRUE(migrated.ok()) << migrated.status();
  int files = 0;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(there / "")) {
    struct stat info {};
    ASSERT_EQ(lstat(entry.path().c_str(), &info), 0);
    EXPECT_EQ(info.st_uid, kSomebody) << entry.path();
    ++files;
  }
  // state.db, its lock, the key that was made, identity/ and two files in it.
  EXPECT_GE(files, 6);
  struct stat info {};
  ASSERT_EQ(stat((keys / "sealing.key").c_str(), &info), 0);
  EXPECT_EQ(info.st_uid, 0U);
}

// One that stands by would lead the source as soon as it is over.
TEST(MigrationTest, AControllerThatStandsByIsAController) {
  const TemporaryDirectory here;
  const TemporaryDirectory there;
  EtcdCluster etcd;
  Write(*OpenEtcd(EtcdOptions(there, etcd.endpoints())));
  Roster::Options options;
  options.address.endpoints = etcd.endpoints();
  options.self.set_name("c2");
  options.self.set_address("127.0.0.1:2");
  auto standby = Roster::Open(options);
  ASSERT_TRUE(standby.ok()) << standby.status();
  const auto stands_by = Migrate(InEtcd(there, etcd), InSqlite(here));
  EXPECT_TRUE(HasReason(stands_by.status(), "STORE_IN_USE")) << stands_by.status();
  EXPECT_THAT(std::string(stands_by.status().message()), HasSubstr("controller \"c2\""));
  standby->reset();
  EXPECT_TRUE(Migrate(InEtcd(there, etcd), InSqlite(here)).ok());
}

// The lease that a migration gives back may be there for a while, and who waited leads at once.
TEST(MigrationTest, WhoLeadsTheTargetAtOnceMakesItNoLess) {
  const TemporaryDirectory here;
  const TemporaryDirectory there;
  EtcdCluster etcd;
  {
    auto store = OpenSqlite(here);
    const Written written = Write(*store);
    core::Changes many;
    for (int i = 0; i < 10'000; ++i)
      many.edits.push_back(PutCounter("more/" + std::to_string(i), i));
    ASSERT_EQ(store->Commit(many, written.leadership.epoch).value(), 4);
  }
  auto options = EtcdOptions(there, etcd.endpoints());
  options.self.set_name("next");
  auto next = OpenEtcd(options);
  auto client = EtcdClient::Make(options.address);
  ASSERT_TRUE(client.ok());
  absl::StatusOr<Leadership> won = absl::UnknownError("");
  std::atomic<bool> is_over = false;
  std::thread campaign([&] {
    // From when the migration leads on.
    etcdserverpb::RangeRequest request;
    request.set_key("/remuda/leader");
    etcdserverpb::RangeResponse response;
    while (!is_over && response.kvs().empty())
      (*client)
          ->Range(request, response, EtcdClient::Clock::now() + std::chrono::seconds(5))
          .IgnoreError();
    won = next->Campaign();
  });
  const auto migrated = Migrate(InSqlite(here), InEtcd(there, etcd));
  is_over = true;
  EXPECT_TRUE(migrated.ok()) << migrated.status();
  campaign.join();
  ASSERT_TRUE(won.ok()) << won.status();
  EXPECT_EQ(won->commit, 4);
}

TEST(MigrationTest, NothingComesOfNothing) {
  const TemporaryDirectory here;
  const TemporaryDirectory there;
  EtcdCluster etcd;
  EXPECT_TRUE(HasReason(Migrate(InSqlite(here), InEtcd(there, etcd)).status(), "EMPTY"));
  EXPECT_FALSE(std::filesystem::exists(here / "state.db"));
  ASSERT_TRUE(MakeSealingKeys(there / "sealing.key").ok());
  EXPECT_TRUE(HasReason(Migrate(InEtcd(there, etcd), InSqlite(here)).status(), "EMPTY"));
  Write(*OpenSqlite(here));
  auto keyless = InSqlite(here);
  keyless.sealing_key_file = here / "none.key";
  EXPECT_TRUE(HasReason(Migrate(keyless, InEtcd(there, etcd)).status(), "SEALING_KEY"));
  EXPECT_TRUE(absl::IsInvalidArgument(Migrate(InSqlite(here), InSqlite(here)).status()));
}

TEST(MigrationTest, AnotherAuthorityIsKept) {
  const TemporaryDirectory here;
  const TemporaryDirectory there;
  EtcdCluster etcd;
  {
    auto store = OpenEtcd(EtcdOptions(there, etcd.endpoints()));
    Write(*store);
    ASSERT_TRUE(store->AgreeShared(kAuthorityKey, std::string(kCertificates) + kKey).ok());
  }
  WriteAll(here / "identity/ca.pem", kCertificates);
  WriteAll(here / "identity/ca.key", std::string(kKey) + "another\n");
  const auto refused = Migrate(InEtcd(there, etcd), InSqlite(here));
  EXPECT_TRUE(HasReason(refused.status(), "AUTHORITY")) << refused.status();
  EXPECT_EQ(ReadAll(here / "identity/ca.key"), std::string(kKey) + "another\n");
  EXPECT_TRUE(LoadRows(*OpenSqlite(here)).empty());
}

TEST(MigrationTest, OneThatWasCutOffIsNamed) {
  const TemporaryDirectory here;
  const TemporaryDirectory there;
  EtcdCluster etcd;
  const Written written = Write(*OpenSqlite(here));
  Relay relay(etcd.port(0));
  {
    auto options = EtcdOptions(there, {relay.endpoint()}, kShortLease);
    options.at_step = [&relay](EtcdStore::Step step) {
      if (step != EtcdStore::Step::kFilled) return;
      relay.Hold(Relay::Way::kToServer);
      relay.Hold(Relay::Way::kToClient);
    };
    auto target = OpenEtcd(options);
    StoreHead head;
    head.cluster_id = written.leadership.cluster_id;
    head.secret = written.leadership.secret;
    head.epoch = 7;
    head.commit = 3;
    auto filling = target->Fill(head, "a test");
    ASSERT_TRUE(filling.ok()) << filling.status();
    for (const auto& [place, row] : written.rows)
      ASSERT_TRUE((*filling)->Row(place.first, place.second, row.first, row.second).ok());
    EXPECT_FALSE((*filling)->Finish().ok());
  }
  for (const absl::Status& status : {EtcdStore::Open(EtcdOptions(there, etcd.endpoints())).status(),
                                     Migrate(InSqlite(here), InEtcd(there, etcd)).status(),
                                     Migrate(InEtcd(there, etcd), InSqlite(here)).status()}) {
    EXPECT_TRUE(HasReason(status, "HALF_FILLED")) << status;
    EXPECT_THAT(std::string(status.message()),
                testing::AllOf(HasSubstr("a test, begun "),
                               HasSubstr("begin anew: etcdctl del --prefix /remuda/")));
  }
  ASSERT_TRUE(etcd.Ctl("del --prefix /remuda/"));
  EXPECT_TRUE(Migrate(InSqlite(here), InEtcd(there, etcd)).ok());
}

TEST(MigrationTest, OneThatFailsLeavesNothing) {
  const TemporaryDirectory there;
  EtcdCluster etcd;
  auto target = OpenEtcd(EtcdOptions(there, etcd.endpoints()));
  {
    auto filling = target->Fill({.cluster_id = "c", .secret = "s"}, "a test");
    ASSERT_TRUE(filling.ok()) << filling.status();
    ASSERT_TRUE((*filling)->Row(Kind::kCounter, "a", "", 1).ok());
    const auto large = (*filling)->Row(Kind::kImage, "i", std::string(2 << 20, 'x'), 1);
    EXPECT_THAT(std::string(large.message()), HasSubstr("key i has"));
  }
  std::string all;
  ASSERT_TRUE(etcd.Ctl("get --prefix --keys-only /remuda/", &all));
  EXPECT_EQ(all, "");
}

// Something else is there than was put: it does not become a store.
TEST(MigrationTest, WhatIsReadBackIsHeldAgainstWhatWasPut) {
  const TemporaryDirectory there;
  EtcdCluster etcd;
  for (const char* change : {"del /remuda/rows/001/a", "put /remuda/rows/001/c x"}) {
    auto options = EtcdOptions(there, etcd.endpoints());
    options.at_step = [&etcd, change](EtcdStore::Step step) {
      if (step != EtcdStore::Step::kPartWritten) return;
      EXPECT_TRUE(etcd.Ctl(change));
    };
    auto target = OpenEtcd(options);
    auto filling = target->Fill({.cluster_id = "c", .secret = "s"}, "a test");
    ASSERT_TRUE(filling.ok()) << filling.status();
    for (const char* key : {"a", "b"})
      ASSERT_TRUE((*filling)->Row(static_cast<Kind>(1), key, "value", 1).ok());
    const auto finished = (*filling)->Finish();
    EXPECT_TRUE(absl::IsDataLoss(finished.status())) << finished.status();
    filling->reset();
    std::string all;
    ASSERT_TRUE(etcd.Ctl("get --prefix --keys-only /remuda/", &all));
    EXPECT_EQ(all, "");
  }
}

// While a store is filled nobody else leads it; who waited refuses what was cut off.
TEST(MigrationTest, WhoWaitsToLeadSeesItFilledOrRefusesIt) {
  const TemporaryDirectory there;
  EtcdCluster etcd;
  auto waits = OpenEtcd(EtcdOptions(there, etcd.endpoints()));
  ASSERT_TRUE(etcd.Ctl("put /remuda/meta/filling something"));
  EXPECT_TRUE(HasReason(waits->Campaign().status(), "HALF_FILLED"));
}

}  // namespace
}  // namespace remuda
