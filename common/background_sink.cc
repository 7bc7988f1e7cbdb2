#include "common/background_sink.h"

#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <string_view>
#include <utility>

#include "common/words.h"

namespace remuda {
namespace {

// A pipe that poll calls writable takes so many bytes without blocking (PIPE_BUF of Linux).
constexpr size_t kMaxWriteBytes = 4096;
constexpr int kPollMs = 50;

std::string_view ColorOf(spdlog::level::level_enum level) {
  switch (level) {
    case spdlog::level::warn:
      return "\033[33m\033[1m";
    case spdlog::level::err:
    case spdlog::level::critical:
      return "\033[31m\033[1m";
    case spdlog::level::info:
      return "\033[32m";
    default:
      return "\033[36m";
  }
}

uint64_t LinesIn(std::string_view text) {
  return static_cast<uint64_t>(std::count(text.begin(), text.end(), '\n'));
}

}  // namespace

BackgroundSink::BackgroundSink(std::string program, int fd, bool colors)
    : program_(std::move(program)), fd_(fd), colors_(colors) {
  // Signals are for threads that know what to do with them. It begins without: one that came before
  // it could say so itself would end the process.
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  thread_ = std::thread([this] { Run(); });
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

BackgroundSink::~BackgroundSink() {
  ends_at_ = std::chrono::steady_clock::now() + kMaxFlush;
  {
    std::lock_guard lock(queue_mutex_);
    is_ending_.store(true);
  }
  wake_.notify_one();
  thread_.join();
}

void BackgroundSink::sink_it_(const spdlog::details::log_msg& message) {
  spdlog::memory_buf_t line;
  formatter_->format(message, line);
  const std::string_view text(line.data(), line.size());
  const bool is_colored = colors_ && message.color_range_end > message.color_range_start;
  {
    std::lock_guard lock(queue_mutex_);
    if (waiting_.size() + text.size() > kMaxWaitingBytes) {
      lost_.fetch_add(1, std::memory_order_relaxed);
      return;
    }
    if (is_colored) {
      const size_t size = message.color_range_end - message.color_range_start;
      waiting_.append(text.substr(0, message.color_range_start)).append(ColorOf(message.level));
      waiting_.append(text.substr(message.color_range_start, size)).append("\033[m");
      waiting_.append(text.substr(message.color_range_end));
    } else {
      waiting_.append(text);
    }
  }
  wake_.notify_one();
}

void BackgroundSink::flush_() {
  std::unique_lock lock(queue_mutex_);
  written_.wait_for(lock, kMaxFlush, [&] { return waiting_.empty() && !is_writing_; });
}

void BackgroundSink::Run() {
  std::unique_lock lock(queue_mutex_);
  while (true) {
    wake_.wait(lock, [&] { return !waiting_.empty() || is_ending_.load(); });
    if (waiting_.empty()) return;
    const std::string lines = std::exchange(waiting_, {});
    is_writing_ = true;
    lock.unlock();
    if (!Write(lines)) lost_.fetch_add(LinesIn(lines), std::memory_order_relaxed);
    SayWhatIsLost();
    lock.lock();
    is_writing_ = false;
    written_.notify_all();
  }
}

// Once somebody reads again.
void BackgroundSink::SayWhatIsLost() {
  const uint64_t lost = lost_.load(std::memory_order_relaxed);
  if (lost == told_lost_ || is_ending_.load()) return;
  const uint64_t count = lost - told_lost_;
  const std::string text = Counted(static_cast<int64_t>(count), "line") + " of this log " +
                           (count == 1 ? "is" : "are") + " lost: nobody read " +
                           (count == 1 ? "it" : "them");
  told_lost_ = lost;
  log(spdlog::details::log_msg(program_, spdlog::level::warn, text));
}

bool BackgroundSink::Write(const std::string& lines) {
  for (size_t written = 0; written < lines.size();) {
    if (is_ending_.load() && std::chrono::steady_clock::now() >= ends_at_) return false;
    pollfd ready{fd_, POLLOUT, 0};
    if (poll(&ready, 1, kPollMs) <= 0) continue;
    if ((ready.revents & POLLOUT) == 0) return false;  // nobody will ever read it
    const ssize_t n =
        write(fd_, lines.data() + written, std::min(kMaxWriteBytes, lines.size() - written));
    if (n < 0 && errno != EINTR && errno != EAGAIN) return false;
    if (n > 0) written += static_cast<size_t>(n);
  }
  return true;
}

}  // namespace remuda
