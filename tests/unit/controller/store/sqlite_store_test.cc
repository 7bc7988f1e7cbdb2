// The embedded store: what is acknowledged is there after any end of the process; what failed is
// not, and does no harm.
#include "controller/store/sqlite_store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sqlite3.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <filesystem>
#include <map>
#include <random>

namespace remuda {
namespace {

using core::Changes;
using core::Kind;
using testing::HasSubstr;

class TemporaryDirectory {
 public:
  TemporaryDirectory() {
    char path[] = "/tmp/remuda-store-XXXXXX";
    if (mkdtemp(path) == nullptr) std::abort();
    path_ = path;
  }
  ~TemporaryDirectory() { std::filesystem::remove_all(path_); }
  std::string operator/(const std::string& name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

absl::StatusOr<std::unique_ptr<SqliteStore>> Open(const std::string& path) {
  return SqliteStore::Open({.path = path, .sealing_key_file = path + ".key"});
}

std::unique_ptr<SqliteStore> OpenOrDie(const std::string& path) {
  auto store = Open(path);
  if (!store.ok()) {
    std::fprintf(stderr, "%s\n", store.status().ToString().c_str());
    std::abort();
  }
  return *std::move(store);
}

core::Edit PutCounter(const std::string& key, int64_t last) {
  auto value = std::make_shared<store::v1::Counter>();
  value->set_last(last);
  return {Kind::kCounter, key, std::move(value)};
}

core::Edit PutImage(const std::string& key, size_t bytes) {
  auto value = std::make_shared<v1::Image>();
  value->set_name("images/" + key);
  value->set_digest(std::string(bytes, 'x'));
  return {Kind::kImage, key, std::move(value)};
}

core::State LoadState(Store& store) {
  core::State state;
  const absl::Status status =
      store.Load([&](Kind kind, std::string_view key, std::string_view value, int64_t commit) {
        return state.Load(kind, key, value, commit);
      });
  EXPECT_TRUE(status.ok()) << status;
  return state;
}

TEST(SqliteStoreTest, CommitsNumberRowsAndSurviveReopening) {
  const TemporaryDirectory dir;
  std::string cluster_id;
  {
    auto store = OpenOrDie(dir / "state.db");
    const auto won = store->Campaign();
    ASSERT_TRUE(won.ok()) << won.status();
    EXPECT_EQ(won->epoch, 1);
    EXPECT_EQ(won->commit, 0);
    EXPECT_EQ(won->cluster_id.size(), 36U);
    cluster_id = won->cluster_id;
    EXPECT_EQ(store->Commit({{PutCounter("a", 1), PutCounter("b", 2)}}, 1).value(), 1);
    EXPECT_EQ(store->Commit({{PutCounter("b", 3), PutImage("empty", 0)}}, 1).value(), 2);
    EXPECT_EQ(
        store->Commit({{{Kind::kCounter, "a", nullptr}, {Kind::kCounter, "never", nullptr}}}, 1)
            .value(),
        3);
  }
  auto store = OpenOrDie(dir / "state.db");
  const auto won = store->Campaign();
  ASSERT_TRUE(won.ok()) << won.status();
  EXPECT_EQ(won->epoch, 2);
  EXPECT_EQ(won->commit, 3);
  EXPECT_EQ(won->cluster_id, cluster_id);
  const core::State state = LoadState(*store);
  EXPECT_EQ(state.Find<store::v1::Counter>("a"), nullptr);
  ASSERT_NE(state.Find<store::v1::Counter>("b"), nullptr);
  EXPECT_EQ((*state.Find<store::v1::Counter>("b"))->last(), 3);
  EXPECT_EQ(state.Find<store::v1::Counter>("b")->commit, 2);
  EXPECT_NE(state.Find<v1::Image>("empty"), nullptr);
}

TEST(SqliteStoreTest, OneFileHasOneController) {
  const TemporaryDirectory dir;
  auto store = OpenOrDie(dir / "state.db");
  const auto second = Open(dir / "state.db");
  ASSERT_EQ(second.status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(second.status().message()),
              HasSubstr("process " + std::to_string(getpid())));
  store.reset();
  EXPECT_TRUE(Open(dir / "state.db").ok());
}

TEST(SqliteStoreTest, AnOlderEpochCommitsNothing) {
  const TemporaryDirectory dir;
  auto store = OpenOrDie(dir / "state.db");
  ASSERT_EQ(store->Campaign()->epoch, 1);
  ASSERT_TRUE(store->Commit({{PutCounter("a", 1)}}, 1).ok());
  ASSERT_EQ(store->Campaign()->epoch, 2);
  const auto late = store->Commit({{PutCounter("a", 2)}}, 1);
  EXPECT_EQ(late.status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(late.status().message()), HasSubstr("epoch 1"));
  EXPECT_EQ((*LoadState(*store).Find<store::v1::Counter>("a"))->last(), 1);
  EXPECT_EQ(store->Commit({{PutCounter("a", 3)}}, 2).value(), 2);
}

// A newer one, and one whose rows say other things.
TEST(SqliteStoreTest, AnotherSchemaIsRefused) {
  for (const std::string version : {"99", "1"}) {
    const TemporaryDirectory dir;
    OpenOrDie(dir / "state.db").reset();
    sqlite3* raw = nullptr;
    ASSERT_EQ(sqlite3_open((dir / "state.db").c_str(), &raw), SQLITE_OK);
    const std::string pragma = "PRAGMA user_version=" + version;
    ASSERT_EQ(sqlite3_exec(raw, pragma.c_str(), nullptr, nullptr, nullptr), SQLITE_OK);
    sqlite3_close(raw);
    const auto store = Open(dir / "state.db");
    EXPECT_EQ(store.status().code(), absl::StatusCode::kFailedPrecondition);
    EXPECT_THAT(std::string(store.status().message()), HasSubstr("state.db has schema " + version));
  }
}

TEST(SqliteStoreTest, AFullDiskFailsTheCommitWholeAndLaterOnesWork) {
  const TemporaryDirectory dir;
  auto store = OpenOrDie(dir / "state.db");
  ASSERT_EQ(store->Campaign()->epoch, 1);
  ASSERT_TRUE(store->Commit({{PutCounter("before", 1)}}, 1).ok());

  // The kernel refuses to let any file of this process grow beyond this, as a full disk would.
  ASSERT_NE(signal(SIGXFSZ, SIG_IGN), SIG_ERR);
  rlimit before{};
  ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &before), 0);
  rlimit full = before;
  full.rlim_cur = std::filesystem::file_size(dir / "state.db-wal") + 64 * 1024;
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &full), 0);
  const auto failed =
      store->Commit({{PutCounter("half", 1), PutImage("big", 1 << 20), PutCounter("other", 1)}}, 1);
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &before), 0);

  ASSERT_FALSE(failed.ok());
  EXPECT_THAT(std::string(failed.status().message()), HasSubstr("state.db"));
  EXPECT_EQ(LoadState(*store).All<store::v1::Counter>().size(), 1U);
  EXPECT_EQ(store->Commit({{PutCounter("after", 1), PutImage("big", 1 << 20)}}, 1).value(), 2);
  store.reset();
  const core::State state = LoadState(*OpenOrDie(dir / "state.db"));
  EXPECT_EQ(state.Find<store::v1::Counter>("half"), nullptr);
  EXPECT_NE(state.Find<store::v1::Counter>("after"), nullptr);
}

// Commits for ever and says each number that is durable.
[[noreturn]] void CommitForEver(const std::string& path, int acknowledgements) {
  auto store = Open(path);
  if (!store.ok()) _exit(1);
  const auto won = (*store)->Campaign();
  if (!won.ok()) _exit(1);
  while (true) {
    // Two rows a commit, which must be there together.
    const std::string key = std::to_string(won->epoch);
    static int64_t number = 0;
    ++number;
    const auto commit = (*store)->Commit(
        {{PutCounter("x" + key, number), PutCounter("y" + key, number)}}, won->epoch);
    if (!commit.ok() || write(acknowledgements, &number, sizeof number) != sizeof number) _exit(1);
  }
}

TEST(SqliteStoreTest, EveryAcknowledgedCommitSurvivesKill9) {
  const TemporaryDirectory dir;
  std::mt19937 random(7);
  std::map<std::string, int64_t> acknowledged;  // by epoch
  for (int round = 1; round <= 15; ++round) {
    int ends[2];
    ASSERT_EQ(pipe(ends), 0);
    const pid_t child = fork();
    ASSERT_GE(child, 0);
    if (child == 0) CommitForEver(dir / "state.db", ends[1]);
    close(ends[1]);
    int64_t last = 0;
    const int64_t enough = 1 + static_cast<int64_t>(random() % 40);
    while (last < enough) ASSERT_EQ(read(ends[0], &last, sizeof last), ssize_t{sizeof last});
    ASSERT_EQ(kill(child, SIGKILL), 0);
    // What was written to the pipe before the kill counts as acknowledged too.
    for (int64_t more = 0; read(ends[0], &more, sizeof more) == ssize_t{sizeof more};) last = more;
    close(ends[0]);
    ASSERT_EQ(waitpid(child, nullptr, 0), child);
    acknowledged[std::to_string(round)] = last;

    const core::State state = LoadState(*OpenOrDie(dir / "state.db"));
    for (const auto& [epoch, number] : acknowledged) {
      const auto* x = state.Find<store::v1::Counter>("x" + epoch);
      const auto* y = state.Find<store::v1::Counter>("y" + epoch);
      ASSERT_TRUE(x != nullptr && y != nullptr) << epoch;
      EXPECT_GE((*x)->last(), number) << "lost a commit of epoch " << epoch;
      EXPECT_EQ((*x)->last(), (*y)->last()) << "half a commit of epoch " << epoch;
    }
  }
}

TEST(SqliteStoreTest, LoadsAHundredThousandInstances) {
  const TemporaryDirectory dir;
  auto store = OpenOrDie(dir / "state.db");
  ASSERT_EQ(store->Campaign()->epoch, 1);
  Changes changes;
  for (int i = 0; i < 100'000; ++i) {
    auto instance = std::make_shared<v1::Instance>();
    const std::string id = "i-" + std::to_string(i);
    instance->set_name("instances/" + id);
    instance->set_auto_scaling_group("g" + std::to_string(i % 100));
    instance->set_host("h" + std::to_string(i % 1000));
    instance->set_address("10.1.2.3");
    instance->set_port(8000 + i % 1000);
    instance->set_state(v1::INSTANCE_STATE_IN_SERVICE);
    instance->set_state_reason("healthy at every proxy");
    instance->mutable_launch_template()->set_launch_template("shop");
    changes.edits.push_back({Kind::kInstance, id, std::move(instance)});
  }
  ASSERT_TRUE(store->Commit(changes, 1).ok());
  const auto begin = std::chrono::steady_clock::now();
  const core::State state = LoadState(*store);
  const auto took = std::chrono::duration_cast<std::chrono::milliseconds>(
      std::chrono::steady_clock::now() - begin);
  EXPECT_EQ(state.All<v1::Instance>().size(), 100'000U);
  EXPECT_EQ(state.InstancesOnHost("h7").size(), 100U);
  std::printf("100,000 instances loaded in %lld ms\n", static_cast<long long>(took.count()));
}

TEST(SqliteStoreTest, ItsFilesAreForNobodyElse) {
  namespace fs = std::filesystem;
  const TemporaryDirectory dir;
  const fs::perms others = fs::perms::group_all | fs::perms::others_all;
  const auto open_to_others = [&](const std::string& name) {
    return (fs::status(dir / name).permissions() & others) != fs::perms::none;
  };
  const mode_t before = umask(0);
  {
    auto store = OpenOrDie(dir / "state.db");
    ASSERT_TRUE(store->Campaign().ok());
    for (const char* name : {"state.db", "state.db-wal", "state.db-shm", "state.db.lock"})
      EXPECT_FALSE(open_to_others(name)) << name;
  }
  // As an earlier version left it.
  fs::permissions(dir / "state.db", fs::perms(0644));
  OpenOrDie(dir / "state.db");
  EXPECT_FALSE(open_to_others("state.db"));
  umask(before);
}

TEST(SqliteStoreTest, ARowOfAKindThatIsNotKnownIsRefused) {
  // A newer program's, after a downgrade: it became a request record.
  core::State state;
  const absl::Status status = state.Load(static_cast<Kind>(99), "x", "", 1);
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(status.message()), HasSubstr("kind 99"));
  EXPECT_FALSE(state.Load(static_cast<Kind>(0), "x", "", 1).ok());
  EXPECT_TRUE(state.Load(core::kLastKind, "x", "", 1).ok());
}

}  // namespace
}  // namespace remuda
