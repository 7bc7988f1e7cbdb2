// The store in etcd: who leads, how it is reached, and what becomes of a commit whose writer ends
// in the midst of it.
#include "controller/store/etcd_store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <atomic>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <thread>

#include "controller/store/etcd_plan.h"
#include "tests/component/controller/store/testing/etcd_fixture.h"

namespace remuda {
namespace {

using core::Kind;
using testing::HasSubstr;

TEST(EtcdStoreTest, TheSecondCampaignerWaitsForTheFirst) {
  const TemporaryDirectory dir;
  EtcdCluster etcd;
  auto first = OpenEtcd(EtcdOptions(dir, etcd.endpoints()));
  const auto won = first->Campaign();
  ASSERT_TRUE(won.ok()) << won.status();
  ASSERT_TRUE(first->Commit({{PutCounter("a", 1)}}, won->epoch).ok());

  auto second = OpenEtcd(EtcdOptions(dir, etcd.endpoints()));
  EXPECT_EQ(second->lease_deadline(), std::chrono::steady_clock::time_point());
  std::atomic<bool> has_won = false;
  absl::StatusOr<Leadership> next = absl::UnknownError("");
  std::thread campaign([&] {
    next = second->Campaign();
    has_won = true;
  });
  ASSERT_EQ(first->Commit({{PutCounter("a", 2)}}, won->epoch).value(), 2);
  EXPECT_FALSE(has_won);
  first.reset();  // gives the lease back
  campaign.join();
  ASSERT_TRUE(next.ok()) << next.status();
  EXPECT_GT(next->epoch, won->epoch);
  EXPECT_EQ(next->commit, 2);
  EXPECT_EQ(next->cluster_id, won->cluster_id);
  EXPECT_EQ(next->secret, won->secret);
  EXPECT_GT(second->lease_deadline(), std::chrono::steady_clock::now());
  EXPECT_EQ(second->Commit({{PutCounter("a", 3)}}, next->epoch).value(), 3);
}

TEST(EtcdStoreTest, ACampaignThatWaitsIsStopped) {
  const TemporaryDirectory dir;
  EtcdCluster etcd;
  auto first = OpenEtcd(EtcdOptions(dir, etcd.endpoints()));
  ASSERT_TRUE(first->Campaign().ok());
  auto second = OpenEtcd(EtcdOptions(dir, etcd.endpoints()));
  absl::StatusOr<Leadership> outcome = absl::UnknownError("");
  std::thread campaign([&] { outcome = second->Campaign(); });
  second->StopCampaign();
  campaign.join();
  EXPECT_TRUE(absl::IsCancelled(outcome.status())) << outcome.status();
}

TEST(EtcdStoreTest, TwoPrefixesAreTwoStores) {
  const TemporaryDirectory dir;
  EtcdCluster etcd;
  auto one = EtcdOptions(dir, etcd.endpoints());
  auto other = EtcdOptions(dir, etcd.endpoints());
  other.address.prefix = "/remuda/other/";
  auto store = OpenEtcd(one);
  auto neighbour = OpenEtcd(other);
  const auto won = store->Campaign();
  const auto beside = neighbour->Campaign();
  ASSERT_TRUE(won.ok() && beside.ok());
  EXPECT_NE(won->cluster_id, beside->cluster_id);
  ASSERT_TRUE(store->Commit({{PutCounter("a", 1)}}, won->epoch).ok());
  EXPECT_TRUE(LoadRows(*neighbour).empty());
}

TEST(EtcdStoreTest, AnotherSealingKeyIsRefusedByName) {
  const TemporaryDirectory dir;
  const TemporaryDirectory elsewhere;
  EtcdCluster etcd;
  ASSERT_TRUE(OpenEtcd(EtcdOptions(dir, etcd.endpoints()))->Campaign().ok());
  const auto missing = EtcdStore::Open(EtcdOptions(elsewhere, etcd.endpoints()));
  EXPECT_EQ(missing.status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(missing.status().message()),
              HasSubstr("copy it from another controller"));
  ASSERT_TRUE(MakeSealingKeys(elsewhere / "sealing.key").ok());
  const auto wrong = EtcdStore::Open(EtcdOptions(elsewhere, etcd.endpoints()));
  EXPECT_EQ(wrong.status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(wrong.status().message()), HasSubstr(elsewhere / "sealing.key"));
}

TEST(EtcdStoreTest, SecretsAreSealedInEtcd) {
  const TemporaryDirectory dir;
  EtcdCluster etcd;
  auto store = OpenEtcd(EtcdOptions(dir, etcd.endpoints()));
  const auto won = store->Campaign();
  ASSERT_TRUE(store->Commit({{PutSecret("p", "plain-name"), PutCounter("c", 1)}}, won->epoch).ok());
  std::string all;
  ASSERT_TRUE(etcd.Ctl("get --prefix /remuda/", &all));
  EXPECT_THAT(all, HasSubstr("/remuda/rows/020/p"));
  EXPECT_THAT(all, HasSubstr("/remuda/rows/012/c"));
  EXPECT_THAT(all, Not(HasSubstr("plain-name")));
  EXPECT_THAT(all, Not(HasSubstr(won->secret)));
}

TEST(EtcdStoreTest, AControllerOfAClusterTakesNoOtherAndMakesNone) {
  const TemporaryDirectory dir;
  EtcdCluster etcd;
  EtcdStore::Options options = EtcdOptions(dir, etcd.endpoints());
  auto store = OpenEtcd(options);
  const std::string cluster = store->Campaign()->cluster_id;
  store.reset();
  options.known_cluster = cluster;
  store = OpenEtcd(options);
  EXPECT_TRUE(store->Campaign().ok());
  store.reset();

  EtcdStore::Options other = options;
  other.known_cluster = "other";
  const absl::Status refused = EtcdStore::Open(other).status();
  EXPECT_TRUE(absl::IsFailedPrecondition(refused)) << refused;
  EXPECT_THAT(std::string(refused.message()), HasSubstr("is the store of cluster " + cluster));

  // One that waits to lead finds it empty.
  store = OpenEtcd(options);
  ASSERT_TRUE(etcd.Ctl("del --prefix /remuda/"));
  for (const absl::Status& status :
       {store->Campaign().status(), EtcdStore::Open(options).status()}) {
    EXPECT_TRUE(absl::IsFailedPrecondition(status)) << status;
    EXPECT_THAT(std::string(status.message()), HasSubstr("holds no cluster"));
  }
  std::string keys;
  ASSERT_TRUE(etcd.Ctl("get --prefix --keys-only /remuda/", &keys));
  EXPECT_EQ(keys, "");
}

TEST(EtcdStoreTest, EpochsGoOnWhereAnEarlierStoreWas) {
  const TemporaryDirectory dir;
  EtcdCluster etcd;
  ASSERT_TRUE(etcd.Ctl("put /remuda/meta/epoch-base 100000"));
  auto store = OpenEtcd(EtcdOptions(dir, etcd.endpoints()));
  const auto won = store->Campaign();
  ASSERT_TRUE(won.ok()) << won.status();
  EXPECT_GT(won->epoch, 100000);
  EXPECT_EQ(store->Commit({{PutCounter("a", 1)}}, won->epoch).value(), 1);
}

TEST(EtcdStoreTest, ANewerSchemaIsRefused) {
  const TemporaryDirectory dir;
  EtcdCluster etcd;
  ASSERT_TRUE(OpenEtcd(EtcdOptions(dir, etcd.endpoints()))->Campaign().ok());
  ASSERT_TRUE(etcd.Ctl("put /remuda/meta/schema 2"));
  const auto store = EtcdStore::Open(EtcdOptions(dir, etcd.endpoints()));
  EXPECT_THAT(std::string(store.status().message()), HasSubstr("/remuda/meta/schema is 2"));
}

TEST(EtcdStoreTest, WhatIsTooLargeNamesTheLimit) {
  const TemporaryDirectory dir;
  EtcdCluster etcd;
  auto store = OpenEtcd(EtcdOptions(dir, etcd.endpoints()));
  const int64_t epoch = store->Campaign()->epoch;
  const auto row = store->Commit({{PutImage("i", etcd_limits::kMaxRowBytes)}}, epoch);
  EXPECT_EQ(row.status().code(), absl::StatusCode::kResourceExhausted);
  EXPECT_THAT(std::string(row.status().message()), HasSubstr("kind 1, key i has"));
  core::Changes many;
  for (int i = 0; i < 66; ++i) many.edits.push_back(PutImage(std::to_string(i), 1 << 20));
  EXPECT_EQ(store->Commit(many, epoch).status().code(), absl::StatusCode::kResourceExhausted);
  // The largest row that there may be, as etcd's own default takes it.
  EXPECT_EQ(store->Commit({{PutImage("i", etcd_limits::kMaxRowBytes - 1000)}}, epoch).value(), 1);
}

TEST(EtcdStoreTest, NobodyThereIsAnErrorThatNamesTheEndpoint) {
  const TemporaryDirectory dir;
  std::string endpoint;
  {
    const Relay gone(1);
    endpoint = gone.endpoint();
  }
  const auto store = EtcdStore::Open(EtcdOptions(dir, {endpoint}));
  EXPECT_EQ(store.status().code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(std::string(store.status().message()), HasSubstr("etcd " + endpoint));
}

// Who has sent the command that is written has done nothing wrong.
TEST(EtcdStoreTest, WhatEtcdDoesNotLetThisControllerDoIsUnavailable) {
  const TemporaryDirectory dir;
  EtcdCluster etcd;
  auto store = OpenEtcd(EtcdOptions(dir, etcd.endpoints()));
  const int64_t epoch = store->Campaign()->epoch;
  ASSERT_TRUE(etcd.Ctl("user add root:secret"));
  etcd.Ctl("role add root");
  ASSERT_TRUE(etcd.Ctl("user grant-role root root"));
  ASSERT_TRUE(etcd.Ctl("auth enable"));
  const absl::Status refused = store->Commit({{PutCounter("a", 1)}}, epoch).status();
  EXPECT_EQ(refused.code(), absl::StatusCode::kUnavailable) << refused;
  EXPECT_THAT(std::string(refused.message()), HasSubstr("user name is empty"));
  ASSERT_TRUE(etcd.Ctl("--user=root:secret auth disable"));
  EXPECT_EQ(store->Commit({{PutCounter("a", 1)}}, epoch).value(), 1);
}

TEST(EtcdStoreTest, UserAndPassword) {
  const TemporaryDirectory dir;
  EtcdCluster etcd({.flags = {"--bcrypt-cost=4"}});
  ASSERT_TRUE(etcd.Ctl("user add root:right"));
  ASSERT_TRUE(etcd.Ctl("user grant-role root root"));
  ASSERT_TRUE(etcd.Ctl("auth enable"));
  auto options = EtcdOptions(dir, etcd.endpoints());
  EXPECT_FALSE(EtcdStore::Open(options).ok());
  options.address.user = "root";
  options.address.password_file = dir / "password";
  std::ofstream(options.address.password_file) << "wrong\n";
  const auto wrong = EtcdStore::Open(options);
  EXPECT_THAT(std::string(wrong.status().message()), HasSubstr("cannot log in"));
  std::ofstream(options.address.password_file) << "right\n";
  auto store = OpenEtcd(options);
  ASSERT_NE(store, nullptr);
  const auto won = store->Campaign();
  ASSERT_TRUE(won.ok()) << won.status();
  EXPECT_EQ(store->Commit({{PutCounter("a", 1)}}, won->epoch).value(), 1);
  // Tokens do not outlive etcd's process: it is logged in again, with the password of now.
  ASSERT_TRUE(etcd.Ctl("--user root:right user passwd root --interactive=false", nullptr, "newer"));
  std::ofstream(options.address.password_file) << "newer\n";
  etcd.Kill(0);
  etcd.Start(0);
  EXPECT_TRUE(WaitUntil([&] {
    const auto again = store->Commit({{PutCounter("a", 2)}}, won->epoch);
    EXPECT_TRUE(again.ok() || absl::IsUnavailable(again.status())) << again.status();
    return again.ok();
  }));
}

TEST(EtcdStoreTest, TlsWithACertificate) {
  const TemporaryDirectory dir;
  EtcdCluster etcd({.has_tls = true});
  auto options = EtcdOptions(dir, etcd.endpoints());
  options.address.ca = etcd.file("ca.pem");
  options.address.certificate = etcd.file("client.pem");
  options.address.key = etcd.file("client.key");
  auto store = OpenEtcd(options);
  ASSERT_NE(store, nullptr);
  const auto won = store->Campaign();
  ASSERT_TRUE(won.ok()) << won.status();
  EXPECT_EQ(store->Commit({{PutCounter("a", 1)}}, won->epoch).value(), 1);
  // Files that are replaced by others, which etcd does not know: it is reached over what is open
  // until they are taken, and then no more.
  const std::string cert = dir / "client.pem";
  const std::string key = dir / "client.key";
  std::filesystem::copy_file(etcd.file("client.pem"), cert);
  std::filesystem::copy_file(etcd.file("client.key"), key);
  options.address.certificate = cert;
  options.address.key = key;
  auto reader = OpenEtcd(options);
  ASSERT_NE(reader, nullptr);
  const EtcdCluster other({.has_tls = true});
  const auto replace = [&](const EtcdCluster& by) {
    for (const auto& [name, path] : {std::pair{"client.pem", cert}, std::pair{"client.key", key}})
      std::filesystem::copy_file(by.file(name), path,
                                 std::filesystem::copy_options::overwrite_existing);
  };
  // A certificate before its key is no pair, and is not taken; neither is half a file.
  const auto is_used_on = [&] {
    const auto end = EtcdClient::Clock::now() + 3 * EtcdClient::kFileLookPeriod;
    while (EtcdClient::Clock::now() < end) {
      if (absl::Status status = reader->ClusterId().status(); !status.ok()) return status;
    }
    return absl::OkStatus();
  };
  std::filesystem::copy_file(other.file("client.pem"), cert,
                             std::filesystem::copy_options::overwrite_existing);
  EXPECT_EQ(is_used_on(), absl::OkStatus());
  const auto unpaired = EtcdStore::Open(options).status();
  EXPECT_THAT(std::string(unpaired.message()),
              testing::AllOf(HasSubstr("--store-key: " + key), HasSubstr(cert)));
  replace(other);
  EXPECT_TRUE(WaitUntil([&] { return !reader->ClusterId().ok(); }));
  replace(etcd);
  EXPECT_TRUE(WaitUntil([&] { return reader->ClusterId().ok(); }));
  EXPECT_EQ(store->Commit({{PutCounter("a", 2)}}, won->epoch).value(), 2);
  options.address.certificate = etcd.file("none.pem");
  EXPECT_THAT(std::string(EtcdStore::Open(options).status().message()),
              HasSubstr("--store-cert: " + etcd.file("none.pem")));
}

// Starts a writer that ends itself, and answers the last number that it was told.
int64_t RunWriter(const std::string& endpoint, const std::string& key, EtcdStore::Step step,
                  int count, int edits) {
  const std::string command = std::string(REMUDA_BIN_DIR) + "/store_writer " + endpoint + " " +
                              key + " " + std::to_string(static_cast<int>(step)) + " " +
                              std::to_string(count) + " " + std::to_string(edits);
  FILE* out = popen(command.c_str(), "r");
  long long number = 0;
  while (std::fscanf(out, "%lld", &number) == 1) {
  }
  const int status = pclose(out);
  // The shell tells of the signal, or was replaced by what it ran.
  const bool was_killed = (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL) ||
                          (WIFEXITED(status) && WEXITSTATUS(status) == 128 + SIGKILL);
  EXPECT_TRUE(was_killed) << command << ": " << status;
  return number;
}

struct Death {
  EtcdStore::Step step;
  int edits;
  bool is_committed;  // the commit under way, which nobody was told of
  const char* name;
};
class EtcdDeathTest : public testing::TestWithParam<Death> {};

TEST_P(EtcdDeathTest, ACommitIsWholeOrNotThere) {
  const Death& death = GetParam();
  const TemporaryDirectory dir;
  EtcdCluster etcd;
  int64_t last = 0;
  for (int round = 1; round <= 2; ++round) {
    const int64_t told =
        RunWriter(etcd.endpoint(0), dir / "sealing.key", death.step, round, death.edits);
    auto store = OpenEtcd(EtcdOptions(dir, etcd.endpoints()));
    // Whoever only reads sees the same as who leads next.
    const Rows before = LoadRows(*store);
    const auto won = store->Campaign();
    ASSERT_TRUE(won.ok()) << won.status();
    EXPECT_EQ(won->commit, std::max(told, last) + (death.is_committed ? 1 : 0));
    last = won->commit;
    Rows expected;
    for (int i = 0; i < death.edits && last > 0; ++i)
      ApplyTo(expected, {{PutCounter("w/" + std::to_string(i), last)}}, last);
    EXPECT_EQ(before, expected);
    EXPECT_EQ(LoadRows(*store), expected);
    std::string staged;
    ASSERT_TRUE(etcd.Ctl("get --prefix --keys-only /remuda/staged/", &staged));
    EXPECT_EQ(staged, "");
    ASSERT_EQ(store->Commit({{PutCounter("w/0", 0)}}, won->epoch).value(), ++last);
  }
}

INSTANTIATE_TEST_SUITE_P(
    Steps, EtcdDeathTest,
    testing::Values(Death{EtcdStore::Step::kStaged, 500, false, "Staged"},
                    Death{EtcdStore::Step::kDecided, 500, true, "Decided"},
                    Death{EtcdStore::Step::kPartWritten, 500, true, "PartWritten"},
                    Death{EtcdStore::Step::kWritten, 500, true, "Written"},
                    Death{EtcdStore::Step::kCommitted, 3, true, "Committed"}),
    [](const testing::TestParamInfo<Death>& one) { return std::string(one.param.name); });

}  // namespace
}  // namespace remuda
