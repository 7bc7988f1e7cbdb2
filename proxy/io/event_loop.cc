#include "proxy/io/event_loop.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <system_error>
#include <utility>

namespace remuda::proxy {
namespace {

constexpr uint32_t kEvents = EPOLLIN | EPOLLOUT | EPOLLPRI | EPOLLRDHUP | EPOLLET;
constexpr size_t kCacheLineBytes = 64;
constexpr size_t kPrefetchedLines = 4;

void Prefetch(const void* object) {
  for (size_t i = 0; i < kPrefetchedLines; ++i)
    __builtin_prefetch(static_cast<const char*>(object) + i * kCacheLineBytes, 1);
}

// Adds or changes (`operation`) what `fd` is watched for. `handler` comes back with each event.
bool Watch(int epoll_fd, int operation, int fd, uint32_t events, IoHandler* handler) {
  epoll_event event{};
  event.events = events;
  event.data.ptr = handler;
  return epoll_ctl(epoll_fd, operation, fd, &event) == 0;
}

}  // namespace

void Timer::Arm(EventLoop& loop, SteadyTime deadline) {
  // Rounded up: never early.
  deadline_tick_ = std::max(loop.TickOf(deadline) + 1, loop.current_tick_ + 1);
  is_armed_ = true;
  if (loop_ != nullptr && slot_tick_ <= deadline_tick_) return;  // looked at in time; moved on then
  if (loop_ != nullptr) loop.Unlink(*this);
  loop.Link(*this);
}

void Timer::Cancel() {
  is_armed_ = false;
  if (loop_ != nullptr) loop_->Unlink(*this);
}

EventLoop::EventLoop() : start_(std::chrono::steady_clock::now()), now_(start_) {
  epoll_fd_ = epoll_create1(EPOLL_CLOEXEC);
  wake_fd_ = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  // No handler stands for wake_fd_.
  if (epoll_fd_ < 0 || wake_fd_ < 0 ||
      !Watch(epoll_fd_, EPOLL_CTL_ADD, wake_fd_, EPOLLIN, nullptr)) {
    throw std::system_error(errno, std::generic_category(), "epoll");
  }
}

EventLoop::~EventLoop() {
  close(wake_fd_);
  close(epoll_fd_);
}

bool EventLoop::Add(int fd, IoHandler* handler) {
  return Watch(epoll_fd_, EPOLL_CTL_ADD, fd, kEvents, handler);
}

bool EventLoop::AddListening(int fd, IoHandler* handler) {
  return Watch(epoll_fd_, EPOLL_CTL_ADD, fd, EPOLLIN, handler);
}

bool EventLoop::Rebind(int fd, IoHandler* from, IoHandler* to) {
  DropPending(from);
  return Watch(epoll_fd_, EPOLL_CTL_MOD, fd, kEvents, to);
}

void EventLoop::Remove(int fd, IoHandler* handler) {
  epoll_event event{};
  epoll_ctl(epoll_fd_, EPOLL_CTL_DEL, fd, &event);
  DropPending(handler);
}

void EventLoop::DropPending(const IoHandler* handler) {
  for (int i = event_next_; i < event_count_; ++i) {
    auto& pending = events_[static_cast<size_t>(i)];
    if (pending.data.ptr == handler) pending.events = 0;
  }
}

void EventLoop::Post(std::function<void()> task) {
  bool was_empty;
  {
    std::lock_guard lock(mutex_);
    was_empty = posted_.empty();
    posted_.push_back(std::move(task));
  }
  const uint64_t one = 1;
  if (was_empty) [[maybe_unused]]
    const ssize_t n = write(wake_fd_, &one, sizeof one);
}

void EventLoop::Stop() {
  Post([this] { is_stopped_ = true; });
}

void EventLoop::Link(Timer& timer) {
  timer.slot_tick_ =
      std::min<int64_t>(timer.deadline_tick_, current_tick_ + static_cast<int64_t>(kSlots) - 1);
  const size_t slot = static_cast<size_t>(timer.slot_tick_) % kSlots;
  timer.loop_ = this;
  timer.previous_ = nullptr;
  timer.next_ = slots_[slot];
  if (timer.next_ != nullptr) timer.next_->previous_ = &timer;
  slots_[slot] = &timer;
  occupied_[slot / 64] |= uint64_t{1} << (slot % 64);
  ++timer_count_;
}

void EventLoop::Unlink(Timer& timer) {
  const size_t slot = static_cast<size_t>(timer.slot_tick_) % kSlots;
  if (timer.previous_ != nullptr) timer.previous_->next_ = timer.next_;
  if (timer.next_ != nullptr) timer.next_->previous_ = timer.previous_;
  if (slots_[slot] == &timer) slots_[slot] = timer.next_;
  if (slots_[slot] == nullptr) occupied_[slot / 64] &= ~(uint64_t{1} << (slot % 64));
  timer.loop_ = nullptr;
  --timer_count_;
}

int EventLoop::WaitMs() const {
  if (!deferred_.empty() || turn_ends_ != nullptr) return 0;
  if (timer_count_ == 0) return -1;
  // The next occupied slot after the current one, going round.
  for (size_t i = 1; i < kSlots;) {
    const size_t slot = (static_cast<size_t>(current_tick_) + i) % kSlots;
    const uint64_t bits = occupied_[slot / 64] >> (slot % 64);
    if (bits != 0) {
      i += static_cast<size_t>(std::countr_zero(bits));
      const auto due = start_ + kTick * (current_tick_ + static_cast<int64_t>(i));
      const auto left =
          std::chrono::ceil<std::chrono::milliseconds>(due - std::chrono::steady_clock::now());
      return static_cast<int>(std::max<int64_t>(left.count(), 0));
    }
    i += 64 - slot % 64;
  }
  return static_cast<int>((kTick * (kSlots / 2)).count());
}

void EventLoop::RunTimers() {
  const int64_t until = TickOf(now_);
  // After a long stop every slot needs one look only.
  const int64_t from = std::max(current_tick_, until - static_cast<int64_t>(kSlots));
  for (int64_t tick = from + 1; tick <= until; ++tick) {
    current_tick_ = tick;
    const size_t slot = static_cast<size_t>(tick) % kSlots;
    // One at a time from the slot: a callback may cancel any other timer. Neither Link nor Arm puts
    // one back into this slot.
    while (Timer* timer = slots_[slot]) {
      Unlink(*timer);
      if (!timer->is_armed_) continue;
      if (timer->deadline_tick_ > tick) {
        Link(*timer);
        continue;
      }
      timer->is_armed_ = false;
      timer->callback_();
    }
  }
}

void EventLoop::RunPosted() {
  uint64_t count;
  [[maybe_unused]] const ssize_t n = read(wake_fd_, &count, sizeof count);
  std::vector<std::function<void()>> tasks;
  {
    std::lock_guard lock(mutex_);
    tasks.swap(posted_);
  }
  for (auto& task : tasks) task();
}

void EventLoop::AtTurnEnd(TurnEndHandler* handler) {
  if (handler->is_queued_) return;
  handler->is_queued_ = true;
  handler->next_ = std::exchange(turn_ends_, handler);
}

void EventLoop::ForgetTurnEnd(TurnEndHandler* handler) {
  if (!handler->is_queued_) return;
  handler->is_queued_ = false;
  for (TurnEndHandler** list : {&turn_ends_, &turn_ends_running_}) {
    for (TurnEndHandler** at = list; *at != nullptr; at = &(*at)->next_) {
      if (*at != handler) continue;
      *at = handler->next_;
      return;
    }
  }
}

void EventLoop::RunTurnEnds() {
  turn_ends_running_ = std::exchange(turn_ends_, nullptr);
  while (TurnEndHandler* const handler = turn_ends_running_) {
    turn_ends_running_ = handler->next_;
    handler->is_queued_ = false;
    handler->OnTurnEnd();
  }
}

void EventLoop::RunDeferred() {
  // Tasks may defer more: those run in the next round.
  std::vector<std::function<void()>> tasks;
  tasks.swap(deferred_);
  for (auto& task : tasks) task();
}

void EventLoop::Run() {
  while (!is_stopped_) {
    event_count_ = epoll_wait(epoll_fd_, events_.data(), kBatch, WaitMs());
    now_ = std::chrono::steady_clock::now();
    bool is_woken = false;
    for (event_next_ = 0; event_next_ < event_count_;) {
      const epoll_event event = events_[static_cast<size_t>(event_next_++)];
      // The next handler is most likely in no cache: it comes while this one works.
      if (event_next_ < event_count_) Prefetch(events_[static_cast<size_t>(event_next_)].data.ptr);
      if (event.data.ptr == nullptr) {
        is_woken = true;
      } else if (event.events != 0) {
        static_cast<IoHandler*>(event.data.ptr)->OnIo(event.events);
      }
    }
    event_count_ = 0;
    RunTimers();
    if (is_woken) RunPosted();
    EndTurn();
  }
}

void EventLoop::EndTurn() {
  if (turn_ends_ != nullptr) RunTurnEnds();
  if (!deferred_.empty()) RunDeferred();
}

void EventLoop::TurnAt(SteadyTime now) {
  now_ = now;
  RunTimers();
  RunPosted();
  EndTurn();
}

}  // namespace remuda::proxy
