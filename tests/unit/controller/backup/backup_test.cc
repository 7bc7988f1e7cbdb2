// Backups made of a store in use, put back elsewhere; and everything that is no whole backup.
#include <absl/time/clock.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sqlite3.h>
#include <sys/stat.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <thread>

#include "common/sha256.h"
#include "controller/backup/backups.h"
#include "controller/backup/restore.h"
#include "controller/backup/state_copy.h"
#include "controller/backup/tar.h"
#include "controller/store/sqlite_store.h"
#include "tests/wait.h"

namespace remuda {
namespace {

namespace fs = std::filesystem;
using core::Kind;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

class BackupTest : public testing::Test {
 protected:
  BackupTest() {
    char path[] = "/tmp/remuda-backup-XXXXXX";
    if (mkdtemp(path) == nullptr) std::abort();
    root_ = path;
    data_ = root_ + "/data";
    to_ = root_ + "/to";
    fs::create_directory(data_);
    fs::permissions(data_, fs::perms(0700));
    auto store = SqliteStore::Open({.path = data_ + "/state.db", .sealing_key_file = key()});
    if (!store.ok()) std::abort();
    store_ = *std::move(store);
    epoch_ = store_->Campaign()->epoch;
    auto blobs = Blobs::Open({.directory = data_ + "/images", .max_blob_bytes = 1 << 20}, total_);
    if (!blobs.ok()) std::abort();
    blobs_ = *std::move(blobs);
    backups_ =
        std::make_unique<Backups>(Backups::Options{.data_directory = data_,
                                                   .state_file = data_ + "/state.db",
                                                   .sealing_key_file = key(),
                                                   .sealed_files = {"ca/key.pem", "ca/none.pem"}},
                                  *blobs_, blob_thread_);
  }
  ~BackupTest() override {
    blob_thread_.Stop();
    backups_.reset();
    store_.reset();
    fs::remove_all(root_);
  }
  std::string key() const { return root_ + "/sealing.key"; }

  static core::Edit PutSecret(const std::string& name, const std::string& value) {
    auto secret = std::make_shared<v1::Secret>();
    secret->set_name("secrets/" + name);
    secret->set_value(value);
    return {Kind::kSecret, name, std::move(secret)};
  }
  static core::Edit PutCounter(const std::string& name, int64_t last) {
    auto counter = std::make_shared<store::v1::Counter>();
    counter->set_last(last);
    return {Kind::kCounter, name, std::move(counter)};
  }
  std::string AddBlob(const std::string& bytes) {
    auto upload = blobs_->Begin();
    EXPECT_TRUE((*upload)->Append(bytes).ok());
    EXPECT_TRUE(Blobs::Seal(**upload, "", 0).ok());
    return blobs_->Finish(**upload)->digest;
  }
  // The archive; its promised size is held against what comes.
  std::string Make(bool with_images = true) {
    std::string out;
    int64_t promised = 0;
    const absl::Status status =
        backups_->Write(with_images, {.begin =
                                          [&](const BackupManifest& manifest, int64_t size) {
                                            manifest_ = manifest;
                                            promised = size;
                                            return absl::OkStatus();
                                          },
                                      .write =
                                          [&](std::string_view bytes) {
                                            out.append(bytes);
                                            return absl::OkStatus();
                                          }});
    EXPECT_TRUE(status.ok()) << status;
    EXPECT_EQ(static_cast<int64_t>(out.size()), promised);
    EXPECT_FALSE(fs::exists(data_ + "/backup"));
    return out;
  }
  absl::StatusOr<Restored> Put(const std::string& archive, bool force = false) {
    std::ofstream(root_ + "/archive.tar", std::ios::binary) << archive;
    return Restore({.from = root_ + "/archive.tar",
                    .data_directory = to_,
                    .sealing_key_file = sealing_key_.empty() ? key() : sealing_key_,
                    .force = force,
                    .blobs_directory = shared_});
  }
  // What refuses it; that nothing is left of it is looked at, too.
  std::string Refusal(const std::string& archive) {
    const auto restored = Put(archive);
    EXPECT_FALSE(restored.ok());
    EXPECT_FALSE(fs::exists(to_ + "/state.db"));
    EXPECT_FALSE(fs::exists(to_ + "/.restore"));
    return std::string(restored.status().message());
  }
  static std::string Entry(const std::string& name, const std::string& bytes) {
    const auto size = static_cast<int64_t>(bytes.size());
    return tar::Header(name, size, 0) + bytes + tar::Padding(size);
  }
  // An archive of these entries, with a manifest that fits them.
  std::string Archive(const std::vector<std::pair<std::string, std::string>>& entries) {
    BackupManifest manifest = manifest_;
    manifest.entries.clear();
    std::string out;
    for (const auto& [name, bytes] : entries) {
      manifest.entries.push_back({.name = name,
                                  .size_bytes = static_cast<int64_t>(bytes.size()),
                                  .sha256 = Sha256Hex(bytes)});
      out += Entry(name, bytes);
    }
    return Entry("manifest", Print(manifest)) + out + tar::End();
  }
  static core::State LoadState(Store& store) {
    core::State state;
    EXPECT_TRUE(store
                    .Load([&](Kind kind, std::string_view row, std::string_view value, int64_t n) {
                      return state.Load(kind, row, value, n);
                    })
                    .ok());
    return state;
  }
  static std::string ReadFile(const std::string& path) {
    std::ostringstream out;
    out << std::ifstream(path, std::ios::binary).rdbuf();
    return out.str();
  }

  std::string root_, data_, to_;
  std::string sealing_key_;  // where a restore reads it; empty: key()
  std::string shared_;       // --blobs of a restore
  std::unique_ptr<SqliteStore> store_;
  int64_t epoch_ = 0;
  std::atomic<int64_t> total_ = 0;
  std::unique_ptr<Blobs> blobs_;
  TaskThread blob_thread_;
  std::unique_ptr<Backups> backups_;
  BackupManifest manifest_;  // of the last
};

TEST_F(BackupTest, ComesBackWithImagesAndSealedFilesAndNothingInTheClear) {
  const std::string digest = AddBlob("some image");
  fs::create_directory(data_ + "/ca");
  std::ofstream(data_ + "/ca/key.pem") << "hunter2-key";
  ASSERT_TRUE(
      store_->Commit({{PutSecret("db", "hunter1"), PutCounter("instance", 7)}}, epoch_).ok());
  const std::string archive = Make();
  EXPECT_THAT(archive, Not(HasSubstr("hunter")));
  EXPECT_EQ(manifest_.commit, 1);
  const auto restored = Put(archive);
  ASSERT_TRUE(restored.ok()) << restored.status();
  EXPECT_EQ(ReadFile(to_ + "/images/sha256/" + digest.substr(7)), "some image");
  EXPECT_EQ(ReadFile(to_ + "/ca/key.pem"), "hunter2-key");
  for (const char* name : {"state.db", "ca/key.pem", "state.db.lock"}) {
    struct stat info {};
    ASSERT_EQ(stat((to_ + "/" + name).c_str(), &info), 0) << name;
    EXPECT_EQ(info.st_mode & 0777, 0600U) << name;
  }
  auto store = SqliteStore::Open({.path = to_ + "/state.db", .sealing_key_file = key()});
  ASSERT_TRUE(store.ok()) << store.status();
  const auto won = (*store)->Campaign();
  ASSERT_TRUE(won.ok());
  EXPECT_EQ(won->commit, 1);
  EXPECT_EQ(won->cluster_id, manifest_.cluster_id);
  // Above whatever was seen of the one that it is a copy of, and so are the instances' numbers.
  EXPECT_GT(won->epoch, epoch_ + kRestoreStep);
  const core::State state = LoadState(**store);
  EXPECT_EQ((*state.Find<v1::Secret>("db"))->value(), "hunter1");
  EXPECT_GE((*state.Find<store::v1::Counter>("instance"))->last(), 7 + kRestoreStep);
}

// A shell's umask is another than the unit's, and root is not who runs the controller.
TEST_F(BackupTest, WhatItMakesIsTheOwnersAndClosed) {
  AddBlob("some image");
  fs::create_directory(data_ + "/ca");
  std::ofstream(data_ + "/ca/key.pem") << "a key";
  const std::string archive = Make();
  ASSERT_EQ(mkdir(to_.c_str(), 0700), 0);
  const bool is_root = geteuid() == 0;
  constexpr uid_t kSomebody = 12345;
  const uid_t owner = is_root ? kSomebody : geteuid();
  if (is_root) {
    ASSERT_EQ(chown(to_.c_str(), kSomebody, kSomebody), 0);
  }
  ASSERT_TRUE(fs::copy_file(key(), to_ + "/sealing.key"));
  ASSERT_EQ(chmod((to_ + "/sealing.key").c_str(), 0600), 0);
  const mode_t before = umask(022);
  sealing_key_ = to_ + "/sealing.key";
  const auto restored = Put(archive);
  umask(before);
  ASSERT_TRUE(restored.ok()) << restored.status();
  struct stat info {};
  ASSERT_EQ(stat((to_ + "/ca").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0700U);
  for (const auto& entry : fs::recursive_directory_iterator(to_)) {
    ASSERT_EQ(lstat(entry.path().c_str(), &info), 0);
    EXPECT_EQ(info.st_uid, owner) << entry.path();
  }
  // The key that is given to the owner opens the next one as well.
  const auto again = Put(archive, /*force=*/true);
  EXPECT_TRUE(again.ok()) << again.status();
}

TEST_F(BackupTest, WithoutImagesHasNone) {
  AddBlob("some image");
  const std::string archive = Make(/*with_images=*/false);
  EXPECT_THAT(archive, AllOf(HasSubstr("images without"), Not(HasSubstr("some image"))));
  EXPECT_TRUE(Put(archive).ok());
}

// Rows that each commit writes together are of one commit in each backup, and no older than what
// was acknowledged before.
TEST_F(BackupTest, UnderLoadIsTheStateOfOneCommit) {
  constexpr int kRows = 20;
  std::atomic<int64_t> acknowledged = 0;
  std::atomic<bool> stop = false;
  std::string fault;
  std::thread writer([&] {
    for (int64_t number = 1; !stop; ++number) {
      core::Changes changes;
      for (int i = 0; i < kRows; ++i)
        changes.edits.push_back(PutCounter("c" + std::to_string(i), number));
      const auto commit = store_->Commit(changes, epoch_);
      if (!commit.ok() || *commit != number) {
        fault = commit.ok() ? "commits were lost" : std::string(commit.status().message());
        return;
      }
      acknowledged = number;
    }
  });
  for (int round = 0; round < 15; ++round) {
    while (acknowledged < 5 * (round + 1) && fault.empty()) std::this_thread::yield();
    const int64_t before = acknowledged;
    const std::string archive = Make();
    const int64_t after = acknowledged;
    fs::remove_all(to_);
    const auto restored = Put(archive);
    ASSERT_TRUE(restored.ok()) << restored.status();
    EXPECT_GE(restored->manifest.commit, before);
    EXPECT_LE(restored->manifest.commit, after + 1);
    auto copy = SqliteStore::Open({.path = to_ + "/state.db", .sealing_key_file = key()});
    ASSERT_TRUE(copy.ok()) << copy.status();
    const core::State state = LoadState(**copy);
    for (int i = 0; i < kRows; ++i) {
      const auto* row = state.Find<store::v1::Counter>("c" + std::to_string(i));
      ASSERT_NE(row, nullptr);
      EXPECT_EQ((*row)->last(), restored->manifest.commit);
      EXPECT_EQ(row->commit, restored->manifest.commit);
    }
  }
  stop = true;
  writer.join();
  EXPECT_EQ(fault, "");
}

// Of a cluster that was restored before, too: its epoch is not far from the time.
TEST_F(BackupTest, ASecondRestoreIsAboveTheFirst) {
  ASSERT_TRUE(store_->Commit({{PutCounter("instance", 7)}}, epoch_).ok());
  const absl::Time before = absl::Now();
  const auto first = Put(Make());
  ASSERT_TRUE(first.ok()) << first.status();
  EXPECT_GE(first->epoch, absl::ToUnixMicros(before));
  Backups again({.data_directory = to_, .state_file = to_ + "/state.db", .sealing_key_file = key()},
                *blobs_, blob_thread_);
  std::string archive;
  ASSERT_TRUE(again
                  .Write(false, {.begin = [](auto&&...) { return absl::OkStatus(); },
                                 .write =
                                     [&](std::string_view bytes) {
                                       archive.append(bytes);
                                       return absl::OkStatus();
                                     }})
                  .ok());
  int64_t epoch = first->epoch, instance = 0;
  for (int round = 0; round < 3; ++round) {
    const auto restored = Put(archive, /*force=*/true);
    ASSERT_TRUE(restored.ok()) << restored.status();
    EXPECT_GT(restored->epoch, epoch);
    epoch = restored->epoch;
    auto store = SqliteStore::Open({.path = to_ + "/state.db", .sealing_key_file = key()});
    ASSERT_TRUE(store.ok()) << store.status();
    const core::State state = LoadState(**store);
    const int64_t now = (*state.Find<store::v1::Counter>("instance"))->last();
    EXPECT_GT(now, instance);
    instance = now;
  }
}

// A clock that was fast, or goes back.
TEST_F(BackupTest, ARestoreIsAboveTheBackupWhateverTheTime) {
  ASSERT_TRUE(Put(Make()).ok());
  ASSERT_TRUE(RaiseState(to_ + "/state.db", 1'000'000'000'000'000'000).ok());
  ASSERT_TRUE(RaiseState(to_ + "/state.db", 5).ok());
  EXPECT_EQ(ReadStateFacts(to_ + "/state.db")->epoch, 1'000'000'000'000'000'000 + kRestoreStep);
}

TEST_F(BackupTest, BlobsAreHeldWhileTheyAreRead) {
  const std::string digest = AddBlob("some image");
  blobs_->Release(digest);
  std::string out;
  const absl::Status status =
      backups_->Write(true, {.begin =
                                 [&](const BackupManifest&, int64_t) {
                                   blob_thread_.Post([&] { blobs_->Collect({}); });
                                   return absl::OkStatus();
                                 },
                             .write =
                                 [&](std::string_view bytes) {
                                   out.append(bytes);
                                   return absl::OkStatus();
                                 }});
  EXPECT_TRUE(status.ok()) << status;
  EXPECT_THAT(out, HasSubstr("some image"));
  blobs_->Collect({});
  EXPECT_FALSE(fs::exists(data_ + "/images/sha256/" + digest.substr(7)));
}

TEST_F(BackupTest, ABlobThatTheDiskHasChangedEndsIt) {
  const std::string digest = AddBlob("some image");
  std::ofstream(data_ + "/images/sha256/" + digest.substr(7)) << "other bytes";
  const absl::Status status =
      backups_->Write(true, {.begin = [](auto&&...) { return absl::OkStatus(); },
                             .write = [](std::string_view) { return absl::OkStatus(); }});
  EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss) << status;
  EXPECT_FALSE(fs::exists(data_ + "/backup"));
}

TEST_F(BackupTest, OneThatIsCutAnywhereIsRefused) {
  AddBlob(std::string(2000, 'x'));
  const std::string archive = Make();
  ASSERT_TRUE(Put(archive).ok());
  fs::remove_all(to_);
  for (const size_t bytes :
       {size_t{0}, size_t{1}, size_t{511}, size_t{512}, size_t{600}, size_t{1024}, size_t{1500},
        size_t{2000}, archive.size() / 2, archive.size() - 4000, archive.size() - 2600}) {
    EXPECT_THAT(Refusal(archive.substr(0, bytes)), HasSubstr("archive.tar")) << bytes;
  }
}

TEST_F(BackupTest, OneThatWasChangedIsRefusedByTheNameOfWhatWas) {
  AddBlob("some image");
  const std::string archive = Make();
  std::string image = archive;
  image.replace(image.rfind("some image"), 4, "evil");
  EXPECT_THAT(Refusal(image), AllOf(HasSubstr("images/sha256/"), HasSubstr("was changed")));
  std::string state = archive;
  state[state.find("SQLite format 3") + 5000] ^= 1;
  EXPECT_THAT(Refusal(state), HasSubstr("state.db was changed"));
  EXPECT_THAT(Refusal(std::string(100'000, 'x')), HasSubstr("archive.tar"));
  EXPECT_THAT(Refusal(archive.substr(0, archive.size() - 1024) + Entry("more", "x") + tar::End()),
              HasSubstr("more in it"));
}

TEST_F(BackupTest, NothingIsWrittenWhereItDoesNotBelong) {
  Make();
  const std::string state(600, 's');
  for (const std::string name :
       {"../evil", "/etc/evil", "images/sha256/../../evil", "a//b", ".hidden", "a/.b", "a b"}) {
    EXPECT_THAT(Refusal(Archive({{"state.db", state}, {name, "x"}})), HasSubstr("manifest, line"))
        << name;
  }
  EXPECT_THAT(Refusal(Archive({{"state.db", state}, {"state.db", state}})), HasSubstr("line"));
  EXPECT_THAT(Refusal(Archive({{"images/sha256/x", state}})), HasSubstr("first entry"));
  EXPECT_THAT(Refusal(Archive({{"state.db", state}})), HasSubstr("state.db"));
  EXPECT_THAT(Refusal(Entry("manifest", "remuda-backup 2\n") + tar::End()), HasSubstr("line 1"));
  EXPECT_THAT(Refusal(Entry("other", "x") + tar::End()), HasSubstr("where manifest must be"));
  // A size that is not the manifest's: no more than that is ever written.
  BackupManifest manifest = manifest_;
  manifest.entries = {{.name = "state.db", .size_bytes = 10, .sha256 = Sha256Hex("")}};
  EXPECT_THAT(Refusal(Entry("manifest", Print(manifest)) + Entry("state.db", state) + tar::End()),
              HasSubstr("has 600 bytes, and 10"));
  EXPECT_THAT(Refusal(tar::Header("manifest", 9 << 20, 0)), HasSubstr("more than"));
  // A link where the file should be.
  std::string link = tar::Header("state.db", 0, 0);
  link[156] = '2';
  link.replace(157, 11, "/etc/passwd");
  manifest.entries[0].size_bytes = 0;
  EXPECT_THAT(Refusal(Entry("manifest", Print(manifest)) + link + tar::End()),
              HasSubstr("archive.tar"));
}

TEST_F(BackupTest, ANewerSchemaAndAnotherKeyAreRefusedByName) {
  const std::string archive = Make();
  BackupManifest manifest = manifest_;
  manifest.schema = 99;
  EXPECT_THAT(Refusal(Entry("manifest", Print(manifest)) + tar::End()),
              HasSubstr("has schema 99, this controller knows up to"));
  const std::string good = ReadFile(key());
  fs::remove(key());
  EXPECT_THAT(Refusal(archive), AllOf(HasSubstr(manifest_.sealing_key), HasSubstr(key())));
  std::ofstream(key()) << std::string(64, '7') << "\n";
  fs::permissions(key(), fs::perms(0600));
  EXPECT_THAT(Refusal(archive), AllOf(HasSubstr(manifest_.sealing_key), HasSubstr("not in")));
  std::ofstream(key()) << std::string(64, '7') << "\n" << good;
  EXPECT_TRUE(Put(archive).ok());
}

TEST_F(BackupTest, ADirectoryInUseOrWithAStateIsLeftAsItIs) {
  const std::string archive = Make();
  ASSERT_TRUE(Put(archive).ok());
  std::ofstream(to_ + "/images/sha256/old") << "x";
  const std::string before = ReadFile(to_ + "/state.db");
  EXPECT_THAT(std::string(Put(archive).status().message()),
              AllOf(HasSubstr("is not empty"), HasSubstr("--force")));
  {
    auto running = SqliteStore::Open({.path = to_ + "/state.db", .sealing_key_file = key()});
    ASSERT_TRUE(running.ok());
    EXPECT_THAT(std::string(Put(archive, true).status().message()),
                HasSubstr("a controller runs in it"));
  }
  const auto restored = Put(archive, true);
  ASSERT_TRUE(restored.ok()) << restored.status();
  EXPECT_TRUE(fs::exists(restored->replaced + "/state.db"));
  EXPECT_TRUE(fs::exists(restored->replaced + "/images/sha256/old"));
  EXPECT_FALSE(fs::exists(to_ + "/images/sha256/old"));
  EXPECT_TRUE(SqliteStore::Open({.path = to_ + "/state.db", .sealing_key_file = key()}).ok());
}

TEST_F(BackupTest, ImagesComeIntoADirectoryThatControllersShare) {
  const std::string digest = AddBlob("some image");
  const std::string archive = Make();
  shared_ = root_ + "/shared";
  // One that is not mounted is not made.
  EXPECT_THAT(Refusal(archive), AllOf(HasSubstr("--blobs: " + shared_), HasSubstr("no such")));
  fs::create_directories(shared_ + "/sha256");
  const bool is_root = geteuid() == 0;
  constexpr uid_t kSomebody = 12345;
  if (is_root) {
    ASSERT_EQ(chown(shared_.c_str(), kSomebody, kSomebody), 0);
  }
  const std::string file = shared_ + "/sha256/" + digest.substr(7);
  const std::string other = shared_ + "/sha256/" + std::string(64, 'a');
  std::ofstream(file) << "some imag?";  // what the disk has lost comes back
  std::ofstream(other) << "another image";
  const auto restored = Put(archive);
  ASSERT_TRUE(restored.ok()) << restored.status();
  EXPECT_EQ(ReadFile(file), "some image");
  EXPECT_EQ(ReadFile(other), "another image");
  EXPECT_EQ(ReadFile(shared_ + "/cluster"), manifest_.cluster_id + "\n");
  EXPECT_TRUE(fs::is_empty(shared_ + "/tmp"));
  EXPECT_FALSE(fs::exists(to_ + "/images"));
  struct stat info {};
  for (const std::string& path : {file, shared_ + "/cluster", shared_ + "/tmp"}) {
    ASSERT_EQ(stat(path.c_str(), &info), 0) << path;
    EXPECT_EQ(info.st_uid, is_root ? kSomebody : geteuid()) << path;
  }
  std::ofstream(shared_ + "/cluster") << "another\n";
  fs::remove_all(to_);
  EXPECT_THAT(Refusal(archive), HasSubstr("is the directory of cluster another"));
}

// With what a shell has as its umask: a controller refuses keys in a directory that is open.
TEST_F(BackupTest, DirectoriesOfKeysAreForTheirOwnerAlone) {
  fs::create_directory(data_ + "/ca");
  std::ofstream(data_ + "/ca/key.pem") << "key";
  const mode_t before = umask(022);
  const auto restored = Put(Make());
  umask(before);
  ASSERT_TRUE(restored.ok()) << restored.status();
  for (const char* name : {"/ca", "/images", "/images/sha256"}) {
    struct stat info {};
    ASSERT_EQ(stat((to_ + name).c_str(), &info), 0) << name;
    EXPECT_EQ(info.st_mode & 07777, 0700U) << name;
  }
}

TEST_F(BackupTest, ASecondRestoreMeanwhileIsRefusedAndTheFirstGoesOn) {
  const std::string archive = Make();
  const std::string pipe = root_ + "/pipe";
  ASSERT_EQ(mkfifo(pipe.c_str(), 0600), 0);
  absl::StatusOr<Restored> first = absl::UnknownError("");
  std::thread restoring(
      [&] { first = Restore({.from = pipe, .data_directory = to_, .sealing_key_file = key()}); });
  {
    std::ofstream out(pipe, std::ios::binary);
    // With some of state.db: it has begun when that is there.
    const size_t some = 8192;
    out << archive.substr(0, some) << std::flush;
    EXPECT_TRUE(WaitUntil([&] { return fs::exists(to_ + "/.restore/state.db"); }));
    EXPECT_THAT(std::string(Put(archive).status().message()), HasSubstr("or another restore"));
    EXPECT_THAT(std::string(Put(archive, true).status().message()),
                HasSubstr("or another restore"));
    EXPECT_TRUE(fs::exists(to_ + "/.restore/state.db"));
    EXPECT_THAT(std::string(CheckNotHalfRestored(to_).message()), HasSubstr("under way"));
    out << archive.substr(some);
  }
  restoring.join();
  EXPECT_TRUE(first.ok()) << first.status();
  EXPECT_TRUE(SqliteStore::Open({.path = to_ + "/state.db", .sealing_key_file = key()}).ok());
}

TEST_F(BackupTest, OneThatCannotBePutInPlaceLeavesAllWhereItWas) {
  const std::string digest = AddBlob("some image");
  ASSERT_TRUE(Put(Make()).ok());
  fs::create_directory(data_ + "/ca");
  std::ofstream(data_ + "/ca/key.pem") << "key";
  const std::string archive = Make();
  std::ofstream(to_ + "/ca") << "in the way";
  std::ofstream(to_ + "/state.db-wal") << "not moved";
  const std::string before = ReadFile(to_ + "/state.db");
  const auto restored = Put(archive, /*force=*/true);
  EXPECT_THAT(std::string(restored.status().message()), HasSubstr(to_ + "/ca"));
  EXPECT_EQ(ReadFile(to_ + "/state.db"), before);
  EXPECT_EQ(ReadFile(to_ + "/state.db-wal"), "not moved");
  EXPECT_EQ(ReadFile(to_ + "/images/sha256/" + digest.substr(7)), "some image");
  for (const auto& entry : fs::directory_iterator(to_))
    EXPECT_THAT(entry.path().filename().string(), Not(HasSubstr("restore")));
}

TEST_F(BackupTest, EachRestoreOfOneSecondKeepsWhatItReplaces) {
  const std::string archive = Make();
  ASSERT_TRUE(Put(archive).ok());
  std::ofstream(to_ + "/state.db-journal") << "of the first";
  const auto second = Put(archive, /*force=*/true);
  ASSERT_TRUE(second.ok()) << second.status();
  const auto third = Put(archive, /*force=*/true);
  ASSERT_TRUE(third.ok()) << third.status();
  EXPECT_NE(second->replaced, third->replaced);
  for (const std::string& aside : {second->replaced, third->replaced})
    EXPECT_TRUE(fs::exists(aside + "/state.db")) << aside;
  // It would be taken for the new one's.
  EXPECT_FALSE(fs::exists(to_ + "/state.db-journal"));
  EXPECT_EQ(ReadFile(second->replaced + "/state.db-journal"), "of the first");
}

TEST_F(BackupTest, OneThatWasCutOffBeforeItsEndIsNoEmptyCluster) {
  const std::string archive = Make();
  ASSERT_TRUE(Put(archive).ok());
  EXPECT_TRUE(CheckNotHalfRestored(to_).ok());
  // As a kill leaves it while it unpacks, and when what was there is aside.
  fs::create_directory(to_ + "/.restore");
  EXPECT_TRUE(CheckNotHalfRestored(to_).ok());
  fs::create_directory(to_ + "/before-restore-1");
  fs::rename(to_ + "/state.db", to_ + "/before-restore-1/state.db");
  EXPECT_THAT(std::string(CheckNotHalfRestored(to_).message()), HasSubstr("was cut off"));
  ASSERT_TRUE(Put(archive, /*force=*/true).ok());
  EXPECT_TRUE(CheckNotHalfRestored(to_).ok());
  EXPECT_TRUE(fs::exists(to_ + "/before-restore-1/state.db"));
}

TEST_F(BackupTest, AKeyThatCannotBeReadIsNotLeftOut) {
  fs::create_directory(data_ + "/ca");
  fs::create_symlink("key.pem", data_ + "/ca/key.pem");
  const absl::Status status =
      backups_->Write(false, {.begin = [](auto&&...) { return absl::OkStatus(); },
                              .write = [](std::string_view) { return absl::OkStatus(); }});
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr(data_ + "/ca/key.pem"));
}

// A key that the controller has not taken up yet seals nothing: the manifest names the one that
// opens everything.
TEST_F(BackupTest, AllOfItIsSealedUnderTheKeyThatItNames) {
  fs::create_directory(data_ + "/ca");
  std::ofstream(data_ + "/ca/key.pem") << "key";
  const std::string good = ReadFile(key());
  std::ofstream(key()) << std::string(64, '7') << "\n" << good;
  const std::string archive = Make();
  std::ofstream(key()) << good;
  const auto restored = Put(archive);
  ASSERT_TRUE(restored.ok()) << restored.status();
  EXPECT_EQ(ReadFile(to_ + "/ca/key.pem"), "key");
  std::ofstream(key()) << std::string(64, '7') << "\n";
  const absl::Status status =
      backups_->Write(false, {.begin = [](auto&&...) { return absl::OkStatus(); },
                              .write = [](std::string_view) { return absl::OkStatus(); }});
  EXPECT_THAT(std::string(status.message()), HasSubstr("which is not in " + key()));
}

TEST_F(BackupTest, AManifestIsReadAsItWasWritten) {
  Make();
  const auto read = ParseManifest(Print(manifest_));
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(Print(*read), Print(manifest_));
  const std::string good = Print(manifest_);
  for (const auto& [from, to] : std::vector<std::pair<std::string, std::string>>{
           {"epoch 1", "epoch 0"},
           {"epoch 1", "epoch x"},
           {"commit 0", "commit -1"},
           {"images with", "images maybe"},
           {"cluster_id ", "cluster_id a b"},
           {"schema", "skema"},
           {"file state.db ", "file state.db -"},
           {"file state.db ", "file state.db 99999999999"},
           {"sealing_key ", "sealing_key Z"}}) {
    std::string bad = good;
    bad.replace(bad.find(from), from.size(), to);
    EXPECT_FALSE(ParseManifest(bad).ok()) << to;
  }
  EXPECT_FALSE(ParseManifest(good.substr(0, good.size() - 1)).ok());
  EXPECT_FALSE(ParseManifest("").ok());
}

}  // namespace
}  // namespace remuda
