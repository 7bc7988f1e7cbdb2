#include "proxy/exchange/in_flight.h"

#include <utility>

#include "proxy/exchange/worker_context.h"

namespace remuda::proxy {

void InFlight::Begin(WorkerContext& worker, GroupState& group, const Picked& picked) {
  AdoptedTable* const before = std::exchange(table_, worker.Pin());
  if (before != nullptr) worker.Unpin(before);
  target_ = last_target_ = picked.target;
  target_->Begin(worker.index(), picked.in_load);
  target_->slot(worker.index()).requests.Add(1);
  group.slot(worker.index()).requests.Add(1);
}

void InFlight::End(WorkerContext& worker) {
  if (target_ == nullptr) return;
  TargetState& target = *std::exchange(target_, nullptr);
  target.End(worker.index());
  worker.place_queues().PlaceFreed(target.group());
  worker.TargetReleased(target);
}

void InFlight::Unpin(WorkerContext& worker) {
  last_target_ = nullptr;
  if (AdoptedTable* const table = std::exchange(table_, nullptr)) worker.Unpin(table);
}

}  // namespace remuda::proxy
