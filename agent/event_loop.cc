#include "agent/event_loop.h"

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <system_error>
#include <utility>

namespace remuda::agent {

EventLoop::EventLoop()
    : epoll_(epoll_create1(EPOLL_CLOEXEC)), wake_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  if (!epoll_.valid() || !wake_.valid())
    throw std::system_error(errno, std::generic_category(), "epoll");
  Watch(wake_.get(), [this] {
    uint64_t count = 0;
    [[maybe_unused]] const ssize_t n = read(wake_.get(), &count, sizeof count);
  });
}

void EventLoop::Run() {
  quit_ = false;
  while (!quit_) {
    RunPosted();
    RunTimers();
    if (quit_) break;
    epoll_event events[64];
    const int n = epoll_wait(epoll_.get(), events, 64, WaitMs());
    for (int i = 0; i < n; ++i) {
      // Found anew each time: an earlier handler of this round may have unwatched it, and begun to
      // watch another with the same number.
      const auto it = watched_.find(static_cast<int>(events[i].data.u64 & 0xffffffff));
      if (it == watched_.end() || it->second.number != events[i].data.u64 >> 32) continue;
      const Task ready = it->second.ready;  // a copy: it may unwatch itself
      ready();
    }
  }
}

void EventLoop::Quit() {
  Post([this] { quit_ = true; });
}

void EventLoop::Post(Task task) {
  {
    const std::lock_guard lock(mutex_);
    posted_.push_back(std::move(task));
  }
  const uint64_t one = 1;
  [[maybe_unused]] const ssize_t n = write(wake_.get(), &one, sizeof one);
}

void EventLoop::Watch(int fd, Task ready) {
  const uint32_t number = next_watch_++;
  watched_[fd] = {number, std::move(ready)};
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.u64 = uint64_t{number} << 32 | static_cast<uint32_t>(fd);
  if (epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event) != 0) {
    throw std::system_error(errno, std::generic_category(), "epoll_ctl");
  }
}

void EventLoop::Unwatch(int fd) {
  if (watched_.erase(fd) > 0) epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, fd, nullptr);
}

EventLoop::TimerId EventLoop::At(TimePoint when, Task task) {
  const TimerId id = next_timer_++;
  timers_.emplace(std::make_pair(when, id), std::move(task));
  timer_times_[id] = when;
  return id;
}

void EventLoop::Cancel(TimerId id) {
  const auto it = timer_times_.find(id);
  if (it == timer_times_.end()) return;
  timers_.erase({it->second, id});
  timer_times_.erase(it);
}

void EventLoop::RunPosted() {
  std::vector<Task> tasks;
  {
    const std::lock_guard lock(mutex_);
    tasks.swap(posted_);
  }
  for (Task& task : tasks) task();
}

void EventLoop::RunTimers() {
  const TimePoint now = Now();
  while (!timers_.empty() && timers_.begin()->first.first <= now) {
    const Task task = std::move(timers_.begin()->second);
    timer_times_.erase(timers_.begin()->first.second);
    timers_.erase(timers_.begin());
    task();
  }
}

int EventLoop::WaitMs() const {
  if (timers_.empty()) return -1;
  const auto left =
      std::chrono::ceil<std::chrono::milliseconds>(timers_.begin()->first.first - Now()).count();
  return static_cast<int>(std::clamp<int64_t>(left, 0, 3'600'000));
}

}  // namespace remuda::agent
