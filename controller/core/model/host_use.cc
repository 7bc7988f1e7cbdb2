#include "controller/core/model/host_use.h"

#include "controller/core/model/instance_state.h"
#include "controller/core/model/launch_ref.h"

namespace remuda::core {
namespace {

bool TakesRoom(const v1::Instance& row) { return row.state() != v1::INSTANCE_STATE_TERMINATED; }

bool MayHaveFailed(const v1::Instance& row) {
  return row.unhealthy() && IsLeavingState(row.state());
}

template <class Map>
void CountAt(Map& map, const typename Map::key_type& key, int by) {
  const auto it = map.try_emplace(key, 0).first;
  it->second += by;
  if (it->second == 0) map.erase(it);
}

}  // namespace

void HostUse::Count(const v1::Instance& row, int by) {
  if (MayHaveFailed(row)) failed += by;
  if (!TakesRoom(row)) return;
  instances += by;
  if (row.port() != 0) CountAt(ports, row.port(), by);
  CountAt(launches,
          {row.launch_template().launch_template(), row.launch_template().resolved_version()}, by);
}

bool HasSameUse(const v1::Instance& a, const v1::Instance& b) {
  return a.host() == b.host() && TakesRoom(a) == TakesRoom(b) &&
         MayHaveFailed(a) == MayHaveFailed(b) && a.port() == b.port() &&
         IsSame(a.launch_template(), b.launch_template());
}

}  // namespace remuda::core
