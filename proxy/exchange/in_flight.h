// What a request, an upgraded one or a TCP connection holds of its target: it is counted in flight
// there from the pick to its end, which gives back the place that the pick took, and the table that
// the target is of is pinned. What an acknowledgement promises (docs/proxy.md) rests on this. A
// value: whoever has the last copy ends it.
//
// Thread: its worker's.
#pragma once

#include <chrono>

#include "proxy/core/picker.h"

namespace remuda::proxy {

struct AdoptedTable;
class WorkerContext;

class InFlight {
 public:
  // Null: nothing is in flight.
  TargetState* target() const { return target_; }
  // Of the newest attempt, also when that has ended; null before the first, and after Unpin.
  TargetState* last_target() const { return last_target_; }

  // At once after the pick, which found a target in `group`. Nothing may be in flight.
  void Begin(WorkerContext& worker, GroupState& group, const Picked& picked);
  // It is with the target: its end counts for the subset.
  void NoteSent() { is_sent_ = true; }
  // The target has failed it, sent or not, or has answered with 5xx.
  void NoteError() { is_sent_ = is_error_ = true; }
  // The head of its answer is here, after so long.
  void NoteLatency(const WorkerContext& worker, std::chrono::nanoseconds latency);
  // Bytes of it were sent to the target, or of its answer came from it. Something is in flight.
  void NoteSentBytes(const WorkerContext& worker, uint64_t bytes);
  void NoteReceivedBytes(const WorkerContext& worker, uint64_t bytes);
  // What is counted of the target's subset at this worker; lives as long as it is in flight.
  SubsetSlot& subset_slot(const WorkerContext& worker) const;
  // Lets go of the target, if there is one: its place goes to the next, and if it leaves and this
  // was the last, the control loop is told.
  void End(WorkerContext& worker);
  // Lets go of the table. Nothing may be in flight.
  void Unpin(WorkerContext& worker);

 private:
  TargetState* target_ = nullptr;
  TargetState* last_target_ = nullptr;
  SubsetState* subset_ = nullptr;  // of the target, when it was picked
  bool is_sent_ = false;
  bool is_error_ = false;
  AdoptedTable* table_ = nullptr;  // pinned; the targets are of it
};

}  // namespace remuda::proxy
