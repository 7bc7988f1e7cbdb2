#include "proxy/telemetry/access_log.h"

#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <spdlog/spdlog.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <system_error>

namespace remuda::proxy {
namespace {

// Without O_NONBLOCK a FIFO would be waited for until somebody reads from it.
int OpenLog(const std::string& path) {
  return path == "-"
             ? fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 0)
             : open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NONBLOCK, 0640);
}

std::string WhyNotOpened(int error) {
  return error == ENXIO ? "a FIFO that nobody reads from" : std::strerror(error);
}

bool IsSameFile(int one, int other) {
  struct stat a {
  }, b{};
  return fstat(one, &a) == 0 && fstat(other, &b) == 0 && a.st_dev == b.st_dev &&
         a.st_ino == b.st_ino;
}

// A file takes all at once; whoever reads from anything else may not.
bool MayBeFull(int fd) {
  struct stat info {};
  return fstat(fd, &info) == 0 && !S_ISREG(info.st_mode);
}

}  // namespace

AccessLog::AccessLog(const std::string& path, AccessLogFormat format, size_t workers)
    : path_(path), fd_(OpenLog(path)) {
  if (fd_ < 0) {
    const int error = errno;
    throw std::system_error(error, std::generic_category(),
                            "access log " + path + ": " + WhyNotOpened(error));
  }
  may_be_full_ = MayBeFull(fd_);
  wake_fd_ = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (wake_fd_ < 0) throw std::system_error(errno, std::generic_category(), "access log: eventfd");
  for (size_t i = 0; i < workers; ++i) lanes_.push_back(std::make_unique<Lane>(format));
  thread_ = std::thread([this] { Run(); });
}

AccessLog::~AccessLog() {
  is_stopped_ = true;
  Wake();
  thread_.join();
  close(wake_fd_);
  close(fd_);
}

void AccessLog::Write(size_t worker, const AccessEntry& entry) {
  Lane& lane = *lanes_[worker];
  if (!lane.ring.Append(lane.line.Write(entry))) {
    lane.lost.Add(1);
    return;
  }
  // Sequentially consistent, as are the publishing store and the reader's look at the rings after
  // it said that it sleeps: one of the two sees the other.
  if (is_asleep_.load()) {
    if (is_asleep_.exchange(false)) Wake();
  } else if (lane.ring.IsHalfFull() && !lane.is_nudged.exchange(true)) {
    Wake();
  }
}

void AccessLog::Reopen() {
  is_reopen_asked_ = true;
  Wake();
}

uint64_t AccessLog::lost_lines() const {
  uint64_t sum = unwritable_.Get();
  for (const auto& lane : lanes_) sum += lane->lost.Get();
  return sum;
}

void AccessLog::Wake() {
  const uint64_t one = 1;
  while (write(wake_fd_, &one, sizeof one) < 0 && errno == EINTR) {
  }
}

void AccessLog::Wait(int timeout_ms) {
  pollfd wanted{wake_fd_, POLLIN, 0};
  if (poll(&wanted, 1, timeout_ms) <= 0) return;
  uint64_t count;
  while (read(wake_fd_, &count, sizeof count) < 0 && errno == EINTR) {
  }
}

bool AccessLog::HasWork() const {
  return is_stopped_ || is_reopen_asked_ ||
         std::any_of(lanes_.begin(), lanes_.end(),
                     [](const auto& lane) { return !lane->ring.empty(); });
}

void AccessLog::Run() {
  while (true) {
    if (is_reopen_asked_.exchange(false)) OpenAnew();
    if (WriteAll()) {
      if (!is_stopped_) Wait(kBatchMs);
      continue;
    }
    if (is_stopped_) return;
    is_asleep_ = true;
    if (!HasWork()) Wait(-1);
    is_asleep_ = false;
  }
}

// Writes what there is in every ring, or what goes before the log is opened anew; false if there
// was nothing.
bool AccessLog::WriteAll() {
  bool is_any = cut_lane_ != nullptr;
  if (is_any && !WriteLane(*cut_lane_)) return true;
  for (const auto& lane : lanes_) {
    lane->is_nudged.store(false, std::memory_order_relaxed);
    if (lane->ring.empty()) continue;
    is_any = true;
    if (!WriteLane(*lane)) return true;
  }
  return is_any;
}

// Waits until it takes PIPE_BUF bytes at least, or the log is to be opened anew, or it is too late.
AccessLog::Room AccessLog::AwaitRoom() {
  using std::chrono::steady_clock;
  if (!may_be_full_) return Room::kThere;
  pollfd wanted{fd_, POLLOUT, 0};
  while (poll(&wanted, 1, kBatchMs) <= 0) {
    if (is_reopen_asked_) return Room::kLater;
    if (!is_stopped_) continue;
    if (give_up_at_ == steady_clock::time_point()) give_up_at_ = steady_clock::now() + kLastWords;
    if (steady_clock::now() >= give_up_at_) return Room::kNever;
  }
  return Room::kThere;
}

// As much as there is now: more may come meanwhile. False: the rest has to wait until the log is
// opened anew.
bool AccessLog::WriteLane(Lane& lane) {
  size_t left = lane.ring.size();
  while (left > 0) {
    const Room room = AwaitRoom();
    if (room == Room::kLater) return false;
    if (room == Room::kNever) {
      LoseLines(lane, EAGAIN);
      return true;
    }
    if (is_line_torn_) {
      if (write(fd_, "\n", 1) != 1) {
        LoseLines(lane, errno);
        return true;
      }
      is_line_torn_ = false;
    }
    iovec pieces[2];
    const size_t count =
        lane.ring.Peek(may_be_full_ ? std::min<size_t>(left, PIPE_BUF) : left, pieces);
    const ssize_t written = writev(fd_, pieces, static_cast<int>(count));
    if (written < 0 && (errno == EINTR || errno == EAGAIN)) continue;
    if (written < 0) {
      LoseLines(lane, errno);
      return true;
    }
    const size_t size = static_cast<size_t>(written);
    const iovec& last = size <= pieces[0].iov_len ? pieces[0] : pieces[1];
    const size_t in_last = size <= pieces[0].iov_len ? size : size - pieces[0].iov_len;
    if (in_last > 0) {
      const bool ends_line = static_cast<const char*>(last.iov_base)[in_last - 1] == '\n';
      cut_lane_ = ends_line ? nullptr : &lane;
    }
    lane.ring.Consume(size);
    left -= size;
    is_failing_ = false;
  }
  return true;
}

// What the ring holds cannot be written: throws it away.
void AccessLog::LoseLines(Lane& lane, int error) {
  if (!is_failing_) {
    spdlog::error("access log {}: {}; lines are lost and counted", path_, std::strerror(error));
  }
  is_failing_ = true;
  is_line_torn_ = is_line_torn_ || cut_lane_ == &lane;
  cut_lane_ = nullptr;
  iovec pieces[2];
  const size_t size = lane.ring.size();
  const size_t count = lane.ring.Peek(size, pieces);
  uint64_t lines = 0;
  for (size_t i = 0; i < count; ++i) {
    const auto* const begin = static_cast<const char*>(pieces[i].iov_base);
    lines += static_cast<uint64_t>(std::count(begin, begin + pieces[i].iov_len, '\n'));
  }
  unwritable_.Add(lines);
  lane.ring.Consume(size);
}

// Its begin is in another file.
void AccessLog::LoseRestOfCutLine() {
  iovec pieces[2];
  const size_t count = cut_lane_->ring.Peek(cut_lane_->ring.size(), pieces);
  size_t size = 0;
  for (size_t i = 0; i < count; ++i) {
    const void* const end = std::memchr(pieces[i].iov_base, '\n', pieces[i].iov_len);
    if (end == nullptr) {
      size += pieces[i].iov_len;
      continue;
    }
    size += static_cast<size_t>(static_cast<const char*>(end) -
                                static_cast<const char*>(pieces[i].iov_base)) +
            1;
    break;
  }
  unwritable_.Add(1);
  cut_lane_->ring.Consume(size);
  cut_lane_ = nullptr;
}

void AccessLog::OpenAnew() {
  const int fd = OpenLog(path_);
  if (fd < 0) {
    spdlog::error("access log {}: cannot be opened anew: {}", path_, WhyNotOpened(errno));
    return;
  }
  if (!IsSameFile(fd, fd_)) {
    is_line_torn_ = false;
    if (cut_lane_ != nullptr) LoseRestOfCutLine();
  }
  close(fd_);
  fd_ = fd;
  may_be_full_ = MayBeFull(fd_);
  spdlog::info("access log {}: opened anew", path_);
}

}  // namespace remuda::proxy
