// AuditLog: every write that was asked for, as JSON lines in files that are only ever added to.
//
// What changed something is always recorded. What did not (refused, failed, only checked, a
// certificate renewed) is bounded for each who asks, so that nobody can push the log's files out
// with it.
//
// Files: DIRECTORY/audit-N.jsonl (0600), N the sequence of the first record, 20 digits; a new one
// from kMaxFileBytes on, the oldest is removed beyond kMaxFiles. Written in order by a thread of
// its own, and synced each time that nothing more waits: a record is durable soon after its write
// was answered, not before. What cannot be written (a full disk, a thread that does not keep up) is
// counted as lost and logged, and writes go on: a cluster that cannot be steered is worse than a
// gap in its audit log, which its sequence numbers show.
//
// Owns: a thread that writes, one that reads (a list of it takes long, and keeps no record
// waiting), the newest file. Thread: public functions any; what is watched is told by the one that
// writes, lists are answered by the one that reads.
#pragma once

#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <absl/time/time.h>

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>

#include "controller/identity/caller.h"
#include "remuda/v1/audit.pb.h"

namespace remuda {

// Thread: any; each value by itself.
struct AuditCounts {
  std::atomic<int64_t> written = 0;
  std::atomic<int64_t> lost = 0;
  std::atomic<int64_t> left_out = 0;  // beyond the rates of what changes nothing
};

// As Prometheus's text.
std::string Print(const AuditCounts& counts);

class AuditLog {
 public:
  static constexpr size_t kMaxFileBytes = 8 << 20;
  static constexpr size_t kMaxFiles = 64;
  static constexpr size_t kMaxBacklog = 10'000;  // records that wait to be written
  static constexpr size_t kMaxErrorBytes = 1024;
  // Of refused handshakes and joins, each: so many a second, and that many at once.
  static constexpr double kRefusedPerSecond = 1;
  static constexpr double kRefusedAtOnce = 20;
  // Of one actor's records of what changed nothing: so many bytes a second, and that many at once;
  // and so many of the resources that each is about.
  static constexpr double kUndoneBytesPerSecond = 256;
  static constexpr double kUndoneBytesAtOnce = 64 << 10;
  static constexpr int kMaxUndoneResources = 20;
  // Actors that this is remembered of; the one that is nearest to being forgiven is forgotten for
  // another.
  static constexpr size_t kMaxUndoneActors = 1024;
  // What one List reads at most before it answers what it has, with a token for the rest.
  static constexpr size_t kMaxBytesRead = 16 << 20;
  static constexpr size_t kMaxWatchers = 100;
  static constexpr size_t kMaxLists = 16;  // that are under way or wait

  struct Options {
    std::string directory;  // made if missing, 0700
    size_t max_file_bytes = kMaxFileBytes;
    size_t max_files = kMaxFiles;
  };
  // Goes on after the newest record that is there. Errors name the file.
  static absl::StatusOr<std::unique_ptr<AuditLog>> Open(Options options);
  ~AuditLog();  // writes what waits
  AuditLog(const AuditLog&) = delete;
  AuditLog& operator=(const AuditLog&) = delete;

  // Adds a record; gives it its sequence, and the time if it has none. One with an error is of
  // what was not done (WriteUndone).
  void Write(v1::AuditRecord record);
  // Adds one of what changed nothing, unless its actor had many such lately: then it is counted in
  // the left_out of the actor's next one.
  void WriteUndone(v1::AuditRecord record);
  // Adds one of a refused connection ("handshake") or one who may not join ("join"), unless there
  // were many lately: then it is counted in the next one's left_out.
  void WriteRefused(std::string_view method, const std::string& peer, const std::string& why);

  // Answers after what was written before. RESOURCE_EXHAUSTED: kMaxLists.
  void List(v1::ListAuditRecordsRequest request,
            std::function<void(absl::StatusOr<v1::ListAuditRecordsResponse>)> answer);

  // Each record from now on that matches: `on_record` is called until Unwatch has returned.
  // INVALID_ARGUMENT: the filter; RESOURCE_EXHAUSTED: kMaxWatchers.
  absl::StatusOr<int64_t> Watch(const std::string& filter,
                                std::function<void(const v1::AuditRecord&)> on_record);
  void Unwatch(int64_t watcher);

  // Writes what waits, and no more. May be called twice.
  void Stop();

  const AuditCounts& counts() const { return counts_; }

 private:
  // What is left of a rate, and how many were beyond it since one was within.
  struct Allowance {
    double left = 0;
    absl::Time since = absl::InfinitePast();  // never: all of it is left
    int64_t left_out = 0;
  };
  struct Watcher;

  explicit AuditLog(Options options) : options_(std::move(options)) {}

  absl::Status OpenNewest();
  void Run();
  void RunLists();
  // Under mutex_. False: `cost` is beyond it, and counted.
  bool Take(Allowance& allowance, double rate, double most, double cost);
  Allowance& UndoneOf(const std::string& actor);
  void Enqueue(v1::AuditRecord record);
  // The rest: the thread that writes; ReadPage that which reads.
  void Append(v1::AuditRecord record);
  absl::Status AppendLine(const std::string& line);
  absl::Status Rotate();
  void Sync();
  void Lose(const absl::Status& why);
  absl::StatusOr<v1::ListAuditRecordsResponse> ReadPage(
      const v1::ListAuditRecordsRequest& request) const;

  const Options options_;
  AuditCounts counts_;
  std::mutex mutex_;  // guards what follows, up to the next comment
  std::condition_variable wake_;
  bool stopping_ = false;
  std::deque<std::function<void()>> tasks_;
  size_t backlog_ = 0;                                     // records among them
  std::map<std::string, Allowance, std::less<>> refused_;  // by method
  std::map<std::string, Allowance, std::less<>> undone_;   // by actor
  size_t lists_ = 0;                                       // that are not answered
  std::condition_variable list_wake_;
  std::deque<std::function<void(bool is_stopping)>> list_tasks_;
  bool lists_end_ = false;
  std::mutex watch_mutex_;  // guards the watchers; held while they are called
  std::map<int64_t, std::shared_ptr<Watcher>> watchers_;
  int64_t last_watcher_ = 0;
  // The thread's.
  int fd_ = -1;
  size_t file_bytes_ = 0;
  int64_t sequence_ = 0;
  bool is_dirty_ = false;
  bool is_torn_ = false;  // the file ends within a line
  bool is_failing_ = false;
  // Last: they use the others.
  std::thread list_thread_;
  std::thread thread_;
};

}  // namespace remuda
