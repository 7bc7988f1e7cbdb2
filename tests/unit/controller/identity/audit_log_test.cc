#include "controller/identity/audit_log.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <algorithm>
#include <filesystem>
#include <future>
#include <vector>

#include "controller/core/model/draft.h"
#include "controller/identity/audit_record.h"
#include "remuda/v1/identity.pb.h"
#include "remuda/v1/target_group.pb.h"
#include "tests/wait.h"

namespace remuda {
namespace {

class AuditLogTest : public testing::Test {
 protected:
  void SetUp() override {
    char path[] = "/tmp/remuda-audit-XXXXXX";
    ASSERT_NE(mkdtemp(path), nullptr);
    root_ = path;
    Reopen();
  }
  void TearDown() override {
    log_.reset();
    std::filesystem::remove_all(root_);
  }

  void Reopen(size_t max_file_bytes = AuditLog::kMaxFileBytes, size_t max_files = 64) {
    log_.reset();
    auto log = AuditLog::Open(
        {.directory = root_ + "/audit", .max_file_bytes = max_file_bytes, .max_files = max_files});
    ASSERT_TRUE(log.ok()) << log.status();
    log_ = *std::move(log);
  }
  void Write(const std::string& actor, const std::string& method = "m") {
    v1::AuditRecord record;
    record.set_actor(actor);
    record.set_method(method);
    log_->Write(std::move(record));
  }
  absl::StatusOr<v1::ListAuditRecordsResponse> List(const std::string& filter = "", int size = 0,
                                                    const std::string& token = "") {
    v1::ListAuditRecordsRequest request;
    request.set_filter(filter);
    request.set_page_size(size);
    request.set_page_token(token);
    std::promise<absl::StatusOr<v1::ListAuditRecordsResponse>> promise;
    log_->List(request, [&promise](auto page) { promise.set_value(std::move(page)); });
    return promise.get_future().get();
  }
  // Waits until all that was written so far is.
  void Settle() { EXPECT_TRUE(List().ok()); }
  // "4:d 3:c", the newest first.
  static std::string Text(const absl::StatusOr<v1::ListAuditRecordsResponse>& page) {
    if (!page.ok()) return page.status().ToString();
    std::string out;
    for (const auto& record : page->audit_records()) {
      if (!out.empty()) out += " ";
      out += std::to_string(record.sequence()) + ":" + record.actor();
    }
    return out;
  }
  std::vector<std::string> Files() const {
    std::vector<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator(root_ + "/audit"))
      names.push_back(entry.path().filename().string());
    std::sort(names.begin(), names.end());
    return names;
  }

  std::string root_;
  std::unique_ptr<AuditLog> log_;
};

TEST_F(AuditLogTest, RecordsAreListedTheNewestFirst) {
  for (const char* actor : {"a", "b", "c", "d", "e"}) Write(actor);
  EXPECT_EQ(Text(List()), "5:e 4:d 3:c 2:b 1:a");
  const auto page = List("", 2);
  EXPECT_EQ(Text(page), "5:e 4:d");
  const auto next = List("", 2, page->next_page_token());
  EXPECT_EQ(Text(next), "3:c 2:b");
  const auto last = List("", 2, next->next_page_token());
  EXPECT_EQ(Text(last), "1:a");
  EXPECT_TRUE(last->next_page_token().empty());
  EXPECT_FALSE(List("actor = x", 2, page->next_page_token()).ok()) << "a token of another filter";
  EXPECT_FALSE(List("", 1001).ok());
  EXPECT_FALSE(List("colour = red").ok());
}

TEST_F(AuditLogTest, AListIsFiltered) {
  Write("a", "m1");
  Write("b", "m2");
  Write("a", "m2");
  EXPECT_EQ(Text(List("actor = a")), "3:a 1:a");
  EXPECT_EQ(Text(List("actor = a AND method = m2")), "3:a");
}

TEST_F(AuditLogTest, ItGoesOnAfterARestart) {
  Write("a");
  Reopen();
  Write("b");
  EXPECT_EQ(Text(List()), "2:b 1:a");
  struct stat info {};
  ASSERT_EQ(stat((root_ + "/audit/" + Files().front()).c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600u);
  ASSERT_EQ(stat((root_ + "/audit").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0700u);
}

// What a crash has cut off is not read, and spoils nothing that comes after it.
TEST_F(AuditLogTest, ATornLineIsLeftOut) {
  Write("a");
  Write("b");
  log_.reset();
  const std::string path = root_ + "/audit/" + Files().front();
  std::filesystem::resize_file(path, std::filesystem::file_size(path) - 5);
  Reopen();
  Write("c");
  EXPECT_EQ(Text(List()), "2:c 1:a");
}

TEST_F(AuditLogTest, FilesAreRotatedAndTheOldestRemoved) {
  Reopen(400, 3);
  for (int i = 0; i < 40; ++i) Write("person/somebody");
  const auto page = List("", 1000);
  ASSERT_TRUE(page.ok());
  EXPECT_EQ(Files().size(), 3u);
  EXPECT_LT(page->audit_records_size(), 40);
  EXPECT_EQ(page->audit_records(0).sequence(), 40);
  // Without a gap, over files.
  for (int i = 1; i < page->audit_records_size(); ++i)
    EXPECT_EQ(page->audit_records(i).sequence(), page->audit_records(i - 1).sequence() - 1);
  Reopen(400, 3);
  Write("x");
  EXPECT_EQ(List("", 1)->audit_records(0).sequence(), 41);
}

TEST_F(AuditLogTest, AWatcherSeesEachMatchingOne) {
  std::vector<std::string> seen;  // on the log's thread, and after it was asked for a list
  const auto watcher = log_->Watch("actor = a", [&seen](const v1::AuditRecord& record) {
    seen.push_back(std::to_string(record.sequence()));
  });
  ASSERT_TRUE(watcher.ok());
  Write("a");
  Write("b");
  Write("a");
  Settle();
  log_->Unwatch(*watcher);
  Write("a");
  Settle();
  EXPECT_EQ(seen, (std::vector<std::string>{"1", "3"}));
  EXPECT_FALSE(log_->Watch("colour = red", nullptr).ok());
}

TEST_F(AuditLogTest, RefusedOnesAreBounded) {
  for (int i = 0; i < 1000; ++i) log_->WriteRefused("handshake", "10.0.0.1:5", "no certificate");
  Write("a");
  const auto page = List("", 1000);
  ASSERT_TRUE(page.ok());
  EXPECT_LT(page->audit_records_size(), 100);
  EXPECT_GE(page->audit_records_size(), 21);
  EXPECT_GT(log_->counts().left_out, 900);
  EXPECT_EQ(page->audit_records(1).method(), "handshake");
  EXPECT_EQ(page->audit_records(1).peer(), "10.0.0.1:5");
}

// Who reads the log keeps no record waiting, however long that takes, and only so many read.
TEST_F(AuditLogTest, ListsHoldNoRecordUp) {
  Write("a");
  Settle();
  std::promise<void> end;
  const std::shared_future<void> ended = end.get_future().share();
  std::promise<void> begun;
  log_->List({}, [&begun, ended](const auto&) {
    begun.set_value();
    ended.wait();
  });
  begun.get_future().wait();
  for (int i = 0; i < 100; ++i) Write("b");
  EXPECT_TRUE(WaitUntil([this] { return log_->counts().written == 101; }));
  std::atomic<size_t> good = 0, refused = 0;
  constexpr size_t kMore = AuditLog::kMaxLists + 3;
  for (size_t i = 0; i < kMore; ++i) {
    log_->List({}, [&](const absl::StatusOr<v1::ListAuditRecordsResponse>& page) {
      if (page.ok()) ++good;
      if (absl::IsResourceExhausted(page.status())) ++refused;
    });
  }
  EXPECT_EQ(refused, 4U);
  end.set_value();
  EXPECT_TRUE(WaitUntil([&] { return good == kMore - 4; }));
  Settle();
}

// Nobody can push the log's files out with what he may not do.
TEST_F(AuditLogTest, WhatChangesNothingIsBoundedForEachActor) {
  const auto refuse = [this](const std::string& actor) {
    v1::AuditRecord record;
    record.set_actor(actor);
    record.set_code(7);
    for (int i = 0; i < 500; ++i) record.add_resources(std::string(100, 'a') + std::to_string(i));
    log_->Write(std::move(record));
  };
  for (int i = 0; i < 1000; ++i) refuse("person/eve");
  refuse("person/bob");
  v1::AuditRecord checked;
  checked.set_actor("person/eve");
  log_->WriteUndone(checked);
  Write("person/eve");
  const auto bytes = [this] {
    return std::filesystem::file_size(root_ + "/audit/" + Files().front());
  };
  const auto page = List("", 1000);
  ASSERT_TRUE(page.ok());
  // What was done is there whatever else its actor has tried, and says how much of that is missing.
  const v1::AuditRecord& done = page->audit_records(0);
  EXPECT_EQ(done.actor(), "person/eve");
  EXPECT_EQ(done.code(), 0);
  const int64_t left_out = page->audit_records(1).left_out() + done.left_out();
  EXPECT_GT(left_out, 900);
  EXPECT_EQ(log_->counts().left_out, left_out);
  EXPECT_EQ(List("actor = person/bob")->audit_records_size(), 1);
  EXPECT_EQ(List("actor = person/bob")->audit_records(0).resources_size(),
            AuditLog::kMaxUndoneResources);
  EXPECT_LT(bytes(), 2 * AuditLog::kUndoneBytesAtOnce);
  // Those who are remembered are as well.
  for (size_t i = 0; i < AuditLog::kMaxUndoneActors + 10; ++i)
    refuse("agent/h" + std::to_string(i));
  EXPECT_EQ(List("actor = agent/h1030")->audit_records_size(), 1);
}

// A disk that takes nothing more: writes go on, what is lost is counted, and its numbers are
// missing.
TEST_F(AuditLogTest, WhatCannotBeWrittenIsCounted) {
  Write("a");
  Settle();
  signal(SIGXFSZ, SIG_IGN);
  rlimit before{};
  getrlimit(RLIMIT_FSIZE, &before);
  rlimit full = before;
  full.rlim_cur = 100;
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &full), 0);
  for (int i = 0; i < 5; ++i) Write("b");
  Settle();
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &before), 0);
  EXPECT_EQ(log_->counts().lost, 5);
  Write("c");
  EXPECT_EQ(Text(List()), "7:c 1:a");
}

// The same where it is the next file that cannot be made.
TEST_F(AuditLogTest, WhatFindsNoNextFileLeavesAGap) {
  Reopen(1);
  Write("a");
  Settle();
  // A link that leads nowhere: it is there, and no file can be made of it.
  const std::string next = root_ + "/audit/audit-00000000000000000002.jsonl";
  std::filesystem::create_symlink(root_ + "/none/at/all", next);
  Write("b");
  Settle();
  std::filesystem::remove(next);
  Write("c");
  EXPECT_EQ(Text(List()), "3:c 1:a");
  EXPECT_EQ(log_->counts().lost, 1);
}

TEST_F(AuditLogTest, ARecordSaysWhatItIsAboutAndNoSecret) {
  v1::CreateTargetGroupRequest create;
  create.set_target_group_id("blue");
  EXPECT_EQ(NamesIn(create), std::vector<std::string>{});
  (*create.mutable_target_group()->mutable_labels())["a"] = "b";
  EXPECT_EQ(NamesIn(create), std::vector<std::string>{"targetGroups/blue"});
  v1::JoinToken token;
  token.set_name("joinTokens/t-1");
  token.set_token("secret");
  EXPECT_EQ(NamesIn(token), std::vector<std::string>{"joinTokens/t-1"});
}

TEST_F(AuditLogTest, ARecordHasTheRevisionsBeforeAndAfter) {
  core::State state;
  const auto put = [&state](const char* description) {
    core::Draft draft(state);
    v1::TargetGroup group;
    group.set_name("targetGroups/blue");
    (*group.mutable_labels())["is"] = description;
    draft.Put("blue", group);
    state.Apply(draft.Take(), state.commit() + 1);
  };
  put("a");
  Caller caller;
  caller.address = "10.0.0.1:5";
  v1::UpdateTargetGroupRequest update;
  update.mutable_target_group()->set_name("blue");
  update.set_request_id("q");
  const AuditedWrite write(state, &caller, "remuda.v1.TargetGroupService/UpdateTargetGroup",
                           update);
  put("b");
  const v1::AuditRecord done = write.Done(state, absl::OkStatus(), nullptr);
  EXPECT_EQ(done.actor(), "local");
  EXPECT_EQ(done.peer(), "10.0.0.1:5");
  EXPECT_EQ(done.resources(0), "targetGroups/blue");
  EXPECT_EQ(done.revision_before(), 1);
  EXPECT_EQ(done.revision_after(), 2);
  EXPECT_EQ(done.request_id(), "q");
  const v1::AuditRecord failed = write.Done(state, absl::AbortedError("etag"), nullptr);
  EXPECT_EQ(failed.code(), 10);
  EXPECT_EQ(failed.error(), "etag");
  EXPECT_EQ(failed.revision_after(), 0);
}

}  // namespace
}  // namespace remuda
