#include "controller/identity/audit_log.h"

#include <absl/strings/str_cat.h>
#include <fcntl.h>
#include <google/protobuf/util/json_util.h>
#include <spdlog/spdlog.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <limits>
#include <utility>
#include <vector>

#include "common/status.h"
#include "common/utf8.h"
#include "controller/core/door/filter.h"
#include "controller/core/model/etag.h"
#include "controller/core/model/limits.h"
#include "controller/core/model/time.h"

namespace remuda {
namespace {

constexpr std::string_view kPrefix = "audit-";
constexpr std::string_view kSuffix = ".jsonl";
constexpr size_t kDigits = 20;

std::string FileName(int64_t first) {
  char digits[32];
  std::snprintf(digits, sizeof digits, "%020lld", static_cast<long long>(first));
  return absl::StrCat(std::string(kPrefix), digits, std::string(kSuffix));
}

bool IsFileName(const std::string& name) {
  return name.size() == kPrefix.size() + kDigits + kSuffix.size() && name.starts_with(kPrefix) &&
         name.ends_with(kSuffix) &&
         std::all_of(name.begin() + kPrefix.size(), name.begin() + kPrefix.size() + kDigits,
                     [](char c) { return c >= '0' && c <= '9'; });
}

int64_t FirstOf(const std::string& name) {
  return std::strtoll(name.substr(kPrefix.size(), kDigits).c_str(), nullptr, 10);
}

// Names of the log's files, the oldest first.
std::vector<std::string> FilesOf(const std::string& directory) {
  std::vector<std::string> names;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(directory, error)) {
    std::string name = entry.path().filename().string();
    if (IsFileName(name)) names.push_back(std::move(name));
  }
  std::sort(names.begin(), names.end());
  return names;
}

absl::Status FileError(const std::string& what, const std::string& path, int error) {
  return Unavailable(absl::StrCat(what, " ", path, ": ", std::strerror(error)));
}

std::string ReadWhole(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

std::string ToLine(const v1::AuditRecord& record) {
  google::protobuf::util::JsonPrintOptions options;
  options.preserve_proto_field_names = true;
  std::string line;
  if (!google::protobuf::util::MessageToJsonString(record, &line, options).ok()) return "";
  return line + "\n";
}

bool FromLine(std::string_view line, v1::AuditRecord& record) {
  google::protobuf::util::JsonParseOptions options;
  options.ignore_unknown_fields = true;  // of a newer version
  return google::protobuf::util::JsonStringToMessage(std::string(line), &record, options).ok() &&
         record.sequence() > 0;
}

// The complete lines of a file, the last one first, until fn answers false.
template <class Fn>
bool ForEachLineBackwards(std::string_view text, Fn fn) {
  size_t end = text.rfind('\n');
  while (end != std::string_view::npos) {
    const size_t before = end == 0 ? std::string_view::npos : text.rfind('\n', end - 1);
    const size_t begin = before == std::string_view::npos ? 0 : before + 1;
    if (end > begin && !fn(text.substr(begin, end - begin))) return false;
    end = before;
  }
  return true;
}

absl::StatusOr<core::Filter> FilterOf(const std::string& text) {
  return core::Filter::For<v1::AuditRecord>({{"actor"}, {"method"}, {"code"}, {"resources"}}, text);
}

// A page begins below a sequence: "41-0123456789abcdef", with a hash of the filter.
std::string TokenBelow(int64_t sequence, const std::string& filter) {
  return absl::StrCat(sequence, "-", core::HashText(filter));
}

absl::StatusOr<int64_t> SequenceOf(const std::string& token, const std::string& filter) {
  if (token.empty()) return std::numeric_limits<int64_t>::max();
  constexpr size_t kMostDigits = 18;
  const size_t digits = token.find_first_not_of("0123456789");
  if (digits >= 1 && digits <= kMostDigits) {
    const int64_t sequence = std::strtoll(token.c_str(), nullptr, 10);
    if (token == TokenBelow(sequence, filter)) return sequence;
  }
  return InvalidField("page_token",
                      "is not a next_page_token that this list, with the same filter, has given");
}

}  // namespace

std::string Print(const AuditCounts& counts) {
  const std::string prefix = "remuda_controller_audit_records_";
  std::string out;
  const auto add = [&](const char* name, const char* help, const std::atomic<int64_t>& value) {
    absl::StrAppend(&out, "# HELP ", prefix, name, " ", help, "\n# TYPE ", prefix, name,
                    " counter\n", prefix, name, " ", value.load(), "\n");
  };
  add("written_total", "Records written to the audit log.", counts.written);
  add("lost_total", "Records that could not be written.", counts.lost);
  add("left_out_total",
      "Refused handshakes and joins, and calls that changed nothing, beyond the rates recorded.",
      counts.left_out);
  return out;
}

struct AuditLog::Watcher {
  core::Filter filter;
  std::function<void(const v1::AuditRecord&)> on_record;
};

absl::StatusOr<std::unique_ptr<AuditLog>> AuditLog::Open(Options options) {
  std::unique_ptr<AuditLog> log(new AuditLog(std::move(options)));
  if (absl::Status status = log->OpenNewest(); !status.ok()) return status;
  log->list_thread_ = std::thread([raw = log.get()] { raw->RunLists(); });
  log->thread_ = std::thread([raw = log.get()] { raw->Run(); });
  return log;
}

AuditLog::~AuditLog() {
  Stop();
  if (fd_ >= 0) close(fd_);
}

absl::Status AuditLog::OpenNewest() {
  if (mkdir(options_.directory.c_str(), 0700) != 0 && errno != EEXIST)
    return FileError("cannot make", options_.directory, errno);
  const std::vector<std::string> names = FilesOf(options_.directory);
  if (names.empty()) return Rotate();
  // The newest may be empty, or hold nothing but what a crash has left.
  for (auto it = names.rbegin(); it != names.rend() && sequence_ == 0; ++it) {
    ForEachLineBackwards(ReadWhole(options_.directory + "/" + *it), [this](std::string_view line) {
      v1::AuditRecord record;
      if (!FromLine(line, record)) return true;
      sequence_ = record.sequence();
      return false;
    });
  }
  sequence_ = std::max(sequence_, FirstOf(names.back()) - 1);
  const std::string path = options_.directory + "/" + names.back();
  fd_ = open(path.c_str(), O_WRONLY | O_APPEND | O_CLOEXEC);
  if (fd_ < 0) return FileError("cannot open", path, errno);
  if (fchmod(fd_, 0600) != 0) return FileError("cannot close to others", path, errno);
  const std::string text = ReadWhole(path);
  file_bytes_ = text.size();
  // A line that a crash has cut off stays, and is not read.
  is_torn_ = !text.empty() && text.back() != '\n';
  return absl::OkStatus();
}

absl::Status AuditLog::Rotate() {
  const std::string path = options_.directory + "/" + FileName(sequence_ + 1);
  const int fd = open(path.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
  if (fd < 0) return FileError("cannot make", path, errno);
  if (fd_ >= 0) {
    Sync();
    close(fd_);
  }
  fd_ = fd;
  file_bytes_ = 0;
  is_torn_ = false;
  const int directory = open(options_.directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (directory >= 0) {
    fsync(directory);
    close(directory);
  }
  std::vector<std::string> names = FilesOf(options_.directory);
  for (size_t i = 0; i + options_.max_files < names.size(); ++i) {
    std::remove((options_.directory + "/" + names[i]).c_str());
  }
  return absl::OkStatus();
}

absl::Status AuditLog::AppendLine(const std::string& line) {
  // What could not be written whole before ends as a line of its own.
  const std::string text = is_torn_ ? "\n" + line : line;
  size_t at = 0;
  while (at < text.size()) {
    const ssize_t n = write(fd_, text.data() + at, text.size() - at);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) {
      const int error = errno;
      is_torn_ = is_torn_ || at > 0;
      return FileError("cannot write to", options_.directory, error);
    }
    at += static_cast<size_t>(n);
    file_bytes_ += static_cast<size_t>(n);
  }
  is_torn_ = false;
  is_dirty_ = true;
  return absl::OkStatus();
}

void AuditLog::Sync() {
  if (!is_dirty_) return;
  is_dirty_ = false;
  if (fdatasync(fd_) != 0) {
    spdlog::error("audit log: {}: cannot be synced: {}", options_.directory, std::strerror(errno));
  }
}

void AuditLog::Lose(const absl::Status& why) {
  ++counts_.lost;
  if (!is_failing_) spdlog::error("audit log: records are lost: {}", std::string(why.message()));
  is_failing_ = true;
}

void AuditLog::Append(v1::AuditRecord record) {
  if (file_bytes_ >= options_.max_file_bytes) {
    if (absl::Status status = Rotate(); !status.ok()) {
      ++sequence_;  // its number is taken all the same: the gap shows
      return Lose(status);
    }
  }
  record.set_sequence(++sequence_);
  if (absl::Status status = AppendLine(ToLine(record)); !status.ok()) return Lose(status);
  if (std::exchange(is_failing_, false)) {
    spdlog::warn("audit log: records are written again, {} were lost", counts_.lost.load());
  }
  ++counts_.written;
  const std::lock_guard lock(watch_mutex_);
  for (const auto& [id, watcher] : watchers_) {
    if (watcher->filter.Matches(record)) watcher->on_record(record);
  }
}

bool AuditLog::Take(Allowance& allowance, double rate, double most, double cost) {
  const absl::Time now = absl::Now();
  // A clock that was set back gives nothing.
  const double seconds = std::max(0.0, absl::ToDoubleSeconds(now - allowance.since));
  allowance.left = std::min(most, allowance.left + seconds * rate);
  allowance.since = now;
  if (allowance.left < cost) {
    ++allowance.left_out;
    ++counts_.left_out;
    return false;
  }
  allowance.left -= cost;
  return true;
}

AuditLog::Allowance& AuditLog::UndoneOf(const std::string& actor) {
  if (undone_.size() >= kMaxUndoneActors && !undone_.contains(actor)) {
    const auto forgiven = [now = absl::Now()](const Allowance& of) {
      return of.left + absl::ToDoubleSeconds(now - of.since) * kUndoneBytesPerSecond;
    };
    undone_.erase(std::max_element(
        undone_.begin(), undone_.end(),
        [&](const auto& a, const auto& b) { return forgiven(a.second) < forgiven(b.second); }));
  }
  return undone_[actor];
}

void AuditLog::Write(v1::AuditRecord record) {
  if (record.code() != 0) return WriteUndone(std::move(record));
  const std::lock_guard lock(mutex_);
  if (const auto it = undone_.find(record.actor()); it != undone_.end())
    record.set_left_out(std::exchange(it->second.left_out, 0));
  Enqueue(std::move(record));
}

void AuditLog::WriteUndone(v1::AuditRecord record) {
  auto& resources = *record.mutable_resources();
  if (resources.size() > kMaxUndoneResources) {
    resources.DeleteSubrange(kMaxUndoneResources, resources.size() - kMaxUndoneResources);
  }
  const auto bytes = static_cast<double>(ToLine(record).size());
  const std::lock_guard lock(mutex_);
  Allowance& allowance = UndoneOf(record.actor());
  if (!Take(allowance, kUndoneBytesPerSecond, kUndoneBytesAtOnce, bytes)) return;
  record.set_left_out(std::exchange(allowance.left_out, 0));
  Enqueue(std::move(record));
}

void AuditLog::WriteRefused(std::string_view method, const std::string& peer,
                            const std::string& why) {
  v1::AuditRecord record;
  record.set_method(std::string(method));
  record.set_peer(peer);
  record.set_code(static_cast<int>(absl::StatusCode::kUnauthenticated));
  record.set_error(ValidUtf8(why, kMaxErrorBytes));
  const std::lock_guard lock(mutex_);
  Allowance& allowance = refused_[std::string(method)];
  if (!Take(allowance, kRefusedPerSecond, kRefusedAtOnce, 1)) return;
  record.set_left_out(std::exchange(allowance.left_out, 0));
  Enqueue(std::move(record));
}

void AuditLog::Enqueue(v1::AuditRecord record) {
  if (!record.has_time()) *record.mutable_time() = core::ToProto(absl::Now());
  if (record.error().size() > kMaxErrorBytes) {
    record.set_error(ValidUtf8(record.error(), kMaxErrorBytes));
  }
  if (stopping_) return;
  if (backlog_ >= kMaxBacklog) {
    // Its number is taken all the same: the gap shows.
    ++counts_.lost;
    if (tasks_.size() < 2 * kMaxBacklog) tasks_.push_back([this] { ++sequence_; });
    return;
  }
  ++backlog_;
  tasks_.push_back([this, record = std::move(record)]() mutable { Append(std::move(record)); });
  wake_.notify_one();
}

void AuditLog::List(v1::ListAuditRecordsRequest request,
                    std::function<void(absl::StatusOr<v1::ListAuditRecordsResponse>)> answer) {
  auto read = [this, request = std::move(request), answer](bool is_stopping) {
    answer(is_stopping ? Unavailable("the controller is stopping") : ReadPage(request));
  };
  absl::Status refused;
  {
    const std::lock_guard lock(mutex_);
    if (stopping_) {
      refused = Unavailable("the controller is stopping");
    } else if (lists_ >= kMaxLists) {
      refused = LimitExceeded("kMaxLists", absl::StrCat("the audit log is read by ", kMaxLists,
                                                        " others just now: try again"));
    } else {
      ++lists_;
      // By way of the one that writes: what came before is written then.
      tasks_.push_back([this, read = std::move(read)]() mutable {
        const std::lock_guard to_read(mutex_);
        list_tasks_.push_back(std::move(read));
        list_wake_.notify_one();
      });
      wake_.notify_one();
    }
  }
  if (!refused.ok()) answer(refused);
}

absl::StatusOr<v1::ListAuditRecordsResponse> AuditLog::ReadPage(
    const v1::ListAuditRecordsRequest& request) const {
  const auto filter = FilterOf(request.filter());
  if (!filter.ok()) return filter.status();
  if (request.page_size() < 0 || request.page_size() > core::limits::kMaxPageSize) {
    return InvalidField("page_size", absl::StrCat(request.page_size(), " is not within 0-",
                                                  core::limits::kMaxPageSize));
  }
  const int size = request.page_size() == 0 ? core::limits::kDefaultPageSize : request.page_size();
  const auto before = SequenceOf(request.page_token(), request.filter());
  if (!before.ok()) return before.status();
  v1::ListAuditRecordsResponse response;
  const std::vector<std::string> names = FilesOf(options_.directory);
  size_t bytes_read = 0;
  int64_t below = *before;  // the next page begins below it, if there is one
  bool has_more = false;
  for (auto it = names.rbegin(); it != names.rend() && !has_more; ++it) {
    if (FirstOf(*it) >= below) continue;
    has_more = bytes_read >= kMaxBytesRead;
    if (has_more) break;
    const std::string text = ReadWhole(options_.directory + "/" + *it);
    bytes_read += text.size();
    ForEachLineBackwards(text, [&](std::string_view line) {
      v1::AuditRecord record;
      if (!FromLine(line, record) || record.sequence() >= below || !filter->Matches(record))
        return true;
      has_more = response.audit_records_size() == size;
      if (has_more) return false;
      below = record.sequence();
      *response.add_audit_records() = std::move(record);
      return true;
    });
    // All of it was looked at.
    if (!has_more) below = FirstOf(*it);
  }
  if (has_more) response.set_next_page_token(TokenBelow(below, request.filter()));
  return response;
}

absl::StatusOr<int64_t> AuditLog::Watch(const std::string& filter,
                                        std::function<void(const v1::AuditRecord&)> on_record) {
  auto parsed = FilterOf(filter);
  if (!parsed.ok()) return parsed.status();
  auto watcher = std::make_shared<Watcher>();
  watcher->filter = *std::move(parsed);
  watcher->on_record = std::move(on_record);
  const std::lock_guard lock(watch_mutex_);
  if (watchers_.size() >= kMaxWatchers) {
    return LimitExceeded("kMaxWatchers", absl::StrCat("there are ", kMaxWatchers,
                                                      " watchers of the audit log already"));
  }
  watchers_.emplace(++last_watcher_, std::move(watcher));
  return last_watcher_;
}

void AuditLog::Unwatch(int64_t watcher) {
  const std::lock_guard lock(watch_mutex_);
  watchers_.erase(watcher);
}

void AuditLog::Run() {
  std::unique_lock lock(mutex_);
  while (true) {
    if (tasks_.empty()) {
      lock.unlock();
      Sync();
      lock.lock();
    }
    wake_.wait(lock, [this] { return stopping_ || !tasks_.empty(); });
    if (tasks_.empty()) return;
    std::deque<std::function<void()>> tasks = std::exchange(tasks_, {});
    backlog_ = 0;
    lock.unlock();
    for (auto& task : tasks) task();
    lock.lock();
  }
}

void AuditLog::RunLists() {
  std::unique_lock lock(mutex_);
  while (true) {
    list_wake_.wait(lock, [this] { return lists_end_ || !list_tasks_.empty(); });
    if (list_tasks_.empty()) return;
    const auto read = std::move(list_tasks_.front());
    list_tasks_.pop_front();
    const bool is_stopping = stopping_;
    lock.unlock();
    read(is_stopping);
    lock.lock();
    --lists_;
  }
}

void AuditLog::Stop() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    wake_.notify_one();
  }
  if (thread_.joinable()) thread_.join();
  {
    const std::lock_guard lock(mutex_);
    lists_end_ = true;
    list_wake_.notify_one();
  }
  if (list_thread_.joinable()) list_thread_.join();
  Sync();
}

}  // namespace remuda
