// Makes the steady clock of the program that it is loaded into (LD_PRELOAD) run $REMUDA_CLOCK_SPEED
// times as fast, for timeouts of minutes. Waits of epoll are as long as ever: the program must have
// something to do now and then.
#include <dlfcn.h>

#include <cstdint>
#include <cstdlib>
#include <ctime>

namespace {

constexpr int64_t kNsASecond = 1'000'000'000;

using ClockGettime = int (*)(clockid_t, timespec*);

struct Clock {
  ClockGettime real = reinterpret_cast<ClockGettime>(dlsym(RTLD_NEXT, "clock_gettime"));
  int64_t speed = 1;
  int64_t begin_ns = 0;

  Clock() {
    if (const char* const text = getenv("REMUDA_CLOCK_SPEED")) speed = atoi(text);
    begin_ns = NowNs();
  }
  int64_t NowNs() const {
    timespec now{};
    real(CLOCK_MONOTONIC, &now);
    return now.tv_sec * kNsASecond + now.tv_nsec;
  }
};

}  // namespace

extern "C" int clock_gettime(clockid_t id, timespec* time) {
  static const Clock clock;
  if (id != CLOCK_MONOTONIC) return clock.real(id, time);
  const int64_t ns = clock.begin_ns + (clock.NowNs() - clock.begin_ns) * clock.speed;
  *time = {ns / kNsASecond, ns % kNsASecond};
  return 0;
}
