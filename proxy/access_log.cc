#include "proxy/access_log.h"

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

// Writes what there is in every ring; false if there was nothing.
bool AccessLog::WriteAll() {
  bool is_any = false;
  for (const auto& lane : lanes_) {
    lane->is_nudged.store(false, std::memory_order_relaxed);
    if (lane->ring.empty()) continue;
    is_any = true;
    WriteLane(*lane);
  }
  return is_any;
}

// Waits until it takes PIPE_BUF bytes at least. False: it does not, and there is something else to
// do: the log is opened anew, or ends.
bool AccessLog::AwaitRoom() {
  using std::chrono::steady_clock;
  if (!may_be_full_) return true;
  pollfd wanted{fd_, POLLOUT, 0};
  while (poll(&wanted, 1, kBatchMs) <= 0) {
    if (is_reopen_asked_) return false;
    if (!is_stopped_) continue;
    if (give_up_at_ == steady_clock::time_point()) give_up_at_ = steady_clock::now() + kLastWords;
    if (steady_clock::now() >= give_up_at_) return false;
  }
  return true;
}

// As much as there is now: more may come meanwhile.
void AccessLog::WriteLane(Lane& lane) {
  size_t left = lane.ring.size();
  bool ends_line = true;
  while (left > 0) {
    if (!AwaitRoom()) {
      is_line_torn_ = !ends_line;
      return LoseLines(lane, EAGAIN);
    }
    if (is_line_torn_) {
      if (write(fd_, "\n", 1) != 1) return LoseLines(lane, errno);
      is_line_torn_ = false;
    }
    iovec pieces[2];
    const size_t count =
        lane.ring.Peek(may_be_full_ ? std::min<size_t>(left, PIPE_BUF) : left, pieces);
    const ssize_t written = writev(fd_, pieces, static_cast<int>(count));
    if (written < 0 && (errno == EINTR || errno == EAGAIN)) continue;
    if (written < 0) {
      is_line_torn_ = !ends_line;
      return LoseLines(lane, errno);
    }
    const size_t size = static_cast<size_t>(written);
    const iovec& last = size <= pieces[0].iov_len ? pieces[0] : pieces[1];
    const size_t in_last = size <= pieces[0].iov_len ? size : size - pieces[0].iov_len;
    ends_line = in_last == 0 || static_cast<const char*>(last.iov_base)[in_last - 1] == '\n';
    lane.ring.Consume(size);
    left -= size;
    is_failing_ = false;
  }
}

// What the ring holds cannot be written: throws it away.
void AccessLog::LoseLines(Lane& lane, int error) {
  if (!is_failing_) {
    spdlog::error("access log {}: {}; lines are lost and counted", path_, std::strerror(error));
  }
  is_failing_ = true;
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

void AccessLog::OpenAnew() {
  const int fd = OpenLog(path_);
  if (fd < 0) {
    spdlog::error("access log {}: cannot be opened anew: {}", path_, WhyNotOpened(errno));
    return;
  }
  close(fd_);
  fd_ = fd;
  may_be_full_ = MayBeFull(fd_);
  is_line_torn_ = false;
  spdlog::info("access log {}: opened anew", path_);
}

}  // namespace remuda::proxy
