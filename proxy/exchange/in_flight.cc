#include "proxy/exchange/in_flight.h"

#include <utility>

#include "proxy/exchange/worker_context.h"

namespace remuda::proxy {

void InFlight::Begin(WorkerContext& worker, GroupState& group, const Picked& picked) {
  AdoptedTable* const before = std::exchange(table_, worker.Pin());
  if (before != nullptr) worker.Unpin(before);
  target_ = last_target_ = picked.target;
  subset_ = picked.subset;
  is_sent_ = is_error_ = false;
  target_->Begin(worker.index(), picked.in_load);
  target_->slot(worker.index()).requests.Add(1);
  group.slot(worker.index()).requests.Add(1);
}

void InFlight::NoteLatency(const WorkerContext& worker, std::chrono::nanoseconds latency) {
  subset_->slot(worker.index()).latency[BucketOf(latency)].Add(1);
}

void InFlight::NoteSentBytes(const WorkerContext& worker, uint64_t bytes) {
  subset_slot(worker).bytes_in.Add(bytes);
}

void InFlight::NoteReceivedBytes(const WorkerContext& worker, uint64_t bytes) {
  subset_slot(worker).bytes_out.Add(bytes);
}

SubsetSlot& InFlight::subset_slot(const WorkerContext& worker) const {
  return subset_->slot(worker.index());
}

void InFlight::End(WorkerContext& worker) {
  if (target_ == nullptr) return;
  TargetState& target = *std::exchange(target_, nullptr);
  if (is_sent_) {
    SubsetSlot& slot = subset_->slot(worker.index());
    slot.requests.Add(1);
    if (is_error_) slot.errors.Add(1);
  }
  target.End(worker.index());
  worker.place_queues().PlaceFreed(target.group());
  worker.TargetReleased(target);
}

void InFlight::Unpin(WorkerContext& worker) {
  last_target_ = nullptr;
  if (AdoptedTable* const table = std::exchange(table_, nullptr)) worker.Unpin(table);
}

}  // namespace remuda::proxy
