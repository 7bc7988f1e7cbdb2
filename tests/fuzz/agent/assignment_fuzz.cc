// Any update that parses is taken up whole or refused whole; what was taken up can be written down
// and taken up again.
#include <cstdint>
#include <cstdlib>

#include "agent/core/assignment.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  remuda::agent::v1::AssignmentUpdate update;
  if (!update.ParseFromArray(data, static_cast<int>(size))) return 0;
  remuda::agent::Assignment held;
  const bool taken = !held.Apply(update, 1);
  if (!taken) {
    if (held.revision() || !held.instances().empty()) abort();
    return 0;
  }
  remuda::agent::Assignment again;
  if (again.Apply(held.Whole(), 1)) abort();
  if (again.instances().size() != held.instances().size()) abort();
  return 0;
}
