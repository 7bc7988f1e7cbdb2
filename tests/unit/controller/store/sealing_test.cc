// What is sealed at rest, under which key, and how an older store is brought forward.
#include <absl/strings/escaping.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sqlite3.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <random>
#include <sstream>
#include <thread>

#include "controller/store/sealed_kinds.h"
#include "controller/store/sealer.h"
#include "controller/store/sealing_keys.h"
#include "controller/store/sqlite_store.h"

namespace remuda {
namespace {

namespace fs = std::filesystem;
using core::Kind;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

constexpr char kValue[] = "correct-horse-battery";

class SealingTest : public testing::Test {
 protected:
  SealingTest() {
    char path[] = "/tmp/remuda-sealing-XXXXXX";
    if (mkdtemp(path) == nullptr) std::abort();
    dir_ = path;
  }
  ~SealingTest() override { fs::remove_all(dir_); }

  absl::StatusOr<std::unique_ptr<SqliteStore>> Open() {
    return SqliteStore::Open({.path = dir_ + "/state.db", .sealing_key_file = key_file()});
  }
  std::string key_file() const { return dir_ + "/sealing.key"; }

  void Write(const std::string& file, const std::string& text, fs::perms mode) const {
    std::ofstream(file) << text;
    fs::permissions(file, mode);
  }
  std::string Read(const std::string& file) const {
    std::ostringstream out;
    out << std::ifstream(file, std::ios::binary).rdbuf();
    return out.str();
  }
  // The bytes of the store's files, one after the other.
  std::string Bytes() const {
    return Read(dir_ + "/state.db") + Read(dir_ + "/state.db-wal") + Read(dir_ + "/state.db-shm");
  }
  void Sql(const std::string& text) const {
    sqlite3* raw = nullptr;
    ASSERT_EQ(sqlite3_open((dir_ + "/state.db").c_str(), &raw), SQLITE_OK);
    char* error = nullptr;
    EXPECT_EQ(sqlite3_exec(raw, text.c_str(), nullptr, nullptr, &error), SQLITE_OK) << error;
    sqlite3_close(raw);
  }
  // The first column of the first row; empty: there is none.
  std::string One(const std::string& text) const {
    sqlite3* raw = nullptr;
    EXPECT_EQ(sqlite3_open((dir_ + "/state.db").c_str(), &raw), SQLITE_OK);
    sqlite3_busy_timeout(raw, 5'000);
    sqlite3_stmt* statement = nullptr;
    EXPECT_EQ(sqlite3_prepare_v2(raw, text.c_str(), -1, &statement, nullptr), SQLITE_OK);
    std::string out;
    if (sqlite3_step(statement) == SQLITE_ROW)
      out = reinterpret_cast<const char*>(sqlite3_column_text(statement, 0));
    sqlite3_finalize(statement);
    sqlite3_close(raw);
    return out;
  }
  // Makes a store with one secret in it.
  void MakeStore() {
    auto store = Open();
    ASSERT_TRUE(store.ok()) << store.status();
    ASSERT_TRUE((*store)->Campaign().ok());
    ASSERT_TRUE((*store)->Commit({{PutSecret("db", kValue)}}, 1).ok());
  }
  static core::Edit PutSecret(const std::string& key, const std::string& text) {
    auto value = std::make_shared<v1::Secret>();
    value->set_name("secrets/" + key);
    value->set_value(text);
    return {Kind::kSecret, key, std::move(value)};
  }
  static core::State Load(Store& store) {
    core::State state;
    const absl::Status status =
        store.Load([&](Kind kind, std::string_view key, std::string_view value, int64_t commit) {
          return state.Load(kind, key, value, commit);
        });
    EXPECT_TRUE(status.ok()) << status;
    return state;
  }

  std::string dir_;
};

TEST_F(SealingTest, KindsThatMayHoldSecretsAreSealed) {
  for (const Kind kind : {Kind::kSecret, Kind::kCertificate, Kind::kLaunchTemplateVersion,
                          Kind::kRequest, Kind::kDeployment, Kind::kJoinToken}) {
    EXPECT_TRUE(IsSealedKind(kind)) << static_cast<int>(kind);
  }
  for (const Kind kind : {Kind::kInstance, Kind::kActivity, Kind::kHost, Kind::kCounter})
    EXPECT_FALSE(IsSealedKind(kind)) << static_cast<int>(kind);
}

TEST_F(SealingTest, NoSecretIsInTheFilesAndAllIsReadBack) {
  std::string cluster_secret;
  {
    auto store = Open();
    ASSERT_TRUE(store.ok()) << store.status();
    const auto won = (*store)->Campaign();
    ASSERT_TRUE(won.ok());
    cluster_secret = won->secret;
    auto version = std::make_shared<v1::LaunchTemplateVersion>();
    (*version->mutable_env())["PASSWORD"] = std::string(kValue) + "-env";
    auto record = std::make_shared<store::v1::RequestRecord>();
    record->mutable_response()->PackFrom(*version);
    ASSERT_TRUE((*store)
                    ->Commit({{PutSecret("db", kValue),
                               {Kind::kLaunchTemplateVersion, "a/versions/1", version},
                               {Kind::kRequest, "r1", record}}},
                             1)
                    .ok());
    EXPECT_THAT(Bytes(), AllOf(Not(HasSubstr(kValue)), Not(HasSubstr(cluster_secret))));
  }
  EXPECT_THAT(Bytes(), Not(HasSubstr(kValue)));
  auto store = Open();
  ASSERT_TRUE(store.ok()) << store.status();
  EXPECT_EQ((*store)->Campaign()->secret, cluster_secret);
  const core::State state = Load(**store);
  EXPECT_EQ((*state.Find<v1::Secret>("db"))->value(), kValue);
  EXPECT_EQ((*state.Find<v1::LaunchTemplateVersion>("a/versions/1"))->env().at("PASSWORD"),
            std::string(kValue) + "-env");
  EXPECT_EQ(state.Find<v1::Secret>("db")->commit, 1);
}

TEST_F(SealingTest, TheKeyFileIsMadeForItsOwnerAloneAndNeverMadeAnew) {
  MakeStore();
  struct stat info {};
  ASSERT_EQ(stat(key_file().c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 07777, 0600U);
  fs::remove(key_file());
  const auto opened = Open();
  EXPECT_THAT(std::string(opened.status().message()),
              AllOf(HasSubstr(key_file()), HasSubstr("there is no such file")));
  EXPECT_FALSE(fs::exists(key_file()));
}

TEST_F(SealingTest, AKeyFileThatIsNotRightIsRefusedByName) {
  MakeStore();
  const std::string good = Read(key_file());
  const struct {
    std::string text;
    fs::perms mode;
    std::string says;
  } cases[] = {
      {good, fs::perms(0640), "mode 0640"},
      {good, fs::perms(0604), "mode 0604"},
      {"", fs::perms(0600), "there is no key in it"},
      {"# only a comment\n\n", fs::perms(0600), "there is no key in it"},
      {"# x\n" + std::string(63, 'a') + "\n", fs::perms(0600), "line 2 is not a key"},
      {std::string(64, 'g'), fs::perms(0600), "line 1 is not a key"},
      {std::string(70'000, '#'), fs::perms(0600), "more than"},
      {std::string(64, 'a') + "\n", fs::perms(0600), "which is not in " + key_file()},
  };
  for (const auto& one : cases) {
    Write(key_file(), one.text, one.mode);
    const auto opened = Open();
    EXPECT_EQ(opened.status().code(), absl::StatusCode::kFailedPrecondition) << one.says;
    EXPECT_THAT(std::string(opened.status().message()),
                AllOf(HasSubstr(key_file()), HasSubstr(one.says)));
    // Said to a person, so without the key.
    EXPECT_THAT(std::string(opened.status().message()), Not(HasSubstr("aaaaaaaa")));
  }
  Write(key_file(), good, fs::perms(0600));
  EXPECT_TRUE(Open().ok());
}

TEST_F(SealingTest, AKeyBeforeTheOthersSealsEverythingAnew) {
  MakeStore();
  const std::string old = Read(key_file());
  const std::string added = std::string(64, '7') + "\n";
  Write(key_file(), added + old, fs::perms(0600));
  ASSERT_TRUE(Open().ok());
  // The old one is needed no more.
  Write(key_file(), added, fs::perms(0600));
  auto store = Open();
  ASSERT_TRUE(store.ok()) << store.status();
  EXPECT_TRUE((*store)->Campaign().ok());
  EXPECT_EQ((*Load(**store).Find<v1::Secret>("db"))->value(), kValue);
  EXPECT_EQ(Load(**store).Find<v1::Secret>("db")->commit, 1);
  store->reset();
  Write(key_file(), old, fs::perms(0600));
  EXPECT_THAT(std::string(Open().status().message()), HasSubstr("sealed under key"));
}

TEST_F(SealingTest, WhatWasMovedOrChangedDoesNotOpen) {
  MakeStore();
  Sql("INSERT INTO rows SELECT 20, 'other', commit_number, value FROM rows WHERE kind=20");
  auto store = Open();
  ASSERT_TRUE(store.ok()) << store.status();
  const absl::Status moved = (*store)->Load([](auto...) { return absl::OkStatus(); });
  EXPECT_EQ(moved.code(), absl::StatusCode::kDataLoss);
  EXPECT_THAT(std::string(moved.message()), HasSubstr("kind 20, key other"));
}

TEST_F(SealingTest, EachByteOfWhatIsSealedIsProtected) {
  Sealer sealer({.file = "keys", .keys = {std::string(32, 'k')}});
  const std::string sealed = sealer.Seal("here", kValue);
  EXPECT_EQ(sealer.Open("here", sealed).value(), kValue);
  EXPECT_EQ(sealer.Open("here", sealer.Seal("here", "")).value(), "");
  EXPECT_FALSE(sealer.Open("there", sealed).ok());
  EXPECT_NE(sealer.Seal("here", kValue), sealed);
  for (size_t i = 0; i < sealed.size(); ++i) {
    std::string changed = sealed;
    changed[i] = static_cast<char>(changed[i] ^ 1);
    EXPECT_FALSE(sealer.Open("here", changed).ok()) << i;
    EXPECT_FALSE(sealer.Open("here", std::string_view(sealed).substr(0, i)).ok()) << i;
  }
}

TEST_F(SealingTest, AStoreOfSchema3IsBroughtForwardWithNothingLeftInTheClear) {
  Sql(Read(std::string(REMUDA_SOURCE_DIR) + "/tests/unit/controller/store/testdata/schema_3.sql"));
  const char* const secrets[] = {kValue, "no-real-key-tr0ub4dor",
                                 "plain-cluster-secret-of-32-bytes"};
  // As it was: what follows looks in the right place.
  for (const char* secret : secrets) EXPECT_THAT(Bytes(), HasSubstr(secret));
  for (int start = 0; start < 2; ++start) {
    auto store = Open();
    ASSERT_TRUE(store.ok()) << store.status();
    for (const char* secret : secrets) EXPECT_THAT(Bytes(), Not(HasSubstr(secret)));
    const auto won = (*store)->Campaign();
    ASSERT_TRUE(won.ok()) << won.status();
    EXPECT_EQ(won->cluster_id, "7b1d3e0a-5c1f-4a53-9d52-6d1e3a0c9b11");
    EXPECT_EQ(won->epoch, 13 + start);
    EXPECT_EQ(won->commit, 6);
    EXPECT_EQ(won->secret, "plain-cluster-secret-of-32-bytes");
    const core::State state = Load(**store);
    EXPECT_EQ((*state.Find<v1::LaunchTemplateVersion>("hello/versions/1"))->env().at("DB_PASSWORD"),
              kValue);
    EXPECT_EQ(state.Find<v1::LaunchTemplateVersion>("hello/versions/1")->commit, 4);
    EXPECT_EQ((*state.Find<v1::Certificate>("edge"))->private_key_pem(), "no-real-key-tr0ub4dor");
    EXPECT_EQ((*state.Find<store::v1::Counter>("instance"))->last(), 7);
    EXPECT_NE(state.Find<store::v1::RequestRecord>("request-1"), nullptr);
    EXPECT_NE(state.Find<v1::LaunchTemplate>("hello"), nullptr);
  }
}

// All steps are one transaction: a step that fails leaves the store as it was.
TEST_F(SealingTest, AMigrationThatFailsChangesNothing) {
  Sql(Read(std::string(REMUDA_SOURCE_DIR) + "/tests/unit/controller/store/testdata/schema_3.sql"));
  Sql("CREATE TRIGGER refuse BEFORE UPDATE ON rows WHEN NEW.kind=14 BEGIN SELECT RAISE(ABORT, "
      "'no'); END;");
  EXPECT_FALSE(Open().ok());
  EXPECT_THAT(Bytes(), HasSubstr(kValue));
  Sql("DROP TRIGGER refuse");
  auto store = Open();
  ASSERT_TRUE(store.ok()) << store.status();
  EXPECT_EQ(Load(**store).All<v1::LaunchTemplateVersion>().size(), 1U);
}

// Killed at any moment, with a store large enough that there are many: it is of one schema and
// sealed whole or not at all, nothing is lost, and the start that gets to its end leaves nothing in
// the clear.
TEST_F(SealingTest, AMigrationThatIsKilledIsWholeOrNotAtAll) {
  constexpr int kSecrets = 500;
  Sql(Read(std::string(REMUDA_SOURCE_DIR) + "/tests/unit/controller/store/testdata/schema_3.sql"));
  Sql("PRAGMA journal_mode=WAL");
  std::string rows = "BEGIN;";
  for (int i = 0; i < kSecrets; ++i) {
    const auto edit = PutSecret("s" + std::to_string(i), kValue + std::string(2'000, 'x'));
    rows += "INSERT INTO rows VALUES(" + std::to_string(static_cast<int>(edit.kind)) + ",'" +
            edit.key + "',5,x'" + absl::BytesToHexString(edit.value->SerializeAsString()) + "');";
  }
  Sql(rows + "COMMIT");
  std::mt19937_64 random(7);
  int kills = 0;
  // A start that is not killed ends it; the longest wait grows, so that one comes.
  for (uint64_t longest_us = 1'000; One("SELECT value FROM meta WHERE name='scrub'") != "0";
       longest_us += longest_us / 5) {
    const pid_t child = fork();
    ASSERT_GE(child, 0);
    if (child == 0) _exit(Open().ok() ? 0 : 1);
    std::this_thread::sleep_for(std::chrono::microseconds(random() % longest_us));
    kill(child, SIGKILL);
    int status = 0;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    if (!WIFSIGNALED(status)) {
      EXPECT_EQ(WEXITSTATUS(status), 0);
    } else {
      ++kills;
    }
    const bool is_new = One("PRAGMA user_version") == "4";
    EXPECT_EQ(One("SELECT count(*) FROM rows WHERE kind=20"), std::to_string(kSecrets));
    EXPECT_EQ(One("SELECT count(*) FROM rows WHERE kind=20 AND substr(value, 1, 4)=x'00525331'"),
              std::to_string(is_new ? kSecrets : 0));
    ASSERT_FALSE(HasFailure()) << "after " << kills << " kills";
  }
  EXPECT_GT(kills, 0);
  auto store = Open();
  ASSERT_TRUE(store.ok()) << store.status();
  EXPECT_THAT(Bytes(), Not(HasSubstr(kValue)));
  const core::State state = Load(**store);
  for (int i = 0; i < kSecrets; ++i) {
    const auto* row = state.Find<v1::Secret>("s" + std::to_string(i));
    ASSERT_NE(row, nullptr) << i;
    EXPECT_EQ((*row)->value(), kValue + std::string(2'000, 'x'));
    EXPECT_EQ(row->commit, 5);
  }
  EXPECT_EQ((*store)->Campaign()->secret, "plain-cluster-secret-of-32-bytes");
}

// What a reader keeps in the log is taken out at a later start.
TEST_F(SealingTest, AReaderMeanwhileOnlyPutsOffThatNothingIsLeftInTheClear) {
  Sql(Read(std::string(REMUDA_SOURCE_DIR) + "/tests/unit/controller/store/testdata/schema_3.sql"));
  Sql("PRAGMA journal_mode=WAL");
  sqlite3* reader = nullptr;
  ASSERT_EQ(sqlite3_open((dir_ + "/state.db").c_str(), &reader), SQLITE_OK);
  ASSERT_EQ(sqlite3_exec(reader, "BEGIN; SELECT * FROM rows", nullptr, nullptr, nullptr),
            SQLITE_OK);
  EXPECT_TRUE(Open().ok());
  EXPECT_EQ(One("SELECT value FROM meta WHERE name='scrub'"), "1");
  sqlite3_close(reader);
  EXPECT_TRUE(Open().ok());
  EXPECT_EQ(One("SELECT value FROM meta WHERE name='scrub'"), "0");
  EXPECT_THAT(Bytes(), Not(HasSubstr(kValue)));
}

}  // namespace
}  // namespace remuda
