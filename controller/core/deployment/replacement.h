// Replacement: how many instances of each side a replace or update step wants at this moment. Pure
// arithmetic, and what it promises: never fewer healthy than the floor by its own doing, never more
// than the ceiling.
//
// Thread: any.
#pragma once

#include <string>

#include "remuda/v1/deployment.pb.h"

namespace remuda::core {

// What the step's settings mean for a number of instances.
struct ReplaceBounds {
  int target = 0;   // of the coming side at the end of the step
  int floor = 0;    // healthy of both sides at least
  int ceiling = 0;  // of both sides that are not gone, at most
};
ReplaceBounds BoundsOf(const v1::ReplaceStep& step, int desired);
// The ceiling is of no use there: no instance comes or goes.
ReplaceBounds BoundsOf(const v1::UpdateStep& step, int desired);

// How both sides are.
struct ReplaceProgress {
  int desired = 0;
  int coming = 0;          // wanted so far
  int staying = 0;         // kept so far; of no meaning before the first step
  bool has_begun = false;  // else the two before mean nothing
  int came = 0;            // of the coming side: up, and to stay
  int ready = 0;           // of those: serving, and confirmed
  int leaving = 0;         // of the coming side: on their way out, or to be replaced
  int left = 0;            // of the other side: up, and not to be replaced for its health
  int left_alive = 0;      // of the other side: not gone
};

struct ReplaceNumbers {
  int coming = 0;
  int staying = 0;
};

enum class ReplaceMode {
  kMove,  // a further batch may begin
  kBake,  // the last one serves first: all stays as it is
  kRest,  // nothing is replaced for now, and the group is kept whole
};

// The numbers that the step wants next.
ReplaceNumbers Replace(const ReplaceBounds& bounds, const ReplaceProgress& now, ReplaceMode mode);

// Whether the step is over.
bool IsReplaced(const ReplaceBounds& bounds, const ReplaceProgress& now);

// The same for a step that changes instances in place: those that come are those that are changed.
ReplaceNumbers UpdateNumbers(const ReplaceBounds& bounds, const ReplaceProgress& now);
// How many more may be taken out now: `healthy` of the other side serve.
int BatchToUpdate(const ReplaceBounds& bounds, const ReplaceProgress& now, int healthy);

}  // namespace remuda::core
