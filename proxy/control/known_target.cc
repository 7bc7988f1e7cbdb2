#include "proxy/control/known_target.h"

#include <algorithm>

#include "remuda/proxy/v1/takeover.pb.h"

namespace remuda::proxy {

using std::chrono::milliseconds;
using std::chrono::nanoseconds;

namespace {

int64_t NsOf(SteadyTime time) {
  return std::chrono::duration_cast<nanoseconds>(time.time_since_epoch()).count();
}

SteadyTime SteadyAt(int64_t ns) { return SteadyTime(nanoseconds(std::max<int64_t>(ns, 0))); }

}  // namespace

void Write(const KnownTarget& known, v1::TakeoverTarget& out) {
  out.set_target_group(known.group);
  out.set_target(known.target);
  out.set_endpoint(known.endpoint);
  out.set_state(known.health == Health::kHealthy     ? remuda::v1::TARGET_STATE_HEALTHY
                : known.health == Health::kUnhealthy ? remuda::v1::TARGET_STATE_UNHEALTHY
                                                     : remuda::v1::TARGET_STATE_INITIAL);
  out.set_reason(known.reason);
  out.set_description(known.description);
  const int64_t since =
      std::chrono::duration_cast<nanoseconds>(known.since.time_since_epoch()).count();
  out.mutable_since()->set_seconds(since / 1000000000);
  out.mutable_since()->set_nanos(static_cast<int32_t>(since % 1000000000));
  out.set_is_passively_out(known.is_passively_out);
  out.set_warm_begin_ns(NsOf(known.warm_begin));
  out.set_ejected_until_ns(NsOf(known.ejected_until));
  out.mutable_ejected_for()->set_seconds(known.ejected_for.count() / 1000);
  out.mutable_ejected_for()->set_nanos(
      static_cast<int32_t>(known.ejected_for.count() % 1000 * 1000000));
}

KnownTarget ReadKnown(const v1::TakeoverTarget& from) {
  KnownTarget known;
  known.group = from.target_group();
  known.target = from.target();
  known.endpoint = from.endpoint();
  known.health = from.state() == remuda::v1::TARGET_STATE_HEALTHY     ? Health::kHealthy
                 : from.state() == remuda::v1::TARGET_STATE_UNHEALTHY ? Health::kUnhealthy
                                                                      : Health::kInitial;
  known.reason = from.reason();
  known.description = from.description();
  known.since = std::chrono::system_clock::time_point(std::chrono::seconds(from.since().seconds()) +
                                                      nanoseconds(from.since().nanos()));
  known.is_passively_out = from.is_passively_out();
  known.warm_begin = SteadyAt(from.warm_begin_ns());
  known.ejected_until = SteadyAt(from.ejected_until_ns());
  known.ejected_for =
      milliseconds(from.ejected_for().seconds() * 1000 + from.ejected_for().nanos() / 1000000);
  return known;
}

}  // namespace remuda::proxy
